//! Finding secrets in what a connector says, and keeping them out of reports.

use std::borrow::Cow;

use airbyte_protocol::Masker;

/// Shorter values turn up by chance.
const LEAST_CHARS: usize = 8;

/// The secrets of a configuration, in every form that they may turn up in: as they are,
/// JSON-escaped, percent-encoded, in base64.
#[derive(Default)]
pub struct Leaks {
    masker: Masker,
    values: Vec<String>,
}

impl std::fmt::Debug for Leaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaks").field("count", &self.values.len()).finish_non_exhaustive()
    }
}

impl Leaks {
    /// The secrets among these values: those of eight characters or more.
    pub fn new<T: AsRef<str>>(secrets: impl IntoIterator<Item = T>) -> Self {
        let mut leaks = Self::default();
        for secret in secrets {
            leaks.add(secret.as_ref());
        }
        leaks
    }

    /// Adds a secret.
    pub fn add(&mut self, secret: &str) {
        if secret.chars().count() >= LEAST_CHARS && !self.values.iter().any(|known| known == secret)
        {
            self.masker.add(secret);
            self.values.push(secret.to_owned());
        }
    }

    /// The secrets themselves.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a secret stands in the text.
    pub fn are_in(&self, text: &str) -> bool {
        matches!(self.masker.mask(text), Cow::Owned(_))
    }

    /// The text without the secrets.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.masker.mask(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_in_their_forms() {
        let leaks = Leaks::new(["sk_live_12345678", "short"]);
        assert!(leaks.are_in("key=sk_live_12345678"));
        assert!(leaks.are_in("Basic c2tfbGl2ZV8xMjM0NTY3ODo="));
        assert!(!leaks.are_in("a short text"));
        assert_eq!(leaks.hide("key=sk_live_12345678!"), "key=****!");
        assert_eq!(format!("{leaks:?}"), "Leaks { count: 1, .. }");
    }
}
