//! Two specs: what was configured under the old one has to do under the new one.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Change, Changes, Severity, generate};
use crate::rules;
use crate::schema::walk::{self, join, variant_name};

/// Random configurations of the old spec that are tried on the new one.
const SAMPLES: usize = 100;
/// Texts of an old pattern that are tried on the new one.
const TEXTS: usize = 200;
/// Any number does; it only has to stay the same.
const SEED: u64 = 20_260_101;
/// Keywords that the walk itself compares, or that say nothing.
const COMPARED: [&str; 28] = [
    "type",
    "properties",
    "required",
    "oneOf",
    "items",
    "enum",
    "const",
    "default",
    "pattern",
    "format",
    "airbyte_secret",
    "additionalProperties",
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
    "multipleOf",
    "uniqueItems",
    "anyOf",
    "allOf",
    "not",
    "$ref",
];
/// Keywords whose meaning for old configurations only samples can tell.
const TRIED: [&str; 4] = ["anyOf", "allOf", "not", "$ref"];

/// Compares the payloads of two SPEC messages. The worst changes come first.
pub fn spec(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Changes::new(&rules::U01);
    if old == new {
        return Vec::new();
    }
    let null = Value::Null;
    let (a, b) = (&old["connectionSpecification"], &new["connectionSpecification"]);
    compare("", a, b, &mut changes);
    modes(old, new, &mut changes);
    oauth(
        old.get("advanced_auth").unwrap_or(&null),
        new.get("advanced_auth").unwrap_or(&null),
        &mut changes,
    );
    for key in keys(old, new) {
        let known =
            ["connectionSpecification", "supported_destination_sync_modes", "advanced_auth"];
        if !known.contains(&key) && old.get(key) != new.get(key) {
            changes.patch("", format!("{key} {}", from_to(old.get(key), new.get(key))));
        }
    }
    samples(a, b, &mut changes);
    changes.sorted()
}

fn keys<'a>(old: &'a Value, new: &'a Value) -> BTreeSet<&'a str> {
    let of = |value: &'a Value| value.as_object().into_iter().flat_map(Map::keys);
    of(old).chain(of(new)).map(String::as_str).collect()
}

/// How a value changed, in words.
pub(super) fn from_to(old: Option<&Value>, new: Option<&Value>) -> String {
    match (old, new) {
        (None, Some(new)) => format!("added: {}", cut(new)),
        (Some(old), None) => format!("removed, was {}", cut(old)),
        (Some(old), Some(new)) => format!("changed from {} to {}", cut(old), cut(new)),
        (None, None) => "unchanged".to_owned(),
    }
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    let cut: String = text.chars().take(80).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { text }
}

