//! Every request that came through, for rules to look at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use hyper::header::HeaderMap;

use super::faults::Fault;

/// By which door a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A plain request to the proxy, or a request in a tunnel.
    Proxy,
    /// A request to a [`base_url`](super::Proxy::base_url).
    BaseUrl,
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has not.
    Open,
    /// The whole answer was handed over.
    Complete,
    /// A fault cut the body.
    Cut,
    /// A fault reset the connection.
    Reset,
    /// The connector hung up before the answer's end.
    Abandoned,
    /// The API could not be reached, or its answer broke off by itself.
    Failed(String),
    /// The recording has no answer to this request; status 599 was sent.
    Unmatched,
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// From 1, in the order of arrival.
    pub number: u64,
    /// When the request was there.
    pub at: DateTime<Utc>,
    /// The same, since the start of the proxy.
    pub started: Duration,
    /// When the status was sent, since the start of the proxy.
    pub answered: Option<Duration>,
    /// When it was over, since the start of the proxy.
    pub ended: Option<Duration>,
    /// By which door it came.
    pub door: Door,
    /// The method.
    pub method: String,
    /// The API's URL with its query, scrubbed of secrets.
    pub url: String,
    /// Host, and port if it is not the usual one.
    pub host: String,
    /// Equal for requests that are the same (method, URL, body; whatever the access token).
    pub request: u64,
    /// The status sent; None if there was none.
    pub status: Option<u16>,
    /// The fault that struck it.
    pub fault: Option<Fault>,
    /// The earliest time for the next request by the answer's `Retry-After`, since the start of the
    /// proxy.
    pub retry_at: Option<Duration>,
    /// Size of the request's body, as far as it was looked at.
    pub request_bytes: u64,
    /// Size of the answer's body as sent.
    pub response_bytes: u64,
    /// How many requests were open when this one came, itself included.
    pub open: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// Which later requests a `Retry-After` binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All to the same host. Only status 429 binds them all; any other concerns its request alone.
    Host,
    /// The same request only.
    Request,
}

/// A `Retry-After` and a request that did not wait for it.
#[derive(Clone, Debug)]
pub struct TooEarly {
    /// The answer that asked to wait.
    pub answer: Exchange,
    /// The request that came before the time.
    pub request: Exchange,
    /// By how much.
    pub early: Duration,
}

/// The exchanges so far, in the order of arrival.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    /// All of them.
    pub exchanges: Vec<Exchange>,
    /// What went wrong apart from exchanges, such as a connector that does not trust the proxy's
    /// certificates. One sentence each.
    pub problems: Vec<String>,
}

impl Journal {
    /// The most requests that were open at once.
    pub fn max_open(&self) -> usize {
        self.exchanges.iter().map(|e| e.open).max().unwrap_or_default()
    }

    /// The exchanges that a fault struck.
    pub fn faulted(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(|e| e.fault.is_some())
    }

    /// The requests that the recording has no answer to.
    pub fn unmatched(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.iter().filter(|e| e.outcome == Outcome::Unmatched)
    }

    /// The request made most often: its first exchange, and how often.
    pub fn most_repeated(&self) -> Option<(&Exchange, usize)> {
        let mut counts: HashMap<u64, (&Exchange, usize)> = HashMap::new();
        for exchange in &self.exchanges {
            counts.entry(exchange.request).or_insert((exchange, 0)).1 += 1;
        }
        counts.into_values().max_by_key(|(first, count)| (*count, std::cmp::Reverse(first.number)))
    }

    /// Faulted exchanges whose request was never made again with success: data that may be missing.
    pub fn unrecovered(&self) -> Vec<&Exchange> {
        let mut recovered: HashMap<u64, u64> = HashMap::new();
        for exchange in &self.exchanges {
            let harmless = exchange.fault.as_ref().is_none_or(Fault::is_harmless);
            if harmless && exchange.outcome == Outcome::Complete {
                recovered.insert(exchange.request, exchange.number);
            }
        }
        self.faulted()
            .filter(|e| !e.fault.as_ref().is_some_and(Fault::is_harmless))
            .filter(|e| recovered.get(&e.request).is_none_or(|good| *good < e.number))
            .collect()
    }

