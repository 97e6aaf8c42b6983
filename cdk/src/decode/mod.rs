//! Bodies that are files: decoded while they come in, in memory that depends on the greatest
//! row and not on the file.
//!
//! [`gunzip`] unpacks a body, [`JsonLines`] and [`Csv`] cut one into rows, [`RowWriter`] makes
//! a record of a CSV row. A decoder says [`Broken`] where a body breaks off or does not parse,
//! which is worth asking again for.
//!
//! ```
//! # async fn example(client: &cdk::http::Client, reading: &cdk::read::Reading)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! # use cdk::decode::{Csv, Member, RowWriter, column, gunzip};
//! let file = client.open(&client.get("/results.csv.gz")).await.map_err(|f| f.error)?;
//! let mut csv = Csv::open(gunzip(file.body), b',').await?;
//! let members = csv.headers().enumerate().map(|(at, name)| match name {
//!     "Amount" => Member::cell(name, at, column::number),
//!     _ => Member::cell(name, at, column::text),
//! });
//! let mut writer = RowWriter::new(members);
//! let mut batch = reading.batch();
//! while let Some(row) = csv.next().await? {
//!     batch.push(&[writer.json(row)]);
//!     if batch.bytes() > 256 << 10 {
//!         reading.write(std::mem::replace(&mut batch, reading.batch())).await;
//!     }
//! }
//! reading.write(batch).await;
//! # Ok(())
//! # }
//! ```

pub mod column;
mod csv;
mod gzip;
mod lines;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};

use crate::http::Broken;

pub use self::csv::{Csv, Member, Row, RowWriter};
pub use gzip::gunzip;
pub use lines::JsonLines;

/// The pieces of a body, such as [`crate::http::Incoming::body`].
pub type Body = BoxStream<'static, Result<Bytes, Broken>>;

/// A byte order mark, which some servers put before a file.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Whether a body begins with `mark`, and the same body with all of the mark in its first
/// piece.
async fn begins_with(mut body: Body, mark: &[u8]) -> (bool, Body) {
    let mut head = BytesMut::new();
    let mut rest = None;
    while head.len() < mark.len() && rest.is_none() {
        match body.next().await {
            Some(Ok(piece)) => head.extend_from_slice(&piece),
            end => rest = Some(end),
        }
    }
    let begins = head.starts_with(mark);
    let ended = stream::iter(rest.flatten());
    (begins, stream::iter([Ok(head.freeze())]).chain(ended).chain(body).boxed())
}

/// The body without byte order marks at its begin.
async fn without_marks(mut body: Body) -> Body {
    loop {
        let (is_marked, mut whole) = begins_with(body, BOM).await;
        if !is_marked {
            return whole;
        }
        let first = whole.next().await.map(|first| first.map(|piece| piece.slice(BOM.len()..)));
        body = stream::iter(first).chain(whole).boxed();
    }
}

/// A body as a reader; [`broken`] makes its errors what they were.
fn reader(body: Body) -> impl tokio::io::AsyncBufRead + Send + Unpin {
    tokio_util::io::StreamReader::new(body.map_err(std::io::Error::other))
}

fn broken(error: &std::io::Error) -> Broken {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Broken>());
    known.cloned().unwrap_or_else(|| Broken::Network(error.to_string()))
}

#[cfg(test)]
mod tests;
