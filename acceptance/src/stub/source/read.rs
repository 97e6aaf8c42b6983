//! Reads streams: pages, records, states, statuses.

use std::cell::RefCell;
use std::time::Duration;

use airbyte_protocol::{Error, FailureType, Result, StreamDescriptor};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::client::Client;
use super::inputs::{Configured, States};
use super::output::{Output, now_ms};
use crate::stub::mutants::{Fault, Mutation};

/// The state of a stream that has been read to its end in this job.
const COMPLETE: &str = "__ab_full_refresh_sync_complete";
/// The state of a stream that cannot go on.
const NO_CURSOR: &str = "__ab_no_cursor_state_message";

/// How a stream goes on where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By the greatest cursor.
    Cursor(&'static str),
    /// By the token of the next page.
    PageToken,
    /// Not at all.
    Full,
}

fn kind(stream: &StreamDescriptor, mutation: Mutation) -> Option<Kind> {
    if stream.namespace.is_some() {
        return None;
    }
    Some(match stream.name.as_str() {
        "users" => Kind::Cursor("updated_at"),
        "orders" => Kind::Cursor("sequence"),
        "notes" => Kind::PageToken,
        "countries" if mutation.is(Fault::StreamRemoved) => return None,
        "countries" | "empty" => Kind::Full,
        _ => return None,
    })
}

/// A read of some streams.
pub struct Reader<'a> {
    client: Client<'a>,
    output: &'a Output,
    mutation: Mutation,
    catalog: &'a [Configured],
    /// The stream that is being read, for the end by a signal.
    pub current: &'a RefCell<Option<StreamDescriptor>>,
    /// What `rows-collected` keeps.
    hoard: Vec<Vec<u8>>,
}

/// A stream that is being read.
struct Run<'a> {
    stream: &'a StreamDescriptor,
    /// Records since the last state.
    count: usize,
    total: usize,
    last_state: Option<Value>,
}

