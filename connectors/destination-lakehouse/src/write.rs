//! The command `write`: from the lines of stdin to committed tables and states.
//!
//! Two tasks work side by side. This one reads lines and builds batches; the [`Committer`] encodes
//! them and commits. Everything between them goes through one bounded queue, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    ConfiguredCatalog, ConfiguredStream, Context, Error, Input, Line, RecordLine, Result,
    StateLine, StateType, StreamDescriptor, StreamStatusType,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::committer::{Committer, Needed, Order, Progress};
use crate::config::{Config, OverwriteWithoutStatus};
use crate::open::{self, Opened};
use crate::replay::{Interval, Token};
use crate::rows::Rows;

/// Orders that may wait for the committer.
const QUEUE: usize = 3;
/// Rows of a batch, at most; and how many rows all open batches together may have.
const BATCH_ROWS: usize = 8192;
/// Bytes of JSON of a batch, at most, and of all open batches together.
const BATCH_BYTES: usize = 2 << 20;
const ALL_BATCH_BYTES: usize = 16 << 20;
/// How often it is looked for commits that are due while nothing comes in.
const IDLE: Duration = Duration::from_secs(1);

/// Writes everything that comes in.
pub async fn write(
    catalog: Catalog,
    config: Config,
    configured: ConfiguredCatalog,
    input: Input,
    context: Context,
) -> Result<()> {
    let writing = Writing::open(catalog, config, configured, context).await?;
    writing.run(input).await
}

/// What is known of a stream.
struct Stream {
    configured: ConfiguredStream,
    rows: Rows,
    progress: Progress,
    /// Records so far.
    received: u64,
    /// Records when the last state was counted.
    counted: u64,
    interval: Interval,
    /// What the last commit of another process came from, until it is clear whether this is that
    /// once more.
    replayed: Option<Token>,
    last_commit: Instant,
    status: Option<StreamStatusType>,
    ends_with_state: bool,
}

struct Writing {
    config: Config,
    context: Context,
    streams: Vec<Stream>,
    by_name: HashMap<StreamDescriptor, usize>,
    last: Option<(Arc<StreamDescriptor>, usize)>,
    orders: mpsc::Sender<Order>,
    committer: tokio::task::JoinHandle<Result<()>>,
    /// Streams that have rows in memory.
    active: usize,
}

impl Writing {
    async fn open(
        catalog: Catalog,
        config: Config,
        configured: ConfiguredCatalog,
        context: Context,
    ) -> Result<Self> {
        if configured.streams.is_empty() {
            return Err(Error::config("The catalog has no streams: choose at least one."));
        }
        configured.streams.iter().try_for_each(open::validate)?;
        check_names(&config, &configured)?;
        let mut streams = Vec::new();
        let mut writers = Vec::new();
        for configured in configured.streams {
            let opened = open::open(&catalog, &config, &configured).await;
            let Opened { writer, rows } =
                opened.map_err(|error| error.for_stream(configured.descriptor()))?;
            let progress = Progress::default();
            streams.push(Stream {
                replayed: Token::of(writer.head(), &configured),
                configured,
                rows,
                progress: progress.clone(),
                received: 0,
                counted: 0,
                interval: Interval::default(),
                last_commit: Instant::now(),
                status: None,
                ends_with_state: false,
            });
            writers.push((writer, progress));
        }
        let names = streams.iter().enumerate();
        let by_name = names.map(|(at, stream)| (stream.configured.descriptor(), at)).collect();
        let (orders, queue) = mpsc::channel(QUEUE);
        let committer = Committer::new(writers, context.output.clone(), config.memory_budget());
        let committer = tokio::spawn(committer.run(queue));
        Ok(Self { config, context, streams, by_name, last: None, orders, committer, active: 0 })
    }

    async fn run(mut self, input: Input) -> Result<()> {
        let read = self.read(input).await;
        let Self { orders, committer, context, .. } = self;
        drop(orders);
        let joined = committer
            .await
            .map_err(|error| Error::system("Writing broke off").with_internal(error.to_string()))?;
        // If the committer failed, this side only saw that nobody takes its orders.
        joined?;
        let ended = read?;
        ended.into_iter().for_each(|error| context.output.error(&error));
        Ok(())
    }

    /// Reads to the end; gives the errors of streams that did not end well.
    async fn read(&mut self, mut input: Input) -> Result<Vec<Error>> {
        let shutdown = self.context.shutdown.clone();
        loop {
            // Lines that are there already are taken without asking for anything else.
            while let Some(line) = input.ready() {
                self.line(line).await?;
            }
            let line = tokio::select! {
                biased;
                () = shutdown.cancelled() => return self.stop().await,
                line = input.next() => line?,
                () = tokio::time::sleep(IDLE) => {
                    self.commit_what_is_due().await?;
                    continue;
                }
            };
            match line {
                None => return self.finish().await,
                Some(line) => self.line(line).await?,
            }
        }
    }

