//! Old forms of the file are brought into the present one.

use serde_json::{Map, Value, json};

use super::{Note, NoteKind, Problem};

/// Migrates a file in place.
pub(super) fn migrate(root: &mut Map<String, Value>, notes: &mut Vec<Note>) -> Result<(), Problem> {
    root_of_tests(root, notes)?;
    let Some(sections) = root.get_mut("acceptance_tests").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    for (name, section) in sections {
        let path = format!("acceptance_tests.{name}");
        let entries = section.get_mut("tests").and_then(Value::as_array_mut);
        for (at, entry) in entries.into_iter().flatten().enumerate() {
            if let Some(entry) = entry.as_object_mut() {
                migrate_entry(entry, &format!("{path}.tests[{at}]"), notes);
            }
        }
    }
    Ok(())
}

/// Before version 0.2.12 sections were lists under `tests`.
fn root_of_tests(root: &mut Map<String, Value>, notes: &mut Vec<Note>) -> Result<(), Problem> {
    let Some(tests) = root.remove("tests").filter(|tests| !tests.is_null()) else { return Ok(()) };
    let problem = |path: &str, text: &str| Problem { path: path.to_owned(), text: text.to_owned() };
    if root.get("acceptance_tests").is_some_and(|tests| !tests.is_null()) {
        let text = "stands beside `acceptance_tests`; move its sections there: \
                    `acceptance_tests: {SECTION: {tests: [..]}}`";
        return Err(problem("tests", text));
    }
    let Value::Object(tests) = tests else {
        return Err(problem("tests", "a map of sections is needed here; each is a list of tests"));
    };
    let sections = tests.into_iter().map(|(name, section)| match section {
        Value::Array(entries) => (name, json!({ "tests": entries })),
        other => (name, other),
    });
    root.insert("acceptance_tests".to_owned(), Value::Object(sections.collect()));
    notes.push(legacy("tests", "write `acceptance_tests: {SECTION: {tests: [..]}}` in its place"));
    Ok(())
}

fn migrate_entry(entry: &mut Map<String, Value>, path: &str, notes: &mut Vec<Note>) {
    for key in ["empty_streams", "streams_without_primary_key"] {
        if entry.get_mut(key).is_some_and(name_items) {
            let text = "items are maps now: `{name: STREAM, bypass_reason: why}`";
            notes.push(legacy(&format!("{path}.{key}"), text));
        }
    }
    let ignored = entry.get_mut("ignored_fields").and_then(Value::as_object_mut);
    let migrated = ignored.into_iter().flatten().map(|(_, fields)| name_items(fields));
    if migrated.fold(false, |any, one| any | one) {
        let text = "fields are maps now: `{name: FIELD, bypass_reason: why}`";
        notes.push(legacy(&format!("{path}.ignored_fields"), text));
    }
    if !entry.contains_key("future_state")
        && let Some(state) = entry.remove("future_state_path").filter(|state| !state.is_null())
    {
        entry.insert("future_state".to_owned(), json!({ "future_state_path": state }));
        let text = "stands in `future_state: {future_state_path: FILE}` now";
        notes.push(legacy(&format!("{path}.future_state_path"), text));
    }
}

/// Names become `{name}`; whether there were any.
fn name_items(items: &mut Value) -> bool {
    let mut any = false;
    for item in items.as_array_mut().into_iter().flatten() {
        if item.is_string() || item.is_number() {
            *item = json!({ "name": item.take() });
            any = true;
        }
    }
    any
}

fn legacy(path: &str, text: &str) -> Note {
    Note { kind: NoteKind::Legacy, path: path.to_owned(), text: format!("an old form; {text}") }
}
