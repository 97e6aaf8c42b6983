//! From records to rows: types, changes, metadata, and which of two rows stays.

use std::cmp::Ordering;
use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::stub::mutants::{Fault, Mutation};

/// What becomes of values, by the schema of the stream.
pub struct Typing {
    properties: Map<String, Value>,
    mutation: Mutation,
}

impl Typing {
    /// The typing of a stream.
    pub fn new(schema: &Value, mutation: Mutation) -> Self {
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        Self { properties, mutation }
    }

    /// The declared fields of a record, and what was changed about them. The error is what
    /// `bad-value-fatal` says.
    pub fn apply(&self, data: &Value) -> Result<(Map<String, Value>, Vec<Value>), String> {
        let mut row = Map::new();
        let mut changes = Vec::new();
        for (name, schema) in &self.properties {
            let value = data.get(name).cloned().unwrap_or_default();
            let fitted = fit(&value, schema);
            if fitted.is_none() && self.mutation.is(Fault::BadValueFatal) {
                return Err(format!("The value of {name:?} does not fit its type."));
            }
            let value = match fitted {
                Some(value) => value,
                None if self.mutation.is(Fault::BadValueKept) => value,
                None => {
                    if !self.mutation.is(Fault::ChangeNotNoted) {
                        changes.push(json!({
                            "field": name,
                            "change": "NULLED",
                            "reason": "DESTINATION_TYPECAST_ERROR",
                        }));
                    }
                    Value::Null
                }
            };
            row.insert(name.clone(), self.distorted(value));
        }
        Ok((row, changes))
    }

    fn distorted(&self, value: Value) -> Value {
        match value {
            Value::String(text) if self.mutation.is(Fault::LettersLost) => {
                let ascii = |letter: char| if letter.is_ascii() { letter } else { '?' };
                text.chars().map(ascii).collect::<String>().into()
            }
            Value::Object(_) if self.mutation.is(Fault::NestingLost) => "[object Object]".into(),
            value => value,
        }
    }
}

/// The value as its type wants it; `None` when it does not fit.
fn fit(value: &Value, schema: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let types: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
    if types.is_empty() {
        return Some(value.clone());
    }
    types.iter().find_map(|name| fit_type(value, name, schema))
}

