//! REST queries: pages of records behind query locators.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::error::Error;
use super::json::{self, Form};
use super::results::Results;
use super::text;

/// Rows of a page, at most and at least.
const MAX_BATCH: u64 = 2000;
const MIN_BATCH: u64 = 200;

/// Rows with more fields than this come in smaller pages.
const NARROW: usize = 60;

/// Cursors live for two days.
const LIFE_S: i64 = 2 * 86_400;

/// Open cursors.
#[derive(Default)]
pub struct Cursors(Mutex<HashMap<String, Cursor>>);

struct Cursor {
    results: Arc<Results>,
    created: i64,
    batch: u64,
    /// Where each page that was announced begins: rows before it, and the position.
    pages: BTreeMap<u64, u64>,
}

impl Cursors {
    /// The first page of a query.
    pub fn open(
        &self,
        results: Results,
        wanted: Option<u64>,
        version: &str,
        number: u64,
        now: i64,
    ) -> Vec<u8> {
        let fields = results.plan.fields.len();
        let mut batch = wanted.unwrap_or(MAX_BATCH).clamp(MIN_BATCH, MAX_BATCH);
        if fields > NARROW {
            batch = (batch * NARROW as u64 / fields as u64).max(MIN_BATCH);
        }
        let start = results.start();
        let mut cursor = Cursor {
            results: Arc::new(results),
            created: now,
            batch,
            pages: BTreeMap::from([(0, start)]),
        };
        let locator = locator(number);
        let body = cursor.page(0, &locator, version);
        if cursor.pages.len() > 1 {
            let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            open.retain(|_, c| now - c.created < LIFE_S);
            open.insert(locator, cursor);
        }
        body
    }

    /// The page of a locator with offset, such as `0r8…-2000`.
    pub fn page(&self, locator: &str, version: &str, now: i64) -> Result<Vec<u8>, Error> {
        let invalid = || Error::bad("INVALID_QUERY_LOCATOR", "invalid query locator");
        let (id, offset) = locator.rsplit_once('-').ok_or_else(invalid)?;
        let offset = offset.parse().map_err(|_| invalid())?;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = open.get_mut(id).filter(|c| now - c.created < LIFE_S).ok_or_else(invalid)?;
        if !cursor.pages.contains_key(&offset) {
            return Err(invalid());
        }
        Ok(cursor.page(offset, id, version))
    }
}

impl Cursor {
    fn page(&mut self, offset: u64, locator: &str, version: &str) -> Vec<u8> {
        let plan = &self.results.plan;
        let total = self.results.total;
        let mut out = Vec::with_capacity(1 << 16);
        out.extend_from_slice(b"{\"totalSize\":");
        text::number(total, &mut out);
        let end = if plan.is_count { total } else { total.min(offset + self.batch) };
        let done = end == total;
        out.extend_from_slice(if done { b",\"done\":true" } else { b",\"done\":false" });
        if !done {
            let resource = if plan.all { "queryAll" } else { "query" };
            let next = format!(
                ",\"nextRecordsUrl\":\"/services/data/v{version}/{resource}/{locator}-{end}\""
            );
            out.extend_from_slice(next.as_bytes());
        }
        out.extend_from_slice(b",\"records\":[");
        let mut position = self.pages[&offset];
        if !plan.is_count {
            for at in offset..end {
                let Some((row, next)) = self.results.next(position) else { break };
                if at > offset {
                    out.push(b',');
                }
                json::record(&row, &plan.fields, Form::Rest(version), &mut out);
                position = next;
            }
        }
        out.extend_from_slice(b"]}");
        if !done {
            self.pages.insert(end, position);
        }
        out
    }
}

/// 18 characters, `0r8` in front.
fn locator(number: u64) -> String {
    super::ids::id("0r8", number)
}