impl<'a> Reader<'a> {
    /// A reader of these streams.
    pub fn new(
        client: Client<'a>,
        output: &'a Output,
        mutation: Mutation,
        catalog: &'a [Configured],
        current: &'a RefCell<Option<StreamDescriptor>>,
    ) -> Self {
        Self { client, output, mutation, catalog, current, hoard: Vec::new() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.mutation.is(fault)
    }

    /// Reads all streams, whatever comes of each. Tells whether all went well.
    pub async fn read(&mut self, states: &States) -> bool {
        let mut is_well = true;
        for configured in self.catalog {
            *self.current.borrow_mut() = Some(configured.stream.clone());
            if let Err(error) = self.read_stream(configured, states).await {
                let error = error.for_stream(configured.stream.clone());
                let is_given_up = error.kind() == FailureType::Transient;
                if is_given_up && self.is(Fault::CompleteAfterGivingUp) {
                    self.output.log("WARN", error.message());
                    self.status(&configured.stream, "COMPLETE", None);
                    continue;
                }
                self.output.error(&error);
                self.status(&configured.stream, "INCOMPLETE", None);
                is_well = false;
            }
        }
        *self.current.borrow_mut() = None;
        is_well
    }

    async fn read_stream(&mut self, configured: &Configured, states: &States) -> Result<()> {
        let stream = &configured.stream;
        let Some(kind) = kind(stream, self.mutation) else {
            if self.is(Fault::UnknownStreamDropped) {
                return Ok(());
            }
            self.status(stream, "STARTED", None);
            return Err(Error::config(format!("There is no stream {:?}.", stream.name)));
        };
        let is_refused = configured.is_incremental && !matches!(kind, Kind::Cursor(_));
        if is_refused && self.is(Fault::IncrementalRefused) {
            let text = format!("The stream {:?} cannot be read incrementally.", stream.name);
            return Err(Error::config(text));
        }
        let state = self.state_of(stream, states)?;
        self.status(stream, "STARTED", None);
        if !self.is(Fault::RunningMissing) {
            self.status(stream, "RUNNING", None);
        }
        let mut run = Run { stream, count: 0, total: 0, last_state: None };
        match kind {
            Kind::Cursor(field) => self.by_cursor(&mut run, field, state).await?,
            Kind::PageToken => self.by_page_token(&mut run, state).await?,
            Kind::Full => self.in_full(&mut run).await?,
        }
        self.complete(&mut run);
        Ok(())
    }

    fn complete(&mut self, run: &mut Run<'_>) {
        let last = run.last_state.clone();
        let is_late = self.is(Fault::StateAfterComplete);
        if !self.is(Fault::CompleteMissing) {
            let status = if self.is(Fault::StatusUnknown) { "DONE" } else { "COMPLETE" };
            self.status(run.stream, status, None);
        }
        if is_late && let Some(state) = last {
            self.print_state(run, state);
        }
        if self.is(Fault::RecordAfterComplete) && run.stream.name == "users" {
            let row = json!({"id": 1, "name": "Ada", "updated_at": "2024-01-01T00:00:00Z"});
            self.output.record("users", None, row);
        }
    }

    /// The state of the stream in the file; `None` when there is none.
    fn state_of(&self, stream: &StreamDescriptor, states: &States) -> Result<Option<Value>> {
        let is_configured =
            |other: &StreamDescriptor| self.catalog.iter().any(|c| c.stream.name == other.name);
        if self.is(Fault::ForeignStateRefused)
            && let Some((other, _)) = states.iter().find(|(other, _)| !is_configured(other))
        {
            return Err(Error::config(format!("{:?} of the state is unknown.", other.name)));
        }
        let is_same = |other: &StreamDescriptor| {
            other.name == stream.name
                && other.namespace.as_deref().unwrap_or("")
                    == stream.namespace.as_deref().unwrap_or("")
        };
        let state = states.iter().rev().find(|(other, _)| is_same(other)).map(|(_, state)| state);
        match state {
            None | Some(Value::Null) => Ok(None),
            Some(_) if self.is(Fault::StateIgnored) => Ok(None),
            Some(Value::Object(state)) if state.is_empty() || state.contains_key(NO_CURSOR) => {
                Ok(None)
            }
            Some(state @ Value::Object(_)) => Ok(Some(state.clone())),
            Some(_) if self.is(Fault::BrokenStateIgnored) => Ok(None),
            Some(_) => Err(Error::config(format!("The state of {:?} is no object.", stream.name))),
        }
    }

    /// Rows with cursors at or after the state's, in their order; a state after each page.
    async fn by_cursor(
        &mut self,
        run: &mut Run<'_>,
        field: &'static str,
        state: Option<Value>,
    ) -> Result<()> {
        let key = if self.is(Fault::StateFormatChanged) { "position" } else { field };
        let mut cursor = self.cursor_in(run, key, state)?;
        if cursor.as_ref().is_some_and(is_far) && self.is(Fault::FarStateForgotten) {
            cursor = None;
        }
        let since = match (&cursor, field) {
            (Some(Value::Number(n)), _) if self.is(Fault::CursorExclusive) => {
                Some((n.as_i64().unwrap_or_default() + 1).to_string())
            }
            (Some(cursor), _) => Some(text_of(cursor)),
            (None, "updated_at") => self.client.start_date().map(str::to_owned),
            (None, _) => None,
        };
        let incoming = cursor.clone();
        let mut first_page_cursor = None;
        let mut token = None;
        loop {
            let (rows, next) = self.page(run, since.as_deref(), token.as_deref()).await?;
            let behind = cursor.clone();
            for row in &rows {
                cursor = greater(cursor, &row[field]);
            }
            first_page_cursor = first_page_cursor.or_else(|| cursor.clone());
            let mut position = cursor.clone();
            if self.is(Fault::StateBehindRecords) {
                position = behind.or(incoming.clone()).or_else(|| cursor.clone());
            }
            if self.is(Fault::StateOfClock) && field == "updated_at" {
                position = Some(Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true).into());
            }
            let state = json!({key: position});
            let is_ahead = self.is(Fault::StatesAhead)
                || self.is(Fault::StateAheadOfRecords) && field == "updated_at";
            if is_ahead && position.is_some() {
                self.state(run, state.clone());
            }
            let page_rows = rows.len();
            self.records(run, rows);
            let is_last = next.is_none();
            if !is_ahead && page_rows > 0 && position.is_some() {
                self.state(run, state);
            }
            token = next;
            if is_last {
                break;
            }
        }
        let end = match &cursor {
            Some(cursor) => json!({key: cursor}),
            // Nothing was ever read: the next read begins where this one did.
            None => match self.client.start_date() {
                Some(start) if field == "updated_at" => json!({key: start}),
                _ => json!({NO_CURSOR: true}),
            },
        };
        if self.is(Fault::CursorGoesBack)
            && let Some(first) = first_page_cursor
        {
            self.print_state(run, json!({key: first}));
        }
        self.last_state(run, end);
        Ok(())
    }

