//! SaaS APIs emulated on loopback, for demos, tests and benchmarks.
//!
//! One server carries several APIs by path prefix (`/stripe`, `/salesforce`). The frame here (command
//! line, faults, admin paths, counters, rate limit, virtual clock, TLS) knows no API; an API is
//! one [`api::Api`] in its own module. Data is generated from a seed and never stored: the same
//! seed, row count and clock start give the same objects, which is what makes `truth` possible.
//!
//! ```
//! let server = sandbox::Server::start(sandbox::Options { rows: 50, ..Default::default() })?;
//! let truth = server.admin().truth("stripe", "customers").map_err(std::io::Error::other)?;
//! assert_eq!(truth.lines().count(), 50);
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod admin;
pub mod api;
pub mod cli;
pub mod clock;
pub mod counters;
pub mod faults;
mod hash;
pub mod journal;
mod limiter;
mod listener;
pub mod options;
mod pretty;
pub mod salesforce;
pub mod server;
mod service;
pub mod stripe;

pub use admin::Admin;
pub use options::Options;
pub use server::Server;
