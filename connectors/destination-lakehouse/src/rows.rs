//! Records of one stream on their way into record batches.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields, SchemaRef};
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::column::{ColumnBuilder, Misfit};
use crate::raw_id::RawIds;
use crate::schema::{Column, EXTRACTED_AT, GENERATION_ID, Kind, META, RAW_ID};

/// The builder of a stream's batches.
pub struct Rows {
    columns: Vec<ColumnBuilder>,
    fields: FieldNames,
    names: Vec<String>,
    /// For each column of the batch, where it comes from.
    sources: Vec<Source>,
    schema: SchemaRef,
    row: usize,
    bytes: usize,
    raw_ids: RawIds,
    extracted_at: Vec<i64>,
    changes: Changes,
    sync_id: Option<i64>,
    generation_id: i64,
}

/// Where a column of the batch comes from.
#[derive(Clone, Copy)]
enum Source {
    Column(usize),
    RawId,
    ExtractedAt,
    Meta,
    GenerationId,
    Nothing,
}

/// The fields of records by name, with a guess: records repeat their keys in the same order.
struct FieldNames {
    names: Vec<Box<str>>,
    by_name: HashMap<Box<str>, usize>,
}

/// What was changed in the rows of a batch.
#[derive(Default)]
struct Changes {
    ends: Vec<i32>,
    field: Vec<String>,
    change: Vec<String>,
    reason: Vec<String>,
}

impl Changes {
    fn push(&mut self, field: &str, change: &str, reason: &str) {
        self.field.push(field.to_owned());
        self.change.push(change.to_owned());
        self.reason.push(reason.to_owned());
    }

    /// Drops those of the row that is not ended.
    fn truncate(&mut self) {
        let end = self.ends.last().map_or(0, |end| *end as usize);
        self.field.truncate(end);
        self.change.truncate(end);
        self.reason.truncate(end);
    }
}

impl Rows {
    /// Rows for a table of this schema, of which `columns` come from the records.
    pub fn new(
        schema: SchemaRef,
        columns: &[Column],
        sync_id: Option<i64>,
        generation_id: i64,
    ) -> Self {
        let source = |field: &Arc<Field>| match field.name().as_str() {
            RAW_ID => Source::RawId,
            EXTRACTED_AT => Source::ExtractedAt,
            META => Source::Meta,
            GENERATION_ID => Source::GenerationId,
            name => columns
                .iter()
                .position(|column| column.name == name)
                .map_or(Source::Nothing, Source::Column),
        };
        let names: Vec<Box<str>> = columns.iter().map(|c| c.field.as_str().into()).collect();
        let by_name = names.iter().cloned().enumerate().map(|(at, name)| (name, at)).collect();
        Self {
            sources: schema.fields().iter().map(source).collect(),
            columns: columns.iter().map(|column| ColumnBuilder::new(column.kind)).collect(),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            fields: FieldNames { names, by_name },
            schema,
            row: 0,
            bytes: 0,
            raw_ids: RawIds::new(),
            extracted_at: Vec::new(),
            changes: Changes::default(),
            sync_id,
            generation_id,
        }
    }

    /// Rows that wait for [`Rows::finish`].
    pub fn len(&self) -> usize {
        self.row
    }

    /// The length of the JSON text that they came as.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a record: the JSON text of its data and of its `meta`, and when it was emitted, in
    /// milliseconds since the epoch.
    ///
    /// Fails when the data is no JSON object. A value that does not fit its column becomes null, and
    /// the row says so.
    pub fn push(
        &mut self,
        data: &[u8],
        emitted_at_ms: i64,
        meta: Option<&[u8]>,
    ) -> Result<(), String> {
        if self.fill(data).is_err() {
            self.take_back();
            // Perhaps only one value is beyond what the quick way can read.
            if let Err(reason) = self.fill_slowly(data) {
                self.take_back();
                return Err(reason);
            }
        }
        self.bytes += data.len();
        self.end_row(emitted_at_ms, meta);
        Ok(())
    }

