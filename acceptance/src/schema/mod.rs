//! Schemas of records: compiled once, held against many records.

mod fields;
pub mod instant;
mod strict;
pub mod walk;

use std::collections::BTreeSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

pub use fields::Coverage;

use crate::rules::Level;
use fields::Fields;

/// Violations of one record that are told; it is a wrong record after that.
const TOLD: usize = 10;
/// The characters of a message and of a value that are kept.
const KEPT: usize = 240;

/// The schema of a stream's records, ready for many of them.
///
/// Draft 7, with what destinations see more strictly: `1.0` is no integer, dates and times are
/// looked into, and an `airbyte_type` with or without a time zone is taken at its word.
#[derive(Debug)]
pub struct RecordSchema {
    validator: Validator,
    fields: Fields,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Where, as a JSON pointer into the record, with `*` for the places of arrays.
    pub path: String,
    /// What is wrong there, without the value, so that the same fault of many records reads the
    /// same.
    pub message: String,
    /// The value as JSON, cut.
    pub value: String,
    /// How much it matters.
    pub level: Level,
    /// Why it matters less than an error.
    pub reason: Option<&'static str>,
}

impl RecordSchema {
    /// Compiles a schema. The error says what is wrong with the schema.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        Ok(Self { validator: strict::build(schema)?, fields: Fields::of(schema) })
    }

    /// What is wrong with a record; nothing in the best case, which is fast.
    pub fn violations(&self, data: &Value) -> Vec<Violation> {
        if self.validator.is_valid(data) {
            return Vec::new();
        }
        self.validator.iter_errors(data).take(TOLD).map(|error| violation(&error)).collect()
    }

    /// The paths of members that the schema does not declare, such as `/address/zip` or
    /// `/items/*/id`. An object without declared properties may hold anything.
    pub fn undeclared(&self, data: &Value) -> BTreeSet<String> {
        self.fields.undeclared(data)
    }

    /// The paths of all declared fields, as in [`RecordSchema::undeclared`].
    pub fn declared(&self) -> impl Iterator<Item = &str> {
        self.fields.declared()
    }

    /// A list of the declared fields on which records tick off theirs.
    pub fn coverage(&self) -> Coverage {
        Coverage::new(&self.fields)
    }
}

fn violation(error: &ValidationError<'_>) -> Violation {
    let (level, reason) = weight(error.kind());
    let message = match error.kind() {
        ValidationErrorKind::Custom { message, .. } => message.clone(),
        _ => error.masked_with("it").to_string(),
    };
    Violation {
        path: path(error.instance_path().as_str()),
        message: cut(message),
        value: cut(error.instance().to_string()),
        level,
        reason,
    }
}

/// A pointer with `*` in place of numbers, so that the same fault in many places is one.
fn path(pointer: &str) -> String {
    let part = |part: &str| match part.parse::<usize>() {
        Ok(_) => "*".to_owned(),
        Err(_) => part.to_owned(),
    };
    pointer.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn cut(text: String) -> String {
    let cut: String = text.chars().take(KEPT).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}

fn weight(kind: &ValidationErrorKind) -> (Level, Option<&'static str>) {
    match kind {
        ValidationErrorKind::Custom { keyword, .. } if keyword == strict::ZONE => (
            Level::Warning,
            Some("Destinations read it all the same, and take a time without offset for UTC."),
        ),
        ValidationErrorKind::Format { format } if !strict::is_typed_format(format) => {
            (Level::Warning, Some("Destinations store this format as any text."))
        }
        ValidationErrorKind::OneOfMultipleValid { .. } => (
            Level::Warning,
            Some("Destinations take oneOf for a list of possible types and store any of them."),
        ),
        _ => (Level::Error, None),
    }
}

#[cfg(test)]
mod tests;
