use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checks::arbitrary_json;
use crate::transcript::Transcript;

fn config_spec() -> Value {
    json!({"documentationUrl": "https://a.example", "supported_destination_sync_modes": ["append", "overwrite"],
        "connectionSpecification": {"type": "object", "title": "T", "required": ["start"], "properties": {
            "start": {"type": "string", "pattern": "^[0-9]{4}$"},
            "pages": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3},
            "mode": {"type": "string", "enum": ["a", "b"]},
            "note": {"type": ["string", "null"], "maxLength": 5},
            "ids": {"type": "array", "items": {"type": "integer"}},
            "auth": {"type": "object", "oneOf": [
                {"title": "Key", "required": ["kind"], "properties": {"kind": {"const": "key"}, "key": {"type": "string", "airbyte_secret": true}}},
                {"title": "None", "required": ["kind"], "properties": {"kind": {"const": "none"}}},
            ]},
        }},
        "advanced_auth": {"predicate_key": ["auth", "kind"], "predicate_value": "key"}})
}

fn stream_catalog() -> Value {
    json!({"streams": [
        {"name": "orders", "supported_sync_modes": ["full_refresh", "incremental"], "source_defined_cursor": true,
            "default_cursor_field": ["updated"], "source_defined_primary_key": [["id"]], "is_resumable": true,
            "json_schema": {"type": "object", "properties": {
                "id": {"type": "integer"},
                "updated": {"type": "string", "format": "date-time", "airbyte_type": "timestamp_with_timezone"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "deep": {"type": "object", "properties": {"a": {"type": "string"}}}}}},
        {"name": "other", "namespace": "n", "supported_sync_modes": ["full_refresh"],
            "json_schema": {"type": "object", "properties": {"x": {"type": "string"}}}},
    ]})
}

fn set(target: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = target.pointer_mut(parent).unwrap();
    if let Value::Array(items) = parent {
        let at: usize = name.parse().unwrap();
        match value {
            Value::Null => drop(items.remove(at)),
            value if at == items.len() => items.push(value),
            value => items[at] = value,
        }
        return;
    }
    let parent = parent.as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.shift_remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
}

#[track_caller]
fn assert_change(changes: &[Change], severity: Severity, path: &str, part: &str) {
    assert_eq!(verdict(changes), Some(severity), "{changes:#?}");
    let found = changes
        .iter()
        .any(|c| c.severity == severity && c.path == path && c.message.contains(part));
    assert!(found, "{severity:?} {path} {part}: {changes:#?}");
}

#[test]
fn equal_things_have_no_changes() {
    assert_eq!(spec(&config_spec(), &config_spec()), []);
    assert_eq!(catalog(&stream_catalog(), &stream_catalog()), []);
}

#[test]
fn changes_of_specs() {
    use Severity::{Major, Minor, Patch};
    let p = "/connectionSpecification/properties";
    for (pointer, value, severity, path, part) in [
        // What the form asks for.
        (
            "/connectionSpecification/required",
            json!(["start", "mode"]),
            Major,
            "mode",
            "required now",
        ),
        (
            "/connectionSpecification/required",
            json!(["start", "extra"]),
            Major,
            "extra",
            "new and required",
        ),
        ("/connectionSpecification/required", json!([]), Minor, "start", "optional"),
        (&format!("{p}/mode"), Value::Null, Major, "mode", "gone"),
        (&format!("{p}/extra"), json!({"type": "string"}), Minor, "extra", "new"),
        (
            "/connectionSpecification/additionalProperties",
            json!(false),
            Major,
            "",
            "additionalProperties",
        ),
        // Types.
        (&format!("{p}/pages/type"), json!("string"), Major, "pages", "integer is no longer"),
        (&format!("{p}/pages/type"), json!("number"), Minor, "pages", "number is taken"),
        (&format!("{p}/note/type"), json!("string"), Major, "note", "null is no longer"),
        (
            &format!("{p}/mode/type"),
            json!(["string", "integer"]),
            Minor,
            "mode",
            "integer is taken",
        ),
        (&format!("{p}/ids/items/type"), json!("string"), Major, "ids[]", "integer is no longer"),
        // Values.
        (&format!("{p}/mode/enum"), json!(["a"]), Major, "mode", "\"b\""),
        (&format!("{p}/mode/enum"), json!(["a", "b", "c"]), Minor, "mode", "\"c\""),
        (&format!("{p}/mode/enum"), Value::Null, Minor, "mode", "any value"),
        (&format!("{p}/note/enum"), json!(["a"]), Major, "note", "only"),
        (&format!("{p}/note/pattern"), json!("^a"), Major, "note", "has to match"),
        (&format!("{p}/start/pattern"), json!("^2[0-9]{3}$"), Major, "start", "refuses"),
        (&format!("{p}/start/pattern"), json!("^[0-9]{4,5}$"), Minor, "start", "takes what"),
        (&format!("{p}/start/pattern"), Value::Null, Minor, "start", "need not"),
        (&format!("{p}/pages/minimum"), json!(2), Major, "pages", "minimum"),
        (&format!("{p}/pages/minimum"), json!(0), Minor, "pages", "minimum"),
        (&format!("{p}/pages/maximum"), json!(9), Major, "pages", "maximum"),
        (&format!("{p}/note/maxLength"), json!(4), Major, "note", "maxLength"),
        (&format!("{p}/note/maxLength"), Value::Null, Minor, "note", "maxLength"),
        (&format!("{p}/note/minLength"), json!(1), Major, "note", "minLength"),
        (&format!("{p}/ids/uniqueItems"), json!(true), Major, "ids", "uniqueItems"),
        (&format!("{p}/pages/multipleOf"), json!(2), Major, "pages", "multipleOf"),
        // Meaning.
        (&format!("{p}/pages/default"), json!(4), Major, "pages", "default"),
        (&format!("{p}/mode/default"), json!("a"), Minor, "mode", "default"),
        (
            &format!("{p}/auth/oneOf/0/properties/key/airbyte_secret"),
            json!(false),
            Major,
            "auth (Key).key",
            "secret",
        ),
        (&format!("{p}/mode/airbyte_secret"), json!(true), Minor, "mode", "secret"),
        (&format!("{p}/start/format"), json!("date"), Minor, "start", "format"),
        // Variants.
        (&format!("{p}/auth/oneOf/1"), Value::Null, Major, "auth (None)", "gone"),
        (
            &format!("{p}/auth/oneOf/0/properties/kind/const"),
            json!("token"),
            Major,
            "auth (Key)",
            "gone",
        ),
        (
            &format!("{p}/auth/oneOf/0/required"),
            json!(["kind", "key"]),
            Major,
            "auth (Key).key",
            "required now",
        ),
        (
            &format!("{p}/auth/oneOf/2"),
            json!({"title": "New", "properties": {"kind": {"const": "new"}}}),
            Minor,
            "auth (New)",
            "new",
        ),
        // Words.
        (&format!("{p}/mode/title"), json!("Mode"), Patch, "mode", "title"),
        ("/connectionSpecification/title", json!("U"), Patch, "", "title"),
        ("/documentationUrl", json!("https://b.example"), Patch, "", "documentationUrl"),
        // The rest of the spec.
        ("/supported_destination_sync_modes", json!(["append"]), Major, "", "overwrite is gone"),
        ("/supported_destination_sync_modes/2", json!("update"), Minor, "", "update is new"),
        ("/advanced_auth", Value::Null, Major, "advanced_auth", "gone"),
        ("/advanced_auth/predicate_value", json!("none"), Major, "advanced_auth", "predicate"),
        ("/advanced_auth/auth_flow_type", json!("oauth1.0"), Minor, "advanced_auth", "flow"),
    ] {
        let mut new = config_spec();
        set(&mut new, pointer, value);
        assert_change(&spec(&config_spec(), &new), severity, path, part);
    }
}

#[test]
fn a_renamed_property_is_recognised() {
    let mut new = config_spec();
    let p = "/connectionSpecification/properties";
    let note = new.pointer(&format!("{p}/note")).unwrap().clone();
    set(&mut new, &format!("{p}/note"), Value::Null);
    set(&mut new, &format!("{p}/remark"), note);
    assert_change(&spec(&config_spec(), &new), Severity::Major, "note", "`remark`");
}

#[test]
fn random_configurations_find_what_no_rule_names() {
    let mut new = config_spec();
    let not = json!({"required": ["pages"]});
    set(&mut new, "/connectionSpecification/not", not);
    assert_change(&spec(&config_spec(), &new), Severity::Major, "", "is refused");
    // Written differently, but the same.
    let mut same = config_spec();
    set(&mut same, "/connectionSpecification/allOf", json!([{"type": "object"}]));
    assert_eq!(verdict(&spec(&config_spec(), &same)), Some(Severity::Minor));
}

#[test]
fn samples_are_valid_and_repeatable() {
    let schema = &config_spec()["connectionSpecification"];
    let made = samples(schema, 100, 7);
    assert_eq!(made.len(), 100);
    assert_eq!(made, samples(schema, 100, 7));
    assert_ne!(made, samples(schema, 100, 8));
    let validator = generate::validator(schema).unwrap();
    assert!(made.iter().all(|sample| validator.is_valid(sample)));
    assert!(made.iter().any(|sample| sample["auth"]["kind"] == "none"));
    assert!(made.iter().any(|sample| sample.get("pages").is_none()));
    let dates =
        json!({"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}(T[a-f]+Z|)$", "minLength": 3});
    assert_eq!(samples(&dates, 50, 1).len(), 50);
}

#[test]
fn changes_of_catalogs() {
    use Severity::{Major, Minor, Patch};
    let s = "/streams/0";
    let p = "/streams/0/json_schema/properties";
    for (pointer, value, severity, path, part) in [
        ("/streams/0", Value::Null, Major, "orders", "gone"),
        ("/streams/0/name", json!("purchases"), Major, "orders", "called `purchases`"),
        ("/streams/1/namespace", json!("m"), Major, "n.other", "namespace"),
        ("/streams/2", json!({"name": "new", "json_schema": {}}), Minor, "new", "stream is new"),
        (
            &format!("{s}/supported_sync_modes"),
            json!(["full_refresh"]),
            Major,
            "orders",
            "incremental is gone",
        ),
        (
            &format!("{s}/supported_sync_modes"),
            json!(["incremental", "full_refresh"]),
            Patch,
            "orders",
            "begins",
        ),
        ("/streams/1/supported_sync_modes/1", json!("incremental"), Minor, "n.other", "is new"),
        (&format!("{s}/default_cursor_field"), json!(["id"]), Major, "orders", "cursor changed"),
        (&format!("{s}/default_cursor_field"), Value::Null, Major, "orders", "is gone"),
        ("/streams/1/default_cursor_field", json!(["x"]), Minor, "n.other", "cursor is new"),
        (&format!("{s}/source_defined_cursor"), Value::Null, Major, "orders", "no longer defined"),
        (
            "/streams/1/source_defined_cursor",
            json!(true),
            Major,
            "n.other",
            "defined by the source now",
        ),
        (
            &format!("{s}/source_defined_primary_key"),
            json!([["id"], ["updated"]]),
            Major,
            "orders",
            "key changed",
        ),
        (
            &format!("{s}/source_defined_primary_key"),
            Value::Null,
            Major,
            "orders",
            "key id is gone",
        ),
        ("/streams/1/source_defined_primary_key", json!([["x"]]), Minor, "n.other", "key is new"),
        (&format!("{s}/is_resumable"), json!(false), Minor, "orders", "cannot be resumed"),
        (&format!("{s}/is_file_based"), json!(true), Major, "orders", "files"),
        (&format!("{p}/tags"), Value::Null, Major, "orders: tags", "gone"),
        (&format!("{p}/deep/properties/a"), Value::Null, Major, "orders: deep.a", "gone"),
        (&format!("{p}/extra"), json!({"type": "string"}), Minor, "orders: extra", "field is new"),
        (&format!("{p}/id/type"), json!("string"), Major, "orders: id", "integer to string"),
        (&format!("{p}/id/type"), json!("number"), Major, "orders: id", "integer to number"),
        (
            &format!("{p}/id/type"),
            json!(["integer", "string"]),
            Major,
            "orders: id",
            "integer or string",
        ),
        (&format!("{p}/id/type"), json!(["null", "integer"]), Minor, "orders: id", "may be null"),
        (
            &format!("{p}/tags/items/type"),
            json!("integer"),
            Major,
            "orders: tags[]",
            "string to integer",
        ),
        (&format!("{p}/updated/format"), json!("date"), Major, "orders: updated", "format"),
        (
            &format!("{p}/updated/airbyte_type"),
            json!("timestamp_without_timezone"),
            Major,
            "orders: updated",
            "airbyte_type",
        ),
        (&format!("{p}/id/description"), json!("D"), Patch, "orders: id", "description"),
    ] {
        let mut new = stream_catalog();
        set(&mut new, pointer, value);
        assert_change(&catalog(&stream_catalog(), &new), severity, path, part);
    }
}

#[test]
fn major_changes_are_findings() {
    let (old_spec, old_catalog) = (config_spec(), stream_catalog());
    let old = Offer { spec: Some(&old_spec), catalog: Some(&old_catalog) };
    let mut sheet = Sheet::new();
    check(old, old, &mut sheet);
    assert_eq!(sheet.findings().count(), 0);
    let (mut new_spec, mut new_catalog) = (config_spec(), stream_catalog());
    set(&mut new_spec, "/connectionSpecification/properties/pages/default", json!(9));
    set(&mut new_catalog, "/streams/0/source_defined_primary_key", Value::Null);
    set(&mut new_catalog, "/streams/0/json_schema/properties/extra", json!({}));
    check(old, Offer { spec: Some(&new_spec), catalog: Some(&new_catalog) }, &mut sheet);
    let found: Vec<_> = sheet.findings().map(|f| (f.rule.id, f.level)).collect();
    assert_eq!(found, [("U01", Level::Warning), ("U02", Level::Error)]);
    let mut sheet = Sheet::new();
    check(Offer::default(), old, &mut sheet);
    assert_eq!(sheet.tally(&rules::U01).unwrap().skipped.len(), 1);
}

fn lines(ids: &[(i64, Value)], state: Value, status: &str) -> String {
    let mut text = String::new();
    for (id, value) in ids {
        let record = json!({"type": "RECORD", "record": {"stream": "a", "data": {"id": id, "v": value}, "emitted_at": 1}});
        text += &format!("{record}\n");
    }
    let state = json!({"type": "STATE", "state": {"type": "STREAM", "stream": {"stream_descriptor": {"name": "a"}, "stream_state": state}}});
    let status = json!({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1.0,
        "stream_status": {"stream_descriptor": {"name": "a"}, "status": status}}});
    text + &format!("{state}\n{status}\n")
}

