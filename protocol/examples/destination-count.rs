//! A destination that counts: takes the records of the streams that it is configured for, keeps
//! none of them, and gives every state back with its counts.
//!
//! ```sh
//! source-count read … | destination-count write --config config.json --catalog catalog.json
//! ```

use std::collections::{BTreeSet, HashMap};
use std::process::ExitCode;

use airbyte_protocol::{
    ConfiguredCatalog, ConnectorSpecification, Context, Destination, DestinationSyncMode, Error,
    Input, Line, Result, StateStats, StreamDescriptor,
};
use schemars::JsonSchema;
use serde::Deserialize;

fn main() -> ExitCode {
    airbyte_protocol::run_destination(DestinationCount)
}

struct DestinationCount;

/// # Destination Count
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// # Limit
    /// Refuses records of a stream above this number.
    limit: Option<u64>,
}

/// What is known of a stream.
#[derive(Default)]
struct Count {
    total: u64,
    taken: u64,
    refused: u64,
}

impl Destination for DestinationCount {
    type Config = Config;

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::of::<Config>("https://example.org/destination-count")
            .with_destination_sync_modes([DestinationSyncMode::Append])
    }

    async fn check(&self, _: Config, _: Context) -> Result<Option<String>> {
        Ok(None)
    }

    async fn write(
        &self,
        config: Config,
        catalog: ConfiguredCatalog,
        mut input: Input,
        context: Context,
    ) -> Result<()> {
        let known: BTreeSet<StreamDescriptor> =
            catalog.streams.iter().map(|stream| stream.descriptor()).collect();
        let mut counts = HashMap::<StreamDescriptor, Count>::new();
        while let Some(line) = input.next().await? {
            match line {
                Line::Record(record) => {
                    let stream = record.stream().as_ref();
                    if !known.contains(stream) {
                        let message =
                            format!("A record is of stream `{stream}`, which is not configured");
                        return Err(Error::system(message).for_stream(stream.clone()));
                    }
                    let count = counts.entry(stream.clone()).or_default();
                    count.total += 1;
                    let is_over = config.limit.is_some_and(|limit| count.total > limit);
                    *(if is_over { &mut count.refused } else { &mut count.taken }) += 1;
                }
                Line::State(state) => {
                    let mut stats = Count::default();
                    for stream in state.streams() {
                        let count = counts.entry(stream.clone()).or_default();
                        stats.taken += std::mem::take(&mut count.taken);
                        stats.refused += std::mem::take(&mut count.refused);
                    }
                    context
                        .output
                        .echo_state(&state, &StateStats::new(stats.taken, stats.refused))
                        .await;
                }
                Line::Invalid { reason, .. } => tracing::info!("a line was passed over: {reason}"),
                Line::Status(_) | Line::Other(_) => {}
            }
        }
        let total: u64 = counts.values().map(|count| count.total).sum();
        context.output.probe(&format!("counted {total} records")).await;
        Ok(())
    }
}
