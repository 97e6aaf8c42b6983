//! A page of Bulk results: CSV made row by row while it is sent, compressed if the client likes.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::results::Results;

/// About so many bytes of text are made at a time.
const PART: usize = 1 << 16;

/// How the cells and lines of a job's results are parted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells.
    pub delimiter: u8,
    /// At the end of a line.
    pub line_ending: &'static str,
}

/// The parts of one page.
pub struct Page {
    results: Arc<Results>,
    dialect: Dialect,
    position: u64,
    rows_left: u64,
    is_begun: bool,
    gzip: Option<GzEncoder<Vec<u8>>>,
    scratch: Vec<u8>,
    is_done: bool,
}

impl Page {
    /// `rows` rows from a position on, under the header row.
    pub fn new(
        results: Arc<Results>,
        dialect: Dialect,
        position: u64,
        rows: u64,
        gzip: bool,
    ) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        let scratch = Vec::with_capacity(256);
        Self {
            results,
            dialect,
            position,
            rows_left: rows,
            is_begun: false,
            gzip,
            scratch,
            is_done: false,
        }
    }

    fn header(&self, out: &mut Vec<u8>) {
        let plan = &self.results.plan;
        let object = &self.results.org.objects[plan.object];
        for (at, field) in plan.fields.iter().enumerate() {
            if at > 0 {
                out.push(self.dialect.delimiter);
            }
            quoted(object.fields[*field].name.as_bytes(), out);
        }
        out.extend_from_slice(self.dialect.line_ending.as_bytes());
    }

    /// Appends the next row; false when there is none.
    fn row(&mut self, out: &mut Vec<u8>) -> bool {
        if self.rows_left == 0 {
            return false;
        }
        let results = self.results.clone();
        let Some((row, next)) = results.next(self.position) else { return false };
        (self.position, self.rows_left) = (next, self.rows_left - 1);
        for (at, field) in results.plan.fields.iter().enumerate() {
            if at > 0 {
                out.push(self.dialect.delimiter);
            }
            self.scratch.clear();
            row.text(*field, &mut self.scratch);
            quoted(&self.scratch, out);
        }
        out.extend_from_slice(self.dialect.line_ending.as_bytes());
        true
    }
}

impl Iterator for Page {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_done {
            return None;
        }
        let mut part = Vec::with_capacity(PART + PART / 4);
        if !self.is_begun {
            self.header(&mut part);
            self.is_begun = true;
        }
        while part.len() < PART && self.row(&mut part) {}
        self.is_done = part.len() < PART;
        let Some(gzip) = &mut self.gzip else {
            return (!part.is_empty()).then_some(part);
        };
        // Writing to memory does not fail.
        let _ = gzip.write_all(&part);
        if self.is_done {
            return self.gzip.take().and_then(|gzip| gzip.finish().ok());
        }
        // An empty part would say nothing; the next one carries on.
        Some(std::mem::take(gzip.get_mut()))
    }
}

fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if text.contains(&b'"') {
        for &c in text {
            if c == b'"' {
                out.push(c);
            }
            out.push(c);
        }
    } else {
        out.extend_from_slice(text);
    }
    out.push(b'"');
}

/// A whole body, compressed.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
