//! Bulk API 2.0 query jobs: creation, states, pages of results.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::csv::{Dialect, Page};
use super::error::Error;
use super::results::Results;
use super::settings::{JobAction, JobScript, JobSettings};
use super::usage::Usage;
use super::{ids, query, text};
use crate::api::{Body, Reply};

/// Jobs and their results live for seven days.
const LIFE_MS: i64 = 7 * 86_400_000;

/// Result pages that one answer of `resultPages` names.
const PAGES_AT_ONCE: usize = 5;

const DELIMITERS: [(&str, u8); 6] = [
    ("COMMA", b','),
    ("BACKQUOTE", b'`'),
    ("CARET", b'^'),
    ("PIPE", b'|'),
    ("SEMICOLON", b';'),
    ("TAB", b'\t'),
];

const LINE_ENDINGS: [(&str, &str); 2] = [("LF", "\n"), ("CRLF", "\r\n")];

/// All jobs of the org.
#[derive(Default)]
pub struct Jobs(Mutex<State>);

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Jobs since the scripts were set.
    counted: u64,
    /// How often each script changed a page.
    used: Vec<u64>,
}

/// What a client asked for.
pub struct Order {
    /// `query` or `queryAll`.
    pub operation: String,
    /// The statement.
    pub query: String,
    delimiter: (&'static str, u8),
    line_ending: (&'static str, &'static str),
}

struct Job {
    number: u64,
    /// Number since the scripts were set, which they go by.
    counted: u64,
    object: String,
    order: Order,
    version: String,
    created: i64,
    fate: Fate,
    aborted: bool,
    deleted: bool,
    extra: u64,
    results: Arc<Results>,
}

/// When the job ends, and how. Unix milliseconds.
enum Fate {
    Complete(i64),
    Fail(i64, String),
    Abort(i64),
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl Order {
    /// Reads the body of a creation.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let body: Map<String, Value> = serde_json::from_slice(body).map_err(|e| {
            Error::bad("JSON_PARSER_ERROR", format!("The HTTP entity body is not JSON: {e}"))
        })?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let operation = text("operation").unwrap_or_default();
        if !matches!(operation, "query" | "queryAll") {
            return Err(Error::bad("INVALIDJOB", "operation must be query or queryAll"));
        }
        if !matches!(text("contentType"), None | Some("CSV")) {
            return Err(Error::bad("INVALIDJOB", "contentType must be CSV"));
        }
        let query = text("query").ok_or_else(|| Error::bad("INVALIDJOB", "query is required"))?;
        let delimiter = text("columnDelimiter").unwrap_or("COMMA");
        let delimiter = DELIMITERS.into_iter().find(|(name, _)| *name == delimiter);
        let line_ending = text("lineEnding").unwrap_or("LF");
        let line_ending = LINE_ENDINGS.into_iter().find(|(name, _)| *name == line_ending);
        let invalid = |what| Error::bad("INVALIDJOB", format!("unknown {what}"));
        Ok(Self {
            operation: operation.to_owned(),
            query: query.to_owned(),
            delimiter: delimiter.ok_or_else(|| invalid("columnDelimiter"))?,
            line_ending: line_ending.ok_or_else(|| invalid("lineEnding"))?,
        })
    }
}

impl Jobs {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts counting jobs for scripts anew.
    pub fn reset_scripts(&self) {
        let mut state = self.state();
        (state.counted, state.used) = (0, Vec::new());
    }

