//! The file against the JSON schema of [`Config`]: finds wrong types and unknown keys, joins paths.
//!
//! It understands what schemars makes of the structs, no more. What it lets through is still read
//! by serde; what it refuses, it refuses with a place and a sentence.

use std::path::Path;
use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::{Config, Note, NoteKind, Problem};

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
});

/// The JSON schema of `acceptance.yml`, for editors.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// Walks through a file.
pub(super) struct Walk<'a> {
    /// Paths are joined with it.
    pub folder: &'a Path,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What nobody knows.
    pub notes: Vec<Note>,
}

impl Walk<'_> {
    /// Looks at a value and all that is in it. Nulls of known keys are taken out, as if the key
    /// were not there.
    pub fn value(&mut self, schema: &Value, value: &mut Value, path: &str) {
        if let Some(words) = words(schema) {
            return self.word(&words, value, path);
        }
        let Some(schema) = fitting(schema, value) else {
            let text = format!("{} is needed here, not {}", wanted(schema), kind(value));
            return self.problem(path, text, schema);
        };
        adapt(schema, value);
        if let Some(least) = schema["minimum"].as_f64()
            && value.as_f64().is_some_and(|number| number < least)
        {
            self.problem(path, format!("{value} is too small; {least} is the least"), schema);
        }
        match value {
            Value::Object(members) => self.object(schema, members, path),
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.value(&schema["items"], item, &format!("{path}[{at}]"));
                }
            }
            Value::String(text) if schema["format"] == "path" => {
                *text = self.folder.join(&*text).to_string_lossy().into_owned();
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &Value, members: &mut Map<String, Value>, path: &str) {
        let known = schema["properties"].as_object();
        let others = schema.get("additionalProperties");
        if known.is_none() && others.is_none_or(|others| !others.is_object()) {
            return;
        }
        members.retain(|_, value| !value.is_null());
        for (key, value) in members.iter_mut() {
            let place = join(path, key);
            match known.and_then(|known| known.get(key)).or(others.filter(|o| o.is_object())) {
                Some(schema) => self.value(schema, value, &place),
                None => self.unknown(known, key, place),
            }
        }
        let required =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for key in required.filter(|key| !members.contains_key(*key)) {
            let about = known.and_then(|known| known.get(key)).unwrap_or(&Value::Null);
            self.problem(path, format!("the key `{key}` is missing; add it"), about);
        }
    }

    fn word(&mut self, words: &[&str], value: &Value, path: &str) {
        let list = words.join(", ");
        match value.as_str() {
            Some(word) if words.contains(&word) => {}
            Some(word) => {
                let meant = nearest(word, words.iter().copied());
                let meant =
                    meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                self.problem(path, format!("`{word}` is none of: {list}{meant}"), &Value::Null);
            }
            None => {
                let text = format!("one of these is needed here: {list}; not {}", kind(value));
                self.problem(path, text, &Value::Null);
            }
        }
    }

    fn unknown(&mut self, known: Option<&Map<String, Value>>, key: &str, path: String) {
        let siblings = known.into_iter().flat_map(Map::keys).map(String::as_str);
        let text = match (nearest(key, siblings), elsewhere(&SCHEMA, key, "")) {
            (Some(meant), _) => {
                format!("nobody knows this key, so it is ignored; did you mean `{meant}`?")
            }
            (None, Some(place)) => {
                format!("this key has no meaning here, so it is ignored; it belongs to {place}")
            }
            (None, None) => "nobody knows this key, so it is ignored; take it out".to_owned(),
        };
        self.notes.push(Note { kind: NoteKind::UnknownKey, path, text });
    }

    fn problem(&mut self, path: &str, text: String, about: &Value) {
        let about = about["description"].as_str().map(|about| about.replace('\n', " "));
        let text = match about.filter(|_| !path.is_empty()) {
            Some(about) => format!("{text}. The key: {about}"),
            None => text,
        };
        self.problems.push(Problem { path: path.to_owned(), text });
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    schema.get("anyOf").or(schema.get("oneOf"))?.as_array()
}

/// The words of an enumeration.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(listed) = schema["enum"].as_array() {
        return Some(listed.iter().filter_map(Value::as_str).collect());
    }
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    let mut all = Vec::new();
    for one in alternatives(schema)?.iter().filter(|one| one["type"] != "null") {
        all.extend(words(one)?);
    }
    Some(all)
}

