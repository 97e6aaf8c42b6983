//! The client: every request of a connector goes through [`Client::send`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use airbyte_protocol::{Context, Error, FailureType};
use reqwest::Method;
use reqwest::header::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use url::Url;

use super::attempt::{Sent, Tries, broken_body};
use super::backoff::{http_date, retry_after};
use super::wait::Waits;
use super::{
    Action, Admission, ApiError, Broken, Budget, Budgets, Counts, ErrorTable, Failure, Gate,
    Incoming, Request, Response, RetryPolicy, Scope, Transport, Verdict,
};
use crate::auth::{Auth, TokenVersion};
use crate::clock::Clock;
use crate::json::{Located, Path, Select, locate};

/// Attempts at an address that answers with web pages instead of data.
const HTML_ATTEMPTS: u32 = 3;

/// Sends requests to one API with one credential. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    base: Url,
    transport: Arc<dyn Transport>,
    headers: HeaderMap,
    auth: Auth,
    table: ErrorTable,
    budgets: Budgets,
    gate: Option<Arc<dyn Gate>>,
    policy: RetryPolicy,
    clock: Clock,
    context: Context,
    workers: Arc<Semaphore>,
    counts: Counts,
    waits: Waits,
}

/// The parts of a [`Client`].
pub struct ClientBuilder {
    base: Url,
    transport: Arc<dyn Transport>,
    context: Context,
    headers: HeaderMap,
    auth: Auth,
    table: ErrorTable,
    budgets: Budgets,
    gate: Option<Arc<dyn Gate>>,
    policy: RetryPolicy,
    clock: Clock,
    workers: usize,
}

impl ClientBuilder {
    /// How requests are authorized.
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// A header for every request.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = reqwest::header::HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// What answers mean.
    pub fn errors(mut self, table: ErrorTable) -> Self {
        self.table = table;
        self
    }

    /// The API's rate limits.
    pub fn budgets(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// What is asked before each attempt and told of each answer.
    pub fn gate(mut self, gate: Arc<dyn Gate>) -> Self {
        self.gate = Some(gate);
        self
    }

    /// When to give up.
    pub fn policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The clock; the system's unless given.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// How many pages may be in memory at a time, from their request to their last
    /// written record; ten unless given.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers.max(1);
        self
    }

    /// Puts the client together.
    pub fn build(self) -> Client {
        Client(Arc::new(Inner {
            base: self.base,
            transport: self.transport,
            headers: self.headers,
            auth: self.auth,
            table: self.table,
            budgets: self.budgets,
            gate: self.gate,
            policy: self.policy,
            waits: Waits::new(self.context.clone(), self.clock.clone()),
            clock: self.clock,
            context: self.context,
            workers: Arc::new(Semaphore::new(self.workers)),
            counts: Counts::default(),
        }))
    }
}

/// A page of records. It counts as in flight until it is dropped.
pub struct Page {
    located: Located,
    headers: HeaderMap,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Page {
    /// A header of the answer as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The records and values without the page's place among those in flight, to be kept
    /// for longer.
    pub fn into_located(self) -> Located {
        self.located
    }
}

impl std::ops::Deref for Page {
    type Target = Located;

    fn deref(&self) -> &Located {
        &self.located
    }
}

impl Client {
    /// A client for the API at `base` (with a path prefix, if any).
    pub fn builder(base: Url, transport: Arc<dyn Transport>, context: Context) -> ClientBuilder {
        ClientBuilder {
            base,
            transport,
            context,
            headers: HeaderMap::new(),
            auth: Auth::None,
            table: ErrorTable::default(),
            budgets: Budgets::new(Budget::unlimited("the API")),
            gate: None,
            policy: RetryPolicy::default(),
            clock: Clock::system(),
            workers: 10,
        }
    }

