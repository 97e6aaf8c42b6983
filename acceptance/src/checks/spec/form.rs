//! S05 to S08: what the platform's form can show.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Findings;
use crate::rules;
use crate::schema::walk::{self, Place, Position};

/// Keywords that the form does not know.
const FORBIDDEN: [&str; 11] = [
    "not",
    "anyOf",
    "patternProperties",
    "prefixItems",
    "allOf",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "$ref",
];

pub(super) fn lint(schema: &Value, positions: &[Position<'_>], found: &mut Findings<'_>) {
    for rule in [&rules::S05, &rules::S06, &rules::S07, &rules::S08] {
        found.check(rule);
    }
    for position in positions {
        if position.has("oneOf") {
            choice(position, found);
        }
        keywords(position, found);
        types(position, found);
        items(position, found);
        usage(position, found);
        if let Some(value) = position.schema.get("additionalProperties")
            && value != &Value::Bool(true)
        {
            let message = format!("additionalProperties at {} is {value}", position.shown());
            found.error(&rules::S08, message);
        }
    }
    groups(schema, positions, found);
}

/// S05.
fn choice(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S05;
    let at = position.shown();
    if position.types() != ["object"] {
        found.error(rule, format!("{at} has oneOf, but is not of type object"));
    }
    let variants = position.variants();
    if variants.is_empty() {
        return found.error(rule, format!("oneOf at {at} has no variants"));
    }
    let mut all_have_properties = true;
    for (number, variant) in variants.iter().enumerate() {
        let name = walk::variant_name(variant, number);
        if !variant.get("properties").is_some_and(Value::is_object) {
            all_have_properties = false;
            found.error(rule, format!("variant `{name}` of oneOf at {at} has no properties"));
        }
        if variant.get("title").and_then(Value::as_str).is_none() {
            let message = format!("variant `{name}` of oneOf at {at} has no title");
            found.warning(rule, message, "The form shows it, but with no name to choose it by.");
        }
    }
    if all_have_properties {
        discriminator(&at, variants, found);
    }
}

fn discriminator(at: &str, variants: &[Value], found: &mut Findings<'_>) {
    let rule = &rules::S05;
    let shared = constants(variants);
    let [name] = shared.as_slice() else {
        let text = match shared.as_slice() {
            [] => "share no property with const".to_owned(),
            names => format!("share several properties with const: {}", names.join(", ")),
        };
        return found.error(rule, format!("the variants of oneOf at {at} {text}"));
    };
    let mut seen: Vec<&Value> = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        let property = &variant["properties"][*name];
        let constant = &property["const"];
        let variant_name = walk::variant_name(variant, number);
        let place = format!("`{name}` of variant `{variant_name}` at {at}");
        if seen.contains(&constant) {
            found.error(rule, format!("{place} has the const {constant} of another variant"));
        }
        seen.push(constant);
        if property.get("default").is_some_and(|default| default != constant) {
            found.error(rule, format!("{place} has a default other than its const"));
        }
        if let Some(values) = property.get("enum")
            && values.as_array().is_none_or(|values| values.as_slice() != [constant.clone()])
        {
            found.error(rule, format!("{place} has an enum other than its const alone"));
        }
        let required = variant.get("required").and_then(Value::as_array);
        if !required.is_some_and(|names| names.iter().any(|required| required == name)) {
            let message = format!("{place} is not required");
            let reason = "The form sets it, but a configuration written by hand without it may fit \
                          several variants, and is refused.";
            found.warning(rule, message, reason);
        }
    }
}

/// The properties that have a const in every variant.
pub(super) fn constants(variants: &[Value]) -> Vec<&str> {
    let Some((first, rest)) = variants.split_first() else { return Vec::new() };
    let has_const =
        |variant: &Value, name: &str| variant["properties"][name].get("const").is_some();
    walk::properties(first)
        .map(|(name, _)| name.as_str())
        .filter(|name| has_const(first, name) && rest.iter().all(|other| has_const(other, name)))
        .collect()
}

/// S06: keywords.
fn keywords(position: &Position<'_>, found: &mut Findings<'_>) {
    for keyword in FORBIDDEN.iter().filter(|keyword| position.has(keyword)) {
        found.error(&rules::S06, format!("`{keyword}` at {}", position.shown()));
    }
}

