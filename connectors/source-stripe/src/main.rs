//! Brings a Stripe account into a lakehouse, by the Airbyte protocol.

mod api;
mod changes;
mod children;
mod config;
mod events;
mod legacy;
mod links;
mod members;
mod rows;
mod source;
mod state;
mod stream;
mod streams;
mod walk;

use std::process::ExitCode;

fn main() -> ExitCode {
    airbyte_protocol::run(source::SourceStripe)
}
