//! Salesforce, as the sandbox plays it, and jobs of `source-salesforce` against it.

use std::ops::Deref;

use sandbox::Options;
use sandbox::salesforce::Settings;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::job::Job;
use crate::tap::Tap;

/// A Salesforce org in a sandbox of its own.
pub struct Salesforce(Bench);

impl Salesforce {
    /// Starts a sandbox.
    pub fn start(options: Options) -> Self {
        let config = sandbox::salesforce::connector_config;
        Self(Bench::start(options, "salesforce", "source-salesforce", config))
    }

    /// Starts a sandbox with so many rows of the large objects.
    pub fn of_rows(rows: u64) -> Self {
        Self::with(rows, "")
    }

    /// The same with settings of the org, as TOML.
    pub fn with(rows: u64, settings: &str) -> Self {
        let salesforce = Settings::load(settings).expect("settings");
        Self::start(Options { rows, salesforce, ..Options::default() })
    }

    /// Changes settings of the org while it runs.
    #[track_caller]
    pub fn settings(&self, keys: Value) {
        self.change("settings", keys);
    }

    /// `read` of some streams with the catalog that the connector discovers, as it is or with
    /// changed entries.
    #[track_caller]
    pub fn read_discovered(&self, streams: &[&str]) -> Job {
        let patterns = json!({ "include_streams": streams });
        let found = self.job("discover").set(patterns).run().succeeded();
        let wanted = |stream: &&airbyte_protocol::Stream| streams.contains(&stream.name.as_str());
        let found = found.catalog().streams.iter().filter(wanted).cloned();
        self.read(&[]).streams(found)
    }

    /// The objects that have a truth.
    pub fn truth_streams(&self) -> Vec<String> {
        self.admin().streams("salesforce").expect("streams")
    }

    /// The setting that leads through a tap.
    pub fn through(&self, tap: &Tap) -> Value {
        json!({ "api_url": self.config_at(&tap.url())["api_url"] })
    }

    /// Logins since [`Bench::recount`].
    pub fn logins(&self) -> u64 {
        self.requests_to("/services/oauth2/token")
    }

    /// Requests that count as API calls since [`Bench::recount`].
    pub fn calls(&self) -> u64 {
        self.requests().by_api.get("salesforce").map_or(0, |c| c.total) - self.logins()
    }

    /// Bulk jobs that were made or refused since [`Bench::recount`].
    pub fn jobs(&self) -> u64 {
        self.requests_to("/services/data/v62.0/jobs/query")
    }
}

impl Deref for Salesforce {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.0
    }
}
