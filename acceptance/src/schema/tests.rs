use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checks::arbitrary_json;

fn schema() -> RecordSchema {
    RecordSchema::compile(&json!({"type": "object", "properties": {
        "id": {"type": "integer"},
        "name": {"type": ["null", "string"]},
        "made": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
        "local": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"},
        "plain": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "mail": {"type": "string", "format": "email"},
        "price": {"type": "number"},
        "address": {"type": "object", "properties": {"zip": {"type": "string"}}},
        "free": {"type": "object"},
        "items": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
        "either": {"oneOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
            {"type": "null"},
        ]},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
    }}))
    .unwrap()
}

fn only(data: Value) -> Violation {
    let mut found = schema().violations(&data);
    assert_eq!(found.len(), 1, "{data}: {found:?}");
    found.remove(0)
}

#[test]
fn a_good_record_raises_nothing() {
    let record = json!({
        "id": 9007199254740993u64, "name": null, "made": "2026-01-31 10:00:00.5+02:00",
        "local": "2026-01-31T10:00:00", "plain": "0044-03-15T10:00:00Z BC", "day": "2026-01-31",
        "mail": "a@example.com", "price": 1.0, "address": {"zip": "1"}, "free": {"x": {"y": 1}},
        "items": [{"sku": "a"}, {"sku": "b"}], "either": {"b": 1}, "counts": {"any": 1},
    });
    assert_eq!(schema().violations(&record), []);
    assert!(schema().undeclared(&record).is_empty());
}

#[test]
fn integers_have_no_point() {
    let found = only(json!({"id": 1.5e0}));
    assert_eq!((found.level, found.value.as_str()), (Level::Error, "1.5"));
    let (one, two) = (only(json!({"id": 1.0})), only(json!({"id": 2.0})));
    assert_eq!((one.path, one.message), (two.path, two.message));
    assert_eq!(only(json!({"counts": {"a": 2.0}})).path, "/counts/a");
    let beyond: Value = serde_json::from_str(r#"{"id": 123456789012345678901234567890}"#).unwrap();
    assert_eq!(schema().violations(&beyond), []);
}

#[test]
fn null_is_wrong_where_it_is_not_declared() {
    let found = only(json!({"day": null}));
    assert_eq!((found.path.as_str(), found.level), ("/day", Level::Error));
}

#[test]
fn offsets_are_as_declared() {
    for data in [
        json!({"made": "2026-01-31T10:00:00"}),
        json!({"local": "2026-01-31T10:00:00Z"}),
        json!({"plain": "2026-01-31T10:00:00"}),
    ] {
        let found = only(data);
        assert_eq!(found.level, Level::Warning);
        assert!(found.reason.is_some() && found.message.contains("offset"), "{found:?}");
    }
}

#[test]
fn what_is_no_time_is_an_error() {
    for data in [json!({"made": "yesterday"}), json!({"plain": ""}), json!({"day": "2026-02-30"})] {
        assert_eq!(only(data).level, Level::Error);
    }
}

#[test]
fn formats_that_destinations_store_as_text_are_warnings() {
    let found = only(json!({"mail": "nobody"}));
    assert_eq!((found.level, found.path.as_str()), (Level::Warning, "/mail"));
}

#[test]
fn fitting_several_variants_is_a_warning() {
    let found = only(json!({"either": {"a": "x", "b": 1}}));
    assert_eq!((found.level, found.path.as_str()), (Level::Warning, "/either"));
    assert_eq!(only(json!({"either": {"c": 1}})).level, Level::Error);
}

#[test]
fn places_of_arrays_are_one_path() {
    let found = schema().violations(&json!({"items": [{"sku": 1}, {"sku": 2}]}));
    assert!(found.iter().all(|violation| violation.path == "/items/*/sku"), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn undeclared_members_are_found_at_any_depth() {
    let data = json!({
        "new": {"deep": 1}, "address": {"street": "s"}, "items": [{"sku": "a", "extra": 1}],
        "free": {"anything": 1}, "either": {"a": "x", "c": 1}, "counts": {"z": 1},
    });
    let found: Vec<String> = schema().undeclared(&data).into_iter().collect();
    assert_eq!(found, ["/address/street", "/either/c", "/items/*/extra", "/new"]);
}

#[test]
fn fields_that_occur_are_ticked_off() {
    let schema = RecordSchema::compile(&json!({"type": "object", "properties": {
        "id": {"type": "integer"},
        "note": {"type": ["null", "string"]},
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}, "b": {}}}},
    }}))
    .unwrap();
    let paths: Vec<&str> = schema.declared().collect();
    assert_eq!(paths, ["/id", "/note", "/list", "/list/*/a", "/list/*/b"]);
    let mut coverage = schema.coverage();
    let undeclared = coverage.observe(&schema, &json!({"id": 1, "note": null, "x": 1}));
    assert!(undeclared.contains("/x"));
    assert_eq!(coverage.never_seen(&schema), ["/list", "/list/*/a", "/list/*/b"]);
    assert_eq!(coverage.always_null(&schema), ["/note"]);
    coverage.observe(&schema, &json!({"note": "n", "list": [{"a": 1}, {"a": null}]}));
    assert_eq!(coverage.never_seen(&schema), ["/list/*/b"]);
    assert!(coverage.always_null(&schema).is_empty());
}

#[test]
fn items_in_a_list_are_any_of_them() {
    let schema = json!({"type": "object", "properties": {
        "a": {"type": "array", "items": [{"type": "string"}, {"type": "integer"}]}}});
    let schema = RecordSchema::compile(&schema).unwrap();
    assert_eq!(schema.violations(&json!({"a": [1, "x", 2]})), []);
    assert_eq!(schema.violations(&json!({"a": [true]})).len(), 1);
}

#[test]
fn a_broken_schema_is_refused_with_its_place() {
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "text"}}}),
        json!({"properties": {"a": {"$ref": "http://example.com/a.json"}}}),
        json!([]),
        json!({"type": "object", "properties": []}),
    ] {
        assert!(!RecordSchema::compile(&schema).unwrap_err().is_empty());
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(schema in arbitrary_json(), data in arbitrary_json()) {
        if let Ok(schema) = RecordSchema::compile(&schema) {
            let _ = schema.violations(&data);
            let _ = schema.coverage().observe(&schema, &data);
        }
    }
}