    /// A GET request for a path below the base address.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// A POST request for a path below the base address.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    /// A request for a path below the base address.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.0.base.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        url.set_path(&format!(
            "{}/{}",
            url.path().trim_end_matches('/'),
            path.trim_start_matches('/')
        ));
        url.set_query(query);
        Request::new(method, url).endpoint(path.to_owned())
    }

    /// A GET request for a link that the API gave, absolute or relative.
    ///
    /// # Errors
    /// System: the link leads to another host, where the credentials do not belong.
    pub fn follow(&self, link: &str) -> Result<Request, Error> {
        let url = self.0.base.join(link).map_err(|e| {
            Error::system("The API gave a link to the next page that is no address.")
                .with_internal(format!("{link}: {e}"))
        })?;
        if url.origin() != self.0.base.origin() {
            return Err(Error::system(format!(
                "The API gave a link to another host ({}), which is not followed so that credentials stay with {}.",
                url.host_str().unwrap_or_default(),
                self.0.base.host_str().unwrap_or_default()
            )));
        }
        Ok(Request::new(Method::GET, url))
    }

    /// What has been done so far.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// The clock that knows the server's time.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The rate limits.
    pub fn budgets(&self) -> &Budgets {
        &self.0.budgets
    }

    /// The signal to stop.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.context.shutdown
    }

    /// Waits, as long as nothing asks to stop; a very long wait is kept alive.
    ///
    /// # Errors
    /// Transient, when the signal to stop comes.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Error> {
        self.0.waits.sleep_until(Instant::now() + duration).await
    }

    /// When to give up.
    pub fn policy(&self) -> &RetryPolicy {
        &self.0.policy
    }

    /// A page of records: those at `select`, and the values at `values`.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn page(
        &self,
        request: &Request,
        select: &Select,
        values: &[&Path],
    ) -> Result<Page, Failure> {
        // Never closed: an error cannot happen, and a missing permit would only unbound memory.
        let permit = self.0.workers.clone().acquire_owned().await.ok();
        let (located, headers) = self
            .send(request, |response| {
                let located = locate(response.body, select, values).map_err(|e| e.to_string())?;
                Ok((located, response.headers))
            })
            .await?;
        Ok(Page { located, headers, _permit: permit })
    }

    /// An answer read into a type.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn json<T: serde::de::DeserializeOwned>(
        &self,
        request: &Request,
    ) -> Result<T, Failure> {
        self.send(request, |response| {
            serde_json::from_slice(&response.body).map_err(|e| e.to_string())
        })
        .await
    }

    /// Sends a request until it has an answer that `accept` can use, or there is no hope.
    ///
    /// Waits for the budgets and rides out rate limits, outages, broken connections and
    /// broken bodies; what `accept` cannot read counts as a broken body.
    ///
    /// # Errors
    /// A [`Failure`] that says what was decided and what to tell the user.
    pub async fn send<T>(
        &self,
        request: &Request,
        accept: impl Fn(Response) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let mut tries = Tries::new();
        loop {
            let Some(sent) = self.attempt(request, &mut tries).await? else { continue };
            let answer = self.0.waits.or_stop(sent.incoming.complete()).await?;
            let answer = match (answer, request.unwrap) {
                (Ok(outer), Some(unwrap)) => match unwrap(outer) {
                    Ok(inner) if !(200..300).contains(&inner.status) => {
                        self.refused(request, &mut tries, &inner, sent.version, sent.at).await?;
                        continue;
                    }
                    inner => inner.map_err(Broken::Network),
                },
                (answer, _) => answer,
            };
            let (excerpt, why) = match answer {
                Ok(response) => {
                    let excerpt = response.clone();
                    match accept(response) {
                        Ok(value) => return Ok(value),
                        Err(why) => (Some(excerpt), why),
                    }
                }
                Err(Broken::Network(why) | Broken::Refused(why)) => (None, why),
            };
            let error = broken_body(request, excerpt.as_ref(), &why);
            let html = excerpt.is_some_and(|r| r.body.trim_ascii_start().starts_with(b"<"));
            tries.html += u32::from(html);
            if tries.html >= HTML_ATTEMPTS {
                return Err(error.into());
            }
            self.again(request, &mut tries, None, error).await?;
        }
    }

    /// Sends a request until an answer begins whose status means success; the body
    /// is left to the caller to stream, and to ask for again where it breaks off.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn open(&self, request: &Request) -> Result<Incoming, Failure> {
        let mut tries = Tries::new();
        loop {
            if let Some(sent) = self.attempt(request, &mut tries).await? {
                return Ok(sent.incoming);
            }
        }
    }

    /// One attempt. `None` means that it failed in a way worth another one, and that the
    /// wait for it is over.
    async fn attempt(&self, request: &Request, tries: &mut Tries) -> Result<Option<Sent>, Failure> {
        self.wait_for_admission(request, tries).await?;
        self.wait_for_slot(request, tries).await?;
        let mut authorized = request.clone();
        for (name, value) in &self.0.headers {
            authorized.headers.entry(name).or_insert_with(|| value.clone());
        }
        let version = self.0.auth.authorize(&mut authorized).await?;
        let sent = Instant::now();
        self.0.counts.requests.fetch_add(1, Ordering::Relaxed);
        let incoming = match self.0.waits.or_stop(self.0.transport.send(authorized)).await? {
            Ok(incoming) => incoming,
            Err(Broken::Refused(why)) => {
                return Err(Error::config(format!("{} cannot be used: {why}.", self.host())).into());
            }
            Err(Broken::Network(why)) => {
                let error = Error::transient(format!(
                    "{} cannot be reached: {why}. Check the network, a proxy or firewall in between, and the API address in the configuration.",
                    self.host()
                ));
                self.again(request, tries, None, error).await?;
                return Ok(None);
            }
        };
        self.note_server_time(&incoming);
        if let Some(gate) = &self.0.gate {
            gate.note(&incoming.headers);
        }
        debug!(
            "{} -> HTTP {} in {} ms{}",
            request.display(),
            incoming.status,
            sent.elapsed().as_millis(),
            self.0
                .table
                .id_in(&incoming.headers)
                .map(|id| format!(", request id {id}"))
                .unwrap_or_default()
        );
        if (200..300).contains(&incoming.status) {
            self.0.budgets.of(&request.endpoint).iter().for_each(Budget::succeeded);
            return Ok(Some(Sent { incoming, version, at: sent }));
        }
        let response = match self.0.waits.or_stop(incoming.complete()).await? {
            Ok(response) => response,
            Err(Broken::Network(why) | Broken::Refused(why)) => {
                self.again(request, tries, None, broken_body(request, None, &why)).await?;
                return Ok(None);
            }
        };
        self.refused(request, tries, &response, version, sent).await?;
        Ok(None)
    }

    /// What follows from an answer whose status is no success: `Ok` when another attempt may
    /// be made.
    async fn refused(
        &self,
        request: &Request,
        tries: &mut Tries,
        response: &Response,
        version: TokenVersion,
        sent: Instant,
    ) -> Result<(), Failure> {
        let verdict = self.0.table.classify(request, response);
        let wait = response.header("retry-after").and_then(|v| retry_after(v, self.0.clock.now()));
        let error = self.describe(request, response, &verdict);
        let fail = |action, error| Failure {
            action,
            status: Some(response.status),
            api: Box::new(verdict.error.clone()),
            error,
        };
        match verdict.action {
            Action::Retry => self.again(request, tries, wait, error).await?,
            Action::Pause(scope) => self.pause(request, tries, scope, wait, sent, error).await?,
            Action::RefreshToken if tries.renewals < 2 && self.0.auth.renew(version).await? => {
                tries.renewals += 1
            }
            action => return Err(fail(action, error)),
        }
        Ok(())
    }

    /// Waits before the next attempt, or gives up.
    async fn again(
        &self,
        request: &Request,
        tries: &mut Tries,
        wait: Option<Duration>,
        error: Error,
    ) -> Result<(), Failure> {
        tries.failed += 1;
        let policy = &self.0.policy;
        if tries.failed >= policy.attempts || tries.spent() >= policy.total {
            let text = format!("{} Gave up after {} attempts.", error.message(), tries.failed);
            let error = Error::transient(text).with_internal(error.internal().unwrap_or_default());
            return Err(error.into());
        }
        self.0.counts.retries.fetch_add(1, Ordering::Relaxed);
        let wait = wait.unwrap_or_else(|| policy.delay(tries.failed));
        info!(
            "{} Attempt {} of {} follows in {:.1} s ({}).",
            error.message(),
            tries.failed + 1,
            policy.attempts,
            wait.as_secs_f64(),
            request.display()
        );
        Ok(self.0.waits.sleep_until(Instant::now() + wait).await?)
    }

    /// Pauses the budget that the refusal is about, or gives up.
    async fn pause(
        &self,
        request: &Request,
        tries: &mut Tries,
        scope: Scope,
        wait: Option<Duration>,
        sent: Instant,
        error: Error,
    ) -> Result<(), Failure> {
        self.0.counts.rate_limits.fetch_add(1, Ordering::Relaxed);
        let [api, endpoint] = self.0.budgets.of(&request.endpoint);
        let budget = if scope == Scope::Api { api } else { endpoint };
        let until = budget.pause(wait, &self.0.policy, sent);
        if until > tries.started + self.0.policy.rate_limit_total {
            let hours = self.0.policy.rate_limit_total.as_secs_f64() / 3600.0;
            let text = format!(
                "{} The rate limit has held this up for {hours:.1} hours.",
                error.message()
            );
            return Err(Error::transient(text).into());
        }
        Ok(())
    }

    async fn wait_for_admission(
        &self,
        request: &Request,
        tries: &mut Tries,
    ) -> Result<(), Failure> {
        let Some(gate) = &self.0.gate else { return Ok(()) };
        let begin = Instant::now();
        loop {
            match gate.admit(request) {
                Admission::Go => break,
                Admission::Wait(until, name) => self.0.waits.for_budget(until, name).await?,
                Admission::Refuse(failure) => return Err(*failure),
            }
        }
        tries.held_up += begin.elapsed();
        Ok(())
    }

    async fn wait_for_slot(&self, request: &Request, tries: &mut Tries) -> Result<(), Failure> {
        let begin = Instant::now();
        let budgets = self.0.budgets.of(&request.endpoint);
        let mut line_up: Vec<&Budget> = budgets.iter().collect();
        while !line_up.is_empty() {
            for budget in line_up {
                self.0.waits.for_budget(budget.reserve(), budget.name()).await?;
            }
            // Held back while waiting: line up again behind the pause.
            line_up = budgets.iter().filter(|budget| budget.paused_until().is_some()).collect();
        }
        tries.held_up += begin.elapsed();
        Ok(())
    }

    fn note_server_time(&self, incoming: &Incoming) {
        let date = incoming.headers.get("date").and_then(|value| http_date(value.to_str().ok()?));
        if let Some(date) = date {
            self.0.clock.observe_server(date);
        }
    }

    fn host(&self) -> String {
        self.0.base.origin().ascii_serialization()
    }

    fn describe(&self, request: &Request, response: &Response, verdict: &Verdict) -> Error {
        let kind = match verdict.action {
            Action::Fail(kind) => kind,
            Action::RefreshToken | Action::Skip => FailureType::Config,
            Action::Retry | Action::Pause(_) => FailureType::Transient,
            Action::Succeed | Action::Empty => FailureType::System,
        };
        let ApiError { code, message } = &verdict.error;
        let mut text = format!("{} answered {}", self.host(), response.status);
        if let Some(said) = message.as_ref().or(code.as_ref()) {
            text.push_str(&format!(": {said}"));
        }
        if !text.ends_with(['.', '!', '?']) {
            text.push('.');
        }
        if let Some(advice) = &verdict.advice {
            text.push_str(&format!(" {advice}"));
        }
        if let Some(id) = self.0.table.id_in(&response.headers) {
            text.push_str(&format!(" (Request id {id}.)"));
        }
        let internal =
            format!("{} -> HTTP {} {}", request.display(), response.status, response.excerpt());
        let error = match kind {
            FailureType::Config => Error::config(text),
            FailureType::Transient => Error::transient(text),
            FailureType::System => Error::system(text),
        };
        error.with_internal(internal)
    }
}