    /// The cursor in a state.
    fn cursor_in(&self, run: &Run<'_>, key: &str, state: Option<Value>) -> Result<Option<Value>> {
        let Some(state) = state else { return Ok(None) };
        let is_good = |cursor: &Value| match (run.stream.name.as_str(), cursor) {
            ("users", Value::String(text)) => DateTime::parse_from_rfc3339(text).is_ok(),
            ("orders", Value::Number(number)) => number.is_i64(),
            _ => false,
        };
        match &state[key] {
            cursor if is_good(cursor) => Ok(Some(cursor.clone())),
            Value::Null if self.is(Fault::StateFormatChanged) => Ok(None),
            Value::Null if state[COMPLETE] == true => Ok(None),
            _ if self.is(Fault::BrokenStateIgnored) => Ok(None),
            _ => Err(Error::config(format!(
                "The state of {:?} holds no {key:?} that can be read.",
                run.stream.name
            ))),
        }
    }

    /// Page by page, from the token in the state on; a state after each page.
    async fn by_page_token(&mut self, run: &mut Run<'_>, state: Option<Value>) -> Result<()> {
        let mut token = None;
        if let Some(state) = state {
            if state[COMPLETE] == true && !self.is(Fault::CompletionIgnored) {
                self.last_state(run, json!({COMPLETE: true}));
                return Ok(());
            }
            token = state["page_token"].as_str().map(str::to_owned);
            if token.is_none() && state[COMPLETE].is_null() && !self.is(Fault::BrokenStateIgnored) {
                return Err(Error::config("The state of \"notes\" holds no page token."));
            }
            if self.is(Fault::PageTokenIgnored) {
                token = None;
            }
        }
        loop {
            let (rows, next) = self.page(run, None, token.as_deref()).await?;
            let state = match &next {
                Some(token) => json!({"page_token": token}),
                None => json!({COMPLETE: true}),
            };
            if self.is(Fault::StatesAhead) {
                self.state(run, state.clone());
                self.records(run, rows);
            } else {
                self.records(run, rows);
                self.state(run, state);
            }
            if next.is_none() {
                break;
            }
            token = next;
        }
        self.last_state(run, json!({COMPLETE: true}));
        Ok(())
    }

    /// From the first to the last page; one state at the end.
    async fn in_full(&mut self, run: &mut Run<'_>) -> Result<()> {
        let mut token = None;
        loop {
            let (rows, next) = self.page(run, None, token.as_deref()).await?;
            self.records(run, rows);
            if self.is(Fault::StatesEqual) && next.is_some() {
                self.print_state(run, json!({NO_CURSOR: true}));
            }
            if next.is_none() {
                break;
            }
            token = next;
        }
        if !self.is(Fault::FullRefreshWithoutState) {
            self.last_state(run, json!({NO_CURSOR: true}));
        }
        Ok(())
    }

