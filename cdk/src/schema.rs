//! JSON schemas of streams.

use airbyte_protocol::{Error, Result};
use serde_json::Value;

/// Reads a schema file that is compiled into a connector.
///
/// # Errors
/// System: the text is no object schema with properties, which a platform refuses.
pub fn parse(stream: &str, text: &str) -> Result<Value> {
    let wrong = |why: String| {
        Error::system(format!("The schema of stream '{stream}' is broken.")).with_internal(why)
    };
    let schema: Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    match schema.get("properties") {
        Some(Value::Object(_)) => Ok(schema),
        _ => Err(wrong("no properties".into())),
    }
}

/// Top-level fields of a record that its schema does not declare. Platforms drop them, so
/// a connector's tests keep this empty.
pub fn undeclared<'r>(schema: &Value, record: &'r Value) -> Vec<&'r str> {
    let declared = schema.get("properties").and_then(Value::as_object);
    let Some(record) = record.as_object() else { return Vec::new() };
    record
        .keys()
        .filter(|key| declared.is_none_or(|fields| !fields.contains_key(*key)))
        .map(String::as_str)
        .collect()
}

/// Checks records against a stream's schema: types as declared, every field declared.
#[derive(Debug)]
pub struct Conformance {
    schema: Value,
    validator: jsonschema::Validator,
}

impl Conformance {
    /// A checker for `schema`.
    ///
    /// # Errors
    /// System: the schema itself is not valid.
    pub fn new(schema: Value) -> Result<Self> {
        let validator = jsonschema::validator_for(&schema).map_err(|e| {
            Error::system("A stream's schema is not a valid JSON schema.")
                .with_internal(e.to_string())
        })?;
        Ok(Conformance { schema, validator })
    }

    /// What is wrong with a record, one line each: the place and the finding.
    pub fn findings(&self, record: &Value) -> Vec<String> {
        let mut found: Vec<String> = self
            .validator
            .iter_errors(record)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        found.extend(
            undeclared(&self.schema, record)
                .into_iter()
                .map(|field| format!("/{field}: not declared")),
        );
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conformance_names_what_is_wrong() {
        let schema =
            parse("s", r#"{"type":"object","properties":{"id":{"type":["null","string"]}}}"#)
                .unwrap();
        let check = Conformance::new(schema).unwrap();
        assert!(check.findings(&json!({ "id": null })).is_empty());
        let found = check.findings(&json!({ "id": 3, "new": 1 }));
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("/id"), "{found:?}");
        assert_eq!(found[1], "/new: not declared");
        assert!(parse("s", r#"{"type":"object"}"#).is_err());
    }
}
