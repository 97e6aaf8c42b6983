//! Stripe, as the sandbox plays it, and jobs of `source-stripe` against it.

use sandbox::counters::Counts;
use sandbox::faults::Profile;
use sandbox::{Admin, Options, Server};
use serde_json::{Value, json};

use crate::job::Job;
use crate::tap::Tap;

const CONNECTOR: &str = "source-stripe";
const API: &str = "stripe";

/// A sandbox of its own for one test, or a few.
pub struct Stripe {
    /// The server.
    pub server: Server,
}

impl Stripe {
    /// Starts a sandbox.
    pub fn start(options: Options) -> Self {
        Self { server: Server::start(options).expect("a free port") }
    }

    /// Starts a sandbox with so many objects of each kind and no faults.
    pub fn of_rows(rows: u64) -> Self {
        Self::start(Options { rows, ..Options::default() })
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
        sandbox::stripe::connector_config(url)
    }

    /// A command.
    pub fn job(&self, command: &'static str) -> Job {
        Job::new(CONNECTOR, command, self.config())
    }

    /// `read` of some streams.
    pub fn read(&self, streams: &[&str]) -> Job {
        Job::read(CONNECTOR, self.config(), streams)
    }

    /// A tap before it; [`Job::set`] takes [`Stripe::through`] to read through it.
    pub fn tap(&self) -> Tap {
        Tap::before(self.server.addr)
    }

    /// The setting that leads through a tap.
    pub fn through(tap: &Tap) -> Value {
        json!({ "api_url": format!("{}/stripe", tap.url()) })
    }

    /// The rows that a first read of a stream must bring now.
    #[track_caller]
    pub fn truth(&self, stream: &str) -> Vec<Value> {
        let text = self.admin().truth(API, stream).expect("a stream with a truth");
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// Changes data: `action` is `create`, `mutate`, `delete` or `event`.
    #[track_caller]
    pub fn change(&self, action: &str, body: Value) -> Value {
        let change = self.admin().change(API, action, &body);
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

    /// The requests to a path such as `/v1/customers/{id}` since [`Stripe::recount`].
    pub fn requests_to(&self, path: &str) -> u64 {
        self.requests().by_path.get(&format!("/{API}{path}")).map_or(0, |count| count.total)
    }

    /// Counts requests from zero.
    pub fn recount(&self) {
        self.admin().reset_counters();
    }
}
