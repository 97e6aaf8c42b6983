//! One column while its rows come in: values go straight from JSON into the buffers of an Arrow
//! array.
//!
//! Arrow's own builders are not used because they cannot give back a row that turns out to be
//! broken half-way.

use std::sync::Arc;

use arrow_array::types::Decimal128Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, PrimitiveArray, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::schema::{DECIMAL, Kind};
use crate::values;

/// Why a value did not go into its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// It is of another type.
    Type,
    /// It is of the right type and too large.
    Size,
}

enum Values {
    Bits(BooleanBufferBuilder),
    Days(Vec<i32>),
    Longs(Vec<i64>),
    Doubles(Vec<f64>),
    Decimals(Vec<i128>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
}

/// A column in the making.
pub struct ColumnBuilder {
    kind: Kind,
    values: Values,
    valid: BooleanBufferBuilder,
    nulls: usize,
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Bits(BooleanBufferBuilder::new(0)),
            Kind::Date => Values::Days(Vec::new()),
            Kind::Long | Kind::Time | Kind::Timestamp | Kind::Timestamptz => {
                Values::Longs(Vec::new())
            }
            Kind::Double => Values::Doubles(Vec::new()),
            Kind::Decimal => Values::Decimals(Vec::new()),
            Kind::String | Kind::Object | Kind::Array | Kind::Union => {
                Values::Text { ends: vec![0], bytes: Vec::new() }
            }
        };
        Self { kind, values, valid: BooleanBufferBuilder::new(0), nulls: 0 }
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.valid.len()
    }

    /// Drops the rows from `len` on.
    pub fn truncate(&mut self, len: usize) {
        if self.len() <= len {
            return;
        }
        self.nulls -= (len..self.len()).filter(|row| !self.valid.get_bit(*row)).count();
        self.valid.truncate(len);
        match &mut self.values {
            Values::Bits(bits) => bits.truncate(len),
            Values::Days(days) => days.truncate(len),
            Values::Longs(longs) => longs.truncate(len),
            Values::Doubles(doubles) => doubles.truncate(len),
            Values::Decimals(decimals) => decimals.truncate(len),
            Values::Text { ends, bytes } => {
                ends.truncate(len + 1);
                bytes.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
    }

    /// Adds a row without a value.
    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Bits(bits) => bits.append(false),
            Values::Days(days) => days.push(0),
            Values::Longs(longs) => longs.push(0),
            Values::Doubles(doubles) => doubles.push(0.0),
            Values::Decimals(decimals) => decimals.push(0),
            Values::Text { ends, bytes } => ends.push(bytes.len() as i32),
        }
        self.valid.append(false);
        self.nulls += 1;
    }

    /// Adds `true` or `false`.
    pub fn push_bool(&mut self, value: bool) -> Result<(), Misfit> {
        match &mut self.values {
            Values::Bits(bits) => bits.append(value),
            Values::Text { .. } if self.kind == Kind::String => {
                return self.push_text(if value { "true" } else { "false" });
            }
            _ => return Err(Misfit::Type),
        }
        self.valid.append(true);
        Ok(())
    }

    /// Adds a whole number.
    pub fn push_i64(&mut self, value: i64) -> Result<(), Misfit> {
        match (&mut self.values, self.kind) {
            (Values::Longs(longs), Kind::Long) => longs.push(value),
            (Values::Doubles(doubles), _) => doubles.push(value as f64),
            (_, Kind::String) => {
                let mut digits = [0u8; 20];
                let text = format_i64(value, &mut digits);
                return self.push_bytes(text.0, text.1);
            }
            _ => return Err(Misfit::Type),
        }
        self.valid.append(true);
        Ok(())
    }

    /// Adds a whole number that may be greater than those with a sign.
    pub fn push_u64(&mut self, value: u64) -> Result<(), Misfit> {
        match i64::try_from(value) {
            Ok(value) => self.push_i64(value),
            Err(_) => match self.kind {
                Kind::Long => Err(Misfit::Size),
                Kind::Double => self.push_f64(value as f64),
                Kind::String => self.push_text(&value.to_string()),
                _ => Err(Misfit::Type),
            },
        }
    }

    /// Adds a number with a fraction or with more digits than 64 bits hold.
    pub fn push_f64(&mut self, value: f64) -> Result<(), Misfit> {
        match (&mut self.values, self.kind) {
            (Values::Doubles(doubles), _) => doubles.push(value),
            (Values::Longs(longs), Kind::Long) => {
                if value.fract() != 0.0 {
                    return Err(Misfit::Type);
                }
                // Up to this bound doubles are exact neighbours of whole numbers.
                if value.abs() >= 9_223_372_036_854_775_808.0 {
                    return Err(Misfit::Size);
                }
                longs.push(value as i64);
            }
            (_, Kind::String) => {
                let text = serde_json::Number::from_f64(value).ok_or(Misfit::Size)?.to_string();
                return self.push_text(&text);
            }
            _ => return Err(Misfit::Type),
        }
        self.valid.append(true);
        Ok(())
    }

    /// Adds a string.
    pub fn push_str(&mut self, text: &str) -> Result<(), Misfit> {
        match (&mut self.values, self.kind) {
            (_, Kind::String) => return self.push_text(text),
            (Values::Days(days), _) => days.push(values::date(text).ok_or(Misfit::Type)?),
            (Values::Longs(longs), kind) => {
                let value = match kind {
                    Kind::Time => values::time(text),
                    Kind::Timestamp => values::timestamp(text),
                    Kind::Timestamptz => values::timestamptz(text),
                    _ => return self.push_number(text.trim()),
                };
                longs.push(value.ok_or(Misfit::Type)?);
            }
            (Values::Doubles(_) | Values::Decimals(_), _) => return self.push_number(text.trim()),
            _ => return Err(Misfit::Type),
        }
        self.valid.append(true);
        Ok(())
    }

    /// Adds a number from its text.
    pub fn push_number(&mut self, text: &str) -> Result<(), Misfit> {
        match (&mut self.values, self.kind) {
            (Values::Longs(longs), Kind::Long) => match text.parse() {
                Ok(value) => longs.push(value),
                Err(_) => {
                    // `1.0`, `1e3`, or digits that are too many.
                    let value = values::decimal(text, DECIMAL.0, 0);
                    let is_digits =
                        text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
                    let value = match value {
                        Some(value) => i64::try_from(value).map_err(|_| Misfit::Size)?,
                        None if is_digits && text.len() > 18 => return Err(Misfit::Size),
                        None => return Err(Misfit::Type),
                    };
                    longs.push(value);
                }
            },
            (Values::Doubles(doubles), _) => {
                // Rust also reads names such as `inf`, which are no numbers here.
                let is_number = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
                let value: f64 = text.parse().ok().filter(|_| is_number).ok_or(Misfit::Type)?;
                doubles.push(Some(value).filter(|value| value.is_finite()).ok_or(Misfit::Size)?);
            }
            (Values::Decimals(decimals), _) => {
                let value = values::decimal(text, DECIMAL.0, DECIMAL.1);
                let is_number = || text.parse::<f64>().is_ok();
                decimals.push(
                    value.ok_or_else(|| if is_number() { Misfit::Size } else { Misfit::Type })?,
                );
            }
            _ => return Err(Misfit::Type),
        }
        self.valid.append(true);
        Ok(())
    }

    /// Adds a value as the JSON text that it came as, if it is of the right sort.
    pub fn push_json(&mut self, json: &str) -> Result<(), Misfit> {
        let is_fit = match self.kind {
            Kind::Object => json.starts_with('{'),
            Kind::Array => json.starts_with('['),
            _ => true,
        };
        if is_fit { self.push_text(json) } else { Err(Misfit::Type) }
    }

    /// Adds an object or array to a column of plain text.
    pub fn push_composite(&mut self, value: &serde_json::Value) -> Result<(), Misfit> {
        match self.kind {
            Kind::String => self.push_text(&value.to_string()),
            _ => Err(Misfit::Type),
        }
    }

    /// Adds text to a column of text.
    pub fn push_text(&mut self, text: &str) -> Result<(), Misfit> {
        self.push_bytes(text.as_bytes(), 0)
    }

    fn push_bytes(&mut self, text: &[u8], from: usize) -> Result<(), Misfit> {
        let Values::Text { ends, bytes } = &mut self.values else { return Err(Misfit::Type) };
        let end = i32::try_from(bytes.len() + text.len() - from).map_err(|_| Misfit::Size)?;
        bytes.extend_from_slice(&text[from..]);
        ends.push(end);
        self.valid.append(true);
        Ok(())
    }

    /// The array; the column is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        let valid = self.valid.finish();
        let nulls = (std::mem::take(&mut self.nulls) > 0).then(|| NullBuffer::new(valid));
        // A batch has about as many values as the one before; a few more must not double the room.
        fn take<T>(values: &mut Vec<T>) -> Vec<T> {
            let room = Vec::with_capacity(values.len() + values.len() / 8);
            std::mem::replace(values, room)
        }
        match (&mut self.values, self.kind) {
            (Values::Bits(bits), _) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
            (Values::Days(days), _) => Arc::new(Date32Array::new(take(days).into(), nulls)),
            (Values::Doubles(doubles), _) => {
                Arc::new(Float64Array::new(take(doubles).into(), nulls))
            }
            (Values::Decimals(decimals), _) => {
                let array = PrimitiveArray::<Decimal128Type>::new(take(decimals).into(), nulls);
                // The precision and scale are constants that Arrow allows.
                match array.with_precision_and_scale(DECIMAL.0 as u8, DECIMAL.1 as i8) {
                    Ok(array) => Arc::new(array),
                    Err(_) => unreachable!("decimals of constant precision"),
                }
            }
            (Values::Longs(longs), kind) => {
                let longs = ScalarBuffer::from(take(longs));
                match kind {
                    Kind::Time => Arc::new(Time64MicrosecondArray::new(longs, nulls)),
                    Kind::Timestamp => Arc::new(TimestampMicrosecondArray::new(longs, nulls)),
                    Kind::Timestamptz => Arc::new(
                        TimestampMicrosecondArray::new(longs, nulls).with_timezone("+00:00"),
                    ),
                    _ => Arc::new(Int64Array::new(longs, nulls)),
                }
            }
            (Values::Text { ends, bytes }, _) => {
                let taken = take(ends);
                ends.push(0);
                let offsets = OffsetBuffer::new(taken.into());
                let text = Buffer::from_vec(take(bytes));
                Arc::new(StringArray::new(offsets, text, nulls))
            }
        }
    }
}

