//! Answers from a recording, without a network.
//!
//! A request gets the answer of the recorded request that is the same; among those that differ only
//! in instants, secrets and parameters that are fresh each time, of the one that has the most in
//! common. A request with other credentials than those of the configuration gets the answer that
//! such credentials got, if there was one. The n-th time it gets the n-th recorded answer, the last
//! one again and again.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::body::{self, Answer};
use super::error::Result;
use super::identity::Identity;
use super::recording::Recording;

/// A recording that answers.
#[derive(Debug)]
pub(super) struct Replay {
    recording: Recording,
    requests: Vec<Recorded>,
    /// Places in `requests` by loose key.
    loose: HashMap<u64, Vec<usize>>,
    /// How often each of `requests` was answered.
    served: Mutex<Vec<usize>>,
}

/// A request that was recorded, once or more.
#[derive(Debug)]
struct Recorded {
    identity: Identity,
    /// Its lines in the recording.
    answers: Vec<usize>,
}

impl Replay {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let recording = Recording::open(folder)?;
        let mut requests: Vec<Recorded> = Vec::new();
        let mut loose: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, line) in recording.lines.iter().enumerate() {
            let request = &line.request;
            let body = recording
                .body(request.body.as_deref())
                .map_err(|e| super::Error::recording(folder, e))?;
            let identity =
                Identity::scrubbed(&request.method, &request.url, &request.headers, &body);
            let alike = loose.entry(identity.loose_key()).or_default();
            match alike.iter().find(|place| requests[**place].identity == identity) {
                Some(place) => requests[*place].answers.push(at),
                None => {
                    alike.push(requests.len());
                    requests.push(Recorded { identity, answers: vec![at] });
                }
            }
        }
        let served = Mutex::new(vec![0; requests.len()]);
        Ok(Self { recording, requests, loose, served })
    }

    /// When the recording was begun.
    pub(super) fn recorded_at(&self) -> DateTime<Utc> {
        self.recording.head.recorded_at
    }

    /// The recorded answer; None if there is none. Errors: a body is gone meanwhile.
    pub(super) fn answer(&self, request: &Identity) -> io::Result<Option<Answer>> {
        let Some(line) = self.pick(request) else { return Ok(None) };
        let recorded = &self.recording.lines[line].response;
        let bytes = self.recording.body(recorded.body.as_deref())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &recorded.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.append(name, value);
            }
        }
        if !headers.contains_key("content-length") && !matches!(recorded.status, 204 | 304) {
            headers.insert("content-length", bytes.len().into());
        }
        Ok(Some(Answer { status: recorded.status, headers, body: body::whole(bytes.into()) }))
    }

    fn pick(&self, request: &Identity) -> Option<usize> {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = self.loose.get(&request.loose_key())?;
        let best = alike.iter().copied().max_by_key(|place| {
            let identity = &self.requests[*place].identity;
            let unused = std::cmp::Reverse(served[*place]);
            let is_meant = identity.same_credentials(request);
            let in_common = identity.overlap(request);
            (is_meant, identity == request, in_common, unused, std::cmp::Reverse(*place))
        })?;
        let answers = &self.requests[best].answers;
        let line = answers[served[best].min(answers.len() - 1)];
        served[best] += 1;
        Some(line)
    }

    /// A sentence on what is recorded instead of `request`.
    pub(super) fn hint(&self, request: &Identity) -> String {
        let nearest = self
            .requests
            .iter()
            .filter(|recorded| recorded.identity.same_place(request))
            .max_by_key(|recorded| recorded.identity.overlap(request));
        match nearest {
            Some(recorded) => {
                let line = &self.recording.lines[recorded.answers[0]];
                format!("The nearest recorded request is {}.", line.request.url)
            }
            None => "No request to this path is recorded.".to_owned(),
        }
    }
}
