//! An HTTP(S) proxy between a connector and its API, for tests.
//!
//! It runs beside the connector and sees every request, however the connector is written. It can
//! answer with [faults](FaultPlan), keep a [journal](Journal) of what was asked when, write a
//! recording without secrets, and answer from a recording without a network.
//!
//! ```no_run
//! use acceptance::proxy::{Fault, FaultPlan, Options, Proxy, Rule};
//!
//! let faults = FaultPlan::one(Rule::once(Fault::too_many()).at_most(5));
//! let proxy = Proxy::start(Options { faults, ..Options::default() })?;
//! let connector = std::process::Command::new("./source-acme")
//!     .args(["read", "--config", "config.json", "--catalog", "catalog.json"])
//!     .envs(proxy.environment())
//!     .status();
//! let journal = proxy.finish()?;
//! assert!(journal.unrecovered().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Two ways in
//!
//! * [`Proxy::environment`] has `HTTP_PROXY`, `HTTPS_PROXY` and the names of a file with
//!   certificates. TLS ends at the proxy, which makes a certificate for each host, signed by an
//!   authority of this run alone.
//! * [`Proxy::base_url`] gives a local address that stands for an API's, for connectors that know
//!   no proxies (Java, or Go with an API on this machine). It keeps the path; redirects and `Link`
//!   headers lead back to it, addresses inside of bodies do not.
//!
//! Both can be used at once. Without `NO_PROXY`, clients in Rust, Python, curl and Node send requests
//! to 127.0.0.1 by the proxy, too.
//!
//! # How it is made
//!
//! `server` accepts connections and finds each request's way; `exchange` takes it from there to its
//! answer; `upstream` asks the API, streaming in both directions; `body` watches, cuts and slows
//! bodies; `faults` decides; `journal` remembers; `record` and `replay` write and read what
//! `recording` describes; `scrub` takes secrets out; `identity` says when two requests are the same,
//! which faults, journal and replay all need to know; `ca` makes certificates, `conn` resets
//! connections.

mod body;
mod ca;
mod conn;
mod error;
mod exchange;
mod faults;
mod identity;
mod journal;
mod record;
mod recording;
mod replay;
pub mod scrub;
mod server;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use url::Url;

pub use error::{Error, Result};
pub use faults::{Fault, FaultPlan, RetryAfter, Rule};
pub use journal::{Door, Exchange, Journal, Outcome, Scope, TooEarly};
pub use scrub::Secret;

use ca::Authority;
use exchange::{Exchanger, Source};
use faults::Faults;
use journal::Log;
use record::Recorder;
use replay::Replay;
use scrub::Scrubber;
use server::Server;
use upstream::Upstream;

/// Where answers come from.
#[derive(Clone, Debug, Default)]
pub enum Mode {
    /// From the API.
    #[default]
    Live,
    /// From the API, and they are written into this folder. Answers that a fault spoiled are not.
    Record(PathBuf),
    /// From the recording in this folder. What is not in it has status 599.
    Replay(PathBuf),
}

/// How a proxy works; the default passes everything on.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where answers come from.
    pub mode: Mode,
    /// What goes wrong.
    pub faults: FaultPlan,
    /// What must not stand in recordings and journals, besides what names give away: the secret
    /// values of the connector's config.
    pub secrets: Vec<Secret>,
    /// PEM files with authorities of APIs, besides those that the machine trusts.
    pub authorities: Vec<PathBuf>,
}

