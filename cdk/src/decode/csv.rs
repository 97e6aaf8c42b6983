//! CSV (RFC 4180): cells are what the file says, none is taken for a missing value or a number
//! that was not declared one.

use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord, ErrorKind};
use serde_json::Value;
use tokio::io::AsyncBufRead;

use super::column::{Convert, string};
use super::{Body, broken, reader, without_marks};
use crate::http::Broken;

/// Bytes asked of the body at a time.
const READ_BYTES: usize = 64 << 10;

/// A CSV body whose first row names the columns.
pub struct Csv {
    reader: AsyncReader<Box<dyn AsyncBufRead + Send + Unpin>>,
    headers: Vec<String>,
    record: ByteRecord,
    rows: u64,
}

/// One row.
#[derive(Clone, Copy)]
pub struct Row<'a>(&'a ByteRecord);

impl Csv {
    /// Reads the first row. An empty body has no columns and no rows.
    ///
    /// # Errors
    /// When the body breaks off, or the names are no text.
    pub async fn open(body: Body, delimiter: u8) -> Result<Self, Broken> {
        // The parser below takes a mark that comes in a piece of its own for the end.
        let body = without_marks(body).await;
        let input: Box<dyn AsyncBufRead + Send + Unpin> = Box::new(reader(body));
        let mut reader = AsyncReaderBuilder::new()
            .delimiter(delimiter)
            .buffer_capacity(READ_BYTES)
            .create_reader(input);
        let headers = reader.headers().await.map_err(|e| not_csv(&e))?;
        let headers = headers.iter().map(str::to_owned).collect();
        Ok(Csv { reader, headers, record: ByteRecord::new(), rows: 0 })
    }

    /// The names of the columns.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = &str> {
        self.headers.iter().map(String::as_str)
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// When the body breaks off, or a row has more or fewer cells than the first one.
    pub async fn next(&mut self) -> Result<Option<Row<'_>>, Broken> {
        let found = self.reader.read_byte_record(&mut self.record).await;
        Ok(found.map_err(|e| not_csv(&e))?.then(|| {
            self.rows += 1;
            Row(&self.record)
        }))
    }

    /// Passes over rows that were read before a body broke off.
    ///
    /// # Errors
    /// As [`Csv::next`]; also when there are not so many rows.
    pub async fn skip(&mut self, rows: u64) -> Result<(), Broken> {
        for _ in 0..rows {
            if self.next().await?.is_none() {
                let had = self.rows;
                return Err(Broken::Network(format!("{rows} rows were there, now only {had}")));
            }
        }
        Ok(())
    }

    /// Rows read so far, without the names.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl<'a> Row<'a> {
    /// A cell's bytes; `None` behind the last column.
    pub fn get(&self, column: usize) -> Option<&'a [u8]> {
        self.0.get(column)
    }

    /// The cells in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter()
    }
}

fn not_csv(error: &csv_async::Error) -> Broken {
    match error.kind() {
        ErrorKind::Io(io) => broken(io),
        _ => Broken::Network(error.to_string()),
    }
}

/// A member of the objects that a [`RowWriter`] makes.
pub struct Member {
    /// The member's name as JSON, with the colon.
    key: String,
    value: Source,
}

/// Where a member's value comes from.
enum Source {
    Cell(usize, Convert),
    Object(Vec<Member>),
    Around(usize, String, String),
    Nothing,
}

impl Member {
    fn new(name: &str, value: Source) -> Self {
        Member { key: format!("{}:", Value::from(name)), value }
    }

    /// The value of a column's cell.
    pub fn cell(name: &str, column: usize, convert: Convert) -> Self {
        Self::new(name, Source::Cell(column, convert))
    }

    /// An object with members of its own; null when all their cells are empty.
    pub fn object(name: &str, members: Vec<Member>) -> Self {
        Self::new(name, Source::Object(members))
    }

    /// A string: a column's cell with a text before and one behind it; null when the cell is
    /// empty.
    pub fn around(name: &str, before: &str, column: usize, behind: &str) -> Self {
        Self::new(name, Source::Around(column, before.to_owned(), behind.to_owned()))
    }

    /// Always null.
    pub fn null(name: &str) -> Self {
        Self::new(name, Source::Nothing)
    }

    fn is_empty(&self, row: Row<'_>) -> bool {
        match &self.value {
            Source::Cell(column, _) | Source::Around(column, ..) => {
                row.get(*column).is_none_or(<[u8]>::is_empty)
            }
            Source::Object(members) => members.iter().all(|member| member.is_empty(row)),
            Source::Nothing => true,
        }
    }

    fn write(&self, row: Row<'_>, json: &mut Vec<u8>) {
        json.extend_from_slice(self.key.as_bytes());
        match &self.value {
            Source::Cell(column, convert) => convert(row.get(*column).unwrap_or_default(), json),
            _ if self.is_empty(row) => json.extend_from_slice(b"null"),
            Source::Object(members) => write_object(members, row, json),
            Source::Around(column, before, behind) => {
                let cell = row.get(*column).unwrap_or_default();
                string(&[before.as_bytes(), cell, behind.as_bytes()].concat(), json);
            }
            Source::Nothing => json.extend_from_slice(b"null"),
        }
    }
}

fn write_object(members: &[Member], row: Row<'_>, json: &mut Vec<u8>) {
    json.push(b'{');
    for (at, member) in members.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        member.write(row, json);
    }
    json.push(b'}');
}

/// Makes JSON objects of rows.
pub struct RowWriter {
    members: Vec<Member>,
    json: Vec<u8>,
}

impl RowWriter {
    /// A writer of objects with these members.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        RowWriter { members: members.into_iter().collect(), json: Vec::new() }
    }

    /// A row as the text of a JSON object. Ready to be a part of
    /// [`airbyte_protocol::RecordBatch::push`].
    pub fn json(&mut self, row: Row<'_>) -> &[u8] {
        self.json.clear();
        write_object(&self.members, row, &mut self.json);
        &self.json
    }
}
