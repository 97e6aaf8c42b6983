//! State files in all their shapes: I07 to I13, and states of the previous version (U03).

use airbyte_protocol::StreamDescriptor;
use serde_json::{Map, Value, json};

use super::lab::{Desk, Trial};
use super::reading::{self, Read, Reading};
use super::resuming::{covered, state_after};
use crate::checks::incremental::{Cursor, CursorRules, cursor_in};
use crate::checks::output::Expected;
use crate::checks::streams::{self, Asked, StreamInfo};
use crate::config::IncrementalTest;
use crate::exec::{Content, Trouble};
use crate::rows::Rows;
use crate::rules::{self, Rule};
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// Streams of other sources that a state file is filled up with.
const STRANGERS: usize = 10_000;

/// Shapes that mean "no state".
const EMPTY: [(&str, &str); 4] =
    [("[]", "[]"), ("{}", "{}"), ("null", "null"), ("an empty file", "")];

/// All trials of state files.
pub fn trials<'a>(
    reading: &'a Reading<'a>,
    base: &'a Read,
    test: &'a IncrementalTest,
    cursors: &'a CursorRules,
) -> Vec<Trial<'a>> {
    let mut trials = Vec::new();
    for (name, text) in EMPTY {
        trials.push(Trial::new("an empty state", &[&rules::I07], move |desk: &mut Desk<'_>| {
            empty(desk, reading, base, name, text)
        }));
    }
    let middle = middle(base);
    let state = state_after(&base.run, middle);
    for (name, shape) in SHAPES {
        let text = shape(&state);
        trials.push(Trial::new("a state of another shape", &[&rules::I09, &rules::P02], {
            move |desk: &mut Desk<'_>| shaped(desk, reading, base, middle, name, text)
        }));
    }
    trials.push(Trial::new("states of strangers", &[&rules::I13], move |desk: &mut Desk<'_>| {
        strangers(desk, reading, base, middle)
    }));
    trials.push(Trial::new("a state in the future", &[&rules::I08], move |desk: &mut Desk<'_>| {
        future(desk, reading, base, test, cursors)
    }));
    trials.push(Trial::new("incremental of all", &[&rules::I10], move |desk: &mut Desk<'_>| {
        incremental_of_all(desk, reading, base)
    }));
    trials.push(Trial::new(
        "a resumed full refresh",
        &[&rules::I11],
        move |desk: &mut Desk<'_>| resumable(desk, reading),
    ));
    trials
}

/// The line of a state in the middle of a read; the last line when there is none.
pub fn middle(base: &Read) -> usize {
    let lines: Vec<usize> = base.run.states().map(|(line, _)| line.number).collect();
    lines.get(lines.len() / 2).copied().unwrap_or(usize::MAX)
}

fn empty(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    name: &str,
    text: &str,
) -> Result<(), Trouble> {
    let call = desk.call(format!("read, state is {name}"), "read").catalog(&base.catalog);
    let call = call.file("state", Content::Text(text.to_owned()));
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::I07);
    if !is_refused(&run) {
        reading::compare(
            desk,
            &rules::I07,
            &run.title,
            &base.rows,
            &reading.rows(&run, usize::MAX),
        );
        return Ok(());
    }
    let mut finding = Finding::new(
        &rules::I07,
        format!("with {name} as state it ended with {}: {}", run.exit, run.error_text()),
    );
    if name != "[]" {
        let reason = "only a few runners write this; Airbyte's own kit refuses some of it";
        finding = finding.only(rules::Level::Warning, reason);
    }
    desk.find(finding.in_run(&run.title));
    Ok(())
}

/// Whether a state was refused. An exit code of 0 after an error trace is rule O04.
fn is_refused(run: &Transcript) -> bool {
    !run.exit.is_success() || run.errors().next().is_some()
}

/// A loss that a state of the ordinary shape brings about, too, is no fault of the shape.
fn unless_ordinary(desk: &Desk<'_>, finding: Finding) -> Finding {
    if desk.lab.has_failed(&rules::I05) {
        let reason = "checkpoints of the ordinary shape lose records, too: rule I05";
        return finding.only(rules::Level::Warning, reason);
    }
    finding
}

type Shape = fn(&Value) -> String;

/// State files as different runners write them.
const SHAPES: [(&str, Shape); 6] = [
    ("as PyAirbyte prints it", pyairbyte),
    ("with nulls and unknown keys", with_nulls),
    ("as STATE messages", messages),
    ("as a single object", single),
    ("as an object of streams", by_name),
    ("as Meltano once kept it", bare),
];

