//! `previous_attributes`: what an update replaced.

use serde_json::{Map, Value};

/// The old values of the fields that differ, objects reduced to what differs in them.
pub fn replaced(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let mut old = Map::new();
    for (name, new) in after {
        match (before.get(name), new) {
            (Some(previous), new) if previous == new => {}
            (Some(Value::Object(previous)), Value::Object(new)) => {
                old.insert(name.clone(), Value::Object(replaced(previous, new)));
            }
            (previous, _) => {
                old.insert(name.clone(), previous.cloned().unwrap_or_default());
            }
        }
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_changed() {
        let before = json!({"a": 1, "m": {"x": "1", "y": "2"}, "l": [1]});
        let after = json!({"a": 1, "m": {"x": "1", "y": "3", "z": "4"}, "l": [2], "n": true});
        let old = match (&before, &after) {
            (Value::Object(before), Value::Object(after)) => replaced(before, after),
            _ => Map::new(),
        };
        assert_eq!(Value::Object(old), json!({"m": {"y": "2", "z": null}, "l": [1], "n": null}));
    }
}
