//! CSV (RFC 4180): cells are what the file says, none is taken for a missing value or a number
//! that was not declared one.

use csv_async::{AsyncReader, AsyncReaderBuilder, ByteRecord, ErrorKind};
use serde_json::Value;
use tokio::io::AsyncBufRead;

use super::column::Convert;
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

/// Makes JSON objects of rows.
pub struct RowWriter {
    /// For each column of the file its member's key with colon, and how cells become values.
    columns: Vec<Option<(String, Convert)>>,
    json: Vec<u8>,
}

impl RowWriter {
    /// A writer for rows of these columns, in the file's order: the member's name and the
    /// conversion, or `None` for a column to leave out.
    pub fn new<'n>(columns: impl IntoIterator<Item = Option<(&'n str, Convert)>>) -> Self {
        let columns = columns.into_iter().map(|column| {
            column.map(|(name, convert)| (format!("{}:", Value::from(name)), convert))
        });
        RowWriter { columns: columns.collect(), json: Vec::new() }
    }

    /// A row as the text of a JSON object. Ready to be a part of
    /// [`airbyte_protocol::RecordBatch::push`].
    pub fn json(&mut self, row: Row<'_>) -> &[u8] {
        self.json.clear();
        self.json.push(b'{');
        for (cell, column) in row.iter().zip(&self.columns) {
            let Some((key, convert)) = column else { continue };
            if self.json.len() > 1 {
                self.json.push(b',');
            }
            self.json.extend_from_slice(key.as_bytes());
            convert(cell, &mut self.json);
        }
        self.json.push(b'}');
        &self.json
    }
}