    /// Creates a job for a query that was checked.
    pub fn create(
        &self,
        settings: &JobSettings,
        order: Order,
        results: Results,
        version: &str,
        now_ms: i64,
    ) -> Value {
        let mut state = self.state();
        state.counted += 1;
        let object = results.org.objects[results.plan.object].name.clone();
        let mut job = Job {
            number: state.jobs.len() as u64,
            counted: state.counted,
            object,
            order,
            version: version.to_owned(),
            created: now_ms,
            fate: Fate::Complete(now_ms + settings.delay_ms),
            aborted: false,
            deleted: false,
            extra: 0,
            results: Arc::new(results),
        };
        for script in &settings.script {
            if !fits(script, job.counted, &job.object) {
                continue;
            }
            let after = now_ms + script.after_ms;
            match script.action {
                JobAction::Fail => {
                    let message = script.message.clone().unwrap_or_else(|| {
                        "InternalServerError: Retried more than 15 times.".to_owned()
                    });
                    job.fate = Fate::Fail(after, message);
                }
                JobAction::Abort => job.fate = Fate::Abort(after),
                JobAction::Delay => job.fate = Fate::Complete(after),
                JobAction::Stall => job.fate = Fate::Never,
                JobAction::MiscountTotal => job.extra = 1,
                JobAction::Miscount | JobAction::LoseRow | JobAction::RepeatPage => {}
            }
        }
        let body = job.body(now_ms, true);
        state.jobs.push(job);
        body
    }

    /// A job's description.
    pub fn get(&self, id: &str, now_ms: i64) -> Result<Value, Error> {
        Ok(self.state().find(id, now_ms)?.body(now_ms, false))
    }

    /// All jobs.
    pub fn list(&self, now_ms: i64) -> Value {
        let state = self.state();
        let alive = state.jobs.iter().filter(|j| j.is_alive(now_ms));
        let records: Vec<Value> = alive.map(|j| j.body(now_ms, true)).collect();
        json!({"done": true, "records": records, "nextRecordsUrl": null})
    }

    /// Object, state and rows of every job there ever was, for tests.
    pub fn history(&self, now_ms: i64) -> Value {
        let state = self.state();
        let jobs = state.jobs.iter().map(|job| {
            json!({
                "id": ids::id("750", job.number),
                "object": job.object,
                "state": job.stage(now_ms).name(),
                "deleted": job.deleted,
                "rows": job.results.total,
            })
        });
        jobs.collect()
    }

    /// Aborts a job.
    pub fn abort(&self, id: &str, body: &[u8], now_ms: i64) -> Result<Value, Error> {
        let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        if wanted["state"] != "Aborted" {
            return Err(Error::bad(
                "INVALIDJOBSTATE",
                "a query job's state can be set to Aborted only",
            ));
        }
        let mut state = self.state();
        let job = state.find(id, now_ms)?;
        if job.is_ended(now_ms) {
            return Err(Error::bad("INVALIDJOBSTATE", "the job has ended already"));
        }
        job.aborted = true;
        Ok(job.body(now_ms, true))
    }

    /// Deletes a job that has ended.
    pub fn delete(&self, id: &str, now_ms: i64) -> Result<(), Error> {
        let mut state = self.state();
        let job = state.find(id, now_ms)?;
        if !job.is_ended(now_ms) {
            let message = "the job must be aborted before it can be deleted";
            return Err(Error::bad("INVALIDJOBSTATE", message));
        }
        job.deleted = true;
        Ok(())
    }

