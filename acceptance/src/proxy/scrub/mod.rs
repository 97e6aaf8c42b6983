//! Takes secrets out of URLs, headers and bodies before they are kept.
//!
//! A secret is what the caller names, and every value that stands under a name that means a secret
//! (`access_token`, `Authorization`, …). Each value has one placeholder, `SCRUBBED_NAME_N`,
//! wherever it turns up, so that a recording still hangs together: a token that an answer hands
//! out and the next request brings back stays the same word. Values that look random are looked for
//! everywhere from then on, as the caller's secrets are.

mod forms;
mod json;
mod names;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use aho_corasick::{AhoCorasick, MatchKind};
use percent_encoding::percent_decode_str;
use regex::{Captures, Regex};

pub use names::{Place, is_secret};

/// The start of every placeholder.
pub const PLACEHOLDER: &str = "SCRUBBED_";

/// The caller's secrets are looked for in any text from this length on; shorter ones would hit
/// innocent text, and are only replaced where a name says that a secret stands there.
const SHORTEST: usize = 4;

/// A value found under a secret's name is looked for in any text from this length on, if it has a
/// digit: `required` is no password.
const SHORTEST_LEARNED: usize = 12;

/// So many found values are looked for everywhere; later ones are replaced in place only.
const MOST_LEARNED: usize = 5000;

/// A secret that the caller knows.
#[derive(Clone)]
pub struct Secret {
    name: String,
    value: String,
}

impl Secret {
    /// The secret `value`; `name` (of the config's member, say) becomes part of its placeholder.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    /// What stands in a recording for this secret.
    pub fn placeholder(&self) -> String {
        format!("{PLACEHOLDER}{}", word(&self.name))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

fn word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Replaces secrets; learns new ones on the way.
#[derive(Debug, Default)]
pub struct Scrubber {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    placeholders: HashMap<String, String>,
    numbers: HashMap<String, usize>,
    learned: usize,
    /// Texts to look for and what to put there.
    forms: Vec<(String, String)>,
    search: Option<Arc<Search>>,
}

#[derive(Debug)]
struct Search {
    automaton: AhoCorasick,
    replacements: Vec<String>,
}

impl Scrubber {
    /// A scrubber that knows these secrets from the start.
    pub fn new(secrets: &[Secret]) -> Self {
        let mut known = Known::default();
        for secret in secrets.iter().filter(|s| !s.value.is_empty()) {
            let placeholder = secret.placeholder();
            if secret.value.len() >= SHORTEST {
                known.look_for(forms::all(&secret.value), &placeholder);
            }
            known.placeholders.insert(secret.value.clone(), placeholder);
        }
        Self { known: Mutex::new(known) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The placeholder of `value`, which stands under `name`; the value is known from now on.
    fn hide(&self, name: &str, value: &str) -> String {
        if value.is_empty() || value.starts_with(PLACEHOLDER) {
            return value.to_owned();
        }
        self.known().hide(name, value)
    }

    /// Replaces known secrets, and JSON web tokens, wherever they stand.
    pub fn bytes(&self, text: &[u8]) -> Vec<u8> {
        let search = self.known().search();
        let text = match search {
            Some(search) => search.automaton.replace_all_bytes(text, &search.replacements),
            None => text.to_vec(),
        };
        match String::from_utf8(text) {
            Ok(text) => self.web_tokens(text).into_bytes(),
            Err(binary) => binary.into_bytes(),
        }
    }

    /// As [`Scrubber::bytes`], for text.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    fn web_tokens(&self, text: String) -> String {
        static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}").ok()
        });
        self.replace_captured(text, &TOKEN, |token| {
            (token.get(0).map(|m| m.range()), "jwt".to_owned())
        })
    }

