//! Single records, their blobs, and the logs of deleted and updated ids.

use serde_json::{Value, json};

use super::error::Error;
use super::json::{self, Form};
use super::kind::Kind;
use super::org::Org;
use super::overlay::Overlay;
use super::row::Row;
use super::settings::Settings;
use super::{describe, ids, query, text};

/// Deleted ids are known for 15 days.
const KEPT_S: i64 = 15 * 86_400;

/// Most ids of one answer.
const MAX_IDS: usize = 600_000;

/// What the endpoints below `/sobjects/{object}` look at.
pub struct View<'a> {
    /// The org.
    pub org: &'a Org,
    /// Admin changes.
    pub overlay: &'a Overlay,
    /// Permissions.
    pub settings: &'a Settings,
    /// API version in the path.
    pub version: &'a str,
    /// Unix seconds.
    pub now: i64,
}

impl View<'_> {
    fn row(&self, object: usize, id: &str) -> Result<Row<'_>, Error> {
        let index =
            ids::index(&self.org.objects[object].prefix, id).ok_or_else(Error::not_found)?;
        let row = Row::new(self.org, self.overlay, object, index);
        let seen = row.exists(self.now) && !row.is_deleted();
        if seen { Ok(row) } else { Err(Error::new(404, "ENTITY_IS_DELETED", "entity is deleted")) }
    }

    /// The body of `/sobjects/{object}/{id}`.
    pub fn record(&self, object: usize, id: &str) -> Result<Vec<u8>, Error> {
        let row = self.row(object, id)?;
        let name = &row.object.name;
        let fields: Vec<usize> = (0..row.object.fields.len())
            .filter(|f| !self.settings.hides(name, Some(&row.object.fields[*f].name)))
            .collect();
        let mut out = Vec::new();
        json::record(&row, &fields, Form::Rest(self.version), &mut out);
        Ok(out)
    }

    /// The bytes of `/sobjects/{object}/{id}/{field}`.
    pub fn blob(&self, object: usize, id: &str, field: &str) -> Result<Vec<u8>, Error> {
        let row = self.row(object, id)?;
        let field = row.object.field(field).ok_or_else(Error::not_found)?;
        if row.object.fields[field].kind != Kind::Base64 {
            return Err(Error::not_found());
        }
        Ok(row.blob(field))
    }

    /// The body of `/sobjects/{object}/deleted`.
    pub fn deleted(&self, object: usize, query: &str) -> Result<Value, Error> {
        let (start, end) = self.range(object, query)?;
        let mut records = Vec::new();
        self.each(object, |row| {
            let deleted = row.purged().or_else(|| row.is_deleted().then(|| row.stamp()));
            if let Some(at) = deleted.filter(|at| (start..end).contains(at)) {
                let id = ids::id(&row.object.prefix, row.index);
                records.push(json!({"id": id, "deletedDate": rest_datetime(at)}));
            }
        });
        if records.len() > MAX_IDS {
            return Err(Error::bad("EXCEEDED_ID_LIMIT", "too many ids; shorten the range"));
        }
        Ok(json!({
            "deletedRecords": records,
            "earliestDateAvailable": rest_datetime(self.now - KEPT_S),
            "latestDateCovered": rest_datetime(end),
        }))
    }

    /// The body of `/sobjects/{object}/updated`.
    pub fn updated(&self, object: usize, query: &str) -> Result<Value, Error> {
        let (start, end) = self.range(object, query)?;
        let mut found = Vec::new();
        self.each(object, |row| {
            if row.exists(self.now) && !row.is_deleted() && (start..end).contains(&row.stamp()) {
                found.push(ids::id(&row.object.prefix, row.index));
            }
        });
        Ok(json!({"ids": found, "latestDateCovered": rest_datetime(end)}))
    }

    fn each(&self, object: usize, mut visit: impl FnMut(&Row<'_>)) {
        for index in 0..self.overlay.end(object, self.org.objects[object].rows) {
            visit(&Row::new(self.org, self.overlay, object, index));
        }
    }

    fn range(&self, object: usize, query: &str) -> Result<(i64, i64), Error> {
        let object = &self.org.objects[object];
        if !describe::replicateable(object) {
            let message = format!("entity {} is not replicateable", object.name);
            return Err(Error::bad("INVALID_REPLICATION_OBJECT", message));
        }
        let moment = |name: &str| {
            let seconds = query::get(query, name).as_deref().and_then(text::parse_seconds);
            // Seconds are ignored.
            seconds.map(|s| s - s.rem_euclid(60)).ok_or_else(|| {
                Error::bad("INVALID_FIELD", format!("{name} must be a date-time with a zone"))
            })
        };
        let (start, end) = (moment("start")?, moment("end")?);
        if start >= end {
            return Err(Error::bad("INVALID_REPLICATION_DATE", "start must be before end"));
        }
        if start < self.now - KEPT_S - 86_400 {
            let message = "start is before the earliest date available";
            return Err(Error::bad("INVALID_REPLICATION_DATE", message));
        }
        Ok((start, end.min(self.now)))
    }

    /// The body of `/limits/recordCount`.
    pub fn counts(&self, query: &str) -> Value {
        let wanted = query::get(query, "sObjects");
        let names: Option<Vec<&str>> = wanted.as_deref().map(|w| w.split(',').collect());
        let objects = self.org.objects.iter().enumerate().filter(|(_, o)| {
            let secondary = ["History", "Share", "Feed"].iter().any(|s| o.name.ends_with(s));
            let asked = names.as_ref().is_none_or(|n| n.iter().any(|n| n.trim() == o.name));
            asked && !secondary && o.queryable && !self.settings.hides(&o.name, None)
        });
        let counts: Vec<Value> = objects
            .map(|(index, object)| {
                let mut count = 0_u64;
                self.each(index, |row| {
                    count +=
                        u64::from(row.exists(self.now) && !row.is_deleted() && !row.is_archived());
                });
                json!({"name": object.name, "count": count})
            })
            .collect();
        json!({"sObjects": counts})
    }
}

fn rest_datetime(seconds: i64) -> String {
    format!("{}+0000", text::datetime_text(seconds).trim_end_matches('Z'))
}
