//! Counts of requests by path, by status and by API, for tests of request economy.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Requests of one kind: how many, and how they were answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// All requests.
    pub total: u64,
    /// Requests answered 429.
    pub rate_limited: u64,
    /// Requests by HTTP status; `reset` stands for connections reset without an answer.
    pub by_status: BTreeMap<String, u64>,
}

impl Count {
    fn add(&mut self, status: Option<u16>) {
        self.total += 1;
        self.rate_limited += u64::from(status == Some(429));
        let key = status.map_or_else(|| "reset".to_owned(), |s| s.to_string());
        *self.by_status.entry(key).or_default() += 1;
    }
}

/// A snapshot of all counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Everything but the admin paths.
    #[serde(flatten)]
    pub all: Count,
    /// By API prefix, such as `stripe`.
    pub by_api: BTreeMap<String, Count>,
    /// By path, ids replaced by `{id}`, such as `/stripe/v1/customers/{id}/cards`.
    pub by_path: BTreeMap<String, Count>,
}

/// The live counters.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counts>);

impl Counters {
    /// Notes one request; `status` is None when the connection was reset.
    pub fn add(&self, api: &str, path: &str, status: Option<u16>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all.add(status);
        entry(&mut counts.by_api, api).add(status);
        entry(&mut counts.by_path, path).add(status);
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts from zero.
    pub fn reset(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Counts::default();
    }
}

fn entry<'a>(map: &'a mut BTreeMap<String, Count>, key: &str) -> &'a mut Count {
    if !map.contains_key(key) {
        map.insert(key.to_owned(), Count::default());
    }
    map.entry(key.to_owned()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_path_status_and_api() {
        let counters = Counters::default();
        counters.add("stripe", "/stripe/v1/charges", Some(200));
        counters.add("stripe", "/stripe/v1/charges", Some(429));
        counters.add("stripe", "/stripe/v1/events", None);
        let counts = counters.snapshot();
        assert_eq!((counts.all.total, counts.all.rate_limited), (3, 1));
        assert_eq!(counts.by_path["/stripe/v1/charges"].by_status["200"], 1);
        assert_eq!(counts.by_api["stripe"].by_status["reset"], 1);
        counters.reset();
        assert_eq!(counters.snapshot(), Counts::default());
    }
}
