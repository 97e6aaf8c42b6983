//! One request through the frame: count, limit, fault, answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;

use crate::admin::{self, Admin};
use crate::api::{self, Api, Call, Reply};
use crate::clock::{self, Clock};
use crate::counters::Counters;
use crate::faults::{Fault, Faults};
use crate::journal::Journal;
use crate::limiter::Limiter;
use crate::listener::ResetSwitch;
use crate::options::Options;
use crate::pretty;
use crate::salesforce::Salesforce;
use crate::stripe::Stripe;

/// The largest body of a request.
const MAX_BODY: usize = 1 << 20;

/// Everything the server shares between requests.
pub struct Shared {
    pub apis: Vec<Mounted>,
    pub clock: Clock,
    pub counters: Counters,
    pub journal: Journal,
    pub faults: Faults,
    pub options: Options,
    requests: AtomicU64,
}

/// An API with its own rate limit.
pub struct Mounted {
    pub api: Box<dyn Api>,
    limiter: Option<Limiter>,
}

impl Shared {
    pub fn new(options: Options) -> Self {
        let apis: Vec<Box<dyn Api>> =
            vec![Box::new(Stripe::new(&options)), Box::new(Salesforce::new(&options))];
        let limiter = || options.rate_limit.map(|rate| Limiter::new(rate, Instant::now()));
        Self {
            apis: apis.into_iter().map(|api| Mounted { api, limiter: limiter() }).collect(),
            clock: Clock::new(options.clock_start),
            counters: Counters::default(),
            journal: Journal::default(),
            faults: Faults::new(options.seed, options.faults.clone()),
            requests: AtomicU64::new(0),
            options,
        }
    }

    pub fn api(&self, prefix: &str) -> Option<&Mounted> {
        self.apis.iter().find(|m| m.api.prefix() == prefix)
    }

    /// The API that a path leads to, how much of the path is its prefix, and the rest.
    fn find<'a>(&self, path: &'a str) -> Option<(&Mounted, &'a str, &'a str)> {
        let (first, rest) = split_prefix(path);
        if let Some(mounted) = self.api(first) {
            return Some((mounted, &path[..path.len() - rest.len()], rest));
        }
        let mounted = self.apis.iter().find(|m| m.api.roots().contains(&first))?;
        Some((mounted, "", path))
    }
}

/// The router: every path goes through [`handle`].
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    Extension(switch): Extension<ResetSwitch>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let body = axum::body::to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let reply = if let Some(rest) = path.strip_prefix("/_admin/") {
        admin::http(&Admin::new(shared.clone()), parts.method.as_str(), rest, &body)
    } else {
        let headers = parts
            .headers
            .iter()
            .filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned())))
            .collect::<Vec<_>>();
        let method = parts.method.as_str();
        let request = Incoming { method, path, query, headers: &headers, body: &body };
        match answer(&shared, &request).await {
            Outcome::Whole(reply) => reply,
            Outcome::Cut(reply, bytes) => return cut(to_response(&shared, reply), bytes).await,
            Outcome::Reset => {
                switch.pull();
                Reply { status: 500, ..Reply::default() }
            }
        }
    };
    to_response(&shared, reply)
}

struct Incoming<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    headers: &'a [(String, String)],
    body: &'a [u8],
}

enum Outcome {
    Whole(Reply),
    /// The answer, and after how many bytes it ends; None for two thirds.
    Cut(Reply, Option<usize>),
    Reset,
}

async fn answer(shared: &Shared, request: &Incoming<'_>) -> Outcome {
    let Some((mounted, prefix, rest)) = shared.find(request.path) else {
        shared.counters.add("", request.path, Some(404));
        let body = br#"{"error":"no such API here; try /stripe, /salesforce or /_admin/counters"}"#;
        return Outcome::Whole(Reply {
            status: 404,
            body: body.to_vec().into(),
            ..Reply::default()
        });
    };
    if !shared.options.latency.is_zero() {
        tokio::time::sleep(shared.options.latency).await;
    }
    let scheme = if shared.options.tls { "https" } else { "http" };
    let host = request.headers.iter().find(|(n, _)| n == "host").map_or("", |(_, v)| v.as_str());
    let call = Call {
        method: request.method,
        path: rest,
        query: request.query,
        headers: request.headers,
        body: request.body,
        base: &format!("{scheme}://{host}{prefix}"),
        now: shared.clock.now(),
        now_ms: shared.clock.now_ms(),
        number: shared.requests.fetch_add(1, Ordering::Relaxed),
    };
    let api = &mounted.api;
    let path = format!("/{}{rest}", api.prefix());
    let outcome = respond(shared, mounted, &call, &path).await;
    let status = match &outcome {
        Outcome::Whole(reply) | Outcome::Cut(reply, _) => Some(reply.status),
        Outcome::Reset => None,
    };
    shared.counters.add(api.prefix(), &format!("/{}{}", api.prefix(), api.route(rest)), status);
    let asked = if call.query.is_empty() { path } else { format!("{path}?{}", call.query) };
    shared.journal.add(call.now_ms, call.method, &asked, call.body, status);
    outcome
}

async fn respond(shared: &Shared, mounted: &Mounted, call: &Call<'_>, path: &str) -> Outcome {
    let api = &mounted.api;
    if mounted.limiter.as_ref().is_some_and(|l| !l.allow(Instant::now())) {
        let fault = Fault::TooMany { retry_after: None, reason: Some("global-rate".to_owned()) };
        return Outcome::Whole(api.fault(call, &fault));
    }
    let reply = match shared.faults.decide(call.method, path, call.query) {
        None => api.answer(call),
        Some(Fault::Reset) => return Outcome::Reset,
        Some(Fault::Truncate(bytes)) => return Outcome::Cut(api.answer(call), bytes),
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            api.answer(call)
        }
        Some(fault) => api.fault(call, &fault),
    };
    if let Some(delay) = &reply.delay {
        tokio::time::sleep(delay.time).await;
    }
    Outcome::Whole(reply)
}

/// `/stripe/v1/charges` into `stripe` and `/v1/charges`.
fn split_prefix(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.find('/').map_or((path, "/"), |at| path.split_at(at))
}

fn to_response(shared: &Shared, reply: Reply) -> Response {
    let is_json = !reply.headers.iter().any(|(name, _)| *name == "content-type");
    let body = match reply.body {
        api::Body::Whole(bytes) if is_json && shared.options.pretty => {
            Body::from(pretty::indent(&bytes))
        }
        api::Body::Whole(bytes) => Body::from(bytes),
        api::Body::Parts(parts) => Body::from_stream(stream::iter(parts.map(Ok::<_, Infallible>))),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if is_json {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(date) = HeaderValue::from_str(&clock::http_date(shared.clock.now())) {
        headers.insert(header::DATE, date);
    }
    response
}

/// Announces the whole body and sends so many bytes of it, two thirds if not told.
async fn cut(response: Response, bytes: Option<usize>) -> Response {
    let (mut parts, body) = response.into_parts();
    let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let part = whole.slice(..bytes.unwrap_or(whole.len() * 2 / 3).min(whole.len()));
    Response::from_parts(parts, Body::from_stream(stream::unfold(Some(part), cut_stream)))
}

async fn cut_stream(part: Option<Bytes>) -> Option<(Result<Bytes, std::io::Error>, Option<Bytes>)> {
    match part {
        Some(bytes) => Some((Ok::<_, Infallible>(bytes).map_err(|e| match e {}), None)),
        None => {
            // The part must leave the buffers before the error closes the connection.
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Err(std::io::ErrorKind::BrokenPipe.into()), None))
        }
    }
}
