//! Checks of destinations: states that come back, and rows as they are read back.

use std::collections::BTreeSet;

use airbyte_protocol::StreamDescriptor;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::{Map, Value};

use crate::rules;
use crate::sheet::{Finding, Sheet};
use crate::transcript::{StateBody, Transcript};

/// A state that was sent, and the records since the one before of the same kind.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The payload of the STATE message.
    pub state: Value,
    /// Records that it covers and that no state before it does.
    pub records: usize,
}

impl Sent {
    /// The stream of a STREAM state; `None` of a GLOBAL one.
    fn stream(&self) -> Option<StreamDescriptor> {
        let descriptor = self.state.pointer("/stream/stream_descriptor")?;
        let name = descriptor["name"].as_str()?.to_owned();
        let namespace = descriptor["namespace"].as_str().map(str::to_owned);
        Some(StreamDescriptor { name, namespace })
    }
}

/// Compares the states that came back with those that were sent. `is_whole` says that the input
/// ended well, so that all of them are due. Looks at W01 and W02.
pub fn echoes(run: &Transcript, sent: &[Sent], is_whole: bool, sheet: &mut Sheet) {
    sheet.check(&rules::W01);
    sheet.check(&rules::W02);
    let mut streams: Vec<Option<StreamDescriptor>> = Vec::new();
    for state in sent {
        let stream = state.stream();
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    for stream in streams {
        let due: Vec<&Sent> = sent.iter().filter(|state| state.stream() == stream).collect();
        let came: Vec<(usize, &StateBody)> = run
            .states()
            .filter(|(_, state)| state.stream == stream && (stream.is_some() || state.is_global()))
            .map(|(line, state)| (line.number, state))
            .collect();
        echoes_of_stream(run, &due, &came, is_whole, sheet);
    }
}

fn echoes_of_stream(
    run: &Transcript,
    due: &[&Sent],
    came: &[(usize, &StateBody)],
    is_whole: bool,
    sheet: &mut Sheet,
) {
    let mut next = 0;
    let mut records = 0;
    for (number, state) in came {
        let at = |finding: Finding| {
            let text = state.payload.to_string();
            finding.in_run(&run.title).at(*number, &text)
        };
        let position = state_of(&state.payload);
        let Some(found) = due.iter().position(|sent| same(&state_of(&sent.state), &position))
        else {
            sheet.find(at(Finding::new(&rules::W01, "a state comes back that was not sent so")));
            continue;
        };
        if found < next {
            sheet.find(at(Finding::new(&rules::W01, "states come back out of order, or twice")));
            continue;
        }
        records += due[next..=found].iter().map(|sent| sent.records).sum::<usize>();
        next = found + 1;
        unchanged(&due[found].state, &state.payload, &at, sheet);
        counted(&state.payload, records, &at, sheet);
        records = 0;
    }
    if is_whole && next < due.len() {
        let text = due.last().map(|sent| sent.state.to_string()).unwrap_or_default();
        let message = format!("{} of {} states did not come back", due.len() - next, due.len());
        sheet.find(Finding::new(&rules::W01, message).in_run(&run.title).excerpt(&text));
    }
}

/// The part of a state that says where the source stands.
fn state_of(payload: &Value) -> Value {
    payload.get("stream").or_else(|| payload.get("global")).cloned().unwrap_or_default()
}

fn unchanged(sent: &Value, came: &Value, at: &impl Fn(Finding) -> Finding, sheet: &mut Sheet) {
    let mut came = came.clone();
    if let Some(came) = came.as_object_mut() {
        came.shift_remove("destinationStats");
    }
    for (key, value) in sent.as_object().into_iter().flatten() {
        let back = came.get(key).unwrap_or(&Value::Null);
        if !same(value, back) {
            let message = format!("{key:?} of a state was {value} and came back as {back}");
            sheet.find(at(Finding::new(&rules::W01, message)));
        }
    }
}

fn counted(came: &Value, records: usize, at: &impl Fn(Finding) -> Finding, sheet: &mut Sheet) {
    let stats = &came["destinationStats"];
    let number = |key: &str| stats[key].as_f64();
    let Some(written) = number("recordCount") else {
        let reason = "the platform goes without the check when there are no counts";
        let finding = Finding::new(&rules::W02, "a state comes back without destinationStats");
        sheet.find(at(finding).only(rules::Level::Warning, reason));
        return;
    };
    let rejected = number("rejectedRecordCount").unwrap_or(0.0);
    if written + rejected != records as f64 {
        let message = format!(
            "a state comes back with {written} records written and {rejected} rejected, \
             and {records} were sent"
        );
        sheet.find(at(Finding::new(&rules::W02, message)));
    }
}

/// Whether two values mean the same: null and absent are one, and so are 1 and 1.0.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let of =
                |map: &Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().all(|key| same(&of(one, key), &of(other, key)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64()
        }
        (one, other) => one == other,
    }
}

/// A row that was read back, whatever the destination made of the names of its columns.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(pub &'a Value);

impl Row<'_> {
    /// A field; `None` when there is no such column. Names count as equal without case and signs,
    /// and the whole record may stand in `_airbyte_data`.
    pub fn field(self, name: &str) -> Option<Value> {
        if let Some(value) = lookup(self.0, name) {
            return Some(value.clone());
        }
        let data = opened(lookup(self.0, "_airbyte_data")?);
        lookup(&data, name).cloned()
    }

    /// A field that is null when its column is not there.
    pub fn value(self, name: &str) -> Value {
        self.field(name).unwrap_or_default()
    }

    /// The fields whose values were changed on the way.
    pub fn changed(self) -> Vec<String> {
        let meta = opened(&self.value("_airbyte_meta"));
        let changes = meta["changes"].as_array();
        let names = changes.into_iter().flatten().filter_map(|change| change["field"].as_str());
        names.map(str::to_owned).collect()
    }
}

