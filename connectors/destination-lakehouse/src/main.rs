//! Writes records into an Apache Iceberg lakehouse, by the Airbyte protocol.

mod catalog;
#[cfg(feature = "cloud")]
mod cloud;
mod column;
mod commit;
mod committer;
mod compact;
mod config;
mod deletes;
mod destination;
mod dump;
mod error;
mod file;
mod index;
mod key;
mod maintain;
mod names;
mod open;
mod partition;
mod raw_id;
mod replay;
mod rows;
mod scan;
mod schema;
mod storage;
mod table;
mod values;
mod write;

use std::process::ExitCode;

fn main() -> ExitCode {
    airbyte_protocol::run_destination(destination::DestinationLakehouse)
}
