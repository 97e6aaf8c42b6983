//! Masking of secrets in everything that a connector says.

mod forms;

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem::{self, Finder};
use serde_json::Value;

/// What stands in the place of a secret.
const MASK: &str = "****";
/// Shorter values are not masked: they would garble everything and are no secrets worth the name.
const LEAST_CHARS: usize = 4;

/// The secrets of a process, in every form that they may turn up in.
///
/// A secret is found as it is, JSON-escaped, percent-encoded and in base64 (also as a part of what
/// was encoded, such as `user:secret`), and so is each line of a secret of several lines and each
/// secret member of one that is JSON. All occurrences of all secrets are found before any is
/// replaced, so that overlapping secrets leave no remainder.
#[derive(Default)]
pub struct Masker {
    patterns: Vec<Pattern>,
    known: HashSet<String>,
}

struct Pattern {
    finder: Finder<'static>,
    length: usize,
    /// Long and wordy enough that it cannot well be a part of a cursor value.
    is_distinctive: bool,
}

impl Masker {
    /// Adds a secret; masks it from now on.
    pub fn add(&mut self, secret: &str) {
        for part in forms::parts(secret) {
            if part.chars().count() < LEAST_CHARS {
                continue;
            }
            let is_distinctive = part.len() >= 8 && part.chars().any(char::is_alphabetic);
            for form in forms::forms(&part) {
                self.add_form(form, is_distinctive);
            }
        }
    }

    fn add_form(&mut self, form: String, is_distinctive: bool) {
        if self.known.contains(&form) {
            return;
        }
        let finder = memmem::Finder::new(form.as_bytes()).into_owned();
        self.patterns.push(Pattern { finder, length: form.len(), is_distinctive });
        self.known.insert(form);
    }

    /// The text with `****` in the place of every secret.
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        replace(text, self.spans(text, false))
    }

    /// A tree with its string values masked, for data that must not be garbled by chance (the state
    /// of a stream, a schema): only secrets of eight bytes or more that hold a letter count, so
    /// that a password `2024` does not break a date. Names of members are left alone.
    pub fn mask_data<'a>(&self, tree: &'a Value) -> Cow<'a, Value> {
        if !self.patterns.iter().any(|pattern| pattern.is_distinctive) {
            return Cow::Borrowed(tree);
        }
        let mut copy = tree.clone();
        if self.mask_strings(&mut copy) { Cow::Owned(copy) } else { Cow::Borrowed(tree) }
    }

    /// Masks in place; tells whether anything was found.
    fn mask_strings(&self, tree: &mut Value) -> bool {
        match tree {
            Value::String(text) => {
                let spans = self.spans(text, true);
                let found = !spans.is_empty();
                if found {
                    *text = replace(text, spans).into_owned();
                }
                found
            }
            Value::Array(items) => {
                items.iter_mut().fold(false, |found, item| self.mask_strings(item) | found)
            }
            Value::Object(members) => {
                members.values_mut().fold(false, |found, value| self.mask_strings(value) | found)
            }
            _ => false,
        }
    }

    /// Where secrets lie in the text: merged, in order.
    fn spans(&self, text: &str, only_distinctive: bool) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        for pattern in &self.patterns {
            if only_distinctive && !pattern.is_distinctive {
                continue;
            }
            let mut from = 0;
            while let Some(at) =
                text.as_bytes().get(from..).and_then(|rest| pattern.finder.find(rest))
            {
                spans.push((from + at, from + at + pattern.length));
                from += at + 1;
            }
        }
        spans.sort_unstable();
        spans.dedup_by(|next, last| {
            let touches = next.0 <= last.1;
            if touches {
                last.1 = last.1.max(next.1);
            }
            touches
        });
        spans
    }
}

fn replace(text: &str, spans: Vec<(usize, usize)>) -> Cow<'_, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end) in spans {
        masked.push_str(&text[from..start]);
        masked.push_str(MASK);
        from = end;
    }
    masked.push_str(&text[from..]);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests;
