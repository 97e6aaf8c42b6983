//! Reading what a process prints, line by line, with the times.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// Lines that may wait to be taken.
const WAITING: usize = 4096;
/// The most of stderr that is kept, in bytes.
const STDERR: usize = 1 << 20;
/// The size of a pipe whose writer is not to run ahead, in bytes; the least that Linux knows.
const SHORT_PIPE: usize = 4096;

/// A line as it came in.
pub(super) struct Arrival {
    /// Without the newline.
    pub raw: Vec<u8>,
    /// From the start of the process.
    pub at: Duration,
    /// Whether a newline followed.
    pub is_terminated: bool,
}

/// The lines of a process. Dropping it closes the pipe.
pub(super) struct Output {
    arrivals: Receiver<Arrival>,
    closing: Arc<AtomicBool>,
}

impl Output {
    /// The next line; `None` at the end.
    pub fn next(&self) -> Option<Arrival> {
        self.arrivals.recv().ok()
    }

    /// The next line, if it comes within this time; `Err` when it does not.
    pub fn next_within(&self, time: Duration) -> Result<Option<Arrival>, Duration> {
        match self.arrivals.recv_timeout(time) {
            Ok(arrival) => Ok(Some(arrival)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(time),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

/// The reading side, for a thread of its own.
pub(super) struct Reader {
    started: Instant,
    sender: SyncSender<Arrival>,
    closing: Arc<AtomicBool>,
    holds_back: bool,
}

impl Reader {
    /// A reader and the lines it reads. One that holds back reads no further ahead than it must,
    /// so that the process cannot run away from whoever is about to stop it.
    pub fn new(started: Instant, holds_back: bool) -> (Self, Output) {
        let (sender, arrivals) = mpsc::sync_channel(if holds_back { 0 } else { WAITING });
        let closing = Arc::new(AtomicBool::new(false));
        let output = Output { arrivals, closing: Arc::clone(&closing) };
        (Self { started, sender, closing, holds_back }, output)
    }

    /// Reads a pipe.
    pub fn spawn(self, pipe: impl Read + AsFd + Send + 'static) {
        if self.holds_back {
            // Best effort: where it cannot be shortened, the process runs further ahead.
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, SHORT_PIPE);
        }
        std::thread::spawn(move || self.read(pipe));
    }

    /// Reads a named pipe, once somebody has opened it for writing.
    pub fn spawn_named(self, path: PathBuf) {
        std::thread::spawn(move || {
            if let Ok(pipe) = File::open(path) {
                if self.holds_back {
                    let _ = rustix::pipe::fcntl_setpipe_size(&pipe, SHORT_PIPE);
                }
                self.read(pipe);
            }
        });
    }

    fn read(self, pipe: impl Read) {
        let capacity = if self.holds_back { 512 } else { 64 << 10 };
        let mut pipe = BufReader::with_capacity(capacity, pipe);
        loop {
            let mut raw = Vec::new();
            if !matches!(pipe.read_until(b'\n', &mut raw), Ok(1..)) {
                return;
            }
            let is_terminated = raw.last() == Some(&b'\n');
            if is_terminated {
                raw.pop();
            }
            let arrival = Arrival { raw, at: self.started.elapsed(), is_terminated };
            if self.closing.load(Ordering::SeqCst) || self.sender.send(arrival).is_err() {
                return;
            }
        }
    }
}

/// Reads all of a pipe; keeps the first part.
pub(super) fn drain(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut block = [0; 16 << 10];
    loop {
        match pipe.read(&mut block) {
            Ok(0) => return kept,
            Ok(count) => {
                let room = STDERR.saturating_sub(kept.len());
                kept.extend_from_slice(&block[..count.min(room)]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
    }
}
