//! The writer of one stream: its records, its states, its status, in an order that holds.

use std::sync::{Arc, Mutex};

use super::{Output, RecordBatch, lock};
use crate::catalog::StreamDescriptor;
use crate::error::Error;
use crate::message::{LogLevel, StreamStatusType};
use crate::state::StreamState;

/// The writer of one stream. Clones are cheap and share the counts.
///
/// What is written for a stream comes out in the order in which it was written here, and the count
/// in a state is the number of records between it and the state before, whatever tasks take part.
#[derive(Clone)]
pub struct StreamOutput {
    output: Output,
    shared: Arc<StreamShared>,
}

/// What the writers of one stream share.
pub(super) struct StreamShared {
    descriptor: StreamDescriptor,
    /// A RECORD line up to its data.
    record_prefix: Arc<[u8]>,
    /// A STATE line up to the state itself.
    state_prefix: String,
    /// Held while something of the stream is pushed, which makes the order.
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    phase: Phase,
    /// Whether the plain RUNNING was written.
    said_running: bool,
    records: u64,
    since_state: u64,
    /// The last state that was written, as text.
    last_state: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Phase {
    #[default]
    New,
    Started,
    Ended,
}

impl StreamShared {
    pub(super) fn new(descriptor: StreamDescriptor) -> Self {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut prefix =
            format!(r#"{{"type":"RECORD","record":{{"stream":{}"#, text(&descriptor.name));
        if let Some(namespace) = &descriptor.namespace {
            prefix.push_str(&format!(r#","namespace":{}"#, text(namespace)));
        }
        prefix.push_str(r#","data":"#);
        // A descriptor is two strings, which always serialize.
        let shown = serde_json::to_string(&descriptor).unwrap_or_default();
        let state_prefix = format!(
            r#"{{"type":"STATE","state":{{"type":"STREAM","stream":{{"stream_descriptor":{shown},"stream_state":"#
        );
        Self {
            descriptor,
            record_prefix: prefix.into_bytes().into(),
            state_prefix,
            progress: Mutex::default(),
        }
    }
}

impl StreamOutput {
    pub(super) fn new(output: Output, shared: Arc<StreamShared>) -> Self {
        Self { output, shared }
    }

    /// The stream.
    pub fn descriptor(&self) -> &StreamDescriptor {
        &self.shared.descriptor
    }

    /// Writes STARTED, once. RUNNING follows by itself before the first record, or before the
    /// end when there is none.
    pub fn started(&self) {
        self.start(&mut lock(&self.shared.progress));
    }

    /// A buffer for records of this stream.
    pub fn batch(&self) -> RecordBatch {
        let buffer = self.output.shared.queue.buffer();
        RecordBatch::new(Arc::clone(&self.shared.record_prefix), buffer)
    }

    /// Writes the records of a batch; waits while too much waits to be written already.
    pub async fn records(&self, batch: RecordBatch) {
        if batch.is_empty() {
            return;
        }
        let room = self.output.shared.queue.room(batch.bytes()).await;
        let mut progress = lock(&self.shared.progress);
        if !self.accepts(&progress, "records") {
            return;
        }
        self.run(&mut progress);
        progress.records += batch.len() as u64;
        progress.since_state += batch.len() as u64;
        self.output.shared.queue.push(batch.into_bytes(), room);
    }

    /// Writes a state that covers every record of this stream written before it.
    pub async fn state(&self, state: &StreamState) {
        let text = self.render(state);
        let room = self.output.shared.queue.room(text.len()).await;
        let mut progress = lock(&self.shared.progress);
        if self.accepts(&progress, "a state") {
            self.start(&mut progress);
            self.push_state(&mut progress, text);
        }
        drop(progress);
        // The text has been handed over; the room is only there to slow down who writes states.
        self.output.shared.queue.push(Vec::new(), room);
    }

    /// Writes the last state, then COMPLETE.
    pub async fn complete(&self, final_state: &StreamState) {
        let text = self.render(final_state);
        let mut progress = lock(&self.shared.progress);
        if !self.accepts(&progress, "its end") {
            return;
        }
        self.run(&mut progress);
        self.push_state(&mut progress, text);
        self.end(&mut progress, StreamStatusType::Complete);
    }

    /// Writes the error with the stream's name, then INCOMPLETE; the command has failed then.
    pub async fn incomplete(&self, error: &Error) {
        let mut progress = lock(&self.shared.progress);
        if progress.phase == Phase::Ended {
            return;
        }
        self.output.error(&error.clone().for_stream(self.descriptor().clone()));
        self.end(&mut progress, StreamStatusType::Incomplete);
    }

    /// The records written so far.
    pub fn record_count(&self) -> u64 {
        lock(&self.shared.progress).records
    }

    /// Calls `say` if the stream is started and not ended, holding it in that state meanwhile.
    pub(super) fn while_running(&self, say: impl FnOnce()) {
        let progress = lock(&self.shared.progress);
        if progress.phase == Phase::Started {
            say();
        }
    }

    /// Writes the last state again if the stream is running and has one; only if there were no
    /// records since, when `quiet` is set.
    pub(super) fn repeat_state(&self, quiet: bool) -> bool {
        let mut progress = lock(&self.shared.progress);
        if progress.phase != Phase::Started || (quiet && progress.since_state > 0) {
            return false;
        }
        match progress.last_state.take() {
            Some(text) => {
                self.push_state(&mut progress, text);
                true
            }
            None => false,
        }
    }

    /// Ends a running stream as INCOMPLETE without an error of its own.
    pub(super) fn break_off(&self) -> bool {
        let mut progress = lock(&self.shared.progress);
        let is_running = progress.phase == Phase::Started;
        if is_running {
            self.end(&mut progress, StreamStatusType::Incomplete);
        }
        is_running
    }

    pub(super) fn has_ended(&self) -> bool {
        lock(&self.shared.progress).phase == Phase::Ended
    }

    /// After the end nothing may follow. That would be a defect of the connector: it is told, and
    /// the command fails, since records are missing.
    fn accepts(&self, progress: &Progress, what: &str) -> bool {
        let is_open = progress.phase != Phase::Ended;
        if !is_open {
            self.output.shared.has_failures.store(true, std::sync::atomic::Ordering::Relaxed);
            self.output.log(
                LogLevel::Error,
                format_args!(
                    "Stream {}: {what} came after the end of the stream",
                    self.descriptor()
                ),
            );
        }
        is_open
    }

    fn start(&self, progress: &mut Progress) {
        if progress.phase == Phase::New {
            progress.phase = Phase::Started;
            self.output.status(self.descriptor(), StreamStatusType::Started, Vec::new());
        }
    }

    fn run(&self, progress: &mut Progress) {
        self.start(progress);
        if !progress.said_running {
            progress.said_running = true;
            self.output.status(self.descriptor(), StreamStatusType::Running, Vec::new());
        }
    }

    fn end(&self, progress: &mut Progress, status: StreamStatusType) {
        progress.phase = Phase::Ended;
        self.output.status(self.descriptor(), status, Vec::new());
    }

    fn push_state(&self, progress: &mut Progress, text: String) {
        let count = std::mem::take(&mut progress.since_state);
        let prefix = &self.shared.state_prefix;
        self.output
            .line(format!(r#"{prefix}{text}}},"sourceStats":{{"recordCount":{count}.0}}}}}}"#));
        progress.last_state = Some(text);
    }

    fn render(&self, state: &StreamState) -> String {
        self.output.mask_data(&serde_json::Value::Object(state.0.clone())).to_string()
    }
}