    /// Replaces in `text`, for each match, the part that `pick` names.
    fn replace_captured(
        &self,
        text: String,
        pattern: &LazyLock<Option<Regex>>,
        pick: impl Fn(&Captures<'_>) -> (Option<std::ops::Range<usize>>, String),
    ) -> String {
        let Some(pattern) = pattern.as_ref() else { return text };
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for found in pattern.captures_iter(&text) {
            if let (Some(range), name) = pick(&found)
                && range.start >= at
            {
                out.push_str(&text[at..range.start]);
                out.push_str(&self.hide(&name, &text[range.clone()]));
                at = range.end;
            }
        }
        out.push_str(&text[at..]);
        out
    }

    /// A URL, whole or from its path on, without a user's password, secret parameters and known
    /// secrets.
    pub fn url(&self, url: &str) -> String {
        let (url, fragment) = match url.split_once('#') {
            Some((url, fragment)) => (url, Some(fragment)),
            None => (url, None),
        };
        let mut out = match url.split_once('?') {
            Some((path, query)) => format!("{}?{}", self.user_info(path), self.pairs(query)),
            None => self.user_info(url),
        };
        if let Some(fragment) = fragment {
            out = format!("{out}#{}", self.pairs(fragment));
        }
        self.text(&out)
    }

    fn user_info(&self, base: &str) -> String {
        let Some((scheme, rest)) = base.split_once("://") else { return base.to_owned() };
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let path = &rest[authority.len()..];
                let user = match user.split_once(':') {
                    Some((user, password)) => format!("{user}:{}", self.hide("password", password)),
                    None => self.hide("user", user),
                };
                format!("{scheme}://{user}@{host}{path}")
            }
            None => base.to_owned(),
        }
    }

    /// Parameters as in a query or a form, `name=value&…`, with the secret ones replaced and all
    /// others as they were.
    pub fn pairs(&self, pairs: &str) -> String {
        let scrubbed: Vec<String> = pairs.split('&').map(|pair| self.pair(pair)).collect();
        scrubbed.join("&")
    }

    fn pair(&self, pair: &str) -> String {
        let Some((name, value)) = pair.split_once('=') else { return pair.to_owned() };
        let plain = decode(name);
        if is_secret(&plain, Place::Parameter) {
            return format!("{name}={}", self.hide(&plain, &decode(value)));
        }
        pair.to_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str, value: &str) -> String {
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "authorization" | "proxy-authorization" => self.credentials(&lower, value),
            "cookie" => {
                let cookies: Vec<String> = value.split("; ").map(|c| self.cookie(c)).collect();
                cookies.join("; ")
            }
            "set-cookie" => match value.split_once(';') {
                Some((cookie, attributes)) => format!("{};{attributes}", self.cookie(cookie)),
                None => self.cookie(value),
            },
            _ if is_secret(name, Place::Header) => self.hide(&lower, value),
            _ if value.contains('?') => self.url(value),
            _ => self.text(value),
        }
    }

    /// `Bearer …`, `Basic …`: the scheme stays. The password in `Basic` is learned, too.
    fn credentials(&self, name: &str, value: &str) -> String {
        use base64::Engine;
        let Some((scheme, credentials)) = value.split_once(' ') else {
            return self.hide(name, value);
        };
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(credentials.trim())
            && let Ok(plain) = String::from_utf8(plain)
            && let Some((user, password)) = plain.split_once(':')
        {
            // Many an API takes its key as the user's name.
            let secret = if password.len() >= SHORTEST { password } else { user };
            self.hide("password", secret);
        }
        format!("{scheme} {}", self.hide(name, credentials))
    }

    fn cookie(&self, cookie: &str) -> String {
        match cookie.split_once('=') {
            Some((name, value)) => format!("{name}={}", self.hide("cookie", value)),
            None => self.hide("cookie", cookie),
        }
    }

    /// A body, by its content type where that helps. Bytes that are no text only lose known secrets.
    pub fn body(&self, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(body) else { return self.bytes(body) };
        let kind = content_type.unwrap_or_default().to_ascii_lowercase();
        let text = if kind.starts_with("application/x-www-form-urlencoded") {
            self.pairs(text)
        } else if kind.starts_with("multipart/") {
            self.multipart(text.to_owned())
        } else if let Some(text) = json::rewrite(text, &mut |name, value| self.scalar(name, value))
        {
            text
        } else {
            self.elements(text.to_owned())
        };
        self.bytes(text.as_bytes())
    }

    /// The new JSON text of a scalar that is a secret, or a URL with secrets.
    fn scalar(&self, name: &str, value: &str) -> Option<String> {
        if !value.starts_with('"') {
            let secret =
                names::is_secret_number(name) && value.starts_with(|c: char| c.is_ascii_digit());
            return secret.then(|| format!("\"{}\"", self.hide(name, value)));
        }
        let secret = is_secret(name, Place::Member);
        if !secret && !value.contains('?') {
            return None;
        }
        let text: String = serde_json::from_str(value).ok()?;
        let new = if secret { self.hide(name, &text) } else { self.url(&text) };
        (new != text).then(|| serde_json::Value::from(new).to_string())
    }

    /// XML elements with names that mean secrets, as in SOAP sign-ins.
    fn elements(&self, text: String) -> String {
        static ELEMENT: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"<(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*)?>([^<>]+)</").ok());
        self.replace_captured(text, &ELEMENT, |found| {
            let name = found.get(1).map(|m| m.as_str()).unwrap_or_default();
            let value = found.get(2).filter(|_| is_secret(name, Place::Member));
            (value.map(|m| m.range()), name.to_owned())
        })
    }

    fn multipart(&self, text: String) -> String {
        static PART: LazyLock<Option<Regex>> = LazyLock::new(|| {
            Regex::new("name=\"([^\"]+)\"[^\r\n]*(?:\r\n[^\r\n]+)*\r\n\r\n([^\r\n]*)").ok()
        });
        self.replace_captured(text, &PART, |found| {
            let name = found.get(1).map(|m| m.as_str()).unwrap_or_default();
            let value = found.get(2).filter(|_| is_secret(name, Place::Parameter));
            (value.map(|m| m.range()), name.to_owned())
        })
    }
}

impl Known {
    fn hide(&mut self, name: &str, value: &str) -> String {
        if let Some(placeholder) = self.placeholders.get(value) {
            return placeholder.clone();
        }
        let name = word(name);
        let number = self.numbers.entry(name.clone()).or_default();
        *number += 1;
        let placeholder = format!("{PLACEHOLDER}{name}_{number}");
        self.placeholders.insert(value.to_owned(), placeholder.clone());
        let random = value.len() >= SHORTEST_LEARNED && value.bytes().any(|b| b.is_ascii_digit());
        if random && self.learned < MOST_LEARNED {
            self.learned += 1;
            self.look_for(forms::plain(value), &placeholder);
        }
        placeholder
    }

    fn look_for(&mut self, forms: Vec<String>, placeholder: &str) {
        self.forms.extend(forms.into_iter().map(|form| (form, placeholder.to_owned())));
        self.search = None;
    }

    fn search(&mut self) -> Option<Arc<Search>> {
        if self.search.is_none() && !self.forms.is_empty() {
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(self.forms.iter().map(|(form, _)| form))
                .ok()?;
            let replacements = self.forms.iter().map(|(_, new)| new.clone()).collect();
            self.search = Some(Arc::new(Search { automaton, replacements }));
        }
        self.search.clone()
    }
}

/// A form's or query's text in plain; what is no UTF-8 is replaced.
pub fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests;
