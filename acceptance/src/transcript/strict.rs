//! Reading JSON without forgiving anything: repeated keys are noted.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A value, and what a forgiving parser would have passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct Strict {
    /// The value; of a repeated key the last one counts.
    pub value: Value,
    /// Paths of keys that stand more than once in their object, such as `/record/data/id`.
    pub repeated: Vec<String>,
}

/// Reads one JSON value that fills the whole text. The error says what is wrong, and where.
pub fn parse(text: &[u8]) -> Result<Strict, serde_json::Error> {
    let mut repeated = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let seed = Seed { path: String::new(), repeated: &mut repeated };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Strict { value, repeated })
}

struct Seed<'a> {
    path: String,
    repeated: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        let path = self.path;
        let repeated = self.repeated;
        loop {
            let seed = Seed { path: format!("{path}/{}", values.len()), repeated };
            match items.next_element_seed(seed)? {
                Some(value) => values.push(value),
                None => return Ok(Value::Array(values)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let path = format!("{}/{key}", self.path);
            if map.contains_key(&key) {
                self.repeated.push(path.clone());
            }
            let value = members.next_value_seed(Seed { path, repeated: self.repeated })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_noted_and_the_last_counts() {
        let strict = parse(br#"{"a":[{"b":1,"b":2}],"c":{"d":null}}"#).unwrap();
        assert_eq!(strict.repeated, ["/a/0/b"]);
        assert_eq!(strict.value, serde_json::json!({"a": [{"b": 2}], "c": {"d": null}}));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["{\"a\":NaN}", "{} {}", "{", "", "\u{feff}{}", "{'a':1}"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