fn modes(old: &Value, new: &Value, changes: &mut Changes) {
    let key = "supported_destination_sync_modes";
    let of = |spec: &Value| -> BTreeSet<String> {
        let modes = spec.get(key).and_then(Value::as_array).into_iter().flatten();
        modes.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (old, new) = (of(old), of(new));
    for mode in old.difference(&new) {
        changes.major("", format!("the destination sync mode {mode} is gone"));
    }
    for mode in new.difference(&old) {
        changes.minor("", format!("the destination sync mode {mode} is new"));
    }
}

fn oauth(old: &Value, new: &Value, changes: &mut Changes) {
    if old == new {
        return;
    }
    let path = "advanced_auth";
    match (old.is_null(), new.is_null()) {
        (true, _) => changes.minor(path, "OAuth is new"),
        (_, true) => changes.tolerated(
            path,
            "OAuth is gone",
            "Saved connections go on until they have to sign in anew.",
        ),
        _ => {
            let predicate =
                |auth: &Value| (auth["predicate_key"].clone(), auth["predicate_value"].clone());
            if predicate(old) == predicate(new) {
                changes.minor(path, "the OAuth flow changed");
            } else {
                changes.tolerated(
                    path,
                    "predicate_key or predicate_value changed",
                    "Saved connections go on, but their form shows another kind of login.",
                );
            }
        }
    }
}

fn compare(path: &str, old: &Value, new: &Value, changes: &mut Changes) {
    if old == new {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (old, new) else {
        return match new {
            Value::Bool(true) => changes.minor(path, "anything is taken now"),
            _ => changes.major(path, from_to(Some(old), Some(new))),
        };
    };
    types(path, a, b, changes);
    values(path, a, b, changes);
    pattern(path, a, b, changes);
    limits(path, a, b, changes);
    marks(path, a, b, changes);
    properties(path, a, b, changes);
    variants(path, a, b, changes);
    match (a.get("items"), b.get("items")) {
        (Some(old), Some(new)) => compare(&format!("{path}[]"), old, new, changes),
        (None, Some(_)) => changes.major(&format!("{path}[]"), "items are restricted now"),
        (Some(_), None) => changes.minor(&format!("{path}[]"), "any item is taken now"),
        (None, None) => {}
    }
    for keyword in TRIED.iter().filter(|keyword| a.get(**keyword) != b.get(**keyword)) {
        changes.minor(path, format!("{keyword} changed"));
    }
    for keyword in keys(old, new) {
        if !COMPARED.contains(&keyword) && a.get(keyword) != b.get(keyword) {
            changes.patch(path, format!("{keyword} {}", from_to(a.get(keyword), b.get(keyword))));
        }
    }
}

type Schema = Map<String, Value>;

fn types(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let of = |schema: &Schema| -> BTreeSet<String> {
        walk::types(schema).into_iter().map(str::to_owned).collect()
    };
    let (old, new) = (of(a), of(b));
    let names = |types: &BTreeSet<String>| types.iter().cloned().collect::<Vec<_>>().join(" or ");
    if old.is_empty() && !new.is_empty() {
        let is_object =
            new.contains("object") && (a.contains_key("properties") || a.contains_key("oneOf"));
        match is_object {
            true => changes.patch(path, "it says type object now"),
            false => changes.major(path, format!("it has to be {} now", names(&new))),
        }
        return;
    }
    let takes = |name: &String| {
        new.is_empty() || new.contains(name) || name == "integer" && new.contains("number")
    };
    let refused: BTreeSet<String> = old.iter().filter(|name| !takes(name)).cloned().collect();
    if !refused.is_empty() {
        changes.major(
            path,
            format!("type {} is no longer taken, only {}", names(&refused), names(&new)),
        );
    }
    let added: BTreeSet<String> = new.difference(&old).cloned().collect();
    if !added.is_empty() && !old.is_empty() {
        changes.minor(path, format!("type {} is taken now", names(&added)));
    } else if new.is_empty() && !old.is_empty() {
        changes.minor(path, "any type is taken now");
    }
}

/// `enum` and `const`.
fn values(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let of = |schema: &Schema| -> Option<Vec<Value>> {
        match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => Some(vec![value.clone()]),
            (None, Some(Value::Array(values))) => Some(values.clone()),
            _ => None,
        }
    };
    match (of(a), of(b)) {
        (Some(old), Some(new)) => {
            for value in old.iter().filter(|value| !new.contains(value)) {
                changes.major(path, format!("the value {value} is no longer taken"));
            }
            for value in new.iter().filter(|value| !old.contains(value)) {
                changes.minor(path, format!("the value {value} is taken now"));
            }
        }
        (None, Some(new)) => {
            changes.major(path, format!("only {} is taken now", cut(&Value::Array(new))));
        }
        (Some(_), None) => changes.minor(path, "any value is taken now"),
        (None, None) => {}
    }
}

fn pattern(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let text = |schema: &Schema| schema.get("pattern").and_then(Value::as_str).map(str::to_owned);
    match (text(a), text(b)) {
        (None, Some(new)) => changes.major(path, format!("it has to match {new} now")),
        (Some(_), None) => changes.minor(path, "it need not match a pattern any more"),
        (Some(old), Some(new)) if old != new => {
            let known = generate::texts(&old, TEXTS, SEED);
            let validator = generate::validator(&serde_json::json!({"pattern": new}));
            let refused = match &validator {
                Ok(validator) => {
                    known.iter().find(|text| !validator.is_valid(&Value::from(text.as_str())))
                }
                Err(_) => None,
            };
            match refused {
                Some(text) => changes.major(
                    path,
                    format!("the pattern changed from {old} to {new}, which refuses {text:?}"),
                ),
                None if known.is_empty() || validator.is_err() => {
                    changes.major(path, format!("the pattern changed from {old} to {new}"))
                }
                None => changes.minor(
                    path,
                    format!(
                        "the pattern changed from {old} to {new}, which takes what the old one took"
                    ),
                ),
            }
        }
        _ => {}
    }
}

fn limits(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let limit = |schema: &Schema, keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    for keyword in ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"] {
        let (old, new) = (limit(a, keyword), limit(b, keyword));
        let floor = |value: Option<f64>| match keyword {
            "minimum" | "exclusiveMinimum" => value.unwrap_or(f64::NEG_INFINITY),
            _ => value.unwrap_or(0.0),
        };
        tell(path, keyword, (a, b), floor(new) > floor(old), floor(new) < floor(old), changes);
    }
    for keyword in ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"] {
        let ceiling = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        let (old, new) = (ceiling(limit(a, keyword)), ceiling(limit(b, keyword)));
        tell(path, keyword, (a, b), new < old, new > old, changes);
    }
    let (old, new) = (a.get("multipleOf"), b.get("multipleOf"));
    tell(
        path,
        "multipleOf",
        (a, b),
        new.is_some() && new != old,
        new.is_none() && old.is_some(),
        changes,
    );
    let is_unique = |schema: &Schema| schema.get("uniqueItems") == Some(&Value::Bool(true));
    let (old, new) = (is_unique(a), is_unique(b));
    tell(path, "uniqueItems", (a, b), new && !old, old && !new, changes);
}