    /// One page of a job's results.
    pub fn results(
        &self,
        settings: &JobSettings,
        usage: &Usage,
        ask: &Ask<'_>,
    ) -> Result<Reply, Error> {
        let mut state = self.state();
        let job = state.find(ask.id, ask.now_ms)?;
        job.ready(ask)?;
        let (offset, position) = match query::get(ask.query, "locator") {
            Some(locator) => job.locate(&locator)?,
            None => (0, job.results.start()),
        };
        let rows = match query::get(ask.query, "maxRecords") {
            None => settings.page_rows,
            Some(text) => text.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                Error::bad("INVALID_REQUEST", format!("invalid maxRecords: {text}"))
            })?,
        };
        let rows = rows.min(job.results.total.saturating_sub(offset));
        let (results, number, counted) = (job.results.clone(), job.number, job.counted);
        let object = job.object.clone();
        let dialect =
            Dialect { delimiter: job.order.delimiter.1, line_ending: job.order.line_ending.1 };
        let lie = state.page_script(settings, counted, &object);
        drop(state);

        // The position behind the page is found by scanning its rows once without writing them.
        let next = if offset + rows < results.total {
            locator(number, offset + rows, results.skip(position, rows))
        } else {
            "null".to_owned()
        };
        let (mut from, mut written, mut announced) = (position, rows, rows);
        match lie {
            Some(JobAction::Miscount) => announced += 1,
            Some(JobAction::LoseRow) => written = written.saturating_sub(1),
            Some(JobAction::RepeatPage) => from = results.start(),
            _ => {}
        }
        let is_empty = settings.empty_body && results.total == 0;
        let page = Page::new(results, dialect, from, written, ask.gzip);
        let bytes = usage.bulk_bytes.clone();
        let parts = page.inspect(move |part| {
            bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
        });
        let body = if is_empty {
            Body::default()
        } else if settings.content_length {
            Body::Whole(parts.flatten().collect())
        } else {
            Body::Parts(Box::new(parts))
        };
        let mut headers = vec![
            ("content-type", "text/csv".to_owned()),
            ("sforce-locator", next),
            ("sforce-numberofrecords", announced.to_string()),
        ];
        if ask.gzip && !is_empty {
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        Ok(Reply { status: 200, headers, body, delay: None })
    }

    /// The addresses of the next pages of a job's results.
    pub fn pages(&self, settings: &JobSettings, ask: &Ask<'_>) -> Result<Value, Error> {
        let (results, number, mut at) = {
            let mut state = self.state();
            let job = state.find(ask.id, ask.now_ms)?;
            job.ready(ask)?;
            let at = match query::get(ask.query, "locator") {
                Some(locator) => job.locate(&locator)?,
                None => (0, job.results.start()),
            };
            (job.results.clone(), job.number, at)
        };
        let base = format!("/services/data/v{}/jobs/query/{}", ask.version, ask.id);
        let mut pages = Vec::new();
        while pages.len() < PAGES_AT_ONCE && (at.0 < results.total || at.0 == 0) {
            let locator = locator(number, at.0, at.1);
            pages.push(json!({"resultUrl": format!("{base}/results?locator={locator}")}));
            at = (at.0 + settings.page_rows, results.skip(at.1, settings.page_rows));
        }
        let done = at.0 >= results.total;
        let next = format!("{base}/resultPages?locator={}", locator(number, at.0, at.1));
        Ok(json!({
            "resultPages": pages,
            "nextRecordsUrl": if done { Value::Null } else { next.into() },
            "done": done,
        }))
    }
}

/// A request for results.
pub struct Ask<'a> {
    /// The job.
    pub id: &'a str,
    /// The query string.
    pub query: &'a str,
    /// The API version in the path.
    pub version: &'a str,
    /// Whether the client takes gzip.
    pub gzip: bool,
    /// Unix milliseconds.
    pub now_ms: i64,
}

impl State {
    fn find(&mut self, id: &str, now_ms: i64) -> Result<&mut Job, Error> {
        let index = ids::index("750", id).and_then(|i| usize::try_from(i).ok());
        let job = index.and_then(|i| self.jobs.get_mut(i)).filter(|j| j.is_alive(now_ms));
        job.ok_or_else(Error::not_found)
    }

    /// The script that changes this page, which is used up by it.
    fn page_script(&mut self, settings: &JobSettings, job: u64, object: &str) -> Option<JobAction> {
        self.used.resize(settings.script.len(), 0);
        for (script, used) in settings.script.iter().zip(&mut self.used) {
            let is_page = matches!(
                script.action,
                JobAction::Miscount | JobAction::LoseRow | JobAction::RepeatPage
            );
            if is_page && fits(script, job, object) && (script.times == 0 || *used < script.times) {
                *used += 1;
                return Some(script.action);
            }
        }
        None
    }
}

fn fits(script: &JobScript, job: u64, object: &str) -> bool {
    script.job.is_none_or(|number| number == job)
        && script.object.as_ref().is_none_or(|name| name == object)
}

