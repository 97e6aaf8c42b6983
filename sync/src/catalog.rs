//! Which streams are read, and how.

use std::path::Path;

use airbyte_protocol::{
    Catalog, ConfiguredCatalog, ConfiguredStream, DestinationSyncMode, Stream, StreamDescriptor,
    SyncMode,
};
use serde_json::Map;

use crate::error::{Error, Result};
use crate::output::Plan;
use crate::states::States;

/// Reads a `--catalog` file.
pub fn read_file(path: &Path) -> Result<ConfiguredCatalog> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::usage(format!("cannot read the catalog {}: {error}", path.display()))
    })?;
    ConfiguredCatalog::parse(&text).map_err(|error| {
        Error::usage(format!("the catalog {} is broken: {}", path.display(), error.message()))
    })
}

/// Configures every stream that a source offers: incremental where it can be, and deduplicated
/// where it has a primary key.
pub fn configure(catalog: Catalog) -> ConfiguredCatalog {
    let streams = catalog.streams.into_iter().map(configure_stream).collect();
    ConfiguredCatalog { streams, extra: Map::new() }
}

fn configure_stream(stream: Stream) -> ConfiguredStream {
    let has_cursor =
        stream.source_defined_cursor == Some(true) || !stream.default_cursor_field.is_empty();
    let incremental = has_cursor && stream.supported_sync_modes.contains(&SyncMode::Incremental);
    let has_key = !stream.source_defined_primary_key.is_empty();
    let (sync_mode, destination_sync_mode) = match (incremental, has_key) {
        (false, _) => (SyncMode::FullRefresh, DestinationSyncMode::Overwrite),
        (true, true) => (SyncMode::Incremental, DestinationSyncMode::AppendDedup),
        (true, false) => (SyncMode::Incremental, DestinationSyncMode::Append),
    };
    ConfiguredStream {
        cursor_field: stream.default_cursor_field.clone(),
        primary_key: stream.source_defined_primary_key.clone(),
        stream,
        sync_mode,
        destination_sync_mode,
        destination_object_name: None,
        generation_id: None,
        minimum_generation_id: None,
        sync_id: None,
        include_files: None,
        extra: Map::new(),
    }
}

/// Leaves only the named streams; a name may carry its namespace, as in `namespace.name`.
pub fn select(catalog: &mut ConfiguredCatalog, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let is_named = |stream: &StreamDescriptor, name: &String| {
        stream.name == *name || stream.to_string() == *name
    };
    let known: Vec<StreamDescriptor> = descriptors(catalog);
    for name in names {
        if !known.iter().any(|stream| is_named(stream, name)) {
            let known: Vec<String> = known.iter().map(StreamDescriptor::to_string).collect();
            return Err(Error::usage(format!(
                "there is no stream `{name}`; the source has: {}",
                known.join(", ")
            )));
        }
    }
    catalog.streams.retain(|stream| names.iter().any(|name| is_named(&stream.descriptor(), name)));
    Ok(())
}

/// The streams of a catalog.
pub fn descriptors(catalog: &ConfiguredCatalog) -> Vec<StreamDescriptor> {
    catalog.streams.iter().map(ConfiguredStream::descriptor).collect()
}

/// What happens to the file of each stream. With `refresh`, every stream is read from its start.
pub fn plans(catalog: &ConfiguredCatalog, states: &States, refresh: bool) -> Vec<Plan> {
    let plan = |stream: &ConfiguredStream| {
        let descriptor = stream.descriptor();
        let incremental = stream.sync_mode == SyncMode::Incremental;
        let overwrite = stream.destination_sync_mode == DestinationSyncMode::Overwrite;
        let resumable = incremental || stream.stream.is_resumable == Some(true);
        Plan {
            incremental,
            replace: refresh || (overwrite && !incremental),
            resume: !refresh && resumable && states.has(&descriptor),
            stream: descriptor,
        }
    };
    catalog.streams.iter().map(plan).collect()
}

/// Makes a refresh known to a destination: a new generation that takes the place of all older
/// ones once a stream is complete.
pub fn new_generation(catalog: &mut ConfiguredCatalog, generation: i64) {
    for stream in &mut catalog.streams {
        stream.generation_id = Some(generation);
        stream.minimum_generation_id = Some(generation);
        stream.sync_id = Some(generation);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stream(name: &str) -> Stream {
        Stream::new(name, json!({"type": "object", "properties": {}}))
    }

    fn offered() -> ConfiguredCatalog {
        let mut in_namespace = stream("logs").with_cursor(["at"]);
        in_namespace.namespace = Some("app".into());
        configure(Catalog::new(vec![
            stream("users").with_primary_key(["id"]).with_cursor(["updated"]),
            in_namespace,
            stream("plans").with_primary_key(["id"]),
        ]))
    }

    fn states(stream: &str) -> States {
        let text = format!(
            r#"{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":"{stream}"}},"stream_state":{{"a":1}}}}}}"#
        );
        States::parse(&text, Path::new("s"), &[]).unwrap()
    }

    #[test]
    fn streams_are_incremental_and_deduplicated_where_they_can_be() {
        let catalog = offered();
        let modes: Vec<(&str, &str)> = catalog
            .streams
            .iter()
            .map(|stream| (stream.sync_mode.as_str(), stream.destination_sync_mode.as_str()))
            .collect();
        assert_eq!(
            modes,
            [
                ("incremental", "append_dedup"),
                ("incremental", "append"),
                ("full_refresh", "overwrite")
            ]
        );
        assert_eq!(catalog.streams[0].primary_key, [["id"]]);
        assert_eq!(catalog.streams[1].cursor_field, ["at"]);
    }

    #[test]
    fn streams_are_selected_by_name_with_or_without_namespace() {
        for (names, left) in
            [(vec!["users"], vec!["users"]), (vec!["app.logs", "plans"], vec!["app.logs", "plans"])]
        {
            let mut catalog = offered();
            let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
            select(&mut catalog, &names).unwrap();
            let found: Vec<String> =
                descriptors(&catalog).iter().map(StreamDescriptor::to_string).collect();
            assert_eq!(found, left);
        }
        let error = select(&mut offered(), &["user".to_owned()]).unwrap_err();
        assert!(
            error.exit_code() == 2 && error.message().contains("users, app.logs, plans"),
            "{error}"
        );
    }

    #[test]
    fn incremental_streams_follow_and_full_refreshes_replace() {
        let all = plans(&offered(), &states("users"), false);
        let shape: Vec<(bool, bool)> = all.iter().map(|plan| (plan.replace, plan.resume)).collect();
        assert_eq!(shape, [(false, true), (false, false), (true, false)]);
        // A full refresh that cannot be resumed never is, whatever state there is.
        assert!(!plans(&offered(), &states("plans"), false)[2].resume);
    }

    #[test]
    fn a_refresh_replaces_everything_and_resumes_nothing() {
        let all = plans(&offered(), &states("users"), true);
        assert!(all.iter().all(|plan| plan.replace && !plan.resume));
        let mut catalog = offered();
        new_generation(&mut catalog, 7);
        assert_eq!(catalog.streams[1].minimum_generation_id, Some(7));
    }
}
