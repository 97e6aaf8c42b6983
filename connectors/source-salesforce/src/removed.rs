//! Rows that were deleted for good: gone from every query, told of only by a list of the last
//! 15 days (docs "sObject Get Deleted").

use std::collections::BTreeMap;

use airbyte_protocol::Result;
use cdk::http::Failure;
use cdk::read::Reading;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use serde_json::json;
use tracing::warn;

use crate::api::Api;
use crate::state::millis;

const MINUTE: i64 = 60_000;
const FIFTEEN_DAYS: i64 = 15 * 86_400_000;
/// Ids in the filter of one query.
const IDS: usize = 200;

/// What reading an object's deletions needs.
pub struct Removed<'a> {
    /// The API.
    pub api: &'a Api,
    /// Where rows go.
    pub reading: &'a Reading,
    /// The object.
    pub object: &'a str,
    /// The field that bears the time of deletion.
    pub cursor: &'a str,
}

impl Removed<'_> {
    /// Writes a row for each deletion since the last read, and tells up to when the list was
    /// complete. Rows that a query still knows, such as those in the recycle bin, come with
    /// their other columns anyway and are left out.
    ///
    /// # Errors
    /// As [`Api::deleted`].
    pub async fn read(&self, since: i64, to: i64) -> Result<i64, Failure> {
        let earliest = self.api.now() - FIFTEEN_DAYS + MINUTE;
        if since < earliest {
            warn!(
                "{}: the last read was more than 15 days ago. Hard deletes of the time before {} cannot be learned any more: a full refresh would show them.",
                self.object,
                minute(earliest)
            );
        }
        let since = since.max(earliest);
        let covered = self.range(since - since.rem_euclid(MINUTE), to + MINUTE).await?;
        Ok(covered.unwrap_or(to).clamp(since, to.max(since)))
    }

    /// Writes the deletions of a range; one with too many is halved.
    fn range(&self, from: i64, to: i64) -> BoxFuture<'_, Result<Option<i64>, Failure>> {
        Box::pin(async move {
            let answer = self.api.deleted(self.object, &minute(from), &minute(to)).await;
            let answer = match answer {
                Err(failure) if failure.is_code("EXCEEDED_ID_LIMIT") && to - from > 2 * MINUTE => {
                    let middle = from + (to - from) / 2;
                    let middle = middle - middle.rem_euclid(MINUTE);
                    self.range(from, middle).await?;
                    return self.range(middle, to).await;
                }
                answer => answer?,
            };
            let gone: BTreeMap<&str, &str> = answer
                .deleted_records
                .iter()
                .map(|row| (row.id.as_str(), row.deleted_date.as_str()))
                .collect();
            let gone: Vec<_> = gone.into_iter().collect();
            for part in gone.chunks(IDS) {
                self.reading.keep_going()?;
                self.part(part).await?;
            }
            Ok(answer.latest_date_covered.as_deref().and_then(millis))
        })
    }

    async fn part(&self, part: &[(&str, &str)]) -> Result<(), Failure> {
        let ids: Vec<String> = part.iter().map(|(id, _)| format!("'{id}'")).collect();
        let soql = format!("SELECT Id FROM {} WHERE Id IN ({})", self.object, ids.join(","));
        let mut known = std::collections::BTreeSet::new();
        let mut next = Some(self.api.query(&soql).await?);
        while let Some(rows) = next.take() {
            let ids = rows
                .page
                .records()
                .filter_map(|row| cdk::json::plain(cdk::json::fields(row, ["Id"])[0]?));
            known.extend(ids);
            let link = rows.next.clone();
            drop(rows);
            if let Some(link) = link {
                next = Some(self.api.more(&link).await?);
            }
        }
        let mut batch = self.reading.batch();
        for (id, deleted) in part.iter().filter(|(id, _)| !known.contains(*id)) {
            let at = deleted.strip_suffix("+0000").map(|time| format!("{time}Z"));
            let at = at.unwrap_or_else(|| (*deleted).to_owned());
            let row = json!({ "Id": id, "IsDeleted": true, self.cursor: at }).to_string();
            batch.push(&[row.as_bytes()]);
        }
        self.reading.write(batch).await;
        Ok(())
    }
}

fn minute(at: i64) -> String {
    let at = DateTime::<Utc>::from_timestamp_millis(at).unwrap_or_default();
    at.format("%Y-%m-%dT%H:%M:00+00:00").to_string()
}
