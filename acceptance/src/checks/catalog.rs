//! D: the catalog that discover prints.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value};

use crate::rules::{self, Level, Rule};
use crate::schema::{
    RecordSchema,
    walk::{self, Place, Position},
};
use crate::sheet::{Finding, Sheet};

/// What a user may turn off by the configuration file of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether primary keys have to be scalars.
    pub validate_primary_keys_data_type: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { validate_primary_keys_data_type: true }
    }
}

/// Looks at the payload of a CATALOG message: D01 (that it has streams), D02 to D07, D10.
/// `run` is what reports call the run.
pub fn lint(catalog: &Value, run: &str, options: Options, sheet: &mut Sheet) {
    sheet.check(&rules::D01);
    let Some(streams) = catalog.get("streams").and_then(Value::as_array) else {
        sheet.find(Finding::new(&rules::D01, "the catalog has no list `streams`").in_run(run));
        return;
    };
    if streams.is_empty() {
        sheet.find(Finding::new(&rules::D01, "the catalog has no streams").in_run(run));
        return;
    }
    unique(streams, run, sheet);
    for (at, stream) in streams.iter().enumerate() {
        let mut found = Findings { stream: shown(stream, at), run, sheet };
        lint_stream(stream, options, &mut found);
    }
}

/// A sheet with what all findings of a stream have in common.
struct Findings<'a> {
    stream: String,
    run: &'a str,
    sheet: &'a mut Sheet,
}

impl Findings<'_> {
    fn add(&mut self, finding: Finding) {
        self.sheet.find(finding.stream(&self.stream).in_run(self.run));
    }

    fn error(&mut self, rule: &'static Rule, message: impl Into<String>) {
        self.add(Finding::new(rule, message));
    }

    fn only(
        &mut self,
        rule: &'static Rule,
        level: Level,
        message: impl Into<String>,
        reason: &str,
    ) {
        self.add(Finding::new(rule, message).only(level, reason));
    }
}

fn shown(stream: &Value, at: usize) -> String {
    let text = |key| stream.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("namespace"), text("name")) {
        (Some(namespace), Some(name)) => format!("{namespace}.{name}"),
        (None, Some(name)) => name.to_owned(),
        _ => format!("stream {}", at + 1),
    }
}

/// D02, and that each stream has a name.
fn unique(streams: &[Value], run: &str, sheet: &mut Sheet) {
    sheet.check(&rules::D02);
    let mut seen = HashSet::new();
    for (at, stream) in streams.iter().enumerate() {
        let Some(name) = stream.get("name").and_then(Value::as_str).filter(|name| !name.is_empty())
        else {
            let message = format!("stream {} of the catalog has no name", at + 1);
            sheet.find(Finding::new(&rules::D02, message).in_run(run));
            continue;
        };
        let namespace = stream.get("namespace").and_then(Value::as_str).unwrap_or_default();
        if !seen.insert((namespace, name)) {
            let message = format!("the stream {} stands twice", shown(stream, at));
            sheet.find(Finding::new(&rules::D02, message).in_run(run).stream(shown(stream, at)));
        }
    }
}

fn lint_stream(stream: &Value, options: Options, found: &mut Findings<'_>) {
    sync_modes(stream, found);
    found.sheet.check(&rules::D03);
    let Some(schema @ Value::Object(_)) = stream.get("json_schema") else {
        found.error(&rules::D03, "json_schema is missing, or no object");
        return;
    };
    schema_shape(schema, found);
    keys(stream, schema, options, found);
    let positions = walk::positions(schema);
    types(&positions, found);
    additional_properties(&positions, found);
    names(schema, found);
}

