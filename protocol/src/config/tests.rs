use serde_json::{Value, json};

use super::{effective, read_config, secrets, validate_config};
use crate::error::FailureType;

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["credentials"],
        "properties": {
            "credentials": {"type": "object", "oneOf": [
                {"type": "object", "required": ["auth_type", "token"], "properties": {
                    "auth_type": {"type": "string", "const": "token"},
                    "token": {"type": "string", "airbyte_secret": true, "minLength": 5}}},
                {"type": "object", "required": ["auth_type", "password"], "properties": {
                    "auth_type": {"type": "string", "const": "login"},
                    "password": {"type": "string", "airbyte_secret": true}}},
            ]},
            "start_date": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "pattern_descriptor": "YYYY-MM"},
            "pages": {"type": "integer", "minimum": 1, "maximum": 9},
            "mode": {"type": "string", "enum": ["slow", "fast"]},
            "pin": {"type": "integer", "airbyte_secret": true},
            "keys": {"type": "array", "items": {"type": "string", "airbyte_secret": true}},
        },
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut config = json!({"credentials": {"auth_type": "token", "token": "canary-1"}});
    config[field] = value;
    config
}

fn problem(config: &Value) -> String {
    let error = validate_config(&schema(), config).unwrap_err();
    assert_eq!(error.kind(), FailureType::Config);
    let message = error.message().strip_prefix("Config validation error: ").unwrap().to_owned();
    assert!(!message.contains("canary"), "{message}");
    message
}

#[test]
fn a_good_configuration_passes_also_with_keys_that_nobody_knows() {
    for field in ["_page_size", "__injected", "unknown"] {
        validate_config(&schema(), &with(field, json!({"a": 1}))).unwrap();
    }
    validate_config(&schema(), &with("mode", json!(null))).unwrap();
    assert_eq!(
        effective(&json!({"a": {"b": null, "c": 1}, "_d": 2, "e": null})),
        json!({"a": {"c": 1}})
    );
    let mut private = schema();
    private["properties"]["_page_size"] = json!({"type": "string"});
    validate_config(&private, &with("_page_size", json!(5))).unwrap();
}

#[test]
fn each_problem_names_its_field_and_what_was_expected() {
    for (config, expected) in [
        (json!({}), "/credentials is required and missing"),
        (with("pages", json!("canary")), "/pages must be of type integer, is a string"),
        (with("pages", json!(0)), "/pages must be at least 1"),
        (with("pages", json!(10)), "/pages must be at most 9"),
        (with("mode", json!("canary")), r#"/mode must be one of "slow", "fast""#),
        (with("keys", json!([null])), "/keys/0 must be of type string, is null"),
        (json!({"credentials": null}), "/credentials is required and missing"),
        (
            with("start_date", json!("canary")),
            "/start_date must look like YYYY-MM (pattern ^[0-9]{4}-[0-9]{2}$)",
        ),
        (with("keys", json!(["a", 4])), "/keys/1 must be of type string, is a number"),
        (json!([]), "the configuration must be of type object, is an array"),
    ] {
        assert_eq!(problem(&config), expected, "{config}");
    }
}

#[test]
fn a_choice_is_judged_by_the_variant_that_it_names() {
    for (value, expected) in [
        (json!({"auth_type": "token"}), "/credentials/token is required and missing"),
        (
            json!({"auth_type": "token", "token": "can"}),
            "/credentials/token must have at least 5 characters",
        ),
        (
            json!({"auth_type": "login", "password": 4}),
            "/credentials/password must be of type string, is a number",
        ),
        (
            json!({"auth_type": "canary"}),
            r#"/credentials/auth_type must be one of "token", "login""#,
        ),
        (json!({}), r#"/credentials/auth_type must be one of "token", "login""#),
    ] {
        assert_eq!(problem(&with("credentials", value.clone())), expected, "{value}");
    }
    assert!(
        problem(&with("credentials", json!("canary")))
            .contains("/credentials must be of type object, is a string")
    );
}

#[test]
fn secrets_are_found_along_properties_and_variants() {
    let config = json!({
        "credentials": {"auth_type": "login", "password": "one", "token": "two"},
        "pin": 1234, "keys": ["three", "four"], "mode": "slow", "start_date": null,
    });
    let mut found = secrets(&schema(), &config);
    found.sort();
    assert_eq!(found, ["1234", "four", "one", "three", "two"]);
}

#[test]
fn a_config_file_is_an_object_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let read = |text: &[u8]| {
        std::fs::write(&path, text).unwrap();
        read_config(&path).map_err(|error| error.message().to_owned())
    };
    assert_eq!(read(b"\xef\xbb\xbf{\"a\":1}"), Ok(json!({"a": 1})));
    let error = read(b"{\"a\":\n \"canary\" x}").unwrap_err();
    assert!(error.contains("config.json") && error.contains("line 2 column 11"), "{error}");
    assert!(!error.contains("canary"));
    assert!(read(b"[1]").unwrap_err().contains("does not hold a JSON object"));
    assert!(read(b"{\"a\":\"\xff\"}").unwrap_err().contains("not UTF-8"));
    assert!(
        read_config(&folder.path().join("absent.json"))
            .unwrap_err()
            .message()
            .contains("absent.json")
    );
}
