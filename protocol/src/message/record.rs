//! RECORD messages.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::envelope::{RecordHead, not_null};
use crate::catalog::StreamDescriptor;
use crate::names::null_as_empty;

/// The payload of a RECORD message.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The stream's name.
    pub stream: String,
    /// The stream's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The record itself, as it was written.
    pub data: Box<RawValue>,
    /// When it was emitted, as it was written; [`Record::emitted_at_ms`] makes sense of it.
    pub emitted_at: Number,
    /// What was changed on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<RecordMeta>,
    /// Other fields, such as `file_reference`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What was changed in a record on its way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RecordMeta {
    /// One entry a changed field.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<RecordChange>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A field whose value was removed or cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordChange {
    /// The field, or a dotted path.
    pub field: String,
    /// `NULLED` or `TRUNCATED`.
    pub change: String,
    /// Why, such as `DESTINATION_FIELD_SIZE_LIMITATION`.
    pub reason: String,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Record {
    pub(super) fn of(head: RecordHead<'_>) -> Result<Self, String> {
        let meta =
            head.meta.map(|raw| tree(raw).and_then(|tree| from_tree("meta", tree))).transpose()?;
        let mut extra = Map::new();
        for (key, raw) in head.others {
            if let Some(raw) = not_null(raw) {
                extra.insert(key.into_owned(), tree(raw)?);
            }
        }
        Ok(Self {
            stream: head.stream.ok_or("the record has no `stream`")?.into_owned(),
            namespace: head.namespace.map(|namespace| namespace.into_owned()),
            data: head.data.ok_or("the record has no `data`")?.to_owned(),
            emitted_at: head.emitted_at.ok_or("the record has no `emitted_at`")?,
            meta,
            extra,
        })
    }

    /// The stream that the record belongs to.
    pub fn descriptor(&self) -> StreamDescriptor {
        StreamDescriptor { name: self.stream.clone(), namespace: self.namespace.clone() }
    }

    /// When it was emitted, in milliseconds since the epoch.
    pub fn emitted_at_ms(&self) -> i64 {
        emitted_at_ms(&self.emitted_at)
    }
}

/// Milliseconds since the epoch from an `emitted_at` of any writer: decimals are cut off, and a
/// value that would lie before March 1973 is taken for seconds, which some writers put there.
pub fn emitted_at_ms(number: &Number) -> i64 {
    const LEAST_MS: f64 = 1e11;
    match (number.as_i64(), number.as_f64()) {
        (Some(ms), _) if ms as f64 >= LEAST_MS => ms,
        (_, Some(value)) if value >= LEAST_MS => value as i64,
        (_, Some(value)) => (value * 1000.0) as i64,
        _ => 0,
    }
}

fn tree(raw: &RawValue) -> Result<Value, String> {
    serde_json::from_str(raw.get()).map_err(|error| error.to_string())
}

fn from_tree<T: serde::de::DeserializeOwned>(key: &str, tree: Value) -> Result<T, String> {
    serde_json::from_value(tree).map_err(|error| format!("`{key}`: {error}"))
}
