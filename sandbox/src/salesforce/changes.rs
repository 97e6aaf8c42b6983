//! Changes by the admin paths: rows added, updated, deleted.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Salesforce;
use super::ids;
use super::kind::Kind;
use super::overlay::Overlay;
use super::row::Row;
use super::schema::{Object, Role};
use super::text;
use crate::hash;

/// The body of a change.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default, rename = "api")]
    _api: Option<String>,
    /// The object.
    resource: String,
    /// How many rows, if not told which.
    count: Option<u64>,
    ids: Option<Vec<String>>,
    /// Values by field.
    #[serde(default)]
    set: Map<String, Value>,
    /// Whether SystemModstamp moves; it does not when a formula changes.
    #[serde(default = "yes")]
    stamp: bool,
    /// Seconds that the stamp lies in the past.
    #[serde(default)]
    age: i64,
    /// Seconds until the row's transaction commits and the row shows (`create`).
    #[serde(default)]
    late: i64,
    /// Deleted for good, also from the recycle bin (`delete`).
    #[serde(default)]
    purge: bool,
}

fn yes() -> bool {
    true
}

/// Runs `create`, `mutate` or `delete`; returns the ids.
pub fn run(api: &Salesforce, action: &str, body: &Value, now: i64) -> Result<Value, String> {
    let change: Change = serde_json::from_value(body.clone()).map_err(|e| e.to_string())?;
    let index = api.org.object(&change.resource);
    let index = index.ok_or_else(|| format!("no object {:?}", change.resource))?;
    let object = &api.org.objects[index];
    let set = values(object, &change.set)?;
    let mut overlay = api.overlay.write().unwrap_or_else(PoisonError::into_inner);
    let rows = match action {
        "create" => {
            let end = overlay.end(index, object.rows);
            (end..end + change.count.unwrap_or(1)).collect()
        }
        "mutate" | "delete" => chosen(api, &overlay, index, &change, now)?,
        _ => return Err(format!("{action} is not for Salesforce")),
    };
    let data = Arc::make_mut(&mut *overlay);
    for row in &rows {
        let patch = data.entry(index, *row);
        for (field, value) in &set {
            patch.set.insert(*field, value.clone());
        }
        let stamp = now - change.age;
        match action {
            "create" => {
                (patch.stamp, patch.created) = (Some(stamp), Some(stamp));
                patch.visible = now + change.late;
            }
            "delete" if change.purge || object.deleted.is_none() => patch.purged = Some(now),
            "delete" => (patch.deleted, patch.stamp) = (Some(true), Some(stamp)),
            _ if change.stamp => patch.stamp = Some(stamp),
            _ => {}
        }
    }
    let ids: Vec<String> = rows.iter().map(|row| ids::id(&object.prefix, *row)).collect();
    Ok(json!({"ids": ids}))
}

/// The rows that were named, or so many living ones all over the object.
fn chosen(
    api: &Salesforce,
    overlay: &Overlay,
    index: usize,
    change: &Change,
    now: i64,
) -> Result<Vec<u64>, String> {
    let object = &api.org.objects[index];
    let row = |number| Row::new(&api.org, overlay, index, number);
    if let Some(wanted) = &change.ids {
        let find = |id: &String| {
            let number = ids::index(&object.prefix, id).filter(|number| row(*number).exists(now));
            number.ok_or_else(|| format!("{} has no row {id:?}", object.name))
        };
        return wanted.iter().map(find).collect();
    }
    let (count, end) = (change.count.unwrap_or(1), overlay.end(index, object.rows));
    let first = hash::below(hash::mix(now as u64), end.max(1));
    let around = (0..end).map(|step| (first + step) % end);
    let living = around.filter(|number| row(*number).exists(now) && !row(*number).is_deleted());
    let rows: Vec<u64> = living.take(usize::try_from(count).unwrap_or(usize::MAX)).collect();
    if (rows.len() as u64) < count {
        return Err(format!("{} has only {} rows", object.name, rows.len()));
    }
    Ok(rows)
}

fn values(
    object: &Object,
    set: &Map<String, Value>,
) -> Result<HashMap<usize, Option<String>>, String> {
    let mut values = HashMap::new();
    for (name, value) in set {
        let index = object.field(name).ok_or_else(|| format!("{} has no {name}", object.name))?;
        let field = &object.fields[index];
        if field.role != Role::Plain || field.kind.is_compound() || field.kind == Kind::Base64 {
            return Err(format!("{name} cannot be set"));
        }
        let text = match value {
            Value::Null => None,
            Value::String(text) if !field.kind.is_bare() => Some(text.clone()),
            Value::Number(number) if field.kind.is_number() => Some(number.to_string()),
            Value::Bool(flag) if field.kind == Kind::Boolean => Some(flag.to_string()),
            _ => return Err(format!("{name} cannot be {value}")),
        };
        if field.kind == Kind::Datetime
            && text.as_deref().is_some_and(|t| text::parse_seconds(t).is_none())
        {
            return Err(format!("{name} must be a date-time with a zone"));
        }
        values.insert(index, text);
    }
    Ok(values)
}