/// A running proxy. It has threads of its own, so it can be used from plain and from asynchronous
/// code; dropping it stops it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    server: Arc<Server>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1; connections are accepted when this returns.
    ///
    /// # Errors
    /// When there is no port, the recording cannot be begun or is damaged, or a file of authorities
    /// cannot be read.
    pub fn start(options: Options) -> Result<Self> {
        let log = Arc::new(Log::new());
        let scrubber = Arc::new(Scrubber::new(&options.secrets));
        let upstream = || Upstream::new(&options.authorities);
        let source = match &options.mode {
            Mode::Live => Source::Live(upstream()?),
            Mode::Record(folder) => {
                let upstream = upstream()?;
                let recorder = Recorder::start(folder, scrubber.clone(), log.clone())?;
                Source::Record(upstream, recorder)
            }
            Mode::Replay(folder) => Source::Replay(Replay::open(folder)?),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("proxy")
            .enable_all()
            .build()
            .map_err(|e| Error::Setup(e.to_string()))?;
        let server = Arc::new(Server {
            exchanger: Exchanger { log, faults: Faults::new(options.faults), scrubber, source },
            authority: Authority::new()?,
            doors: RwLock::new(HashMap::new()),
        });
        let (listener, address) = listen(&runtime)?;
        runtime.spawn(server::accept(server.clone(), listener, None));
        Ok(Self { address, server, runtime: Some(runtime) })
    }

    /// `http://127.0.0.1:PORT`, for `HTTP_PROXY` and `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A PEM file with the authorities that the machine trusts and the proxy's own. It lives as long
    /// as the proxy.
    pub fn ca_bundle(&self) -> &Path {
        self.server.authority.bundle()
    }

    /// Environment variables for a connector's process.
    pub fn environment(&self) -> BTreeMap<String, String> {
        self.environment_with(self.ca_bundle())
    }

    /// The same for a process that finds [`ca_bundle`](Self::ca_bundle) at another path: in a
    /// container, which also has to share the machine's network.
    pub fn environment_with(&self, ca_bundle: &Path) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            variables.insert(name.to_owned(), self.url());
        }
        for name in ["NO_PROXY", "no_proxy"] {
            variables.insert(name.to_owned(), String::new());
        }
        // Node from version 24 on takes proxies from the environment only if asked to.
        variables.insert("NODE_USE_ENV_PROXY".to_owned(), "1".to_owned());
        for name in CA_VARIABLES {
            variables.insert(name.to_owned(), ca_bundle.display().to_string());
        }
        variables
    }

    /// A local address that stands for `upstream` (`https://api.example.com/v2`), to be put into a
    /// connector's config. The path is kept: `http://127.0.0.1:PORT/v2`. The same origin has the same
    /// port each time.
    ///
    /// # Errors
    /// When `upstream` is not an `http` or `https` URL, or there is no port.
    pub fn base_url(&self, upstream: &str) -> Result<String> {
        let problem = |problem: String| Error::Upstream { url: upstream.to_owned(), problem };
        let url = Url::parse(upstream).map_err(|e| problem(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(problem("it has no scheme http or https".to_owned()));
        }
        let port = self.door_to(&url)?;
        // Whether there is a slash at the end matters to whoever joins paths.
        let path =
            if upstream.ends_with('/') { url.path() } else { url.path().trim_end_matches('/') };
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(format!("http://127.0.0.1:{port}{path}{query}"))
    }

    fn door_to(&self, url: &Url) -> Result<u16> {
        let mut doors = self.server.doors.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((port, _)) = doors.iter().find(|(_, door)| door.origin() == url.origin()) {
            return Ok(*port);
        }
        let Some(runtime) = &self.runtime else {
            return Err(Error::Setup("the proxy was stopped".to_owned()));
        };
        let (listener, address) = listen(runtime)?;
        runtime.spawn(server::accept(self.server.clone(), listener, Some(url.clone())));
        doors.insert(address.port(), url.clone());
        Ok(address.port())
    }

    /// Takes other faults and forgets which requests were struck.
    pub fn set_faults(&self, faults: FaultPlan) {
        self.server.exchanger.faults.replace(faults);
    }

    /// The exchanges so far.
    pub fn journal(&self) -> Journal {
        self.server.exchanger.log.snapshot()
    }

    /// The exchanges so far; the journal begins anew, for the next run by the same proxy.
    pub fn take_journal(&self) -> Journal {
        self.server.exchanger.log.take()
    }

    /// When the recording that is replayed was begun: the date to run the connector under.
    pub fn recorded_at(&self) -> Option<DateTime<Utc>> {
        match &self.server.exchanger.source {
            Source::Replay(replay) => Some(replay.recorded_at()),
            Source::Live(_) | Source::Record(..) => None,
        }
    }

    /// Stops, completes the recording and gives the journal.
    ///
    /// # Errors
    /// When something could not be recorded.
    pub fn finish(mut self) -> Result<Journal> {
        self.stop()?;
        Ok(self.journal())
    }

    fn stop(&mut self) -> Result<()> {
        if let Some(runtime) = self.runtime.take() {
            // In a thread of its own: asynchronous code may not wait for a runtime's end.
            let end = std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(1)));
            let _ = end.join();
        }
        match &self.server.exchanger.source {
            Source::Record(_, recorder) => recorder.finish(),
            Source::Live(_) | Source::Replay(_) => Ok(()),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Who wants to know of errors calls `finish`.
        let _ = self.stop();
    }
}

/// Where common HTTP clients look for the name of a file with certificates: OpenSSL and rustls,
/// Python's requests, curl, Node, the AWS libraries, httplib2, gRPC, git, Deno.
const CA_VARIABLES: [&str; 9] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "HTTPLIB2_CA_CERTS",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "GIT_SSL_CAINFO",
    "DENO_CERT",
];

fn listen(runtime: &Runtime) -> Result<(TcpListener, SocketAddr)> {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Listen)?;
    socket.set_nonblocking(true).map_err(Error::Listen)?;
    let address = socket.local_addr().map_err(Error::Listen)?;
    let _inside = runtime.enter();
    Ok((TcpListener::from_std(socket).map_err(Error::Listen)?, address))
}
