//! S11 and S13: what a person who fills in the form has to go by.

use serde_json::{Map, Value};

use super::{Findings, config};
use crate::checks::catalog::some_of;
use crate::rules;
use crate::schema::walk::{Place, Position};

/// The patterns for which the form shows a date picker.
const DATES: [&str; 2] = ["^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "^\\d{4}-\\d{2}-\\d{2}$"];
/// How the patterns of points in time begin.
const TIMES: [&str; 2] = ["^[0-9]{4}-[0-9]{2}-[0-9]{2}T", "^\\d{4}-\\d{2}-\\d{2}T"];

pub(super) fn lint(spec: &Value, positions: &[Position<'_>], found: &mut Findings<'_>) {
    found.check(&rules::S11);
    found.check(&rules::S13);
    links(spec, found);
    titles(positions, found);
    positions.iter().for_each(|position| dates(position, found));
    positions.iter().for_each(|position| values(position, found));
}

fn links(spec: &Value, found: &mut Findings<'_>) {
    let rule = &rules::S11;
    match spec.get("documentationUrl").and_then(Value::as_str) {
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {}
        Some(url) => found.error(rule, format!("documentationUrl `{url}` is no web address")),
        None => found.error(rule, "documentationUrl is missing"),
    }
    if spec.get("protocol_version").is_none_or(Value::is_null) {
        found.error(rule, "protocol_version is missing, so the platform assumes 0.2.0");
    }
}

fn titles(positions: &[Position<'_>], found: &mut Findings<'_>) {
    for keyword in ["title", "description"] {
        let is_missing = |position: &&Position<'_>| {
            let is_shown = position.place == Place::Property
                && !position.has("const")
                && position.schema.get("airbyte_hidden") != Some(&Value::Bool(true));
            let text = position.schema.get(keyword).and_then(Value::as_str);
            is_shown && text.is_none_or(|text| text.trim().is_empty())
        };
        let missing: Vec<String> =
            positions.iter().filter(is_missing).map(Position::shown).collect();
        if !missing.is_empty() {
            found.error(&rules::S11, format!("no {keyword}: {}", some_of(&missing)));
        }
    }
}

/// Format and pattern of dates come together: the one gives the picker, the other the check.
fn dates(position: &Position<'_>, found: &mut Findings<'_>) {
    let text = |key| position.schema.get(key).and_then(Value::as_str);
    let at = position.shown();
    match (text("format"), text("pattern")) {
        (Some(format @ ("date" | "date-time")), None) => found.error(
            &rules::S11,
            format!("{at} has the format {format}, but no pattern, so that any text is taken"),
        ),
        (None, Some(pattern)) => {
            let format = if DATES.contains(&pattern) {
                "date"
            } else if TIMES.iter().any(|begin| pattern.starts_with(begin)) {
                "date-time"
            } else {
                return;
            };
            let message = format!("{at} has the pattern of a date, but not the format {format}");
            found.error(&rules::S11, message);
        }
        _ => {}
    }
}

/// S13.
fn values(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S13;
    if position.place == Place::Root {
        return;
    }
    let schema = position.schema;
    let Some(validator) = own_validator(schema) else { return };
    if let Some(default) = schema.get("default").filter(|default| !default.is_null())
        && !validator.is_valid(default)
    {
        let message = format!("the default {} of {} is not valid", cut(default), position.shown());
        found.error(rule, message);
    }
    for example in schema.get("examples").and_then(Value::as_array).into_iter().flatten() {
        if !validator.is_valid(example) {
            let message =
                format!("the example {} of {} is not valid", cut(example), position.shown());
            found.error(rule, message);
            return;
        }
    }
}

fn own_validator(schema: &Map<String, Value>) -> Option<jsonschema::Validator> {
    let has_values = schema.contains_key("default") || schema.contains_key("examples");
    if !has_values {
        return None;
    }
    config::validator(&Value::Object(schema.clone())).ok()
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(60).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}
