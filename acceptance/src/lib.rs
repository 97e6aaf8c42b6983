//! A black-box acceptance suite for Airbyte connectors in any language.
//!
//! [`rules`] are values that say what has to be so. A connector is run by [`exec`], which gives a
//! [`transcript`](transcript::Transcript): its lines with their times, its end, what it used.
//! Checks are functions from transcripts to findings on a [`Sheet`](sheet::Sheet), so that a
//! recorded output can be looked at without running anything.

pub mod checks;
pub mod cli;
pub mod config;
pub mod diff;
pub mod exec;
pub mod leaks;
pub mod lint;
pub mod proxy;
pub mod report;
pub mod rows;
pub mod rules;
pub mod schema;
pub mod self_test;
pub mod sheet;
pub mod stub;
pub mod suite;
pub mod transcript;
