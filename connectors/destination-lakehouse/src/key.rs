//! Keys and cursors of rows, from the columns of record batches.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::Value;

/// Where a part of a key, or a cursor, is found in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The field ids of the column: the first is that of today, the others are those that the field
    /// had when it was of another type.
    pub fields: Vec<i32>,
    /// The path inside the column's JSON text; empty for the column itself.
    pub path: Vec<String>,
}

/// What decides which of two rows stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyPlan {
    /// The parts of the primary key.
    pub parts: Vec<Place>,
    /// The cursor.
    pub cursor: Option<Place>,
    /// The time of extraction, which decides where cursors do not.
    pub extracted_at: Option<Place>,
    /// The column whose value says that the row was deleted.
    pub deleted: Option<Place>,
}

impl KeyPlan {
    /// The columns that are needed to read keys and cursors.
    pub fn field_ids(&self) -> Vec<i32> {
        let places = self.parts.iter().chain(&self.cursor).chain(&self.extracted_at);
        places.flat_map(|place| place.fields.iter().copied()).collect()
    }
}

/// A hash of a primary key, long enough to stand for it.
pub type Key = u128;

/// A map by keys: they are hashes already.
pub type KeyMap<T> = HashMap<Key, T, BuildHasherDefault<KeyHasher>>;

/// Takes a part of the key as its hash.
#[derive(Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

/// The value of a cursor. Null comes before everything else.
#[derive(Debug, Clone, PartialEq)]
pub enum Cursor {
    /// There is none.
    Null,
    /// A number, day or moment.
    Whole(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Box<str>),
}

