//! The queue between those who write lines and the thread that owns the file.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::lock;

/// Bytes of records that may wait; who has more to write waits too.
const ROOM: usize = 1 << 20;
/// Lines up to this many bytes together leave in one write.
const SMALL: usize = 64 << 10;
/// Buffers kept for the next batches, and the sizes worth keeping.
const SPARE_BUFFERS: usize = 8;
const SPARE_BYTES: std::ops::RangeInclusive<usize> = 16 << 10..=1 << 20;

/// Called when what was pushed has been written.
pub(super) type Done = Box<dyn FnOnce() + Send>;

pub(super) struct Queue {
    lines: Mutex<Lines>,
    filled: Condvar,
    room: Semaphore,
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct Lines {
    waiting: VecDeque<Chunk>,
    /// Set when there is no thread: everything is written here at once.
    memory: Option<Vec<u8>>,
}

/// Whole lines that leave together.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    room: Room,
    done: Vec<Done>,
}

/// Room that a chunk takes in the queue, given back when it has been written.
#[derive(Default)]
pub(super) struct Room(usize);

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            lines: Mutex::default(),
            filled: Condvar::new(),
            room: Semaphore::new(ROOM),
            spare: Mutex::default(),
        }
    }

    pub(super) fn in_memory() -> Self {
        let queue = Self::new();
        lock(&queue.lines).memory = Some(Vec::new());
        queue
    }

    /// What was written, for a queue in memory.
    pub(super) fn memory(&self) -> Vec<u8> {
        lock(&self.lines).memory.clone().unwrap_or_default()
    }

    /// Waits until there is room for `bytes` more. What is greater than the whole room waits until
    /// all of it is free.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        if lock(&self.lines).memory.is_some() {
            return Room(0);
        }
        let wanted = bytes.min(ROOM);
        match self.room.acquire_many(wanted as u32).await {
            Ok(permit) => permit.forget(),
            Err(_) => return Room(0),
        }
        Room(wanted)
    }

    /// A line without its newline, rendered already.
    pub(super) fn push_line(&self, line: String) {
        self.push_with(|| line, None);
    }

    /// A line that is rendered while nobody else can push, so that its time stamp is in order.
    pub(super) fn push_with(&self, render: impl FnOnce() -> String, done: Option<Done>) {
        let mut lines = lock(&self.lines);
        let mut bytes = render().into_bytes();
        bytes.push(b'\n');
        lines.push(Chunk { bytes, room: Room(0), done: done.into_iter().collect() });
        drop(lines);
        self.filled.notify_one();
    }

    /// Whole lines with the room that they were given.
    pub(super) fn push(&self, bytes: Vec<u8>, room: Room) {
        let rest = lock(&self.lines).push(Chunk { bytes, room, done: Vec::new() });
        self.filled.notify_one();
        if let Some(buffer) = rest {
            self.keep(buffer);
        }
    }

    /// Calls `done` when everything pushed so far has been written.
    pub(super) fn when_written(&self, done: Done) {
        lock(&self.lines).push(Chunk { done: vec![done], ..Chunk::default() });
        self.filled.notify_one();
    }

    /// An empty buffer, one that was used before if possible: fresh memory costs page faults.
    pub(super) fn buffer(&self) -> Vec<u8> {
        lock(&self.spare).pop().unwrap_or_default()
    }

    fn keep(&self, mut buffer: Vec<u8>) {
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_BUFFERS && SPARE_BYTES.contains(&buffer.capacity()) {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Writes until the process ends or writing fails.
    pub(super) fn write_to(&self, mut writer: impl Write, on_error: impl FnOnce(io::Error)) {
        loop {
            let chunk = self.next();
            if let Err(error) = write_all(&mut writer, &chunk.bytes) {
                on_error(error);
                return;
            }
            self.room.add_permits(chunk.room.0);
            chunk.done.into_iter().for_each(|done| done());
            self.keep(chunk.bytes);
        }
    }

    fn next(&self) -> Chunk {
        let mut lines = lock(&self.lines);
        loop {
            match lines.waiting.pop_front() {
                Some(chunk) => return chunk,
                None => lines = self.filled.wait(lines).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Lines {
    /// Appends; small lines join those before them, and their buffer is given back.
    fn push(&mut self, chunk: Chunk) -> Option<Vec<u8>> {
        if let Some(memory) = &mut self.memory {
            memory.extend_from_slice(&chunk.bytes);
            chunk.done.into_iter().for_each(|done| done());
            return Some(chunk.bytes);
        }
        match self.waiting.back_mut() {
            Some(last) if last.bytes.len() + chunk.bytes.len() <= SMALL => {
                last.bytes.extend_from_slice(&chunk.bytes);
                last.room.0 += chunk.room.0;
                last.done.extend(chunk.done);
                Some(chunk.bytes)
            }
            _ => {
                self.waiting.push_back(chunk);
                None
            }
        }
    }
}

/// Writes and flushes all of it, also to a pipe that somebody made non-blocking.
fn write_all(writer: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(2);
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    writer.flush()
}
