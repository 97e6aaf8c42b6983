//! What admin calls changed: rows with other values, times and fates, and rows that were added.

use std::collections::{BTreeMap, HashMap};

/// What became of one row.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// Values by index of field, in the form of [`super::row::Row::text`]; None is null.
    pub set: HashMap<usize, Option<String>>,
    /// The last change, if it moved the stamp; unix seconds.
    pub stamp: Option<i64>,
    /// The creation of an added row, unix seconds.
    pub created: Option<i64>,
    /// Whether it is in the recycle bin, if that was changed.
    pub deleted: Option<bool>,
    /// When it went for good, unix seconds.
    pub purged: Option<i64>,
    /// When its change was committed, unix seconds; before, nobody sees the row.
    pub visible: i64,
}

/// All changes; a clone is a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    objects: HashMap<usize, BTreeMap<u64, Patch>>,
}

impl Overlay {
    /// The changed rows of an object by index.
    pub fn of(&self, object: usize) -> Option<&BTreeMap<u64, Patch>> {
        self.objects.get(&object).filter(|rows| !rows.is_empty())
    }

    /// One row's changes.
    pub fn patch(&self, object: usize, index: u64) -> Option<&Patch> {
        self.objects.get(&object)?.get(&index)
    }

    /// One row's changes, to be changed.
    pub fn entry(&mut self, object: usize, index: u64) -> &mut Patch {
        self.objects.entry(object).or_default().entry(index).or_default()
    }

    /// How many rows the object has with the added ones, `rows` at the start.
    pub fn end(&self, object: usize, rows: u64) -> u64 {
        let last = self.of(object).and_then(|changed| changed.keys().next_back());
        last.map_or(rows, |last| rows.max(last + 1))
    }
}
