//! The org: its objects, and when each row was changed.

use super::schema::{self, Object};
use crate::hash;
use crate::options::Options;

/// Within so many consecutive ids the order of changes is shuffled; blocks follow each other in
/// time, so a window of time is a range of blocks.
const BLOCK: u64 = 1 << 16;

/// Rows that share one timestamp, as those of one import do.
const TIES: u64 = 3;

/// Primes that shuffle a block; one that does not divide its length is taken.
const STEPS: [u64; 3] = [40_487, 39_989, 38_839];

const DAY: i64 = 86_400;

/// The last row was changed so many seconds before the clock's start.
const QUIET: i64 = 3600;

/// Objects and data of one org.
#[derive(Debug)]
pub struct Org {
    /// All objects, in the order of the global describe.
    pub objects: Vec<Object>,
    /// The organisation's id.
    pub id: String,
    /// Seed of the data.
    pub seed: u64,
    /// When the rows at the start begin and end to be changed, unix seconds.
    first: i64,
    last: i64,
    /// Unix seconds of the clock's start.
    pub start: i64,
}

impl Org {
    /// The org of the options' seed, rows and clock start.
    pub fn new(options: &Options) -> Self {
        let data = &options.salesforce.data;
        let objects = schema::objects(options.rows, data);
        let last = options.clock_start - QUIET;
        Self {
            // The text is part of the program; a test reads it.
            objects: objects.expect("the built-in objects are valid"),
            id: super::ids::id("00D", hash::below(hash::mix(options.seed), 1 << 30)),
            seed: options.seed,
            first: last - i64::from(data.days) * DAY,
            last,
            start: options.clock_start,
        }
    }

    /// The index of an object; names are case-insensitive.
    pub fn object(&self, name: &str) -> Option<usize> {
        self.objects.iter().position(|o| o.name.eq_ignore_ascii_case(name))
    }

    /// When the row that was changed as the `place`-th of `rows` was changed, unix seconds.
    pub fn time(&self, place: u64, rows: u64) -> i64 {
        let tied = i128::from(place - place % TIES);
        let span = i128::from(self.last - self.first);
        self.first + (tied * span / i128::from(rows.max(1))) as i64
    }

    /// The first place whose time is not before `time`.
    pub fn place_at(&self, time: i64, rows: u64) -> u64 {
        let (mut low, mut high) = (0, rows);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.time(middle, rows) < time { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The place in the order of changes of the row with that index.
pub fn place(index: u64, rows: u64) -> u64 {
    let block = index - index % BLOCK;
    let length = BLOCK.min(rows - block);
    let step = STEPS.iter().find(|p| !length.is_multiple_of(**p)).unwrap_or(&STEPS[0]);
    block + (step * (index - block) + length / 3) % length
}

/// The indices that can hold the places in `from..to`.
pub fn blocks(from: u64, to: u64, rows: u64) -> (u64, u64) {
    if from >= to {
        return (0, 0);
    }
    (from - from % BLOCK, ((to - 1) / BLOCK * BLOCK + BLOCK).min(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_a_permutation(rows in 1_u64..70_000) {
            let mut seen = vec![false; rows as usize];
            for index in 0..rows {
                let place = place(index, rows) as usize;
                prop_assert!(!seen[place]);
                seen[place] = true;
            }
        }

        #[test]
        fn a_window_is_found(rows in 1_u64..300_000, from: u32, to: u32, index: u32) {
            let org = Org::new(&Options { rows, ..Options::default() });
            let span = org.last - org.first;
            let (from, to) = (org.first + i64::from(from) % span, org.first + i64::from(to) % span);
            let index = u64::from(index) % rows;
            let time = org.time(place(index, rows), rows);
            let (low, high) = blocks(org.place_at(from, rows), org.place_at(to, rows), rows);
            if (from..to).contains(&time) {
                prop_assert!((low..high).contains(&index));
            }
        }
    }
}
