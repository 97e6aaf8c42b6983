//! Reading rows by REST queries.

use cdk::http::Failure;
use cdk::read::Reading;

use crate::api::{Api, Rows};
use crate::columns::Columns;
use crate::state::millis;

/// Rows that one task writes at a time, in bytes: with the last row they fit into the 64 KiB that a
/// pipe takes, and buffers do not double for it.
pub const BATCH: usize = 48 << 10;

/// The rows of all pages of a query, written.
pub struct Written {
    /// How many there were.
    pub rows: u64,
    /// The greatest cursor value among them, in milliseconds since the epoch.
    pub recent: Option<i64>,
}

/// Writes the rows of a query from its first page on. A page is let go of before the next one
/// is asked for: pages in memory are counted, and whoever holds one must not wait for another.
///
/// # Errors
/// As [`Api::more`]; also when a record is not one.
pub async fn write_all(
    api: &Api,
    reading: &Reading,
    columns: &Columns,
    first: Rows,
) -> Result<Written, Failure> {
    let mut written = Written { rows: 0, recent: None };
    let mut newest = String::new();
    let mut page = Some(first);
    while let Some(rows) = page.take() {
        reading.keep_going()?;
        written.rows += write_page(reading, columns, &rows, &mut newest).await?;
        let next = rows.next.clone();
        drop(rows);
        if let Some(next) = next {
            page = Some(api.more(&next).await?);
        }
    }
    written.recent = millis(&newest);
    Ok(written)
}

async fn write_page(
    reading: &Reading,
    columns: &Columns,
    rows: &Rows,
    newest: &mut String,
) -> Result<u64, Failure> {
    let writer = columns.rest_writer();
    let (mut batch, mut json) = (reading.batch(), Vec::new());
    for record in rows.page.records() {
        if let Some(cursor) = writer.write(record, &mut json)? {
            // Times of one form and length compare as texts.
            if *cursor > **newest {
                newest.clear();
                newest.push_str(cursor);
            }
        }
        batch.push(&[&json]);
        if batch.bytes() >= BATCH {
            reading.write(std::mem::replace(&mut batch, reading.batch())).await;
        }
    }
    reading.write(batch).await;
    Ok(rows.page.len() as u64)
}