    async fn line(&mut self, line: Line) -> Result<()> {
        match line {
            Line::Record(record) => self.record(&record).await,
            Line::State(state) => self.state(state).await,
            Line::Status(status) => {
                let Some(&at) = self.by_name.get(&status.stream) else { return Ok(()) };
                let is_complete = status.status == StreamStatusType::Complete;
                self.streams[at].status = Some(status.status);
                if is_complete { self.commit(at).await } else { Ok(()) }
            }
            Line::Invalid { raw, reason } => check_noise(&raw, &reason),
            Line::Other(_) => Ok(()),
        }
    }

    /// The place of a stream. Most records are of the stream of the one before.
    fn place(&mut self, name: &Arc<StreamDescriptor>) -> Option<usize> {
        if let Some((last, at)) = &self.last
            && Arc::ptr_eq(last, name)
        {
            return Some(*at);
        }
        let at = *self.by_name.get(name.as_ref())?;
        self.last = Some((Arc::clone(name), at));
        Some(at)
    }

    async fn record(&mut self, record: &RecordLine) -> Result<()> {
        let name = record.stream();
        let Some(at) = self.place(name) else {
            let message = format!("A record is of stream `{name}`, which is not configured.");
            return Err(Error::system(message).for_stream(name.as_ref().clone()));
        };
        let stream = &mut self.streams[at];
        if let Err(reason) = push(&mut stream.rows, record) {
            // It may have been cut out wrongly; a line that is broken says so now.
            let exact = record.exact().and_then(|exact| {
                push(&mut stream.rows, &exact).map_err(|_| Error::system(reason))?;
                Ok(exact)
            });
            let exact = exact.map_err(|error| {
                let context = format!("A record of stream `{name}` is not a JSON object");
                error.context(context).for_stream(name.as_ref().clone())
            })?;
            stream.interval.count.add(exact.data());
        } else {
            stream.interval.count.add(record.data());
        }
        stream.received += 1;
        stream.ends_with_state = false;
        if stream.rows.len() == 1 {
            self.active += 1;
        }
        if stream.rows.len() >= (4 * BATCH_ROWS / self.active.max(1)).clamp(256, BATCH_ROWS)
            || stream.rows.bytes()
                >= (ALL_BATCH_BYTES / self.active.max(1)).clamp(64 << 10, BATCH_BYTES)
        {
            self.send_batch(at).await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, at: usize) -> Result<()> {
        let stream = &mut self.streams[at];
        if stream.rows.len() == 0 {
            return Ok(());
        }
        let batch = stream.rows.finish().map_err(|error| {
            Error::system("Rows cannot be put into columns").with_internal(error.to_string())
        })?;
        self.active = self.active.saturating_sub(1);
        self.order(Order::Batch { stream: at, batch }).await
    }

    async fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).await.map_err(|_| Error::system("Writing broke off"))
    }

    async fn state(&mut self, state: StateLine) -> Result<()> {
        let concerned: Vec<usize> = match state.kind() {
            StateType::Stream => {
                state.streams().iter().filter_map(|name| self.by_name.get(name).copied()).collect()
            }
            _ => (0..self.streams.len()).collect(),
        };
        let mut records = 0;
        let mut needed = Vec::new();
        for &at in &concerned {
            let stream = &mut self.streams[at];
            records += stream.received - stream.counted;
            stream.counted = stream.received;
            stream.ends_with_state = true;
            stream.interval.mark(&state);
            needed.push(Needed { stream: at, records: stream.received });
        }
        self.order(Order::State { state, records, needed }).await?;
        for at in concerned {
            self.recognize(at).await?;
            if self.is_due(at) {
                self.commit(at).await?;
            }
        }
        Ok(())
    }

    /// Drops what another process has committed already.
    async fn recognize(&mut self, at: usize) -> Result<()> {
        let stream = &mut self.streams[at];
        let Some(token) = &stream.replayed else { return Ok(()) };
        if token.matches(&stream.interval) {
            let count = stream.interval.count.records;
            tracing::info!(
                "{count} records of stream `{}` were committed by an earlier process and are left out",
                stream.configured.descriptor()
            );
            self.send_batch(at).await?;
            let stream = &mut self.streams[at];
            stream.replayed = None;
            stream.interval = Interval::default();
            stream.last_commit = Instant::now();
            let records = stream.received;
            self.order(Order::Discard { stream: at, records }).await?;
        } else if token.is_passed(&stream.interval) {
            stream.replayed = None;
        }
        Ok(())
    }

    fn is_due(&self, at: usize) -> bool {
        let stream = &self.streams[at];
        let size = stream.progress.bytes() + stream.rows.bytes() as u64 / 8;
        let is_waiting = stream.replayed.is_some() && !stream.progress.is_full();
        let seconds = u64::from(self.config.commit_seconds);
        stream.interval.count.records > 0
            && !is_waiting
            && (size >= u64::from(self.config.commit_megabytes) << 20
                || stream.last_commit.elapsed() >= Duration::from_secs(seconds)
                || stream.progress.is_full())
    }

    async fn commit_what_is_due(&mut self) -> Result<()> {
        for at in 0..self.streams.len() {
            if self.streams[at].ends_with_state && self.is_due(at) {
                self.commit(at).await?;
            }
        }
        Ok(())
    }

    async fn commit(&mut self, at: usize) -> Result<()> {
        self.send_batch(at).await?;
        let stream = &mut self.streams[at];
        if stream.interval.count.records == 0 {
            return Ok(());
        }
        let token = stream.interval.token(&stream.configured);
        stream.interval = Interval::default();
        stream.replayed = None;
        stream.last_commit = Instant::now();
        let records = stream.received;
        self.order(Order::Commit { stream: at, records, token }).await
    }

    /// The end of the input: everything is committed, and complete streams are completed.
    async fn finish(&mut self) -> Result<Vec<Error>> {
        let mut errors = Vec::new();
        for at in 0..self.streams.len() {
            self.commit(at).await?;
        }
        // To be cancelled looks like the end of the input; nobody reads our answers then.
        self.context.output.probe("All records were read").await;
        for at in 0..self.streams.len() {
            match self.end_of(&self.streams[at]) {
                End::Complete => self.order(Order::Complete { stream: at }).await?,
                End::Undecided(reason) => {
                    tracing::warn!("{reason}");
                }
                End::Incomplete(error) => errors.push(error),
            }
        }
        Ok(errors)
    }

    /// How a stream ended, by what is known of it.
    fn end_of(&self, stream: &Stream) -> End {
        let name = stream.configured.descriptor();
        let incomplete = || {
            End::Incomplete(
                Error::transient(format!(
                    "Stream `{name}` did not arrive completely. What came was kept; rows that were to be \
                     replaced are still there. The next run goes on from the last state."
                ))
                .for_stream(name.clone()),
            )
        };
        match (&stream.status, stream.configured.generation_id) {
            (Some(StreamStatusType::Complete), _) => End::Complete,
            (Some(StreamStatusType::Incomplete), _) => incomplete(),
            // Whoever gives generations also tells when a stream is complete.
            (_, Some(_)) => incomplete(),
            (_, None) => match self.config.overwrite_without_status {
                OverwriteWithoutStatus::Always => End::Complete,
                OverwriteWithoutStatus::IfFinalState if stream.ends_with_state => End::Complete,
                _ => End::Undecided(format!(
                    "Nothing told that stream `{name}` arrived completely, so if it was to replace older \
                     rows, those stay. The setting overwrite_without_status decides about this."
                )),
            },
        }
    }

    /// SIGTERM: what a state closes is committed, so that less has to come again.
    async fn stop(&mut self) -> Result<Vec<Error>> {
        for at in 0..self.streams.len() {
            if self.streams[at].ends_with_state {
                self.commit(at).await?;
            }
        }
        Ok(Vec::new())
    }
}

