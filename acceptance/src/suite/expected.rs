//! Expected records: R13.

use std::collections::BTreeMap;

use serde_json::Value;

use super::lab::Desk;
use super::reading::{Read, Reading};
use crate::checks::streams::StreamInfo;
use crate::config::{self, ExpectRecords};
use crate::exec::Trouble;
use crate::rows;
use crate::rules::{self, Level};
use crate::sheet::Finding;

/// Compares a read with the records that its entry of the file expects.
pub fn check(desk: &mut Desk<'_>, reading: &Reading<'_>, whole: &Read) -> Result<(), Trouble> {
    let Some(expect) = &reading.test.expect_records else {
        desk.sheet.skip(&rules::R13, "no records are expected (expect_records)");
        return Ok(());
    };
    let Some(path) = &expect.path else {
        let why = expect.bypass_reason.as_deref().unwrap_or("no file is given");
        desk.sheet.skip(&rules::R13, why);
        return Ok(());
    };
    let records = config::expected_records(path).map_err(|error| Trouble(error.to_string()))?;
    let mut by_stream: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        by_stream.entry(record.stream.name.as_str()).or_default().push(&record.data);
    }
    for (name, expected) in by_stream {
        desk.sheet.check(&rules::R13);
        match reading.streams.iter().find(|info| info.descriptor.name == name) {
            Some(info) => of_stream(desk, reading, whole, info, expect, &expected),
            None => {
                let message = format!("records of {name} are expected, which is not read");
                desk.find(Finding::new(&rules::R13, message));
            }
        }
    }
    Ok(())
}

/// What is wrong about one expected record.
enum Wrong {
    Missing,
    Different(String),
}

fn of_stream(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    whole: &Read,
    info: &StreamInfo,
    expect: &ExpectRecords,
    expected: &[&Value],
) {
    let run = &whole.run;
    let actual: Vec<&Value> = run
        .records()
        .filter(|(_, record)| record.stream == info.descriptor)
        .map(|(_, record)| &record.data)
        .collect();
    let ignored = reading.ignored.get(&info.descriptor.name);
    let ignored: &[Vec<String>] = ignored.map_or(&[], Vec::as_slice);
    let mut note = |message: String, only_content: bool| {
        let finding =
            Finding::new(&rules::R13, message).in_run(&run.title).stream(&info.descriptor);
        // Airbyte's suite compares keys only; contents count when the file says how.
        let is_mild = only_content && expect.extra_fields.is_none();
        let reason = "the key is there; Airbyte's suite compares no more than that";
        desk.sheet.find(if is_mild { finding.only(Level::Warning, reason) } else { finding });
    };
    if info.primary_key.is_empty() && expect.extra_fields.is_none() {
        if actual.len() < expected.len() {
            let message = format!("{} of {} expected records came", actual.len(), expected.len());
            note(message, false);
        }
        return;
    }
    for (at, record) in expected.iter().enumerate() {
        let found = if expect.exact_order {
            match actual.get(at) {
                Some(other) if is_same(info, record, other) => {
                    content(expect, ignored, record, other)
                }
                Some(_) | None => Some(Wrong::Missing),
            }
        } else {
            best(info, expect, ignored, record, &actual)
        };
        match found {
            None => {}
            Some(Wrong::Missing) => {
                let place = if expect.exact_order { " at its place" } else { "" };
                note(format!("not there{place}: {}", short(record)), false);
            }
            Some(Wrong::Different(difference)) => note(format!("differs: {difference}"), true),
        }
    }
    if !expect.extra_records && actual.len() > expected.len() {
        note(format!("{} records came, {} are expected", actual.len(), expected.len()), false);
    }
}

/// Whether two records are of the same key; without a key, of the same content.
fn is_same(info: &StreamInfo, one: &Value, other: &Value) -> bool {
    if info.primary_key.is_empty() {
        return true;
    }
    let keys = (info.key_values(one), info.key_values(other));
    matches!(keys, (Some(one), Some(other)) if one == other)
}

fn best(
    info: &StreamInfo,
    expect: &ExpectRecords,
    ignored: &[Vec<String>],
    record: &Value,
    actual: &[&Value],
) -> Option<Wrong> {
    let mut wrong = Some(Wrong::Missing);
    for other in actual.iter().filter(|other| is_same(info, record, other)) {
        match content(expect, ignored, record, other) {
            None => return None,
            // Without a key, any other record differs; that one is missing.
            different if !info.primary_key.is_empty() => wrong = different,
            Some(_) => {}
        }
    }
    wrong
}

/// Compares contents: whole records, or the expected fields only.
fn content(
    expect: &ExpectRecords,
    ignored: &[Vec<String>],
    expected: &Value,
    actual: &Value,
) -> Option<Wrong> {
    let (mut expected, mut actual) = (expected.clone(), actual.clone());
    for path in ignored {
        rows::remove(&mut expected, path);
        rows::remove(&mut actual, path);
    }
    if expect.extra_fields != Some(false) {
        keep_expected(&expected, &mut actual);
    }
    if expected == actual {
        return None;
    }
    Some(Wrong::Different(rows::difference(&expected.to_string(), &actual.to_string())))
}

/// Takes members away that are not expected.
fn keep_expected(expected: &Value, actual: &mut Value) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            actual.retain(|key, _| expected.contains_key(key));
            for (key, value) in actual {
                if let Some(expected) = expected.get(key) {
                    keep_expected(expected, value);
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            for (expected, actual) in expected.iter().zip(actual) {
                keep_expected(expected, actual);
            }
        }
        _ => {}
    }
}

fn short(record: &Value) -> String {
    record.to_string().chars().take(120).collect()
}
