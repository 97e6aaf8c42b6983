//! Random values of a schema: what a version accepts, to be tried on the next one.

use fastrand::Rng;
use jsonschema::{Draft, Validator};
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value, json};

use crate::schema::walk;

/// How often a value is made for one that is wanted, before giving up.
const TRIES: usize = 20;
/// Objects inside objects are cut off here.
const DEPTH: usize = 12;
/// More repetitions than these are not made where there is no limit.
const REPEATED: u32 = 6;

/// Up to `count` values that are valid against a schema, the same ones for the same seed. The first
/// ones have only what is required, then everything that can be. Fewer, or none, where valid
/// values are hard to hit.
pub fn samples(schema: &Value, count: usize, seed: u64) -> Vec<Value> {
    let Ok(validator) = validator(schema) else { return Vec::new() };
    let mut rng = Rng::with_seed(seed);
    let mut made = Vec::new();
    for attempt in 0..count.saturating_mul(TRIES) {
        if made.len() == count {
            break;
        }
        let mut maker = Maker { rng: &mut rng, share: share(attempt) };
        let value = maker.value(schema, 0);
        if validator.is_valid(&value) {
            made.push(value);
        }
    }
    made
}

/// The validator of the schemas of configurations.
pub(super) fn validator(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft7)
        .should_validate_formats(false)
        .build(schema)
        .map_err(|error| error.to_string())
}

/// Texts that match a pattern; none where the pattern is beyond this module.
pub(super) fn texts(pattern: &str, count: usize, seed: u64) -> Vec<String> {
    let Some(hir) = parsed(pattern) else { return Vec::new() };
    let mut rng = Rng::with_seed(seed);
    let mut make = |_| {
        let mut text = String::new();
        write(&hir, &mut rng, &mut text).map(|()| text)
    };
    (0..count).filter_map(&mut make).collect()
}

/// How probable an optional member is.
fn share(attempt: usize) -> f64 {
    match attempt % 4 {
        0 if attempt < 4 => 0.0,
        1 if attempt < 4 => 1.0,
        0 => 0.2,
        1 => 0.9,
        _ => 0.5,
    }
}

struct Maker<'a> {
    rng: &'a mut Rng,
    share: f64,
}

impl Maker<'_> {
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        let Value::Object(members) = schema else { return self.any() };
        if let Some(constant) = members.get("const") {
            return constant.clone();
        }
        let values = walk::list(members, "enum");
        if !values.is_empty() {
            return values[self.rng.usize(..values.len())].clone();
        }
        if depth > DEPTH {
            return Value::Null;
        }
        let types = walk::types(members);
        let name = match types.as_slice() {
            [] => untyped(members),
            names => names[self.rng.usize(..names.len())],
        };
        match name {
            "object" => self.object(members, depth),
            "array" => self.array(members, depth),
            "string" => self.text(members),
            "integer" => self.integer(members),
            "number" => self.number(members),
            "boolean" => self.rng.bool().into(),
            "variant" => match self.variant(members) {
                Some(variant) => self.value(variant, depth + 1),
                None => Value::Null,
            },
            "null" => Value::Null,
            _ => self.any(),
        }
    }

    fn any(&mut self) -> Value {
        match self.rng.u8(..5) {
            0 => Value::Null,
            1 => self.rng.bool().into(),
            2 => self.rng.i32(..).into(),
            3 => json!({"any": "thing"}),
            _ => self.word().into(),
        }
    }

    fn variant<'s>(&mut self, schema: &'s Map<String, Value>) -> Option<&'s Value> {
        let variants = ["oneOf", "anyOf"].iter().map(|keyword| walk::list(schema, keyword));
        let variants = variants.into_iter().find(|variants| !variants.is_empty())?;
        Some(&variants[self.rng.usize(..variants.len())])
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let mut made = Map::new();
        self.members(schema, &mut made, depth);
        if let Some(Value::Object(variant)) = self.variant(schema) {
            self.members(variant, &mut made, depth);
        }
        Value::Object(made)
    }

    fn members(
        &mut self,
        schema: &Map<String, Value>,
        made: &mut Map<String, Value>,
        depth: usize,
    ) {
        let required = walk::list(schema, "required");
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            // A constant tells variants apart, so it is always there.
            let is_needed =
                required.iter().any(|required| required == name) || property.get("const").is_some();
            if is_needed || self.rng.f64() < self.share {
                let value = self.value(property, depth + 1);
                made.insert(name.clone(), value);
            }
        }
        for name in required.iter().filter_map(Value::as_str) {
            if !made.contains_key(name) {
                let value = self.any();
                made.insert(name.to_owned(), value);
            }
        }
    }

    fn array(&mut self, schema: &Map<String, Value>, depth: usize) -> Value {
        let least = count(schema, "minItems").unwrap_or(0);
        let most = count(schema, "maxItems").unwrap_or(least + 3).min(least + 3).max(least);
        let length = self.rng.usize(least..=most);
        let items = schema.get("items").unwrap_or(&Value::Bool(true));
        (0..length).map(|_| self.value(items, depth + 1)).collect()
    }

    fn text(&mut self, schema: &Map<String, Value>) -> Value {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
            let made = texts(pattern, 1, self.rng.u64(..)).pop();
            let known = schema.get("default").or(walk::list(schema, "examples").first()).cloned();
            return match made {
                Some(text) => text.into(),
                None => known.unwrap_or_default(),
            };
        }
        match schema.get("format").and_then(Value::as_str) {
            Some("date") => return self.date().into(),
            Some("date-time") => {
                return format!("{}T{:02}:00:00Z", self.date(), self.rng.u8(..24)).into();
            }
            _ => {}
        }
        let least = count(schema, "minLength").unwrap_or(0).min(1000);
        let most =
            count(schema, "maxLength").unwrap_or(least.max(1) + 12).max(least).min(least + 40);
        let length = self.rng.usize(least..=most);
        (0..length).map(|_| self.rng.alphanumeric()).collect::<String>().into()
    }

    fn word(&mut self) -> String {
        let length = self.rng.usize(1..8);
        (0..length).map(|_| self.rng.lowercase()).collect()
    }

    fn date(&mut self) -> String {
        let (year, month, day) = (self.rng.u16(2000..2030), self.rng.u8(1..13), self.rng.u8(1..29));
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn integer(&mut self, schema: &Map<String, Value>) -> Value {
        let (least, most) = self.limits(schema);
        let least = least.ceil().clamp(-9e15, 9e15);
        let most = most.floor().clamp(least, 9e15);
        #[allow(clippy::cast_possible_truncation, reason = "both are within the exact integers")]
        let (least, most) = (least as i64, most as i64);
        // The limits themselves are where mistakes are.
        match self.rng.u8(..4) {
            0 => least.into(),
            1 => most.into(),
            _ => self.rng.i64(least..=most).into(),
        }
    }

    fn number(&mut self, schema: &Map<String, Value>) -> Value {
        let (least, most) = self.limits(schema);
        let value = least + (most - least) * self.rng.f64();
        json!(value)
    }

    fn limits(&mut self, schema: &Map<String, Value>) -> (f64, f64) {
        let limit = |keyword| schema.get(keyword).and_then(Value::as_f64);
        let above = |limit: f64| limit + 1.0;
        let least = limit("minimum").or(limit("exclusiveMinimum").map(above));
        let most = limit("maximum").or(limit("exclusiveMaximum").map(|limit| limit - 1.0));
        match (least, most) {
            (Some(least), Some(most)) => (least, most.max(least)),
            (Some(least), None) => (least, least + 1000.0),
            (None, Some(most)) => (most - 1000.0, most),
            (None, None) => (-1000.0, 1000.0),
        }
    }
}

