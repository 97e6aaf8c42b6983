//! Two recorded outputs: records, fields, states, statuses and errors.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use airbyte_protocol::StreamDescriptor;
use serde_json::{Value, json};

use super::{Change, Changes};
use crate::checks::streams::{self, StreamInfo};
use crate::rows::{Ignored, Rows, difference};
use crate::rules;
use crate::transcript::Transcript;

/// Compares two recorded outputs. Records are told apart by the primary key of a CATALOG message
/// in either output, else by a unique `id`, else by their content. The worst changes come first.
pub fn output(old: &Transcript, new: &Transcript) -> Vec<Change> {
    let infos = infos(old, new);
    let mut changes = records(old, new, &infos);
    changes.extend(fields(old, new));
    changes.extend(states(old, new));
    changes.extend(statuses(old, new));
    changes.extend(errors(old, new));
    changes.sort_by_key(|change| std::cmp::Reverse(change.severity));
    changes
}

/// The streams with their keys.
fn infos(old: &Transcript, new: &Transcript) -> Vec<StreamInfo> {
    let catalog = new.answer("CATALOG").or_else(|| old.answer("CATALOG"));
    let mut known = catalog.map(|(_, catalog)| streams::of_catalog(catalog)).unwrap_or_default();
    let names: BTreeSet<&StreamDescriptor> =
        old.records().chain(new.records()).map(|(_, record)| &record.stream).collect();
    for name in names {
        let is_known = known.iter().any(|info| &info.descriptor == name);
        if !is_known && has_unique_id(old, name) && has_unique_id(new, name) {
            let stream = json!({"name": name.name, "namespace": name.namespace,
                "source_defined_primary_key": [["id"]]});
            known.extend(streams::of_catalog(&json!({"streams": [stream]})));
        }
    }
    known
}

fn has_unique_id(run: &Transcript, stream: &StreamDescriptor) -> bool {
    let mut seen = HashSet::new();
    let mut records = run.records().filter(|(_, record)| &record.stream == stream);
    records.all(|(_, record)| match record.data.get("id") {
        Some(Value::Null | Value::Object(_) | Value::Array(_)) | None => false,
        Some(id) => seen.insert(id.to_string()),
    })
}

fn records(old: &Transcript, new: &Transcript, infos: &[StreamInfo]) -> Vec<Change> {
    let mut changes = Changes::new(&rules::R11);
    let rows = |run| Rows::of(run, infos, &Ignored::default(), usize::MAX);
    let (old, new) = (rows(old), rows(new));
    for (stream, missing) in new.missing_of(&old) {
        let (count, all) = (missing.len(), old.count(stream));
        let message =
            format!("{count} of {all} records are gone, such as {}", shown(missing.first()));
        changes.major(&stream.to_string(), message);
    }
    for (stream, added) in old.missing_of(&new) {
        let message = format!("{} records are new, such as {}", added.len(), shown(added.first()));
        changes.minor(&stream.to_string(), message);
    }
    let mut changed: BTreeMap<&StreamDescriptor, (usize, String)> = BTreeMap::new();
    for (stream, identity, one, other) in old.changed(&new) {
        let entry = changed.entry(stream).or_insert_with(|| {
            (0, format!("{}: {}", shown(Some(&identity)), difference(one, other)))
        });
        entry.0 += 1;
    }
    for (stream, (count, example)) in changed {
        let message = format!("{count} records have other contents, such as {example}");
        changes.minor(&stream.to_string(), message);
    }
    for stream in old.streams().filter(|stream| new.count(stream) == old.count(stream)) {
        let times = |rows: &Rows| rows.stream(stream).map(|(_, row)| row.times).sum::<usize>();
        if times(&old) != times(&new) {
            let message =
                format!("{} records before, {} now, for the same rows", times(&old), times(&new));
            changes.minor(&stream.to_string(), message);
        }
    }
    changes.list
}

fn shown(identity: Option<&&String>) -> String {
    identity.map(|text| text.chars().take(60).collect()).unwrap_or_default()
}

/// The types of each top-level field of each stream, null left out.
fn field_types(
    run: &Transcript,
) -> BTreeMap<&StreamDescriptor, BTreeMap<&str, BTreeSet<&'static str>>> {
    let mut streams: BTreeMap<_, BTreeMap<&str, BTreeSet<_>>> = BTreeMap::new();
    for (_, record) in run.records() {
        let fields = streams.entry(&record.stream).or_default();
        for (name, value) in record.data.as_object().into_iter().flatten() {
            let types = fields.entry(name.as_str()).or_default();
            types.extend(type_of(value));
        }
    }
    streams
}

