//! Which request is answered with a fault, and with which.
//!
//! Whether a rule strikes a request depends on the seed, the rule and the request, not on the order
//! in which different requests arrive: a run can be repeated, and concurrency changes nothing.
//! (`skip` and `total` count requests in the order of arrival.)

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::identity::Identity;

/// What goes wrong with one request. Only [`Fault::Cut`] and [`Fault::Slow`] ask the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error status with a JSON body.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: RetryAfter,
    },
    /// An error status with a JSON body that repeats the request, its headers too, as careless
    /// APIs and gateways do.
    Echo {
        /// The status, 400 to 599.
        status: u16,
    },
    /// The connection is reset before an answer.
    Reset,
    /// The body ends in its middle, before the announced length; a body that is empty or must not
    /// be there is a reset instead.
    Cut,
    /// The body takes this long.
    Slow {
        /// Milliseconds in all.
        milliseconds: u64,
    },
    /// Status 200 and `application/json`, but the body breaks off in the middle of a text. Its length
    /// is right.
    Malformed,
    /// Status 200 with a page for humans.
    Html,
}

/// A `Retry-After` header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// None is sent.
    #[default]
    Absent,
    /// Seconds.
    Seconds(u32),
    /// An HTTP date (RFC 9110, 10.2.3), at least so many seconds ahead.
    Date(u32),
}

impl RetryAfter {
    /// The header's value for an answer sent at `now`.
    pub fn header(self, now: DateTime<Utc>) -> Option<String> {
        match self {
            RetryAfter::Absent => None,
            RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
            RetryAfter::Date(seconds) => {
                // The format has whole seconds only: round up.
                let at = now + chrono::TimeDelta::seconds(i64::from(seconds) + 1);
                Some(at.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }
        }
    }
}

impl Fault {
    /// 429 that asks to wait for one second.
    pub fn too_many() -> Self {
        Fault::too_many_with(RetryAfter::Seconds(1))
    }

    /// 429 with the given header.
    pub fn too_many_with(retry_after: RetryAfter) -> Self {
        Fault::Status { status: 429, retry_after }
    }

    /// A status without `Retry-After`.
    pub fn status(status: u16) -> Self {
        Fault::Status { status, retry_after: RetryAfter::Absent }
    }

    /// A body that takes so long.
    pub fn slow(time: Duration) -> Self {
        Fault::Slow { milliseconds: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Whether the connector can get its data from the faulted answer.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Fault::Slow { .. })
    }
}

/// One fault and the requests that it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What happens.
    pub fault: Fault,
    /// Only requests with this method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose URL (scheme, host, path, query) fits; `*` stands for any text.
    #[serde(default)]
    pub url: Option<String>,
    /// Not the requests whose URL fits this.
    #[serde(default)]
    pub except: Option<String>,
    /// So many fitting requests pass first.
    #[serde(default)]
    pub skip: u64,
    /// The share of requests that are struck, 0 to 1.
    #[serde(default = "all")]
    pub chance: f64,
    /// How often the same request is struck at most; None for each time.
    #[serde(default = "once")]
    pub per_request: Option<u32>,
    /// How often the rule strikes at most; None for any number.
    #[serde(default)]
    pub total: Option<u64>,
}

fn all() -> f64 {
    1.0
}

#[expect(clippy::unnecessary_wraps, reason = "the type of the field")]
fn once() -> Option<u32> {
    Some(1)
}

impl Rule {
    /// Strikes every request, the first time it is made.
    pub fn once(fault: Fault) -> Self {
        Self {
            fault,
            method: None,
            url: None,
            except: None,
            skip: 0,
            chance: 1.0,
            per_request: Some(1),
            total: None,
        }
    }

    /// Strikes the `n`-th fitting request (from 1), and no other.
    pub fn nth(n: u64, fault: Fault) -> Self {
        Self { skip: n.saturating_sub(1), total: Some(1), ..Self::once(fault) }
    }

    /// Strikes this share (0 to 1) of the requests, the first time each is made.
    pub fn some(chance: f64, fault: Fault) -> Self {
        Self { chance, ..Self::once(fault) }
    }

    /// Strikes always: what a connector has to give up on.
    pub fn always(fault: Fault) -> Self {
        Self { per_request: None, ..Self::once(fault) }
    }

    /// The rule for URLs that fit `glob` only.
    pub fn on(self, glob: impl Into<String>) -> Self {
        Self { url: Some(glob.into()), ..self }
    }

    /// The rule for all but URLs that fit `glob`.
    pub fn except(self, glob: impl Into<String>) -> Self {
        Self { except: Some(glob.into()), ..self }
    }

    /// The rule, striking at most so often in all.
    pub fn at_most(self, total: u64) -> Self {
        Self { total: Some(total), ..self }
    }

    /// The rule, striking the same request so often.
    pub fn times(self, per_request: u32) -> Self {
        Self { per_request: Some(per_request), ..self }
    }

    fn fits(&self, method: &str, url: &str) -> bool {
        self.method.as_ref().is_none_or(|m| m.eq_ignore_ascii_case(method))
            && self.url.as_ref().is_none_or(|pattern| glob(pattern, url))
            && !self.except.as_ref().is_some_and(|pattern| glob(pattern, url))
    }
}

