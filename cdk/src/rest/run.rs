//! One read of a simple stream.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{RecordBatch, StreamState};
use futures::{Stream, StreamExt, stream};
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::partition::Partition;
use super::track::{Resume, Track, Work};
use super::{Cursor, RestStream};
use crate::cursor::SECOND;
use crate::http::{Failure, Page, Request};
use crate::json;
use crate::range::Span;
use crate::read::Reading;
use crate::state::{PartitionStart, PartitionStates, Watermark};

/// Reads the stream to its end and gives the final state.
pub(super) async fn read(stream: &RestStream, reading: &Reading) -> Result<StreamState, Failure> {
    let is_done = reading.state().is_some_and(StreamState::is_complete_sentinel);
    if is_done && stream.cursor.is_none() && !reading.is_incremental() {
        return Ok(stream.sentinel(reading));
    }
    let run = Run::new(stream, reading)?;
    match run.all().await {
        Ok(()) => Ok(run.finish()),
        Err(failure) => {
            run.tell().await;
            Err(failure)
        }
    }
}

/// What the tasks of one read share.
struct Run<'a> {
    stream: &'a RestStream,
    reading: &'a Reading,
    watermark: Option<Watermark>,
    /// The present when the read began, in microseconds since the epoch.
    now: i64,
    began: Instant,
    ledger: Mutex<Ledger>,
}

/// The progress of all partitions.
struct Ledger {
    progress: Progress,
    /// The greatest watermark of a finished partition.
    greatest: Option<i64>,
}

enum Progress {
    /// The only partition there is, and members of the state that others put there.
    One {
        track: Track,
        others: Map<String, Value>,
    },
    Many(PartitionStates),
}

/// One partition while it is read.
struct Part<'p> {
    partition: &'p Partition,
    request: Request,
    /// What its records get, as JSON text.
    members: String,
    track: Mutex<Track>,
}

impl<'a> Run<'a> {
    fn new(stream: &'a RestStream, reading: &'a Reading) -> Result<Self, Failure> {
        let watermark = stream.cursor.as_ref().map(|cursor| Watermark {
            key: cursor.field.to_string(),
            format: cursor.format.clone(),
        });
        let known = reading.state().filter(|state| !state.is_complete_sentinel());
        let progress = match (&stream.partitions, known) {
            (None, None) => Progress::One { track: Track::default(), others: Map::new() },
            (None, Some(state)) => {
                let at = watermark.as_ref().map(|watermark| watermark.read(state)).transpose()?;
                let track = Track::load(at.flatten(), &state.0);
                Progress::One { track, others: others(state, watermark.as_ref()) }
            }
            (Some(_), None) => Progress::Many(PartitionStates::default()),
            (Some(_), Some(state)) => Progress::Many(PartitionStates::default().load(state)),
        };
        Ok(Run {
            stream,
            reading,
            watermark,
            now: stream.client.clock().server_now().timestamp_micros(),
            began: Instant::now(),
            ledger: Mutex::new(Ledger { progress, greatest: None }),
        })
    }

    /// Reads all partitions.
    async fn all(&self) -> Result<(), Failure> {
        let Some(partitions) = &self.stream.partitions else {
            return self.partition(Partition::new()).await;
        };
        let (sender, mut receiver) = mpsc::channel(1);
        let found = stream::poll_fn(move |context| receiver.poll_recv(context));
        let read = each(found, self.stream.concurrency, |partition| self.partition(partition));
        let (produced, read) = tokio::join!(partitions.produce(sender), read);
        read.and(produced)
    }

