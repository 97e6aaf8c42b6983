//! Discovery: every object of the org that can be queried, with the schema of its rows.

use airbyte_protocol::{Catalog, Error, Result, Stream, StreamState};
use cdk::http::Failure;
use cdk::read::{self, Reading};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use tracing::{info, warn};

use crate::api::{Api, COMPOSITE};
use crate::config::Config;
use crate::describe::Describe;
use crate::fields::schema;
use crate::objects::{is_filtered_by_cursor, is_readable, is_wanted};
use crate::stream::Shared;

/// Describes at a time.
const PARALLEL: usize = 32;
/// Of a hundred objects so many may fail to be described.
const MAY_FAIL: usize = 5;
/// The stream of describes themselves.
pub const DESCRIBE: &str = "Describe";

/// The catalog of the org.
///
/// # Errors
/// When the org's objects cannot be listed, or too many of them not be described.
pub async fn catalog(api: &Api, config: &Config) -> Result<Catalog> {
    let objects = api.objects().await?;
    let names: Vec<String> = objects
        .into_iter()
        .filter(|object| object.queryable && is_readable(&object.name))
        .map(|object| object.name)
        .filter(|name| is_wanted(config, name))
        .collect();
    info!("{} objects are described.", names.len());
    let is_dear = api.quota.left().is_some_and(|left| left < 10 * names.len() as u64);
    let described =
        if is_dear { by_composite(api, &names).await } else { one_by_one(api, &names).await };
    let mut failed: Vec<Failure> = Vec::new();
    let mut streams = Vec::with_capacity(names.len() + 1);
    for (name, described) in names.iter().zip(described) {
        match described {
            Ok(stream) => streams.push(stream),
            Err(failure) => {
                warn!(
                    "{name} is left out, since it cannot be described: {}",
                    failure.error.message()
                );
                failed.push(failure);
            }
        }
    }
    if failed.len() * 100 > names.len().max(20) * MAY_FAIL
        && let Some(failure) = failed.pop()
    {
        return Err(failure.error.context(format!(
            "{} of {} objects cannot be described",
            failed.len() + 1,
            names.len()
        )));
    }
    streams.push(describe_definition()?);
    Ok(Catalog::new(streams))
}

async fn one_by_one(api: &Api, names: &[String]) -> Vec<Result<Stream, Failure>> {
    futures::stream::iter(0..names.len())
        .map(async |number| Ok(definition(&api.describe(&names[number]).await?)))
        .buffered(PARALLEL)
        .collect()
        .await
}

/// Where requests are scarce: many describes for one. What that does not bring is asked for
/// by itself.
async fn by_composite(api: &Api, names: &[String]) -> Vec<Result<Stream, Failure>> {
    let mut all = Vec::new();
    for part in names.chunks(COMPOSITE) {
        let found = api.describe_many(part).await;
        let mut found = found.unwrap_or_default().into_iter();
        for name in part {
            all.push(match found.next().flatten() {
                Some(describe) => Ok(definition(&describe)),
                None => api.describe(name).await.map(|describe| definition(&describe)),
            });
        }
    }
    all
}

/// The catalog's entry of an object.
fn definition(describe: &Describe) -> Stream {
    let mut stream = Stream::new(&describe.name, schema(describe));
    stream.is_resumable = Some(false);
    stream.is_file_based = Some(false);
    if describe.has_id() {
        stream = stream.with_primary_key(["Id"]);
    }
    match describe.cursor() {
        Some(cursor) if is_filtered_by_cursor(&describe.name) => stream.with_cursor([cursor]),
        _ => stream,
    }
}

fn describe_definition() -> Result<Stream> {
    let schema: Value = cdk::schema::parse(DESCRIBE, include_str!("../schemas/Describe.json"))?;
    let mut stream = Stream::new(DESCRIBE, schema).with_primary_key(["name"]);
    stream.is_resumable = Some(false);
    stream.is_file_based = Some(false);
    Ok(stream)
}

/// The stream of describes: one row for each object in the catalog.
pub struct DescribeStream {
    /// What all streams share.
    pub shared: Arc<Shared>,
    /// The objects.
    pub objects: Vec<String>,
}

impl read::Stream for DescribeStream {
    fn definition(&self) -> Stream {
        Stream::new(DESCRIBE, serde_json::json!({}))
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        Box::pin(async move {
            let api = &self.shared.api;
            let mut pages = futures::stream::iter(0..self.objects.len())
                .map(|number| api.describe_raw(&self.objects[number]))
                .buffered(PARALLEL / 4);
            while let Some(page) = pages.next().await {
                reading.keep_going()?;
                let page = page?;
                let mut batch = reading.batch();
                for record in page.records() {
                    batch.push(&[record.as_bytes()]);
                }
                reading.write(batch).await;
            }
            Ok(StreamState::full_refresh_sentinel())
        })
    }
}

/// The error of an org in which nothing can be read.
pub fn nothing_to_read() -> Error {
    Error::config(
        "The user can read no object of the org. Give it the permissions 'API Enabled' and the right to read objects.",
    )
}
