//! The writer: everything a connector says goes through here, a whole line at a time.

mod batch;
mod capture;
mod queue;
mod stream;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

pub use batch::RecordBatch;
pub use capture::Captured;
pub use stream::StreamOutput;

use self::queue::Queue;
use self::stream::StreamShared;
use crate::catalog::StreamDescriptor;
use crate::clock;
use crate::error::{Error, FailureType};
use crate::input::StateLine;
use crate::mask::Masker;
use crate::message::{
    Control, Estimate, EstimateType, Log, LogLevel, RateLimited, StateStats, StatusReason,
    StreamStatus, StreamStatusType, Trace, TraceError, line,
};
use crate::schema::Schema;

/// The platform cuts error texts at this many characters.
const LONGEST_ERROR_TEXT: usize = 50_000;

/// The writer of messages. Clones write to the same place; each message is one line, and lines of
/// several tasks never mix.
///
/// Secrets are masked in every text: log messages, errors, the answer of `check`. In states and in
/// schemas only unmistakable secrets are masked (eight bytes or more with a letter), since a state
/// that is changed by chance breaks a sync. Records, CONTROL messages, stream names and the states
/// that a destination gives back are never changed.
#[derive(Clone)]
pub struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Queue,
    masker: RwLock<Masker>,
    /// The [`rank`] of the least important level that is written.
    level: AtomicU8,
    has_failures: AtomicBool,
    reported: Mutex<HashSet<Cause>>,
    streams: Mutex<BTreeMap<StreamDescriptor, Arc<StreamShared>>>,
}

/// What makes two errors the same: kind, message and stream.
type Cause = (FailureType, String, Option<StreamDescriptor>);