    /// Requests that came before an earlier answer's `Retry-After` allowed it. Those that came
    /// within `tolerance` of that answer were on their way; as much is granted for clocks.
    pub fn too_early(&self, scope: Scope, tolerance: Duration) -> Vec<TooEarly> {
        let mut found = Vec::new();
        for (at, answer) in self.exchanges.iter().enumerate() {
            let (Some(retry_at), Some(answered)) = (answer.retry_at, answer.answered) else {
                continue;
            };
            for request in &self.exchanges[at + 1..] {
                let bound = match scope {
                    Scope::Host => answer.status == Some(429) && request.host == answer.host,
                    Scope::Request => request.request == answer.request,
                };
                if bound
                    && request.started > answered + tolerance
                    && request.started + tolerance < retry_at
                {
                    let early = retry_at - request.started;
                    found.push(TooEarly {
                        answer: answer.clone(),
                        request: request.clone(),
                        early,
                    });
                }
            }
        }
        found
    }
}

/// The journal being written.
#[derive(Debug)]
pub(super) struct Log {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Debug, Default)]
struct Pages {
    journal: Journal,
    /// Exchanges handed out by [`Log::take`].
    taken: u64,
    open: usize,
}

/// What is known of a request when it arrives.
pub(super) struct Arrival {
    pub door: Door,
    pub method: String,
    pub url: String,
    pub host: String,
    pub request: u64,
    pub request_bytes: u64,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), pages: Mutex::default() }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Journal {
        self.pages().journal.clone()
    }

    pub(super) fn take(&self) -> Journal {
        let mut pages = self.pages();
        pages.taken += pages.journal.exchanges.len() as u64;
        std::mem::take(&mut pages.journal)
    }

    pub(super) fn problem(&self, problem: String) {
        let mut pages = self.pages();
        if !pages.journal.problems.contains(&problem) {
            pages.journal.problems.push(problem);
        }
    }

    pub(super) fn begin(self: &Arc<Self>, arrival: Arrival) -> Entry {
        let mut pages = self.pages();
        pages.open += 1;
        let number = pages.taken + pages.journal.exchanges.len() as u64 + 1;
        let exchange = Exchange {
            number,
            at: Utc::now(),
            started: self.began.elapsed(),
            answered: None,
            ended: None,
            door: arrival.door,
            method: arrival.method,
            url: arrival.url,
            host: arrival.host,
            request: arrival.request,
            status: None,
            fault: None,
            retry_at: None,
            request_bytes: arrival.request_bytes,
            response_bytes: 0,
            open: pages.open,
            outcome: Outcome::Open,
        };
        pages.journal.exchanges.push(exchange);
        Entry { log: self.clone(), number }
    }
}

/// One exchange being written; when it is dropped, the exchange is over.
#[derive(Debug)]
pub(super) struct Entry {
    log: Arc<Log>,
    number: u64,
}

impl Entry {
    fn update(&self, change: impl FnOnce(&mut Exchange, Duration)) {
        let now = self.log.began.elapsed();
        let mut pages = self.log.pages();
        let taken = pages.taken;
        let at = self.number.checked_sub(taken + 1).and_then(|at| usize::try_from(at).ok());
        if let Some(exchange) = at.and_then(|at| pages.journal.exchanges.get_mut(at)) {
            change(exchange, now);
        }
    }

    pub(super) fn fault(&self, fault: &Fault) {
        self.update(|exchange, _| exchange.fault = Some(fault.clone()));
    }

