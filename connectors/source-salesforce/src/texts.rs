//! How values of the two APIs become one form: cells of CSV files and values of JSON bodies.
//!
//! Times end in `Z`, whole numbers have no fraction, NUL bytes are dropped since no lakehouse
//! takes them. Only the empty cell is null: `NA`, `null` and blanks are texts like any other,
//! unless the configuration asks for the nulls that Airbyte's connector makes of them.

use cdk::decode::column::{self, Convert};

use crate::fields::Kind;

/// Texts that pandas, and so Airbyte's connector, takes for missing values.
const NOT_AVAILABLE: [&[u8]; 18] = [
    b"#N/A",
    b"#N/A N/A",
    b"#NA",
    b"-1.#IND",
    b"-1.#QNAN",
    b"-NaN",
    b"-nan",
    b"1.#IND",
    b"1.#QNAN",
    b"<NA>",
    b"N/A",
    b"NA",
    b"NULL",
    b"NaN",
    b"None",
    b"n/a",
    b"nan",
    b"null",
];

/// How a cell of a column of this kind becomes a JSON value.
pub fn cell(kind: Kind, na_as_null: bool) -> Convert {
    match kind {
        Kind::Integer => column::integer,
        Kind::Number => column::number,
        Kind::Boolean => column::boolean,
        Kind::DateTime => datetime,
        _ if na_as_null => text_or_na,
        _ => text,
    }
}

fn text(cell: &[u8], json: &mut Vec<u8>) {
    if memchr::memchr(0, cell).is_none() {
        column::text(cell, json);
    } else {
        let kept: Vec<u8> = cell.iter().copied().filter(|byte| *byte != 0).collect();
        column::text(&kept, json);
    }
}

fn text_or_na(cell: &[u8], json: &mut Vec<u8>) {
    if is_na(cell) { json.extend_from_slice(b"null") } else { text(cell, json) }
}

fn is_na(text: &[u8]) -> bool {
    NOT_AVAILABLE.contains(&text) || text.trim_ascii().is_empty()
}

fn datetime(cell: &[u8], json: &mut Vec<u8>) {
    match cell.strip_suffix(b"+0000") {
        Some(time) => column::text(&[time, b"Z"].concat(), json),
        None => column::text(cell, json),
    }
}

/// Writes the JSON value of a REST record's member in the common form.
pub fn value(kind: Kind, na_as_null: bool, raw: &str, json: &mut Vec<u8>) {
    let is_text = raw.starts_with('"');
    match kind {
        Kind::DateTime if raw.ends_with("+0000\"") => {
            json.extend_from_slice(&raw.as_bytes()[..raw.len() - 6]);
            json.extend_from_slice(b"Z\"");
        }
        Kind::Integer
            if raw.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
        {
            column::integer(raw.as_bytes(), json)
        }
        // Fields that are declared as text may hold structures, which a text can carry.
        Kind::Text if raw.starts_with(['{', '[']) => column::string(raw.as_bytes(), json),
        Kind::Text if is_text && (na_as_null || raw.contains("\\u0000")) => {
            match serde_json::from_str::<String>(raw) {
                Ok(plain) => cell(Kind::Text, na_as_null)(plain.as_bytes(), json),
                Err(_) => json.extend_from_slice(raw.as_bytes()),
            }
        }
        // The empty string and null are one in Salesforce.
        Kind::Text if raw == "\"\"" => json.extend_from_slice(b"null"),
        _ => json.extend_from_slice(raw.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_cell(kind: Kind, na: bool, text: &str) -> String {
        let mut json = Vec::new();
        cell(kind, na)(text.as_bytes(), &mut json);
        String::from_utf8(json).unwrap()
    }

    fn of_value(kind: Kind, na: bool, raw: &str) -> String {
        let mut json = Vec::new();
        value(kind, na, raw, &mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn both_apis_give_one_form() {
        for (kind, text, raw, expected) in [
            (Kind::Text, "NA", r#""NA""#, r#""NA""#),
            (Kind::Text, " ", r#"" ""#, r#"" ""#),
            (Kind::Text, "", "null", "null"),
            (Kind::Text, "a\0b", r#""a\u0000b""#, r#""ab""#),
            (Kind::Text, "a\\u0000", r#""a\\u0000""#, r#""a\\u0000""#),
            (Kind::Integer, "12.0", "12", "12"),
            (Kind::Integer, "0.0", "0.0", "0"),
            (Kind::Integer, "", "null", "null"),
            (
                Kind::Number,
                "123456789012345678.25",
                "123456789012345678.25",
                "123456789012345678.25",
            ),
            (Kind::Boolean, "true", "true", "true"),
            (
                Kind::DateTime,
                "2024-05-01T10:00:00.000Z",
                r#""2024-05-01T10:00:00.000+0000""#,
                r#""2024-05-01T10:00:00.000Z""#,
            ),
            (Kind::Date, "2024-05-01", r#""2024-05-01""#, r#""2024-05-01""#),
        ] {
            assert_eq!(of_cell(kind, false, text), expected);
            assert_eq!(of_value(kind, false, raw), expected);
        }
        assert_eq!(of_value(Kind::Text, false, r#"{"a":1}"#), r#""{\"a\":1}""#);
    }

    #[test]
    fn nulls_of_old_on_request() {
        for text in ["NA", "n/a", "null", "None", "nan", "  ", "\t"] {
            assert_eq!(of_cell(Kind::Text, true, text), "null", "{text}");
            let raw = serde_json::Value::from(text).to_string();
            assert_eq!(of_value(Kind::Text, true, &raw), "null", "{text}");
        }
        assert_eq!(of_cell(Kind::Text, true, "Nan"), r#""Nan""#);
    }
}