impl Output {
    fn with_queue(queue: Queue) -> Self {
        let shared = Shared {
            queue,
            masker: RwLock::default(),
            level: AtomicU8::new(rank(&LogLevel::Info)),
            has_failures: AtomicBool::new(false),
            reported: Mutex::default(),
            streams: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// An output with a thread that writes to `writer`, and calls `on_error` when that fails.
    pub(crate) fn to_writer(
        writer: impl Write + Send + 'static,
        on_error: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let output = Self::with_queue(Queue::new());
        let shared = Arc::clone(&output.shared);
        std::thread::Builder::new()
            .name("stdout".into())
            .spawn(move || shared.queue.write_to(writer, on_error))?;
        Ok(output)
    }

    /// An output into memory, for tests, and the handle to look at it.
    pub fn capture() -> (Self, Captured) {
        let output = Self::with_queue(Queue::in_memory());
        output.set_level(&LogLevel::Trace);
        (output.clone(), Captured::new(output))
    }

    /// Sets the least important level that is still written.
    pub(crate) fn set_level(&self, level: &LogLevel) {
        self.shared.level.store(rank(level), Ordering::Relaxed);
    }

    /// Writes a LOG message, unless the level is below the one that is wanted. Does not wait.
    pub fn log(&self, level: LogLevel, message: impl Display) {
        if rank(&level) > self.shared.level.load(Ordering::Relaxed) {
            return;
        }
        self.write_log(level, &message);
    }

    fn write_log(&self, level: LogLevel, message: &dyn Display) {
        let message = self.mask(&message.to_string());
        let log = Log { level, message, stack_trace: None, extra: Map::new() };
        self.line(line("LOG", "log", &log));
    }

    /// Writes a CONTROL message with the whole new configuration and returns when it has left the
    /// process, so that a new token in it is safe before it is used.
    pub async fn control(&self, config: &Value) {
        let (sent, done) = tokio::sync::oneshot::channel();
        self.shared.queue.push_with(
            || line("CONTROL", "control", &Control::of_config(config, clock::now_ms_decimal())),
            Some(Box::new(move || _ = sent.send(()))),
        );
        // An error means that the writer is gone, and with it the process in a moment.
        let _ = done.await;
    }

    /// Masks a value from now on: a token obtained at run time.
    pub fn add_secret(&self, value: &str) {
        self.shared.masker.write().unwrap_or_else(PoisonError::into_inner).add(value);
    }

    /// The writer of one stream. Two of the same stream share everything.
    pub fn stream(&self, descriptor: StreamDescriptor) -> StreamOutput {
        let mut streams = lock(&self.shared.streams);
        let shared = streams
            .entry(descriptor)
            .or_insert_with_key(|descriptor| Arc::new(StreamShared::new(descriptor.clone())));
        StreamOutput::new(self.clone(), Arc::clone(shared))
    }

    /// Writes a TRACE ERROR, unless this error was written before, and notes that the command
    /// failed. An error without a stream is the same as one of a stream with its kind and message.
    pub fn error(&self, error: &Error) {
        self.shared.has_failures.store(true, Ordering::Relaxed);
        if !self.is_new(error) {
            return;
        }
        let cut = |text: &str| self.mask(text).chars().take(LONGEST_ERROR_TEXT).collect::<String>();
        let trace = TraceError {
            message: cut(error.message()),
            internal_message: error.internal().map(cut),
            failure_type: Some(error.kind().as_str().to_owned()),
            stream_descriptor: error.stream().cloned(),
            ..TraceError::default()
        };
        self.trace(|now| Trace::of_error(trace, now));
    }

    /// Whether this cause was not reported yet; notes it.
    fn is_new(&self, error: &Error) -> bool {
        let mut reported = lock(&self.shared.reported);
        let same = |(kind, message, _): &Cause| *kind == error.kind() && message == error.message();
        let is_known = match error.stream() {
            None => reported.iter().any(same),
            Some(stream) => {
                let of = |stream| (error.kind(), error.message().to_owned(), stream);
                reported.contains(&of(None)) || reported.contains(&of(Some(stream.clone())))
            }
        };
        if !is_known {
            reported.insert((error.kind(), error.message().to_owned(), error.stream().cloned()));
        }
        !is_known
    }

    /// Writes how much of a stream is to come.
    pub fn estimate(&self, stream: &StreamDescriptor, rows: Option<u64>, bytes: Option<u64>) {
        let estimate = Estimate {
            name: stream.name.clone(),
            namespace: stream.namespace.clone(),
            kind: EstimateType::Stream,
            row_estimate: rows,
            byte_estimate: bytes,
            extra: Map::new(),
        };
        self.trace(|now| Trace::of_estimate(estimate, now));
    }

    /// Says of every running stream that it waits for a rate limit, and until when if that is known.
    pub fn rate_limited(&self, reset: Option<DateTime<Utc>>) {
        let quota_reset = reset.map(|reset| reset.timestamp_millis());
        let rate_limited = quota_reset
            .map(|quota_reset| RateLimited { quota_reset: Some(quota_reset), extra: Map::new() });
        let reason = StatusReason { kind: "RATE_LIMITED".into(), rate_limited, extra: Map::new() };
        for stream in self.streams() {
            stream.while_running(|| {
                self.status(stream.descriptor(), StreamStatusType::Running, vec![reason.clone()])
            });
        }
    }

    /// Says of every running stream that it goes on.
    pub fn resumed(&self) {
        for stream in self.streams() {
            stream.while_running(|| {
                self.status(stream.descriptor(), StreamStatusType::Running, Vec::new())
            });
        }
    }

    /// Writes the last state of a running stream once more, so that a long wait is not taken for a
    /// hang; tells whether there was one. A stream without records since its state goes first.
    pub fn heartbeat(&self) -> bool {
        let streams = self.streams();
        streams.iter().any(|stream| stream.repeat_state(true))
            || streams.iter().any(|stream| stream.repeat_state(false))
    }

    /// Whether an error was written or a stream ended incomplete.
    pub fn has_failures(&self) -> bool {
        self.shared.has_failures.load(Ordering::Relaxed)
    }

    /// Gives a state back to the orchestrator as the very text that came in, with the destination's
    /// counts added.
    pub async fn echo_state(&self, state: &StateLine, stats: &StateStats) {
        let line = state.with_destination_stats(stats);
        let room = self.shared.queue.room(line.len()).await;
        self.shared.queue.push(line.into_bytes(), room);
    }

    /// Writes a LOG message of level INFO, whatever level is wanted, and returns when it has left
    /// the process. If nobody reads stdout any more, the process ends instead: a destination calls
    /// this before it does what cannot be undone, because to be cancelled looks like the end of the
    /// input otherwise.
    pub async fn probe(&self, message: &str) {
        self.write_log(LogLevel::Info, &message);
        self.flush().await;
    }

    /// Returns when everything written so far has left the process.
    pub async fn flush(&self) {
        let (sent, done) = tokio::sync::oneshot::channel();
        self.shared.queue.when_written(Box::new(move || _ = sent.send(())));
        let _ = done.await;
    }

    /// The same for code that is not asynchronous; gives up after `timeout`,
    /// if there is one.
    pub(crate) fn flush_blocking(&self, timeout: Option<Duration>) {
        let (sent, done) = std::sync::mpsc::sync_channel(1);
        self.shared.queue.when_written(Box::new(move || _ = sent.send(())));
        let _ = match timeout {
            Some(timeout) => done.recv_timeout(timeout).is_ok(),
            None => done.recv().is_ok(),
        };
    }

    /// Writes a message that is rendered already.
    pub(crate) fn line(&self, line: String) {
        self.shared.queue.push_line(line);
    }

    /// The text without secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.masker().mask(text).into_owned()
    }

    /// The tree without unmistakable secrets.
    pub(crate) fn mask_data(&self, tree: &Value) -> Value {
        self.masker().mask_data(tree).into_owned()
    }

    /// Ends every stream that was started and not ended as INCOMPLETE; returns them.
    pub(crate) fn break_off(&self) -> Vec<StreamDescriptor> {
        let streams = self.streams();
        let broken = streams.iter().filter(|stream| stream.break_off());
        broken.map(|stream| stream.descriptor().clone()).collect()
    }

    /// Whether the stream ended, complete or not.
    pub(crate) fn has_ended(&self, descriptor: &StreamDescriptor) -> bool {
        self.stream(descriptor.clone()).has_ended()
    }

    fn streams(&self) -> Vec<StreamOutput> {
        let streams = lock(&self.shared.streams);
        streams.values().map(|shared| StreamOutput::new(self.clone(), Arc::clone(shared))).collect()
    }

    fn status(
        &self,
        descriptor: &StreamDescriptor,
        status: StreamStatusType,
        reasons: Vec<StatusReason>,
    ) {
        let stream_descriptor = descriptor.clone();
        let status = StreamStatus { stream_descriptor, status, reasons, extra: Map::new() };
        self.trace(|now| Trace::of_status(status, now));
    }

    fn trace(&self, make: impl FnOnce(f64) -> Trace) {
        self.shared
            .queue
            .push_with(|| line("TRACE", "trace", &make(clock::now_ms_decimal())), None);
    }

    /// Masks the unmistakable secrets in a schema.
    pub(crate) fn mask_schema(&self, schema: &mut Schema) {
        if let Cow::Owned(masked) = self.masker().mask_data(&schema.value()) {
            *schema = masked.into();
        }
    }

    fn masker(&self) -> std::sync::RwLockReadGuard<'_, Masker> {
        self.shared.masker.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Locks; what is guarded here stays whole when a holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of a level, the most important first.
fn rank(level: &LogLevel) -> u8 {
    match level {
        LogLevel::Fatal => 0,
        LogLevel::Error => 1,
        LogLevel::Warn => 2,
        LogLevel::Info | LogLevel::Other(_) => 3,
        LogLevel::Debug => 4,
        LogLevel::Trace => 5,
    }
}

#[cfg(test)]
mod tests;