fn type_of(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null => None,
        Value::Bool(_) => Some("boolean"),
        Value::Number(number) if number.is_f64() => Some("number"),
        Value::Number(_) => Some("integer"),
        Value::String(_) => Some("string"),
        Value::Array(_) => Some("array"),
        Value::Object(_) => Some("object"),
    }
}

fn fields(old: &Transcript, new: &Transcript) -> Vec<Change> {
    let mut changes = Changes::new(&rules::U02);
    let (old, new) = (field_types(old), field_types(new));
    for (stream, before) in &old {
        // Without records nothing is known of the fields.
        let Some(after) = new.get(stream) else { continue };
        for (name, types) in before {
            let at = format!("{stream}: {name}");
            match after.get(name) {
                None => changes.major(&at, "no record has the field any more"),
                Some(now) => {
                    let is_known = |name: &&&str| {
                        types.is_empty()
                            || types.contains(**name)
                            || (**name == "integer" && types.contains("number"))
                    };
                    let added: Vec<&str> =
                        now.iter().filter(|name| !is_known(name)).copied().collect();
                    if !added.is_empty() {
                        let known = types.iter().copied().collect::<Vec<_>>().join(" or ");
                        let message =
                            format!("the values are {} now, not only {known}", added.join(" or "));
                        changes.major(&at, message);
                    }
                }
            }
        }
        for name in after.keys().filter(|name| !before.contains_key(*name)) {
            changes.minor(&format!("{stream}: {name}"), "the field is new");
        }
    }
    changes.list
}

/// The last state of each stream; that of a GLOBAL state under `GLOBAL`.
fn last_states(run: &Transcript) -> BTreeMap<String, Value> {
    let mut last = BTreeMap::new();
    for (_, state) in run.states() {
        match &state.stream {
            Some(stream) => {
                let value = state.payload.pointer("/stream/stream_state").cloned();
                last.insert(stream.to_string(), value.unwrap_or_default());
            }
            None => {
                last.insert("GLOBAL".to_owned(), state.handed_back());
            }
        }
    }
    last
}

/// The paths of a state, whatever its values.
fn shape(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| shape(item, &format!("{path}/*"), found))
        }
        _ => drop(found.insert(format!("{path}: {}", type_of(value).unwrap_or("null")))),
    }
}

fn states(old: &Transcript, new: &Transcript) -> Vec<Change> {
    let mut changes = Changes::new(&rules::U03);
    let (old, new) = (last_states(old), last_states(new));
    let shape = |value: &Value| {
        let mut found = BTreeSet::new();
        shape(value, "", &mut found);
        found
    };
    for (stream, before) in &old {
        match new.get(stream) {
            None => changes.major(stream, "it has no state any more"),
            Some(after) if shape(before) != shape(after) => changes.tolerated(
                stream,
                format!("the shape of the last state changed from {before} to {after}"),
                "Nothing is lost as long as the new version reads the old shape, too.",
            ),
            Some(after) if before != after => {
                let message = format!(
                    "the last state differs: {}",
                    difference(&before.to_string(), &after.to_string())
                );
                changes.patch(stream, message);
            }
            Some(_) => {}
        }
    }
    for stream in new.keys().filter(|stream| !old.contains_key(*stream)) {
        changes.minor(stream, "it has a state now");
    }
    changes.list
}

fn statuses(old: &Transcript, new: &Transcript) -> Vec<Change> {
    let mut changes = Changes::new(&rules::R07);
    let streams = |run: &Transcript| -> BTreeSet<StreamDescriptor> {
        run.statuses().map(|(_, status)| status.stream.clone()).collect()
    };
    for stream in &streams(old) | &streams(new) {
        let (before, after) = (old.last_status(&stream), new.last_status(&stream));
        if before == after {
            continue;
        }
        let word = |status: Option<&str>| status.unwrap_or("no status").to_owned();
        let message = format!("it ended with {}, now with {}", word(before), word(after));
        match before {
            Some("COMPLETE") => changes.major(&stream.to_string(), message),
            _ => changes.minor(&stream.to_string(), message),
        }
    }
    changes.list
}

fn errors(old: &Transcript, new: &Transcript) -> Vec<Change> {
    let mut changes = Changes::new(&rules::O08);
    let texts = |run: &Transcript| -> BTreeSet<String> {
        run.errors().map(|(_, error)| error.message.clone().unwrap_or_default()).collect()
    };
    let (old, new) = (texts(old), texts(new));
    for text in new.difference(&old) {
        changes.major("", format!("it fails now: {text}"));
    }
    for text in old.difference(&new) {
        changes.minor("", format!("it no longer fails: {text}"));
    }
    changes.list
}