    fn take_back(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.row));
        self.changes.truncate();
    }

    fn fill(&mut self, data: &[u8]) -> Result<(), serde_json::Error> {
        // Text is checked once as a whole, which is quicker than string by string.
        let text = std::str::from_utf8(data).map_err(de::Error::custom)?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        RowSeed { rows: self }.deserialize(&mut deserializer)?;
        deserializer.end()
    }

    /// Value by value, so that one that cannot be read takes no other with it.
    fn fill_slowly(&mut self, data: &[u8]) -> Result<(), String> {
        let members: HashMap<String, &RawValue> =
            serde_json::from_slice(data).map_err(|error| error.to_string())?;
        for (field, raw) in members {
            let Some(&at) = self.fields.by_name.get(field.as_str()) else { continue };
            let column = &mut self.columns[at];
            let mut deserializer = serde_json::Deserializer::from_str(raw.get());
            let fit = CellSeed { column }.deserialize(&mut deserializer);
            let fit = fit.unwrap_or_else(|_| match self.columns[at].kind() {
                Kind::String => self.columns[at].push_text(raw.get()),
                _ => self.columns[at].push_number(raw.get()),
            });
            self.settle(at, fit);
        }
        Ok(())
    }

    /// Notes a value that did not fit.
    fn settle(&mut self, at: usize, fit: Result<(), Misfit>) {
        let Err(misfit) = fit else { return };
        let column = &mut self.columns[at];
        column.truncate(self.row);
        column.push_null();
        let reason = match misfit {
            Misfit::Type => "DESTINATION_TYPECAST_ERROR",
            Misfit::Size => "DESTINATION_FIELD_SIZE_LIMITATION",
        };
        self.changes.push(&self.names[at], "NULLED", reason);
    }

    fn end_row(&mut self, emitted_at_ms: i64, meta: Option<&[u8]>) {
        for column in &mut self.columns {
            if column.len() == self.row {
                column.push_null();
            }
        }
        if let Some(meta) = meta {
            self.keep_changes(meta);
        }
        self.changes.ends.push(self.changes.field.len() as i32);
        self.extracted_at.push(emitted_at_ms.saturating_mul(1000));
        self.row += 1;
    }

    /// The changes that were made before the record came here.
    fn keep_changes(&mut self, meta: &[u8]) {
        let meta: Value = serde_json::from_slice(meta).unwrap_or_default();
        for change in meta.get("changes").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or_default();
            self.changes.push(text("field"), text("change"), text("reason"));
        }
    }

    /// The rows as a batch; there are none left afterwards.
    pub fn finish(&mut self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        let rows = std::mem::take(&mut self.row);
        self.bytes = 0;
        let mut arrays: Vec<Option<ArrayRef>> =
            self.columns.iter_mut().map(|column| Some(column.finish())).collect();
        let fields = self.schema.fields().clone();
        let sources = self.sources.clone();
        let array = |(field, source): (&Arc<Field>, Source)| -> ArrayRef {
            match source {
                Source::Column(at) => arrays[at].take(),
                Source::RawId => Some(Arc::new(self.raw_ids.array(rows)) as ArrayRef),
                Source::ExtractedAt => {
                    let values = std::mem::take(&mut self.extracted_at);
                    let array = TimestampMicrosecondArray::from(values).with_timezone("+00:00");
                    Some(Arc::new(array) as ArrayRef)
                }
                Source::Meta => self.meta(field.data_type(), rows),
                Source::GenerationId => {
                    Some(Arc::new(Int64Array::from(vec![self.generation_id; rows])) as ArrayRef)
                }
                Source::Nothing => None,
            }
            .unwrap_or_else(|| new_null_array(field.data_type(), rows))
        };
        let arrays: Vec<ArrayRef> = fields.iter().zip(sources).map(array).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }

    /// The column `_airbyte_meta`, in the shape that the table has it in.
    fn meta(&mut self, shape: &DataType, rows: usize) -> Option<ArrayRef> {
        let changes = std::mem::take(&mut self.changes);
        let DataType::Struct(parts) = shape else { return None };
        let part = |part: &Arc<Field>| match (part.name().as_str(), part.data_type()) {
            ("sync_id", DataType::Int64) => {
                let id = self.sync_id.or((!part.is_nullable()).then_some(0));
                Arc::new(Int64Array::from(vec![id; rows])) as ArrayRef
            }
            ("changes", DataType::List(entry)) => match entry.data_type() {
                DataType::Struct(entries) => changes.array(entry, entries),
                _ => new_null_array(part.data_type(), rows),
            },
            _ => new_null_array(part.data_type(), rows),
        };
        let arrays: Vec<ArrayRef> = parts.iter().map(part).collect();
        StructArray::try_new(parts.clone(), arrays, None)
            .ok()
            .map(|array| Arc::new(array) as ArrayRef)
    }
}