/// D03.
fn schema_shape(schema: &Value, found: &mut Findings<'_>) {
    if let Err(error) = RecordSchema::compile(schema) {
        found.error(&rules::D03, format!("json_schema is no valid draft 7 schema: {error}"));
    }
    match schema.get("type") {
        Some(Value::String(name)) if name == "object" => {}
        Some(Value::Array(names)) if names.iter().any(|name| name == "object") => {}
        Some(other) => {
            found.error(&rules::D03, format!("json_schema is of type {other}, not of an object"))
        }
        None => found.only(
            &rules::D03,
            Level::Warning,
            "json_schema does not say type object",
            "The platform reads the properties all the same.",
        ),
    }
    match schema.get("properties") {
        Some(Value::Object(members)) if members.is_empty() => found.only(
            &rules::D03,
            Level::Warning,
            "json_schema declares no property",
            "The platform takes it, and makes a table without columns of it.",
        ),
        Some(Value::Object(_)) => {}
        _ => found.error(&rules::D03, "json_schema has no properties"),
    }
    for keyword in ["$ref", "allOf", "not"] {
        let positions = walk::positions(schema);
        let at: Vec<String> =
            positions.iter().filter(|p| p.has(keyword)).map(Position::shown).collect();
        if !at.is_empty() {
            found.error(&rules::D03, format!("`{keyword}` at {}", some_of(&at)));
        }
    }
}

/// The first few of many.
pub(crate) fn some_of(items: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = items.len().saturating_sub(SHOWN);
    let shown = items.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// D04.
fn sync_modes(stream: &Value, found: &mut Findings<'_>) {
    found.sheet.check(&rules::D04);
    let rule = &rules::D04;
    let modes = match stream.get("supported_sync_modes") {
        Some(Value::Array(modes)) if !modes.is_empty() => modes,
        _ => return found.error(rule, "supported_sync_modes is missing or empty"),
    };
    for mode in modes {
        if mode != "full_refresh" && mode != "incremental" {
            found.error(rule, format!("supported_sync_modes has {mode}, which is no sync mode"));
        }
    }
    let has = |name: &str| modes.iter().any(|mode| mode == name);
    if modes.first().is_some_and(|mode| mode != "full_refresh") {
        found.only(
            rule,
            Level::Warning,
            "full_refresh is not the first of supported_sync_modes",
            "The platform takes it, but the first one is preselected by its form and by Meltano.",
        );
    }
    if modes.iter().collect::<HashSet<_>>().len() < modes.len() {
        found.only(
            rule,
            Level::Warning,
            "supported_sync_modes has a mode twice",
            "Runners take the list as a set.",
        );
    }
    cursor(stream, has("incremental"), found);
}

fn cursor(stream: &Value, is_incremental: bool, found: &mut Findings<'_>) {
    let rule = &rules::D04;
    let has_default = match stream.get("default_cursor_field") {
        None | Some(Value::Null) => false,
        Some(Value::Array(path)) => !path.is_empty(),
        // What it is instead is the next rule's business.
        Some(_) => true,
    };
    let is_source_defined = stream.get("source_defined_cursor") == Some(&Value::Bool(true));
    if !is_incremental {
        // A resumable full refresh is to say that its cursor is the source's own.
        let is_resumable = stream.get("is_resumable") == Some(&Value::Bool(true));
        if has_default || is_source_defined && !is_resumable {
            found.only(
                rule,
                Level::Warning,
                "it has a cursor, but supported_sync_modes has no incremental",
                "Runners ignore the cursor, so that nothing breaks.",
            );
        }
        return;
    }
    if !has_default && is_source_defined {
        found.only(
            rule,
            Level::Note,
            "source_defined_cursor without default_cursor_field: nobody can see the cursor",
            "That is right where the cursor is a position in a log.",
        );
    } else if !has_default && !has_scalar(stream) {
        found.error(rule, "it is incremental, but has no cursor, and no field that could be one");
    }
    if stream.get("is_resumable").is_none_or(Value::is_null) {
        found.only(
            rule,
            Level::Note,
            "it is incremental, but does not say is_resumable: true",
            "The platform assumes it for incremental streams.",
        );
    }
}

fn has_scalar(stream: &Value) -> bool {
    let schema = stream.get("json_schema").unwrap_or(&Value::Null);
    let mut properties = walk::properties(schema);
    properties.any(|(_, property)| scalar(&[property]) != Scalar::No)
}

/// D05.
fn keys(stream: &Value, schema: &Value, options: Options, found: &mut Findings<'_>) {
    found.sheet.check(&rules::D05);
    match stream.get("default_cursor_field") {
        None | Some(Value::Null) => {}
        Some(value) => match path_of(value) {
            Some(path) if path.is_empty() => {}
            Some(path) => key_path("the cursor", &path, schema, true, found),
            None => found
                .error(&rules::D05, format!("default_cursor_field is {value}, no list of names")),
        },
    }
    let keys = match stream.get("source_defined_primary_key") {
        None | Some(Value::Null) => return,
        Some(Value::Array(keys)) => keys,
        Some(other) => {
            let message = format!("source_defined_primary_key is {other}, no list of paths");
            return found.error(&rules::D05, message);
        }
    };
    let mut seen = HashSet::new();
    for key in keys {
        match path_of(key).filter(|path| !path.is_empty()) {
            Some(path) => {
                let wants_scalar = options.validate_primary_keys_data_type;
                key_path("the primary key", &path, schema, wants_scalar, found);
                if !seen.insert(path.join(".")) {
                    let message = format!("the primary key has `{}` twice", path.join("."));
                    found.error(&rules::D05, message);
                }
            }
            None => found.error(
                &rules::D05,
                format!("source_defined_primary_key has {key}, which is no path: [[\"id\"]]"),
            ),
        }
    }
}

fn path_of(value: &Value) -> Option<Vec<&str>> {
    value.as_array()?.iter().map(Value::as_str).collect()
}

fn key_path(
    what: &str,
    path: &[&str],
    schema: &Value,
    wants_scalar: bool,
    found: &mut Findings<'_>,
) {
    let schemas = at_path(schema, path);
    let name = path.join(".");
    if schemas.is_empty() {
        return found.error(&rules::D05, format!("{what} `{name}` is not in the schema"));
    }
    if wants_scalar && scalar(&schemas) == Scalar::No {
        found.error(&rules::D05, format!("{what} `{name}` is an object or array"));
    }
}

/// The schemas that declare what stands at a path, through variants.
fn at_path<'a>(schema: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    let Some((first, rest)) = path.split_first() else { return vec![schema] };
    let mut found = Vec::new();
    if let Some(property) = schema.get("properties").and_then(|properties| properties.get(*first)) {
        found.extend(at_path(property, rest));
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        let variants = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
        variants.for_each(|variant| found.extend(at_path(variant, path)));
    }
    found
}