/// S06: types, and objects that are empty.
fn types(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S06;
    let at = position.shown();
    if position.schema.get("type").is_some_and(Value::is_array) {
        let types = position.types();
        match types.as_slice() {
            [_] | [_, "null"] => {}
            ["null", _] => found.warning(
                rule,
                format!("the types {} at {at} begin with null", types.join(", ")),
                "The platform reads them, but Airbyte's own tests want null last.",
            ),
            _ => found.error(rule, format!("a union of the types {} at {at}", types.join(", "))),
        }
    }
    let is_empty = position.types().contains(&"object")
        && position.place != Place::Root
        && !position.has("oneOf")
        && position.schema.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty);
    // Variants that only say which one they are may leave nothing else to say.
    if is_empty && position.place != Place::OneOf {
        found.warning(
            rule,
            format!("{at} is an object without properties"),
            "The platform takes it; its form shows nothing to fill in.",
        );
    }
}

/// S06: arrays.
fn items(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S06;
    let at = position.shown();
    if !position.types().contains(&"array") || position.place == Place::Root {
        return;
    }
    match position.schema.get("items") {
        None => found.warning(
            rule,
            format!("{at} is an array that does not say of what"),
            "The platform takes it; its form cannot show the items.",
        ),
        Some(Value::Array(_)) => found.error(rule, format!("items at {at} is a list")),
        Some(Value::Object(items)) => {
            let types = walk::types(items);
            let is_shown = match types.iter().find(|name| **name != "null") {
                Some(name) => matches!(*name, "object" | "string" | "number" | "integer"),
                None => items.contains_key("enum"),
            };
            if !is_shown && !items.contains_key("enum") {
                let is = if types.is_empty() { "no type".to_owned() } else { types.join(", ") };
                found.error(rule, format!("items at {at} are of a type without a form: {is}"));
            }
        }
        Some(other) => found.error(rule, format!("items at {at} is {other}")),
    }
}

/// S07: what stands at one place.
fn usage(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S07;
    let at = position.shown();
    if let Some(Value::Array(values)) = position.schema.get("enum") {
        let twice = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value));
        if let Some((_, value)) = twice {
            found.error(rule, format!("enum at {at} has {value} twice"));
        }
    }
    if position.has("group") && position.place != Place::Root && !is_top(position) {
        found.error(rule, format!("{at} has a group, but is no top-level property"));
    }
    if let Some(value) = position.schema.get("display_type") {
        if !position.has("oneOf") {
            found.error(rule, format!("{at} has display_type, but no oneOf"));
        } else if value != "dropdown" && value != "radio" {
            found
                .error(rule, format!("display_type {value} at {at} is neither dropdown nor radio"));
        }
    }
    if let Some(properties) = position.schema.get("properties").and_then(Value::as_object) {
        orders(&at, properties, found);
    }
}

fn is_top(position: &Position<'_>) -> bool {
    position.place == Place::Property && position.depth == 1 && position.is_plain
}

fn orders(at: &str, properties: &Map<String, Value>, found: &mut Findings<'_>) {
    let mut seen: BTreeMap<(Option<&str>, String), &str> = BTreeMap::new();
    for (name, property) in properties {
        let Some(order) = property.get("order").filter(|order| !order.is_null()) else { continue };
        if !order.is_i64() && !order.is_u64() {
            let message = format!("`{name}` at {at} has the order {order}, no integer");
            found.warning(&rules::S07, message, "The form sorts by it as well as it can.");
        }
        let group = property.get("group").and_then(Value::as_str);
        if let Some(other) = seen.insert((group, order.to_string()), name) {
            let message = format!("`{other}` and `{name}` at {at} have the same order {order}");
            found.error(&rules::S07, message);
        }
    }
}

/// S07: groups that are used, but not described. A spec without any description is shown in one
/// card, so only a half description is a mistake.
fn groups(schema: &Value, positions: &[Position<'_>], found: &mut Findings<'_>) {
    let Some(groups) = schema.get("groups").and_then(Value::as_array) else { return };
    let known: BTreeSet<&str> = groups.iter().filter_map(|group| group["id"].as_str()).collect();
    for position in positions.iter().filter(|position| is_top(position)) {
        let Some(group) = position.schema.get("group").and_then(Value::as_str) else { continue };
        if !known.contains(group) {
            let message =
                format!("{} is in the group {group}, which groups lacks", position.shown());
            found.warning(&rules::S07, message, "The form shows it in a card without a title.");
        }
    }
}
