//! Page tokens: how an API is asked for the next page.
//!
//! A paginator is a plain value that a stream is built with; each partition or slice
//! walks with a fresh [`Pager`] of it.

use std::borrow::Cow;

use airbyte_protocol::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::http::{Body, Client, Page, Request};
use crate::json::{self, Path};

/// How pages follow each other.
#[derive(Debug, Clone, Default)]
pub enum Paginator {
    /// One page is all there is.
    #[default]
    Single,
    /// The body holds a token for the next page.
    Cursor {
        /// Where the token is.
        token: Path,
        /// Where a boolean says whether there are more pages, if the API has one.
        has_more: Option<Path>,
        /// Where the token goes.
        slot: Slot,
    },
    /// The body holds the next page's address.
    NextLink {
        /// Where the address is.
        link: Path,
        /// Where a boolean says whether there are more pages, if the API has one.
        has_more: Option<Path>,
    },
    /// The `Link` header names the next page's address (RFC 8288, `rel="next"`).
    LinkHeader,
    /// Pages are numbered.
    PageNumber {
        /// The first page's number.
        first: u64,
        /// Records per page; a shorter page is the last one.
        size: u64,
        /// Where the number goes.
        slot: Slot,
    },
    /// Pages are counted in records.
    Offset {
        /// Records per page; a shorter page is the last one.
        size: u64,
        /// Where the offset goes.
        slot: Slot,
    },
    /// The next page begins after the last record of this one.
    LastId {
        /// Which field of the record names it.
        field: Path,
        /// Where a boolean says whether there are more pages.
        has_more: Path,
        /// Where the id goes.
        slot: Slot,
    },
}

/// Where in a request a page token goes.
#[derive(Debug, Clone)]
pub enum Slot {
    /// A query parameter.
    Query(Cow<'static, str>),
    /// A place in the JSON body.
    Body(Path),
}

impl Slot {
    /// A query parameter.
    pub fn query(name: impl Into<Cow<'static, str>>) -> Self {
        Slot::Query(name.into())
    }

    /// A place in the JSON body, as a dotted path.
    pub fn body(path: impl Into<Path>) -> Self {
        Slot::Body(path.into())
    }

    /// Puts a value into a request; where there is no JSON body, a place in it takes none.
    pub fn fill(&self, request: &mut Request, value: serde_json::Value) {
        match (self, &mut request.body) {
            (Slot::Query(name), _) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                request.query.retain(|(other, _)| other != name);
                request.query.push((name.clone(), text));
            }
            (Slot::Body(path), Body::Json(body)) => json::set(body, path.keys(), value),
            (Slot::Body(_), _) => {}
        }
    }
}

/// What asks for one particular page. It can be kept in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageToken {
    /// The API's own token, or the last record's id.
    Value(serde_json::Value),
    /// An address.
    Link(String),
}

/// Walks the pages of one partition.
#[derive(Debug, Clone)]
pub struct Pager {
    paginator: Paginator,
    current: Option<PageToken>,
    records: u64,
    pages: u64,
}

impl Paginator {
    /// A token in the body, which is absent, null or empty on the last page.
    pub fn cursor(token: impl Into<Path>, slot: Slot) -> Self {
        Paginator::Cursor { token: token.into(), has_more: None, slot }
    }

    /// An address in the body, which is absent, null or empty on the last page.
    pub fn next_link(link: impl Into<Path>) -> Self {
        Paginator::NextLink { link: link.into(), has_more: None }
    }

    /// Whether a token says how many records or pages to pass over, and not where it is:
    /// records that come or go before it move what it means.
    pub fn is_positional(&self) -> bool {
        matches!(self, Paginator::PageNumber { .. } | Paginator::Offset { .. })
    }

    /// A fresh walk from the first page, or from the page of a kept token.
    pub fn pager(&self, from: Option<PageToken>) -> Pager {
        let mut pager = Pager { paginator: self.clone(), current: from, records: 0, pages: 0 };
        if let Some(PageToken::Value(value)) = &pager.current {
            match self {
                Paginator::PageNumber { first, .. } => {
                    pager.pages = value.as_u64().unwrap_or(*first).saturating_sub(*first)
                }
                Paginator::Offset { .. } => pager.records = value.as_u64().unwrap_or(0),
                _ => {}
            }
        }
        pager
    }
}

impl Pager {
    /// The values of the body that [`Pager::advance`] looks at, to be located with the page.
    pub fn wants(&self) -> Vec<&Path> {
        match &self.paginator {
            Paginator::Cursor { token: at, has_more, .. }
            | Paginator::NextLink { link: at, has_more } => {
                std::iter::once(at).chain(has_more).collect()
            }
            Paginator::LastId { has_more, .. } => vec![has_more],
            _ => Vec::new(),
        }
    }