/// As PyAirbyte's models print a state: nulls, and the key `global_`, twice.
pub fn pyairbyte(state: &Value) -> String {
    let entries = state.as_array().into_iter().flatten().map(|entry| {
        let text = with_null_parts(entry).to_string();
        // The last brace is that of the object itself.
        let inner = &text[..text.len() - 1];
        format!(r#"{inner},"global_":null,"data":null,"sourceStats":{{"recordCount":0.0,"rejectedRecordCount":null}},"destinationStats":null,"global_":null}}"#)
    });
    format!("[{}]", entries.collect::<Vec<_>>().join(","))
}

fn with_null_parts(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(descriptor) = entry.pointer_mut("/stream/stream_descriptor")
        && let Some(descriptor) = descriptor.as_object_mut()
    {
        descriptor.entry("namespace").or_insert(Value::Null);
    }
    entry
}

fn with_nulls(state: &Value) -> String {
    let entries = state.as_array().into_iter().flatten().map(|entry| {
        let mut entry = with_null_parts(entry);
        if let Some(members) = entry.as_object_mut() {
            members.entry("global").or_insert(Value::Null);
            members.insert("data".into(), Value::Null);
            members.insert("id".into(), 17.into());
            members.insert("sourceStats".into(), Value::Null);
            members.insert("of_a_later_version".into(), json!({"a": [1]}));
        }
        entry
    });
    Value::from_iter(entries).to_string()
}

fn messages(state: &Value) -> String {
    let lines = state.as_array().into_iter().flatten();
    let lines = lines.map(|entry| json!({"type": "STATE", "state": entry}).to_string());
    lines.collect::<Vec<_>>().join("\n")
}

fn single(state: &Value) -> String {
    state.get(0).cloned().unwrap_or(Value::Null).to_string()
}

fn by_name(state: &Value) -> String {
    let mut streams = Map::new();
    for entry in state.as_array().into_iter().flatten() {
        let name = entry.pointer("/stream/stream_descriptor/name").and_then(Value::as_str);
        let content = entry.pointer("/stream/stream_state");
        if let (Some(name), Some(content)) = (name, content) {
            streams.insert(name.to_owned(), content.clone());
        }
    }
    Value::Object(streams).to_string()
}

fn bare(state: &Value) -> String {
    let entries = state.as_array().into_iter().flatten();
    Value::from_iter(entries.filter_map(|entry| entry.get("stream").cloned())).to_string()
}

/// Whether runners of today write the shape, so that it has to be understood.
fn is_demanded(name: &str) -> bool {
    name == "as PyAirbyte prints it" || name == "with nulls and unknown keys"
}

fn shaped(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    middle: usize,
    name: &str,
    text: String,
) -> Result<(), Trouble> {
    if base.run.states().any(|(_, state)| state.is_global()) || !base.is_good {
        desk.sheet.skip(&rules::I09, "the states are GLOBAL, or the first read failed");
        return Ok(());
    }
    let call = desk.call(format!("read, state {name}"), "read").catalog(&base.catalog);
    let run = desk.run(&call.file("state", Content::Text(text)), Expected::Anything)?;
    let rule: &'static Rule =
        if name == "as PyAirbyte prints it" { &rules::P02 } else { &rules::I09 };
    desk.sheet.check(&rules::I09);
    desk.sheet.check(rule);
    let reason = "older runners and people by hand write this; Airbyte's own kit refuses it";
    let soften = |finding: Finding| {
        if is_demanded(name) { finding } else { finding.only(rules::Level::Warning, reason) }
    };
    if is_refused(&run) {
        let message = format!("a state {name}: {}: {}", run.exit, run.error_text());
        desk.find(soften(Finding::new(&rules::I09, message)).in_run(&run.title));
        return Ok(());
    }
    if name == "as a single object" {
        // It holds one stream only, so the others are read from the beginning.
        return Ok(());
    }
    let before = covered(reading, &base.run, middle);
    took_effect(desk, reading, base, &before, &run, soften);
    Ok(())
}

/// The same state in its ordinary shape would have left out what it covers.
fn took_effect(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    before: &Rows,
    run: &Transcript,
    soften: impl Fn(Finding) -> Finding,
) {
    let after = reading.rows(run, usize::MAX);
    let mut union = before.clone();
    union.extend(&after);
    for (stream, missing) in union.missing_of(&base.rows) {
        let text = reading::named(&missing, base.rows.count(stream), "lost");
        let finding = unless_ordinary(desk, Finding::new(&rules::I09, text));
        desk.find(finding.in_run(&run.title).stream(stream));
    }
    for info in reading.streams.iter().filter(|info| info.is_incremental) {
        let stream = &info.descriptor;
        let (whole, done, came) =
            (base.rows.count(stream), before.count(stream), after.count(stream));
        // Half of what was covered may come again: cursors are inclusive, windows look back.
        if done >= 10 && came >= whole && !comes_again_anyway(base, info) {
            let message = format!("the state was not used: all {whole} records came again");
            desk.find(soften(Finding::new(&rules::I09, message)).in_run(&run.title).stream(stream));
        }
    }
}

/// Whether all records share one cursor value, so that any state brings them all again.
pub fn comes_again_anyway(base: &Read, info: &StreamInfo) -> bool {
    let records = base.run.records().filter(|(_, record)| record.stream == info.descriptor);
    let values: std::collections::BTreeSet<String> = records
        .filter_map(|(_, record)| info.cursor_value(&record.data))
        .map(Value::to_string)
        .collect();
    values.len() < 2
}

fn strangers(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    middle: usize,
) -> Result<(), Trouble> {
    if base.run.states().any(|(_, state)| state.is_global()) || !base.is_good {
        desk.sheet.skip(&rules::I13, "the states are GLOBAL, or the first read failed");
        return Ok(());
    }
    let mut state = state_after(&base.run, middle);
    if let Some(entries) = state.as_array_mut() {
        for at in 0..STRANGERS {
            entries.push(json!({"type": "STREAM", "stream": {
                "stream_descriptor": {"name": format!("acceptance_stranger_{at}")},
                "stream_state": {"updated_at": "2020-01-01T00:00:00Z"},
            }}));
        }
    }
    let call = desk.call("read, 10,000 states of strangers", "read").catalog(&base.catalog);
    let run = desk.run(&call.state(&state), Expected::Anything)?;
    desk.sheet.check(&rules::I13);
    if !run.exit.is_success() {
        let message = format!("{}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::I13, message).in_run(&run.title));
        return Ok(());
    }
    let mut union = covered(reading, &base.run, middle);
    union.extend(&reading.rows(&run, usize::MAX));
    for (stream, missing) in union.missing_of(&base.rows) {
        let text = reading::named(&missing, base.rows.count(stream), "lost");
        let finding = unless_ordinary(desk, Finding::new(&rules::I13, text));
        desk.find(finding.in_run(&run.title).stream(stream));
    }
    Ok(())
}

/// A state far in the future: the file of the configuration, else made from the final state.
fn future(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    test: &IncrementalTest,
    cursors: &CursorRules,
) -> Result<(), Trouble> {
    let given = test.future_state.as_ref();
    let state = match given.and_then(|given| given.future_state_path.as_ref()) {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
            serde_json::from_str(&text)
                .map_err(|error| Trouble(format!("{}: {error}", path.display())))?
        }
        None => match in_the_future(base, reading, cursors) {
            Some(state) => state,
            None => {
                let why =
                    "no cursor could be told in the states, and no future_state_path is given";
                desk.sheet.skip(&rules::I08, why);
                return Ok(());
            }
        },
    };
    let infos: Vec<StreamInfo> =
        reading.streams.iter().filter(|i| i.is_incremental).cloned().collect();
    let catalog = streams::configured(&infos, Asked::Incremental);
    let call = desk.call("read from a state in the future", "read").catalog(&catalog).state(&state);
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::I08);
    if !run.exit.is_success() {
        let message = format!("{}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::I08, message).in_run(&run.title));
        return Ok(());
    }
    let rows = reading.rows(&run, usize::MAX);
    for info in &infos {
        let incoming = state_of(&state, &info.descriptor);
        let Some(incoming) = incoming else { continue };
        if rows.count(&info.descriptor) > 0 && cursor_in(incoming, info, cursors).is_some() {
            let message = format!("{} records came", rows.count(&info.descriptor));
            desk.find(
                Finding::new(&rules::I08, message).in_run(&run.title).stream(&info.descriptor),
            );
        }
        let format = given.and_then(|given| given.cursor_format.as_ref());
        let format = format.and_then(|format| format.of(&info.descriptor.name));
        same_form(desk, &run, info, incoming, cursors, format);
    }
    Ok(())
}

fn state_of<'a>(state: &'a Value, stream: &StreamDescriptor) -> Option<&'a Value> {
    let entries = state.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry.get("stream"))
        .find(|entry| {
            crate::transcript::descriptor(&entry["stream_descriptor"]).as_ref() == Some(stream)
        })
        .and_then(|entry| entry.get("stream_state"))
}

