//! The files that the stub source reads: configuration, catalog, state.

use std::path::Path;

use airbyte_protocol::{Error, FailureType, Result, StreamDescriptor};
use serde_json::{Map, Value};

use super::answers;
use crate::stub::mutants::{Fault, Mutation};
use crate::transcript::parse_strictly;

/// An error of the user's.
fn refusal(mutation: Mutation, message: String) -> Error {
    let is_odd = mutation.is(Fault::InputErrorsAreSystemErrors);
    Error::new(if is_odd { FailureType::System } else { FailureType::Config }, message)
}

fn text(path: &Path, what: &str, mutation: Mutation) -> Result<String> {
    if mutation.is(Fault::TextFilesRefused) && path.extension().is_some_and(|end| end == "txt") {
        return Err(refusal(mutation, format!("The {what} file must be a .json file.")));
    }
    std::fs::read_to_string(path).map_err(|error| {
        refusal(mutation, format!("The {what} file {} cannot be read: {error}.", path.display()))
    })
}

/// The configuration, which is a JSON object; whether it is valid is another question.
pub fn config(path: &Path, mutation: Mutation) -> Result<Value> {
    let text = text(path, "configuration", mutation)?;
    match serde_json::from_str(&text) {
        Ok(config @ Value::Object(_)) => Ok(config),
        Ok(_) => Err(refusal(mutation, "The configuration is no JSON object.".to_owned())),
        Err(error) if mutation.is(Fault::PanicsOnBadConfig) => {
            panic!("called `Result::unwrap()` on an `Err` value: {error:?}")
        }
        Err(error) => Err(refusal(mutation, format!("The configuration is no JSON: {error}."))),
    }
}

/// Refuses a configuration that breaks the schema.
pub fn validate(config: &Value, mutation: Mutation) -> Result<()> {
    let schema = answers::schema();
    let validator = jsonschema::draft7::new(&schema).map_err(|error| {
        Error::system("The schema is invalid.").with_internal(error.to_string())
    })?;
    if let Err(error) = validator.validate(config) {
        let path = error.instance_path().to_string();
        let message = format!("Config validation error: {} ({path})", error.masked());
        return Err(refusal(mutation, message));
    }
    let properties = schema["properties"].as_object();
    let is_known = |key: &str| properties.is_some_and(|known| known.contains_key(key));
    let mut keys = config.as_object().into_iter().flat_map(Map::keys);
    if mutation.is(Fault::UnknownPropertyRefused)
        && let Some(key) = keys.find(|key| !is_known(key))
    {
        return Err(refusal(mutation, format!("Config validation error: {key:?} is unknown.")));
    }
    Ok(())
}

/// A stream that is to be read.
#[derive(Debug, Clone)]
pub struct Configured {
    /// Its name and namespace.
    pub stream: StreamDescriptor,
    /// Whether only what is new is wanted.
    pub is_incremental: bool,
}

/// The streams of a configured catalog.
pub fn catalog(path: &Path, mutation: Mutation) -> Result<Vec<Configured>> {
    let text = text(path, "catalog", mutation)?;
    let streams = match serde_json::from_str::<Value>(&text) {
        Ok(mut catalog) => match catalog.get_mut("streams").map(Value::take) {
            Some(Value::Array(streams)) => Ok(streams),
            _ => Err("The catalog has no list of streams.".to_owned()),
        },
        Err(error) => Err(format!("The catalog is no JSON: {error}.")),
    };
    match streams {
        Ok(streams) => {
            streams.iter().map(|stream| configured(stream, mutation)).collect::<Result<_>>()
        }
        Err(_) if mutation.is(Fault::EmptyCatalogAccepted) => Ok(Vec::new()),
        Err(message) => Err(refusal(mutation, message)),
    }
}

