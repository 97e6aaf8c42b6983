//! What a destination reads from stdin.

mod lines;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use lines::{Line, RecordLine, StateLine, StatusLine};

use crate::catalog::StreamDescriptor;
use crate::error::{Error, Result};
use crate::message::Envelope;

/// Bytes asked for at a time.
const READ_BYTES: usize = 128 << 10;
/// Blocks that may wait to be taken.
const BLOCKS: usize = 4;

/// The lines of stdin, read by a thread of their own and typed one by one.
pub struct Input {
    blocks: mpsc::Receiver<std::io::Result<Bytes>>,
    /// Whole lines that were not taken yet.
    block: Bytes,
    streams: Descriptors,
}

impl Input {
    /// The lines of stdin.
    pub(crate) fn stdin() -> Self {
        Self::from_reader(std::io::stdin())
    }

    /// The lines of any reader.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        let (sender, blocks) = mpsc::channel(BLOCKS);
        let failed = sender.clone();
        let thread = std::thread::Builder::new().name("stdin".into());
        if let Err(error) = thread.spawn(move || read_blocks(reader, &sender)) {
            // The channel is empty, so this cannot fail.
            let _ = failed.try_send(Err(error));
        }
        Self { blocks, block: Bytes::new(), streams: Descriptors::default() }
    }

    /// The next line that is not blank, or `None` at the end.
    ///
    /// Fails when stdin cannot be read. A line that is no message is no failure, but
    /// [`Line::Invalid`]: runners let log text through.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            while !self.block.is_empty() {
                let end = memchr::memchr(b'\n', &self.block).unwrap_or(self.block.len());
                let line = self.block.split_to(end);
                let newline = usize::from(!self.block.is_empty());
                self.block = self.block.slice(newline..);
                let line = trim(&line);
                if !line.is_empty() {
                    return Ok(Some(self.streams.typed(line)));
                }
            }
            match self.blocks.recv().await {
                Some(Ok(block)) => self.block = block,
                Some(Err(error)) => {
                    return Err(
                        Error::system("The input cannot be read").with_internal(error.to_string())
                    );
                }
                None => return Ok(None),
            }
        }
    }
}

fn trim(line: &Bytes) -> Bytes {
    line.slice_ref(line.trim_ascii())
}

/// Sends blocks of whole lines, and at the end what remains.
fn read_blocks(reader: impl Read, blocks: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut reader = BufReader::with_capacity(READ_BYTES, reader);
    let mut pending = Vec::new();
    loop {
        let block = match reader.fill_buf() {
            Ok([]) => {
                if !pending.is_empty() {
                    let _ = blocks.blocking_send(Ok(pending.into()));
                }
                return;
            }
            Ok(bytes) => {
                let count = bytes.len();
                let lines = memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1);
                pending.extend_from_slice(&bytes[..lines]);
                let block = (lines > 0).then(|| Bytes::from(std::mem::take(&mut pending)));
                pending.extend_from_slice(&bytes[lines..]);
                reader.consume(count);
                block.map(Ok)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(error) => Some(Err(error)),
        };
        let Some(block) = block else { continue };
        let is_last = block.is_err();
        if blocks.blocking_send(block).is_err() || is_last {
            return;
        }
    }
}

/// One shared descriptor for each stream, so that a record need not own the names.
#[derive(Default)]
struct Descriptors {
    by_name: HashMap<String, Vec<Arc<StreamDescriptor>>>,
}

impl Descriptors {
    fn typed(&mut self, raw: Bytes) -> Line {
        let line = Envelope::parse(&raw).and_then(|envelope| self.line_of(&raw, envelope));
        line.unwrap_or_else(|reason| Line::Invalid { raw, reason })
    }

    fn line_of(&mut self, raw: &Bytes, mut envelope: Envelope<'_>) -> Result<Line, String> {
        match envelope.kind.as_deref() {
            Some("RECORD") => {
                let head = envelope.record.take().ok_or("it has no `record`")?;
                let name = head.stream.as_deref().ok_or("the record has no `stream`")?;
                let stream = self.shared(name, head.namespace.as_deref());
                Ok(Line::Record(RecordLine::of(raw, stream, &head)?))
            }
            Some("STATE") => Ok(Line::State(StateLine::of(raw, &envelope)?)),
            Some("TRACE") => Ok(match StatusLine::of(&envelope) {
                Some(status) => Line::Status(status),
                None => Line::Other(raw.clone()),
            }),
            Some(_) => Ok(Line::Other(raw.clone())),
            None => Err("it has no `type`".into()),
        }
    }

    fn shared(&mut self, name: &str, namespace: Option<&str>) -> Arc<StreamDescriptor> {
        let known = self.by_name.get(name).into_iter().flatten();
        if let Some(known) = known.into_iter().find(|known| known.namespace.as_deref() == namespace)
        {
            return Arc::clone(known);
        }
        let namespace = namespace.map(str::to_owned);
        let descriptor = Arc::new(StreamDescriptor { name: name.to_owned(), namespace });
        self.by_name.entry(name.to_owned()).or_default().push(Arc::clone(&descriptor));
        descriptor
    }
}

#[cfg(test)]
mod tests;