/// The final state with every cursor that can be told moved far ahead.
fn in_the_future(base: &Read, reading: &Reading<'_>, cursors: &CursorRules) -> Option<Value> {
    let mut state = state_after(&base.run, usize::MAX);
    let mut any = false;
    for entry in state.as_array_mut()? {
        let stream =
            entry.pointer("/stream/stream_descriptor").and_then(crate::transcript::descriptor);
        let info = reading.streams.iter().find(|info| Some(&info.descriptor) == stream.as_ref());
        let Some(content) = entry.pointer_mut("/stream/stream_state") else { continue };
        let Some(cursor) = info.and_then(|info| cursor_in(content, info, cursors)).cloned() else {
            continue;
        };
        if let Some(later) = later(&cursor) {
            replace(content, &cursor, &later);
            any = true;
        }
    }
    any.then_some(state)
}

/// The same kind of value, far in the future.
fn later(cursor: &Value) -> Option<Value> {
    match (cursor, Cursor::of(cursor)?) {
        // Seconds or milliseconds since the epoch; other numbers are counters.
        (Value::Number(number), _) => {
            let ahead = number.as_f64()? * 2.0 + 1.0e6;
            Some(if number.is_f64() { ahead.into() } else { Value::from(ahead as i64) })
        }
        (Value::String(text), Cursor::Instant(_)) => Some(format!("2099{}", text.get(4..)?).into()),
        _ => None,
    }
}

