//! Two catalogs: saved catalogs have to stay right, and tables have to keep their columns.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::spec::from_to;
use super::{Change, Changes};
use crate::rules;
use crate::schema::walk::{self, join};

/// Compares the payloads of two CATALOG messages. The worst changes come first.
pub fn catalog(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Changes::new(&rules::U02);
    if old == new {
        return Vec::new();
    }
    let (before, after) = (streams(old), streams(new));
    for stream in &before {
        match after.iter().find(|other| other.name == stream.name) {
            Some(other) => compare(stream, other, &mut changes),
            None => gone(stream, &before, &after, &mut changes),
        }
    }
    for stream in after.iter().filter(|stream| !before.iter().any(|old| old.name == stream.name)) {
        changes.minor(&stream.name, "the stream is new");
    }
    changes.sorted()
}

struct Stream<'a> {
    /// With the namespace.
    name: String,
    value: &'a Value,
}

fn streams(catalog: &Value) -> Vec<Stream<'_>> {
    let streams = catalog.get("streams").and_then(Value::as_array).into_iter().flatten();
    streams
        .map(|stream| {
            let text = |key| stream.get(key).and_then(Value::as_str);
            let name = text("name").unwrap_or("a stream without a name");
            let name = match text("namespace") {
                Some(namespace) => format!("{namespace}.{name}"),
                None => name.to_owned(),
            };
            Stream { name, value: stream }
        })
        .collect()
}

fn gone(stream: &Stream<'_>, before: &[Stream<'_>], after: &[Stream<'_>], changes: &mut Changes) {
    let is_new = |other: &&Stream<'_>| !before.iter().any(|old| old.name == other.name);
    let same_name = |other: &&Stream<'_>| other.value.get("name") == stream.value.get("name");
    let same_schema =
        |other: &&Stream<'_>| other.value.get("json_schema") == stream.value.get("json_schema");
    let candidates = || after.iter().filter(is_new);
    if let Some(other) = candidates().find(same_name) {
        changes.major(&stream.name, format!("the namespace changed: it is `{}` now", other.name));
    } else if let Some(other) = candidates().find(same_schema) {
        changes.major(&stream.name, format!("the stream is called `{}` now", other.name));
    } else {
        changes.major(&stream.name, "the stream is gone");
    }
}

fn compare(old: &Stream<'_>, new: &Stream<'_>, changes: &mut Changes) {
    let (name, a, b) = (&old.name, old.value, new.value);
    modes(name, a, b, changes);
    cursor(name, a, b, changes);
    primary_key(name, a, b, changes);
    flags(name, a, b, changes);
    let null = Value::Null;
    let schema = |stream: &Value| stream.get("json_schema").unwrap_or(&null).clone();
    let mut at = Fields { stream: name, changes };
    at.compare("", &schema(a), &schema(b));
}

fn texts(stream: &Value, key: &str) -> Vec<String> {
    let items = stream.get(key).and_then(Value::as_array).into_iter().flatten();
    items.map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
}

fn modes(name: &str, a: &Value, b: &Value, changes: &mut Changes) {
    let (old, new) = (texts(a, "supported_sync_modes"), texts(b, "supported_sync_modes"));
    for mode in old.iter().filter(|mode| !new.contains(mode)) {
        changes.major(name, format!("the sync mode {mode} is gone"));
    }
    for mode in new.iter().filter(|mode| !old.contains(mode)) {
        changes.minor(name, format!("the sync mode {mode} is new"));
    }
    if old.first() != new.first() && old.iter().all(|mode| new.contains(mode)) {
        changes.patch(name, format!("supported_sync_modes begins with {} now", new[0]));
    }
}

fn cursor(name: &str, a: &Value, b: &Value, changes: &mut Changes) {
    let (old, new) = (texts(a, "default_cursor_field"), texts(b, "default_cursor_field"));
    if old.is_empty() && !new.is_empty() {
        changes.minor(name, format!("the default cursor is new: `{}`", new.join(".")));
    } else if new.is_empty() && !old.is_empty() {
        changes.major(name, format!("the default cursor `{}` is gone", old.join(".")));
    } else if old != new {
        let message =
            format!("the default cursor changed from `{}` to `{}`", old.join("."), new.join("."));
        changes.major(name, message);
    }
    let is_defined =
        |stream: &Value| stream.get("source_defined_cursor") == Some(&Value::Bool(true));
    match (is_defined(a), is_defined(b)) {
        (true, false) => changes.major(name, "the cursor is no longer defined by the source"),
        (false, true) if a.get("supported_sync_modes") == b.get("supported_sync_modes") => changes
            .tolerated(
                name,
                "the cursor is defined by the source now",
                "Saved connections go on, but the cursor that their users chose is ignored.",
            ),
        _ => {}
    }
}

