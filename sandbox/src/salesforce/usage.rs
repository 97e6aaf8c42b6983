//! What was used of the org's quotas in the last 24 hours.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::error::Error;
use super::settings::LimitSettings;

const HOUR: i64 = 3600;

/// Counters of one org.
#[derive(Debug, Default)]
pub struct Usage {
    calls: Rolling,
    jobs: Rolling,
    /// Bytes of Bulk results, since the start.
    pub bulk_bytes: Arc<AtomicU64>,
    long: Arc<AtomicUsize>,
}

/// A sum over the last 24 hours, in steps of one.
#[derive(Debug, Default)]
struct Rolling(Mutex<BTreeMap<i64, u64>>);

impl Rolling {
    fn sum(&self, now: i64) -> u64 {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        hours.retain(|hour, _| *hour > now / HOUR - 24);
        hours.values().sum()
    }

    fn add(&self, now: i64, amount: u64) {
        let mut hours = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *hours.entry(now / HOUR).or_default() += amount;
    }
}

/// A place among the long calls; dropping it frees it.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Usage {
    /// Counts API calls, unless there are none left.
    pub fn call(&self, limits: &LimitSettings, now: i64, calls: u64) -> Result<(), Error> {
        if self.api_used(limits, now) >= limits.api_max {
            return Err(Error::limit("TotalRequests Limit exceeded."));
        }
        self.calls.add(now, calls);
        Ok(())
    }

    /// Counts a Bulk query job, unless there are none left.
    pub fn job(&self, limits: &LimitSettings, now: i64) -> Result<(), Error> {
        let (used, max) = (self.jobs_used(limits, now), limits.bulk_jobs_max);
        if used >= max {
            let message =
                format!("Max bulk v2 query jobs ({max}) per 24 hrs has been reached ({used})");
            return Err(Error::bad("LIMIT_EXCEEDED", message));
        }
        if self.bulk_mb(limits) >= limits.bulk_mb_max {
            let message = format!(
                "Max bulk v2 query result size stored ({}) kb per 24 hrs has been exceeded",
                limits.bulk_mb_max * 1000
            );
            return Err(Error::bad("LIMIT_EXCEEDED", message));
        }
        self.jobs.add(now, 1);
        Ok(())
    }

    /// A place for a long call, unless all are taken.
    pub fn long_call(&self, limits: &LimitSettings) -> Result<Place, Error> {
        let taken = self.long.fetch_add(1, Ordering::SeqCst);
        let place = Place(self.long.clone());
        if taken >= limits.long_max {
            return Err(Error::limit("ConcurrentRequests (Concurrent API) Limit exceeded."));
        }
        Ok(place)
    }

    fn api_used(&self, limits: &LimitSettings, now: i64) -> u64 {
        limits.api_used + self.calls.sum(now)
    }

    fn jobs_used(&self, limits: &LimitSettings, now: i64) -> u64 {
        limits.bulk_jobs_used + self.jobs.sum(now)
    }

    fn bulk_mb(&self, limits: &LimitSettings) -> u64 {
        limits.bulk_mb_used + (self.bulk_bytes.load(Ordering::Relaxed) >> 20)
    }

    /// The value of `Sforce-Limit-Info`.
    pub fn header(&self, limits: &LimitSettings, now: i64) -> String {
        format!("api-usage={}/{}", self.api_used(limits, now), limits.api_max)
    }

    /// The body of `/limits`.
    pub fn limits(&self, limits: &LimitSettings, now: i64) -> Value {
        let limit =
            |max: u64, used: u64| json!({"Max": max, "Remaining": max.saturating_sub(used)});
        json!({
            "ConcurrentAsyncGetReportInstances": limit(200, 0),
            "DailyApiRequests": limit(limits.api_max, self.api_used(limits, now)),
            "DailyBulkApiBatches": limit(15_000, 0),
            "DailyBulkV2QueryFileStorageMB": limit(limits.bulk_mb_max, self.bulk_mb(limits)),
            "DailyBulkV2QueryJobs": limit(limits.bulk_jobs_max, self.jobs_used(limits, now)),
            "DataStorageMB": limit(1024, 512),
            "FileStorageMB": limit(1024, 100),
        })
    }
}
