//! The org's quotas, which it shares among all that use its API: requests, and Bulk jobs (docs
//! "API Request Limits and Allocations", "Limits").
//!
//! Every answer tells how many requests were used in the last 24 hours; nothing ever tells
//! when there will be more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airbyte_protocol::{Error, FailureType};
use cdk::http::{Action, Admission, ApiError, Failure, Gate, Request};
use serde::Deserialize;
use tokio::time::Instant;

use crate::config::{Config, OnQuota};

/// The error code of failures that mean that the request quota is used up.
pub const USED_UP: &str = "REQUEST_LIMIT_EXCEEDED";
const WAITS_FOR: &str = "the org's API requests of 24 hours";

/// What is known of the quotas.
pub struct Quota {
    policy: OnQuota,
    percent: u64,
    per_sync: Option<u64>,
    bulk_percent: u64,
    poll: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    max: u64,
    /// Requests of this process.
    sent: u64,
    next_look: Option<Instant>,
    bulk: Option<Limit>,
}

/// An entry of the answer of Limits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limit {
    /// What the org has.
    pub max: u64,
    /// What is left of it.
    pub remaining: u64,
}

/// The answer of Limits, as far as it is of use.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limits {
    /// Bulk jobs of 24 hours.
    #[serde(rename = "DailyBulkV2QueryJobs")]
    pub bulk_jobs: Option<Limit>,
}

