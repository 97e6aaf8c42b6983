//! A stream: one object of the org, read by the API that suits the number of its rows.

use std::sync::Arc;

use airbyte_protocol::{Error, Result, StreamState};
use cdk::http::{Action, Failure};
use cdk::range::{Span, SpanSet};
use cdk::read::{Reading, Stream};
use futures::TryStreamExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, OnceCell};
use tracing::{info, warn};

use crate::api::{Api, Rows, is_field_gone, is_filter_refused, is_place_lost, is_timeout};
use crate::bulk::{Bulk, Ended};
use crate::columns::{Choice, Columns};
use crate::config::{Config, OnQuota};
use crate::describe::{CURSORS, Describe};
use crate::job::Job;
use crate::objects::{is_filtered_by_cursor, is_in_bulk};
use crate::quota::USED_UP;
use crate::removed;
use crate::rest;
use crate::state::Progress;
use crate::window::{Window, windows};

/// Windows of one stream that are read at a time.
const WINDOWS: usize = 4;
/// How often a window is halved after failed jobs before its parts are read by REST.
const HALVINGS: u32 = 5;
/// Attempts at a query whose place is lost, or whose rows are not as many as it said.
const QUERIES: u32 = 3;
/// Rows of a REST page at most.
const PAGE: u64 = 2_000;

/// What all streams share.
pub struct Shared {
    /// The API.
    pub api: Api,
    /// The configuration.
    pub config: Config,
    /// Where first reads start, in milliseconds since the epoch.
    pub start: i64,
    /// Where incremental reads end at the latest.
    pub end: Option<i64>,
    /// How far incremental reads go back.
    pub lookback: i64,
    /// The longest window, if the configuration has one.
    pub step: Option<i64>,
    /// The time between full reads for formulas.
    pub formulas: Option<i64>,
}

/// The stream of one object.
pub struct ObjectStream {
    /// The object's API name.
    pub name: String,
    /// What all streams share.
    pub shared: Arc<Shared>,
}

impl Stream for ObjectStream {
    fn definition(&self) -> airbyte_protocol::Stream {
        airbyte_protocol::Stream::new(&self.name, serde_json::json!({}))
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        Box::pin(async move {
            let ended = Box::pin(self.run(reading)).await;
            ended.map_err(|failure| self.quota_policy(failure, reading))
        })
    }
}

impl ObjectStream {
    /// A stream that the quota cut short has ended orderly where the configuration says so and
    /// its state tells the next read where to go on; a full refresh without its rest would be
    /// taken for the whole.
    fn quota_policy(&self, failure: Failure, reading: &Reading) -> Failure {
        let may_stop = self.shared.config.on_quota == OnQuota::Stop && reading.is_incremental();
        let is_cut = failure.is_code(USED_UP) && may_stop;
        if is_cut { Failure { action: Action::Skip, ..failure } } else { failure }
    }

    async fn run(&self, reading: &Reading) -> Result<StreamState, Failure> {
        if !reading.is_incremental() && reading.state().is_some_and(|s| s.is_complete_sentinel()) {
            return Ok(StreamState::complete_sentinel());
        }
        let mut run = Run::new(self, reading, false).await?;
        let mut ended = run.read().await;
        if ended.as_ref().is_err_and(is_filter_refused) && !run.has_described() {
            // Another cursor, or none: its describe tells.
            run = Run::new(self, reading, true).await?;
            ended = run.read().await;
        }
        if run.progress.has_state() {
            reading.progress(|| run.progress.state()).await;
        }
        ended?;
        Ok(match (run.is_incremental, reading.is_incremental(), run.cursor.is_some()) {
            (true, ..) => run.progress.state(),
            (false, false, true) => StreamState::complete_sentinel(),
            _ => StreamState::full_refresh_sentinel(),
        })
    }
}

/// One read of a stream.
struct Run<'a> {
    name: &'a str,
    shared: &'a Shared,
    reading: &'a Reading,
    is_incremental: bool,
    /// The field that windows are cut by.
    cursor: Option<String>,
    /// Up to when changes are read.
    to: i64,
    progress: Progress,
    described: OnceCell<Describe>,
    columns: Mutex<Arc<Columns>>,
    /// The fields that the catalog selects, with their schemas.
    properties: Map<String, Value>,
    /// Whether the columns are those of a describe.
    is_described: std::sync::atomic::AtomicBool,
}

