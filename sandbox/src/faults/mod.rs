//! Faults on demand: which request fails, and how.
//!
//! A rate-driven fault depends on the seed, on the request's method, path and query, and on how
//! many times this very request was asked before, never on the order in which different requests
//! arrive. So a run can be repeated, concurrency changes nothing, and the retry of a failed
//! request has its own luck. Scripted faults name a path and the n-th request to it.

mod profile;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub use profile::{Action, Profile, Script, glob};

use crate::hash;

/// Why a rate limit was hit, in the words of Stripe's `Stripe-Rate-Limited-Reason` header.
const REASONS: [&str; 5] = [
    "global-rate",
    "endpoint-rate",
    "global-concurrency",
    "endpoint-concurrency",
    "resource-specific",
];

const SERVER_ERRORS: [u16; 4] = [500, 502, 503, 504];

/// A fault for one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// 429, with an optional `Retry-After` in seconds and the limiter's reason.
    TooMany {
        /// Seconds for `Retry-After`; None sends no such header.
        retry_after: Option<u32>,
        /// The limiter that was hit; None leaves the reason out.
        reason: Option<String>,
    },
    /// 429 because the object is locked by another request.
    LockTimeout,
    /// The historic 400 form of a rate limit.
    RateLimit400,
    /// 409.
    Conflict,
    /// A 5xx, with an optional `Stripe-Should-Retry`.
    ServerError {
        /// The status, 500 and above.
        status: u16,
        /// Value of the header; None leaves it out.
        should_retry: Option<bool>,
    },
    /// The connection is reset before an answer.
    Reset,
    /// The body ends before its announced length: after so many bytes, or two thirds of it.
    Truncate(Option<usize>),
    /// The answer is right but late.
    Slow(Duration),
    /// Status 200 with an HTML page instead of JSON.
    Html,
    /// The access token is no longer valid; APIs with static keys ignore this.
    ExpireToken,
    /// Any status with any body.
    Reply {
        /// HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
}

/// Decides on faults; one for a server.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    profile: Profile,
    /// How often each request (by the hash of method, path and query) was asked.
    asked: HashMap<u64, u32>,
    /// How often each script's path was asked.
    matched: Vec<u64>,
    expiries_left: u32,
}

impl State {
    fn new(profile: Profile) -> Self {
        let (matched, expiries_left) = (vec![0; profile.script.len()], profile.token_expiries);
        Self { profile, asked: HashMap::new(), matched, expiries_left }
    }
}

impl Faults {
    /// Faults of `profile`, drawn with `seed`.
    pub fn new(seed: u64, profile: Profile) -> Self {
        Self { seed, state: Mutex::new(State::new(profile)) }
    }

    /// Replaces the profile and forgets all counts.
    pub fn replace(&self, profile: Profile) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::new(profile);
    }

    /// The fault for this request, if any. `path` includes the API's prefix.
    pub fn decide(&self, method: &str, path: &str, query: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.profile.is_none() {
            return None;
        }
        if let Some(fault) = scripted(&mut state, path, query) {
            return Some(fault);
        }
        let request =
            hash::join(hash::join(hash::text(method), hash::text(path)), hash::text(query));
        let asked = state.asked.entry(request).or_default();
        *asked += 1;
        let luck = hash::join(hash::join(self.seed, request), u64::from(*asked));
        if state.expiries_left > 0 && luck.is_multiple_of(16) {
            state.expiries_left -= 1;
            return Some(Fault::ExpireToken);
        }
        by_rate(&state.profile, luck)
    }
}

fn scripted(state: &mut State, path: &str, query: &str) -> Option<Fault> {
    let mut found = None;
    let full = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    for (script, count) in state.profile.script.iter().zip(&mut state.matched) {
        if glob(&script.path, &full) || glob(&script.path, path) {
            *count += 1;
            if found.is_none() && script.applies(*count) {
                found = Some(script.fault());
            }
        }
    }
    found
}

fn by_rate(profile: &Profile, luck: u64) -> Option<Fault> {
    let draw = hash::fraction(luck);
    let detail = hash::mix(luck ^ 0x5bd1);
    let rates = [
        profile.too_many,
        profile.server_error,
        profile.reset,
        profile.truncate,
        profile.rate_limit_400,
        profile.conflict,
        profile.html,
        profile.slow,
    ];
    let mut edge = 0.0;
    let kind = rates.iter().position(|rate| {
        edge += rate;
        draw < edge
    })?;
    Some(match kind {
        0 => too_many(profile, detail),
        1 => server_error(profile, detail),
        2 => Fault::Reset,
        3 => Fault::Truncate(None),
        4 => Fault::RateLimit400,
        5 => Fault::Conflict,
        6 => Fault::Html,
        _ => Fault::Slow(Duration::from_millis(profile.slow_ms)),
    })
}

fn too_many(profile: &Profile, detail: u64) -> Fault {
    if hash::fraction(hash::mix(detail ^ 1)) < profile.lock_timeout_share {
        return Fault::LockTimeout;
    }
    let with_header = hash::fraction(hash::mix(detail ^ 2)) < profile.retry_after_share;
    let reason = REASONS[hash::below(detail, REASONS.len() as u64) as usize];
    Fault::TooMany {
        retry_after: with_header.then_some(profile.retry_after),
        reason: Some(reason.to_owned()),
    }
}

fn server_error(profile: &Profile, detail: u64) -> Fault {
    let status = SERVER_ERRORS[hash::below(detail, SERVER_ERRORS.len() as u64) as usize];
    let draw = hash::fraction(hash::mix(detail ^ 3));
    let should_retry = if draw < profile.should_retry_false_share {
        Some(false)
    } else if draw < profile.should_retry_false_share + profile.should_retry_true_share {
        Some(true)
    } else {
        None
    };
    Fault::ServerError { status, should_retry }
}

#[cfg(test)]
mod tests;
