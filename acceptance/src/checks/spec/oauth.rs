//! S09: the description of the OAuth flow.

use serde_json::Value;

use super::{Findings, form};
use crate::rules;
use crate::schema::walk;

/// The parts of the OAuth specification whose properties point into the configuration.
const PARTS: [&str; 3] = [
    "oauth_user_input_from_connector_config_specification",
    "complete_oauth_output_specification",
    "complete_oauth_server_output_specification",
];

pub(super) fn lint(spec: &Value, schema: &Value, is_default: bool, found: &mut Findings<'_>) {
    let Some(auth) = spec.get("advanced_auth").filter(|auth| auth.is_object()) else { return };
    found.check(&rules::S09);
    let predicate = path(auth.get("predicate_key"));
    if let Some(path) = &predicate {
        match declared(schema, path) {
            found_at if found_at.is_empty() => {
                let message = format!("predicate_key `{}` is not in the spec", path.join("."));
                found.error(&rules::S09, message);
            }
            _ => first_choice(auth, schema, path, is_default, found),
        }
    }
    for part in PARTS {
        let properties = &auth["oauth_config_specification"][part];
        for (name, property) in walk::properties(properties) {
            let Some(path) = path(property.get("path_in_connector_config")) else { continue };
            if declared(schema, &path).is_empty() {
                let path = path.join(".");
                found.error(
                    &rules::S09,
                    format!("`{path}`, named by {part}.{name}, is not in the spec"),
                );
            }
        }
    }
}

/// A path of names; none when it is absent or empty.
fn path(value: Option<&Value>) -> Option<Vec<&str>> {
    let names: Vec<&str> = value?.as_array()?.iter().filter_map(Value::as_str).collect();
    (!names.is_empty()).then_some(names)
}

/// The schemas at a path of names, through the variants of oneOf.
fn declared<'a>(schema: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    let Some((first, rest)) = path.split_first() else { return vec![schema] };
    let mut found = Vec::new();
    if let Some(property) = schema.get("properties").and_then(|properties| properties.get(*first)) {
        found.extend(declared(property, rest));
    }
    for keyword in ["oneOf", "anyOf"] {
        let variants = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
        variants.for_each(|variant| found.extend(declared(variant, path)));
    }
    found
}

/// Where the predicate chooses a variant, OAuth is the first.
fn first_choice(
    auth: &Value,
    schema: &Value,
    path: &[&str],
    is_default: bool,
    found: &mut Findings<'_>,
) {
    let rule = &rules::S09;
    let Some((name, parent)) = path.split_last() else { return };
    let Some(wanted) = auth.get("predicate_value").filter(|value| !value.is_null()) else { return };
    for choice in declared(schema, parent) {
        let variants = choice.get("oneOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if !form::constants(variants).contains(name) {
            continue;
        }
        let constant = |variant: &Value| variant["properties"][*name]["const"] == *wanted;
        match variants.iter().position(constant) {
            None => found.error(
                rule,
                format!("no variant at `{}` has the predicate_value {wanted}", parent.join(".")),
            ),
            Some(at) if at > 0 && is_default => {
                let first = walk::variant_name(&variants[0], 0);
                let message = format!("the first variant is `{first}`, not that of OAuth");
                found.error(rule, message);
            }
            Some(_) => {}
        }
    }
}