fn replace(value: &mut Value, from: &Value, to: &Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, from, to)),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        scalar if scalar == from => *scalar = to.clone(),
        _ => {}
    }
}

/// The emitted cursor has the type and the format of the incoming one.
fn same_form(
    desk: &mut Desk<'_>,
    run: &Transcript,
    info: &StreamInfo,
    incoming: &Value,
    cursors: &CursorRules,
    format: Option<&str>,
) {
    let emitted = run.states().filter_map(|(_, state)| state.of_stream(&info.descriptor)).last();
    let emitted = emitted.and_then(|state| cursor_in(state, info, cursors));
    let (Some(was), Some(is)) = (cursor_in(incoming, info, cursors), emitted) else { return };
    let is_same = match format.and_then(|format| regex::Regex::new(format).ok()) {
        Some(format) => is.as_str().is_some_and(|text| format.is_match(text)),
        None => form(was) == form(is),
    };
    if !is_same {
        let message = format!("the cursor came in as {was} and went out as {is}");
        let finding = Finding::new(&rules::I08, message).in_run(&run.title);
        desk.find(finding.stream(&info.descriptor));
    }
}

/// The kinds of characters of a text; the type of anything else.
fn form(value: &Value) -> String {
    match value {
        Value::String(text) => text
            .chars()
            .map(|character| match character {
                '0'..='9' => '0',
                'a'..='z' | 'A'..='Z' => 'a',
                other => other,
            })
            .collect(),
        Value::Number(_) => "number".into(),
        other => other.to_string(),
    }
}

fn incremental_of_all(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
) -> Result<(), Trouble> {
    let full: Vec<&StreamInfo> = reading.streams.iter().filter(|i| !i.is_incremental).collect();
    if full.is_empty() {
        desk.sheet.skip(&rules::I10, "every stream can be read incrementally");
        return Ok(());
    }
    let mut catalog = streams::configured(full, Asked::FullRefresh);
    for entry in catalog["streams"].as_array_mut().into_iter().flatten() {
        entry["sync_mode"] = "incremental".into();
    }
    let call = desk.call("read, incremental asked of full refresh", "read").catalog(&catalog);
    let run = desk.run(&call, Expected::Success)?;
    let is_full = |stream: &StreamDescriptor| {
        reading.streams.iter().any(|info| info.descriptor == *stream && !info.is_incremental)
    };
    let expected = base.rows.only(is_full);
    reading::compare(desk, &rules::I10, &run.title, &expected, &reading.rows(&run, usize::MAX));
    for info in reading.streams.iter().filter(|info| !info.is_incremental) {
        let mut states = run.states();
        if !states.any(|(_, state)| state.of_stream(&info.descriptor).is_some()) {
            let finding = Finding::new(&rules::I10, "no state came");
            let reason = "the platform makes one up for a full refresh";
            let finding = finding.only(rules::Level::Warning, reason);
            desk.find(finding.in_run(&run.title).stream(&info.descriptor));
        }
    }
    Ok(())
}