impl<'a> Run<'a> {
    /// What the catalog says of the object is enough to begin with; `anew` asks what it is.
    async fn new(
        stream: &'a ObjectStream,
        reading: &'a Reading,
        anew: bool,
    ) -> Result<Self, Failure> {
        let shared = stream.shared.as_ref();
        let described = OnceCell::new();
        let properties = reading.configured().stream.json_schema.properties();
        let selected = Some(&properties).filter(|selected| !anew && !selected.is_empty());
        let is_filtered = is_filtered_by_cursor(&stream.name);
        let cursor = match selected {
            // What discover said is known already.
            Some(selected) => {
                let configured = reading.configured().cursor_path().first();
                let is_there = |name: &&&str| {
                    configured.is_some_and(|own| own == **name) || selected.contains_key(**name)
                };
                CURSORS.iter().find(is_there).map(|name| (*name).to_owned())
            }
            None => {
                let describe =
                    described.get_or_try_init(|| shared.api.describe(&stream.name)).await?;
                describe.filterable_cursor().map(str::to_owned)
            }
        };
        let cursor = cursor.filter(|_| is_filtered);
        let is_incremental = reading.is_incremental() && cursor.is_some();
        let progress = if is_incremental {
            Progress::incremental(reading.state(), shared.start)?
        } else {
            let state = reading.state().filter(|_| !reading.is_incremental());
            Progress::full(state)?
        };
        let is_unknown = selected.is_none();
        let now = shared.api.now() - shared.config.lag();
        let run = Run {
            name: &stream.name,
            shared,
            reading,
            is_incremental,
            to: shared.end.map_or(now, |end| end.min(now)),
            progress,
            columns: Mutex::new(Arc::new(Columns::selected(
                &stream.name,
                &choice(&properties, shared, cursor.as_deref()),
            ))),
            cursor,
            is_described: false.into(),
            described,
            properties,
        };
        if is_unknown {
            run.describe_columns().await?;
        }
        Ok(run)
    }

    async fn describe(&self) -> Result<&Describe, Failure> {
        self.described.get_or_try_init(|| self.shared.api.describe(self.name)).await
    }

    /// The columns as Salesforce describes them, which Bulk needs, and queries whose columns
    /// have gone.
    async fn describe_columns(&self) -> Result<Arc<Columns>, Failure> {
        let describe = self.describe().await?;
        let choice = choice(&self.properties, self.shared, self.cursor.as_deref());
        let mut columns = self.columns.lock().await;
        if !self.is_described.swap(true, std::sync::atomic::Ordering::Relaxed) {
            *columns = Arc::new(Columns::described(describe, &choice));
        }
        Ok(columns.clone())
    }

    async fn columns(&self) -> Arc<Columns> {
        self.columns.lock().await.clone()
    }

