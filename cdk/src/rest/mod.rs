//! The stream for simple APIs: a plain value built from parts.
//!
//! ```
//! # use cdk::{cursor::{CursorFormat, Step}, http::Client, json::Select};
//! # use cdk::{page::{Paginator, Slot}, rest::{Cursor, RestStream}};
//! # fn orders(client: &Client, schema: serde_json::Value, start: i64) -> RestStream {
//! let updated = Cursor::new("updated_at", CursorFormat::RFC3339).from(start);
//! RestStream::new(client, "orders", schema, client.get("/v1/orders").query("limit", 100))
//!     .primary_key(["id"])
//!     .select(Select::list("data"))
//!     .pages(Paginator::next_link("links.next"))
//!     .cursor(updated.since(Slot::query("since")).until(Slot::query("until")).step(Step::days(30)))
//! # }
//! ```
//!
//! With a [`Cursor`] the stream is read slice by slice, and its state is the watermark; a
//! read that broke off goes on at the page that it had come to, or begins the slice again
//! where pages are only numbered. Without one it is a resumable full refresh: the state is
//! the page to go on from. With [`Partitions`], such as
//! one for each record of a parent stream, each partition has its own progress.

mod cursor;
mod partition;
mod run;
mod track;

use airbyte_protocol::{StreamState, SyncMode};
use futures::future::BoxFuture;
use serde_json::Value;

use crate::http::{Action, Client, Failure, Page, Request};
use crate::json::{Path, Select};
use crate::page::{Pager, Paginator};
use crate::read::{Reading, Stream};

pub use cursor::Cursor;
pub use partition::Partitions;

/// Partitions read at the same time, unless said otherwise. The client's workers bound the
/// pages in memory besides.
const CONCURRENCY: usize = 10;

/// A stream of an API that answers with pages of JSON.
#[derive(Clone)]
pub struct RestStream {
    client: Client,
    definition: airbyte_protocol::Stream,
    request: Request,
    select: Select,
    paginator: Paginator,
    cursor: Option<Cursor>,
    partitions: Option<Partitions>,
    columns: Vec<(String, Path)>,
    concurrency: usize,
}

impl RestStream {
    /// A stream of the records in the answers to `request`: the elements of a body that is
    /// an array, unless said otherwise.
    pub fn new(client: &Client, name: &str, schema: Value, request: Request) -> Self {
        RestStream {
            client: client.clone(),
            definition: airbyte_protocol::Stream::new(name, schema),
            request,
            select: Select::List(Path::root()),
            paginator: Paginator::Single,
            cursor: None,
            partitions: None,
            columns: Vec::new(),
            concurrency: CONCURRENCY,
        }
    }

    /// Which part of an answer the records are.
    pub fn select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// The fields that name a record.
    pub fn primary_key<S: Into<String>>(mut self, fields: impl IntoIterator<Item = S>) -> Self {
        self.definition = self.definition.with_primary_key(fields);
        self
    }

    /// The namespace, for sources that have them.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.definition.namespace = Some(namespace.to_owned());
        self
    }

    /// How pages follow each other.
    pub fn pages(mut self, paginator: Paginator) -> Self {
        self.paginator = paginator;
        self
    }

    /// Makes it incremental.
    pub fn cursor(mut self, cursor: Cursor) -> Self {
        self.definition = self.definition.with_cursor(cursor.field.keys().iter().cloned());
        self.cursor = Some(cursor);
        self
    }

    /// Reads it in parts, each with a request of its own.
    pub fn partitions(mut self, partitions: Partitions) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Adds a field to each record: the value at `path` in its partition. The name must be
    /// none that the API's records have.
    pub fn column(mut self, name: &str, path: impl Into<Path>) -> Self {
        self.columns.push((name.to_owned(), path.into()));
        self
    }

    /// How many partitions are read at the same time; ten unless given.
    pub fn concurrency(mut self, limit: usize) -> Self {
        self.concurrency = limit.max(1);
        self
    }

    /// Whether a read that broke off can go on in the middle.
    fn is_resumable(&self) -> bool {
        let is_single = matches!(self.paginator, Paginator::Single);
        self.cursor.is_some() || self.partitions.is_some() || !is_single
    }

    /// A page, or `None` where there is nothing to read.
    async fn fetch(&self, base: &Request, pager: &Pager) -> Result<Option<Page>, Failure> {
        let request = pager.request(base, &self.client)?;
        match self.client.page(&request, &self.select, &pager.wants()).await {
            Ok(page) => Ok(Some(page)),
            Err(failure) if failure.action == Action::Empty => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The state that ends a read of a stream without cursor. A read in incremental mode,
    /// which some platforms ask of every stream, must not be taken for done next time.
    fn sentinel(&self, reading: &Reading) -> StreamState {
        match reading.configured().sync_mode {
            SyncMode::FullRefresh if self.is_resumable() => StreamState::complete_sentinel(),
            _ => StreamState::full_refresh_sentinel(),
        }
    }
}

impl Stream for RestStream {
    fn definition(&self) -> airbyte_protocol::Stream {
        let mut definition = self.definition.clone();
        if self.is_resumable() {
            definition.is_resumable = Some(true);
            definition.source_defined_cursor = Some(true);
        }
        definition
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        Box::pin(run::read(self, reading))
    }
}
