//! Where a Bulk job's results stand: which pages were written, and which come next.
//!
//! The results of a job are a chain of pages: the headers of each name the locator of the next
//! one. Locators stay good as long as the job lives, so a read that broke off goes on with the
//! same job, in the middle of a page where need be (docs "Get Results for a Query Job").

use serde::{Deserialize, Serialize};

/// A page that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its locator; empty for the first page.
    pub at: String,
    /// Rows of it that were written.
    pub rows: u64,
    /// Whether these are all.
    #[serde(default, skip_serializing_if = "is_false")]
    pub whole: bool,
    /// What follows, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Next>,
}

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Next {
    /// The page with this locator.
    At(String),
    /// Nothing.
    End(bool),
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A job whose results are being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    #[serde(rename = "job")]
    pub id: String,
    /// The API version that made it, which its results must be asked for with.
    pub api: String,
    /// The first cursor value of its window, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// The first cursor value behind its window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<i64>,
    /// Rows of all pages before the first one in `pages`.
    #[serde(default)]
    pub rows: u64,
    /// The pages that were begun, in the order of the chain, without the finished ones at its
    /// begin.
    #[serde(default)]
    pub pages: Vec<Page>,
    /// The greatest cursor value of a row so far, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recent: Option<i64>,
}

impl Job {
    /// A new job of which nothing was read.
    pub fn new(id: String, api: String, from: Option<i64>, to: Option<i64>) -> Self {
        Job { id, api, from, to, rows: 0, pages: vec![Page::at(String::new())], recent: None }
    }

    /// All rows that were written.
    pub fn written(&self) -> u64 {
        self.rows + self.pages.iter().map(|page| page.rows).sum::<u64>()
    }

    /// A page that was begun.
    pub fn page(&self, at: &str) -> Option<&Page> {
        self.pages.iter().find(|page| page.at == at)
    }

    /// Notes rows of a page that were written.
    pub fn add_rows(&mut self, at: &str, rows: u64) {
        if let Some(page) = self.pages.iter_mut().find(|page| page.at == at) {
            page.rows += rows;
        }
    }

    /// Notes what follows a page; `false` when the chain leads back to a page that it had.
    pub fn set_next(&mut self, at: &str, next: Option<&str>) -> bool {
        let Some(index) = self.pages.iter().position(|page| page.at == at) else { return false };
        self.pages[index].next = Some(next.map_or(Next::End(true), |next| Next::At(next.into())));
        match next {
            Some(next) if next == at || self.page(next).is_some() => false,
            Some(next) => {
                self.pages.push(Page::at(next.to_owned()));
                true
            }
            None => true,
        }
    }

    /// Notes that a page was written to its end, and forgets pages at the begin of the chain
    /// that are done with.
    pub fn finish(&mut self, at: &str) {
        if let Some(page) = self.pages.iter_mut().find(|page| page.at == at) {
            page.whole = true;
        }
        while self.pages.len() > 1 && self.pages[0].whole {
            self.rows += self.pages.remove(0).rows;
        }
    }
}

impl Page {
    fn at(at: String) -> Self {
        Page { at, rows: 0, whole: false, next: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new("750".into(), "62.0".into(), Some(1), Some(2))
    }

    #[test]
    fn finished_pages_at_the_begin_are_forgotten() {
        let mut job = job();
        assert!(job.set_next("", Some("a")) && job.set_next("a", Some("b")));
        job.add_rows("a", 7);
        job.finish("a");
        assert_eq!((job.pages.len(), job.written()), (3, 7));
        job.add_rows("", 5);
        job.finish("");
        assert_eq!((job.pages.len(), job.rows, job.written()), (1, 12, 12));
        assert!(job.set_next("b", None));
        job.add_rows("b", 1);
        job.finish("b");
        assert_eq!((job.pages.len(), job.written()), (1, 13));
    }

    #[test]
    fn a_chain_does_not_turn_back() {
        let mut job = job();
        assert!(!job.set_next("", Some("")));
        assert!(job.set_next("", Some("a")) && !job.set_next("a", Some("")));
    }

    #[test]
    fn states_carry_it() {
        let mut job = job();
        job.set_next("", Some("a"));
        job.add_rows("", 3);
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(
            text,
            r#"{"job":"750","api":"62.0","from":1,"to":2,"rows":0,"pages":[{"at":"","rows":3,"next":"a"},{"at":"a","rows":0}]}"#
        );
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }
}
