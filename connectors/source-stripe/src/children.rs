//! Rows inside or below other objects: the first ones stand in the parent, the rest is
//! listed.

use std::collections::HashSet;

use airbyte_protocol::Error;
use bytes::Bytes;
use cdk::http::{Action, Failure, Request};
use cdk::json::{fields, get, plain};
use cdk::read::Reading;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::{Api, paginator};
use crate::rows::{Rows, Shape};
use crate::streams::{Children, Place};
use crate::walk::{Before, fetch};

/// Parents that are asked for their children at the same time.
const PARENTS: usize = 8;

/// A nested list.
#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow, default)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    has_more: bool,
    #[serde(default)]
    url: Option<String>,
}

/// Reads the children of parents.
pub struct Family<'a> {
    /// The API.
    pub api: &'a Api,
    /// The API version that parents and children are asked in, if not the usual one.
    pub version: Option<&'static str>,
    /// Where children are.
    pub children: &'static Children,
    /// What their rows look like.
    pub shape: &'a Shape,
    /// Where they go.
    pub reading: &'a Reading,
}

impl Family<'_> {
    /// Writes the children of these parents; on a change at the time of its event.
    ///
    /// # Errors
    /// The first failure; parents before it are written.
    pub async fn write(&self, parents: &[Bytes]) -> Result<(), Failure> {
        let mut batches = futures::stream::iter(parents.to_vec())
            .map(|parent| async move {
                let mut rows = Rows::new(self.shape, self.reading);
                let parent = std::str::from_utf8(&parent).unwrap_or_default();
                self.each(parent, |child| rows.push_child(parent, child, None)).await?;
                Ok::<_, Failure>(rows.into_batch())
            })
            .buffered(PARENTS);
        while let Some(batch) = batches.next().await {
            self.reading.write(batch?).await;
        }
        Ok(())
    }

    /// Adds the children of one changed parent: all that `wanted` accepts, and a flagged
    /// row for each of `known` that is no longer there.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn changed(
        &self,
        rows: &mut Rows<'_>,
        parent: &str,
        at: i64,
        known: &[String],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let mut present = HashSet::new();
        self.each(parent, |child| {
            present.extend(fields(child, ["id"])[0].and_then(plain));
            if wanted(child) {
                rows.push_child(parent, child, Some(at));
            }
        })
        .await?;
        for id in known.iter().filter(|id| !present.contains(*id)) {
            rows.push_vanished(parent, id, at);
        }
        Ok(())
    }

    /// Calls `take` with each child of a parent, in order.
    async fn each(&self, parent: &str, mut take: impl FnMut(&str)) -> Result<(), Failure> {
        let Some(via) = self.children.via else { return self.below(parent, &mut take).await };
        let mut between = Vec::new();
        self.nested(parent, via, &mut |item: &str| between.push(item.to_owned())).await?;
        for item in &between {
            self.below(item, &mut take).await?;
        }
        Ok(())
    }

    async fn below(&self, parent: &str, take: &mut impl FnMut(&str)) -> Result<(), Failure> {
        match self.children.at {
            Place::Inline(field) => self.nested(parent, field, take).await,
            Place::Field(field) => {
                for_each_of(get(parent, &field.into()), take);
                Ok(())
            }
            Place::Endpoint { path, params } => {
                let Some(id) = fields(parent, ["id"])[0].and_then(plain) else { return Ok(()) };
                let mut request = self.request(&path.replace("{id}", &id), path);
                for (name, value) in params {
                    request = request.query(*name, value.replace("{id}", &id));
                }
                self.pages(request, None, take).await
            }
        }
    }

    /// The children in a nested list, those past its first ten from its `url`.
    async fn nested(
        &self,
        parent: &str,
        field: &'static str,
        take: &mut impl FnMut(&str),
    ) -> Result<(), Failure> {
        let Some(list) = get(parent, &field.into()) else { return Ok(()) };
        // A list that was not expanded, or an array without paging.
        let Ok(nested) = serde_json::from_str::<Nested<'_>>(list) else {
            for_each_of(Some(list), take);
            return Ok(());
        };
        nested.data.iter().for_each(|child| take(child.get()));
        if !nested.has_more {
            return Ok(());
        }
        let Some(url) = nested.url else {
            let why = format!(
                "The list '{field}' inside an object is cut short and does not say where the rest is."
            );
            return Err(Error::system(why).into());
        };
        let last =
            nested.data.last().and_then(|child| fields(child.get(), ["id"])[0]).and_then(plain);
        self.pages(self.request(&url, endpoint_of(field)), last, take).await
    }

    fn request(&self, path: &str, endpoint: &'static str) -> Request {
        let request = self.api.list(path, endpoint);
        match self.version {
            Some(version) => request.header("stripe-version", version),
            None => request,
        }
    }

    async fn pages(
        &self,
        request: Request,
        after: Option<String>,
        take: &mut impl FnMut(&str),
    ) -> Result<(), Failure> {
        let client = self.api.client();
        let from = after.map(|id| cdk::page::PageToken::Value(id.into()));
        let mut pager = paginator().pager(from);
        let mut before = None;
        loop {
            let page = match fetch(client, &request, &pager, before.as_ref()).await {
                Err(failure) if failure.action == Action::Empty => return Ok(()),
                page => page?,
            };
            page.records().for_each(&mut *take);
            if !pager.advance(&page)? {
                return Ok(());
            }
            before = Some(Before::of(&page));
        }
    }
}

/// The endpoint whose rate limit the rest of a nested list counts against.
fn endpoint_of(field: &'static str) -> &'static str {
    match field {
        "lines" => "/v1/invoices/{id}/lines",
        "items" => "/v1/subscription_items",
        "refunds" => "/v1/application_fees/{id}/refunds",
        "reversals" => "/v1/transfers/{id}/reversals",
        "sources" => "/v1/customers/{id}/sources",
        "list_items" => "/v1/radar/value_list_items",
        _ => "nested",
    }
}

/// Calls `take` with an object, or with each object of an array. Ids that were not
/// expanded are no objects.
fn for_each_of(value: Option<&str>, take: &mut impl FnMut(&str)) {
    let Some(value) = value else { return };
    if value.starts_with('{') {
        take(value);
    } else if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value) {
        list.iter().map(|item| item.get()).filter(|item| item.starts_with('{')).for_each(take);
    }
}

/// Where a page's objects are, kept for use after the page.
pub fn shared(page: &cdk::json::Located) -> Vec<Bytes> {
    (0..page.len()).filter_map(|index| page.share(index)).collect()
}