#[derive(PartialEq)]
enum Scalar {
    Yes,
    No,
    Unknown,
}

/// Whether a value of any of these schemas is a scalar; arrays and objects among the types
/// decide.
fn scalar(schemas: &[&Value]) -> Scalar {
    let mut answer = Scalar::Unknown;
    for schema in schemas {
        let Value::Object(schema) = schema else { continue };
        let types = walk::types(schema);
        if types.iter().any(|name| matches!(*name, "object" | "array")) {
            return Scalar::No;
        }
        let variants: Vec<&Value> =
            ["oneOf", "anyOf"].iter().flat_map(|keyword| walk::list(schema, keyword)).collect();
        match scalar(&variants) {
            Scalar::No => return Scalar::No,
            Scalar::Yes => answer = Scalar::Yes,
            Scalar::Unknown if !types.is_empty() => answer = Scalar::Yes,
            Scalar::Unknown => {}
        }
    }
    answer
}

/// D06.
fn types(positions: &[Position<'_>], found: &mut Findings<'_>) {
    found.sheet.check(&rules::D06);
    let mut faults: BTreeMap<(Level, String), Vec<String>> = BTreeMap::new();
    for position in positions {
        for (level, fault) in type_faults(position) {
            // What is inside of a column is stored as JSON, whatever it is.
            let level = if position.depth > 1 || !position.is_plain { Level::Note } else { level };
            faults.entry((level, fault)).or_default().push(position.shown());
        }
    }
    for ((level, fault), at) in faults {
        let message = format!("{fault}: {}", some_of(&at));
        match level {
            Level::Note => found.only(
                &rules::D06,
                level,
                message,
                "Destinations store it as text or JSON, and lose nothing.",
            ),
            _ => found.error(&rules::D06, message),
        }
    }
}

fn type_faults(position: &Position<'_>) -> Vec<(Level, String)> {
    let mut faults = Vec::new();
    let schema = position.schema;
    let types = position.types();
    let plain: Vec<&str> = types.iter().copied().filter(|name| *name != "null").collect();
    let is_typed = ["type", "oneOf", "anyOf", "allOf", "enum", "const", "$ref"]
        .iter()
        .any(|keyword| position.has(keyword));
    if !is_typed && matches!(position.place, Place::Property | Place::Items) {
        faults.push((Level::Warning, "no type".to_owned()));
    }
    if plain.len() > 1 {
        let text = format!("a union of the types {}", plain.join(" and "));
        faults.push((Level::Warning, text));
    }
    if plain.is_empty() && !types.is_empty() {
        faults.push((Level::Warning, "of type null only".to_owned()));
    }
    let format = schema.get("format").and_then(Value::as_str);
    let airbyte = schema.get("airbyte_type").and_then(Value::as_str);
    if let Some(format) = format {
        let is_known = matches!(format, "date" | "date-time" | "time");
        if !is_known {
            faults.push((Level::Note, format!("the format {format}, which destinations ignore")));
        } else if !plain.is_empty() && !plain.contains(&"string") {
            faults.push((Level::Warning, format!("the format {format} on type {}", plain[0])));
        }
    }
    if let Some(fault) = airbyte.and_then(|airbyte| airbyte_type(airbyte, format, &plain)) {
        faults.push((Level::Warning, fault));
    }
    faults
}

/// What is wrong with an `airbyte_type` beside this format and these types.
fn airbyte_type(airbyte: &str, format: Option<&str>, types: &[&str]) -> Option<String> {
    let (wanted_format, wanted_types): (_, &[&str]) = match airbyte {
        "timestamp_with_timezone" | "timestamp_without_timezone" => {
            (Some("date-time"), &["string"])
        }
        "time_with_timezone" | "time_without_timezone" => (Some("time"), &["string"]),
        "integer" => (None, &["number", "integer"]),
        "big_integer" | "big_number" => (None, &["string", "number", "integer"]),
        _ => return Some(format!("the unknown airbyte_type {airbyte}")),
    };
    if wanted_format != format {
        return Some(match wanted_format {
            Some(wanted) => format!("airbyte_type {airbyte} without format {wanted}"),
            None => format!("airbyte_type {airbyte} beside a format"),
        });
    }
    let fits = types.iter().all(|name| wanted_types.contains(name));
    (!fits).then(|| format!("airbyte_type {airbyte} on type {}", types.join(" and ")))
}

/// D07.
fn additional_properties(positions: &[Position<'_>], found: &mut Findings<'_>) {
    found.sheet.check(&rules::D07);
    for position in positions {
        match position.schema.get("additionalProperties") {
            None | Some(Value::Bool(true)) => {}
            Some(Value::Object(_)) => found.only(
                &rules::D07,
                Level::Warning,
                format!("additionalProperties at {} is a schema", position.shown()),
                "The platform stores the object as JSON; Airbyte's own tests refuse it.",
            ),
            Some(other) => {
                let message = format!("additionalProperties at {} is {other}", position.shown());
                found.error(&rules::D07, message);
            }
        }
    }
}

/// D10.
fn names(schema: &Value, found: &mut Findings<'_>) {
    found.sheet.check(&rules::D10);
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in properties.keys() {
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let message = format!("the fields `{other}` and `{name}` differ in case alone");
            found.error(&rules::D10, message);
        }
    }
}

#[cfg(test)]
mod tests;
