//! How cells of a CSV column become JSON values. An empty cell is null, since CSV has no
//! other word for it; every other text is kept: `NA`, `null` and blanks too.
//!
//! A cell that is not what its column was declared to be is written as a string, so that
//! nothing is lost.

/// Writes the JSON value of a cell.
pub type Convert = fn(&[u8], &mut Vec<u8>);

/// A string; an empty cell is null.
pub fn text(cell: &[u8], json: &mut Vec<u8>) {
    if cell.is_empty() {
        json.extend_from_slice(b"null");
    } else {
        string(cell, json);
    }
}

/// A string; an empty cell is the empty string.
pub fn string(cell: &[u8], json: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(cell);
    // Writing text to memory cannot fail.
    let _ = serde_json::to_writer(json, text.as_ref());
}

/// A number, digit for digit as it stands.
pub fn number(cell: &[u8], json: &mut Vec<u8>) {
    if is_number(cell) { json.extend_from_slice(cell) } else { text(cell, json) }
}

/// A whole number; a fraction of zeros is dropped (`12.0` is 12).
pub fn integer(cell: &[u8], json: &mut Vec<u8>) {
    let dot = cell.iter().position(|byte| *byte == b'.').unwrap_or(cell.len());
    let (whole, fraction) = cell.split_at(dot);
    if is_number(whole) && fraction.iter().skip(1).all(|digit| *digit == b'0') {
        json.extend_from_slice(whole);
    } else {
        number(cell, json);
    }
}

/// `true` or `false`, in any case.
pub fn boolean(cell: &[u8], json: &mut Vec<u8>) {
    match cell.to_ascii_lowercase().as_slice() {
        word @ (b"true" | b"false") => json.extend_from_slice(word),
        _ => text(cell, json),
    }
}

/// JSON as it stands.
pub fn json(cell: &[u8], json: &mut Vec<u8>) {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(cell).is_ok();
    if is_json { json.extend_from_slice(cell) } else { text(cell, json) }
}

/// Whether the text is a number in JSON's own grammar (RFC 8259, section 6).
fn is_number(cell: &[u8]) -> bool {
    let starts = matches!(cell.first(), Some(b'-' | b'0'..=b'9'));
    let ends = cell.last().is_some_and(u8::is_ascii_digit);
    starts && ends && serde_json::from_slice::<&serde_json::value::RawValue>(cell).is_ok()
}