fn configured(entry: &Value, mutation: Mutation) -> Result<Configured> {
    let refuse = |message: String| Err(refusal(mutation, message));
    let Some(stream) = descriptor(&entry["stream"]) else {
        return refuse("The catalog has a stream without a name.".to_owned());
    };
    let name = &stream.name;
    if mutation.is(Fault::NullInCatalogRefused) && holds_null(entry) {
        return refuse(format!("The stream {name:?} of the catalog has a null."));
    }
    if mutation.is(Fault::UnknownFieldRefused) && has_unknown_field(entry) {
        return refuse(format!("The stream {name:?} of the catalog has an unknown field."));
    }
    let is_incremental = match &entry["sync_mode"] {
        Value::Null => false,
        Value::String(mode) if mode == "full_refresh" => false,
        Value::String(mode) if mode == "incremental" => true,
        _ if mutation.is(Fault::SyncModeGuessed) => false,
        mode => return refuse(format!("The stream {name:?} has an unknown sync mode: {mode}.")),
    };
    let has_cursor = entry["cursor_field"].as_array().is_some_and(|cursor| !cursor.is_empty());
    if mutation.is(Fault::CursorRequired) && is_incremental && !has_cursor {
        return refuse(format!("The stream {name:?} of the catalog has no cursor_field."));
    }
    Ok(Configured { stream, is_incremental })
}

fn holds_null(entry: &Value) -> bool {
    let has = |value: &Value| value.as_object().is_some_and(|o| o.values().any(Value::is_null));
    has(entry) || has(&entry["stream"])
}

fn has_unknown_field(entry: &Value) -> bool {
    const KNOWN: [&str; 10] = [
        "stream",
        "sync_mode",
        "destination_sync_mode",
        "cursor_field",
        "primary_key",
        "generation_id",
        "minimum_generation_id",
        "sync_id",
        "include_files",
        "destination_object_name",
    ];
    entry.as_object().is_some_and(|entry| entry.keys().any(|key| !KNOWN.contains(&key.as_str())))
}

fn descriptor(value: &Value) -> Option<StreamDescriptor> {
    let name = value.get("name")?.as_str()?.to_owned();
    let namespace = value.get("namespace").and_then(Value::as_str).map(str::to_owned);
    Some(StreamDescriptor { name, namespace })
}

/// The states of streams, as they stand in the file.
pub type States = Vec<(StreamDescriptor, Value)>;

/// The states in a state file of any shape.
pub fn states(path: &Path, mutation: Mutation) -> Result<States> {
    let text = text(path, "state", mutation)?;
    let mut states = Vec::new();
    match read_states(&text, &mut states, mutation) {
        Ok(()) => Ok(states),
        Err(_) if mutation.is(Fault::BrokenStateIgnored) => Ok(Vec::new()),
        Err(message) => Err(refusal(mutation, message)),
    }
}

fn read_states(text: &str, states: &mut States, mutation: Mutation) -> Result<(), String> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let values = match serde_json::from_str::<Value>(text) {
        Ok(value) => vec![value],
        // Lines of output, saved as they came.
        Err(error) => text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>()
            .map_err(|_| format!("The state is no JSON: {error}."))?,
    };
    let is_repeating = parse_strictly(text.as_bytes()).is_ok_and(|text| !text.repeated.is_empty());
    if mutation.is(Fault::DupKeyRejected) && is_repeating {
        return Err("The state has a key twice.".to_owned());
    }
    for value in values {
        match value {
            Value::Null => {}
            Value::Array(entries) if entries.is_empty() => {
                if mutation.is(Fault::EmptyStateRefused) {
                    return Err("The state is empty.".to_owned());
                }
            }
            Value::Array(entries) => {
                for entry in &entries {
                    read_entry(entry, states, mutation)?;
                }
            }
            value => read_entry(&value, states, mutation)?,
        }
    }
    Ok(())
}

