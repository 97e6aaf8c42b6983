//! A bench for testing connectors as their users run them: the real executable as a process of
//! its own, the sandbox in place of the API, every line of output read and checked.
//!
//! ```no_run
//! use e2e::Stripe;
//!
//! let stripe = Stripe::of_rows(20);
//! let read = stripe.read(&["customers"]).run().succeeded();
//! assert_eq!(read.rows("customers").len(), 20);
//! ```
//!
//! The crate's own tests say what a connector has to do; this library only knows how to run one
//! ([`Job`]), what came of it ([`Outcome`]), and what there was to read ([`Stripe`], [`Salesforce`]).

mod bench;
mod binary;
mod canned;
mod http;
mod job;
mod outcome;
mod process;
pub mod rows;
mod salesforce;
pub mod sound;
pub mod state;
mod stripe;
mod tap;

pub use bench::Bench;
pub use canned::{Canned, Reply};
pub use http::Head;
pub use job::Job;
pub use outcome::Outcome;
pub use process::Running;
pub use salesforce::Salesforce;
pub use stripe::Stripe;
pub use tap::Tap;
