//! A record schema made strict: what JSON Schema leaves open and destinations do not.

use jsonschema::paths::Location;
use jsonschema::{Draft, Keyword, ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::instant::{self, Zone};
use super::walk;

/// The keyword that stands for a strict integer: `1.0` is none.
const INTEGER: &str = "x-strict-integer";
/// The keyword that says whether a time needs an offset; see [`zone`].
pub(super) const ZONE: &str = "x-strict-zone";
/// The formats that are types of their own for destinations; all others are text.
const FORMATS: [&str; 3] = ["date-time", "date", "time"];
/// Floats from here on may be integers of many digits.
const MANY_DIGITS: f64 = 9_223_372_036_854_775_808.0;

/// Builds the validator of a record schema. The error says what is wrong with the schema.
pub(super) fn build(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    if let Err(error) = jsonschema::draft7::meta::validate(schema) {
        return Err(at(&error));
    }
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(true)
        .with_format("date-time", |text: &str| instant::date_time(text).is_some())
        .with_format("date", instant::is_date)
        .with_format("time", |text: &str| instant::time(text).is_some())
        .with_keyword(INTEGER, |_: &Map<String, Value>, _: &Value, _: Location| {
            Ok(Box::new(StrictInteger))
        })
        .with_keyword(ZONE, |_: &Map<String, Value>, wanted: &Value, _: Location| {
            Ok(Box::new(StrictZone(if wanted == "offset" { Zone::Offset } else { Zone::Absent })))
        })
        .build(&strict(schema, false))
        .map_err(|error| at(&error))
}

fn at(error: &ValidationError<'_>) -> String {
    let text: String = error.to_string().chars().take(300).collect();
    match error.instance_path().as_str() {
        "" => text,
        path => format!("{text} at {path}"),
    }
}

/// The schema with the strict keywords. `in_choice`: below a keyword that makes a choice, where
/// what is only a warning must not decide.
fn strict(schema: &Value, in_choice: bool) -> Value {
    let Value::Object(members) = schema else { return schema.clone() };
    let mut made = Map::new();
    for (keyword, value) in members {
        let value = match (keyword.as_str(), value) {
            (
                "properties" | "patternProperties" | "definitions" | "$defs" | "dependencies",
                Value::Object(schemas),
            ) => schemas
                .iter()
                .map(|(name, schema)| (name.clone(), strict(schema, in_choice)))
                .collect(),
            ("oneOf" | "anyOf", Value::Array(schemas)) => {
                schemas.iter().map(|schema| strict(schema, true)).collect()
            }
            ("allOf", Value::Array(schemas)) => {
                schemas.iter().map(|schema| strict(schema, in_choice)).collect()
            }
            ("items", Value::Array(schemas)) => any_of(schemas),
            ("items" | "additionalProperties" | "additionalItems" | "propertyNames", schema) => {
                strict(schema, in_choice)
            }
            ("contains" | "not" | "if" | "then" | "else", schema) => strict(schema, true),
            ("format", format) if in_choice && !is_typed(format) => continue,
            _ => value.clone(),
        };
        made.insert(keyword.clone(), value);
    }
    let types = walk::types(members);
    if types.contains(&"integer") && !types.contains(&"number") {
        made.insert(INTEGER.to_owned(), true.into());
    }
    if let Some(zone) = zone(members).filter(|_| !in_choice) {
        made.insert(ZONE.to_owned(), zone.into());
    }
    Value::Object(made)
}

/// A list under `items` means any of them, not one for each place.
fn any_of(schemas: &[Value]) -> Value {
    if schemas.is_empty() {
        return true.into();
    }
    let schemas: Vec<Value> = schemas.iter().map(|schema| strict(schema, true)).collect();
    json!({ "anyOf": schemas })
}

fn is_typed(format: &Value) -> bool {
    format.as_str().is_some_and(|format| FORMATS.contains(&format))
}

/// Whether a format is one that destinations have a type for.
pub(super) fn is_typed_format(format: &str) -> bool {
    FORMATS.contains(&format)
}

/// What a time of this schema needs: `offset`, `none`, or whatever it likes.
fn zone(schema: &Map<String, Value>) -> Option<&'static str> {
    let format = schema.get("format").and_then(Value::as_str);
    match schema.get("airbyte_type").and_then(Value::as_str) {
        Some("timestamp_with_timezone" | "time_with_timezone") => Some("offset"),
        Some("timestamp_without_timezone" | "time_without_timezone") => Some("none"),
        Some(_) => None,
        None => (format == Some("date-time")).then_some("offset"),
    }
}

struct StrictInteger;

impl<'i> Keyword<'i> for StrictInteger {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        match self.is_valid(instance) {
            true => Ok(()),
            false => Err(ValidationError::custom("it is not of type \"integer\"")),
        }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Value::Number(number) = instance else { return true };
        // Integers beyond 64 bits arrive as floats, too; 1.5 is refused by the type already.
        !number.is_f64()
            || number.as_f64().is_some_and(|n| n.abs() >= MANY_DIGITS || n.fract() != 0.0)
    }
}

struct StrictZone(Zone);

impl<'i> Keyword<'i> for StrictZone {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) {
            return Ok(());
        }
        Err(ValidationError::custom(match self.0 {
            Zone::Offset => "it has no offset, though it is declared with one",
            Zone::Absent => "it has an offset, though it is declared without one",
        }))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        let Value::String(text) = instance else { return true };
        // What is no time at all is the format's business.
        let zone = instant::date_time(text).or_else(|| instant::time(text));
        zone.is_none_or(|zone| zone == self.0)
    }
}