fn read_entry(entry: &Value, states: &mut States, mutation: Mutation) -> Result<(), String> {
    let Some(members) = entry.as_object() else {
        return Err(format!("The state has an entry that is no object: {entry}."));
    };
    if mutation.is(Fault::GlobalAliasRejected) && members.contains_key("global_") {
        return Err("The state has the unknown key \"global_\".".to_owned());
    }
    if mutation.is(Fault::NullInStateRejected) && members.values().any(Value::is_null) {
        return Err("The state has a null.".to_owned());
    }
    let is_object = |key: &str| members.get(key).is_some_and(Value::is_object);
    match members.get("type").and_then(Value::as_str) {
        Some("STATE") => return read_entry(&entry["state"], states, mutation),
        Some("STREAM" | "GLOBAL" | "LEGACY") | None => {}
        // Lines of output that are no states.
        Some("RECORD" | "LOG" | "TRACE" | "CONTROL") => return Ok(()),
        Some(other) => return Err(format!("The state has an entry of unknown type {other:?}.")),
    }
    if is_object("stream") && descriptor(&entry["stream"]["stream_descriptor"]).is_some() {
        push(&entry["stream"], states)
    } else if entry["stream_descriptor"].is_object() {
        push(entry, states)
    } else if is_object("global") || is_object("global_") {
        let global = if is_object("global") { &entry["global"] } else { &entry["global_"] };
        let inner = global["stream_states"].as_array();
        inner.into_iter().flatten().try_for_each(|state| push(state, states))
    } else if members.contains_key("type") && !is_object("data") {
        Err("The state has an entry without a stream.".to_owned())
    } else {
        // The shape of old: states by the names of their streams.
        let data = if is_object("data") { &entry["data"] } else { entry };
        for (name, state) in data.as_object().into_iter().flatten() {
            if !state.is_object() && !state.is_null() {
                return Err(format!("The state of the stream {name:?} is no object."));
            }
            let stream = StreamDescriptor { name: name.clone(), namespace: None };
            states.push((stream, state.clone()));
        }
        Ok(())
    }
}

fn push(state: &Value, states: &mut States) -> Result<(), String> {
    let Some(stream) = descriptor(&state["stream_descriptor"]) else {
        return Err("The state has an entry without a stream name.".to_owned());
    };
    states.push((stream, state["stream_state"].clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<States, String> {
        let mut states = Vec::new();
        read_states(text, &mut states, Mutation::default())?;
        Ok(states)
    }

    #[test]
    fn every_shape_is_understood() {
        let stream =
            r#"{"stream_descriptor":{"name":"a","namespace":null},"stream_state":{"x":1}}"#;
        for text in [
            format!(r#"[{{"type":"STREAM","stream":{stream},"global_":null,"global_":null}}]"#),
            format!(r#"{{"type":"STREAM","stream":{stream}}}"#),
            format!(r#"[{{"type":"GLOBAL","global":{{"stream_states":[{stream}]}}}}]"#),
            format!(r#"[{{"type":"GLOBAL","global_":{{"stream_states":[{stream}]}}}}]"#),
            format!(r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{stream}}}}}"#),
            format!(
                "{{\"type\":\"LOG\",\"log\":{{}}}}\n{{\"type\":\"STREAM\",\"stream\":{stream}}}\n"
            ),
            stream.to_owned(),
            r#"{"a":{"x":1}}"#.to_owned(),
            r#"[{"type":"LEGACY","data":{"a":{"x":1}}}]"#.to_owned(),
        ] {
            let states = read(&text).unwrap();
            assert_eq!(states.len(), 1, "{text}");
            assert_eq!(states[0].0.name, "a", "{text}");
            assert_eq!(states[0].1, serde_json::json!({"x": 1}), "{text}");
        }
        for text in ["", " \n", "[]", "{}", "null", "[{\"type\":\"GLOBAL\",\"global\":{}}]"] {
            assert!(read(text).unwrap().is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_broken_is_refused() {
        for text in
            ["{", "7", "[1]", r#"[{"type":"OTHER"}]"#, r#"{"a":1}"#, r#"[{"type":"STREAM"}]"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
