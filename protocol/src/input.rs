//! What a destination reads from stdin.

mod lines;

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
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

    /// The next line that is not blank, if one has been read already: what [`Input::next`] would
    /// give without waiting.
    pub fn ready(&mut self) -> Option<Line> {
        while !self.block.is_empty() {
            let end = memchr::memchr(b'\n', &self.block).unwrap_or(self.block.len());
            let line = self.block.split_to(end);
            let newline = usize::from(!self.block.is_empty());
            self.block = self.block.slice(newline..);
            let line = trim(&line);
            if !line.is_empty() {
                return Some(self.streams.typed(line));
            }
        }
        None
    }

    /// The next line that is not blank, or `None` at the end. Nothing is lost when the future is
    /// dropped before it is done.
    ///
    /// Fails when stdin cannot be read. A line that is no message is no failure, but
    /// [`Line::Invalid`]: runners let log text through.
    pub async fn next(&mut self) -> Result<Option<Line>> {
        loop {
            if let Some(line) = self.ready() {
                return Ok(Some(line));
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
fn read_blocks(mut reader: impl Read, blocks: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let old = pending.len();
        pending.resize(old + READ_BYTES, 0);
        let read = reader.read(&mut pending[old..]);
        pending.truncate(old + read.as_ref().map_or(0, |count| *count));
        let block = match read {
            Ok(0) => {
                if !pending.is_empty() {
                    let _ = blocks.blocking_send(Ok(pending.into()));
                }
                return;
            }
            Ok(_) => memchr::memrchr(b'\n', &pending[old..]).map(|at| {
                // What is left of the last line goes on in the next block.
                let rest = pending[old + at + 1..].to_vec();
                pending.truncate(old + at + 1);
                Ok(Bytes::from(std::mem::replace(&mut pending, rest)))
            }),
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
struct Descriptors {
    by_name: HashMap<String, Vec<Arc<StreamDescriptor>>>,
    /// What lines of records begin with, up to their data. Writers write it in the same way for
    /// each record of a stream, so it has to be understood only once.
    by_head: HashMap<Bytes, Arc<StreamDescriptor>>,
    data: memchr::memmem::Finder<'static>,
}

impl Default for Descriptors {
    fn default() -> Self {
        let data = memchr::memmem::Finder::new(DATA);
        Self { by_name: HashMap::new(), by_head: HashMap::new(), data }
    }
}

/// The key before a record's data.
const DATA: &[u8] = b"\"data\":";
/// Heads that are remembered, at most: a writer that puts changing things there gains nothing.
const HEADS: usize = 4096;

impl Descriptors {
    fn typed(&mut self, raw: Bytes) -> Line {
        let head = self.end_of_head(&raw);
        let known = head.and_then(|head| Some((head, self.by_head.get(&raw[..head])?)));
        if let Some((head, stream)) = known
            && let Some(record) = RecordLine::with_known_head(&raw, head, stream)
        {
            return Line::Record(record);
        }
        let line = Envelope::parse(&raw).and_then(|envelope| self.line_of(&raw, envelope));
        line.unwrap_or_else(|reason| Line::Invalid { raw, reason })
    }

    fn line_of(&mut self, raw: &Bytes, mut envelope: Envelope<'_>) -> Result<Line, String> {
        match envelope.kind.as_deref() {
            Some("RECORD") => {
                let head = envelope.record.take().ok_or("it has no `record`")?;
                let name = head.stream.as_deref().ok_or("the record has no `stream`")?;
                let stream = self.shared(name, head.namespace.as_deref());
                let record = RecordLine::of(raw, stream, &head)?;
                self.remember(raw, &record);
                Ok(Line::Record(record))
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

    /// Where the first key `data` ends.
    fn end_of_head(&self, raw: &[u8]) -> Option<usize> {
        self.data.find(raw).map(|at| at + DATA.len())
    }

    fn remember(&mut self, raw: &Bytes, record: &RecordLine) {
        let head = record.data().as_ptr() as usize - raw.as_ptr() as usize;
        let head = raw[..head].trim_ascii_end();
        let is_first = self.end_of_head(raw) == Some(head.len());
        if is_first && self.by_head.len() < HEADS {
            // A copy, so that it does not keep the block that it came with.
            self.by_head.insert(Bytes::copy_from_slice(head), Arc::clone(record.stream()));
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
