//! S04: which properties are secrets, and the secrets of a configuration.

use serde_json::{Map, Value};

use super::{Findings, config};
use crate::rules;
use crate::schema::walk::{self, Position};

/// Names that are secrets wherever they stand.
const NAMES: [&str; 15] = [
    "client_token",
    "access_token",
    "api_token",
    "token",
    "secret",
    "client_secret",
    "password",
    "key",
    "service_account_info",
    "service_account",
    "certificate",
    "jwt",
    "credentials",
    "refresh_token",
    "api_key",
];
/// Ends of names that are secrets.
const ENDS: [&str; 8] = [
    "_secret",
    "password",
    "api_key",
    "apikey",
    "secret_key",
    "private_key",
    "access_key",
    "credentials_json",
];
/// Names that Airbyte's own tests want marked, though they tell nobody how to get in.
const IDS: [&str; 3] = ["tenant_id", "app_id", "appid"];
/// Shorter values inside a JSON secret are no secrets.
const INNER_SECRET: usize = 8;

pub(super) fn lint(positions: &[Position<'_>], found: &mut Findings<'_>) {
    found.check(&rules::S04);
    positions.iter().for_each(|position| look(position, found));
}

fn look(position: &Position<'_>, found: &mut Findings<'_>) {
    let rule = &rules::S04;
    let at = position.shown();
    let mark = position.schema.get("airbyte_secret");
    match mark {
        None | Some(Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            if !can_hold(position) {
                found.error(rule, format!("{at} is marked airbyte_secret, but cannot hold one"));
            } else if !position.is_plain {
                let reason = "It is masked, but the platform looks for secrets under properties \
                              and oneOf only, and stores this one as plain text.";
                let message = format!("the secret {at} stands where the platform does not look");
                found.warning(rule, message, reason);
            }
            return;
        }
        Some(other) => {
            return found.error(rule, format!("airbyte_secret at {at} is {other}, no boolean"));
        }
    }
    // `airbyte_secret: false` says that the name misleads.
    if mark.is_some() || position.types().is_empty() || !can_hold(position) {
        return;
    }
    let Some(name) = position.property.map(str::to_lowercase) else { return };
    let name = name.as_str();
    if NAMES.contains(&name) || ENDS.iter().any(|end| name.ends_with(end)) {
        found.error(rule, format!("{at} is not marked airbyte_secret"));
    } else if IDS.contains(&name) {
        let message = format!("{at} is not marked airbyte_secret");
        let reason = "It is no secret by itself, but Airbyte's own tests want it marked.";
        found.warning(rule, message, reason);
    } else if name.ends_with("_token") {
        let message = format!("{at} is not marked airbyte_secret");
        let reason = "By its name it may be one; airbyte_secret: false says that it is none.";
        found.warning(rule, message, reason);
    }
}

/// Whether a property can hold a secret: a scalar other than a boolean, and no constant.
fn can_hold(position: &Position<'_>) -> bool {
    let types = position.types();
    let is_scalar = types.iter().any(|name| matches!(*name, "string" | "integer" | "number"));
    (types.is_empty() && !position.has("oneOf") && !position.has("properties") || is_scalar)
        && !position.has("const")
}

/// The values of a configuration that its spec marks as secrets, wherever they stand: those of all
/// variants, of items, and the keys inside a secret that is JSON text (a service-account file).
/// `spec` is the payload of the SPEC message.
pub fn secrets(spec: &Value, config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut collect = |_: &Value, value: &mut Value| match value {
        Value::String(text) => {
            found.push(text.clone());
            found.extend(inner_secrets(text));
        }
        Value::Number(number) => found.push(number.to_string()),
        other => scalars(other, &mut found),
    };
    visit(&spec["connectionSpecification"], &mut config.clone(), &mut collect);
    found.retain(|secret| !secret.is_empty());
    let mut seen = std::collections::HashSet::new();
    found.retain(|secret| seen.insert(secret.clone()));
    found
}

/// Calls `act` with the schema and the value of each secret.
fn visit(schema: &Value, value: &mut Value, act: &mut impl FnMut(&Value, &mut Value)) {
    if value.is_null() {
        return;
    }
    if schema.get("airbyte_secret") == Some(&Value::Bool(true)) {
        return act(schema, value);
    }
    for (name, property) in walk::properties(schema) {
        if let Some(value) = value.get_mut(name) {
            visit(property, value, act);
        }
    }
    for keyword in ["oneOf", "anyOf", "allOf"] {
        let variants = schema.get(keyword).and_then(Value::as_array).into_iter().flatten();
        variants.for_each(|variant| visit(variant, value, act));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        values.iter_mut().for_each(|value| visit(items, value, act));
    }
}

fn scalars(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(members) => members.values().for_each(|member| scalars(member, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn inner_secrets(text: &str) -> Vec<String> {
    let Ok(Value::Object(members)) = serde_json::from_str(text) else { return Vec::new() };
    let is_secret = |(name, value): (&String, &Value)| {
        let value = value.as_str().filter(|value| value.len() >= INNER_SECRET)?;
        is_secret_name(name).then(|| value.to_owned())
    };
    members.iter().filter_map(is_secret).collect()
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.contains(&name.as_str())
        || ENDS.iter().any(|end| name.ends_with(end))
        || name.ends_with("_token")
}

/// The configuration with every secret replaced by another of the same kind of characters and the
/// same length; inside a secret that is JSON text the keys are replaced. `None` when it has no
/// secret. `spec` is the payload of the SPEC message.
pub fn with_wrong_secrets(spec: &Value, config: &Value) -> Option<Value> {
    let mut wrong = config.clone();
    let mut is_changed = false;
    // Through several variants the same value is met again; turning it twice must not undo it.
    let mut done: Vec<Value> = Vec::new();
    visit(&spec["connectionSpecification"], &mut wrong, &mut |schema, value| {
        if done.contains(value) {
            return;
        }
        let replaced = replace(schema, value);
        if replaced != *value {
            *value = replaced;
            done.push(value.clone());
            is_changed = true;
        }
    });
    is_changed.then_some(wrong)
}

fn replace(schema: &Value, value: &Value) -> Value {
    let candidates: Vec<Value> = match value {
        Value::String(text) => wrong_texts(text).into_iter().map(Value::from).collect(),
        Value::Number(number) => wrong_number(number).into_iter().collect(),
        Value::Array(items) => vec![items.iter().map(|item| replace(&Value::Null, item)).collect()],
        Value::Object(members) => vec![Value::Object(wrong_members(members, |_| true))],
        Value::Null | Value::Bool(_) => Vec::new(),
    };
    let validator = config::validator(schema).ok();
    let is_valid =
        |value: &&Value| validator.as_ref().is_none_or(|validator| validator.is_valid(value));
    let fitting = candidates.iter().find(is_valid).or(candidates.first());
    fitting.cloned().unwrap_or_else(|| value.clone())
}

fn wrong_number(number: &serde_json::Number) -> Option<Value> {
    let text = number.to_string();
    let turned: String = text.chars().map(turn).collect();
    serde_json::from_str(&turned).ok().filter(|value: &Value| value.is_number())
}

/// Other texts in the place of a secret, the best one first: a known beginning such as `sk_live_`
/// is kept, so that the API refuses it and not already the spec.
fn wrong_texts(text: &str) -> Vec<String> {
    if let Ok(Value::Object(members)) = serde_json::from_str::<Value>(text) {
        let has_named = members.keys().any(|name| is_secret_name(name));
        let members = wrong_members(&members, |name| !has_named || is_secret_name(name));
        return vec![Value::Object(members).to_string()];
    }
    if text.contains("-----BEGIN ") {
        return vec![wrong_pem(text)];
    }
    let count = text.chars().count();
    let after_separator = text
        .char_indices()
        .rfind(|(at, c)| !c.is_alphanumeric() && text[*at..].chars().count() > 8)
        .map_or(0, |(at, _)| text[..at].chars().count() + 1);
    [after_separator, 0, count / 2, count.saturating_sub(4)]
        .into_iter()
        .map(|kept| turn_after(text, kept))
        .filter(|wrong| wrong != text)
        .collect()
}

fn wrong_members(
    members: &Map<String, Value>,
    is_wanted: impl Fn(&str) -> bool,
) -> Map<String, Value> {
    let replaced = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) if is_wanted(name) && !text.is_empty() => {
                wrong_texts(text).into_iter().next().map_or_else(|| value.clone(), Value::from)
            }
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    members.iter().map(replaced).collect()
}

/// Turns the second half of each line of the body but the first, so that it still looks like a key.
fn wrong_pem(text: &str) -> String {
    let line = |(at, line): (usize, &str)| match line.starts_with("-----") || line.is_empty() {
        true => line.to_owned(),
        false if at <= 1 => line.to_owned(),
        false => turn_after(line, line.chars().count() / 2),
    };
    let turned = text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n");
    if turned != text {
        return turned;
    }
    // All on one line.
    turn_after(text, text.chars().count() / 2)
}

fn turn_after(text: &str, kept: usize) -> String {
    text.chars().enumerate().map(|(at, c)| if at < kept { c } else { turn(c) }).collect()
}

/// Another character of the same kind.
fn turn(c: char) -> char {
    let within = |first: u8, count: u8, by: u8| {
        char::from(first + (u8::try_from(c).unwrap_or(first) - first + by) % count)
    };
    match c {
        // 0 is left out, so that numbers stay numbers of the same length.
        '1'..='9' => within(b'1', 9, 4),
        '0' => '7',
        // Within a to f, so that hexadecimal text stays such.
        'a'..='f' => within(b'a', 6, 2),
        'g'..='z' => within(b'g', 20, 7),
        'A'..='F' => within(b'A', 6, 2),
        'G'..='Z' => within(b'G', 20, 7),
        other => other,
    }
}
