//! A server in memory, and what every test needs around it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use airbyte_protocol::{Captured, Context, Edition, Message, Output, StreamStatusType};
use bytes::Bytes;
use cdk::clock::Clock;
use cdk::http::{Broken, Client, ClientBuilder, Incoming, Request, Transport};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// When every test begins.
pub const START: i64 = 1_700_000_000;

/// What the server says to one request.
pub struct Answer {
    status: u16,
    headers: HeaderMap,
    pieces: Vec<Result<Bytes, Broken>>,
    /// The body never ends after its pieces.
    hangs: bool,
    unreachable: Option<Broken>,
    latency: Duration,
}

impl Answer {
    /// A status with a text.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Answer {
            status,
            headers: HeaderMap::new(),
            pieces: vec![Ok(body.into())],
            hangs: false,
            unreachable: None,
            latency: Duration::ZERO,
        }
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::text(status, "")
    }

    /// 200 with JSON.
    pub fn json(body: &Value) -> Self {
        Self::text(200, body.to_string())
    }

    /// No answer at all.
    pub fn broken(why: Broken) -> Self {
        Answer { unreachable: Some(why), ..Self::status(0) }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// The body breaks off at its end.
    pub fn cut(mut self) -> Self {
        self.pieces.push(Err(Broken::Network("connection reset".into())));
        self
    }

    /// The body stays open at its end.
    pub fn hanging(mut self) -> Self {
        self.hangs = true;
        self
    }

    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }
}

/// One request as it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub at: Instant,
    pub request: Request,
}

impl Sent {
    pub fn query(&self, name: &str) -> Option<String> {
        let url = self.request.full_url();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name)?.to_str().ok()
    }
}

type Handler = Box<dyn FnMut(&Sent) -> Answer + Send>;

/// The server: a function from requests to answers, and the list of what was asked.
pub struct Server {
    handler: Mutex<Handler>,
    sent: Mutex<Vec<Sent>>,
}

impl Server {
    pub fn new(handler: impl FnMut(&Sent) -> Answer + Send + 'static) -> Arc<Self> {
        Arc::new(Server { handler: Mutex::new(Box::new(handler)), sent: Mutex::default() })
    }

    /// A server that gives these answers in turn, the last one for ever.
    pub fn script(answers: Vec<fn() -> Answer>) -> Arc<Self> {
        let mut next = 0;
        Self::new(move |_| {
            let answer = answers[next.min(answers.len() - 1)];
            next += 1;
            answer()
        })
    }

    /// What it answers, for servers that stand before others; does not count as sent.
    pub fn answer(&self, sent: &Sent) -> Answer {
        (self.handler.lock().unwrap_or_else(PoisonError::into_inner))(sent)
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Seconds between one request and the next.
    pub fn gaps(&self) -> Vec<f64> {
        self.sent().windows(2).map(|pair| (pair[1].at - pair[0].at).as_secs_f64()).collect()
    }
}

impl Transport for Server {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Incoming, Broken>> {
        let sent = Sent { at: Instant::now(), request };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent.clone());
        let answer = self.answer(&sent);
        async move {
            tokio::time::sleep(answer.latency).await;
            if let Some(why) = answer.unreachable {
                return Err(why);
            }
            let pieces = stream::iter(answer.pieces);
            let body =
                if answer.hangs { pieces.chain(stream::pending()).boxed() } else { pieces.boxed() };
            Ok(Incoming { status: answer.status, headers: answer.headers, body })
        }
        .boxed()
    }
}

/// A context that writes into memory.
pub struct World {
    pub context: Context,
    pub captured: Captured,
    pub clock: Clock,
}

impl World {
    /// The world at [`START`]. Made under a paused runtime.
    pub fn new() -> Self {
        let (output, captured) = Output::capture();
        let context = Context {
            output,
            shutdown: CancellationToken::new(),
            config: Value::Object(serde_json::Map::new()),
            edition: Edition::Oss,
        };
        World { context, captured, clock: Clock::fixed(start()) }
    }

    pub fn client(&self, server: &Arc<Server>) -> Client {
        self.builder(server).build()
    }

    pub fn builder(&self, server: &Arc<Server>) -> ClientBuilder {
        let base = "https://api.example.com/base".parse().unwrap();
        Client::builder(base, server.clone(), self.context.clone()).clock(self.clock.clone())
    }

    /// The statuses of all streams, as short words: `RATE_LIMITED@…` carries the reset time in
    /// seconds since the start.
    pub fn statuses(&self) -> Vec<String> {
        self.captured.messages().iter().filter_map(status).collect()
    }

    /// The states written, as JSON.
    pub fn states(&self) -> Vec<Value> {
        let states = self.captured.messages().into_iter().filter_map(|message| match message {
            Message::State(state) => serde_json::to_value(*state).ok(),
            _ => None,
        });
        states.map(|state| state["stream"]["stream_state"].clone()).collect()
    }

    /// Everything written, in order, as short words: `record`, `state`, and statuses.
    pub fn story(&self) -> Vec<String> {
        let tell = |message: &Message| match message {
            Message::Record(_) => Some("record".to_owned()),
            Message::State(_) => Some("state".to_owned()),
            Message::Trace(trace) if trace.error.is_some() => Some("error".to_owned()),
            other => status(other),
        };
        self.captured.messages().iter().filter_map(tell).collect()
    }

    /// The records of one stream.
    pub fn records(&self, stream: &str) -> Vec<Value> {
        let records = self.captured.messages().into_iter().filter_map(|message| match message {
            Message::Record(record) if record.stream == stream => {
                serde_json::from_str(record.data.get()).ok()
            }
            _ => None,
        });
        records.collect()
    }

    /// The errors written, as (kind, stream, message).
    pub fn errors(&self) -> Vec<(String, String, String)> {
        let errors = self.captured.messages().into_iter().filter_map(|message| match message {
            Message::Trace(trace) => trace.error,
            _ => None,
        });
        errors
            .map(|error| {
                let stream = error.stream_descriptor.map(|d| d.to_string()).unwrap_or_default();
                (error.failure_type.unwrap_or_default(), stream, error.message)
            })
            .collect()
    }
}

fn status(message: &Message) -> Option<String> {
    let Message::Trace(trace) = message else { return None };
    let status = trace.stream_status.as_ref()?;
    let reason = status.reasons.first();
    Some(match (&status.status, reason) {
        (StreamStatusType::Running, Some(reason)) => {
            let reset = reason.rate_limited.as_ref().and_then(|limited| limited.quota_reset);
            let seconds = reset.map(|ms| ms as f64 / 1000.0 - START as f64);
            format!("{}@{}", reason.kind, seconds.map(|s| s.round()).unwrap_or(f64::NAN))
        }
        (status, _) => serde_json::to_value(status).unwrap().as_str().unwrap().to_owned(),
    })
}

pub fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(START, 0).unwrap()
}

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
