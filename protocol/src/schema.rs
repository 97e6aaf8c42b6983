//! The JSON schema of a stream's records.

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON schema, kept as its text: as a tree, the schemas of an org with a thousand objects take
/// ten times as much memory.
#[derive(Debug, Clone)]
pub struct Schema(Box<str>);

impl Schema {
    /// The schema as a tree, made anew at each call.
    pub fn value(&self) -> Value {
        // The text was made of a tree.
        serde_json::from_str(&self.0).unwrap_or_default()
    }

    /// Its text, on one line.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The schemas of the fields at the top, in their order; none where it declares none.
    pub fn properties(&self) -> serde_json::Map<String, Value> {
        match self.value().get_mut("properties").map(Value::take) {
            Some(Value::Object(properties)) => properties,
            _ => serde_json::Map::new(),
        }
    }
}

impl From<Value> for Schema {
    fn from(schema: Value) -> Self {
        Schema(schema.to_string().into())
    }
}

impl PartialEq for Schema {
    /// Whatever the order of members.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.value() == other.value()
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // By way of a tree, so that the text is on one line however it was written.
        Value::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_written_as_it_was_read_but_on_one_line() {
        let text = "{\n \"properties\": {\"b\": {\"type\": \"string\"},\n \"a\": {}}}";
        let schema: Schema = serde_json::from_str(text).unwrap();
        let line = r#"{"properties":{"b":{"type":"string"},"a":{}}}"#;
        assert_eq!(serde_json::to_string(&schema).unwrap(), line);
        assert_eq!(serde_json::to_value(&schema).unwrap(), schema.value());
        assert_eq!(schema.properties().keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(schema, json!({"properties": {"a": {}, "b": {"type": "string"}}}).into());
        assert_ne!(schema, json!({}).into());
        assert!(Schema::from(json!({})).properties().is_empty());
    }
}
