//! Brings a Salesforce org into a lakehouse, by the Airbyte protocol.

mod api;
mod bulk;
mod columns;
mod config;
mod describe;
mod discover;
mod duration;
mod fields;
mod job;
mod links;
mod login;
mod objects;
mod quota;
mod removed;
mod rest;
mod source;
mod state;
mod stream;
mod texts;
mod window;

use std::process::ExitCode;

fn main() -> ExitCode {
    airbyte_protocol::run(source::SourceSalesforce)
}