fn run(text: &str) -> Transcript {
    Transcript::recorded("output", "read", text.as_bytes())
}

#[test]
fn changes_of_outputs() {
    let old = lines(&[(1, json!("x")), (2, json!("y"))], json!({"c": 2}), "COMPLETE");
    let compare = |new: &str| output(&run(&old), &run(new));
    assert_eq!(compare(&old), []);
    let new = lines(&[(1, json!("x"))], json!({"c": 2}), "COMPLETE");
    assert_change(&compare(&new), Severity::Major, "a", "1 of 2 records are gone");
    let new =
        lines(&[(2, json!("y")), (1, json!("x")), (3, json!("z"))], json!({"c": 2}), "COMPLETE");
    assert_change(&compare(&new), Severity::Minor, "a", "1 records are new");
    let new = lines(&[(1, json!("x")), (2, json!("other"))], json!({"c": 2}), "COMPLETE");
    assert_change(&compare(&new), Severity::Minor, "a", "other contents");
    let new = lines(&[(1, json!("x")), (2, json!(7))], json!({"c": 2}), "COMPLETE");
    assert_change(&compare(&new), Severity::Major, "a: v", "integer now");
    let new = lines(&[(1, json!("x")), (2, json!("y"))], json!({"c": 3}), "COMPLETE");
    assert_change(&compare(&new), Severity::Patch, "a", "last state differs");
    let new = lines(&[(1, json!("x")), (2, json!("y"))], json!({"cursor": 2}), "COMPLETE");
    assert_change(&compare(&new), Severity::Major, "a", "shape");
    let new = lines(&[(1, json!("x")), (2, json!("y"))], json!({"c": 2}), "INCOMPLETE");
    assert_change(&compare(&new), Severity::Major, "a", "INCOMPLETE");
    let failing = json!({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1.0, "error": {"message": "broken"}}});
    assert_change(&compare(&format!("{old}{failing}\n")), Severity::Major, "", "broken");
}