fn tell(
    path: &str,
    keyword: &str,
    (a, b): (&Schema, &Schema),
    is_tighter: bool,
    is_looser: bool,
    changes: &mut Changes,
) {
    let message = || format!("{keyword} {}", from_to(a.get(keyword), b.get(keyword)));
    if is_tighter {
        changes.major(path, message());
    } else if is_looser {
        changes.minor(path, message());
    }
}

/// What does not make configurations invalid, but means something.
fn marks(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let changed = |keyword: &str| a.get(keyword) != b.get(keyword);
    if changed("default") {
        let message = format!("the default was {}", from_to(a.get("default"), b.get("default")));
        match a.get("default") {
            None => changes.minor(path, message),
            Some(_) => changes.tolerated(
                path,
                message,
                "Saved configurations stay valid, but those that leave it out mean something else.",
            ),
        }
    }
    if changed("format") {
        let message = format!("format {}", from_to(a.get("format"), b.get("format")));
        changes.minor(path, message);
    }
    let is_secret = |schema: &Schema| schema.get("airbyte_secret") == Some(&Value::Bool(true));
    match (is_secret(a), is_secret(b)) {
        (true, false) => changes.tolerated(
            path,
            "it is no longer a secret",
            "Saved configurations stay valid, but the platform stores it as plain text from now on.",
        ),
        (false, true) => changes.minor(path, "it is a secret now"),
        _ => {}
    }
    let is_closed = |schema: &Schema| {
        schema.get("additionalProperties").is_some_and(|value| value != &Value::Bool(true))
    };
    if changed("additionalProperties") {
        let message = format!(
            "additionalProperties {}",
            from_to(a.get("additionalProperties"), b.get("additionalProperties"))
        );
        match is_closed(b) {
            true => changes.major(path, message),
            false => changes.minor(path, message),
        }
    }
}