fn push(rows: &mut Rows, record: &RecordLine) -> std::result::Result<(), String> {
    let meta = record.meta().map(|meta| meta.as_ref());
    rows.push(record.data(), record.emitted_at_ms(), meta)
}

enum End {
    Complete,
    /// Nobody said so; of no account unless rows were to be replaced.
    Undecided(String),
    Incomplete(Error),
}

/// No two streams may write to one table.
fn check_names(config: &Config, configured: &ConfiguredCatalog) -> Result<()> {
    let mut taken = HashMap::new();
    for stream in &configured.streams {
        let (table, name) = (open::table_name(config, stream), stream.descriptor());
        if let Some(other) = taken.insert(table.clone(), name.clone()) {
            return Err(Error::config(format!(
                "The streams `{other}` and `{name}` would both be written to table {table}. Leave one \
                 out, or choose the naming \"verbatim\"."
            ))
            .for_stream(name));
        }
    }
    Ok(())
}

/// Text that is no message is passed over; a record or state that cannot be read is a loss.
fn check_noise(raw: &[u8], reason: &str) -> Result<()> {
    let text = String::from_utf8_lossy(raw);
    let head: String = text.chars().take(200).collect();
    if text.starts_with('{') && (text.contains("\"RECORD\"") || text.contains("\"STATE\"")) {
        return Err(Error::system(format!(
            "A record or state cannot be read, so that data would be lost: {reason}"
        ))
        .with_internal(head));
    }
    tracing::info!("a line that is no message was passed over: {head}");
    Ok(())
}