    fn has_described(&self) -> bool {
        self.is_described.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn read(&self) -> Result<(), Failure> {
        let now = self.shared.api.now();
        let is_due = self.is_due_for_formulas(now).await?;
        let tasks = self.tasks(is_due);
        futures::stream::iter(tasks.into_iter().map(Ok))
            .try_for_each_concurrent(WINDOWS, |(window, job)| self.window(window, job, 0))
            .await?;
        if self.is_incremental {
            if is_due {
                self.progress.known().formulas_at = Some(now);
            }
            if self.shared.config.capture_hard_deletes {
                self.removed().await?;
            }
        }
        Ok(())
    }

    /// The windows that are left, each with the job that has begun to read it.
    fn tasks(&self, anew: bool) -> Vec<(Window, Option<Job>)> {
        let known = self.progress.known();
        let begun: Vec<(Window, Option<Job>)> = known
            .jobs
            .iter()
            .map(|job| (Window { from: job.from, to: job.to }, Some(job.clone())))
            .collect();
        if !self.is_incremental {
            let all = vec![(Window::ALL, None)];
            return if begun.is_empty() { all } else { begun };
        }
        let in_jobs: Vec<Span> = begun.iter().filter_map(|(window, _)| window.span()).collect();
        let done = if anew { SpanSet::default() } else { known.done.clone() };
        let left =
            windows(&done, self.shared.start, self.to, self.shared.lookback, self.shared.step);
        let in_jobs = SpanSet::from(in_jobs);
        let left = left.into_iter().flat_map(|span| in_jobs.missing(span));
        begun.into_iter().chain(left.map(|span| (span.into(), None))).collect()
    }

    /// Whether all rows are to be read for the sake of their formulas. A first read brings
    /// them all anyway.
    async fn is_due_for_formulas(&self, now: i64) -> Result<bool, Failure> {
        let Some(every) = self.shared.formulas.filter(|_| self.is_incremental) else {
            return Ok(false);
        };
        let (last, is_first) = {
            let known = self.progress.known();
            (known.formulas_at, known.done.spans().is_empty())
        };
        let is_due = is_first || last.is_none_or(|last| now - last >= every);
        if !is_due || !self.describe().await?.has_formulas() {
            return Ok(false);
        }
        if !is_first {
            info!("{}: all rows are read again, since formulas may have changed.", self.name);
        }
        Ok(true)
    }

    /// Reads a window by the API that suits it, and notes it as finished.
    fn window(
        &self,
        window: Window,
        job: Option<Job>,
        halvings: u32,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.reading.keep_going()?;
            if let Some(job) = job {
                let columns = self.describe_columns().await?;
                if columns.is_in_bulk() {
                    let ended = self.bulk(&columns).resume(job, window).await?;
                    return self.after_bulk(ended, window, halvings, true).await;
                }
                self.progress.known().jobs.retain(|other| other.id != job.id);
            }
            if self.shared.config.force_use_bulk_api && self.bulk_columns().await?.is_some() {
                return self.by_bulk(window, halvings).await;
            }
            match self.first_page(window).await {
                Ok(first) if !self.is_for_bulk(first.total) => self.by_rest(window, first).await,
                Ok(first) => match self.bulk_columns().await? {
                    Some(_) => {
                        // Its rows come with the job.
                        drop(first);
                        self.by_bulk(window, halvings).await
                    }
                    None => self.by_rest(window, first).await,
                },
                Err(failure) if is_timeout(&failure) => match self.bulk_columns().await? {
                    Some(_) => self.by_bulk(window, halvings).await,
                    None => self.halved(window, halvings, &failure).await,
                },
                Err(failure) => Err(failure),
            }
        })
    }

    /// The first page of a window's rows. A field that has gone is left out.
    async fn first_page(&self, window: Window) -> Result<Rows, Failure> {
        match self.shared.api.query(&self.rest_query(window).await).await {
            Err(failure)
                if is_field_gone(&failure)
                    && !is_filter_refused(&failure)
                    && !self.has_described() =>
            {
                self.describe_columns().await?;
                self.shared.api.query(&self.rest_query(window).await).await
            }
            first => first,
        }
    }

    async fn rest_query(&self, window: Window) -> String {
        let columns = self.columns().await;
        self.query(&columns.rest_fields(), window)
    }

    fn query(&self, fields: &[&str], window: Window) -> String {
        let condition = self.cursor.as_deref().map(|cursor| window.condition(cursor));
        format!("SELECT {} FROM {}{}", fields.join(","), self.name, condition.unwrap_or_default())
    }

    /// Whether so many rows are better read by Bulk: where there are many, or where their pages
    /// would take up much of what is left of the API requests.
    fn is_for_bulk(&self, rows: u64) -> bool {
        let pages = rows.div_ceil(PAGE);
        let is_dear = self.shared.api.quota.left().is_some_and(|left| pages > 8.max(left / 20));
        rows > PAGE && (rows >= self.shared.config.bulk_from_rows.unwrap_or(20_000) || is_dear)
    }

    /// The columns for Bulk, if it can read the object.
    async fn bulk_columns(&self) -> Result<Option<Arc<Columns>>, Failure> {
        if !is_in_bulk(self.name) {
            return Ok(None);
        }
        let columns = self.describe_columns().await?;
        Ok(columns.is_in_bulk().then_some(columns))
    }

    fn bulk<'b>(&'b self, columns: &'b Columns) -> Bulk<'b> {
        Bulk {
            api: &self.shared.api,
            reading: self.reading,
            columns,
            progress: &self.progress,
            patience: self.shared.config.job_timeout(),
            begins: Default::default(),
        }
    }

    async fn by_bulk(&self, window: Window, halvings: u32) -> Result<(), Failure> {
        let columns = self.columns().await;
        let soql = self.query(&columns.bulk_fields(), window);
        let ended = self.bulk(&columns).read(&soql, window).await?;
        self.after_bulk(ended, window, halvings, false).await
    }

    async fn after_bulk(
        &self,
        ended: Ended,
        window: Window,
        halvings: u32,
        was_resumed: bool,
    ) -> Result<(), Failure> {
        match ended {
            Ended::Read => Ok(()),
            Ended::Gone if was_resumed => {
                info!("{}: the job of the last read is gone, another one is made.", self.name);
                Box::pin(self.by_bulk(window, halvings)).await
            }
            Ended::Gone => Err(self.trouble("a Bulk job disappeared before it was read").into()),
            Ended::Aborted => Err(self.trouble("somebody aborted its Bulk job").into()),
            Ended::Failed(why) => {
                let why = why.trim_end_matches('.');
                let failure = self.trouble(&format!("a Bulk job failed: {why}")).into();
                self.halved(window, halvings, &failure).await
            }
            Ended::Refused(failure) => {
                info!("{} is read by REST: {}", self.name, failure.error.message());
                self.whole_by_rest(window).await
            }
            Ended::NoJobs => {
                info!("{} is read by REST, since the org's Bulk jobs are used up.", self.name);
                self.whole_by_rest(window).await
            }
        }
    }

    fn trouble(&self, why: &str) -> Error {
        Error::transient(format!(
            "{} could not be read completely: {why}. The next sync goes on from the last state.",
            self.name
        ))
    }

    /// Reads the two halves of a window that was too much at once; what cannot be halved is
    /// read by REST.
    async fn halved(
        &self,
        window: Window,
        halvings: u32,
        failure: &Failure,
    ) -> Result<(), Failure> {
        let halves = window.halves(self.shared.api.now());
        let halves = halves.filter(|_| self.cursor.is_some() && halvings < HALVINGS);
        warn!("{} {window}: {} Going on in smaller steps.", self.name, failure.error.message());
        match halves {
            Some([left, right]) => {
                self.window(left, None, halvings + 1).await?;
                self.window(right, None, halvings + 1).await
            }
            None => self.whole_by_rest(window).await,
        }
    }

    async fn whole_by_rest(&self, window: Window) -> Result<(), Failure> {
        let first = self.first_page(window).await?;
        self.by_rest(window, first).await
    }

    /// Writes a window's rows from its first page on, and counts.
    async fn by_rest(&self, window: Window, first: Rows) -> Result<(), Failure> {
        let mut first = Some(first);
        for attempt in 1.. {
            let rows = match first.take() {
                Some(rows) => rows,
                None => self.first_page(window).await?,
            };
            let expected = rows.total;
            let columns = self.columns().await;
            let written = rest::write_all(&self.shared.api, self.reading, &columns, rows).await;
            let why = match written {
                Ok(written) if written.rows == expected => {
                    self.progress.known().finish(window, written.recent);
                    if self.is_incremental {
                        self.reading.progress(|| self.progress.state()).await;
                    }
                    return Ok(());
                }
                Ok(written) => self.trouble(&format!(
                    "a query should have {expected} rows, but its pages have {}",
                    written.rows
                )),
                Err(failure) if is_place_lost(&failure) => failure.error,
                Err(failure) => return Err(failure),
            };
            if attempt >= QUERIES {
                return Err(why.into());
            }
            warn!("{} {window} is queried again: {}", self.name, why.message());
        }
        Ok(())
    }

    /// Brings rows that were deleted for good since the last read.
    async fn removed(&self) -> Result<(), Failure> {
        let describe = self.describe().await?;
        let is_told = describe.replicateable && describe.has_id();
        let Some(cursor) = self.cursor.as_deref().filter(|_| is_told) else { return Ok(()) };
        let since = self.progress.known().deleted_until;
        let until = match since {
            // What was deleted before the first read was never read.
            None => self.to,
            Some(since) => {
                let removed = removed::Removed {
                    api: &self.shared.api,
                    reading: self.reading,
                    object: self.name,
                    cursor,
                };
                removed.read(since, self.to).await?
            }
        };
        self.progress.known().deleted_until = Some(until);
        Ok(())
    }
}

fn choice<'c>(
    selected: &'c Map<String, Value>,
    shared: &'c Shared,
    cursor: Option<&'c str>,
) -> Choice<'c> {
    Choice {
        selected,
        version: shared.api.version(),
        cursor,
        na_as_null: shared.config.legacy_na_as_null,
    }
}