/// The schema itself, or the one of its alternatives that a value is meant for.
fn fitting<'a>(schema: &'a Value, value: &Value) -> Option<&'a Value> {
    let Some(alternatives) = alternatives(schema) else {
        return fits(schema, value).then_some(schema);
    };
    // An enumeration fits by its word; then other texts.
    let by_word = alternatives.iter().find(|one| {
        words(one).is_some_and(|words| value.as_str().is_some_and(|word| words.contains(&word)))
    });
    let open = || alternatives.iter().filter(|one| words(one).is_none());
    let as_it_is = || open().find(|one| types(one).contains(&type_of(value)));
    by_word.or_else(as_it_is).or_else(|| open().find_map(|one| fitting(one, value)))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if whole(number).is_some() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => {
            many.iter().filter_map(Value::as_str).filter(|t| *t != "null").collect()
        }
        _ => Vec::new(),
    }
}

fn fits(schema: &Value, value: &Value) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|wanted| match (*wanted, value) {
            ("object", Value::Object(_)) | ("array", Value::Array(_)) => true,
            ("string", Value::String(_)) | ("number", Value::Number(_)) => true,
            // A name of digits needs no quotes; what has a point would lose zeros.
            ("string", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("boolean", Value::Bool(_)) => true,
            ("boolean", Value::String(word)) => switch(word).is_some(),
            ("integer", Value::Number(number)) => whole(number).is_some(),
            _ => false,
        })
}

/// Brings a value that [`fits`] into the type that is wanted.
fn adapt(schema: &Value, value: &mut Value) {
    let types = types(schema);
    let is = |wanted: &str| types.contains(&wanted);
    let adapted = match &*value {
        Value::Number(number) if is("string") && !is("number") && !is("integer") => {
            Value::String(number.to_string())
        }
        Value::Number(number) if is("integer") => whole(number).map_or(Value::Null, Value::from),
        Value::String(word) if is("boolean") && !is("string") => {
            switch(word).map_or(Value::Null, Value::Bool)
        }
        _ => return,
    };
    *value = adapted;
}

/// YAML before version 1.2 took these words for booleans, and people still write them.
fn switch(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "on" | "true" => Some(true),
        "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

fn whole(number: &serde_json::Number) -> Option<i64> {
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() < 9e15;
    number.as_i64().or_else(|| number.as_f64().filter(is_whole).map(|float| float as i64))
}

fn wanted(schema: &Value) -> String {
    if let Some(words) = words(schema) {
        return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ");
    }
    if let Some(alternatives) = alternatives(schema) {
        let open = alternatives.iter().filter(|one| one["type"] != "null");
        return open.map(wanted).collect::<Vec<_>>().join(" or ");
    }
    let names = types(schema).into_iter().map(|one| match one {
        "object" => "a map of keys",
        "array" => "a list (each item after a `- `)",
        "string" => "a text (in quotes if it looks like a number)",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        other => other,
    });
    names.collect::<Vec<_>>().join(" or ")
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(switch) => format!("{switch}"),
        Value::Number(number) => format!("the number {number}"),
        // Long texts may be secrets in the wrong place.
        Value::String(text) if text.chars().count() <= 20 => format!("the text `{text}`"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map of keys".to_owned(),
    }
}

/// The name that is most like a word, if one is like it at all.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let scored = names.map(|name| (strsim::normalized_damerau_levenshtein(&word, name), name));
    let best = scored.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (best.0 > 0.65).then_some(best.1)
}

/// Where else in the file a key has a meaning.
fn elsewhere(schema: &Value, key: &str, path: &str) -> Option<String> {
    let place = if path.is_empty() { "the root".to_owned() } else { path.to_owned() };
    let members = schema["properties"].as_object();
    if members.is_some_and(|members| members.contains_key(key)) {
        return Some(place);
    }
    let in_members = members.into_iter().flatten();
    in_members
        .filter_map(|(name, schema)| elsewhere(schema, key, &join(path, name)))
        .chain(schema.get("items").and_then(|item| elsewhere(item, key, &format!("{path}[]"))))
        .chain(
            alternatives(schema).into_iter().flatten().filter_map(|one| elsewhere(one, key, path)),
        )
        .next()
}
