//! S: the spec, and what follows from it for configurations.

mod config;
mod form;
mod oauth;
mod secrets;
mod words;

use serde_json::Value;

use crate::rules::{self, Level, Rule};
use crate::schema::walk;
use crate::sheet::{Finding, Sheet};

pub use config::{breaking_configs, config, with_unknown_property};
pub use secrets::{secrets, with_wrong_secrets};

/// The sync modes of destinations.
const DESTINATION_SYNC_MODES: [&str; 5] =
    ["append", "overwrite", "append_dedup", "update", "soft_delete"];

/// What the suite knows of the connector whose spec it looks at.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether it is a destination.
    pub is_destination: bool,
    /// Whether OAuth has to be the first choice where it is one.
    pub oauth_is_default: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { is_destination: false, oauth_is_default: true }
    }
}

/// Looks at the payload of a SPEC message: S02, S04 to S09, S11, S13, S14, S15.
/// `run` is what reports call the run.
pub fn lint(spec: &Value, options: Options, run: &str, sheet: &mut Sheet) {
    let mut found = Findings { run, sheet };
    version(spec, &mut found);
    if options.is_destination {
        destination(spec, &mut found);
    }
    let Some(schema) = root(spec, &mut found) else { return };
    let positions = walk::positions(schema);
    secrets::lint(&positions, &mut found);
    form::lint(schema, &positions, &mut found);
    oauth::lint(spec, schema, options.oauth_is_default, &mut found);
    words::lint(spec, &positions, &mut found);
}

/// A sheet with what all findings of a run have in common.
struct Findings<'a> {
    run: &'a str,
    sheet: &'a mut Sheet,
}

impl Findings<'_> {
    fn check(&mut self, rule: &'static Rule) {
        self.sheet.check(rule);
    }

    fn error(&mut self, rule: &'static Rule, message: impl Into<String>) {
        self.sheet.find(Finding::new(rule, message).in_run(self.run));
    }

    fn warning(&mut self, rule: &'static Rule, message: impl Into<String>, reason: &str) {
        let finding = Finding::new(rule, message).only(Level::Warning, reason);
        self.sheet.find(finding.in_run(self.run));
    }
}

/// S02. Gives the schema of the configuration, if it is an object.
fn root<'a>(spec: &'a Value, found: &mut Findings<'_>) -> Option<&'a Value> {
    let rule = &rules::S02;
    found.check(rule);
    let Some(schema) = spec.get("connectionSpecification").filter(|schema| schema.is_object())
    else {
        found.error(rule, "connectionSpecification is missing, or no object");
        return None;
    };
    if let Err(error) = jsonschema::draft7::meta::validate(schema) {
        let text: String = error.to_string().chars().take(300).collect();
        let at = error.instance_path();
        found.error(rule, format!("it is no valid draft 7 schema: {text} at `{at}`"));
    } else if let Err(error) = config::validator(schema) {
        let reason = "The engines of other languages may take it; this suite cannot use it.";
        found.warning(rule, format!("the schema cannot be compiled: {error}"), reason);
    }
    match schema.get("type") {
        Some(Value::String(name)) if name == "object" => {}
        None => found.warning(
            rule,
            "connectionSpecification does not say type object",
            "The platform reads the properties all the same.",
        ),
        Some(other) => {
            found.error(rule, format!("connectionSpecification is of type {other}, not object"))
        }
    }
    if !schema["properties"].is_object() && schema.get("oneOf").is_none() {
        let reason = "The platform takes it for a connector without settings.";
        found.warning(rule, "connectionSpecification has no properties", reason);
    }
    required(schema, found);
    Some(schema)
}

/// What is required has to be declared, else no form can ask for it.
fn required(schema: &Value, found: &mut Findings<'_>) {
    for position in walk::positions(schema) {
        let Some(properties) = position.schema.get("properties").and_then(Value::as_object) else {
            continue;
        };
        let names = walk::list(position.schema, "required").iter().filter_map(Value::as_str);
        for name in names.filter(|name| !properties.contains_key(*name)) {
            let message = format!("`{name}` is required at {}, but not declared", position.shown());
            let reason = "The schema is valid, but no form asks for it, so nobody can set it.";
            found.warning(&rules::S02, message, reason);
        }
    }
}

/// S14.
fn destination(spec: &Value, found: &mut Findings<'_>) {
    let rule = &rules::S14;
    found.check(rule);
    match spec.get("supported_destination_sync_modes").and_then(Value::as_array) {
        Some(modes) if !modes.is_empty() => {
            for mode in modes {
                if !mode.as_str().is_some_and(|mode| DESTINATION_SYNC_MODES.contains(&mode)) {
                    found.error(rule, format!("{mode} is no sync mode of destinations"));
                }
            }
        }
        _ => found.error(rule, "supported_destination_sync_modes is missing or empty"),
    }
}

/// S15.
fn version(spec: &Value, found: &mut Findings<'_>) {
    let rule = &rules::S15;
    found.check(rule);
    let version = match spec.get("protocol_version") {
        None | Some(Value::Null) => return,
        Some(version) => version,
    };
    let parts: Option<Vec<u64>> = version
        .as_str()
        .map(|text| text.split('.').map(|part| part.parse().ok()).collect())
        .unwrap_or_default();
    match parts.as_deref() {
        Some([0, _, _]) => {}
        Some([major, _, _]) => {
            found.error(rule, format!("protocol_version {version} has major number {major}, not 0"))
        }
        _ => found.error(rule, format!("protocol_version {version} is no version like 0.18.0")),
    }
}

#[cfg(test)]
mod tests;
