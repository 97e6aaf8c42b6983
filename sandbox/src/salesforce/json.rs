//! Rows as JSON: as REST answers have them, and as a correct sync delivers them.

use super::kind::Kind;
use super::row::Row;

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// As REST sends it: with `attributes`, datetimes end in `+0000`. Holds the API version.
    Rest(&'a str),
    /// As a sync delivers it: datetimes end in `Z`, no NUL characters. Holds the API version.
    Clean(&'a str),
}

/// Appends a row's fields as a JSON object.
pub fn record(row: &Row<'_>, fields: &[usize], form: Form<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut scratch = Vec::with_capacity(128);
    if let Form::Rest(version) = form {
        attributes(row, version, out);
    }
    for field in fields {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        string(row.object.fields[*field].name.as_bytes(), out);
        out.push(b':');
        value(row, *field, form, &mut scratch, out);
    }
    out.push(b'}');
}

fn attributes(row: &Row<'_>, version: &str, out: &mut Vec<u8>) {
    let name = &row.object.name;
    out.extend_from_slice(format!(r#""attributes":{{"type":"{name}""#).as_bytes());
    if row.object.field("Id").is_some() {
        let url = format!(r#","url":"/services/data/v{version}/sobjects/{name}/"#);
        out.extend_from_slice(url.as_bytes());
        super::ids::write(&row.object.prefix, row.index, out);
        out.push(b'"');
    }
    out.push(b'}');
}

fn value(row: &Row<'_>, index: usize, form: Form<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    let field = &row.object.fields[index];
    if field.kind.is_compound() {
        return compound(row, &field.parts, form, scratch, out);
    }
    scratch.clear();
    if !row.text(index, scratch) {
        out.extend_from_slice(b"null");
        return;
    }
    match field.kind {
        Kind::Int => out.extend_from_slice(scratch.strip_suffix(b".0").unwrap_or(scratch)),
        kind if kind.is_bare() => out.extend_from_slice(scratch),
        Kind::Datetime if matches!(form, Form::Rest(_)) => {
            scratch.pop();
            scratch.extend_from_slice(b"+0000");
            string(scratch, out);
        }
        Kind::Base64 => {
            let (Form::Rest(version) | Form::Clean(version)) = form;
            let mut path = format!("/services/data/v{version}/sobjects/").into_bytes();
            path.append(scratch);
            string(&path, out);
        }
        _ => {
            if matches!(form, Form::Clean(_)) {
                scratch.retain(|c| *c != 0);
            }
            string(scratch, out);
        }
    }
}

fn compound(
    row: &Row<'_>,
    parts: &[(&'static str, usize)],
    form: Form<'_>,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let is_null = parts.iter().all(|(_, index)| {
        scratch.clear();
        !row.text(*index, scratch)
    });
    if is_null {
        out.extend_from_slice(b"null");
        return;
    }
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    out.push(b'{');
    for (at, (key, index)) in sorted.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        string(key.as_bytes(), out);
        out.push(b':');
        value(row, index, form, scratch, out);
    }
    out.push(b'}');
}

/// Appends a JSON string of UTF-8 text.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &c in text {
        match c {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(b'0' + (c >> 4));
                let low = c & 15;
                out.push(if low < 10 { b'0' + low } else { b'a' + low - 10 });
            }
            _ => out.push(c),
        }
    }
    out.push(b'"');
}
