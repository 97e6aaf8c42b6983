//! Comparing rows with what they should be.

use std::collections::BTreeMap;

use serde_json::Value;

/// Differences that are shown, at most.
const SHOWN: usize = 5;

/// Rows by the value of their key field; without a key field, by themselves. Of rows with one key
/// the last one counts.
pub fn by_key(rows: impl IntoIterator<Item = Value>, key: Option<&str>) -> BTreeMap<String, Value> {
    let name = |row: &Value| match key.map(|key| &row[key]) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => row.to_string(),
    };
    rows.into_iter().map(|row| (name(&row), row)).collect()
}

/// The values of a field, in the order of the rows.
pub fn column(rows: &[Value], field: &str) -> Vec<Value> {
    rows.iter().map(|row| row[field].clone()).collect()
}

/// The ids, in the order of the rows.
pub fn ids(rows: &[Value]) -> Vec<String> {
    let text = |row: &Value| row["id"].as_str().unwrap_or_default().to_owned();
    rows.iter().map(text).collect()
}

/// What differs between rows and what they should be, in a few lines; empty if nothing does.
pub fn differences(
    got: &BTreeMap<String, Value>,
    expected: &BTreeMap<String, Value>,
) -> Vec<String> {
    let missing = expected.keys().filter(|key| !got.contains_key(*key));
    let surplus = got.keys().filter(|key| !expected.contains_key(*key));
    let mut found: Vec<String> = Vec::new();
    found.extend(missing.map(|key| format!("missing: {key}")).take(SHOWN));
    found.extend(surplus.map(|key| format!("not expected: {key}")).take(SHOWN));
    for (key, row) in expected {
        if let Some(other) = got.get(key).filter(|other| *other != row) {
            found.extend(value_differences(key, other, row));
        }
        if found.len() > 4 * SHOWN {
            break;
        }
    }
    found
}

/// Where two values differ, by path.
fn value_differences(at: &str, got: &Value, expected: &Value) -> Vec<String> {
    match (got, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let absent = Value::String("(absent)".into());
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort();
            keys.dedup();
            let pairs = keys
                .into_iter()
                .map(|key| (key, a.get(key).unwrap_or(&absent), b.get(key).unwrap_or(&absent)));
            pairs
                .filter(|(_, a, b)| a != b)
                .flat_map(|(key, a, b)| value_differences(&format!("{at}.{key}"), a, b))
                .collect()
        }
        _ => {
            let short = |value: &Value| value.to_string().chars().take(120).collect::<String>();
            vec![format!("{at}: {} in place of {}", short(got), short(expected))]
        }
    }
}

/// Asserts that the rows are those expected, each once.
#[track_caller]
pub fn assert_same(stream: &str, got: Vec<Value>, expected: Vec<Value>, key: Option<&str>) {
    let count = got.len();
    let got = by_key(got, key);
    let expected = by_key(expected, key);
    let found = differences(&got, &expected);
    assert!(found.is_empty(), "{stream}: {found:#?}");
    assert_eq!(count, got.len(), "{stream}: rows came twice");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_by_path() {
        let got = by_key([json!({"id": "a", "m": {"x": 1}}), json!({"id": "b"})], Some("id"));
        let expected = by_key([json!({"id": "a", "m": {"x": 2}}), json!({"id": "c"})], Some("id"));
        assert_eq!(
            differences(&got, &expected),
            ["missing: c", "not expected: b", "a.m.x: 1 in place of 2"]
        );
        assert!(differences(&got, &got).is_empty());
    }
}
