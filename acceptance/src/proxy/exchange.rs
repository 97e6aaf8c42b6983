//! One request from arrival to answer: fault, recording, or the real API.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::Utc;
use futures::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use url::Url;

use super::body::{self, Answer, Observer, Pieces};
use super::faults::{Fault, Faults};
use super::identity::Identity;
use super::journal::{Arrival, Door, Entry, Log, Outcome};
use super::record::{self, Recorder};
use super::replay::Replay;
use super::scrub::Scrubber;
use super::upstream::{RequestBody, Upstream};

/// So much of a request's body makes its identity and is recorded; more is only passed on.
const BODY_HEAD: usize = 1 << 20;

/// The status for what is not in the recording.
const UNMATCHED: u16 = 599;

/// A body as the server sends it.
pub(super) type Body = StreamBody<futures::stream::BoxStream<'static, io::Result<Frame<Bytes>>>>;

/// The connection is to be reset.
#[derive(Debug, thiserror::Error)]
#[error("reset by a fault")]
pub(super) struct Reset;

/// Where answers come from.
#[derive(Debug)]
pub(super) enum Source {
    Live(Upstream),
    Record(Upstream, Recorder),
    Replay(Replay),
}

/// What all exchanges share.
#[derive(Debug)]
pub(super) struct Exchanger {
    pub log: Arc<Log>,
    pub faults: Faults,
    pub scrubber: Arc<Scrubber>,
    pub source: Source,
}

/// A request whose way is known.
pub(super) struct Routed {
    pub door: Door,
    /// The API's URL.
    pub url: Url,
    /// What stands for the API's origin towards the connector, behind a base URL.
    pub shown_as: Option<String>,
}

impl Exchanger {
    pub(super) async fn serve(
        &self,
        routed: Routed,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Reset> {
        let (parts, incoming) = request.into_parts();
        let body = match split(incoming).await {
            Ok(body) => body,
            // The connector broke off in the middle of its own request.
            Err(_) => return Err(Reset),
        };
        let Routed { door, url, shown_as } = routed;
        let method = parts.method;
        let identity =
            Identity::of(&self.scrubber, method.as_str(), url.as_str(), &parts.headers, &body.head);
        let entry = self.log.begin(Arrival {
            door,
            method: method.to_string(),
            url: self.scrubber.url(url.as_str()),
            host: host(&url),
            request: identity.key(),
            request_bytes: body.head.len() as u64,
        });
        let fault = self.faults.decide(method.as_str(), url.as_str(), &identity);
        if let Some(fault) = &fault {
            entry.fault(fault);
        }
        let asked = Asked { method: &method, url: &url, headers: &parts.headers, body, identity };
        let answer = match fault {
            None => self.ask(asked, true, &entry).await,
            Some(Fault::Slow { milliseconds }) => {
                let mut answer = self.ask(asked, true, &entry).await;
                answer.body = body::slow(answer.body, Duration::from_millis(milliseconds)).await;
                answer
            }
            Some(Fault::Cut) => {
                let answer = self.ask(asked, false, &entry).await;
                let length = answer.length(&method);
                match body::cut(answer.body, length).await {
                    Some(body) => {
                        entry.outcome(Outcome::Cut);
                        Answer { body, ..answer }
                    }
                    None => return Err(reset(&entry)),
                }
            }
            Some(Fault::Reset) => return Err(reset(&entry)),
            Some(Fault::Echo { status }) => echo(status, &method, &asked),
            Some(fault) => synthetic(&fault),
        };
        Ok(respond(&method, url, shown_as, answer, entry))
    }

    /// The true answer.
    async fn ask(&self, asked: Asked<'_>, record: bool, entry: &Entry) -> Answer {
        match &self.source {
            Source::Live(upstream) => live(upstream, asked, entry).await,
            Source::Record(upstream, recorder) if record => {
                recorded(upstream, recorder, asked, entry).await
            }
            Source::Record(upstream, _) => live(upstream, asked, entry).await,
            Source::Replay(replay) => self.replayed(replay, &asked, entry),
        }
    }

    fn replayed(&self, replay: &Replay, asked: &Asked<'_>, entry: &Entry) -> Answer {
        match replay.answer(&asked.identity) {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                entry.outcome(Outcome::Unmatched);
                explain(
                    UNMATCHED,
                    "The recording has no answer to this request.",
                    &format!(
                        "{} {}. {} Record again.",
                        asked.method,
                        self.scrubber.url(asked.url.as_str()),
                        replay.hint(&asked.identity)
                    ),
                )
            }
            Err(error) => {
                entry.outcome(Outcome::Failed(error.to_string()));
                explain(UNMATCHED, "The recorded answer cannot be read.", &error.to_string())
            }
        }
    }
}

/// A request on its way to the API.
struct Asked<'a> {
    method: &'a Method,
    url: &'a Url,
    headers: &'a HeaderMap,
    body: RequestBody,
    identity: Identity,
}

async fn live(upstream: &Upstream, asked: Asked<'_>, entry: &Entry) -> Answer {
    match upstream.send(asked.method, asked.url, asked.headers, asked.body).await {
        Ok(answer) => answer,
        Err(error) => {
            let answer = explain(502, "The API could not be reached.", &error);
            entry.outcome(Outcome::Failed(error));
            answer
        }
    }
}

