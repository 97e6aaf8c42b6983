//! A: what stands beside the program: metadata, image, documentation, manifest.

mod documentation;
mod interleaved;

use std::collections::BTreeSet;

use serde_json::Value;

use super::catalog::some_of;
use crate::rules::{self, Level, Rule};
use crate::sheet::{Finding, Sheet};

pub use documentation::{AskLink, Document, documentation};
pub use interleaved::interleaved;

/// The quality level from which on Airbyte calls a connector certified.
const CERTIFIED: u64 = 400;
/// File types of structured data, all of which certified file sources read.
const DATA_FILES: [&str; 4] = [".avro", ".csv", ".jsonl", ".parquet"];
/// File types of texts, one of which certified file sources read.
const TEXT_FILES: [&str; 6] = [".pdf", ".doc", ".docx", ".ppt", ".pptx", ".md"];

/// Whether `metadata.yaml` is that of a connector that Airbyte calls certified.
pub fn is_certified(metadata: &Value) -> bool {
    let level = &metadata["data"]["ab_internal"]["ql"];
    level.as_u64().is_some_and(|level| level >= CERTIFIED)
        || metadata["data"]["supportLevel"] == "certified"
}

/// A01: each stream of a CATALOG payload has a primary key, those in `exempt` excepted.
pub fn primary_keys(catalog: &Value, exempt: &[String], sheet: &mut Sheet) {
    let rule = &rules::A01;
    sheet.check(rule);
    for stream in catalog.get("streams").and_then(Value::as_array).into_iter().flatten() {
        let name = stream.get("name").and_then(Value::as_str).unwrap_or_default();
        let keys = stream.get("source_defined_primary_key").and_then(Value::as_array);
        let has_key = keys.is_some_and(|keys| !keys.is_empty());
        if !has_key && !exempt.iter().any(|exempt| exempt == name) {
            sheet.find(Finding::new(rule, "it has no primary key").stream(name));
        }
    }
}

/// A02 and A03: `metadata.yaml` names hosts and suggests streams, which have to be in the catalog
/// where one is given.
pub fn metadata(metadata: &Value, catalog: Option<&Value>, sheet: &mut Sheet) {
    let data = &metadata["data"];
    named(&rules::A02, metadata, "allowedHosts.hosts", &data["allowedHosts"]["hosts"], sheet);
    let suggested = &data["suggestedStreams"]["streams"];
    named(&rules::A03, metadata, "suggestedStreams.streams", suggested, sheet);
    let Some(catalog) = catalog else { return };
    let known: BTreeSet<&str> = catalog["streams"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stream| stream["name"].as_str())
        .collect();
    let unknown: Vec<String> = suggested
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|name| !known.contains(name))
        .map(str::to_owned)
        .collect();
    if !unknown.is_empty() {
        let message = format!("suggested, but not in the catalog: {}", some_of(&unknown));
        sheet.find(Finding::new(&rules::A03, message));
    }
}

fn named(rule: &'static Rule, metadata: &Value, key: &str, list: &Value, sheet: &mut Sheet) {
    sheet.check(rule);
    if list.as_array().is_some_and(|list| !list.is_empty()) {
        return;
    }
    let finding = Finding::new(rule, format!("data.{key} is missing or empty"));
    sheet.find(match is_certified(metadata) {
        true => finding,
        false => finding.only(Level::Note, "Only certified connectors need it."),
    });
}

/// A04 and A05: labels and environment of an image, from what `docker inspect` prints: an object,
/// or a list with one. Without `metadata.yaml` the labels only have to be there.
pub fn image(inspected: &Value, metadata: Option<&Value>, sheet: &mut Sheet) {
    let image = inspected.get(0).unwrap_or(inspected);
    let config = image.get("Config").unwrap_or(&Value::Null);
    labels(config, metadata, sheet);
    entrypoint(config, sheet);
}

fn labels(config: &Value, metadata: Option<&Value>, sheet: &mut Sheet) {
    let rule = &rules::A04;
    sheet.check(rule);
    for (label, key) in
        [("io.airbyte.name", "dockerRepository"), ("io.airbyte.version", "dockerImageTag")]
    {
        let actual = config["Labels"][label].as_str();
        let wanted = metadata.map(|metadata| &metadata["data"][key]);
        let wanted = wanted.and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            // A version such as 1.0 is read as a number.
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        match (actual, wanted) {
            (None, _) => sheet.find(Finding::new(rule, format!("the label {label} is missing"))),
            (Some(actual), Some(wanted)) if actual != wanted => sheet.find(Finding::new(
                rule,
                format!("the label {label} is {actual}, but {key} is {wanted}"),
            )),
            _ => {}
        }
    }
}

fn entrypoint(config: &Value, sheet: &mut Sheet) {
    let rule = &rules::A05;
    sheet.check(rule);
    let parts = config["Entrypoint"].as_array().into_iter().flatten();
    let entrypoint = parts.filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let variables = config["Env"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut values = variables.filter_map(|variable| variable.strip_prefix("AIRBYTE_ENTRYPOINT="));
    let message = match values.next() {
        None => "AIRBYTE_ENTRYPOINT is not set".to_owned(),
        Some(_) if entrypoint.is_empty() => "the image has no entrypoint".to_owned(),
        Some(value) if value != entrypoint => {
            format!("AIRBYTE_ENTRYPOINT is `{value}`, the entrypoint `{entrypoint}`")
        }
        Some(_) => return,
    };
    sheet.find(Finding::new(rule, message));
}

/// A10: the records of a file source come from files of all types, those in `unsupported` (such as
/// `.avro`) excepted. `records` are the data of the records.
pub fn file_types<'a>(
    records: impl IntoIterator<Item = &'a Value>,
    unsupported: &[String],
    sheet: &mut Sheet,
) {
    let rule = &rules::A10;
    sheet.check(rule);
    let seen: BTreeSet<String> = records
        .into_iter()
        .filter_map(|data| extension(data.get("_ab_source_file_url")?.as_str()?))
        .collect();
    let is_wanted = |end: &&&str| !unsupported.iter().any(|other| other.eq_ignore_ascii_case(end));
    for end in DATA_FILES.iter().filter(is_wanted).filter(|end| !seen.contains(**end)) {
        sheet.find(Finding::new(rule, format!("no record comes from a file of type {end}")));
    }
    let texts: Vec<&&str> = TEXT_FILES.iter().filter(is_wanted).collect();
    if !texts.is_empty() && !texts.iter().any(|end| seen.contains(**end)) {
        let names: Vec<String> = texts.iter().map(|end| (**end).to_owned()).collect();
        let message = format!("no record comes from a file of any type of {}", names.join(", "));
        sheet.find(Finding::new(rule, message));
    }
}

/// The end of a file's name with its point, in small letters.
fn extension(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (stem, end) = path.rsplit('/').next()?.rsplit_once('.')?;
    // Compressed files are what is inside.
    let end = match end {
        "gz" | "bz2" | "zip" => stem.rsplit_once('.').map_or(end, |(_, inner)| inner),
        end => end,
    };
    Some(format!(".{}", end.to_lowercase()))
}

#[cfg(test)]
mod tests;
