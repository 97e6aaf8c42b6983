//! The configuration file: reading it, validating it, finding the secrets in it.

mod validate;

use std::path::Path;

use serde_json::{Map, Value};

pub use validate::validate_config;

use crate::error::{Error, Result};

/// Reads a file that the command line named; `what` is what a message calls it.
pub(crate) fn read_text(what: &str, path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::config(format!("The {what} `{}` cannot be read: {error}", path.display()))
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Error::config(format!("The {what} `{}` is not UTF-8 text", path.display())))
}

/// Reads a configuration file. Fails with a config error that names the file and the line.
pub fn read_config(path: &Path) -> Result<Value> {
    let text = read_text("config file", path)?;
    let config = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        Error::config(format!("The config file `{}` is not valid JSON: {error}", path.display()))
    })?;
    match config {
        Value::Object(_) => Ok(config),
        _ => Err(Error::config(format!(
            "The config file `{}` does not hold a JSON object",
            path.display()
        ))),
    }
}

/// The configuration as a connector sees it: without the keys that begin with `_`, which
/// belong to tests and tools, and without members that are null, which means absent.
pub(crate) fn effective(config: &Value) -> Value {
    let Value::Object(members) = without_nulls(config) else { return config.clone() };
    Value::Object(members.into_iter().filter(|(key, _)| !key.starts_with('_')).collect())
}

fn without_nulls(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    let present = members.iter().filter(|(_, value)| !value.is_null());
    Value::Object(
        present.map(|(key, value)| (key.clone(), without_nulls(value))).collect::<Map<_, _>>(),
    )
}

/// The values in `config` that its schema marks as `airbyte_secret`.
pub(crate) fn secrets(schema: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect_secrets(schema, config, &mut found);
    found
}

fn collect_secrets(schema: &Value, config: &Value, found: &mut Vec<String>) {
    if schema.get("airbyte_secret") == Some(&Value::Bool(true)) {
        collect_scalars(config, found);
        return;
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, property) in properties {
            if let Some(value) = config.get(name) {
                collect_secrets(property, value, found);
            }
        }
    }
    if let Some(Value::Array(variants)) = schema.get("oneOf") {
        // Of all variants: a value in the wrong one is a secret still.
        variants.iter().for_each(|variant| collect_secrets(variant, config, found));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), config) {
        values.iter().for_each(|value| collect_secrets(items, value, found));
    }
}

fn collect_scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect_scalars(item, found)),
        Value::Object(members) => {
            members.values().for_each(|member| collect_scalars(member, found))
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests;
