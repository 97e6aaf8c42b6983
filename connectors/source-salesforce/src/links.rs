//! `ContentDocumentLink`, which Salesforce only lists for given documents (object reference
//! "ContentDocumentLink", "Usage").

use std::sync::Arc;

use airbyte_protocol::{Result, StreamState};
use cdk::http::Failure;
use cdk::read::{Reading, Stream};
use futures::TryStreamExt;
use futures::future::BoxFuture;

use crate::columns::{Choice, Columns};
use crate::rest;
use crate::stream::Shared;

/// The object's name.
pub const NAME: &str = "ContentDocumentLink";
/// Documents that one query asks for.
const DOCUMENTS: usize = 200;
/// Queries at a time.
const QUERIES: usize = 5;

/// The stream of links.
pub struct LinkStream {
    /// What all streams share.
    pub shared: Arc<Shared>,
}

impl Stream for LinkStream {
    fn definition(&self) -> airbyte_protocol::Stream {
        airbyte_protocol::Stream::new(NAME, serde_json::json!({}))
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        Box::pin(async move {
            let api = &self.shared.api;
            let describe = api.describe(NAME).await?;
            let selected = reading.configured().stream.json_schema.properties();
            let columns = Columns::described(
                &describe,
                &Choice {
                    selected: &selected,
                    version: api.version(),
                    cursor: None,
                    na_as_null: self.shared.config.legacy_na_as_null,
                },
            );
            let mut next = Some(api.query("SELECT Id FROM ContentDocument").await?);
            while let Some(rows) = next.take() {
                let documents: Vec<String> = rows
                    .page
                    .records()
                    .filter_map(|row| cdk::json::plain(cdk::json::fields(row, ["Id"])[0]?))
                    .collect();
                let link = rows.next.clone();
                drop(rows);
                futures::stream::iter(documents.chunks(DOCUMENTS).map(Ok::<_, Failure>))
                    .try_for_each_concurrent(QUERIES, |part| self.links(reading, &columns, part))
                    .await?;
                if let Some(link) = link {
                    next = Some(api.more(&link).await?);
                }
            }
            Ok(StreamState::full_refresh_sentinel())
        })
    }
}

impl LinkStream {
    async fn links(
        &self,
        reading: &Reading,
        columns: &Columns,
        documents: &[String],
    ) -> Result<(), Failure> {
        reading.keep_going()?;
        let ids: Vec<String> = documents.iter().map(|id| format!("'{id}'")).collect();
        let soql = format!(
            "SELECT {} FROM {NAME} WHERE ContentDocumentId IN ({})",
            columns.rest_fields().join(","),
            ids.join(",")
        );
        let first = self.shared.api.query(&soql).await?;
        rest::write_all(&self.shared.api, reading, columns, first).await.map(|_| ())
    }
}
