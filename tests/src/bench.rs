//! A sandbox that plays one API, and jobs of that API's connector against it.

use sandbox::counters::Counts;
use sandbox::faults::Profile;
use sandbox::{Admin, Options, Server};
use serde_json::Value;

use crate::job::Job;
use crate::tap::Tap;

/// A sandbox of its own for one test, or a few.
pub struct Bench {
    /// The server.
    pub server: Server,
    api: &'static str,
    connector: &'static str,
    config: fn(&str) -> Value,
}

impl Bench {
    pub(crate) fn start(
        options: Options,
        api: &'static str,
        connector: &'static str,
        config: fn(&str) -> Value,
    ) -> Self {
        Self { server: Server::start(options).expect("a free port"), api, connector, config }
    }

    /// What tests can do to it.
    pub fn admin(&self) -> Admin {
        self.server.admin()
    }

    /// A configuration for it.
    pub fn config(&self) -> Value {
        self.config_at(&self.server.url())
    }

    /// A configuration for it, seen at another address.
    pub fn config_at(&self, url: &str) -> Value {
        (self.config)(url)
    }

    /// A command.
    pub fn job(&self, command: &'static str) -> Job {
        Job::new(self.connector, command, self.config())
    }

    /// `read` of some streams.
    pub fn read(&self, streams: &[&str]) -> Job {
        Job::read(self.connector, self.config(), streams)
    }

    /// A tap before it, for a connector that is configured with [`Bench::config_at`] the tap.
    pub fn tap(&self) -> Tap {
        Tap::before(self.server.addr)
    }

    /// The rows that a first read of a stream must bring now.
    #[track_caller]
    pub fn truth(&self, stream: &str) -> Vec<Value> {
        let text = self.admin().truth(self.api, stream).expect("a stream with a truth");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Changes data, by an action of the API's.
    #[track_caller]
    pub fn change(&self, action: &str, body: Value) -> Value {
        let change = self.admin().change(self.api, action, &body);
        change.unwrap_or_else(|why| panic!("{action} {body}: {why}"))
    }

    /// Lets virtual seconds pass.
    pub fn pass(&self, seconds: u32) {
        self.admin().advance(seconds);
    }

    /// Lets so much time pass that the changes before it are read next time.
    pub fn settle(&self) {
        self.pass(120);
    }

    /// Faults from now on, as a TOML profile or one of the names.
    pub fn faults(&self, profile: &str) {
        self.admin().set_faults(Profile::parse(profile).expect("a fault profile"));
    }

    /// The requests so far.
    pub fn requests(&self) -> Counts {
        self.admin().counters()
    }

    /// The requests to a path of the API, such as `/v1/customers/{id}`, since
    /// [`Bench::recount`].
    pub fn requests_to(&self, path: &str) -> u64 {
        self.requests().by_path.get(&format!("/{}{path}", self.api)).map_or(0, |count| count.total)
    }

    /// Counts requests from zero.
    pub fn recount(&self) {
        self.admin().reset_counters();
    }
}