#[test]
fn files_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let plain = write("spec.json", &config_spec().to_string());
    let message = write(
        "spec.jsonl",
        &format!(
            "{{\"type\":\"LOG\",\"log\":{{\"level\":\"INFO\",\"message\":\"m\"}}}}\n{}\n",
            json!({"type": "SPEC", "spec": config_spec()})
        ),
    );
    let yaml = write(
        "spec.yaml",
        "documentationUrl: https://a.example\nconnectionSpecification:\n  type: object\n  properties: {}\n",
    );
    let manifest = write(
        "manifest.yaml",
        "version: 1.0.0\ntype: DeclarativeSource\nspec:\n  type: Spec\n  documentation_url: https://a.example\n  connection_specification:\n    type: object\n    properties: {}\n",
    );
    let streams = write("catalog.json", &stream_catalog().to_string());
    let configured: Vec<Value> = stream_catalog()["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| json!({"stream": s, "sync_mode": "full_refresh"}))
        .collect();
    let configured = write("configured.json", &json!({"streams": configured}).to_string());
    let printed = write(
        "catalog.jsonl",
        &json!({"type": "CATALOG", "catalog": stream_catalog()}).to_string(),
    );
    let read = write("read.jsonl", &lines(&[(1, json!(1))], json!({}), "COMPLETE"));
    for (a, b, kind) in [
        (&plain, &message, Kind::Spec),
        (&yaml, &manifest, Kind::Spec),
        (&streams, &configured, Kind::Catalog),
        (&streams, &printed, Kind::Catalog),
        (&read, &read, Kind::Output),
    ] {
        let comparison = compare_files(a, b).unwrap();
        assert_eq!((comparison.kind, comparison.verdict()), (kind, None), "{}", comparison.text());
        assert_eq!(comparison.json()["verdict"], "none");
    }
    let comparison = compare_files(&plain, &yaml).unwrap();
    assert_eq!(comparison.json()["verdict"], "major");
    assert!(comparison.text().starts_with("major"), "{}", comparison.text());
    assert!(comparison.text().trim_end().ends_with("major"));
    let error = compare_files(&plain, &streams).unwrap_err().to_string();
    assert!(error.contains("two of a kind"), "{error}");
    let nothing = write("nothing.txt", "hello\n");
    let error = compare_files(&nothing, &plain).unwrap_err().to_string();
    assert!(error.contains("neither a spec"), "{error}");
    assert!(compare_files(&folder.path().join("gone"), &plain).is_err());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(a in arbitrary_json(), b in arbitrary_json(), x in arbitrary_json(), y in arbitrary_json()) {
        let _ = spec(&json!({"connectionSpecification": a}), &json!({"connectionSpecification": b}));
        let _ = spec(&a, &b);
        let _ = catalog(&json!({"streams": [a, x]}), &json!({"streams": [b, y]}));
        let _ = samples(&x, 3, 1);
        let _ = output(&run(&a.to_string()), &run(&b.to_string()));
    }

    #[test]
    fn texts_match_their_patterns(pattern in "\\^[a-c]\\{1,3\\}(x|y)\\?[0-9]\\+\\$") {
        let validator = generate::validator(&json!({"pattern": pattern})).unwrap();
        for text in generate::texts(&pattern, 5, 3) {
            prop_assert!(validator.is_valid(&json!(text)), "{pattern} {text}");
        }
    }
}