fn primary_key(name: &str, a: &Value, b: &Value, changes: &mut Changes) {
    let of = |stream: &Value| -> BTreeSet<String> {
        let keys = stream.get("source_defined_primary_key").and_then(Value::as_array);
        let path = |key: &Value| match key.as_array() {
            Some(parts) => {
                parts.iter().map(|p| p.as_str().unwrap_or("?")).collect::<Vec<_>>().join(".")
            }
            None => key.to_string(),
        };
        keys.into_iter().flatten().map(path).collect()
    };
    let (old, new) = (of(a), of(b));
    let shown = |key: &BTreeSet<String>| key.iter().cloned().collect::<Vec<_>>().join(", ");
    if old == new {
        return;
    }
    if old.is_empty() {
        changes.minor(name, format!("the primary key is new: {}", shown(&new)));
    } else if new.is_empty() {
        changes.major(name, format!("the primary key {} is gone", shown(&old)));
    } else {
        changes.major(
            name,
            format!("the primary key changed from {} to {}", shown(&old), shown(&new)),
        );
    }
}

fn flags(name: &str, a: &Value, b: &Value, changes: &mut Changes) {
    let is = |stream: &Value, key: &str| stream.get(key) == Some(&Value::Bool(true));
    if is(a, "is_resumable") != is(b, "is_resumable") {
        let now =
            if is(b, "is_resumable") { "can be resumed now" } else { "cannot be resumed any more" };
        changes.minor(name, format!("a full refresh {now}"));
    }
    if is(a, "is_file_based") != is(b, "is_file_based") {
        let now = if is(b, "is_file_based") {
            "a stream of files now"
        } else {
            "no stream of files any more"
        };
        changes.major(name, format!("it is {now}"));
    }
}

/// The fields of one stream.
struct Fields<'a, 'c> {
    stream: &'a str,
    changes: &'c mut Changes,
}

impl Fields<'_, '_> {
    fn at(&self, path: &str) -> String {
        if path.is_empty() { self.stream.to_owned() } else { format!("{}: {path}", self.stream) }
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        if old == new {
            return;
        }
        let at = self.at(path);
        let (Value::Object(a), Value::Object(b)) = (old, new) else {
            return self
                .changes
                .major(&at, format!("the schema {}", from_to(Some(old), Some(new))));
        };
        self.types(&at, a, b);
        self.properties(path, a, b);
        if let (Some(old), Some(new)) = (a.get("items"), b.get("items")) {
            self.compare(&format!("{path}[]"), old, new);
        } else if a.get("items") != b.get("items") {
            self.changes.minor(&at, format!("items {}", from_to(a.get("items"), b.get("items"))));
        }
        for keyword in ["format", "airbyte_type", "contentEncoding"] {
            if a.get(keyword) != b.get(keyword) {
                let message = format!("{keyword} {}", from_to(a.get(keyword), b.get(keyword)));
                self.changes.major(&at, message);
            }
        }
        for keyword in ["oneOf", "anyOf", "allOf", "$ref"] {
            if a.get(keyword) != b.get(keyword) {
                self.changes
                    .major(&at, format!("{keyword} {}", from_to(a.get(keyword), b.get(keyword))));
            }
        }
        self.others(&at, a, b);
    }

    fn types(&mut self, at: &str, a: &Map<String, Value>, b: &Map<String, Value>) {
        let of = |schema| -> BTreeSet<&str> { walk::types(schema).into_iter().collect() };
        let (old, new) = (of(a), of(b));
        let real = |types: &BTreeSet<&str>| -> String {
            let names: Vec<&str> = types.iter().copied().filter(|name| *name != "null").collect();
            if names.is_empty() { "any type".to_owned() } else { names.join(" or ") }
        };
        if real(&old) != real(&new) {
            let message = format!("the type changed from {} to {}", real(&old), real(&new));
            return self.changes.major(at, message);
        }
        match (old.contains("null"), new.contains("null")) {
            (false, true) => self.changes.minor(at, "it may be null now"),
            (true, false) => self.changes.minor(at, "it is never null any more"),
            _ => {}
        }
    }

    fn properties(&mut self, path: &str, a: &Map<String, Value>, b: &Map<String, Value>) {
        let of = |schema: &Map<String, Value>| {
            schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
        };
        let (old, new) = (of(a), of(b));
        for (name, property) in &old {
            let here = join(path, name);
            match new.get(name) {
                Some(other) => self.compare(&here, property, other),
                None => {
                    let at = self.at(&here);
                    self.changes.major(&at, "the field is gone");
                }
            }
        }
        for name in new.keys().filter(|name| !old.contains_key(*name)) {
            let at = self.at(&join(path, name));
            self.changes.minor(&at, "the field is new");
        }
    }

    fn others(&mut self, at: &str, a: &Map<String, Value>, b: &Map<String, Value>) {
        const COMPARED: [&str; 10] = [
            "type",
            "properties",
            "items",
            "format",
            "airbyte_type",
            "contentEncoding",
            "oneOf",
            "anyOf",
            "allOf",
            "$ref",
        ];
        let keywords: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for keyword in keywords.into_iter().filter(|keyword| !COMPARED.contains(&keyword.as_str()))
        {
            if a.get(keyword) != b.get(keyword) {
                let message = format!("{keyword} {}", from_to(a.get(keyword), b.get(keyword)));
                self.changes.patch(at, message);
            }
        }
    }
}