impl Quota {
    /// Quotas as the configuration wants them kept.
    pub fn new(config: &Config) -> Self {
        Quota {
            policy: config.on_quota,
            percent: config.api_quota_percent.unwrap_or(90).into(),
            per_sync: config.api_quota_percent_per_sync.map(u64::from),
            bulk_percent: config.bulk_jobs_quota_percent.unwrap_or(50).into(),
            poll: Duration::from_secs(config.quota_poll_seconds.unwrap_or(300).max(1).into()),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that are left before the threshold; `None` while nothing is known.
    pub fn left(&self) -> Option<u64> {
        let state = self.state();
        (state.max > 0).then(|| (state.max * self.percent / 100).saturating_sub(state.used))
    }

    /// Takes note of the Bulk jobs that the org has.
    pub fn set_bulk_jobs(&self, limit: Option<Limit>) {
        // An org that does not tell is taken to have what every org has.
        self.state().bulk = Some(limit.unwrap_or(Limit { max: 10_000, remaining: 10_000 }));
    }

    /// Whether the Bulk jobs are known.
    pub fn knows_bulk_jobs(&self) -> bool {
        self.state().bulk.is_some()
    }

    /// Takes one of the Bulk jobs; `false` when they are used up to the threshold.
    pub fn take_bulk_job(&self) -> bool {
        let Some(limit) = &mut self.state().bulk else { return true };
        let used = limit.max.saturating_sub(limit.remaining);
        let may = used * 100 < limit.max * self.bulk_percent;
        if may {
            limit.remaining = limit.remaining.saturating_sub(1);
        }
        may
    }

    /// Salesforce refused a job for want of quota: no more are taken.
    pub fn no_more_bulk_jobs(&self) {
        self.state().bulk = Some(Limit { max: 1, remaining: 0 });
    }

    fn used_up(&self, state: &State) -> Option<String> {
        let (used, max) = (state.used, state.max);
        if max > 0 && used * 100 >= max * self.percent {
            return Some(format!(
                "The org has used {used} of its {max} API requests of 24 hours, which is {} % or more (api_quota_percent).",
                self.percent
            ));
        }
        None
    }

    fn sync_used_up(&self, state: &State) -> Option<String> {
        let percent = self.per_sync?;
        (state.max > 0 && state.sent * 100 >= state.max * percent).then(|| {
            format!(
                "This sync has sent {} requests, which is {percent} % of the org's {} of 24 hours (api_quota_percent_per_sync).",
                state.sent, state.max
            )
        })
    }
}

impl Gate for Quota {
    fn admit(&self, _: &Request) -> Admission {
        let mut state = self.state();
        if let Some(why) = self.sync_used_up(&state) {
            return Admission::Refuse(Box::new(used_up(why)));
        }
        match (self.used_up(&state), self.policy) {
            (None, _) => {}
            (Some(_), OnQuota::Wait) => {
                let now = Instant::now();
                // One request now and then tells whether there is quota again.
                match state.next_look {
                    Some(look) if look > now => return Admission::Wait(look, WAITS_FOR),
                    Some(_) => state.next_look = Some(now + self.poll),
                    None => {
                        let look = now + self.poll;
                        state.next_look = Some(look);
                        return Admission::Wait(look, WAITS_FOR);
                    }
                }
            }
            (Some(why), _) => return Admission::Refuse(Box::new(used_up(why))),
        }
        state.sent += 1;
        Admission::Go
    }

    fn note(&self, headers: &cdk::http::HeaderMap) {
        let info = headers.get("sforce-limit-info").and_then(|value| value.to_str().ok());
        if let Some((used, max)) = info.and_then(usage) {
            let mut state = self.state();
            (state.used, state.max) = (used, max);
            if self.used_up(&state).is_none() {
                state.next_look = None;
            }
        }
    }
}

fn used_up(why: String) -> Failure {
    let text =
        format!("{why} The rest is left for later; raise the threshold, or set on_quota to wait.");
    Failure {
        action: Action::Fail(FailureType::Transient),
        status: None,
        api: Box::new(ApiError { code: Some(USED_UP.into()), message: None }),
        error: Error::transient(text),
    }
}

/// `api-usage=18/5000; per-app-api-usage=17/250(appName=sample)`.
fn usage(info: &str) -> Option<(u64, u64)> {
    let part = info.split([';', ',']).find_map(|part| part.trim().strip_prefix("api-usage="))?;
    let (used, max) = part.split_once('/')?;
    Some((used.trim().parse().ok()?, max.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::test_config;

    fn request() -> Request {
        Request::new(Default::default(), "http://h/".parse().unwrap())
    }

    fn told(quota: &Quota, text: &'static str) {
        let mut headers = cdk::http::HeaderMap::new();
        headers.insert("sforce-limit-info", text.parse().unwrap());
        quota.note(&headers);
    }

    #[test]
    fn headers_tell() {
        assert_eq!(
            usage("api-usage=18/5000; per-app-api-usage=17/250(appName=x)"),
            Some((18, 5000))
        );
        assert_eq!(usage("api-usage=1"), None);
    }

    #[test]
    fn nothing_goes_beyond_the_threshold() {
        let quota = Quota::new(&test_config(json!({ "api_quota_percent": 80 })));
        told(&quota, "api-usage=799/1000");
        assert!(matches!(quota.admit(&request()), Admission::Go));
        assert_eq!(quota.left(), Some(1));
        told(&quota, "api-usage=800/1000");
        let Admission::Refuse(failure) = quota.admit(&request()) else { panic!() };
        assert!(failure.is_code(USED_UP));
        assert!(failure.error.message().contains("800 of its 1000"));
    }

    #[test]
    fn one_sync_has_a_share() {
        let quota = Quota::new(&test_config(json!({ "api_quota_percent_per_sync": 1 })));
        told(&quota, "api-usage=1/200");
        for _ in 0..2 {
            assert!(matches!(quota.admit(&request()), Admission::Go));
        }
        assert!(matches!(quota.admit(&request()), Admission::Refuse(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_looks_now_and_then() {
        let quota =
            Quota::new(&test_config(json!({ "on_quota": "wait", "quota_poll_seconds": 60 })));
        told(&quota, "api-usage=95/100");
        let Admission::Wait(until, _) = quota.admit(&request()) else { panic!() };
        tokio::time::sleep_until(until).await;
        assert!(matches!(quota.admit(&request()), Admission::Go));
        assert!(matches!(quota.admit(&request()), Admission::Wait(..)));
        told(&quota, "api-usage=5/100");
        assert!(matches!(quota.admit(&request()), Admission::Go));
    }

    #[test]
    fn bulk_jobs_are_counted() {
        let quota = Quota::new(&test_config(json!({ "bulk_jobs_quota_percent": 50 })));
        quota.set_bulk_jobs(Some(Limit { max: 10, remaining: 6 }));
        assert!(quota.take_bulk_job() && !quota.take_bulk_job());
        quota.no_more_bulk_jobs();
        assert!(!quota.take_bulk_job());
    }
}
