//! The last requests, for tests of what a client asked.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// So many requests are kept.
const KEPT: usize = 2000;

/// Longer texts are cut to so many bytes.
const MAX_TEXT: usize = 4096;

/// One request and the status of its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Virtual time, unix milliseconds.
    pub at_ms: i64,
    /// HTTP method in capitals.
    pub method: String,
    /// Path with the API's prefix, and the query, as sent; cut if very long.
    pub path: String,
    /// The body if it is JSON; cut if very long.
    pub body: String,
    /// HTTP status; None when the connection was reset without an answer.
    pub status: Option<u16>,
}

/// The live journal.
#[derive(Debug, Default)]
pub struct Journal(Mutex<VecDeque<Entry>>);

impl Journal {
    /// Notes a request. Bodies that are no JSON (logins) are left out.
    pub fn add(&self, at_ms: i64, method: &str, path: &str, body: &[u8], status: Option<u16>) {
        let body = if body.starts_with(b"{") { String::from_utf8_lossy(body) } else { "".into() };
        let entry =
            Entry { at_ms, method: method.to_owned(), path: cut(path), body: cut(&body), status };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The requests so far, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets all.
    pub fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_requests_are_kept() {
        let journal = Journal::default();
        for at in 0..KEPT as i64 + 5 {
            journal.add(at, "POST", &"é".repeat(3000), b"grant_type=x", Some(200));
        }
        let entries = journal.entries();
        assert_eq!((entries.len(), entries[0].at_ms), (KEPT, 5));
        assert_eq!((entries[0].path.len(), entries[0].body.as_str()), (MAX_TEXT, ""));
        journal.reset();
        assert!(journal.entries().is_empty());
    }
}
