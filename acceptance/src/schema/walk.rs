//! Every place of a JSON schema where a schema stands.
//!
//! Going by places and not by keys keeps a property that happens to be called `not` or `type`
//! apart from the keyword.

use serde_json::{Map, Value};

/// Keywords whose value maps names to schemas, `properties` excepted.
const MAPS: [&str; 5] =
    ["patternProperties", "definitions", "$defs", "dependencies", "dependentSchemas"];
/// Keywords whose value is one schema.
const SINGLE: [&str; 9] = [
    "additionalProperties",
    "additionalItems",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
];

/// How a schema hangs in the one above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the whole.
    Root,
    /// Under `properties`.
    Property,
    /// Under `oneOf`.
    OneOf,
    /// Under `anyOf`.
    AnyOf,
    /// Under `items`.
    Items,
    /// Under another keyword.
    Other,
}

/// A schema inside a schema.
#[derive(Debug, Clone)]
pub struct Position<'a> {
    /// For people: `credentials (OAuth).client_id`; empty for the root.
    pub path: String,
    /// The nearest property.
    pub property: Option<&'a str>,
    /// How it hangs in the one above.
    pub place: Place,
    /// Whether only `properties`, `oneOf` and `anyOf` lead here.
    pub is_plain: bool,
    /// How many properties lead here.
    pub depth: usize,
    /// The schema.
    pub schema: &'a Map<String, Value>,
}

impl Position<'_> {
    /// The path, or words for the root.
    pub fn shown(&self) -> String {
        if self.path.is_empty() { "the root".to_owned() } else { format!("`{}`", self.path) }
    }

    /// Whether a keyword stands here.
    pub fn has(&self, keyword: &str) -> bool {
        self.schema.contains_key(keyword)
    }

    /// The names under `type`.
    pub fn types(&self) -> Vec<&str> {
        types(self.schema)
    }

    /// The schemas under `oneOf`.
    pub fn variants(&self) -> &[Value] {
        list(self.schema, "oneOf")
    }
}

/// The names under `type` of a schema: one, several, or none.
pub fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The list under a keyword; empty when there is none.
pub fn list<'a>(schema: &'a Map<String, Value>, keyword: &str) -> &'a [Value] {
    schema.get(keyword).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The properties of a schema; none when it has no such object.
pub fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// What a variant of a `oneOf` is called: its title, its constant, or its number.
pub fn variant_name(variant: &Value, at: usize) -> String {
    if let Some(title) = variant.get("title").and_then(Value::as_str) {
        return title.to_owned();
    }
    let constant = properties(variant).find_map(|(_, property)| property.get("const")?.as_str());
    constant.map_or_else(|| format!("variant {}", at + 1), str::to_owned)
}

/// All schemas inside a schema, itself first.
pub fn positions(schema: &Value) -> Vec<Position<'_>> {
    let mut found = Vec::new();
    if let Value::Object(schema) = schema {
        let root = Position {
            path: String::new(),
            property: None,
            place: Place::Root,
            is_plain: true,
            depth: 0,
            schema,
        };
        visit(root, &mut found);
    }
    found
}

fn visit<'a>(here: Position<'a>, found: &mut Vec<Position<'a>>) {
    found.push(here.clone());
    let mut child = |name: Option<&'a str>, path: String, place: Place, value: &'a Value| {
        let Value::Object(schema) = value else { return };
        let is_plain = here.is_plain && !matches!(place, Place::Items | Place::Other);
        let child = Position {
            path,
            property: name.or(here.property),
            place,
            is_plain,
            depth: here.depth + usize::from(name.is_some()),
            schema,
        };
        visit(child, found);
    };
    for (keyword, value) in here.schema {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(members)) => {
                for (name, value) in members {
                    child(Some(name), join(&here.path, name), Place::Property, value);
                }
            }
            ("oneOf" | "anyOf" | "allOf", Value::Array(variants)) => {
                let place = match keyword.as_str() {
                    "oneOf" => Place::OneOf,
                    "anyOf" => Place::AnyOf,
                    _ => Place::Other,
                };
                for (at, value) in variants.iter().enumerate() {
                    let path = format!("{} ({})", here.path, variant_name(value, at));
                    child(None, path.trim_start().to_owned(), place, value);
                }
            }
            ("items", Value::Array(items)) => {
                for value in items {
                    child(None, format!("{}[]", here.path), Place::Items, value);
                }
            }
            ("items", value) => child(None, format!("{}[]", here.path), Place::Items, value),
            (keyword, Value::Object(members)) if MAPS.contains(&keyword) => {
                for (name, value) in members {
                    child(None, join(&here.path, name), Place::Other, value);
                }
            }
            (keyword, value) if SINGLE.contains(&keyword) => {
                child(None, join(&here.path, keyword), Place::Other, value)
            }
            _ => {}
        }
    }
}

/// A name below a path.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_named_like_keywords_are_properties() {
        let schema = json!({"type": "object", "properties": {
            "not": {"type": "string"},
            "auth": {"type": "object", "oneOf": [
                {"title": "OAuth", "properties": {"type": {"const": "oauth"}}},
                {"properties": {"type": {"const": "key"}}},
            ]},
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}},
        }});
        let paths: Vec<String> = positions(&schema).into_iter().map(|p| p.path).collect();
        assert_eq!(
            paths,
            [
                "",
                "not",
                "auth",
                "auth (OAuth)",
                "auth (OAuth).type",
                "auth (key)",
                "auth (key).type",
                "list",
                "list[]",
                "list[].a"
            ]
        );
    }

    #[test]
    fn items_are_not_plain() {
        let schema = json!({"properties": {"a": {"items": {"properties": {"b": {}}}}}});
        let found = positions(&schema);
        assert!(found.iter().any(|p| p.path == "a" && p.is_plain && p.depth == 1));
        assert!(found.iter().any(|p| p.path == "a[].b" && !p.is_plain && p.depth == 2));
    }
}
