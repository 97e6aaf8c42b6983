//! What a sandbox is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::clock;
use crate::faults::Profile;
use crate::salesforce;

/// Settings of one server; the defaults are those of the command line, on a free port.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Seed of all data and faults.
    pub seed: u64,
    /// Size of the data: objects in each of the large collections.
    pub rows: u64,
    /// Faults to inject.
    pub faults: Profile,
    /// Added to every answer.
    pub latency: Duration,
    /// Serve HTTPS with a self-signed certificate.
    pub tls: bool,
    /// Requests a second that each API accepts; None for no limit.
    pub rate_limit: Option<u32>,
    /// Pretty-print bodies, as Stripe does; compact otherwise.
    pub pretty: bool,
    /// Virtual time at the start, unix seconds.
    pub clock_start: i64,
    /// Virtual seconds after which a fresh event shows in event lists.
    pub event_delay: u32,
    /// Default API version of the emulated Stripe account: the version its events are frozen in.
    pub account_version: String,
    /// The emulated Salesforce org.
    pub salesforce: salesforce::Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            seed: 1,
            rows: 1000,
            faults: Profile::default(),
            latency: Duration::ZERO,
            tls: false,
            rate_limit: None,
            pretty: false,
            clock_start: clock::DEFAULT_START,
            event_delay: 20,
            account_version: "2024-06-20".to_owned(),
            salesforce: salesforce::Settings::default(),
        }
    }
}
