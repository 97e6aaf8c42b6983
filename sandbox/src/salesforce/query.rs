//! Names and values of query strings and forms.

use percent_encoding::percent_decode_str;

/// Decoded names and values, in order.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// The first value of that name.
pub fn get(text: &str, name: &str) -> Option<String> {
    pairs(text).into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