fn fit_type(value: &Value, name: &str, schema: &Value) -> Option<Value> {
    let is_whole = |number: f64| number.fract() == 0.0;
    let fits = match name {
        "string" => {
            let Value::String(text) = value else { return Some(value.to_string().into()) };
            let airbyte_type = schema["airbyte_type"].as_str();
            fits_format(text, schema["format"].as_str(), airbyte_type)
        }
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(is_whole),
        "number" if schema["airbyte_type"] == "integer" => value.as_f64().is_some_and(is_whole),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    fits.then(|| value.clone())
}

fn fits_format(text: &str, format: Option<&str>, airbyte_type: Option<&str>) -> bool {
    let local = |text: &str| text.parse::<NaiveDateTime>().is_ok();
    match (format, airbyte_type) {
        (Some("date"), _) => text.parse::<NaiveDate>().is_ok(),
        (Some("date-time"), Some("timestamp_without_timezone")) => local(text),
        (Some("date-time"), _) => DateTime::parse_from_rfc3339(text).is_ok() || local(text),
        (Some("time"), _) => {
            let time = text.split(['Z', '+', '-']).next().unwrap_or_default();
            time.parse::<NaiveTime>().is_ok()
        }
        _ => true,
    }
}

/// The time of extraction. Some runners write seconds, some decimals; `None` for what is no time.
pub fn extracted_at(emitted_at: &Value, mutation: Mutation) -> Option<String> {
    if mutation.is(Fault::ExtractedNow) {
        return Some(Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true));
    }
    if mutation.is(Fault::DecimalsRefused) && !emitted_at.is_u64() {
        return None;
    }
    let number = emitted_at.as_f64()?;
    let is_seconds = number < 1e11 && !mutation.is(Fault::SecondsMisread);
    let millis = if is_seconds { number * 1000.0 } else { number };
    let time = DateTime::from_timestamp_millis(millis as i64)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A random UUID.
pub fn raw_id(mutation: Mutation) -> String {
    if mutation.is(Fault::RawIdRepeated) {
        return "00000000-0000-4000-8000-000000000000".to_owned();
    }
    let bits = fastrand::u128(..);
    let hex = format!("{bits:032x}");
    let variant = ["8", "9", "a", "b"][(bits & 3) as usize];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

/// How rows of one key are told apart.
pub struct Identity {
    /// Paths of the key.
    pub key: Vec<Vec<String>>,
    /// The path of the cursor; empty for none.
    pub cursor: Vec<String>,
}

impl Identity {
    /// The key of a row; `None` when all of its parts are null.
    pub fn key_of(&self, row: &Value) -> Option<String> {
        let parts: Vec<&Value> = self.key.iter().map(|path| at(row, path)).collect();
        let is_null = parts.iter().all(|part| part.is_null());
        (!is_null).then(|| Value::from_iter(parts.into_iter().cloned()).to_string())
    }

    /// Leaves one row of each key: the one with the latest cursor, then the latest extraction,
    /// then the last one.
    pub fn deduplicate(&self, rows: Vec<Value>, mutation: Mutation) -> Vec<Value> {
        if mutation.is(Fault::KeyIgnored) {
            return rows;
        }
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut kept: Vec<Value> = Vec::new();
        for row in rows {
            let Some(key) = self.key_of(&row) else { continue };
            match places.get(&key) {
                Some(place) => {
                    let is_older = self.compare(&row, &kept[*place]) == Ordering::Less;
                    if !is_older || mutation.is(Fault::LastArrivalWins) {
                        kept[*place] = row;
                    }
                }
                None => {
                    places.insert(key, kept.len());
                    kept.push(row);
                }
            }
        }
        kept
    }

    fn compare(&self, one: &Value, other: &Value) -> Ordering {
        let cursors = if self.cursor.is_empty() {
            Ordering::Equal
        } else {
            compare(at(one, &self.cursor), at(other, &self.cursor))
        };
        cursors
            .then_with(|| compare(&one["_airbyte_extracted_at"], &other["_airbyte_extracted_at"]))
    }
}

fn at<'a>(row: &'a Value, path: &[String]) -> &'a Value {
    path.iter().fold(row, |value, name| &value[name.as_str()])
}

/// Numbers, instants, else texts; null comes first.
fn compare(one: &Value, other: &Value) -> Ordering {
    if let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) {
        return one.total_cmp(&other);
    }
    let instant = |value: &Value| DateTime::parse_from_rfc3339(value.as_str()?).ok();
    if let (Some(one), Some(other)) = (instant(one), instant(other)) {
        return one.cmp(&other);
    }
    one.as_str().cmp(&other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_fit_become_null() {
        let schema = json!({"properties": {
            "whole": {"type": ["null", "integer"]},
            "day": {"type": "string", "format": "date"},
            "text": {"type": "string"},
        }});
        let typing = Typing::new(&schema, Mutation::default());
        let data = json!({"whole": "many", "day": "2024-02-30", "text": 7, "more": 1});
        let (row, changes) = typing.apply(&data).unwrap();
        assert_eq!(Value::Object(row), json!({"whole": null, "day": null, "text": "7"}));
        assert_eq!(changes.len(), 2);
    }

    #[test]
    fn the_latest_cursor_stays() {
        let identity = Identity { key: vec![vec!["id".into()]], cursor: vec!["at".into()] };
        let rows = vec![
            json!({"id": 1, "at": 5, "n": 1}),
            json!({"id": 1, "at": 9, "n": 2}),
            json!({"id": 1, "at": 7, "n": 3}),
            json!({"id": 2, "at": null}),
            json!({"id": null}),
        ];
        let kept = identity.deduplicate(rows, Mutation::default());
        assert_eq!(kept, [json!({"id": 1, "at": 9, "n": 2}), json!({"id": 2, "at": null})]);
    }

    #[test]
    fn times_come_in_seconds_too() {
        let of = |value: Value| extracted_at(&value, Mutation::default());
        assert_eq!(of(json!(1_767_225_600)), of(json!(1_767_225_600_000_i64)));
        assert_eq!(of(json!(1_767_225_600_000.5)).unwrap(), "2026-01-01T00:00:00.000Z");
        assert_eq!(of(json!("now")), None);
    }
}
