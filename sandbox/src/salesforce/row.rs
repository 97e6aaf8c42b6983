//! One row: when it was changed, whether it is deleted, and the text of each of its fields.
//!
//! Values come from the seed, the object, the row's index and the field, unless an admin call
//! changed them. Their one form is that of Bulk results: see [`Row::text`].

use super::ids;
use super::kind::Kind;
use super::org::{self, Org};
use super::overlay::{Overlay, Patch};
use super::schema::{Field, Object, Role};
use super::text;
use crate::hash;

/// Of the rows of an object with IsDeleted one in so many is in the recycle bin.
const DELETED: u64 = 37;

const YEAR: i64 = 365 * 86_400;

/// A row as of some moment.
pub struct Row<'a> {
    org: &'a Org,
    /// Its object.
    pub object: &'a Object,
    /// Its number, which its id is made from.
    pub index: u64,
    patch: Option<&'a Patch>,
    salt: u64,
}

impl<'a> Row<'a> {
    /// The row of that number, with its changes.
    pub fn new(org: &'a Org, overlay: &'a Overlay, object: usize, index: u64) -> Self {
        Self::with(org, object, index, overlay.patch(object, index))
    }

    /// The row of that number with these changes.
    pub fn with(org: &'a Org, object: usize, index: u64, patch: Option<&'a Patch>) -> Self {
        let object = &org.objects[object];
        let salt = hash::join(object.salt ^ org.seed, index);
        Self { org, object, index, patch, salt }
    }

    /// Whether anybody can see it at `now` (unix seconds).
    pub fn exists(&self, now: i64) -> bool {
        match self.patch {
            None => self.index < self.object.rows,
            Some(p) => p.purged.is_none() && p.visible <= now,
        }
    }

    /// When it was purged, unix seconds.
    pub fn purged(&self) -> Option<i64> {
        self.patch.and_then(|p| p.purged)
    }

    /// The last change, unix seconds.
    pub fn stamp(&self) -> i64 {
        self.patch.and_then(|p| p.stamp).unwrap_or_else(|| self.first_stamp())
    }

    /// The last change before the clock's start.
    fn first_stamp(&self) -> i64 {
        match self.object.rows {
            0 => self.org.start,
            rows => self.org.time(org::place(self.index.min(rows - 1), rows), rows),
        }
    }

    /// Whether it is in the recycle bin.
    pub fn is_deleted(&self) -> bool {
        self.object.deleted.is_some()
            && self
                .patch
                .and_then(|p| p.deleted)
                .unwrap_or_else(|| self.salt.is_multiple_of(DELETED) && !self.is_added())
    }

    /// Whether only `queryAll` shows it.
    pub fn is_archived(&self) -> bool {
        self.object.archives && self.stamp() < self.org.start - YEAR
    }

    fn is_added(&self) -> bool {
        self.index >= self.object.rows
    }

    /// Unix seconds of a datetime field; None for null.
    pub fn seconds(&self, index: usize) -> Option<i64> {
        let field = &self.object.fields[index];
        if let Some(set) = self.set(index) {
            return set.and_then(text::parse_seconds);
        }
        let luck = hash::join(self.salt, field.salt);
        match field.role {
            Role::Stamp => Some(self.stamp()),
            // Automation that runs after the user's change moves the stamp alone.
            Role::Modified => Some(
                self.stamp() - if luck.is_multiple_of(4) { (luck >> 8) as i64 & 511 } else { 0 },
            ),
            Role::Created => Some(match self.patch.and_then(|p| p.created) {
                Some(created) => created,
                None => self.first_stamp() - 600 - hash::below(luck, 30 * 86_400) as i64,
            }),
            _ if self.is_null(field, luck) => None,
            _ => Some(self.org.start - hash::below(luck, 3 * YEAR as u64) as i64),
        }
    }

    fn set(&self, field: usize) -> Option<Option<&'a str>> {
        let patch = self.patch?;
        if patch.set.is_empty() {
            return None;
        }
        patch.set.get(&field).map(|value| value.as_deref())
    }

    fn is_null(&self, field: &Field, luck: u64) -> bool {
        !field.required && (luck >> 56) < 28
    }

    /// Appends a field's value and returns true, or returns false for null: texts as they are,
    /// numbers in decimals, `true`, `2026-11-01`, `2026-11-01T00:00:00.000Z`, `14:30:00.000Z`.
    /// Compound fields have no text; a base64 field's is its path below `/sobjects/`.
    pub fn text(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let field = &self.object.fields[index];
        if field.kind == Kind::Datetime {
            return self.seconds(index).map(|s| text::datetime(s, out)).is_some();
        }
        match field.role {
            Role::Id => {
                ids::write(&self.object.prefix, self.index, out);
                return true;
            }
            Role::Deleted => {
                text::boolean(self.is_deleted(), out);
                return true;
            }
            Role::Archived => {
                text::boolean(self.is_archived(), out);
                return true;
            }
            _ => {}
        }
        if let Some(set) = self.set(index) {
            out.extend_from_slice(set.unwrap_or_default().as_bytes());
            return set.is_some();
        }
        let luck = hash::join(self.salt, field.salt);
        if field.role == Role::Master {
            // Every other deleted row lost a merge to its predecessor.
            let lost = self.is_deleted() && self.index > 0 && luck.is_multiple_of(2);
            if lost {
                ids::write(&self.object.prefix, self.index - 1, out);
            }
            return lost;
        }
        if field.kind == Kind::Base64 {
            return self.blob_path(field, out);
        }
        if self.part_is_null(field) || self.is_null(field, luck) {
            return false;
        }
        match field.target_index {
            Some(target) => self.reference(target, luck, out),
            None => text::plain(field, self.index, luck, self.org.start, out),
        }
    }

    /// The parts of a compound field are null together in one row of eight.
    fn part_is_null(&self, field: &Field) -> bool {
        field.part_of.as_deref().is_some_and(|whole| {
            whole != "Name" && hash::join(self.salt, hash::text(whole)).is_multiple_of(8)
        })
    }

    fn reference(&self, target: usize, luck: u64, out: &mut Vec<u8>) -> bool {
        let target = &self.org.objects[target];
        if target.rows == 0 {
            return false;
        }
        // A document's links and versions spread over all documents.
        let index = if target.name == "ContentDocument" {
            self.index % target.rows
        } else {
            hash::below(luck, target.rows)
        };
        ids::write(&target.prefix, index, out);
        true
    }

    fn blob_path(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(self.object.name.as_bytes());
        out.push(b'/');
        ids::write(&self.object.prefix, self.index, out);
        out.push(b'/');
        out.extend_from_slice(field.name.as_bytes());
        true
    }

    /// The bytes of a base64 field.
    pub fn blob(&self, field: usize) -> Vec<u8> {
        let luck = hash::join(self.salt, self.object.fields[field].salt);
        (0..64 + luck % 1024).map(|at| hash::join(luck, at) as u8).collect()
    }
}
