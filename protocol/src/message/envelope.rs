//! Reading a line in one pass: the type, the record's members, and every other payload as text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Number;
use serde_json::value::RawValue;

/// A line taken apart, borrowing from its text.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'a> {
    pub kind: Option<Cow<'a, str>>,
    pub record: Option<RecordHead<'a>>,
    payloads: Vec<(Cow<'a, str>, &'a RawValue)>,
}

/// A record taken apart; its data remains text.
#[derive(Debug, Default)]
pub(crate) struct RecordHead<'a> {
    pub stream: Option<Cow<'a, str>>,
    pub namespace: Option<Cow<'a, str>>,
    pub data: Option<&'a RawValue>,
    pub emitted_at: Option<Number>,
    pub meta: Option<&'a RawValue>,
    pub others: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| error.to_string())
    }

    /// The payload under `key`, unless it is absent or `null`.
    pub(crate) fn payload(&self, key: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.payloads.iter().rev().find(|(name, _)| name == key)?;
        not_null(raw)
    }
}

pub(crate) fn not_null(raw: &RawValue) -> Option<&RawValue> {
    (raw.get() != "null").then_some(raw)
}

/// A string that is borrowed where it holds no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(Text(key)) = map.next_key()? {
                    match key.as_ref() {
                        "type" => {
                            envelope.kind =
                                map.next_value::<Option<Text<'de>>>()?.map(|text| text.0)
                        }
                        "record" => envelope.record = map.next_value()?,
                        _ => envelope.payloads.push((key, map.next_value()?)),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RecordHead<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RecordHead<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut head = RecordHead::default();
                while let Some(Text(key)) = map.next_key()? {
                    match key.as_ref() {
                        "stream" => {
                            head.stream = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0)
                        }
                        "namespace" => {
                            head.namespace =
                                map.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
                        }
                        "data" => head.data = not_null(map.next_value()?),
                        "emitted_at" => head.emitted_at = map.next_value()?,
                        "meta" => head.meta = not_null(map.next_value()?),
                        _ => head.others.push((key, map.next_value()?)),
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(Members)
    }
}
