//! A source that counts: the smallest whole source, and the one that this crate's tests run as a
//! process. Its configuration can ask for faults.
//!
//! ```sh
//! echo '{"api_key": "sesame", "rows": 3}' > config.json
//! cargo run -q -p airbyte-protocol --example source-count -- discover --config config.json
//! ```

use std::process::ExitCode;
use std::time::Duration;

use airbyte_protocol::{
    Catalog, ConfiguredCatalog, ConnectorSpecification, Context, Error, InputState, Result, Secret,
    Source, Stream, StreamOutput, StreamState,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    airbyte_protocol::run(SourceCount)
}

struct SourceCount;

/// # Source Count
#[derive(Deserialize, JsonSchema)]
struct Config {
    /// # API key
    /// The word that opens the door: `sesame`.
    api_key: Secret,
    /// # Rows
    /// How far each stream counts.
    #[serde(default = "ten")]
    #[schemars(range(max = 100_000_000))]
    rows: u64,
    /// # Fault
    /// What is to go wrong.
    #[serde(default)]
    fault: Fault,
}

fn ten() -> u64 {
    10
}

#[derive(Deserialize, JsonSchema, Default, PartialEq, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Fault {
    #[default]
    None,
    /// The API is down.
    Outage,
    /// A task panics.
    Panic,
    /// The read waits for ever, and stops when it is asked to.
    Wait,
    /// The read waits for ever, whatever it is asked.
    Hang,
    /// The stream `odd` cannot be read.
    OddStream,
    /// The read returns without having read anything.
    Idle,
    /// The log repeats the key.
    Leak,
}

impl Source for SourceCount {
    type Config = Config;

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::of::<Config>("https://example.org/source-count").with_incremental()
    }

    async fn check(&self, config: Config, context: Context) -> Result<Option<String>> {
        admit(&config, &context).await?;
        Ok(Some(format!("{} rows a stream", config.rows)))
    }

    async fn discover(&self, config: Config, context: Context) -> Result<Catalog> {
        admit(&config, &context).await?;
        Ok(Catalog::new(vec![stream("even"), stream("odd")]))
    }

    async fn read(
        &self,
        config: Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> Result<()> {
        if config.fault == Fault::Idle {
            return Ok(());
        }
        admit(&config, &context).await?;
        for stream in &catalog.streams {
            let output = context.output.stream(stream.descriptor());
            let from =
                state.stream(&stream.descriptor()).and_then(|state| state.simple("n")?.as_u64());
            if let Err(error) = count(&config, from.unwrap_or(0), &output, &context).await {
                output.incomplete(&error).await;
            }
        }
        Ok(())
    }
}

fn stream(name: &str) -> Stream {
    let schema = json!({
        "type": "object",
        "properties": {"n": {"type": "integer"}, "text": {"type": ["null", "string"]}},
    });
    Stream::new(name, schema).with_primary_key(["n"]).with_cursor(["n"])
}

async fn admit(config: &Config, context: &Context) -> Result<()> {
    match config.fault {
        Fault::Outage => return Err(Error::transient("The door is stuck. Try again later")),
        Fault::Panic => {
            // In a task of its own, as most of a connector's work is.
            let _ = tokio::spawn(async { panic!("the hinge broke near {}", "sesame") }).await;
        }
        Fault::Leak => tracing::info!(key = config.api_key.expose(), "knocking"),
        Fault::Hang if context.config.get("_in_check").is_some() => std::future::pending().await,
        _ => {}
    }
    if config.api_key.expose() != "sesame" {
        let message = format!("The key `{}` does not open the door", config.api_key.expose());
        return Err(
            Error::config(message).with_internal(format!("key={}", config.api_key.expose()))
        );
    }
    Ok(())
}

async fn count(config: &Config, from: u64, output: &StreamOutput, context: &Context) -> Result<()> {
    const PAGE: u64 = 100;
    let parity = match output.descriptor().name.as_str() {
        "even" => 0,
        "odd" => 1,
        _ => return Err(Error::config(format!("There is no stream `{}`", output.descriptor()))),
    };
    output.started();
    if parity == 1 && config.fault == Fault::OddStream {
        return Err(Error::config("The key may not read odd numbers"));
    }
    let state = |n: u64| StreamState(Map::from_iter([("n".to_owned(), Value::from(n))]));
    let mut at = from;
    while at < config.rows {
        let end = (at + PAGE).min(config.rows);
        let mut batch = output.batch();
        for row in at..end {
            batch.push(&[
                b"{\"n\":",
                (row * 2 + parity).to_string().as_bytes(),
                b",\n\"text\":null}",
            ]);
        }
        output.records(batch).await;
        at = end;
        output.state(&state(at)).await;
    }
    match config.fault {
        Fault::Wait => {
            context.shutdown.cancelled().await;
            return Ok(());
        }
        Fault::Hang => tokio::time::sleep(Duration::from_secs(3600)).await,
        _ => {}
    }
    output.complete(&state(at)).await;
    Ok(())
}
