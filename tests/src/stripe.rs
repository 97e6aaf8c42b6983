//! Stripe, as the sandbox plays it, and jobs of `source-stripe` against it.

use std::ops::Deref;

use sandbox::Options;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::tap::Tap;

/// Stripe in a sandbox of its own.
pub struct Stripe(Bench);

impl Stripe {
    /// Starts a sandbox.
    pub fn start(options: Options) -> Self {
        let config = sandbox::stripe::connector_config;
        Self(Bench::start(options, "stripe", "source-stripe", config))
    }

    /// Starts a sandbox with so many objects of each kind and no faults.
    pub fn of_rows(rows: u64) -> Self {
        Self::start(Options { rows, ..Options::default() })
    }

    /// The setting that leads through a tap; [`crate::Job::set`] takes it.
    pub fn through(tap: &Tap) -> Value {
        json!({ "api_url": format!("{}/stripe", tap.url()) })
    }
}

impl Deref for Stripe {
    type Target = Bench;

    fn deref(&self) -> &Bench {
        &self.0
    }
}
