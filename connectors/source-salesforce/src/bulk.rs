//! Reading rows by Bulk API 2.0 query jobs: one is made, waited for, and its pages are read
//! side by side while they come in (docs "Bulk API 2.0 and Bulk API Developer Guide").

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::Error;
use cdk::decode::{Csv, Row};
use cdk::http::{Broken, Failure};
use cdk::read::Reading;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::api::{Api, JobInfo, is_not_for_bulk, is_out_of_jobs};
use crate::columns::Columns;
use crate::job::{Job, Next};
use crate::rest::BATCH;
use crate::state::{Progress, millis};
use crate::window::Window;

const FIRST_LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(30);
/// How often a page is asked for without getting further before its window fails.
const ATTEMPTS: u32 = 6;

/// How a job ended.
#[derive(Debug)]
pub enum Ended {
    /// All its rows were written and counted.
    Read,
    /// Salesforce could not manage it; a smaller one may do.
    Failed(String),
    /// Somebody aborted it.
    Aborted,
    /// It is not there any more, or does not belong to what is read now.
    Gone,
    /// Jobs for this object are refused.
    Refused(Failure),
    /// The org's jobs are used up.
    NoJobs,
}

/// Why a page could not be read.
enum Trouble {
    /// It broke off or is not what it should be: worth another attempt.
    Broken(String),
    /// It has other columns than were asked for: worth another attempt, but not another read.
    Strange(String),
    /// It cannot be had.
    Failed(Failure),
    /// The job is of no use.
    Useless,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Trouble::Failed(failure)
    }
}

impl From<Broken> for Trouble {
    fn from(broken: Broken) -> Self {
        Trouble::Broken(broken.to_string())
    }
}

/// What reading by Bulk needs.
pub struct Bulk<'a> {
    /// The API.
    pub api: &'a Api,
    /// Where rows go.
    pub reading: &'a Reading,
    /// The columns of rows.
    pub columns: &'a Columns,
    /// How far the stream has been read.
    pub progress: &'a Progress,
    /// How long a job may take.
    pub patience: Duration,
    /// The ids that pages begin with, with the pages' locators.
    pub begins: Mutex<HashMap<Vec<u8>, String>>,
}

