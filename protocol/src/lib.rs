//! The Airbyte protocol for connectors written in Rust.
//!
//! This crate holds what every connector needs to talk to an orchestrator and nothing of how it
//! talks to an API: the messages and their parts, the configured catalog, the state file in all
//! its shapes, the specification generated from a configuration struct, the writer that owns
//! stdout, and the command line. A source implements [`Source`], a destination [`Destination`],
//! and `main` is one call:
//!
//! ```no_run
//! # use airbyte_protocol::*;
//! # struct SourceNothing;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Config {}
//! # impl Source for SourceNothing {
//! #     type Config = Config;
//! #     fn spec(&self) -> ConnectorSpecification {
//! #         ConnectorSpecification::of::<Config>("https://example.org/docs")
//! #     }
//! #     async fn check(&self, _: Config, _: Context) -> Result<Option<String>> { Ok(None) }
//! #     async fn discover(&self, _: Config, _: Context) -> Result<Catalog> {
//! #         Ok(Catalog::default())
//! #     }
//! #     async fn read(
//! #         &self, _: Config, _: ConfiguredCatalog, _: InputState, _: Context,
//! #     ) -> Result<()> { Ok(()) }
//! # }
//! fn main() -> std::process::ExitCode {
//!     airbyte_protocol::run(SourceNothing)
//! }
//! ```

mod catalog;
mod clock;
mod config;
mod destination;
mod error;
mod input;
mod mask;
mod message;
mod names;
mod output;
mod run;
mod schema;
mod secret;
mod source;
mod spec;
mod state;

pub use catalog::{
    Catalog, ConfiguredCatalog, ConfiguredStream, DestinationCatalog, DestinationOperation,
    DestinationSyncMode, Stream, StreamDescriptor, SyncMode,
};
pub use config::{read_config, validate_config};
pub use destination::Destination;
pub use error::{Error, FailureType, Result};
pub use input::{Input, Line, RecordLine, StateLine, StatusLine};
pub use mask::Masker;
pub use message::{
    Analytics, ConnectionStatus, ConnectionStatusType, Control, ControlType, Estimate,
    EstimateType, GlobalState, Log, LogLevel, Message, RateLimited, Record, RecordChange,
    RecordMeta, StateMessage, StateStats, StateType, StatusReason, StreamStateEntry, StreamStatus,
    StreamStatusType, Trace, TraceError, TraceType, emitted_at_ms,
};
pub use output::{Captured, Output, RecordBatch, StreamOutput};
pub use run::{run, run_destination};
pub use schema::Schema;
pub use secret::Secret;
pub use source::{Context, Edition, Source};
pub use spec::{
    AdvancedAuth, ConnectorSpecification, OauthConfigSpecification, OauthInputSpecification,
    PROTOCOL_VERSION, config_schema,
};
pub use state::{
    ConcurrentState, InputState, PartitionState, PerPartitionState, SliceRun, StateSlice,
    StreamState, partition_key,
};
