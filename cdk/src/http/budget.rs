//! Rate budgets: what may be asked of an API per unit of time, shared by all tasks.
//!
//! A budget hands out slots: each request takes the next free one and waits for it, so
//! requests leave evenly and no waiting task is passed over. Rates change while it runs
//! (a server that says 429 halves it, quiet time restores it) and a pause holds everybody
//! back at once; that is why slots are computed here and not by a limiter of fixed rate.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::RetryPolicy;

/// A rate that is never asked for: effectively no limit.
const UNLIMITED: f64 = 1e6;

/// One limit of an API, for one credential. Clones share it.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Cow<'static, str>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Requests per second that the API permits.
    limit: f64,
    /// Requests per second at present, at most `limit`.
    rate: f64,
    next: Instant,
    paused_until: Option<Instant>,
    /// Rate limits in a row without a success between them.
    refusals: u32,
    recovered_at: Instant,
}

impl Budget {
    /// A budget of `per_second` requests; zero, negative or infinite means no limit.
    pub fn per_second(name: impl Into<Cow<'static, str>>, per_second: f64) -> Self {
        let limit = if per_second > 0.0 && per_second < UNLIMITED { per_second } else { UNLIMITED };
        let now = Instant::now();
        let state = State {
            limit,
            rate: limit,
            next: now,
            paused_until: None,
            refusals: 0,
            recovered_at: now,
        };
        Budget(Arc::new(Shared { name: name.into(), state: Mutex::new(state) }))
    }

    /// A budget without a known limit: it only knows pauses.
    pub fn unlimited(name: impl Into<Cow<'static, str>>) -> Self {
        Self::per_second(name, 0.0)
    }

    /// What the budget is called in messages.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next slot and tells when it is. The caller waits until then and asks
    /// [`Budget::paused_until`] again, since a pause may have come up meanwhile.
    pub fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        state.recover(now);
        let slot = state.next.max(now).max(state.paused_until.unwrap_or(now));
        state.next = slot + Duration::from_secs_f64(1.0 / state.rate);
        slot
    }

    /// Until when nothing may be sent, if a pause is on.
    pub fn paused_until(&self) -> Option<Instant> {
        let now = Instant::now();
        self.state().paused_until.filter(|until| *until > now)
    }

    /// The server refused for lack of budget: everybody waits, once. `wait` is what the
    /// server said; without it, and where following it led to refusals in a row, the wait
    /// grows with them. Answers to requests that left before the pause began do not prolong
    /// it.
    ///
    /// Returns the end of the pause.
    pub fn pause(&self, wait: Option<Duration>, policy: &RetryPolicy, sent: Instant) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        let running = state.paused_until.filter(|until| *until > now && sent < *until);
        if running.is_none() {
            state.refusals = state.refusals.saturating_add(1);
            state.slow_down(now);
        }
        let backoff = policy.delay(state.refusals);
        let asked = now
            + match wait {
                Some(wait) if state.refusals <= 1 => wait,
                Some(wait) => wait.max(backoff),
                None => backoff,
            };
        let until = match (running, wait) {
            (Some(running), None) => running,
            (Some(running), Some(_)) => running.max(asked),
            (None, _) => asked,
        };
        state.paused_until = Some(until);
        until
    }

    /// Nothing is left until `reset`, as a quota header or a body said ahead of a refusal.
    pub fn exhausted_until(&self, reset: Instant) {
        let mut state = self.state();
        state.paused_until = Some(state.paused_until.map_or(reset, |until| until.max(reset)));
    }

    /// A request went through.
    pub fn succeeded(&self) {
        self.state().refusals = 0;
    }

    /// The permitted rate at present, in requests per second.
    pub fn rate(&self) -> f64 {
        self.state().rate
    }
}

impl State {
    /// A refusal means that the rate was too high, whatever the books say: go on at
    /// two thirds of it, but never below a tenth of the limit.
    fn slow_down(&mut self, now: Instant) {
        self.rate = (self.rate / 1.5).max(self.limit / 10.0);
        self.recovered_at = now;
    }

