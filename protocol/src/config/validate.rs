//! Validation of a configuration against the specification, in words.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, ValidationError};
use serde_json::Value;

use super::effective;
use crate::error::{Error, Result};

/// More problems than these are not told at once.
const MOST_PROBLEMS: usize = 5;

/// Validates a configuration against its JSON schema. Keys that begin with `_` are ignored.
///
/// The config error names each offending field by its JSON pointer and says what was expected; it
/// never repeats a value of the configuration.
pub fn validate_config(schema: &Value, config: &Value) -> Result<()> {
    let problems = problems(schema, &effective(config), "")?;
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::config(format!("Config validation error: {}", problems.join("; "))))
}

/// What is wrong with `value`, which stands at the pointer `at`.
fn problems(schema: &Value, value: &Value, at: &str) -> Result<Vec<String>> {
    // Formats are hints for forms: what must hold is said by a pattern.
    let validator = jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(false)
        .build(schema)
        .map_err(|error| {
            Error::system("The connector's specification is not a valid JSON schema")
                .with_internal(error.to_string())
        })?;
    let mut problems = Vec::new();
    for error in validator.iter_errors(value).take(MOST_PROBLEMS) {
        let at = format!("{at}{}", error.instance_path());
        match error.kind() {
            ValidationErrorKind::OneOfNotValid { .. } => {
                problems.extend(of_variants(schema, &error, &at)?)
            }
            _ => problems.push(describe(schema, &error, &at)),
        }
    }
    Ok(problems)
}

/// What is wrong with a value that fits no variant: seen from the variant that it names.
fn of_variants(schema: &Value, error: &ValidationError<'_>, at: &str) -> Result<Vec<String>> {
    let general = || vec![format!("{at} fits none of its variants")];
    let Some(variants) = schema.pointer(&error.schema_path().to_string()).and_then(Value::as_array)
    else {
        return Ok(general());
    };
    let Some(key) = discriminator(variants) else { return Ok(general()) };
    let constant = |variant: &Value| variant.pointer(&format!("/properties/{key}/const")).cloned();
    let value = error.instance();
    if !value.is_object() {
        return Ok(vec![format!("{} must be an object, is {}", shown(at), type_name(value))]);
    }
    let named = variants.iter().find(|variant| constant(variant).as_ref() == value.get(&key));
    match named {
        Some(variant) => problems(variant, value, at),
        None => {
            let names: Vec<String> =
                variants.iter().filter_map(constant).map(|name| name.to_string()).collect();
            Ok(vec![format!("{at}/{key} must be one of {}", names.join(", "))])
        }
    }
}

/// The property that tells variants apart: the first that has a `const` in all of them.
fn discriminator(variants: &[Value]) -> Option<String> {
    let properties = variants.first()?.get("properties")?.as_object()?;
    let has_const =
        |variant: &Value, key: &str| variant.pointer(&format!("/properties/{key}/const")).is_some();
    properties.keys().find(|key| variants.iter().all(|variant| has_const(variant, key))).cloned()
}

fn describe(schema: &Value, error: &ValidationError<'_>, at: &str) -> String {
    let at_shown = shown(at);
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("{at}/{} is required and missing", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind } => {
            format!(
                "{at_shown} must be of type {}, is {}",
                type_names(kind),
                type_name(error.instance())
            )
        }
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            format!("{at_shown} must be one of {}", options.join(", "))
        }
        ValidationErrorKind::Constant { expected_value } => {
            format!("{at_shown} must be {expected_value}")
        }
        ValidationErrorKind::Pattern { pattern } => match pattern_descriptor(schema, error) {
            Some(descriptor) => {
                format!("{at_shown} must look like {descriptor} (pattern {pattern})")
            }
            None => format!("{at_shown} must match the pattern {pattern}"),
        },
        ValidationErrorKind::Minimum { limit } => format!("{at_shown} must be at least {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("{at_shown} must be more than {limit}")
        }
        ValidationErrorKind::Maximum { limit } => format!("{at_shown} must be at most {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("{at_shown} must be less than {limit}")
        }
        ValidationErrorKind::MinLength { limit } => {
            format!("{at_shown} must have at least {limit} characters")
        }
        ValidationErrorKind::MaxLength { limit } => {
            format!("{at_shown} must have at most {limit} characters")
        }
        ValidationErrorKind::MinItems { limit } => {
            format!("{at_shown} must have at least {limit} items")
        }
        ValidationErrorKind::MaxItems { limit } => {
            format!("{at_shown} must have at most {limit} items")
        }
        ValidationErrorKind::UniqueItems => format!("{at_shown} must not hold an item twice"),
        other => format!("{at_shown} does not satisfy `{}` of the specification", other.keyword()),
    }
}

/// The human form of a pattern, which stands beside it in the schema.
fn pattern_descriptor<'a>(schema: &'a Value, error: &ValidationError<'_>) -> Option<&'a str> {
    let path = error.schema_path().to_string();
    let (field, _) = path.rsplit_once('/')?;
    schema.pointer(field)?.get("pattern_descriptor")?.as_str()
}

/// The pointer of the whole configuration is the empty text.
fn shown(at: &str) -> &str {
    if at.is_empty() { "the configuration" } else { at }
}

fn type_names(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => one.to_string(),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            names.join(" or ")
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
