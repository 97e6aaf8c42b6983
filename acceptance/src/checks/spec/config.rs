//! S03, and configurations made from a good one for the rules about check.

use std::collections::HashSet;

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::form;
use crate::rules::{self, Level};
use crate::schema::walk;
use crate::sheet::{Finding, Sheet};

/// Violations of one configuration that are told.
const TOLD: usize = 10;

/// The validator of a schema of configurations. Formats are hints for the form, as for the
/// validators of the runners.
pub(super) fn validator(schema: &Value) -> Result<Validator, String> {
    build(schema, false)
}

fn build(schema: &Value, with_formats: bool) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(with_formats)
        .build(schema)
        .map_err(|error| error.to_string().chars().take(300).collect())
}

/// The configuration as it is validated: without undeclared keys that begin with `_`, which belong
/// to tests.
fn effective(schema: &Value, config: &Value) -> Value {
    let Value::Object(members) = config else { return config.clone() };
    let declared: HashSet<&String> = walk::properties(schema).map(|(name, _)| name).collect();
    let is_kept = |name: &String| !name.starts_with('_') || declared.contains(name);
    let kept = members.iter().filter(|(name, _)| is_kept(name));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Holds a configuration against the spec: S03. Values are never repeated, since they may be
/// secret. `spec` is the payload of the SPEC message, `run` what reports call the run.
pub fn config(spec: &Value, config: &Value, run: &str, sheet: &mut Sheet) {
    let rule = &rules::S03;
    let schema = &spec["connectionSpecification"];
    let config = effective(schema, config);
    let validators = (build(schema, false), build(schema, true));
    let (Ok(validator), Ok(strict)) = validators else {
        return sheet.skip(rule, "connectionSpecification is no valid schema");
    };
    sheet.check(rule);
    let told = |error: &jsonschema::ValidationError<'_>| {
        let at = error.instance_path().to_string();
        let at = if at.is_empty() { "the root".to_owned() } else { format!("`{at}`") };
        format!("{at}: {}", error.masked())
    };
    let mut is_valid = true;
    for error in validator.iter_errors(&config).take(TOLD) {
        is_valid = false;
        sheet.find(Finding::new(rule, told(&error)).in_run(run));
    }
    if is_valid {
        for error in strict.iter_errors(&config).take(TOLD) {
            let reason = "The validators of PyAirbyte and of Airbyte's own tests ignore formats.";
            sheet.find(Finding::new(rule, told(&error)).only(Level::Warning, reason).in_run(run));
        }
    }
}

/// The configuration with a property that no spec knows.
pub fn with_unknown_property(config: &Value) -> Value {
    let mut config = config.clone();
    if let Some(members) = config.as_object_mut() {
        members.insert("acceptance_unknown_property".to_owned(), "of another version".into());
    }
    config
}

/// Configurations that the spec refuses, each made from a valid one by a single change, and what
/// was done: required keys dropped, values of wrong types, empty text where that is forbidden,
/// values that are not among the permitted ones. Required keys come first. Empty when the
/// configuration itself is not valid. `spec` is the payload of the SPEC message.
pub fn breaking_configs(spec: &Value, config: &Value) -> Vec<(String, Value)> {
    let schema = &spec["connectionSpecification"];
    let Ok(validator) = build(schema, false) else { return Vec::new() };
    let base = effective(schema, config);
    if !base.is_object() || !validator.is_valid(&base) {
        return Vec::new();
    }
    let mut changes = Changes::default();
    changes.of_object(schema, &base, &mut Vec::new());
    let mut made = Vec::new();
    let mut seen = HashSet::new();
    for change in changes.dropped.into_iter().chain(changes.set) {
        let mut changed = base.clone();
        change.apply(&mut changed);
        if !validator.is_valid(&changed) && seen.insert(changed.to_string()) {
            // What was left out for the validation is there again for the connector.
            let mut whole = config.clone();
            change.apply(&mut whole);
            made.push((change.what, whole));
        }
    }
    made
}

/// One change of a configuration.
struct Change {
    what: String,
    path: Vec<String>,
    /// The new value; `None` drops the member.
    value: Option<Value>,
}