fn properties(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let empty = Map::new();
    let of = |schema: &Schema| {
        schema.get("properties").and_then(Value::as_object).cloned().unwrap_or(empty.clone())
    };
    let (old, new) = (of(a), of(b));
    let required =
        |schema: &Schema, name: &str| walk::list(schema, "required").iter().any(|n| n == name);
    for (name, property) in &old {
        let here = join(path, name);
        match new.get(name) {
            Some(other) => compare(&here, property, other, changes),
            None => {
                let renamed = new
                    .iter()
                    .find(|(other, schema)| !old.contains_key(*other) && *schema == property);
                let message = match renamed {
                    Some((other, _)) => format!("it is called `{other}` now"),
                    None => "the property is gone".to_owned(),
                };
                changes.major(&here, message);
            }
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(*name) && !required(b, name)) {
        changes.minor(&join(path, name), "the property is new");
    }
    for name in walk::list(b, "required").iter().filter_map(Value::as_str) {
        if !required(a, name) {
            let is_new = !old.contains_key(name);
            let what =
                if is_new { "the property is new and required" } else { "it is required now" };
            changes.major(&join(path, name), what);
        }
    }
    for name in walk::list(a, "required").iter().filter_map(Value::as_str) {
        if !required(b, name) && new.contains_key(name) {
            changes.minor(&join(path, name), "it is optional now");
        }
    }
}

fn variants(path: &str, a: &Schema, b: &Schema, changes: &mut Changes) {
    let (old, new) = (walk::list(a, "oneOf"), walk::list(b, "oneOf"));
    if old.is_empty() && !new.is_empty() {
        return changes.major(path, "it has to be one of several variants now");
    }
    if new.is_empty() && !old.is_empty() {
        return changes.minor(path, "the variants are gone");
    }
    let mut taken = BTreeSet::new();
    for (at, variant) in old.iter().enumerate() {
        let name = variant_name(variant, at);
        let here = format!("{path} ({name})");
        let here = here.trim_start();
        match counterpart(variant, at, new) {
            Some(other) => {
                taken.insert(other);
                compare(here, variant, &new[other], changes);
            }
            None => changes.major(here, "the variant is gone"),
        }
    }
    for (at, variant) in new.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
        let here = format!("{path} ({})", variant_name(variant, at));
        changes.minor(here.trim_start(), "the variant is new");
    }
}

/// The variant of the new list that a variant became: by its constants, else by its title, else by
/// its place.
fn counterpart(variant: &Value, at: usize, new: &[Value]) -> Option<usize> {
    let constants = |variant: &Value| -> BTreeSet<String> {
        let constant = |(name, property): (&String, &Value)| {
            Some(format!("{name}={}", property.get("const")?))
        };
        walk::properties(variant).filter_map(constant).collect()
    };
    let wanted = constants(variant);
    if !wanted.is_empty() {
        let same = new.iter().position(|other| constants(other) == wanted);
        return same
            .or_else(|| new.iter().position(|other| !constants(other).is_disjoint(&wanted)));
    }
    let title = variant.get("title").filter(|title| title.is_string());
    match title {
        Some(title) => new.iter().position(|other| other.get("title") == Some(title)),
        None => (at < new.len()).then_some(at),
    }
}

/// Tries random configurations of the old schema on the new one.
fn samples(old: &Value, new: &Value, changes: &mut Changes) {
    if old == new {
        return;
    }
    let Ok(validator) = generate::validator(new) else {
        return changes.major("", "the new schema is no valid draft 7 schema");
    };
    for sample in generate::samples(old, SAMPLES, SEED) {
        let errors: Vec<(String, String)> = validator
            .iter_errors(&sample)
            .map(|error| {
                let path = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
                (path, error.masked().to_string())
            })
            .collect();
        for (path, message) in errors {
            if !is_known(&path, changes) {
                let message = format!("a configuration that was valid is refused: {message}");
                changes.major(&path, message);
            }
        }
    }
}

/// Whether a change that was found already says it.
fn is_known(path: &str, changes: &Changes) -> bool {
    let plain = |path: &str| {
        let mut depth = 0;
        let kept = path.chars().filter(|c| {
            depth += i32::from(*c == '(');
            let is_kept = depth == 0;
            depth -= i32::from(*c == ')');
            is_kept
        });
        kept.collect::<String>().replace(" .", ".").replace("[]", ".0").trim_end().to_owned()
    };
    let is_below = |inner: &str, outer: &str| {
        outer.is_empty() || inner == outer || inner.starts_with(&format!("{outer}."))
    };
    let majors = changes.list.iter().filter(|change| change.severity == Severity::Major);
    let mut majors = majors.map(|change| plain(&change.path));
    majors.any(|known| is_below(&known, path) || is_below(path, &known))
}
