//! Partitions: the parts of a stream by a list of values or by the records of a parent.

use std::borrow::Cow;
use std::sync::Arc;

use futures::future::BoxFuture;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::RestStream;
use crate::http::{Failure, Page, Request};
use crate::json::{self, Path};
use crate::page::Slot;

/// What must not stand in one segment of a path (RFC 3986, section 3.3).
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// One partition, as it stands in states: its value by its field's name, and with a parent
/// the parent's own partition as `parent_slice`.
pub(super) type Partition = Map<String, Value>;

const PARENT: &str = "parent_slice";

/// The parts that a stream is read in.
///
/// A partition's value takes the place of `{field}` in the request's path, and goes into a
/// slot where one is given.
#[derive(Clone)]
pub struct Partitions {
    field: String,
    source: Source,
    slot: Option<Slot>,
}

#[derive(Clone)]
enum Source {
    Values(Vec<Value>),
    Parent(Arc<RestStream>, Path),
}

impl Partitions {
    /// One for each value.
    pub fn values<V: Into<Value>>(field: &str, values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Partitions { field: field.to_owned(), source: Source::Values(values), slot: None }
    }

    /// One for each record of a parent stream: the value at `key` there. Records without one
    /// are passed over. The parent is read whole each time.
    pub fn parent(field: &str, parent: impl Into<Arc<RestStream>>, key: impl Into<Path>) -> Self {
        let source = Source::Parent(parent.into(), key.into());
        Partitions { field: field.to_owned(), source, slot: None }
    }

    /// Where in a request the value goes besides the path.
    pub fn slot(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Puts a partition into a request.
    pub(super) fn fill(&self, request: &mut Request, partition: &Partition) {
        if let (Some(slot), Some(value)) = (&self.slot, partition.get(&self.field)) {
            slot.fill(request, value.clone());
        }
        let mut path = Cow::Borrowed(request.url.path());
        fill_path(&mut path, partition);
        if let Cow::Owned(path) = path {
            request.url.set_path(&path);
        }
    }

    /// Sends all partitions, and stops quietly when nobody wants more of them.
    pub(super) fn produce(
        &self,
        sink: mpsc::Sender<Partition>,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            match &self.source {
                Source::Values(values) => {
                    for value in values {
                        let partition = Map::from_iter([(self.field.clone(), value.clone())]);
                        if sink.send(partition).await.is_err() {
                            break;
                        }
                    }
                    Ok(())
                }
                Source::Parent(parent, key) => self.of_parent(parent, key, &sink).await,
            }
        })
    }

    /// Those of all partitions of the parent.
    async fn of_parent(
        &self,
        parent: &RestStream,
        key: &Path,
        sink: &mpsc::Sender<Partition>,
    ) -> Result<(), Failure> {
        let Some(partitions) = &parent.partitions else {
            return self.of_records(parent, key, Map::new(), sink).await;
        };
        let (sender, mut receiver) = mpsc::channel(1);
        let read = async move {
            while let Some(outer) = receiver.recv().await {
                self.of_records(parent, key, outer, sink).await?;
            }
            Ok::<_, Failure>(())
        };
        let (produced, read) = tokio::join!(partitions.produce(sender), read);
        read.and(produced)
    }

    /// Those of the records in one partition of the parent.
    async fn of_records(
        &self,
        parent: &RestStream,
        key: &Path,
        outer: Partition,
        sink: &mpsc::Sender<Partition>,
    ) -> Result<(), Failure> {
        let request = parent.request_for(&outer);
        let mut pager = parent.paginator.pager(None);
        while let Some(page) = parent.fetch(&request, &pager).await? {
            let values = values(&page, key);
            let has_more = pager.advance(&page)?;
            // Who takes the partitions needs pages of its own: keep none meanwhile.
            drop(page);
            for value in values {
                let own = [(PARENT.into(), outer.clone().into()), (self.field.clone(), value)];
                if sink.send(Map::from_iter(own)).await.is_err() {
                    return Ok(());
                }
            }
            if !has_more {
                break;
            }
        }
        Ok(())
    }
}

impl RestStream {
    /// The request for a partition, without cursor and page.
    pub(super) fn request_for(&self, partition: &Partition) -> Request {
        let mut request = self.request.clone();
        if let Some(partitions) = &self.partitions {
            partitions.fill(&mut request, partition);
        }
        request
    }

    /// The members that records of a partition get, as JSON text.
    pub(super) fn members(&self, partition: &Partition) -> String {
        let member = |(name, path): &(String, Path)| {
            let mut keys = path.keys().iter();
            let first = keys.next().and_then(|key| partition.get(key));
            let value = keys.try_fold(first?, |at, key| at.get(key))?;
            Some(format!("{}:{value}", Value::from(name.as_str())))
        };
        self.columns.iter().filter_map(member).collect::<Vec<_>>().join(",")
    }
}

fn values(page: &Page, key: &Path) -> Vec<Value> {
    let value = |record| serde_json::from_str(json::get(record, key)?).ok();
    page.records().filter_map(value).collect()
}

/// Replaces `{field}`, whose braces a URL keeps encoded, for all fields of a partition and
/// of those around it.
fn fill_path(path: &mut Cow<'_, str>, partition: &Partition) {
    for (field, value) in partition {
        if let (PARENT, Value::Object(outer)) = (field.as_str(), value) {
            fill_path(path, outer);
        }
        let placeholder = format!("%7B{field}%7D");
        if path.contains(&placeholder) {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let text = utf8_percent_encode(&text, SEGMENT).to_string();
            *path = Cow::Owned(path.replace(&placeholder, &text));
        }
    }
}