    /// Five per cent of the limit come back per second.
    fn recover(&mut self, now: Instant) {
        if self.rate < self.limit {
            let quiet = now.saturating_duration_since(self.recovered_at).as_secs_f64();
            self.rate = (self.rate + quiet * self.limit * 0.05).min(self.limit);
        }
        self.recovered_at = now;
    }
}

/// What a refusal applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything that goes to the API with this credential.
    Api,
    /// The one endpoint.
    Endpoint,
}

/// The budgets of one API and credential: one for all, and one for each endpoint.
#[derive(Debug)]
pub struct Budgets {
    api: Budget,
    per_endpoint: f64,
    special: Vec<(&'static str, f64)>,
    endpoints: Mutex<HashMap<String, Budget>>,
}

impl Budgets {
    /// One budget for the whole API; endpoints have no limit of their own.
    pub fn new(api: Budget) -> Self {
        Budgets { api, per_endpoint: 0.0, special: Vec::new(), endpoints: Mutex::default() }
    }

    /// Limits each endpoint to so many requests per second.
    pub fn each_endpoint(mut self, per_second: f64) -> Self {
        self.per_endpoint = per_second;
        self
    }

    /// Limits one endpoint to so many requests per second.
    pub fn endpoint(mut self, name: &'static str, per_second: f64) -> Self {
        self.special.push((name, per_second));
        self
    }

    /// The budgets that a request to `endpoint` needs a slot of.
    pub fn of(&self, endpoint: &str) -> [Budget; 2] {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = endpoints.get(endpoint) {
            return [self.api.clone(), budget.clone()];
        }
        let special = self.special.iter().find(|(name, _)| *name == endpoint);
        let rate = special.map_or(self.per_endpoint, |(_, rate)| *rate);
        let budget = Budget::per_second(endpoint.to_owned(), rate);
        endpoints.insert(endpoint.to_owned(), budget.clone());
        [self.api.clone(), budget]
    }

    /// The budget for everything.
    pub fn api(&self) -> &Budget {
        &self.api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(budget: &Budget) -> Instant {
        let slot = budget.reserve();
        tokio::time::sleep_until(slot).await;
        slot
    }

    #[tokio::test(start_paused = true)]
    async fn slots_are_even_and_use_the_whole_rate() {
        let budget = Budget::per_second("api", 25.0);
        let start = Instant::now();
        for _ in 0..251 {
            take(&budget).await;
        }
        let elapsed = start.elapsed().as_secs_f64();
        assert!((10.0..10.3).contains(&elapsed), "{elapsed}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_everybody_once() {
        let budget = Budget::unlimited("api");
        let policy = RetryPolicy::default();
        let sent = Instant::now();
        let until = budget.pause(Some(Duration::from_secs(10)), &policy, sent);
        // Ten more requests of the same moment are refused too, without advice.
        for _ in 0..10 {
            assert_eq!(budget.pause(None, &policy, sent), until);
        }
        assert!(take(&budget).await >= until);
        assert_eq!(budget.paused_until(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_lower_the_rate_and_quiet_restores_it() {
        let budget = Budget::per_second("api", 30.0);
        budget.pause(Some(Duration::ZERO), &RetryPolicy::default(), Instant::now());
        assert!((budget.rate() - 20.0).abs() < 0.01);
        tokio::time::advance(Duration::from_secs(60)).await;
        budget.reserve();
        assert!((budget.rate() - 30.0).abs() < 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_have_their_own_limits() {
        let budgets = Budgets::new(Budget::per_second("api", 100.0))
            .each_endpoint(25.0)
            .endpoint("/v1/files", 20.0);
        assert_eq!(budgets.of("/v1/charges")[1].rate(), 25.0);
        assert_eq!(budgets.of("/v1/files")[1].rate(), 20.0);
        budgets.of("/v1/files")[1].exhausted_until(Instant::now() + Duration::from_secs(5));
        assert!(budgets.of("/v1/files")[1].paused_until().is_some());
        assert!(budgets.of("/v1/charges")[1].paused_until().is_none());
    }
}