    async fn partition(&self, partition: Partition) -> Result<(), Failure> {
        let track = self.track(&partition)?;
        if track.is_complete {
            return Ok(());
        }
        let part = Part {
            partition: &partition,
            request: self.stream.request_for(&partition),
            members: self.stream.members(&partition),
            track: Mutex::new(track),
        };
        match &self.stream.cursor {
            None => {
                let from = lock(&part.track).resume.clone();
                self.walk(&part, &part.request, None, from).await?;
                lock(&part.track).is_complete = true;
            }
            Some(cursor) => {
                let plan = lock(&part.track).plan(cursor, self.now);
                each(stream::iter(plan), cursor.concurrency, |work| {
                    self.slice(&part, cursor, work)
                })
                .await?;
            }
        }
        self.note(&part).await;
        let mut ledger = lock(&self.ledger);
        ledger.greatest = ledger.greatest.max(lock(&part.track).watermark);
        Ok(())
    }

    async fn slice(&self, part: &Part<'_>, cursor: &Cursor, work: Work) -> Result<(), Failure> {
        let mut request = part.request.clone();
        cursor.fill(&mut request, work.slice);
        let seen = self.walk(part, &request, Some(work.slice), work.resume.clone()).await?;
        lock(&part.track).slice_done(&work, seen);
        self.note(part).await;
        Ok(())
    }

    /// Reads page after page, the next one being asked for while one is written. Gives the
    /// greatest cursor.
    async fn walk(
        &self,
        part: &Part<'_>,
        request: &Request,
        slice: Option<Span>,
        from: Option<Resume>,
    ) -> Result<Option<i64>, Failure> {
        let (token, mut seen) = from.map_or((None, None), |from| (Some(from.page), from.seen));
        let kept = token.is_some();
        let mut pager = self.stream.paginator.pager(token);
        let mut next = match self.stream.fetch(request, &pager).await {
            Err(failure) if kept && is_refused(&failure) => {
                warn!("A kept page token is good no longer: {}", failure.error.message());
                pager = self.stream.paginator.pager(None);
                self.stream.fetch(request, &pager).await?
            }
            first => first?,
        };
        while let Some(page) = next.take() {
            let has_more = pager.advance(&page)?;
            let (batch, greatest) = self.batch(&page, part, slice);
            seen = seen.max(greatest);
            let token = pager.token().cloned();
            let write = async move {
                self.reading.write(batch).await;
                drop(page);
                if let Some(page) = token {
                    self.page_written(part, Resume { slice, page, seen }).await;
                }
            };
            if !has_more {
                write.await;
                break;
            }
            let (fetched, ()) = tokio::join!(self.stream.fetch(request, &pager), write);
            next = fetched?;
        }
        Ok(seen)
    }

    /// A page's records, ready to be written, and the greatest cursor among them.
    fn batch(
        &self,
        page: &Page,
        part: &Part<'_>,
        slice: Option<Span>,
    ) -> (RecordBatch, Option<i64>) {
        let mut batch = self.reading.batch();
        let mut greatest = None;
        for record in page.records() {
            if let Some(cursor) = &self.stream.cursor {
                let at = json::get(record, &cursor.field)
                    .and_then(|value| cursor.format.parse_json(value));
                let start = slice.map_or(i64::MIN, |slice| slice.start);
                if cursor.is_client_side && at.is_some_and(|at| at < start) {
                    continue;
                }
                greatest = greatest.max(at);
            }
            batch.push(&json::append(record, &part.members));
        }
        (batch, greatest)
    }

    /// A page was written that is not the last one of its walk.
    async fn page_written(&self, part: &Part<'_>, next: Resume) {
        {
            let mut track = lock(&part.track);
            match &self.stream.cursor {
                // Of slices side by side only those that are done are told.
                Some(cursor) if cursor.concurrency > 1 => return,
                Some(cursor) if cursor.is_ordered => track.come_to(next.seen),
                _ => {}
            }
            // A slice is begun again rather than gone on with at a place that has moved.
            if self.stream.cursor.is_none() || !self.stream.paginator.is_positional() {
                track.page_written(next);
            }
        }
        self.note(part).await;
    }