/// JSON that was stored as text.
fn opened(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        value => value.clone(),
    }
}

fn lookup<'a>(row: &'a Value, name: &str) -> Option<&'a Value> {
    let row = row.as_object()?;
    row.get(name).or_else(|| {
        let wanted = plain(name);
        row.iter()
            .find(|(key, _)| !wanted.is_empty() && plain(key) == wanted)
            .map(|(_, value)| value)
    })
}

/// A name without case and signs.
pub fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether a value that was read back is the one that was sent, in whatever form the store has it.
pub fn agrees(sent: &Value, came: &Value) -> bool {
    if same(sent, came) {
        return true;
    }
    match (sent, came) {
        (Value::Number(sent), Value::String(came)) => sent.as_f64() == came.parse().ok(),
        (Value::Bool(sent), came) => match came {
            Value::Number(came) => came.as_f64() == Some(f64::from(u8::from(*sent))),
            Value::String(came) => came.eq_ignore_ascii_case(if *sent { "true" } else { "false" }),
            _ => false,
        },
        (Value::Object(_) | Value::Array(_), came @ Value::String(_)) => same(sent, &opened(came)),
        (Value::String(text), came) => {
            let is_text = |came: &str| {
                // Stores without times of a zone keep the time; a column of several types is JSON.
                came.trim_end() == text.trim_end() || text.strip_suffix('Z') == Some(came)
            };
            instant(sent).is_some() && instant(sent) == instant(came)
                || came.as_str().is_some_and(is_text)
                || same(sent, &opened(came))
        }
        _ => false,
    }
}

/// A time in one of the forms in which stores print them; numbers are seconds to microseconds.
pub fn instant(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            let millis = match number.abs() {
                size if size < 1e11 => number * 1000.0,
                size if size < 1e14 => number,
                _ => number / 1000.0,
            };
            DateTime::from_timestamp_millis(millis.round() as i64)
        }
        Value::String(text) => {
            let text = text.trim().replacen(' ', "T", 1).replace(" UTC", "Z");
            let zoned = [text.clone(), format!("{text}:00"), text.replace(' ', "")];
            let zoned = zoned.iter().find_map(|text| DateTime::parse_from_rfc3339(text).ok());
            zoned
                .map(|time| time.with_timezone(&Utc))
                .or_else(|| text.parse::<NaiveDateTime>().ok().map(|time| time.and_utc()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(position: i64, records: usize) -> Sent {
        let stream = json!({"stream_descriptor": {"name": "a"}, "stream_state": {"x": position}});
        Sent { state: json!({"type": "STREAM", "stream": stream, "id": position}), records }
    }

    fn run(states: &[Value]) -> Transcript {
        let lines: Vec<String> = states
            .iter()
            .map(|state| json!({"type": "STATE", "state": state}).to_string() + "\n")
            .collect();
        Transcript::recorded("write", "write", lines.concat().as_bytes())
    }

    fn back(sent: &Sent, count: f64) -> Value {
        let mut state = sent.state.clone();
        state["destinationStats"] = json!({"recordCount": count});
        state
    }

    fn found(states: &[Value], sent: &[Sent], is_whole: bool) -> Vec<&'static str> {
        let mut sheet = Sheet::new();
        echoes(&run(states), sent, is_whole, &mut sheet);
        sheet.findings().map(|finding| finding.rule.id).collect()
    }

    #[test]
    fn states_come_back_in_order_and_unchanged() {
        let all = [sent(1, 2), sent(2, 3), sent(3, 0)];
        let good = [back(&all[0], 2.0), back(&all[1], 3.0), back(&all[2], 0.0)];
        assert!(found(&good, &all, true).is_empty());
        // A later state stands for those before it.
        assert!(found(&[back(&all[2], 5.0)], &all, true).is_empty());
        assert!(found(&good[..1], &all, false).is_empty());
        assert_eq!(found(&good[..1], &all, true), ["W01"]);
        assert_eq!(found(&[good[1].clone(), good[0].clone()], &all[..2], false), ["W01", "W02"]);
        assert_eq!(found(&[back(&all[0], 1.0)], &all, false), ["W02"]);
        let mut without_id = good[0].clone();
        without_id.as_object_mut().unwrap().shift_remove("id");
        assert_eq!(found(&[without_id], &all, false), ["W01"]);
    }

    #[test]
    fn columns_are_found_whatever_became_of_their_names() {
        let row = json!({"USERNAME": 1, "_airbyte_data": "{\"Größe\": 2}"});
        assert_eq!(Row(&row).field("user name"), Some(json!(1)));
        assert_eq!(Row(&row).field("Größe"), Some(json!(2)));
        assert_eq!(Row(&row).field("other"), None);
    }

    #[test]
    fn values_agree_in_the_forms_of_stores() {
        for (sent, came) in [
            (json!(1), json!("1.0")),
            (json!(true), json!(1)),
            (json!({"a": [1]}), json!("{\"a\":[1.0]}")),
            (json!("2026-01-01T00:00:00Z"), json!("2026-01-01 00:00:00+00")),
            (json!("2026-01-01T00:00:00Z"), json!(1_767_225_600_000_i64)),
            (json!("text"), json!("text")),
        ] {
            assert!(agrees(&sent, &came), "{sent} {came}");
        }
        assert!(!agrees(&json!("text"), &json!("other")));
        assert!(!agrees(&json!(1), &Value::Null));
    }
}