    /// The rows of a page, and the token of the next one.
    async fn page(
        &mut self,
        run: &Run<'_>,
        since: Option<&str>,
        token: Option<&str>,
    ) -> Result<(Vec<Value>, Option<String>)> {
        let mut query = vec![("page_size", self.client.page_size().to_string())];
        query.extend(since.map(|since| ("since", since.to_owned())));
        query.extend(token.map(|token| ("page_token", token.to_owned())));
        let (output, stream, mutation) = (self.output, run.stream, self.mutation);
        let announce = |wait: Option<Duration>| {
            if !mutation.is(Fault::LimitSilent) {
                status(output, stream, "RUNNING", wait);
            }
        };
        let path = format!("/{}", run.stream.name);
        let mut answer = self.client.get(&path, &query, &announce).await?;
        let Value::Array(rows) = answer["data"].take() else {
            return Err(Error::system("The API answered without rows."));
        };
        let mut next = answer["next"].as_str().map(str::to_owned);
        if next.is_some() && next.as_deref() == token {
            return Err(Error::system("The API names the same page as the next one."));
        }
        if self.is(Fault::ChatterOnStderr) {
            eprintln!("read {} rows of {}", rows.len(), run.stream.name);
        }
        if self.stops_early(run) {
            next = None;
        }
        Ok((rows, next))
    }

    /// Whether a mutant takes the first page for the whole stream.
    fn stops_early(&self, run: &Run<'_>) -> bool {
        let at = |name: &str| self.catalog.iter().position(|c| c.stream.name == name);
        let name = run.stream.name.as_str();
        match name {
            "orders" if self.is(Fault::StreamsDepend) => at("users").is_none(),
            "notes" if self.is(Fault::OrderMatters) => at("users") > at("notes"),
            "notes" if self.is(Fault::PlatformVariables) => {
                std::env::var_os("WORKER_JOB_ID").is_some()
            }
            _ => false,
        }
    }

    fn records(&mut self, run: &mut Run<'_>, rows: Vec<Value>) {
        let name = run.stream.name.as_str();
        if self.is(Fault::StreamSilentlyEmpty) && name == "countries" {
            return;
        }
        let last = rows.last().cloned();
        for row in rows {
            if self.is(Fault::RowsAtRandom) && name == "countries" && fastrand::bool() {
                continue;
            }
            self.record(run, row);
        }
        if self.is(Fault::RowsTwice)
            && name == "countries"
            && run.total == 10
            && let Some(last) = last
        {
            self.record(run, last);
        }
        if self.is(Fault::EmptyRecord) && name == "notes" && run.total < 20 {
            self.record(run, json!({}));
        }
        if self.is(Fault::ForeignRecord) && name == "notes" && run.total < 20 {
            self.output.record("audit", None, json!({"id": 1}));
        }
    }

    fn record(&mut self, run: &mut Run<'_>, mut row: Value) {
        self.distort(run, &mut row);
        if self.is(Fault::RowsCollected) {
            self.hoard.push(vec![1; 64 * 1024]);
        }
        self.output.record(&run.stream.name, run.stream.namespace.as_deref(), row);
        run.count += 1;
        run.total += 1;
    }

    /// What mutants make of a row.
    fn distort(&self, run: &Run<'_>, row: &mut Value) {
        let name = run.stream.name.as_str();
        let Some(fields) = row.as_object_mut() else { return };
        let time = fields.get("updated_at").and_then(Value::as_str).map(str::to_owned);
        if self.is(Fault::ScoreAsString) && name == "users" {
            let score = fields.get("score").map(text_of);
            fields.insert("score".to_owned(), score.into());
        } else if self.is(Fault::FieldRetyped) && name == "orders" {
            let amount = fields.get("amount").map(text_of);
            fields.insert("amount".to_owned(), amount.into());
        } else if self.is(Fault::FieldUndeclared) && name == "users" {
            fields.insert("nickname".to_owned(), "A.".into());
        } else if self.is(Fault::KeyMissing) && name == "countries" && run.total % 5 == 4 {
            fields.shift_remove("code");
        } else if self.is(Fault::ValueAltered) && name == "countries" && run.total == 3 {
            fields.insert("name".to_owned(), "Atlantis".into());
        } else if self.is(Fault::FieldNeverFilled) && name == "users" {
            fields.shift_remove("score");
        } else if self.is(Fault::TimeWithoutZone)
            && let Some(time) = time
        {
            fields.insert("updated_at".to_owned(), time.trim_end_matches('Z').into());
        } else if self.is(Fault::LocalTime)
            && let Some(time) = time.and_then(|time| DateTime::parse_from_rfc3339(&time).ok())
        {
            let local = time.with_timezone(&Local).format("%Y-%m-%dT%H:%M:%SZ").to_string();
            fields.insert("updated_at".to_owned(), local.into());
        }
    }