    /// Where a partition stands.
    fn track(&self, partition: &Partition) -> Result<Track, Failure> {
        let ledger = lock(&self.ledger);
        let states = match &ledger.progress {
            Progress::One { track, .. } => return Ok(track.clone()),
            Progress::Many(states) => states,
        };
        let read = |object: &Map<String, Value>| {
            let watermark = self.watermark.as_ref().map(|watermark| watermark.of(object));
            watermark.transpose().map(Option::flatten)
        };
        Ok(match states.start(partition) {
            PartitionStart::Anew => Track::default(),
            PartitionStart::Own(object) => Track::load(read(&object)?, &object),
            PartitionStart::Global(object, lookback) => {
                let back = lookback.saturating_mul(SECOND);
                let watermark = read(&object)?.map(|at| at.saturating_sub(back));
                Track::at(watermark)
            }
        })
    }

    /// Takes a partition's progress over, and writes a state if one is due.
    async fn note(&self, part: &Part<'_>) {
        {
            let track = lock(&part.track).clone();
            match &mut lock(&self.ledger).progress {
                Progress::One { track: known, .. } => *known = track,
                Progress::Many(states) => {
                    states.set(part.partition, track.object(self.watermark.as_ref()));
                }
            }
        }
        if self.reading.is_due().await {
            self.tell().await;
        }
    }

    /// Hands the state to the reading, unless there is nothing in it yet.
    async fn tell(&self) {
        let has_news = match &lock(&self.ledger).progress {
            Progress::Many(states) => !states.is_silent(),
            Progress::One { track, others } => {
                !others.is_empty() || !track.object(self.watermark.as_ref()).is_empty()
            }
        };
        if has_news {
            self.reading.progress(|| self.state()).await;
        }
    }

    fn state(&self) -> StreamState {
        match &lock(&self.ledger).progress {
            Progress::Many(states) => states.state(),
            Progress::One { track, others } => {
                let mut state = others.clone();
                state.extend(track.object(self.watermark.as_ref()));
                StreamState(state)
            }
        }
    }

    fn finish(&self) -> StreamState {
        let (Some(watermark), Some(cursor)) = (&self.watermark, &self.stream.cursor) else {
            return self.stream.sentinel(self.reading);
        };
        {
            let mut ledger = lock(&self.ledger);
            if let (Some(at), Ledger { progress: Progress::Many(states), .. }) =
                (ledger.greatest, &mut *ledger)
            {
                states.finish(watermark.object(at), self.began.elapsed());
            }
        }
        let state = self.state();
        // There was nothing to read: the start is in the future.
        if state.0.is_empty() { watermark.state(cursor.start) } else { state }
    }
}

/// The members of a simple state that are none of this kit's.
fn others(state: &StreamState, watermark: Option<&Watermark>) -> Map<String, Value> {
    if watermark.is_none() || state.concurrent().is_some() || state.per_partition().is_some() {
        return Map::new();
    }
    let known = |key: &str| key.starts_with('_') || watermark.is_some_and(|w| w.key == key);
    let others = state.0.iter().filter(|(key, _)| !known(key));
    others.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether an answer may mean that a page token has expired.
fn is_refused(failure: &Failure) -> bool {
    matches!(failure.status, Some(400 | 404 | 410 | 422))
}

/// Works on items, at most `limit` at a time and in their order. After a failure no further
/// item is begun; those that were are brought to their end.
async fn each<T, W: Future<Output = Result<(), Failure>>>(
    items: impl Stream<Item = T>,
    limit: usize,
    work: impl Fn(T) -> W,
) -> Result<(), Failure> {
    let failed = Mutex::new(None);
    items
        .take_while(|_| std::future::ready(lock(&failed).is_none()))
        .for_each_concurrent(limit, |item| {
            let work = work(item);
            async {
                if let Err(failure) = work.await {
                    lock(&failed).get_or_insert(failure);
                }
            }
        })
        .await;
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Locks; what is guarded here stays whole when a holder panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