    pub(super) fn answered(&self, status: u16, headers: &HeaderMap) {
        let wait = headers.get("retry-after").and_then(|v| v.to_str().ok()).and_then(wait);
        self.update(|exchange, now| {
            exchange.status = Some(status);
            exchange.answered = Some(now);
            exchange.retry_at = wait.map(|wait| now + wait);
        });
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.update(|exchange, _| exchange.response_bytes += bytes as u64);
    }

    /// How it ended; the first word counts.
    pub(super) fn outcome(&self, outcome: Outcome) {
        self.update(|exchange, _| {
            if exchange.outcome == Outcome::Open {
                exchange.outcome = outcome;
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.outcome(Outcome::Abandoned);
        self.update(|exchange, now| exchange.ended = Some(now));
        self.log.pages().open -= 1;
    }
}

/// How long a `Retry-After` asks to wait.
fn wait(header: &str) -> Option<Duration> {
    if let Ok(seconds) = header.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = DateTime::parse_from_rfc2822(header.trim()).ok()?;
    (at.to_utc() - Utc::now()).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(number: u64, request: u64, started: u64, retry_at: Option<u64>) -> Exchange {
        Exchange {
            number,
            at: Utc::now(),
            started: Duration::from_millis(started),
            answered: Some(Duration::from_millis(started)),
            ended: Some(Duration::from_millis(started)),
            door: Door::Proxy,
            method: "GET".to_owned(),
            url: String::new(),
            host: "e.com".to_owned(),
            request,
            status: Some(if retry_at.is_some() { 429 } else { 200 }),
            fault: retry_at.map(|_| Fault::too_many()),
            retry_at: retry_at.map(Duration::from_millis),
            request_bytes: 0,
            response_bytes: 0,
            open: 1,
            outcome: Outcome::Complete,
        }
    }

    #[test]
    fn early_requests_are_found() {
        let journal = Journal {
            exchanges: vec![
                exchange(1, 1, 0, Some(1000)),
                exchange(2, 2, 10, None), // on its way
                exchange(3, 3, 500, None),
                exchange(4, 1, 990, None), // a clock's tick
                exchange(5, 1, 1200, None),
            ],
            problems: Vec::new(),
        };
        let tolerance = Duration::from_millis(50);
        let found = journal.too_early(Scope::Host, tolerance);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].request.number, found[0].early), (3, Duration::from_millis(500)));
        assert!(journal.too_early(Scope::Request, tolerance).is_empty());
        assert!(journal.unrecovered().is_empty());
        assert_eq!(journal.most_repeated().map(|(e, n)| (e.number, n)), Some((1, 3)));
    }

    #[test]
    fn what_was_never_asked_again_is_unrecovered() {
        let journal = Journal {
            exchanges: vec![
                exchange(1, 1, 0, None),
                exchange(2, 1, 5, Some(9)),
                exchange(3, 2, 6, None),
            ],
            problems: Vec::new(),
        };
        assert_eq!(journal.unrecovered().iter().map(|e| e.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_entry_outlives_the_journal_that_was_taken() {
        let log = Arc::new(Log::new());
        let arrival = |request| Arrival {
            door: Door::Proxy,
            method: "GET".to_owned(),
            url: String::new(),
            host: String::new(),
            request,
            request_bytes: 0,
        };
        let old = log.begin(arrival(1));
        assert_eq!(log.take().exchanges.len(), 1);
        let new = log.begin(arrival(2));
        old.sent(5);
        drop(old);
        new.sent(7);
        drop(new);
        let journal = log.snapshot();
        assert_eq!(journal.exchanges.len(), 1);
        assert_eq!((journal.exchanges[0].number, journal.exchanges[0].response_bytes), (2, 7));
    }

    #[test]
    fn waits_in_both_formats() {
        assert_eq!(wait("3"), Some(Duration::from_secs(3)));
        let header = super::super::faults::RetryAfter::Date(60).header(Utc::now()).unwrap();
        let wait = wait(&header).unwrap();
        assert!(wait > Duration::from_secs(58) && wait <= Duration::from_secs(61), "{wait:?}");
    }
}
