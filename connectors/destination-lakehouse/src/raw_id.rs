//! Ids of rows: UUIDs of version 7.

use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use uuid::Uuid;

const TEXT: usize = uuid::fmt::Hyphenated::LENGTH;

/// A maker of ids. Those of a batch share the time and this process's random bits and differ by a
/// counter, so that they take little room in a file.
pub struct RawIds {
    random: u64,
    counter: u64,
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Bits of the counter, at the end of the id.
const COUNTER_BITS: u32 = 32;

impl RawIds {
    /// A maker that no other shares its ids with.
    pub fn new() -> Self {
        Self { random: Uuid::new_v4().as_u64_pair().1, counter: 0 }
    }

    /// Ids for a batch of rows.
    pub fn array(&mut self, rows: usize) -> StringArray {
        let millis = chrono::Utc::now().timestamp_millis() as u64;
        let mut text = vec![0; rows * TEXT];
        let mut front = [0; TEXT];
        self.id(millis).hyphenated().encode_lower(&mut front);
        for row in text.chunks_exact_mut(TEXT) {
            self.counter += 1;
            if self.counter >> COUNTER_BITS != 0 {
                *self = Self::new();
                self.id(millis).hyphenated().encode_lower(&mut front);
            }
            row.copy_from_slice(&front);
            let digits = row[TEXT - 8..].iter_mut().rev().enumerate();
            digits.for_each(|(at, digit)| *digit = HEX[(self.counter >> (4 * at)) as usize & 15]);
        }
        let ends: Vec<i32> = (0..=rows).map(|row| (row * TEXT) as i32).collect();
        StringArray::new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(text), None)
    }

    fn id(&self, millis: u64) -> Uuid {
        let mut random = [0; 10];
        random[..6].copy_from_slice(&self.random.to_be_bytes()[..6]);
        random[6..].copy_from_slice(&(self.counter as u32).to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_of_version_seven_and_never_the_same() {
        let (mut one, mut other) = (RawIds::new(), RawIds::new());
        let arrays = [one.array(1000), other.array(1000), one.array(1000)];
        let all: HashSet<&str> = arrays.iter().flat_map(|array| array.iter().flatten()).collect();
        assert_eq!(all.len(), 3000);
        let id = Uuid::parse_str(arrays[0].value(0)).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