    /// Prints a state, unless it says the same as the one before.
    fn state(&self, run: &mut Run<'_>, state: Value) {
        if run.last_state.as_ref() != Some(&state) {
            self.print_state(run, state);
        }
    }

    /// Prints the state at the end, unless it is there already.
    fn last_state(&self, run: &mut Run<'_>, state: Value) {
        let is_there = run.last_state.is_some() && run.count == 0;
        let is_unwanted = run.total == 0 && self.is(Fault::NoStateWithoutNews);
        if !is_there && !is_unwanted {
            self.print_state(run, state);
        }
    }

    fn print_state(&self, run: &mut Run<'_>, mut state: Value) {
        run.last_state = Some(state.clone());
        let mut count = run.count as f64;
        run.count = 0;
        if self.is(Fault::CountsOffByOne) && count > 0.0 {
            count -= 1.0;
        } else if self.is(Fault::CountsNotReset) {
            count = run.total as f64;
        }
        if self.is(Fault::SecretInStateUrlEncoded) {
            use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
            let secret = utf8_percent_encode(self.client.secret(), NON_ALPHANUMERIC);
            state["url"] = format!("/{}?token={secret}", run.stream.name).into();
        } else if self.is(Fault::StateNull) {
            state = Value::Null;
        }
        let stats = json!({"recordCount": count});
        let body = if self.is(Fault::LegacyState) {
            json!({"type": "LEGACY", "data": {run.stream.name.as_str(): state}, "sourceStats": stats})
        } else {
            let stream =
                json!({"stream_descriptor": descriptor(run.stream), "stream_state": state});
            json!({"type": "STREAM", "stream": stream, "sourceStats": stats})
        };
        self.output.send(json!({"type": "STATE", "state": body}));
    }

    fn status(&self, stream: &StreamDescriptor, name: &str, wait: Option<Duration>) {
        status(self.output, stream, name, wait);
    }
}

/// Prints the status of a stream; with a wait, that the rate limit is the reason for it.
pub fn status(output: &Output, stream: &StreamDescriptor, name: &str, wait: Option<Duration>) {
    let mut body = json!({"stream_descriptor": descriptor(stream), "status": name});
    if let Some(wait) = wait {
        let reset = now_ms() + wait.as_millis() as u64;
        body["reasons"] = json!([{"type": "RATE_LIMITED", "rate_limited": {"quota_reset": reset}}]);
    }
    output.trace("STREAM_STATUS", "stream_status", body);
}

fn descriptor(stream: &StreamDescriptor) -> Value {
    let mut descriptor = json!({"name": stream.name});
    if let Some(namespace) = &stream.namespace {
        descriptor["namespace"] = namespace.as_str().into();
    }
    descriptor
}

/// The later of two cursors.
fn greater(cursor: Option<Value>, other: &Value) -> Option<Value> {
    let is_greater = match (&cursor, other) {
        (_, Value::Null) => false,
        (None, _) => true,
        (Some(Value::Number(old)), Value::Number(new)) => new.as_i64() > old.as_i64(),
        (Some(old), new) => {
            let instant = |value: &Value| DateTime::parse_from_rfc3339(value.as_str()?).ok();
            instant(new) > instant(old)
        }
    };
    if is_greater { Some(other.clone()) } else { cursor }
}

/// Whether a cursor lies in the future.
fn is_far(cursor: &Value) -> bool {
    match cursor {
        Value::String(text) => {
            DateTime::parse_from_rfc3339(text).is_ok_and(|cursor| cursor > Utc::now())
        }
        cursor => cursor.as_i64().is_some_and(|cursor| cursor > 1_000_000),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