impl Job {
    fn is_alive(&self, now_ms: i64) -> bool {
        !self.deleted && now_ms - self.created < LIFE_MS
    }

    fn is_ended(&self, now_ms: i64) -> bool {
        !matches!(self.stage(now_ms), Stage::UploadComplete | Stage::InProgress)
    }

    fn stage(&self, now_ms: i64) -> Stage {
        if self.aborted {
            return Stage::Aborted;
        }
        match self.fate {
            Fate::Complete(at) if now_ms >= at => Stage::JobComplete,
            Fate::Fail(at, _) if now_ms >= at => Stage::Failed,
            Fate::Abort(at) if now_ms >= at => Stage::Aborted,
            _ => Stage::InProgress,
        }
    }

    /// Whether results can be had, in the version of the request.
    fn ready(&self, ask: &Ask<'_>) -> Result<(), Error> {
        if ask.version != self.version {
            let message = format!(
                "The API version used to get the results (v{}) must be the one that created the job (v{})",
                ask.version, self.version
            );
            return Err(Error::new(409, "API_VERSION_MISMATCH", message));
        }
        match self.stage(ask.now_ms) {
            Stage::JobComplete => Ok(()),
            Stage::UploadComplete | Stage::InProgress => {
                Err(Error::new(412, "JOB_NOT_COMPLETE", "The job is not complete yet"))
            }
            Stage::Failed | Stage::Aborted => {
                Err(Error::bad("INVALIDJOBSTATE", "The job has no results, it did not complete"))
            }
        }
    }

    /// Rows before a locator's page, and its position.
    fn locate(&self, locator: &str) -> Result<(u64, u64), Error> {
        let invalid = || Error::bad("INVALID_LOCATOR", format!("invalid locator: {locator}"));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(locator).map_err(|_| invalid())?;
        let text = String::from_utf8(bytes).map_err(|_| invalid())?;
        let numbers: Option<Vec<u64>> = text.split(':').map(|n| n.parse().ok()).collect();
        match numbers.as_deref() {
            Some([number, offset, position]) if *number == self.number => Ok((*offset, *position)),
            _ => Err(invalid()),
        }
    }

    /// The job's description; a short one when it is created, aborted or listed.
    fn body(&self, now_ms: i64, short: bool) -> Value {
        let created =
            format!("{}+0000", text::datetime_text(self.created / 1000).trim_end_matches('Z'));
        let stage = if short && !self.aborted && now_ms == self.created {
            Stage::UploadComplete
        } else {
            self.stage(now_ms)
        };
        let version: serde_json::Number = self.version.parse().unwrap_or_else(|_| 0.into());
        let mut body = json!({
            "id": ids::id("750", self.number),
            "operation": self.order.operation,
            "object": self.object,
            "createdById": ids::id("005", 0),
            "createdDate": created,
            "systemModstamp": created,
            "state": stage.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": version,
            "lineEnding": self.order.line_ending.0,
            "columnDelimiter": self.order.delimiter.0,
        });
        if short {
            return body;
        }
        let plan = &self.results.plan;
        body["jobType"] = "V2Query".into();
        body["retries"] = 0.into();
        body["totalProcessingTime"] = (now_ms - self.created).into();
        body["isPkChunkingSupported"] = (plan.order.is_none() && plan.limit.is_none()).into();
        body["numberRecordsProcessed"] = match stage {
            Stage::JobComplete => (self.results.total + self.extra).into(),
            Stage::UploadComplete => 0.into(),
            _ => (self.results.total / 2).into(),
        };
        if let (Stage::Failed, Fate::Fail(_, message)) = (stage, &self.fate) {
            body["errorMessage"] = message.as_str().into();
        }
        body
    }
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::UploadComplete => "UploadComplete",
            Self::InProgress => "InProgress",
            Self::JobComplete => "JobComplete",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }
}

fn locator(job: u64, offset: u64, position: u64) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{job}:{offset}:{position}"))
}