impl Bulk<'_> {
    /// Reads a window by a new job.
    ///
    /// # Errors
    /// When its rows cannot be had; what was written of them is in the progress.
    pub async fn read(&self, soql: &str, window: Window) -> Result<Ended, Failure> {
        // Never closed: an error cannot happen.
        let _permit = self.api.jobs.acquire().await.ok();
        if !self.api.take_bulk_job().await {
            return Ok(Ended::NoJobs);
        }
        let made = match self.api.create_job(soql).await {
            Ok(made) => made,
            Err(failure) if is_out_of_jobs(&failure) => {
                self.api.quota.no_more_bulk_jobs();
                return Ok(Ended::NoJobs);
            }
            Err(failure) if is_not_for_bulk(&failure) => return Ok(Ended::Refused(failure)),
            Err(failure) => return Err(failure),
        };
        let job = Job::new(made.id, self.api.version().to_owned(), window.from, window.to);
        self.progress.known().jobs.push(job.clone());
        self.follow(job, window).await
    }

    /// Goes on with a job that an earlier read began.
    ///
    /// # Errors
    /// As [`Bulk::read`].
    pub async fn resume(&self, job: Job, window: Window) -> Result<Ended, Failure> {
        let _permit = self.api.jobs.acquire().await.ok();
        info!("Going on with Bulk job {} behind its first {} rows.", job.id, job.written());
        self.follow(job, window).await
    }

    async fn follow(&self, job: Job, window: Window) -> Result<Ended, Failure> {
        let ended = match self.wait(&job).await? {
            Ok(info) => self.download(&job, &info).await?,
            Err(ended) => ended,
        };
        match ended {
            Ended::Read => {
                let recent = self.progress.job(&job.id, |job| job.recent);
                self.forget(&job);
                self.progress.known().finish(window, recent);
                // Of a full read that is at its end there is nothing to tell but that.
                if self.progress.has_state() {
                    self.reading.progress(|| self.progress.state()).await;
                    // Only what no state needs any more is deleted.
                    self.reading.flush().await;
                }
                self.delete(&job).await;
            }
            _ => self.forget(&job),
        }
        Ok(ended)
    }

    fn forget(&self, job: &Job) {
        self.progress.known().jobs.retain(|other| other.id != job.id);
    }

    /// Waits for the job's end.
    async fn wait(&self, job: &Job) -> Result<Result<JobInfo, Ended>, Failure> {
        let (begin, mut pause) = (Instant::now(), FIRST_LOOK);
        let mut told = begin;
        loop {
            let info = match self.api.job(job).await {
                Ok(info) => info,
                Err(failure) if matches!(failure.status, Some(404 | 409)) => {
                    return Ok(Err(Ended::Gone));
                }
                Err(failure) => return Err(failure),
            };
            let why = || info.error_message.clone().unwrap_or_else(|| "no reason given".into());
            match info.state.as_str() {
                "JobComplete" => return Ok(Ok(info)),
                "Failed" => return Ok(Err(Ended::Failed(why()))),
                "Aborted" => return Ok(Err(Ended::Aborted)),
                _ => {}
            }
            if begin.elapsed() > self.patience {
                // Nobody needs what it would bring; that it goes on is no harm either.
                let _ = self.api.abort_job(job).await;
                let minutes = self.patience.as_secs() / 60;
                return Ok(Err(Ended::Failed(format!("it had not ended after {minutes} minutes"))));
            }
            if told.elapsed() > Duration::from_secs(300) {
                told = Instant::now();
                let minutes = begin.elapsed().as_secs() / 60;
                info!("Bulk job {} is {} after {minutes} minutes.", job.id, info.state);
            }
            if self.reading.is_due().await {
                self.reading.progress(|| self.progress.state()).await;
            }
            self.api.sleep(pause).await?;
            pause = pause.mul_f64(1.5).min(LONGEST_LOOK);
        }
    }

    /// Reads all pages, several at a time, and counts.
    async fn download(&self, job: &Job, info: &JobInfo) -> Result<Ended, Failure> {
        let (found, mut next) = unbounded_channel::<String>();
        let mut open = FuturesUnordered::new();
        for page in &job.pages {
            if !page.whole {
                let _ = found.send(page.at.clone());
            }
        }
        while !(open.is_empty() && next.is_empty()) {
            tokio::select! {
                biased;
                Some(ended) = open.next() => match ended {
                    Ok(()) => {}
                    Err(Trouble::Useless) => return Ok(Ended::Gone),
                    Err(Trouble::Failed(failure)) if failure.status == Some(404) => {
                        return Ok(Ended::Gone);
                    }
                    Err(Trouble::Failed(failure)) => return Err(failure),
                    Err(Trouble::Broken(why) | Trouble::Strange(why)) => {
                        return Err(broken(job, &why).into());
                    }
                },
                Some(at) = next.recv() => open.push(self.page(job, at, found.clone())),
            }
        }
        let written = self.progress.job(&job.id, |job| job.written());
        match info.number_records_processed {
            Some(expected) if expected != written => {
                // Going on with it could not help: the next read makes another one.
                self.forget(job);
                let why = format!("it has {expected} rows, but its pages have {written}");
                Err(broken(job, &why).into())
            }
            _ => Ok(Ended::Read),
        }
    }

    /// Reads a page to its end, again where it breaks off.
    async fn page(
        &self,
        job: &Job,
        at: String,
        found: UnboundedSender<String>,
    ) -> Result<(), Trouble> {
        let mut failed = 0;
        loop {
            let before = self.rows_of(job, &at);
            let permit = self.api.downloads.acquire().await.ok();
            let why = match self.attempt(job, &at, &found).await {
                Err(Trouble::Broken(why) | Trouble::Strange(why)) if failed + 1 < ATTEMPTS => why,
                Err(Trouble::Strange(_)) => return Err(Trouble::Useless),
                ended => return ended,
            };
            drop(permit);
            failed = if self.rows_of(job, &at) > before { 1 } else { failed + 1 };
            warn!("A page of Bulk job {} is asked for again: {why}.", job.id);
            self.api.sleep(self.api.client().policy().delay(failed)).await?;
        }
    }

    fn rows_of(&self, job: &Job, at: &str) -> u64 {
        self.progress.job(&job.id, |job| job.page(at).map_or(0, |page| page.rows))
    }

    async fn attempt(
        &self,
        job: &Job,
        at: &str,
        found: &UnboundedSender<String>,
    ) -> Result<(), Trouble> {
        self.reading.keep_going()?;
        let answer = match self.api.results(job, at).await {
            // Too early, whatever the job's state said.
            Err(failure) if failure.status == Some(412) => {
                return Err(Trouble::Broken("its results are not ready".into()));
            }
            Err(failure) if failure.status == Some(409) => return Err(Trouble::Useless),
            answer => answer?,
        };
        let header = |name: &str| answer.headers.get(name).and_then(|v| v.to_str().ok());
        let expected = header("sforce-numberofrecords").and_then(|count| count.parse().ok());
        // Without it the answer is none of Salesforce's.
        let expected: u64 = expected
            .ok_or_else(|| Trouble::Broken("it does not say how many rows it has".into()))?;
        let next = header("sforce-locator").filter(|at| !at.is_empty() && *at != "null");
        let next = next.map(str::to_owned);
        let mut csv = Csv::open(answer.body, b',').await?;
        self.compare_headers(&csv, expected, job)?;
        self.announce(job, at, next, found)?;
        csv.skip(self.rows_of(job, at)).await?;
        self.write(job, at, &mut csv).await?;
        if expected != csv.rows() {
            let why = format!("it should have {expected} rows, but has {}", csv.rows());
            return Err(Trouble::Broken(why));
        }
        self.progress.job(&job.id, |job| job.finish(at));
        Ok(())
    }

    /// The names in the first row must be those of the fields that were selected.
    fn compare_headers(&self, csv: &Csv, expected: u64, job: &Job) -> Result<(), Trouble> {
        let fields = self.columns.bulk_fields();
        let has = csv.headers();
        if has.len() == 0 && expected == 0 {
            return Ok(());
        }
        let is_same = has.len() == fields.len()
            && csv.headers().zip(&fields).all(|(has, field)| has.eq_ignore_ascii_case(field));
        match is_same {
            true => Ok(()),
            // Of a job from an earlier read, which may have had other columns.
            false if job.written() > 0 => Err(Trouble::Useless),
            false => Err(Trouble::Strange("its columns are not those asked for".into())),
        }
    }

    /// No two pages begin with the same row: the count alone would not tell that a page came
    /// in the place of another.
    fn compare_begin(&self, row: Row<'_>, at: &str) -> Result<(), Trouble> {
        let id = self.columns.bulk_fields().iter().position(|field| *field == "Id");
        let Some(id) = id.and_then(|cell| row.get(cell)) else { return Ok(()) };
        let mut begins = self.begins.lock().unwrap_or_else(PoisonError::into_inner);
        let known = begins.entry(id.to_vec()).or_insert_with(|| at.to_owned());
        if known == at {
            return Ok(());
        }
        Err(Trouble::Broken("it begins like another page".into()))
    }

    /// Notes what follows a page, once.
    fn announce(
        &self,
        job: &Job,
        at: &str,
        next: Option<String>,
        found: &UnboundedSender<String>,
    ) -> Result<(), Trouble> {
        let known = self.progress.job(&job.id, |job| job.page(at).and_then(|p| p.next.clone()));
        match (known, next) {
            (None, next) => {
                if !self.progress.job(&job.id, |job| job.set_next(at, next.as_deref())) {
                    self.forget(job);
                    let why = "the chain of its pages leads back to one that was read";
                    return Err(Trouble::Failed(broken(job, why).into()));
                }
                if let Some(next) = next {
                    let _ = found.send(next);
                }
                Ok(())
            }
            (Some(Next::At(known)), Some(next)) if known == next => Ok(()),
            (Some(Next::End(_)), None) => Ok(()),
            _ => Err(Trouble::Broken("another page follows it than before".into())),
        }
    }

    async fn write(&self, job: &Job, at: &str, csv: &mut Csv) -> Result<(), Trouble> {
        let mut writer = self.columns.bulk_writer();
        let cursor = self.columns.cursor_cell();
        let mut batch = self.reading.batch();
        let mut newest: Vec<u8> = Vec::new();
        let mut is_first = csv.rows() == 0;
        loop {
            let row = csv.next().await;
            let more = match &row {
                Ok(Some(row)) => {
                    if std::mem::take(&mut is_first) {
                        self.compare_begin(*row, at)?;
                    }
                    if let Some(at) = cursor.and_then(|cell| row.get(cell)) {
                        // Times of one form and length compare as texts.
                        if at > newest.as_slice() {
                            newest.clear();
                            newest.extend_from_slice(at);
                        }
                    }
                    batch.push(&[writer.json(*row)]);
                    true
                }
                _ => false,
            };
            if batch.bytes() >= BATCH || (!more && !batch.is_empty()) {
                let rows = batch.len() as u64;
                let full = std::mem::replace(&mut batch, self.reading.batch());
                self.reading.write(full).await;
                let recent = std::str::from_utf8(&newest).ok().and_then(millis);
                self.progress.job(&job.id, |job| {
                    job.add_rows(at, rows);
                    job.recent = job.recent.max(recent);
                });
                if self.reading.is_due().await {
                    self.reading.progress(|| self.progress.state()).await;
                }
                self.reading.keep_going()?;
            }
            if !more {
                row?;
                return Ok(());
            }
        }
    }

    /// Deletes a job that was read; if that fails, Salesforce does so after seven days.
    async fn delete(&self, job: &Job) {
        if let Err(failure) = self.api.delete_job(job).await {
            info!("Bulk job {} was not deleted: {}", job.id, failure.error.message());
        }
    }
}

fn broken(job: &Job, why: &str) -> Error {
    Error::transient(format!(
        "The results of Bulk job {} cannot be read completely: {why}. The next sync goes on from the last state.",
        job.id
    ))
}
