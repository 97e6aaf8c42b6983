//! The forms in which a secret may turn up in traffic.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a query (RFC 3986, unreserved characters).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What JavaScript's `encodeURIComponent` leaves alone besides.
const COMPONENT: &AsciiSet =
    &UNRESERVED.remove(b'!').remove(b'*').remove(b'\'').remove(b'(').remove(b')');

/// Shorter pieces of Base64 would hit innocent text.
const SHORTEST_BASE64: usize = 8;

/// The secret itself, URL-encoded, JSON- and XML-escaped, and in Base64, also as a part of a longer
/// text in Base64.
pub fn all(secret: &str) -> Vec<String> {
    let mut forms = plain(secret);
    forms.push(secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    forms.extend(base64(secret.as_bytes()));
    tidy(forms)
}

/// The secret itself, URL-encoded and JSON-escaped.
pub fn plain(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    for set in [UNRESERVED, COMPONENT, NON_ALPHANUMERIC] {
        let encoded = utf8_percent_encode(secret, set).to_string();
        forms.push(lower_escapes(&encoded));
        forms.push(encoded.replace("%20", "+"));
        forms.push(utf8_percent_encode(&encoded, set).to_string());
        forms.push(encoded);
    }
    let json = serde_json::Value::from(secret).to_string();
    let json = json[1..json.len() - 1].to_owned();
    for json in [ascii_only(&json), json] {
        forms.push(json.replace('/', "\\/"));
        forms.push(json);
    }
    tidy(forms)
}

fn tidy(mut forms: Vec<String>) -> Vec<String> {
    forms.sort();
    forms.dedup();
    forms
}

/// `%2F` as `%2f`: both are in use.
fn lower_escapes(encoded: &str) -> String {
    let mut escape = 0;
    encoded
        .chars()
        .map(|c| {
            escape = if c == '%' { 2 } else { i32::max(escape - 1, -1) };
            if c != '%' && escape >= 0 { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// Characters beyond ASCII as `\uXXXX`, as Python's `json.dumps` writes them.
fn ascii_only(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

/// The secret in Base64 at each of the three alignments, without the characters that depend on
/// what stands before and after it.
fn base64(secret: &[u8]) -> Vec<String> {
    let mut forms = vec![STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)];
    for (shift, lead) in [(0, 0), (1, 2), (2, 3)] {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(secret);
        let tail = usize::from(!shifted.len().is_multiple_of(3));
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let end = encoded.len() - tail;
            forms.push(encoded[lead.min(end)..end].to_owned());
        }
    }
    forms.retain(|form| form.len() >= SHORTEST_BASE64);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_in_lower_case_leave_the_rest_alone() {
        assert_eq!(lower_escapes("A%2FB%3DC"), "A%2fB%3dC");
    }

    proptest! {
        #[test]
        fn base64_of_a_longer_text_contains_a_form(
            before in "[ -~]{0,9}", secret in "[ -~]{12,30}", after in "[ -~]{0,9}",
        ) {
            let whole = format!("{before}{secret}{after}");
            for text in [STANDARD.encode(&whole), URL_SAFE_NO_PAD.encode(&whole)] {
                prop_assert!(all(&secret).iter().any(|form| text.contains(form.as_str())));
            }
        }

        #[test]
        fn json_of_the_secret_contains_a_form(secret in "\\PC{1,30}") {
            let text = serde_json::Value::from(secret.as_str()).to_string();
            prop_assert!(plain(&secret).iter().any(|form| text.contains(form.as_str())));
        }
    }
}
