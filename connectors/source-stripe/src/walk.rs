//! Walking a list: in windows of creation time that are split where objects are dense,
//! several at a time, each page's progress known.

use std::collections::VecDeque;

use airbyte_protocol::Error;
use cdk::http::{Client, Failure, Page, Request};
use cdk::json::{Located, fields, integer, plain};
use cdk::page::Pager;
use cdk::range::Span;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::api::{objects, paginator};

/// A window that seems to hold more pages than this is split, so that its parts can be
/// read side by side.
const PAGES_IN_A_ROW: f64 = 20.0;
/// Objects at the end of a page that may be deleted before the next page is asked for.
const REMEMBERED: usize = 20;
/// Parts of one split, at most.
const PARTS: i64 = 64;

/// Does something with the pages of a list.
pub trait Visit: Sync {
    /// Takes a page; only objects created after `after` count, the others come again.
    fn page<'a>(&'a self, page: Page, after: i64) -> BoxFuture<'a, Result<(), Failure>>;

    /// All objects created in `span` have been visited.
    fn covered(&self, span: Span) -> BoxFuture<'_, ()>;
}

/// A list to walk.
pub struct Walk<'a> {
    /// The client.
    pub client: &'a Client,
    /// The list's request, without window and page.
    pub request: Request,
    /// Whether the list can be narrowed by creation time.
    pub by_created: bool,
    /// The longest window after a split, in seconds.
    pub width: i64,
    /// Windows at a time.
    pub parallel: usize,
}

impl Walk<'_> {
    /// Visits all objects of the windows, newest first within each.
    ///
    /// # Errors
    /// The first failure; what was covered before stays covered.
    pub async fn run(&self, windows: Vec<Span>, visit: &dyn Visit) -> Result<(), Failure> {
        let mut waiting: VecDeque<Span> = windows.into();
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.parallel.max(1) {
                match waiting.pop_front() {
                    Some(window) => running.push(self.window(window, visit)),
                    None => break,
                }
            }
            match running.next().await {
                Some(rest) => waiting.extend(rest?),
                None => return Ok(()),
            }
        }
    }

    /// Reads one window; gives back the parts that are left where it was too dense.
    async fn window(&self, window: Span, visit: &dyn Visit) -> Result<Vec<Span>, Failure> {
        let base = if self.by_created {
            self.request
                .clone()
                .query("created[gte]", window.start)
                .query("created[lt]", window.end)
        } else {
            self.request.clone()
        };
        let mut pager = paginator().pager(None);
        let mut page = fetch(self.client, &base, &pager, None).await?;
        if let Some((after, rest)) = self.split(&page, window) {
            visit.page(page, after).await?;
            visit.covered(Span::new(after + 1, window.end)).await;
            return Ok(rest);
        }
        let mut end = window.end;
        while pager.advance(&page)? {
            let before = Before::of(&page);
            let oldest = self.by_created.then(|| created(&page, true)).flatten();
            let (visited, next) = futures::join!(
                visit.page(page, i64::MIN),
                fetch(self.client, &base, &pager, Some(&before))
            );
            visited?;
            if let Some(oldest) = oldest {
                // Later pages may hold more objects of the oldest second.
                visit.covered(Span::new(oldest + 1, end)).await;
                end = end.min(oldest + 1);
            }
            page = next?;
        }
        visit.page(page, i64::MIN).await?;
        visit.covered(Span::new(window.start, end)).await;
        Ok(Vec::new())
    }

    /// Where to split a window of which `page` is the first page: the last second that is
    /// left to the parts, and the parts.
    fn split(&self, page: &Page, window: Span) -> Option<(i64, Vec<Span>)> {
        if !self.by_created || page.value(0) != Some("true") {
            return None;
        }
        let (newest, oldest) = (created(page, false)?, created(page, true)?);
        let left = oldest + 1 - window.start;
        if newest <= oldest || left <= 1 {
            return None;
        }
        let pages = left as f64 / (newest - oldest) as f64;
        if pages <= PAGES_IN_A_ROW {
            return None;
        }
        let parts = ((pages / PAGES_IN_A_ROW).ceil() as i64).clamp(2, PARTS);
        let rest = Span::new(window.start, oldest + 1);
        Some((oldest, rest.split(parts).flat_map(|part| part.chunks(self.width)).collect()))
    }
}

/// When an object was created, epoch seconds; some kinds call it `date`.
pub fn created_at(object: &str) -> Option<i64> {
    let [created, date] = fields(object, ["created", "date"]);
    integer(created.or(date)?)
}

/// Whether an object was created after `after`, as far as it says.
pub fn is_after(object: &str, after: i64) -> bool {
    after == i64::MIN || created_at(object).is_none_or(|created| created > after)
}

/// Creation time of a page's last (oldest) or first (newest) object.
pub fn created(page: &Located, last: bool) -> Option<i64> {
    let mut records = page.records();
    created_at(if last { records.next_back() } else { records.next() }?)
}

/// Ids at the end of a page, from which the next one can be found when the last object
/// has been deleted meanwhile.
#[derive(Debug, Default)]
pub struct Before(Vec<String>);

impl Before {
    /// The ids before the last one of a page, last first.
    pub fn of(page: &Located) -> Self {
        let ids = page.records().rev().skip(1).take(REMEMBERED);
        Before(ids.filter_map(|object| fields(object, ["id"])[0].and_then(plain)).collect())
    }
}

/// Asks for the pager's page. The object that the page token names may be gone by now:
/// then the one before it is named instead, and so on through `before`.
///
/// # Errors
/// As [`Client::page`].
pub async fn fetch(
    client: &Client,
    base: &Request,
    pager: &Pager,
    before: Option<&Before>,
) -> Result<Page, Failure> {
    let request = pager.request(base, client)?;
    let mut failure = match client.page(&request, &objects(), &pager.wants()).await {
        Err(failure) if is_missing(&failure) => failure,
        other => return of_list(other?),
    };
    for id in before.iter().flat_map(|before| &before.0) {
        let request = request.clone().set_query("starting_after", id);
        match client.page(&request, &objects(), &pager.wants()).await {
            Err(again) if is_missing(&again) => failure = again,
            other => return of_list(other?),
        }
    }
    Err(failure)
}

/// Every list says whether there is more. What does not is something else, and taken for an
/// empty list it would hide what there is.
fn of_list(page: Page) -> Result<Page, Failure> {
    match page.value(0) {
        Some("true" | "false") => Ok(page),
        _ => Err(Error::system(
            "An answer that should be a list does not say whether there is more. Check whether a proxy or gateway alters Stripe's answers.",
        )
        .into()),
    }
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure.status, Some(400 | 404)) && failure.is_code("resource_missing")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use cdk::json::locate;

    use super::*;

    #[test]
    fn the_oldest_and_newest_are_told() {
        let body = r#"{"data":[{"id":"b","created":9},{"id":"a","date":"7"}],"has_more":true}"#;
        let page = locate(Bytes::from(body), &objects(), &[]).unwrap();
        assert_eq!((created(&page, false), created(&page, true)), (Some(9), Some(7)));
    }
}