/// The digits of a number: the buffer and where they begin in it.
fn format_i64(value: i64, digits: &mut [u8; 20]) -> (&[u8], usize) {
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    (digits, at)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;

    use super::*;

    #[test]
    fn rows_can_be_taken_back() {
        let mut text = ColumnBuilder::new(Kind::String);
        text.push_str("a").unwrap();
        text.push_null();
        text.push_i64(-12).unwrap();
        text.push_i64(i64::MIN).unwrap();
        text.truncate(3);
        text.push_bool(true).unwrap();
        let array = text.finish();
        let values: Vec<_> = array.as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("a"), None, Some("-12"), Some("true")]);
        assert_eq!(text.len(), 0);
        text.push_null();
        text.truncate(0);
        text.push_str("b").unwrap();
        assert_eq!(text.finish().null_count(), 0);
    }

    #[test]
    fn misfits_are_told_apart() {
        let mut long = ColumnBuilder::new(Kind::Long);
        assert_eq!(long.push_u64(u64::MAX), Err(Misfit::Size));
        assert_eq!(long.push_f64(1e30), Err(Misfit::Size));
        assert_eq!(long.push_f64(1.5), Err(Misfit::Type));
        assert_eq!(long.push_str("12345678901234567890"), Err(Misfit::Size));
        assert_eq!(long.push_str("x"), Err(Misfit::Type));
        assert_eq!(long.push_bool(true), Err(Misfit::Type));
        long.push_f64(3.0).unwrap();
        long.push_str(" 4 ").unwrap();
        long.push_str("5.0").unwrap();
        assert_eq!(
            long.finish().as_primitive::<arrow_array::types::Int64Type>().values(),
            &[3, 4, 5]
        );
        let mut double = ColumnBuilder::new(Kind::Double);
        assert_eq!(double.push_str("inf"), Err(Misfit::Type));
        assert_eq!(double.push_str("1e999"), Err(Misfit::Size));
        assert_eq!(double.len(), 0);
        let mut object = ColumnBuilder::new(Kind::Object);
        assert_eq!(object.push_json("[1]"), Err(Misfit::Type));
        object.push_json("{}").unwrap();
    }
}
