//! From an object as Stripe sent it to a row of a stream.

use airbyte_protocol::RecordBatch;
use cdk::json::{append, fields, integer};
use cdk::read::Reading;

use crate::legacy::Fill;
use crate::links::Link;
use crate::members::Members;
use crate::streams::{Def, Time};

/// What the rows of one stream and account get besides what Stripe sends.
#[derive(Clone)]
pub struct Shape {
    /// What the objects call themselves; others are left out.
    pub object: &'static str,
    /// Where `updated` comes from.
    pub time: Time,
    /// Columns that Stripe has moved.
    pub fill: Option<Fill>,
    /// What children get from their parents.
    pub link: Option<Link>,
    /// The account that rows are tagged with.
    pub tag: Option<String>,
    /// Whether the stream has a cursor column `updated`.
    pub has_updated: bool,
}

impl Shape {
    /// Whether a row of this def gets a column `updated`.
    pub fn wants_updated(def: &Def) -> bool {
        def.cursor == Some("updated")
    }
}

/// Bytes of rows that are worth a write.
const ENOUGH: usize = 48 << 10;

/// Rows that are being put together for one write.
pub struct Rows<'s> {
    shape: &'s Shape,
    batch: RecordBatch,
    columns: Members,
    strangers: u64,
}

impl<'s> Rows<'s> {
    /// No rows yet.
    pub fn new(shape: &'s Shape, reading: &Reading) -> Self {
        Rows { shape, batch: reading.batch(), columns: Members::default(), strangers: 0 }
    }

    /// Adds an object. `at` is the time of the event that told of it; `None` on a first
    /// read.
    pub fn push(&mut self, object: &str, at: Option<i64>) {
        self.add(object, at, self.shape.fill);
    }

    /// Adds an event's own copy of an object. `fill` is off where the copy is older than
    /// the move of the columns.
    pub fn push_payload(&mut self, object: &str, at: i64, fill: bool) {
        self.add(object, Some(at), self.shape.fill.filter(|_| fill));
    }

    fn add(&mut self, object: &str, at: Option<i64>, fill: Option<Fill>) {
        let created = match (self.shape.time, self.shape.has_updated && at.is_none()) {
            (Time::Field(field), true) => self.check(object, field),
            _ => self.check(object, "object"),
        };
        let Some(created) = created else { return };
        self.columns.clear();
        if let Some(fill) = fill {
            fill(object, &mut self.columns);
        }
        if self.shape.has_updated && self.shape.time != Time::Own {
            match at.or_else(|| integer(created)) {
                Some(time) => self.columns.int("updated", time),
                None => self.columns.raw("updated", "null"),
            }
        }
        self.finish(object);
    }

    /// Adds a child.
    pub fn push_child(&mut self, parent: &str, child: &str, at: Option<i64>) {
        if self.check(child, "object").is_none() {
            return;
        }
        self.columns.clear();
        if let Some(fill) = self.shape.fill {
            fill(child, &mut self.columns);
        }
        if let Some(link) = self.shape.link {
            link(parent, child, at, &mut self.columns);
        }
        self.finish(child);
    }

    /// Adds the last known copy of an object that is gone, flagged.
    pub fn push_deleted(&mut self, object: &str, at: i64) {
        if self.check(object, "object").is_none() {
            return;
        }
        self.columns.clear();
        self.columns.flag("is_deleted", true);
        match self.shape.link {
            Some(link) => link("{}", object, Some(at), &mut self.columns),
            None if self.shape.has_updated && self.shape.time != Time::Own => {
                self.columns.int("updated", at);
            }
            None => {}
        }
        self.finish(object);
    }

    /// Adds a row for a child that its parent no longer has, of which only the id is known.
    pub fn push_vanished(&mut self, parent: &str, id: &str, at: i64) {
        let mut child = Members::default();
        child.text("id", id);
        child.text("object", self.shape.object);
        let child = format!("{{{}}}", child.as_str());
        self.columns.clear();
        if let Some(link) = self.shape.link {
            link(parent, &child, Some(at), &mut self.columns);
        }
        self.columns.flag("is_deleted", true);
        self.finish(&child);
    }

    /// The text of `field` of an object that is what it should be; `None` for another.
    fn check<'o>(&mut self, object: &'o str, field: &'static str) -> Option<&'o str> {
        let [kind, value] = if field == "object" {
            let [kind] = fields(object, ["object"]);
            [kind, Some("")]
        } else {
            fields(object, ["object", field])
        };
        let named = kind.map(|kind| kind.trim_matches('"'));
        if named.is_some_and(|named| named != self.shape.object) {
            self.strangers += 1;
            return None;
        }
        Some(value.unwrap_or(""))
    }

    fn finish(&mut self, object: &str) {
        if let Some(tag) = &self.shape.tag {
            self.columns.text("connected_account_id", tag);
        }
        self.batch.push(&append(object, self.columns.as_str()));
    }

    /// The rows so far, once they are worth a write: small buffers are soon free again, so
    /// that memory does not depend on how large pages are.
    pub fn full(&mut self, reading: &Reading) -> Option<RecordBatch> {
        (self.batch.bytes() >= ENOUGH).then(|| std::mem::replace(&mut self.batch, reading.batch()))
    }

    /// The rows, to be written. Objects that did not belong are told of in the log.
    pub fn into_batch(self) -> RecordBatch {
        if self.strangers > 0 {
            tracing::debug!(
                "{} objects that are no {} were left out.",
                self.strangers,
                self.shape.object
            );
        }
        self.batch
    }
}
