//! The read scheduler: configured streams are read concurrently, each fails alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    ConfiguredCatalog, ConfiguredStream, Context, Error, InputState, RecordBatch, Result,
    StreamDescriptor, StreamOutput, StreamState, SyncMode,
};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::http::{Action, Failure};

/// A stream that can be discovered and read.
pub trait Stream: Send + Sync + 'static {
    /// The catalog's entry.
    fn definition(&self) -> airbyte_protocol::Stream;

    /// Reads the stream: writes records and progress through `reading` and returns the
    /// final state.
    ///
    /// # Errors
    /// A failure makes this stream INCOMPLETE; the others go on. [`Action::Skip`] ends it
    /// with a warning, [`Action::Empty`] without one.
    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>>;
}

/// When states are written in mid-stream: after so many records or so much time,
/// whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct CheckpointPolicy {
    /// Records since the last state.
    pub records: u64,
    /// Time since the last state.
    pub interval: Duration,
}

impl Default for CheckpointPolicy {
    fn default() -> Self {
        CheckpointPolicy { records: 5_000, interval: Duration::from_secs(15) }
    }
}

/// One stream's read: where records and progress go, and what it starts from.
pub struct Reading {
    configured: ConfiguredStream,
    state: Option<StreamState>,
    output: StreamOutput,
    policy: CheckpointPolicy,
    progress: Mutex<Progress>,
    shutdown: CancellationToken,
}

struct Progress {
    /// The state of the last progress.
    latest: Option<StreamState>,
    /// Whether it was not written yet.
    pending: bool,
    written_at: Instant,
    written_count: u64,
}

impl Reading {
    /// A read of one configured stream.
    pub fn new(
        configured: ConfiguredStream,
        state: Option<StreamState>,
        output: StreamOutput,
        policy: CheckpointPolicy,
        shutdown: CancellationToken,
    ) -> Self {
        let progress =
            Progress { latest: None, pending: false, written_at: Instant::now(), written_count: 0 };
        Reading { configured, state, output, policy, progress: Mutex::new(progress), shutdown }
    }

    /// The catalog's entry as the user configured it.
    pub fn configured(&self) -> &ConfiguredStream {
        &self.configured
    }

    /// Whether the user asked for incremental reads.
    pub fn is_incremental(&self) -> bool {
        self.configured.sync_mode == SyncMode::Incremental
    }

    /// The state that the last read left; `None` at first, and for the sentinel that a
    /// stream without cursor leaves.
    pub fn state(&self) -> Option<&StreamState> {
        self.state.as_ref().filter(|state| !state.is_full_refresh_sentinel())
    }

    /// An empty batch for this stream's records.
    pub fn batch(&self) -> RecordBatch {
        self.output.batch()
    }

    /// Writes records; waits while too much is queued.
    pub async fn write(&self, batch: RecordBatch) {
        if !batch.is_empty() {
            self.output.records(batch).await;
        }
    }

    /// Takes note of progress that the records written so far cover, and writes a state
    /// when one is due. `state` is made under a lock: calls of concurrent tasks cannot
    /// overtake each other.
    pub async fn progress(&self, state: impl FnOnce() -> StreamState) {
        let mut progress = self.progress.lock().await;
        progress.latest = Some(state());
        progress.pending = true;
        if self.is_due_after(&progress) {
            self.write_pending(&mut progress).await;
        }
    }

    /// Whether the next progress is written at once. A state that is costly to make is made
    /// only then, and when the stream ends.
    pub async fn is_due(&self) -> bool {
        self.is_due_after(&*self.progress.lock().await)
    }

    fn is_due_after(&self, progress: &Progress) -> bool {
        let records = self.output.record_count() - progress.written_count;
        records >= self.policy.records || progress.written_at.elapsed() >= self.policy.interval
    }

    /// Writes the state of the progress made so far, if it was not written yet.
    pub async fn flush(&self) {
        let mut progress = self.progress.lock().await;
        self.write_pending(&mut progress).await;
    }

