use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checks::arbitrary_json;

fn good() -> Value {
    json!({
        "name": "orders",
        "json_schema": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
            "id": {"type": "integer"},
            "updated": {"type": ["null", "string"], "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
            "meta": {"type": "object", "properties": {"not": {"type": "string"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
        }},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": true,
        "default_cursor_field": ["updated"],
        "source_defined_primary_key": [["id"]],
        "is_resumable": true,
    })
}

fn found_in(catalog: &Value) -> Vec<(&'static str, Level, String)> {
    let mut sheet = Sheet::new();
    lint(catalog, "discover", Options::default(), &mut sheet);
    sheet.findings().map(|f| (f.rule.id, f.level, f.message.clone())).collect()
}

/// The findings after a member of the good stream was set; `Null` removes it.
fn with(pointer: &str, value: Value) -> Vec<(&'static str, Level, String)> {
    let mut stream = good();
    set(&mut stream, pointer, value);
    found_in(&json!({"streams": [stream]}))
}

fn set(target: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = target.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.shift_remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
}

#[track_caller]
fn assert_one(found: Vec<(&'static str, Level, String)>, id: &str, level: Level, part: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (id, level), "{found:?}");
    assert!(found[0].2.contains(part), "{found:?}");
}

#[test]
fn a_good_catalog_raises_nothing() {
    let catalog = json!({"streams": [good()]});
    assert_eq!(found_in(&catalog), []);
    let mut sheet = Sheet::new();
    lint(&catalog, "discover", Options::default(), &mut sheet);
    for rule in [
        &rules::D01,
        &rules::D02,
        &rules::D03,
        &rules::D04,
        &rules::D05,
        &rules::D06,
        &rules::D07,
        &rules::D10,
    ] {
        assert!(sheet.tally(rule).is_some(), "{}", rule.id);
    }
}

#[test]
fn an_empty_catalog() {
    assert_one(found_in(&json!({"streams": []})), "D01", Level::Error, "no streams");
    assert_one(found_in(&json!({})), "D01", Level::Error, "no list");
}

#[test]
fn streams_are_told_apart_by_namespace_too() {
    assert_one(found_in(&json!({"streams": [good(), good()]})), "D02", Level::Error, "orders");
    let mut other = good();
    other["namespace"] = json!("n");
    assert_eq!(found_in(&json!({"streams": [good(), other]})), []);
    assert_one(with("/name", Value::Null), "D02", Level::Error, "no name");
}

#[test]
fn schemas_are_objects_written_out() {
    assert_one(with("/json_schema", json!("x")), "D03", Level::Error, "missing");
    assert_one(with("/json_schema/type", json!("array")), "D03", Level::Error, "array");
    assert_one(with("/json_schema/type", Value::Null), "D03", Level::Warning, "type object");
    for keyword in ["$ref", "allOf", "not"] {
        let value = match keyword {
            "$ref" => json!("#/properties/id"),
            "allOf" => json!([{"type": "string"}]),
            _ => json!({"type": "array"}),
        };
        let pointer = format!("/json_schema/properties/tags/items/{keyword}");
        assert_one(with(&pointer, value), "D03", Level::Error, "tags[]");
    }
    assert_one(
        with("/json_schema/properties/tags/items/minLength", json!("x")),
        "D03",
        Level::Error,
        "draft 7",
    );
    let mut stream = good();
    for key in ["default_cursor_field", "source_defined_primary_key", "source_defined_cursor"] {
        set(&mut stream, &format!("/{key}"), Value::Null);
    }
    stream["supported_sync_modes"] = json!(["full_refresh"]);
    set(&mut stream, "/json_schema/properties", Value::Null);
    assert_one(
        found_in(&json!({"streams": [stream.clone()]})),
        "D03",
        Level::Error,
        "no properties",
    );
    stream["json_schema"]["properties"] = json!({});
    assert_one(found_in(&json!({"streams": [stream]})), "D03", Level::Warning, "no property");
}

#[test]
fn sync_modes_fit_the_cursor() {
    let modes = "/supported_sync_modes";
    assert_one(with(modes, Value::Null), "D04", Level::Error, "missing");
    assert_one(with(modes, json!([])), "D04", Level::Error, "empty");
    assert_one(
        with(modes, json!(["full_refresh", "incremental", "cdc"])),
        "D04",
        Level::Error,
        "cdc",
    );
    assert_one(with(modes, json!(["incremental", "full_refresh"])), "D04", Level::Warning, "first");
    assert_one(with(modes, json!(["full_refresh"])), "D04", Level::Warning, "no incremental");
    assert_one(with("/default_cursor_field", Value::Null), "D04", Level::Note, "nobody");
    assert_one(with("/is_resumable", Value::Null), "D04", Level::Note, "is_resumable");
    let mut stream = good();
    stream["json_schema"]["properties"] =
        json!({"list": {"type": "array", "items": {"type": "string"}}});
    for key in ["default_cursor_field", "source_defined_primary_key", "source_defined_cursor"] {
        set(&mut stream, &format!("/{key}"), Value::Null);
    }
    assert_one(found_in(&json!({"streams": [stream]})), "D04", Level::Error, "could be one");
}

#[test]
fn cursor_and_key_are_scalars_of_the_schema() {
    assert_one(
        with("/default_cursor_field", json!(["gone"])),
        "D05",
        Level::Error,
        "cursor `gone`",
    );
    assert_one(
        with("/default_cursor_field", json!("updated")),
        "D05",
        Level::Error,
        "list of names",
    );
    let key = "/source_defined_primary_key";
    assert_one(with(key, json!([["meta", "gone"]])), "D05", Level::Error, "`meta.gone`");
    assert_eq!(with(key, json!([["meta", "not"]])), []);
    assert_one(with(key, json!([["meta"]])), "D05", Level::Error, "object or array");
    assert_one(with(key, json!(["id"])), "D05", Level::Error, "no path");
    assert_one(with(key, json!([["id"], ["id"]])), "D05", Level::Error, "twice");
    let mut stream = good();
    stream["source_defined_primary_key"] = json!([["meta"]]);
    let mut sheet = Sheet::new();
    let options = Options { validate_primary_keys_data_type: false };
    lint(&json!({"streams": [stream]}), "discover", options, &mut sheet);
    assert_eq!(sheet.findings().count(), 0);
}

#[test]
fn types_are_those_of_destinations() {
    let field = "/json_schema/properties/field";
    for (schema, level, part) in [
        (json!({}), Level::Warning, "no type"),
        (json!({"type": ["string", "integer"]}), Level::Warning, "union"),
        (json!({"type": "null"}), Level::Warning, "null only"),
        (json!({"type": "string", "format": "uri"}), Level::Note, "uri"),
        (json!({"type": "integer", "format": "date"}), Level::Warning, "date on type integer"),
        (json!({"type": "string", "airbyte_type": "datetime"}), Level::Warning, "unknown"),
        (
            json!({"type": "string", "airbyte_type": "timestamp_with_timezone"}),
            Level::Warning,
            "without format date-time",
        ),
        (json!({"type": "string", "airbyte_type": "integer"}), Level::Warning, "on type string"),
    ] {
        assert_one(with(field, schema), "D06", level, part);
    }
    let nested = json!({"type": "object", "properties": {"a": {"type": ["string", "integer"]}}});
    assert_one(with(field, nested), "D06", Level::Note, "field.a");
    for schema in [
        json!({"type": "number", "airbyte_type": "integer"}),
        json!({"type": ["null", "string"], "format": "time", "airbyte_type": "time_without_timezone"}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "airbyte_type": "big_integer"}),
        json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
    ] {
        assert_eq!(with(field, schema), []);
    }
}

#[test]
fn objects_stay_open() {
    let pointer = "/json_schema/properties/meta/additionalProperties";
    assert_one(with(pointer, json!(false)), "D07", Level::Error, "`meta` is false");
    assert_one(with(pointer, json!({"type": "string"})), "D07", Level::Warning, "a schema");
    assert_eq!(with(pointer, json!(true)), []);
}

#[test]
fn names_differ_in_more_than_case() {
    let found = with("/json_schema/properties/ID", json!({"type": "string"}));
    assert_one(found, "D10", Level::Warning, "`id` and `ID`");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(catalog in arbitrary_json(), streams in prop::collection::vec(arbitrary_json(), 0..3)) {
        found_in(&catalog);
        found_in(&json!({"streams": streams}));
    }
}