impl Changes {
    fn array(&self, entry: &Arc<Field>, entries: &Fields) -> ArrayRef {
        let text = |field: &Arc<Field>| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(match field.name().as_str() {
                "field" => &self.field,
                "change" => &self.change,
                _ => &self.reason,
            }))
        };
        let arrays = entries.iter().map(text).collect();
        let values = StructArray::new(entries.clone(), arrays, None);
        let mut ends = vec![0];
        ends.extend(&self.ends);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
        Arc::new(ListArray::new(Arc::clone(entry), offsets, Arc::new(values), None))
    }
}

/// Reads a record into the row that is open.
struct RowSeed<'a> {
    rows: &'a mut Rows,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        let rows = self.rows;
        while let Some(found) = map.next_key_seed(KeySeed { fields: &rows.fields, expected })? {
            match found {
                // Of repeated keys the first one counts.
                Some(at) if rows.columns[at].len() == rows.row => {
                    let fit = map.next_value_seed(CellSeed { column: &mut rows.columns[at] })?;
                    if fit.is_err() {
                        rows.settle(at, fit);
                    }
                    expected = at + 1;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct KeySeed<'a> {
    fields: &'a FieldNames,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let guess = self.fields.names.get(self.expected);
        if guess.is_some_and(|guess| **guess == *key) {
            return Ok(Some(self.expected));
        }
        Ok(self.fields.by_name.get(key).copied())
    }
}

/// Reads one value into a column.
struct CellSeed<'a> {
    column: &'a mut ColumnBuilder,
}

type Fit = Result<(), Misfit>;

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = Fit;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fit, D::Error> {
        let kind = self.column.kind();
        if !kind.is_json() && kind != Kind::Decimal {
            return deserializer.deserialize_any(self);
        }
        let raw: &RawValue = de::Deserialize::deserialize(deserializer)?;
        Ok(match (raw.get(), kind) {
            ("null", _) => {
                self.column.push_null();
                Ok(())
            }
            (text, Kind::Decimal) => match serde_json::from_str::<String>(text) {
                Ok(text) => self.column.push_number(text.trim()),
                Err(_) => self.column.push_number(text),
            },
            (json, _) => self.column.push_json(json),
        })
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = Fit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Fit, E> {
        self.column.push_null();
        Ok(Ok(()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Fit, E> {
        Ok(self.column.push_bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Fit, E> {
        Ok(self.column.push_i64(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Fit, E> {
        Ok(self.column.push_u64(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Fit, E> {
        // Text keeps its digits, which a double may not have.
        if self.column.kind() == Kind::String {
            return Err(E::custom("to be read as text"));
        }
        Ok(self.column.push_f64(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Fit, E> {
        Ok(self.column.push_str(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fit, A::Error> {
        let value =
            <Value as de::Deserialize>::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(self.column.push_composite(&value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Fit, A::Error> {
        let value =
            <Value as de::Deserialize>::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
        Ok(self.column.push_composite(&value))
    }
}
