//! Reading what a process prints, line by line, with the times.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

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

/// The lines of a process, read by a thread of its own. Once it is dropped the pipe is closed,
/// also when nothing was printed for a while.
pub(super) struct Output {
    arrivals: Option<Receiver<Arrival>>,
    /// Closing it wakes the thread.
    wake: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Output {
    /// The lines that come out of a pipe. One that holds back reads no further ahead than it must,
    /// so that the process cannot run away from whoever is about to stop it.
    pub fn of<P>(pipe: P, started: Instant, holds_back: bool) -> io::Result<Self>
    where
        P: Read + AsFd + Send + 'static,
    {
        if holds_back {
            // Best effort: where it cannot be shortened, the process runs further ahead.
            let _ = rustix::pipe::fcntl_setpipe_size(&pipe, SHORT_PIPE);
        }
        let (sender, arrivals) = mpsc::sync_channel(if holds_back { 0 } else { WAITING });
        let (woken, wake) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let capacity = if holds_back { 512 } else { 64 << 10 };
        let pipe = BufReader::with_capacity(capacity, Wakeable { pipe, woken });
        let thread = std::thread::spawn(move || read(pipe, started, &sender));
        Ok(Self { arrivals: Some(arrivals), wake: Some(wake), thread: Some(thread) })
    }

    /// The lines that come out of a named pipe, which nobody needs to have opened for writing yet.
    pub fn of_named(path: &Path, started: Instant, holds_back: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let pipe = rustix::fs::open(path, flags, Mode::empty())?;
        Self::of(File::from(pipe), started, holds_back)
    }

    /// The next line; `None` at the end.
    pub fn next(&self) -> Option<Arrival> {
        self.arrivals.as_ref()?.recv().ok()
    }

    /// The next line, if it comes within this time; `Err` when it does not.
    pub fn next_within(&self, time: Duration) -> Result<Option<Arrival>, Duration> {
        let Some(arrivals) = &self.arrivals else { return Ok(None) };
        match arrivals.recv_timeout(time) {
            Ok(arrival) => Ok(Some(arrival)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(time),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // The thread waits for one of the two, and ends without either.
        (self.arrivals, self.wake) = (None, None);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A pipe whose reader can be woken: its end comes as soon as the other end of `woken` is closed.
struct Wakeable<P> {
    pipe: P,
    woken: OwnedFd,
}

impl<P: Read + AsFd> Read for Wakeable<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut both =
            [PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.woken, PollFlags::empty())];
        // An interruption goes to the caller, who tries again.
        rustix::event::poll(&mut both, None)?;
        if both[1].revents().is_empty() { self.pipe.read(buffer) } else { Ok(0) }
    }
}

fn read(mut pipe: impl BufRead, started: Instant, sender: &SyncSender<Arrival>) {
    loop {
        let mut raw = Vec::new();
        if !matches!(pipe.read_until(b'\n', &mut raw), Ok(1..)) {
            return;
        }
        let is_terminated = raw.last() == Some(&b'\n');
        if is_terminated {
            raw.pop();
        }
        if sender.send(Arrival { raw, at: started.elapsed(), is_terminated }).is_err() {
            return;
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
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return kept,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pipe() -> (File, File) {
        let (reading, writing) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
        (File::from(reading), File::from(writing))
    }

    #[test]
    fn lines_come_in_order_with_their_ends() {
        for holds_back in [false, true] {
            let (reading, mut writing) = pipe();
            let output = Output::of(reading, Instant::now(), holds_back).unwrap();
            writing.write_all(b"one\n\ntwo").unwrap();
            drop(writing);
            let lines: Vec<_> = std::iter::from_fn(|| output.next())
                .map(|arrival| (arrival.raw, arrival.is_terminated))
                .collect();
            let expected: [(&[u8], bool); 3] = [(b"one", true), (b"", true), (b"two", false)];
            assert_eq!(lines, expected.map(|(raw, ends)| (raw.to_vec(), ends)));
            assert!(output.next_within(Duration::ZERO).is_ok_and(|line| line.is_none()));
        }
    }

    #[test]
    fn the_pipe_is_closed_while_nothing_is_printed() {
        let (reading, mut writing) = pipe();
        let output = Output::of(reading, Instant::now(), true).unwrap();
        writing.write_all(b"one\n").unwrap();
        assert_eq!(output.next().unwrap().raw, b"one");
        assert!(output.next_within(Duration::from_millis(1)).is_err());
        drop(output);
        let error = writing.write_all(b"two\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn the_pipe_is_closed_while_lines_wait() {
        let (reading, mut writing) = pipe();
        let output = Output::of(reading, Instant::now(), true).unwrap();
        writing.write_all(b"one\ntwo\nthree\n").unwrap();
        assert_eq!(output.next().unwrap().raw, b"one");
        drop(output);
        let error = writing.write_all(b"four\n").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_named_pipe_waits_for_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let output = Output::of_named(&path, Instant::now(), false).unwrap();
        assert!(output.next_within(Duration::from_millis(5)).is_err());
        std::fs::write(&path, "one\n").unwrap();
        assert_eq!(output.next().unwrap().raw, b"one");
        assert!(output.next().is_none());
    }
}