/// What a schema without a type is for.
fn untyped(schema: &Map<String, Value>) -> &'static str {
    if schema.contains_key("properties") {
        "object"
    } else if schema.contains_key("oneOf") || schema.contains_key("anyOf") {
        "variant"
    } else if schema.contains_key("pattern") || schema.contains_key("minLength") {
        "string"
    } else {
        "anything"
    }
}

fn count(schema: &Map<String, Value>, keyword: &str) -> Option<usize> {
    schema.get(keyword)?.as_u64()?.try_into().ok()
}

fn parsed(pattern: &str) -> Option<Hir> {
    // Digits and the like of ASCII alone: what ECMA-262, which JSON Schema names, means by them.
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    parser.parse(pattern).ok().or_else(|| regex_syntax::parse(pattern).ok())
}

/// Writes a text that matches. `None` where it cannot be written as text.
fn write(hir: &Hir, rng: &mut Rng, text: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(class) => text.push(character(class, rng)?),
        HirKind::Capture(capture) => write(&capture.sub, rng, text)?,
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| write(part, rng, text))?,
        HirKind::Alternation(parts) => write(&parts[rng.usize(..parts.len())], rng, text)?,
        HirKind::Repetition(repetition) => {
            let least = repetition.min.min(1000);
            let most = repetition.max.unwrap_or(least + REPEATED).min(least + REPEATED).max(least);
            for _ in 0..rng.u32(least..=most) {
                write(&repetition.sub, rng, text)?;
            }
        }
    }
    Some(())
}

/// A character of a class, from what can be read where possible.
fn character(class: &Class, rng: &mut Rng) -> Option<char> {
    let ranges: Vec<(u32, u32)> = match class {
        Class::Unicode(class) => {
            class.ranges().iter().map(|r| (u32::from(r.start()), u32::from(r.end()))).collect()
        }
        Class::Bytes(class) => {
            class.ranges().iter().map(|r| (u32::from(r.start()), u32::from(r.end()))).collect()
        }
    };
    let readable: Vec<(u32, u32)> = ranges
        .iter()
        .map(|(start, end)| (*start.max(&0x20), *end.min(&0x7e)))
        .filter(|(start, end)| start <= end)
        .collect();
    let ranges = if readable.is_empty() { ranges } else { readable };
    if ranges.is_empty() {
        return None;
    }
    let (start, end) = ranges[rng.usize(..ranges.len())];
    char::from_u32(rng.u32(start..=end))
}
