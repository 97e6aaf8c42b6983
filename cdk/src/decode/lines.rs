//! JSON lines.

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use serde::de::IgnoredAny;

use super::{BOM, Body};
use crate::http::Broken;

/// A body of one JSON value a line.
pub struct JsonLines {
    body: Body,
    /// What came in and was not given out yet.
    buffer: BytesMut,
    /// How much of the buffer is known to hold no newline.
    searched: usize,
    ended: bool,
    rows: u64,
}

impl JsonLines {
    /// The lines of a body.
    pub fn new(body: Body) -> Self {
        JsonLines { body, buffer: BytesMut::new(), searched: 0, ended: false, rows: 0 }
    }

    /// The next line's JSON text, without the newline; `None` at the end. Blank lines are
    /// passed over.
    ///
    /// # Errors
    /// When the body breaks off, or a line is no complete JSON value.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        while let Some(line) = self.line().await? {
            let text = line.strip_prefix(BOM).unwrap_or(&line).trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.rows += 1;
            if let Err(why) = serde_json::from_slice::<IgnoredAny>(text) {
                return Err(Broken::Network(format!("row {} is no JSON: {why}", self.rows)));
            }
            return Ok(Some(line.slice_ref(text)));
        }
        Ok(None)
    }

    /// Rows given out so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    async fn line(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + at + 1).freeze();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
            match self.body.try_next().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }
}
