//! The forms in which a secret may turn up in a text.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but the characters that need no escape in any part of a URL.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What is shorter turns up in base64 by chance.
const LEAST_CORE: usize = 8;

/// The texts that are secret in a configured value: the value, each of its lines, and, where it is
/// JSON (the key file of a service account), the members that are secrets by their names.
pub(super) fn parts(secret: &str) -> Vec<String> {
    let mut parts = vec![secret.to_owned()];
    add_lines(secret, &mut parts);
    if let Ok(tree @ Value::Object(_)) = serde_json::from_str(secret) {
        add_members(&tree, &mut parts);
    }
    parts
}

/// The lines of a text of several, but for the frame of a PEM file, which is no secret.
fn add_lines(text: &str, parts: &mut Vec<String>) {
    if text.trim().contains('\n') {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        parts.extend(lines.map(str::to_owned));
    } else if text.trim() != text {
        parts.push(text.trim().to_owned());
    }
}

fn add_members(tree: &Value, parts: &mut Vec<String>) {
    let Value::Object(members) = tree else { return };
    for (name, value) in members {
        let name = name.to_ascii_lowercase();
        let is_secret =
            ["key", "secret", "token", "password"].iter().any(|word| name.contains(word));
        match value {
            Value::String(text) if is_secret => {
                parts.push(text.clone());
                add_lines(text, parts);
            }
            nested => add_members(nested, parts),
        }
    }
}

/// A part as it is and in its encodings.
pub(super) fn forms(part: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([part.to_owned()]);
    add_escaped(part, &mut forms);
    add_percent(part, &mut forms);
    for text in [part.to_owned(), format!("{part}:"), format!(":{part}")] {
        for engine in [&STANDARD, &URL_SAFE] {
            let encoded = engine.encode(text.as_bytes());
            forms.insert(encoded.trim_end_matches('=').to_owned());
            forms.insert(encoded);
        }
    }
    add_base64_cores(part, &mut forms);
    forms
}

/// As a JSON string, in the three usual ways, and as Rust's `Debug` prints it.
fn add_escaped(part: &str, forms: &mut BTreeSet<String>) {
    let json = Value::from(part).to_string();
    let json = &json[1..json.len() - 1];
    forms.insert(json.replace('/', "\\/"));
    forms.insert(ascii(json));
    forms.insert(json.to_owned());
    let debug = format!("{part:?}");
    forms.insert(debug[1..debug.len() - 1].to_owned());
}

/// With `\uXXXX` for what is not ASCII.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn add_percent(part: &str, forms: &mut BTreeSet<String>) {
    for set in [NON_ALPHANUMERIC, RESERVED] {
        let encoded = utf8_percent_encode(part, set).to_string();
        for spelling in [lower_hex(&encoded), encoded] {
            forms.insert(spelling.replace("%20", "+"));
            forms.insert(spelling);
        }
    }
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut digits_left = 0;
    let lower = |character: char| {
        if character == '%' {
            digits_left = 2;
            return character;
        }
        if digits_left > 0 {
            digits_left -= 1;
            return character.to_ascii_lowercase();
        }
        character
    };
    encoded.chars().map(lower).collect()
}

/// The characters of a base64 text that depend on the part alone, for each of the three places
/// that the part may have within a group of three bytes: so it is found in `user:part` too.
fn add_base64_cores(part: &str, forms: &mut BTreeSet<String>) {
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(part.as_bytes());
        let first = if before == 0 { 0 } else { before + 1 };
        let last = bytes.len() * 8 / 6;
        if last.saturating_sub(first) < LEAST_CORE {
            continue;
        }
        for engine in [&STANDARD, &URL_SAFE] {
            forms.insert(engine.encode(&bytes)[first..last].to_owned());
        }
    }
}
