//! Runs Airbyte connectors on one machine.
//!
//! [`run::run`] runs a source to its end, writes its records as JSON lines (or hands them to a
//! destination) and keeps the state file, so that the next run goes on where this one stopped.
//! What is on the disk is consistent at every moment: see [`output`] and [`manifest`].

pub mod args;
pub mod atomic;
pub mod catalog;
pub mod connector;
pub mod demo;
pub mod error;
pub mod ledger;
pub mod manifest;
pub mod output;
pub mod process;
pub mod progress;
pub mod run;
pub mod signals;
pub mod states;
pub mod stats;
pub mod table;

pub use error::{Error, Result};