    /// The request for the current page.
    ///
    /// # Errors
    /// When a link cannot be followed.
    pub fn request(&self, base: &Request, client: &Client) -> Result<Request> {
        let mut request = base.clone();
        match (&self.current, &self.paginator) {
            (Some(PageToken::Link(link)), _) => {
                let next = client.follow(link)?;
                // A link carries its own query: the first page's parameters must not be doubled.
                request.url = next.url;
                request.query.clear();
            }
            (
                Some(PageToken::Value(value)),
                Paginator::Cursor { slot, .. }
                | Paginator::LastId { slot, .. }
                | Paginator::PageNumber { slot, .. }
                | Paginator::Offset { slot, .. },
            ) => slot.fill(&mut request, value.clone()),
            (None, Paginator::PageNumber { first, slot, .. }) => {
                slot.fill(&mut request, (*first).into())
            }
            _ => {}
        }
        Ok(request)
    }

    /// The current page's token, to be kept in a state; `None` for the first page.
    pub fn token(&self) -> Option<&PageToken> {
        self.current.as_ref()
    }

    /// Moves to the page after `page`; `false` when that was the last one. `page` was
    /// located with [`Pager::wants`] as its first values.
    ///
    /// # Errors
    /// System: the API gave the same token again, which would go on for ever, or a page
    /// that says there is more but not how to get it.
    pub fn advance(&mut self, page: &Page) -> Result<bool> {
        let count = page.len() as u64;
        self.records += count;
        self.pages += 1;
        let more = |index: usize| page.value(index) != Some("false");
        let next = match &self.paginator {
            Paginator::Single => None,
            Paginator::Cursor { has_more, .. } if has_more.is_some() && !more(1) => None,
            Paginator::Cursor { .. } => page.value(0).and_then(json_value).map(PageToken::Value),
            Paginator::NextLink { has_more, .. } if has_more.is_some() && !more(1) => None,
            Paginator::NextLink { .. } => page
                .value(0)
                .and_then(json::plain)
                .filter(|link| !link.is_empty())
                .map(PageToken::Link),
            Paginator::LinkHeader => page.header("link").and_then(next_link).map(PageToken::Link),
            Paginator::PageNumber { size, .. } | Paginator::Offset { size, .. }
                if count < *size =>
            {
                None
            }
            Paginator::PageNumber { first, .. } => {
                Some(PageToken::Value((first + self.pages).into()))
            }
            Paginator::Offset { .. } => Some(PageToken::Value(self.records.into())),
            Paginator::LastId { field, .. } => match page.value(0) {
                Some("true") => Some(self.last_id(page, field)?),
                _ => None,
            },
        };
        if next.is_some() && next == self.current {
            return Err(Error::system(
                "The API gave the same page token twice in a row; reading on would never end.",
            )
            .with_internal(format!("{next:?}")));
        }
        self.current = next;
        Ok(self.current.is_some())
    }

    fn last_id(&self, page: &Page, field: &Path) -> Result<PageToken> {
        page.records()
            .next_back()
            .and_then(|record| json::get(record, field))
            .and_then(json_value)
            .map(PageToken::Value)
            .ok_or_else(|| Error::system("The API says that there are more pages, but the last record has no id to go on from."))
    }
}

/// A scalar page token; empty text and null mean that there is none.
fn json_value(json: &str) -> Option<serde_json::Value> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    match &value {
        serde_json::Value::String(text) if text.is_empty() => None,
        serde_json::Value::String(_) | serde_json::Value::Number(_) => Some(value),
        // Compound tokens exist (search_after): they are handed back as they came.
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => Some(value),
        _ => None,
    }
}

/// The address of `rel="next"` in a `Link` header (RFC 8288).
pub fn next_link(header: &str) -> Option<String> {
    // Commas and semicolons may stand inside an address, so it is cut out by its brackets.
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        let (link, after) = rest[open + 1..].split_once('>')?;
        let end = after.find(",<").or_else(|| after.find(", <")).unwrap_or(after.len());
        let is_next = after[..end].split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.trim().eq_ignore_ascii_case("rel")
                && value
                    .trim()
                    .trim_matches('"')
                    .split_whitespace()
                    .any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(link.to_owned());
        }
        rest = &after[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_headers() {
        assert_eq!(
            next_link(r#"<https://h/a?p=1>; rel="prev", <https://h/a?p=3,4;x>; title="n"; rel="next last""#).as_deref(),
            Some("https://h/a?p=3,4;x")
        );
        assert_eq!(next_link(r#"<https://h/a>; rel=next"#).as_deref(), Some("https://h/a"));
        assert_eq!(next_link(r#"<https://h/a>; rel="last""#), None);
        assert_eq!(next_link("nonsense <"), None);
    }

    #[test]
    fn tokens_survive_a_state() {
        for token in [
            PageToken::Value("abc".into()),
            PageToken::Value(7.into()),
            PageToken::Link("https://h/x".into()),
        ] {
            let text = serde_json::to_string(&token).unwrap();
            assert_eq!(serde_json::from_str::<PageToken>(&text).unwrap(), token);
        }
    }
}