async fn recorded(
    upstream: &Upstream,
    recorder: &Recorder,
    asked: Asked<'_>,
    entry: &Entry,
) -> Answer {
    let mut headers = asked.headers.clone();
    // Only what can be decoded: recorded bodies are for people to read, and must not hide secrets.
    let gzip = headers
        .get_all("accept-encoding")
        .iter()
        .any(|v| v.as_bytes().windows(4).any(|w| w == b"gzip"));
    let encoding = if gzip { "gzip" } else { "identity" };
    headers.insert("accept-encoding", HeaderValue::from_static(encoding));
    let (method, url, body) = (asked.method, asked.url, asked.body.head.clone());
    let answer = match upstream.send(method, url, &headers, asked.body).await {
        Ok(answer) => answer,
        Err(error) => {
            let answer = explain(502, "The API could not be reached.", &error);
            entry.outcome(Outcome::Failed(error));
            return answer;
        }
    };
    let tape = recorder.tape(record::Exchange {
        method: method.to_string(),
        url: url.to_string(),
        request_headers: asked.headers.clone(),
        request_body: body,
        status: answer.status,
        headers: answer.headers.clone(),
        body: Bytes::new(),
    });
    let length = answer.length(method);
    Answer { body: body::watched(answer.body, length, tape), ..answer }
}

fn reset(entry: &Entry) -> Reset {
    entry.outcome(Outcome::Reset);
    Reset
}

/// The answers of faults that do not ask the API.
fn synthetic(fault: &Fault) -> Answer {
    match fault {
        Fault::Status { status, retry_after } => {
            let mut answer = explain(*status, "Injected by the acceptance suite.", "A test fault.");
            let value = retry_after.header(Utc::now());
            if let Some(value) = value.and_then(|v| HeaderValue::from_str(&v).ok()) {
                answer.headers.insert("retry-after", value);
            }
            answer
        }
        Fault::Malformed => Answer::whole(
            200,
            "application/json",
            &b"{\"data\": [{\"id\": \"1\", \"name\": \"brok"[..],
        ),
        _ => {
            let page = "<!DOCTYPE html>\n<html><head><title>Maintenance</title></head>\
                        <body><h1>We'll be back soon</h1></body></html>\n";
            Answer::whole(200, "text/html; charset=utf-8", page)
        }
    }
}

/// An error that repeats the request.
fn echo(status: u16, method: &Method, asked: &Asked) -> Answer {
    let headers: serde_json::Map<String, serde_json::Value> = asked
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let headers = serde_json::Value::Object(headers);
    let request = format!("{method} {} with {headers}", asked.url);
    explain(status, "refused", &format!("This request was refused: {request}"))
}

fn explain(status: u16, error: &str, detail: &str) -> Answer {
    let body = serde_json::json!({"error": error, "message": detail}).to_string();
    Answer::whole(status, "application/json", body)
}

/// `host` or `host:port`.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An answer that is no exchange with an API.
pub(super) fn refuse(status: u16, error: &str) -> Response<Body> {
    let answer = explain(status, error, error);
    assemble(answer.status, answer.headers, answer.body)
}

fn respond(
    method: &Method,
    url: Url,
    shown_as: Option<String>,
    mut answer: Answer,
    entry: Entry,
) -> Response<Body> {
    if let Some(shown_as) = shown_as {
        show_links_as(&mut answer.headers, &url.origin().ascii_serialization(), &shown_as);
    }
    entry.answered(answer.status, &answer.headers);
    let length = answer.length(method);
    assemble(answer.status, answer.headers, body::watched(answer.body, length, entry))
}

fn assemble(status: u16, headers: HeaderMap, body: Pieces) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(body.map_ok(Frame::data).boxed()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}

/// Redirects and links of an API behind a base URL lead to the base URL again.
fn show_links_as(headers: &mut HeaderMap, origin: &str, shown_as: &str) {
    for name in ["location", "content-location", "link"] {
        if let Some(value) = headers.get_mut(name)
            && let Ok(text) = value.to_str()
            && let Ok(new) = HeaderValue::from_str(&text.replace(origin, shown_as))
        {
            *value = new;
        }
    }
}

impl Observer for Entry {
    fn piece(&mut self, piece: &Bytes) {
        self.sent(piece.len());
    }

    fn complete(self) {
        self.outcome(Outcome::Complete);
    }

    fn broken(self, error: &io::Error) {
        self.outcome(Outcome::Failed(error.to_string()));
    }
}

/// The beginning of a request's body, and the rest of a long one.
async fn split(mut incoming: Incoming) -> Result<RequestBody, hyper::Error> {
    let mut head = BytesMut::new();
    while !incoming.is_end_stream() && head.len() < BODY_HEAD {
        match incoming.frame().await {
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    head.extend_from_slice(&data);
                }
            }
            None => return Ok(RequestBody { head: head.freeze(), rest: None }),
        }
    }
    let rest = (!incoming.is_end_stream()).then(|| {
        TryStreamExt::map_err(BodyStream::new(incoming), io::Error::other)
            .try_filter_map(async |frame| Ok(frame.into_data().ok()))
            .boxed()
    });
    Ok(RequestBody { head: head.freeze(), rest })
}