/// The faults of a run: the first rule that strikes a request has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Other seeds, other requests struck, where a rule's `chance` is below 1.
    #[serde(default)]
    pub seed: u64,
    /// The rules, in order.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    /// One rule.
    pub fn one(rule: Rule) -> Self {
        Self { seed: 0, rules: vec![rule] }
    }

    /// A rough day: each kind of passing fault strikes the given share of the requests. No request
    /// is struck twice by the same kind.
    pub fn rough(seed: u64, chance: f64) -> Self {
        let faults = [
            Fault::too_many(),
            Fault::too_many_with(RetryAfter::Absent),
            Fault::too_many_with(RetryAfter::Date(1)),
            Fault::status(500),
            Fault::status(502),
            Fault::Status { status: 503, retry_after: RetryAfter::Seconds(1) },
            Fault::Reset,
            Fault::Cut,
            Fault::slow(Duration::from_secs(1)),
            Fault::Malformed,
            Fault::Html,
        ];
        Self { seed, rules: faults.into_iter().map(|fault| Rule::some(chance, fault)).collect() }
    }
}

/// Decides by a plan.
#[derive(Debug, Default)]
pub(super) struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    counts: Vec<Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    fitting: u64,
    strikes: u64,
    by_request: HashMap<u64, u32>,
}

impl Faults {
    pub(super) fn new(plan: FaultPlan) -> Self {
        let faults = Self::default();
        faults.replace(plan);
        faults
    }

    /// Takes another plan and forgets all counts.
    pub(super) fn replace(&self, plan: FaultPlan) {
        let counts = vec![Counts::default(); plan.rules.len()];
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State { plan, counts };
    }

    pub(super) fn decide(&self, method: &str, url: &str, request: &Identity) -> Option<Fault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { plan, counts } = &mut *state;
        let key = request.key();
        for (number, (rule, counts)) in plan.rules.iter().zip(counts).enumerate() {
            if rule.fits(method, url) && counts.strike(rule, key, luck(plan.seed, number, key)) {
                return Some(rule.fault.clone());
            }
        }
        None
    }
}

impl Counts {
    fn strike(&mut self, rule: &Rule, key: u64, luck: f64) -> bool {
        self.fitting += 1;
        if self.fitting <= rule.skip
            || luck >= rule.chance
            || rule.total.is_some_and(|total| self.strikes >= total)
        {
            return false;
        }
        let struck = self.by_request.entry(key).or_default();
        if rule.per_request.is_some_and(|most| *struck >= most) {
            return false;
        }
        *struck += 1;
        self.strikes += 1;
        true
    }
}

/// A number in `[0, 1)` for a request and a rule.
fn luck(seed: u64, rule: usize, key: u64) -> f64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mixed = rng.u64(..) ^ key.rotate_left(u32::try_from(rule % 64).unwrap_or_default());
    fastrand::Rng::with_seed(mixed.wrapping_add(rule as u64)).f64()
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, more)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = more.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::super::scrub::Scrubber;
    use super::*;
    use hyper::header::HeaderMap;

    fn ask(faults: &Faults, url: &str) -> Option<Fault> {
        let request = Identity::of(&Scrubber::default(), "GET", url, &HeaderMap::new(), b"");
        faults.decide("GET", url, &request)
    }

    fn struck(plan: FaultPlan, urls: &[String]) -> Vec<bool> {
        let faults = Faults::new(plan);
        urls.iter().map(|url| ask(&faults, url).is_some()).collect()
    }

    fn pages(n: usize) -> Vec<String> {
        (0..n).map(|page| format!("http://e.com/list?page={page}")).collect()
    }

    #[test]
    fn once_each_then_never_again() {
        let faults = Faults::new(FaultPlan::one(Rule::once(Fault::Reset).times(2)));
        let asked: Vec<bool> = ["a", "b", "a", "a", "b"]
            .map(|p| ask(&faults, &format!("http://e.com/{p}")).is_some())
            .into();
        assert_eq!(asked, [true, true, true, false, true]);
    }

    #[test]
    fn the_nth_of_the_fitting_ones() {
        let plan = FaultPlan::one(Rule::nth(2, Fault::Cut).on("*/list?*").except("*page=0"));
        assert_eq!(struck(plan, &pages(5)), [false, false, true, false, false]);
        let faults = Faults::new(FaultPlan::one(Rule::always(Fault::status(403)).on("*/list*")));
        assert!((0..9).all(|_| ask(&faults, "http://e.com/list").is_some()));
        assert_eq!(ask(&faults, "http://e.com/other"), None);
    }

    #[test]
    fn chance_depends_on_the_request_not_on_the_order() {
        let urls = pages(1000);
        let plan = |seed| FaultPlan { seed, rules: vec![Rule::some(0.3, Fault::Reset)] };
        let first = struck(plan(7), &urls);
        let count = first.iter().filter(|s| **s).count();
        assert!((250..350).contains(&count), "{count} of 1000 at a chance of 0.3");
        let mut backwards = urls.clone();
        backwards.reverse();
        let mut second = struck(plan(7), &backwards);
        second.reverse();
        assert_eq!(first, second);
        assert_ne!(first, struck(plan(8), &urls));
    }

    #[test]
    fn a_date_is_never_too_early() {
        let now = DateTime::from_timestamp(1_700_000_000, 900_000_000).unwrap();
        let header = RetryAfter::Date(1).header(now).unwrap();
        assert_eq!(header, "Tue, 14 Nov 2023 22:13:22 GMT");
    }

    #[test]
    fn a_plan_can_be_written_down() {
        let text = r#"{"rules": [{"fault": {"kind": "status", "status": 429, "retry_after": {"seconds": 2}}, "url": "*/v1/*"}]}"#;
        let plan: FaultPlan = serde_json::from_str(text).unwrap();
        let rule = Rule::once(Fault::too_many_with(RetryAfter::Seconds(2))).on("*/v1/*");
        assert_eq!(plan, FaultPlan::one(rule));
    }
}