impl Cursor {
    /// Values of different types, as after a change of type, do not compare.
    fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Null, _) => Some(Ordering::Less),
            (_, Self::Null) => Some(Ordering::Greater),
            (Self::Whole(a), Self::Whole(b)) => Some(a.cmp(b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Whole(a), Self::Float(b)) => (*a as f64).partial_cmp(b),
            (Self::Float(a), Self::Whole(b)) => a.partial_cmp(&(*b as f64)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// What decides which row of a key stays.
#[derive(Debug, Clone)]
pub struct Rank {
    cursor: Cursor,
    extracted_at: i64,
}

impl Rank {
    /// Whether the row of this rank stays against one of rank `other` that came later: if its cursor
    /// is greater or, where the cursors do not say, if it was extracted later.
    pub fn beats_later(&self, other: &Self) -> bool {
        match self.cursor.order(&other.cursor) {
            Some(Ordering::Greater) => true,
            Some(Ordering::Less) => false,
            Some(Ordering::Equal) | None => self.extracted_at > other.extracted_at,
        }
    }
}

/// The keys and cursors of a batch.
pub struct BatchKeys {
    parts: Vec<Cells>,
    cursor: Option<Cells>,
    extracted_at: Option<Cells>,
    deleted: Option<Cells>,
    buffer: Vec<u8>,
}

impl BatchKeys {
    /// Finds the columns of a batch.
    pub fn new(plan: &KeyPlan, batch: &RecordBatch) -> Self {
        let cells = |place: &Place| Cells::new(place, batch);
        Self {
            parts: plan.parts.iter().map(cells).collect(),
            cursor: plan.cursor.as_ref().map(cells),
            extracted_at: plan.extracted_at.as_ref().map(cells),
            deleted: plan.deleted.as_ref().map(cells),
            buffer: Vec::new(),
        }
    }

    /// The key of a row.
    pub fn key(&mut self, row: usize) -> Key {
        self.buffer.clear();
        for part in &self.parts {
            part.write(row, &mut self.buffer);
        }
        twox_hash::XxHash3_128::oneshot(&self.buffer)
    }

    /// The rank of a row.
    pub fn rank(&self, row: usize) -> Rank {
        let extracted_at = self.extracted_at.as_ref().and_then(|cells| cells.column(row));
        Rank {
            cursor: self.cursor.as_ref().map_or(Cursor::Null, |cells| cells.cursor(row)),
            extracted_at: extracted_at.and_then(|column| whole(column, row)).unwrap_or(i64::MIN),
        }
    }

    /// Whether the row says that it was deleted.
    pub fn is_deleted(&self, row: usize) -> bool {
        self.deleted.as_ref().is_some_and(|cells| !matches!(cells.cursor(row), Cursor::Null))
    }
}

/// The id that a column's field has in the table.
pub fn field_id(field: &arrow_schema::Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn column_of(schema: &Schema, id: i32) -> Option<usize> {
    schema.fields().iter().position(|field| field_id(field) == Some(id))
}

/// The values of one place: of the first of its columns that has one.
struct Cells {
    columns: Vec<ArrayRef>,
    path: Vec<String>,
}

const NULL: u8 = 0;
const WHOLE: u8 = 1;
const TEXT: u8 = 2;
const FLOAT: u8 = 3;
const BOOLEAN: u8 = 4;
const LARGE: u8 = 5;

impl Cells {
    fn new(place: &Place, batch: &RecordBatch) -> Self {
        let schema = batch.schema();
        let column = |id: &i32| column_of(&schema, *id).map(|at| batch.column(at).clone());
        Self { columns: place.fields.iter().filter_map(column).collect(), path: place.path.clone() }
    }

    fn column(&self, row: usize) -> Option<&ArrayRef> {
        self.columns.iter().find(|column| column.is_valid(row))
    }

    /// Writes the value in a form in which values that mean the same are the same, so that a key
    /// stays what it is when its column becomes a number or text.
    fn write(&self, row: usize, to: &mut Vec<u8>) {
        let Some(column) = self.column(row) else { return to.push(NULL) };
        match column.data_type() {
            DataType::Utf8 if self.path.is_empty() => {
                write_text(column.as_string::<i32>().value(row), to);
            }
            DataType::Utf8 => match self.inside(column.as_string::<i32>().value(row)) {
                None | Some(Value::Null) => to.push(NULL),
                Some(Value::String(text)) => write_text(&text, to),
                Some(other) => write_text(&other.to_string(), to),
            },
            DataType::Float32 => {
                write_float(f64::from(column.as_primitive::<Float32Type>().value(row)), to);
            }
            DataType::Float64 => write_float(column.as_primitive::<Float64Type>().value(row), to),
            DataType::Boolean => {
                to.extend([BOOLEAN, u8::from(column.as_boolean().value(row))]);
            }
            DataType::Decimal128(_, scale) => {
                let value = column.as_primitive::<Decimal128Type>().value(row);
                let unit = 10i128.checked_pow(u32::try_from(*scale).unwrap_or(0)).unwrap_or(1);
                match i64::try_from(value / unit) {
                    Ok(whole) if value % unit == 0 => write_whole(whole, to),
                    _ => {
                        to.push(LARGE);
                        to.extend(value.to_le_bytes());
                    }
                }
            }
            _ => match whole(column, row) {
                Some(value) => write_whole(value, to),
                None => to.push(NULL),
            },
        }
    }

    fn cursor(&self, row: usize) -> Cursor {
        let Some(column) = self.column(row) else { return Cursor::Null };
        match column.data_type() {
            DataType::Utf8 if self.path.is_empty() => {
                Cursor::Text(column.as_string::<i32>().value(row).into())
            }
            DataType::Utf8 => match self.inside(column.as_string::<i32>().value(row)) {
                None | Some(Value::Null) => Cursor::Null,
                Some(Value::String(text)) => Cursor::Text(text.into()),
                Some(Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
                    (Some(whole), _) => Cursor::Whole(whole),
                    (None, Some(float)) => Cursor::Float(float),
                    (None, None) => Cursor::Null,
                },
                Some(other) => Cursor::Text(other.to_string().into()),
            },
            DataType::Float32 => {
                Cursor::Float(f64::from(column.as_primitive::<Float32Type>().value(row)))
            }
            DataType::Float64 => Cursor::Float(column.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => Cursor::Whole(i64::from(column.as_boolean().value(row))),
            DataType::Decimal128(_, scale) => {
                let value = column.as_primitive::<Decimal128Type>().value(row);
                let exponent = i32::from(*scale);
                match i64::try_from(value) {
                    Ok(small) if exponent == 0 => Cursor::Whole(small),
                    _ => Cursor::Float(value as f64 / 10f64.powi(exponent)),
                }
            }
            _ => whole(column, row).map_or(Cursor::Null, Cursor::Whole),
        }
    }

    /// The value at the path inside a JSON text.
    fn inside(&self, json: &str) -> Option<Value> {
        let mut value: Value = serde_json::from_str(json).ok()?;
        for step in &self.path {
            value = value.get_mut(step)?.take();
        }
        Some(value)
    }
}

fn whole(column: &ArrayRef, row: usize) -> Option<i64> {
    Some(match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).into(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            column.as_primitive::<TimestampMicrosecondType>().value(row)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            column.as_primitive::<Time64MicrosecondType>().value(row)
        }
        _ => return None,
    })
}

fn write_whole(value: i64, to: &mut Vec<u8>) {
    to.push(WHOLE);
    to.extend(value.to_le_bytes());
}

fn write_text(text: &str, to: &mut Vec<u8>) {
    if let Some(number) = canonical_number(text) {
        return write_whole(number, to);
    }
    to.push(TEXT);
    to.extend((text.len() as u32).to_le_bytes());
    to.extend(text.as_bytes());
}

fn write_float(value: f64, to: &mut Vec<u8>) {
    // Beyond this doubles do not tell neighbouring whole numbers apart.
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        return write_whole(value as i64, to);
    }
    to.push(FLOAT);
    to.extend(value.to_bits().to_le_bytes());
}

/// The number that the text is, if it is written as numbers are.
fn canonical_number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let is_canonical = matches!(digits, [b'1'..=b'9', ..] | [b'0']) && text != "-0";
    if !is_canonical || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_key(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_text(text, &mut bytes);
        bytes
    }

    #[test]
    fn a_key_is_the_same_as_number_and_as_text() {
        let mut whole = Vec::new();
        write_whole(-42, &mut whole);
        assert_eq!(text_key("-42"), whole);
        let mut float = Vec::new();
        write_float(-42.0, &mut float);
        assert_eq!(float, whole);
        for different in ["042", "-0", "42.0", "99999999999999999999", "", "-", "4 2"] {
            assert_eq!(text_key(different)[0], TEXT, "{different}");
        }
    }

    #[test]
    fn the_greater_cursor_stays_then_the_later_extraction_then_the_later_row() {
        use Cursor::*;
        let beats = |stored: &(Cursor, i64), later: &(Cursor, i64)| {
            let rank =
                |(cursor, at): &(Cursor, i64)| Rank { cursor: cursor.clone(), extracted_at: *at };
            rank(stored).beats_later(&rank(later))
        };
        for (greater, less) in [
            ((Whole(2), 0), (Whole(1), 9)),
            ((Text("b".into()), 0), (Text("a".into()), 9)),
            ((Whole(1), 0), (Null, 9)),
            ((Float(1.5), 0), (Whole(1), 9)),
            ((Whole(1), 5), (Whole(1), 4)),
            ((Null, 5), (Null, 4)),
            ((Whole(9), 5), (Text("a".into()), 4)),
        ] {
            assert!(beats(&greater, &less) && !beats(&less, &greater), "{greater:?} {less:?}");
            assert!(!beats(&greater, &greater), "{greater:?}");
        }
    }
}