impl Change {
    fn apply(&self, config: &mut Value) {
        let Some((name, parents)) = self.path.split_last() else { return };
        let parent = parents.iter().try_fold(config, |value, name| value.get_mut(name));
        let Some(Value::Object(members)) = parent else { return };
        match &self.value {
            Some(value) => drop(members.insert(name.clone(), value.clone())),
            None => drop(members.shift_remove(name)),
        }
    }
}

#[derive(Default)]
struct Changes {
    dropped: Vec<Change>,
    set: Vec<Change>,
}

impl Changes {
    fn of_object(&mut self, schema: &Value, value: &Value, path: &mut Vec<String>) {
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = name.as_str() {
                let path = [path.as_slice(), &[name.to_owned()]].concat();
                let what = format!("required `{}` left out", path.join("."));
                self.dropped.push(Change { what, path, value: None });
            }
        }
        for (name, property) in walk::properties(schema) {
            path.push(name.clone());
            self.of_property(property, value.get(name), path);
            path.pop();
        }
        let variants = schema.get("oneOf").or(schema.get("anyOf")).and_then(Value::as_array);
        if let Some(variant) = variants.and_then(|variants| chosen(variants, value)) {
            self.of_object(variant, value, path);
        }
    }

    fn of_property(&mut self, property: &Value, value: Option<&Value>, path: &mut Vec<String>) {
        for (what, wrong) in wrong_values(property) {
            let what = format!("`{}` {what}", path.join("."));
            self.set.push(Change { what, path: path.clone(), value: Some(wrong) });
        }
        if let Some(value @ Value::Object(_)) = value {
            self.of_object(property, value, path);
        }
    }
}

/// The variant that a value chooses: by the shared constant, else by being valid.
fn chosen<'a>(variants: &'a [Value], value: &Value) -> Option<&'a Value> {
    let constants = form::constants(variants);
    if let Some(name) = constants.first()
        && let Some(named) = value.get(name)
    {
        return variants.iter().find(|variant| variant["properties"][*name]["const"] == *named);
    }
    variants.iter().find(|variant| build(variant, false).is_ok_and(|v| v.is_valid(value)))
}

/// Values that a property may well refuse, and how to say so.
fn wrong_values(property: &Value) -> Vec<(String, Value)> {
    let empty = Map::new();
    let schema = property.as_object().unwrap_or(&empty);
    let mut wrong: Vec<(String, Value)> = Vec::new();
    let types = walk::types(schema);
    let other = [
        ("string", json!("of a wrong type"), "a string"),
        ("integer", json!(4711), "a number"),
        ("object", json!({"wrong": "type"}), "an object"),
    ];
    // One of a wrong type is enough; text for a number and a number for text are the usual ones.
    let of_wrong_type = other.iter().find(|(name, ..)| {
        !types.iter().any(|known| known == name || (*known == "number" && *name == "integer"))
    });
    if let Some((_, value, name)) = of_wrong_type.filter(|_| !types.is_empty()) {
        wrong.push((format!("is {name} instead of {}", types.join(" or ")), value.clone()));
    }
    if schema.contains_key("minLength") || schema.contains_key("pattern") {
        wrong.push(("is empty".to_owned(), json!("")));
    }
    if schema.contains_key("pattern") {
        wrong.push(("does not match its pattern".to_owned(), json!("\u{1}")));
    }
    if schema.contains_key("enum") || schema.contains_key("const") {
        let value = match types.iter().find(|name| **name != "null") {
            Some(&("integer" | "number")) => json!(-987_654_321),
            _ => json!("none_of_the_permitted_values"),
        };
        wrong.push(("is none of the permitted values".to_owned(), value));
    }
    for (keyword, by, word) in [("minimum", -1.0, "too small"), ("maximum", 1.0, "too large")] {
        if let Some(limit) = schema.get(keyword).and_then(Value::as_f64) {
            let beyond = limit + by;
            let is_integer = types.contains(&"integer") && beyond.abs() < 9e15;
            #[allow(clippy::cast_possible_truncation, reason = "it is within the exact integers")]
            let value = if is_integer { json!(beyond as i64) } else { json!(beyond) };
            wrong.push((format!("is {word}"), value));
        }
    }
    wrong
}
