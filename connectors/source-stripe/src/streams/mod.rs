//! The streams, as a table.
//!
//! A stream says where its rows are found at first ([`Rows`]) and how later changes are
//! learned ([`Changes`]). Everything else is the same for all of them.

use std::sync::LazyLock;

use crate::legacy::Fill;
use crate::links::Link;

#[macro_use]
mod parts;
mod billing;
mod customers;
mod payments;

/// One stream.
pub struct Def {
    /// The stream's name.
    pub name: &'static str,
    /// Its JSON schema.
    pub schema: &'static str,
    /// The field that the primary key consists of, if it has one.
    pub key: Option<&'static str>,
    /// The cursor field, for streams that can be read incrementally.
    pub cursor: Option<&'static str>,
    /// Where rows are found.
    pub rows: Rows,
    /// How changes are learned.
    pub changes: Changes,
    /// After how many days all is listed anew, because changes are not reported reliably.
    pub relist_days: Option<u32>,
}

/// Where a stream's rows are found.
pub enum Rows {
    /// They are the objects of a list.
    List(List),
    /// They are inside or below the objects of lists.
    Children(&'static [Children]),
    /// There is one object, whose present state is the row.
    Snapshot(&'static str),
}

/// A list endpoint.
#[derive(Clone, Copy)]
pub struct List {
    /// The path.
    pub path: &'static str,
    /// What its objects call themselves; others are not this stream's.
    pub object: &'static str,
    /// Fixed parameters.
    pub params: &'static [(&'static str, &'static str)],
    /// What is expanded, without `data.`.
    pub expand: &'static [&'static str],
    /// The same for API versions before 2025-03-31.basil.
    pub expand_before_basil: &'static [&'static str],
    /// Where an object says when it was last changed, or made.
    pub time: Time,
    /// Whether the list can be narrowed by creation time.
    pub by_created: bool,
    /// Columns that Stripe has moved since 2022-11-15, filled from where they are now.
    pub fill: Option<Fill>,
    /// Bounds of the API versions that this list can be asked in.
    pub version: Version,
    /// Whether objects bound to test clocks are listed only by clock.
    pub by_clock: bool,
}

/// Bounds of API versions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Any version.
    Any,
    /// This one or a later one.
    AtLeast(&'static str),
    /// This one or an earlier one.
    AtMost(&'static str),
}

/// Where the value of `updated` comes from on a first read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// This field, in epoch seconds.
    Field(&'static str),
    /// The object has a field `updated` of its own, which stays.
    Own,
    /// Rows have no such column, or the link to the parent gives it.
    None,
}

/// Rows inside or below other objects.
pub struct Children {
    /// The parents.
    pub parent: Parent,
    /// Parents that are themselves inside the listed objects, by the field of their list.
    pub via: Option<&'static str>,
    /// Where a parent's rows are.
    pub at: Place,
    /// What the rows call themselves; others are not this stream's.
    pub object: &'static str,
    /// What a row gets from its parent.
    pub link: Link,
    /// Columns that Stripe has moved.
    pub fill: Option<Fill>,
}

/// Whose children they are.
pub enum Parent {
    /// The objects of a list.
    List(List),
    /// The account that is read.
    Account,
}

/// Where a parent's rows are.
#[derive(Clone, Copy)]
pub enum Place {
    /// In a list inside the parent that holds the first ten; its `url` has the rest.
    Inline(&'static str),
    /// In a field of the parent: an object, or an array of them.
    Field(&'static str),
    /// At an endpoint of their own. `{id}` stands for the parent's id, in the path and in
    /// parameters.
    Endpoint {
        /// The path.
        path: &'static str,
        /// Parameters.
        params: &'static [(&'static str, &'static str)],
    },
}

/// How changes are learned.
pub enum Changes {
    /// They are not: the stream is read in full each time.
    None,
    /// Objects never change; new ones are listed from the cursor on. With a field given,
    /// objects made earlier whose time in that field has come meanwhile are listed too.
    Created {
        /// The field and how many days back to look.
        ripens: Option<(&'static str, i64)>,
        /// Whether the newest objects are left for the next read, since the list is
        /// complete only after a while.
        settles: bool,
    },
    /// Events name changed objects, which are asked for again.
    Objects {
        /// The events.
        topic: Topic,
        /// The path of one object; `{field}` stands for a field of the event's object.
        /// Empty: the event's own copy is the row.
        retrieve: &'static str,
        /// What no event tells: further lists to look through on each read.
        unreported: &'static [Unreported],
    },
    /// Events name parents, all of whose rows are brought again.
    Parents {
        /// The events.
        topic: Topic,
        /// The path of one parent. Empty: its id is all that is needed of it.
        retrieve: &'static str,
        /// Only children made since the last read are rows: they never change.
        new_only: bool,
    },
}

/// A group of events.
#[derive(Clone, Copy)]
pub struct Topic {
    /// Event types (docs "Types of events").
    pub types: &'static [&'static str],
    /// What the events' objects call themselves, and which of their fields holds the id
    /// of what changed. Events about other objects are not meant.
    pub objects: &'static [(&'static str, &'static str)],
}

/// Objects that change without an event.
pub struct Unreported {
    /// Parameters that narrow the list to them.
    pub params: &'static [(&'static str, &'static str)],
    /// The dotted field with the time of the change.
    pub field: &'static str,
    /// How many days after its creation an object may change so.
    pub days: i64,
}

impl List {
    const fn of(path: &'static str, object: &'static str) -> Self {
        List {
            path,
            object,
            params: &[],
            expand: &[],
            expand_before_basil: &[],
            time: Time::Field("created"),
            by_created: true,
            fill: None,
            version: Version::Any,
            by_clock: false,
        }
    }

    const fn params(self, params: &'static [(&'static str, &'static str)]) -> Self {
        List { params, ..self }
    }

    const fn expand(self, expand: &'static [&'static str]) -> Self {
        List { expand, expand_before_basil: expand, ..self }
    }

    const fn expand_since_basil(
        self,
        expand: &'static [&'static str],
        before: &'static [&'static str],
    ) -> Self {
        List { expand, expand_before_basil: before, ..self }
    }

    const fn time(self, time: Time) -> Self {
        List { time, ..self }
    }

    const fn fill(self, fill: Fill) -> Self {
        List { fill: Some(fill), ..self }
    }

    const fn version(self, version: Version) -> Self {
        List { version, ..self }
    }

    const fn unfiltered(self) -> Self {
        List { by_created: false, ..self }
    }

    const fn by_clock(self) -> Self {
        List { by_clock: true, ..self }
    }
}

/// All streams, in the order of the catalog: by name.
pub static STREAMS: LazyLock<Vec<&'static Def>> = LazyLock::new(|| {
    let groups = [billing::STREAMS, customers::STREAMS, payments::STREAMS];
    let mut streams: Vec<&'static Def> = groups.into_iter().flatten().collect();
    streams.sort_unstable_by_key(|def| def.name);
    streams
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(STREAMS.len(), 60);
        let names: Vec<_> = STREAMS.iter().map(|def| def.name).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(names.len(), unique.len());
        for def in STREAMS.iter() {
            let schema = cdk::schema::parse(def.name, def.schema).unwrap();
            for field in def.key.iter().chain(&def.cursor) {
                assert!(schema["properties"].get(*field).is_some(), "{}.{field}", def.name);
            }
            assert_eq!(def.cursor.is_none(), matches!(def.changes, Changes::None), "{}", def.name);
        }
    }
}
