//! Comparing what was received with what must be there.

use std::collections::BTreeMap;

use serde_json::Value;

/// The number of differences that are shown.
const SHOWN: usize = 3;

/// How a stream compares with its truth.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Rows that must be there.
    pub expected: u64,
    /// Rows that are there and as they must be.
    pub equal: u64,
    /// Keys that must be there and are not.
    pub missing: u64,
    /// Keys that are there and must not be.
    pub extra: u64,
    /// Rows that are there with other values.
    pub different: u64,
    /// The first differences, for people.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether everything is as it must be.
    pub fn is_match(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.different == 0
    }

    /// `ok`, or what is wrong.
    pub fn summary(&self) -> String {
        let counts =
            [(self.missing, "missing"), (self.extra, "extra"), (self.different, "different")];
        let wrong: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if wrong.is_empty() { "ok".to_owned() } else { wrong.join(", ") }
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < SHOWN {
            self.examples.push(text());
        }
    }
}

/// Compares rows by key, parsed JSON with parsed JSON.
pub fn compare(expected: &BTreeMap<String, Value>, received: &BTreeMap<String, Value>) -> Verdict {
    let mut verdict = Verdict { expected: expected.len() as u64, ..Verdict::default() };
    for (key, expected) in expected {
        match received.get(key) {
            None => {
                verdict.missing += 1;
                verdict.example(|| format!("{} is missing", cut(key)));
            }
            Some(received) => match difference(expected, received) {
                None => verdict.equal += 1,
                Some(difference) => {
                    verdict.different += 1;
                    verdict.example(|| format!("{} differs: {difference}", cut(key)));
                }
            },
        }
    }
    for key in received.keys().filter(|key| !expected.contains_key(*key)) {
        verdict.extra += 1;
        verdict.example(|| format!("{} should not be there", cut(key)));
    }
    verdict
}

/// The first place at which two values differ, with what stands there.
fn difference(expected: &Value, received: &Value) -> Option<String> {
    if expected == received {
        return None;
    }
    match (expected, received) {
        (Value::Object(a), Value::Object(b)) => a.keys().chain(b.keys()).find_map(|name| {
            let inner = difference_of(a.get(name), b.get(name))?;
            Some(format!("/{name}{inner}"))
        }),
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).find_map(|at| {
            let inner = difference_of(a.get(at), b.get(at))?;
            Some(format!("/{at}{inner}"))
        }),
        _ => Some(format!(" must be {}, is {}", shortened(expected), shortened(received))),
    }
}

fn difference_of(expected: Option<&Value>, received: Option<&Value>) -> Option<String> {
    match (expected, received) {
        (Some(expected), Some(received)) => difference(expected, received),
        (Some(expected), None) => Some(format!(" must be {}, is absent", shortened(expected))),
        (None, Some(received)) => Some(format!(" must be absent, is {}", shortened(received))),
        (None, None) => None,
    }
}

fn shortened(value: &Value) -> String {
    cut(&value.to_string())
}

fn cut(text: &str) -> String {
    if text.chars().count() > 80 {
        text.chars().take(77).chain("...".chars()).collect()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(rows: &[Value]) -> BTreeMap<String, Value> {
        rows.iter().map(|row| (row["id"].to_string(), row.clone())).collect()
    }

    fn verdict(expected: &[Value], received: &[Value]) -> Verdict {
        compare(&rows(expected), &rows(received))
    }

    #[test]
    fn equal_rows_match_whatever_the_order_of_members() {
        let result = verdict(
            &[json!({"id": 1, "a": 1.0, "b": [1]}), json!({"id": 2})],
            &[json!({"b": [1], "a": 1.0, "id": 1}), json!({"id": 2})],
        );
        assert!(result.is_match() && result.equal == 2 && result.expected == 2);
        assert_eq!(result.summary(), "ok");
    }

    #[test]
    fn each_kind_of_difference_is_counted_and_shown() {
        let result = verdict(
            &[json!({"id": 1}), json!({"id": 2, "a": {"b": [1, 2]}}), json!({"id": 3})],
            &[json!({"id": 2, "a": {"b": [1, 9]}}), json!({"id": 3}), json!({"id": 4})],
        );
        assert!(!result.is_match());
        assert_eq!((result.missing, result.different, result.extra, result.equal), (1, 1, 1, 1));
        assert_eq!(result.summary(), "1 missing, 1 extra, 1 different");
        assert_eq!(
            result.examples,
            ["1 is missing", "2 differs: /a/b/1 must be 2, is 9", "4 should not be there"]
        );
    }

    #[test]
    fn absent_members_and_null_are_not_the_same() {
        let result = verdict(&[json!({"id": 1, "a": null})], &[json!({"id": 1, "b": "x"})]);
        assert_eq!(result.examples, ["1 differs: /a must be null, is absent"]);
        let result = verdict(&[json!({"id": 1})], &[json!({"id": 1, "b": [1]})]);
        assert_eq!(result.examples, ["1 differs: /b must be absent, is [1]"]);
    }

    #[test]
    fn only_the_first_differences_are_shown() {
        let expected: Vec<Value> = (0..9).map(|id| json!({"id": id})).collect();
        let result = verdict(&expected, &[]);
        assert_eq!((result.missing, result.examples.len()), (9, SHOWN));
    }
}
