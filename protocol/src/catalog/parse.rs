//! Reading a configured catalog with errors that a person can act on.

use serde_json::{Map, Value};

use super::{ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, SyncMode};
use crate::error::{Error, Result};

impl ConfiguredCatalog {
    /// Reads the text of a `--catalog` file.
    ///
    /// Fails with a config error that names the stream and the value that does not fit.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let value: Value = serde_json::from_str(text).map_err(|error| {
            Error::config(format!("The configured catalog is not valid JSON: {error}"))
        })?;
        let Value::Object(mut object) = value else {
            return Err(Error::config("The configured catalog is not a JSON object"));
        };
        let Some(Value::Array(list)) = object.remove("streams") else {
            return Err(Error::config(
                "The configured catalog has no list `streams`; give the file that the orchestrator \
                 makes from the output of `discover`",
            ));
        };
        let streams = list
            .into_iter()
            .enumerate()
            .map(|(at, entry)| stream(at, entry))
            .collect::<Result<Vec<_>>>()?;
        refuse_duplicates(&streams)?;
        Ok(Self { streams, extra: object })
    }
}

fn stream(at: usize, entry: Value) -> Result<ConfiguredStream> {
    let name = entry.pointer("/stream/name").and_then(Value::as_str);
    let has_name = name.is_some();
    let place = match name {
        Some(name) => format!("Stream `{name}` of the configured catalog"),
        None => format!("Entry {at} of the configured catalog's streams"),
    };
    let Value::Object(entry) = entry else {
        return Err(Error::config(format!("{place} is not a JSON object")));
    };
    if !has_name {
        return Err(Error::config(format!("{place} has no stream name at /stream/name")));
    }
    let entry = without_nulls(entry);
    let stream: ConfiguredStream = serde_json::from_value(Value::Object(entry))
        .map_err(|error| Error::config(format!("{place} cannot be read: {error}")))?;
    known(
        &place,
        "sync_mode",
        stream.sync_mode.as_str(),
        stream.sync_mode.is_known(),
        SyncMode::KNOWN,
    )?;
    let mode = &stream.destination_sync_mode;
    known(
        &place,
        "destination_sync_mode",
        mode.as_str(),
        mode.is_known(),
        DestinationSyncMode::KNOWN,
    )?;
    if !stream.stream.json_schema.as_str().starts_with('{') {
        return Err(Error::config(format!("{place}: json_schema is not a JSON object")));
    }
    Ok(stream)
}

/// `null` means absent, so that a mode given as `null` takes its default.
fn without_nulls(entry: Map<String, Value>) -> Map<String, Value> {
    entry.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

fn known(place: &str, field: &str, value: &str, is_known: bool, values: &[&str]) -> Result<()> {
    if is_known {
        return Ok(());
    }
    let values = values.join(", ");
    Err(Error::config(format!(
        "{place}: {field} is `{value}`, which this connector does not know; it is one of {values}"
    )))
}

fn refuse_duplicates(streams: &[ConfiguredStream]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for stream in streams {
        let descriptor = stream.descriptor();
        if seen.contains(&descriptor) {
            return Err(Error::config(format!(
                "Stream `{descriptor}` stands twice in the configured catalog"
            )));
        }
        seen.insert(descriptor);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::StreamDescriptor;

    fn entry(extra: &str) -> String {
        format!(
            r#"{{"streams":[{{"stream":{{"name":"invoices","json_schema":{{"type":"object","properties":{{}}}},
            "supported_sync_modes":["full_refresh"],"namespace":null,"default_cursor_field":null,"new_in_2030":1}},
            "cursor_field":null{extra}}}],"more":true}}"#
        )
    }

    fn message(text: &str) -> String {
        ConfiguredCatalog::parse(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn nulls_defaults_and_unknown_fields_are_taken() {
        let catalog = ConfiguredCatalog::parse(&entry(r#","sync_mode":null"#)).unwrap();
        let stream = &catalog.streams[0];
        assert_eq!(stream.sync_mode, SyncMode::FullRefresh);
        assert_eq!(stream.destination_sync_mode, DestinationSyncMode::Append);
        assert_eq!(stream.descriptor(), StreamDescriptor::new("invoices"));
        assert_eq!(stream.stream.extra["new_in_2030"], 1);
        assert_eq!(catalog.extra["more"], true);
        let again = serde_json::to_string(&catalog).unwrap();
        assert_eq!(ConfiguredCatalog::parse(&again).unwrap(), catalog);
    }

    #[test]
    fn unknown_modes_name_stream_and_value() {
        let text = message(&entry(r#","sync_mode":"sideways""#));
        assert!(text.contains("`invoices`") && text.contains("`sideways`"), "{text}");
        let text = message(&entry(r#","destination_sync_mode":"overwrite_dedup""#));
        assert!(text.contains("`invoices`") && text.contains("`overwrite_dedup`"), "{text}");
    }

    #[test]
    fn broken_catalogs_say_where() {
        assert!(message("{").contains("line 1 column 1"));
        assert!(message("[]").contains("not a JSON object"));
        assert!(message(r#"{"streams":null}"#).contains("no list `streams`"));
        assert!(message(r#"{"streams":[4]}"#).contains("Entry 0"));
        assert!(message(r#"{"streams":[{"stream":{}}]}"#).contains("/stream/name"));
        assert!(message(r#"{"streams":[{"stream":{"name":"a"}}]}"#).contains("json_schema"));
        let twice = r#"{"streams":[{"stream":{"name":"a","json_schema":{}}},{"stream":{"name":"a","json_schema":{}}}]}"#;
        assert!(message(twice).contains("twice"));
    }

    #[test]
    fn the_cursor_is_the_sources_unless_it_leaves_the_choice() {
        let mut catalog = ConfiguredCatalog::parse(&entry("")).unwrap();
        let stream = &mut catalog.streams[0];
        stream.stream.default_cursor_field = vec!["created".into()];
        assert_eq!(stream.cursor_path(), ["created"]);
        stream.cursor_field = vec!["meta".into(), "updated".into()];
        assert_eq!(stream.cursor_path(), ["meta", "updated"]);
        stream.stream.source_defined_cursor = Some(true);
        assert_eq!(stream.cursor_path(), ["created"]);
    }
}