    async fn write_pending(&self, progress: &mut Progress) {
        if let (true, Some(state)) = (progress.pending, &progress.latest) {
            self.output.state(state).await;
            progress.pending = false;
            progress.written_at = Instant::now();
            progress.written_count = self.output.record_count();
        }
    }

    /// The state of a stream that ends before its time without having failed: that of its
    /// last progress, else the one it started from.
    async fn safe_state(&self) -> StreamState {
        let latest = self.progress.lock().await.latest.clone();
        latest.or_else(|| self.state().cloned()).unwrap_or_else(StreamState::full_refresh_sentinel)
    }

    /// Records written so far.
    pub fn record_count(&self) -> u64 {
        self.output.record_count()
    }

    /// Whether a signal asked to stop. Tasks look at it between pages.
    pub fn is_stopping(&self) -> bool {
        self.shutdown.is_cancelled()
    }

    /// An error when a signal asked to stop, to leave a loop with `?`.
    ///
    /// # Errors
    /// Transient, when stopping.
    pub fn keep_going(&self) -> Result<(), Failure> {
        if self.is_stopping() { Err(crate::http::stopped().into()) } else { Ok(()) }
    }
}

/// Reads the configured streams, at most `concurrency` at a time.
///
/// Each stream ends COMPLETE with its final state, or INCOMPLETE with its error after the
/// state of what is safe. Streams that the source does not have are errors too, reported
/// while the others are read.
///
/// # Errors
/// Only of the frame itself; failed streams are reported by [`Context::output`].
pub async fn read(
    streams: Vec<Arc<dyn Stream>>,
    catalog: ConfiguredCatalog,
    state: &InputState,
    context: &Context,
    concurrency: usize,
) -> Result<()> {
    let known: HashMap<StreamDescriptor, Arc<dyn Stream>> =
        streams.into_iter().map(|stream| (descriptor(&stream.definition()), stream)).collect();
    let slots = Arc::new(Semaphore::new(concurrency.max(1)));
    let mut tasks = JoinSet::new();
    for configured in catalog.streams {
        let name = configured.descriptor();
        let output = context.output.stream(name.clone());
        let Some(stream) = known.get(&name).cloned() else {
            output.incomplete(&unknown(&name)).await;
            continue;
        };
        let reading = Reading::new(
            configured,
            state.stream(&name).cloned(),
            output.clone(),
            CheckpointPolicy::default(),
            context.shutdown.clone(),
        );
        let slots = slots.clone();
        tasks.spawn(async move {
            let _slot = slots.acquire_owned().await;
            read_one(stream.as_ref(), reading, output).await;
        });
    }
    while let Some(ended) = tasks.join_next().await {
        // A panic has been reported by the hook; the other streams still get their end.
        if let Err(error) = ended {
            warn!("A stream's task ended abnormally: {error}");
            context.output.error(
                &Error::system("The connector failed unexpectedly.")
                    .with_internal(error.to_string()),
            );
        }
    }
    Ok(())
}

async fn read_one(stream: &dyn Stream, reading: Reading, output: StreamOutput) {
    output.started();
    let result = match reading.keep_going() {
        Ok(()) => stream.read(&reading).await,
        Err(failure) => Err(failure),
    };
    match result {
        Ok(state) => output.complete(&state).await,
        Err(Failure { action: action @ (Action::Skip | Action::Empty), error, .. }) => {
            if action == Action::Skip {
                warn!("Stream {} was skipped: {}", output.descriptor(), error.message());
            }
            output.complete(&reading.safe_state().await).await;
        }
        Err(failure) => {
            reading.flush().await;
            output.incomplete(&failure.error.for_stream(output.descriptor().clone())).await;
        }
    }
}

fn descriptor(stream: &airbyte_protocol::Stream) -> StreamDescriptor {
    StreamDescriptor { name: stream.name.clone(), namespace: stream.namespace.clone() }
}

fn unknown(name: &StreamDescriptor) -> Error {
    Error::config(format!(
        "The source has no stream named '{name}'. Refresh the connection's schema (discover) and save the catalog again."
    ))
    .for_stream(name.clone())
}
