//! Handing states on to the next run, as different orchestrators do it.

use std::collections::BTreeMap;

use airbyte_protocol::StateMessage;
use serde_json::{Value, json};

/// The last state of each stream.
pub fn by_stream<'s>(states: impl Iterator<Item = &'s StateMessage>) -> BTreeMap<String, Value> {
    let entries = states.filter_map(|state| state.stream.as_ref());
    let pair = |entry: &airbyte_protocol::StreamStateEntry| {
        let state = entry.stream_state.clone().map(|state| Value::Object(state.0));
        (entry.stream_descriptor.name.clone(), state.unwrap_or_default())
    };
    entries.map(pair).collect()
}

/// A state file as the platform writes it.
pub fn platform(states: &BTreeMap<String, Value>) -> String {
    let entry = |(name, state): (&String, &Value)| json!({"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": state}});
    Value::Array(states.iter().map(entry).collect()).to_string()
}

/// A state file with one stream.
pub fn of_stream(name: &str, state: Value) -> String {
    platform(&BTreeMap::from([(name.to_owned(), state)]))
}

/// A state file as PyAirbyte writes it: absent members as nulls, and the key `global_` twice.
pub fn pyairbyte(states: &BTreeMap<String, Value>) -> String {
    let entry = |(name, state): (&String, &Value)| {
        let name = Value::from(name.as_str());
        format!(
            r#"{{"type":"STREAM","stream":{{"stream_descriptor":{{"name":{name},"namespace":null}},"stream_state":{state}}},"global_":null,"data":null,"sourceStats":{{"recordCount":0.0,"rejectedRecordCount":null}},"destinationStats":null,"global_":null}}"#
        )
    };
    format!("[{}]", states.iter().map(entry).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use airbyte_protocol::{InputState, StreamDescriptor};

    #[test]
    fn both_forms_are_states() {
        let states = BTreeMap::from([("s".to_owned(), json!({"updated": "7"}))]);
        for text in [platform(&states), pyairbyte(&states)] {
            let read = InputState::parse(&text).unwrap();
            let state = read.stream(&StreamDescriptor::new("s")).unwrap();
            assert_eq!(state.0["updated"], "7");
        }
    }
}