/// Streams that say that a full refresh can be resumed: from a state in the middle, and from the
/// last one, after which nothing may come.
fn resumable(desk: &mut Desk<'_>, reading: &Reading<'_>) -> Result<(), Trouble> {
    let infos: Vec<StreamInfo> = reading
        .streams
        .iter()
        .filter(|info| info.is_resumable && !info.is_incremental)
        .cloned()
        .collect();
    if infos.is_empty() {
        desk.sheet.skip(&rules::I11, "no stream has a full refresh that can be resumed");
        return Ok(());
    }
    let catalog = streams::configured(&infos, Asked::FullRefresh);
    let call = |title: &str| desk.call(title, "read").catalog(&catalog);
    let (first, middle_call, last) = (
        call("read (resumable full refresh)"),
        call("read, full refresh resumed"),
        call("read, full refresh that is complete"),
    );
    let whole = desk.run(&first, Expected::Success)?;
    let rows = reading.rows(&whole, usize::MAX);
    let lines: Vec<usize> = whole.states().map(|(line, _)| line.number).collect();
    let middle = lines.get(lines.len() / 2).copied().unwrap_or(usize::MAX);
    let state = state_after(&whole, middle);
    let run = desk.run(&middle_call.state(&state), Expected::Success)?;
    desk.sheet.check(&rules::I11);
    let mut union = covered(reading, &whole, middle);
    union.extend(&reading.rows(&run, usize::MAX));
    for (stream, missing) in union.missing_of(&rows) {
        let text = reading::named(&missing, rows.count(stream), "lost");
        desk.find(Finding::new(&rules::I11, text).in_run(&run.title).stream(stream));
    }
    for info in &infos {
        let (done, came) = (
            covered(reading, &whole, middle).count(&info.descriptor),
            reading.rows(&run, usize::MAX).count(&info.descriptor),
        );
        if done > 1 && came >= rows.count(&info.descriptor) {
            let message = format!("the state had no effect: all {came} records came again");
            desk.find(
                Finding::new(&rules::I11, message).in_run(&run.title).stream(&info.descriptor),
            );
        }
    }
    let run = desk.run(&last.state(&state_after(&whole, usize::MAX)), Expected::Success)?;
    for info in &infos {
        let count = reading.rows(&run, usize::MAX).count(&info.descriptor);
        if count > 0 && count >= rows.count(&info.descriptor) {
            let message = format!("{count} records came again after the refresh was complete");
            desk.find(
                Finding::new(&rules::I11, message).in_run(&run.title).stream(&info.descriptor),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> Value {
        json!([{"type": "STREAM", "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"t": {"u": 1}}}}])
    }

    #[test]
    fn shapes_are_what_runners_write() {
        let text = pyairbyte(&state());
        assert_eq!(text.matches("global_").count(), 2);
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[0]["stream"]["stream_state"]["t"]["u"], 1);
        assert!(parsed[0]["stream"]["stream_descriptor"]["namespace"].is_null());
        assert_eq!(by_name(&state()), r#"{"a":{"t":{"u":1}}}"#);
        assert!(messages(&state()).starts_with(r#"{"type":"STATE""#));
        let nulls: Value = serde_json::from_str(&with_nulls(&state())).unwrap();
        assert!(nulls[0]["global"].is_null() && nulls[0]["id"] == 17);
    }

    #[test]
    fn later_values_keep_their_form() {
        for (cursor, expected) in [
            (json!("2026-01-02T03:04:05Z"), json!("2099-01-02T03:04:05Z")),
            (json!(1_767_225_600), json!(3_535_451_200_i64)),
        ] {
            assert_eq!(later(&cursor), Some(expected));
        }
        assert_eq!(later(&json!("abc")), None);
        assert_eq!(form(&json!("2026-01-02T03Z")), "0000-00-00a00a");
    }
}
