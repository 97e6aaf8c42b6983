use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checks::arbitrary_json;

fn good() -> Value {
    json!({
        "documentationUrl": "https://docs.example.com/thing",
        "protocol_version": "0.18.0",
        "supported_destination_sync_modes": ["append", "append_dedup"],
        "connectionSpecification": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "title": "Thing",
            "required": ["start_date", "credentials"],
            "groups": [{"id": "main", "title": "Main"}],
            "properties": {
                "start_date": {"type": "string", "title": "Start", "description": "From when.", "order": 0,
                    "group": "main", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "examples": ["2026-01-31"]},
                "pages": {"type": "integer", "title": "Pages", "description": "How many.", "order": 1,
                    "group": "main", "minimum": 1, "maximum": 9, "default": 3},
                "mode": {"type": "string", "title": "Mode", "description": "Which.", "order": 1, "enum": ["a", "b"]},
                "lists": {"type": "array", "title": "Lists", "description": "Some.", "items": {"type": "string"}},
                "not": {"type": ["string", "null"], "title": "Not", "description": "Named so."},
                "credentials": {"type": "object", "title": "Login", "description": "How.", "display_type": "radio", "oneOf": [
                    {"title": "OAuth", "type": "object", "required": ["auth_type", "client_secret"], "properties": {
                        "auth_type": {"type": "string", "const": "oauth", "default": "oauth", "enum": ["oauth"]},
                        "client_secret": {"type": "string", "title": "Secret", "description": "Its.", "airbyte_secret": true, "minLength": 1}}},
                    {"title": "Key", "type": "object", "required": ["auth_type", "api_key"], "properties": {
                        "auth_type": {"type": "string", "const": "key"},
                        "api_key": {"type": "string", "title": "Key", "description": "Its.", "airbyte_secret": true,
                            "pattern": "^sk_(live|test)_[a-zA-Z0-9]+$"}}},
                ]},
            },
        },
        "advanced_auth": {
            "auth_flow_type": "oauth2.0",
            "predicate_key": ["credentials", "auth_type"],
            "predicate_value": "oauth",
            "oauth_config_specification": {
                "complete_oauth_server_output_specification": {"type": "object", "properties": {
                    "client_secret": {"type": "string", "path_in_connector_config": ["credentials", "client_secret"]}}},
            },
        },
    })
}

fn config_of_good() -> Value {
    json!({"start_date": "2026-01-31", "_limit": 5,
        "credentials": {"auth_type": "key", "api_key": "sk_test_abcDEF123456"}})
}

type Found = Vec<(&'static str, Level, String)>;

fn of_sheet(sheet: &Sheet) -> Found {
    sheet.findings().map(|f| (f.rule.id, f.level, f.message.clone())).collect()
}

fn found_in(spec: &Value) -> Found {
    let mut sheet = Sheet::new();
    lint(spec, Options { is_destination: true, ..Options::default() }, "spec", &mut sheet);
    of_sheet(&sheet)
}

/// The findings after a member of the good spec was set; `Null` removes it.
fn with(pointer: &str, value: Value) -> Found {
    let mut spec = good();
    set(&mut spec, pointer, value);
    found_in(&spec)
}

fn set(target: &mut Value, pointer: &str, value: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = target.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Value::Null => drop(parent.shift_remove(name)),
        value => drop(parent.insert(name.to_owned(), value)),
    }
}

const ROOT: &str = "/connectionSpecification";
const PROPERTIES: &str = "/connectionSpecification/properties";
const OAUTH: &str = "/connectionSpecification/properties/credentials/oneOf/0";
const KEY: &str = "/connectionSpecification/properties/credentials/oneOf/1";

#[track_caller]
fn assert_one(found: Found, id: &str, level: Level, part: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (id, level), "{found:?}");
    assert!(found[0].2.contains(part), "{found:?}");
}

/// A property with words, which takes over the members of `schema`.
fn property(schema: Value) -> Value {
    let mut property = json!({"title": "T", "description": "D."});
    for (key, value) in schema.as_object().unwrap() {
        property[key] = value.clone();
    }
    property
}

#[test]
fn a_good_spec_raises_nothing() {
    assert_eq!(found_in(&good()), []);
    let mut sheet = Sheet::new();
    lint(&good(), Options { is_destination: true, ..Options::default() }, "spec", &mut sheet);
    let looked_at = ["S02", "S04", "S05", "S06", "S07", "S08", "S09", "S11", "S13", "S14", "S15"];
    for id in looked_at {
        assert!(sheet.tally(rules::by_id(id).unwrap()).is_some(), "{id}");
    }
}

#[test]
fn s02_a_schema_of_an_object() {
    assert_one(with(ROOT, Value::Null), "S02", Level::Error, "missing");
    assert_one(with(ROOT, json!("x")), "S02", Level::Error, "no object");
    assert_one(with(&format!("{ROOT}/minProperties"), json!("x")), "S02", Level::Error, "draft 7");
    assert_one(with(&format!("{ROOT}/type"), json!("array")), "S02", Level::Error, "array");
    assert_one(with(&format!("{ROOT}/type"), Value::Null), "S02", Level::Warning, "type object");
    assert_one(with(&format!("{ROOT}/required"), json!(["gone"])), "S02", Level::Warning, "`gone`");
    let bare = json!({"documentationUrl": "https://a.example", "protocol_version": "0.18.0",
        "supported_destination_sync_modes": ["append"], "connectionSpecification": {"type": "object"}});
    assert_one(found_in(&bare), "S02", Level::Warning, "no properties");
}

#[test]
fn s04_secrets_are_marked() {
    for name in ["password", "API_KEY", "some_secret", "my_private_key", "token"] {
        let found = with(&format!("{PROPERTIES}/{name}"), property(json!({"type": "string"})));
        assert_one(found, "S04", Level::Error, "not marked");
        let waived = property(json!({"type": "string", "airbyte_secret": false}));
        assert_eq!(with(&format!("{PROPERTIES}/{name}"), waived), []);
    }
    for name in ["tenant_id", "page_token"] {
        let found = with(&format!("{PROPERTIES}/{name}"), property(json!({"type": "string"})));
        assert_one(found, "S04", Level::Warning, "not marked");
    }
    let of_items = property(json!({"type": "array", "items": {"type": "string"}}));
    assert_one(with(&format!("{PROPERTIES}/token"), of_items), "S04", Level::Error, "token[]");
}

#[test]
fn s04_only_what_can_hold_a_secret_is_marked() {
    let at = |schema| with(&format!("{PROPERTIES}/thing"), property(schema));
    let found = at(json!({"type": "boolean", "airbyte_secret": true}));
    assert_one(found, "S04", Level::Error, "cannot hold");
    let found = at(json!({"type": "string", "const": "a", "airbyte_secret": true}));
    assert_one(found, "S04", Level::Error, "cannot hold");
    let found = at(json!({"type": "string", "airbyte_secret": "yes"}));
    assert_one(found, "S04", Level::Error, "no boolean");
    let found = at(json!({"type": "array", "items": {"type": "string", "airbyte_secret": true}}));
    assert_one(found, "S04", Level::Warning, "does not look");
    assert_eq!(at(json!({"type": "integer", "airbyte_secret": true})), []);
}

#[test]
fn s05_variants_are_told_apart() {
    let parent = format!("{PROPERTIES}/credentials");
    assert_one(
        with(&format!("{parent}/type"), json!("boolean")),
        "S05",
        Level::Error,
        "type object",
    );
    assert_one(with(&format!("{KEY}/title"), Value::Null), "S05", Level::Warning, "no title");
    let found = with(&format!("{KEY}/properties/auth_type/const"), json!("oauth"));
    assert_one(found, "S05", Level::Error, "another variant");
    let found = with(&format!("{OAUTH}/properties/auth_type/enum"), json!(["oauth", "x"]));
    assert_one(found, "S05", Level::Error, "enum");
    let found = with(&format!("{KEY}/required"), json!(["api_key"]));
    assert_one(found, "S05", Level::Warning, "not required");
    let found = with(&format!("{KEY}/properties/auth_type/default"), json!("oauth"));
    assert!(found.iter().any(|f| f.0 == "S05" && f.2.contains("default")), "{found:?}");
    let found = with(&format!("{KEY}/properties/auth_type/const"), Value::Null);
    assert!(found.iter().any(|f| f.0 == "S05" && f.2.contains("share no")), "{found:?}");
    let mut spec = good();
    for variant in [OAUTH, KEY] {
        set(
            &mut spec,
            &format!("{variant}/properties/kind"),
            json!({"type": "string", "const": "k"}),
        );
    }
    let found = found_in(&spec);
    assert_one(found, "S05", Level::Error, "several");
    let found = with(&format!("{parent}/oneOf"), json!([{"title": "A"}]));
    assert!(found.iter().any(|f| f.0 == "S05" && f.2.contains("has no properties")), "{found:?}");
}

#[test]
fn s06_what_the_form_can_show() {
    let at = |schema| with(&format!("{PROPERTIES}/thing"), property(schema));
    for keyword in ["anyOf", "allOf"] {
        let schema = json!({"type": "string", keyword: [{"type": "string"}]});
        assert_one(at(schema), "S06", Level::Error, keyword);
    }
    for keyword in ["not", "if", "then", "else"] {
        assert_one(
            at(json!({"type": "string", keyword: {"type": "null"}})),
            "S06",
            Level::Error,
            keyword,
        );
    }
    for keyword in ["patternProperties", "dependentSchemas", "dependentRequired", "prefixItems"] {
        let schema = json!({"type": "string", keyword: {}});
        assert_one(at(schema), "S06", Level::Error, keyword);
    }
    assert_one(at(json!({"$ref": "#/properties/mode"})), "S06", Level::Error, "$ref");
    assert_one(at(json!({"type": ["string", "integer"]})), "S06", Level::Error, "union");
    assert_one(at(json!({"type": ["null", "string"]})), "S06", Level::Warning, "null");
    assert_one(at(json!({"type": "object"})), "S06", Level::Warning, "without properties");
    assert_one(at(json!({"type": "array"})), "S06", Level::Warning, "of what");
    assert_one(
        at(json!({"type": "array", "items": [{"type": "string"}]})),
        "S06",
        Level::Error,
        "list",
    );
    assert_one(
        at(json!({"type": "array", "items": {"type": "boolean"}})),
        "S06",
        Level::Error,
        "boolean",
    );
    assert_eq!(at(json!({"type": "array", "items": {"enum": ["a"]}})), []);
}

#[test]
fn s07_order_and_groups() {
    let at = |schema| with(&format!("{PROPERTIES}/thing"), property(schema));
    assert_one(at(json!({"type": "string", "order": 1})), "S07", Level::Error, "same order");
    assert_eq!(at(json!({"type": "string", "order": 0})), []);
    assert_one(at(json!({"type": "string", "order": "x"})), "S07", Level::Warning, "no integer");
    assert_one(at(json!({"type": "string", "group": "other"})), "S07", Level::Warning, "other");
    assert_one(
        at(json!({"type": "string", "display_type": "radio"})),
        "S07",
        Level::Error,
        "no oneOf",
    );
    assert_one(at(json!({"enum": ["a", "a"]})), "S07", Level::Error, "twice");
    let found = with(&format!("{KEY}/properties/api_key/group"), json!("main"));
    assert_one(found, "S07", Level::Error, "top-level");
    let found = with(&format!("{PROPERTIES}/credentials/display_type"), json!("tabs"));
    assert_one(found, "S07", Level::Error, "neither");
}

#[test]
fn s08_configurations_stay_open() {
    assert_one(
        with(&format!("{ROOT}/additionalProperties"), json!(false)),
        "S08",
        Level::Error,
        "false",
    );
    assert_eq!(with(&format!("{ROOT}/additionalProperties"), json!(true)), []);
}

#[test]
fn s09_oauth() {
    let key = "/advanced_auth/predicate_key";
    assert_one(with(key, json!(["gone"])), "S09", Level::Error, "`gone`");
    assert_one(
        with("/advanced_auth/predicate_value", json!("key")),
        "S09",
        Level::Error,
        "first variant",
    );
    assert_one(
        with("/advanced_auth/predicate_value", json!("none")),
        "S09",
        Level::Error,
        "no variant",
    );
    let path = "/advanced_auth/oauth_config_specification/complete_oauth_server_output_specification/properties/client_secret/path_in_connector_config";
    assert_one(with(path, json!(["client_secret"])), "S09", Level::Error, "`client_secret`");
    let mut spec = good();
    set(&mut spec, "/advanced_auth/predicate_value", json!("key"));
    let mut sheet = Sheet::new();
    lint(&spec, Options { oauth_is_default: false, is_destination: true }, "spec", &mut sheet);
    assert_eq!(of_sheet(&sheet), []);
}

#[test]
fn s11_words() {
    assert_one(with("/documentationUrl", Value::Null), "S11", Level::Warning, "documentationUrl");
    assert_one(with("/documentationUrl", json!("docs")), "S11", Level::Warning, "web address");
    assert_one(with("/protocol_version", Value::Null), "S11", Level::Warning, "protocol_version");
    for word in ["title", "description"] {
        let found = with(&format!("{PROPERTIES}/mode/{word}"), Value::Null);
        assert_one(found, "S11", Level::Warning, word);
    }
    let found = with(&format!("{PROPERTIES}/start_date/pattern"), Value::Null);
    assert_one(found, "S11", Level::Warning, "no pattern");
    let found = with(&format!("{PROPERTIES}/start_date/format"), Value::Null);
    assert_one(found, "S11", Level::Warning, "format date");
}

#[test]
fn s13_defaults_are_valid() {
    let found = with(&format!("{PROPERTIES}/pages/default"), json!(10));
    assert_one(found, "S13", Level::Warning, "default 10");
    let found = with(&format!("{PROPERTIES}/start_date/examples"), json!(["today"]));
    assert_one(found, "S13", Level::Warning, "today");
}

#[test]
fn s14_modes_of_destinations() {
    let modes = "/supported_destination_sync_modes";
    assert_one(with(modes, Value::Null), "S14", Level::Error, "missing");
    assert_one(with(modes, json!(["merge"])), "S14", Level::Error, "merge");
    let mut spec = good();
    set(&mut spec, modes, Value::Null);
    let mut sheet = Sheet::new();
    lint(&spec, Options::default(), "spec", &mut sheet);
    assert_eq!(of_sheet(&sheet), []);
}

#[test]
fn s15_versions() {
    assert_one(with("/protocol_version", json!("1.0.0")), "S15", Level::Error, "major");
    assert_one(with("/protocol_version", json!("latest")), "S15", Level::Error, "no version");
}

fn config_findings(config_value: &Value) -> Found {
    let mut sheet = Sheet::new();
    config(&good(), config_value, "spec", &mut sheet);
    of_sheet(&sheet)
}

#[test]
fn s03_configurations_fit_and_stay_secret() {
    assert_eq!(config_findings(&config_of_good()), []);
    let mut wrong = config_of_good();
    wrong["credentials"]["api_key"] = json!("sekrit");
    let found = config_findings(&wrong);
    assert_one(found.clone(), "S03", Level::Error, "credentials");
    assert!(!found[0].2.contains("sekrit"));
    assert_one(
        config_findings(&json!({"start_date": "2026-01-31"})),
        "S03",
        Level::Error,
        "required",
    );
    let mut odd = config_of_good();
    odd["start_date"] = json!("2026-02-31");
    assert_one(config_findings(&odd), "S03", Level::Warning, "start_date");
    let mut declared = good();
    set(&mut declared, &format!("{PROPERTIES}/_limit"), property(json!({"type": "string"})));
    let mut sheet = Sheet::new();
    config(&declared, &config_of_good(), "spec", &mut sheet);
    assert_one(of_sheet(&sheet), "S03", Level::Error, "_limit");
}

#[test]
fn secrets_are_found_everywhere() {
    let spec = json!({"connectionSpecification": {"type": "object", "properties": {
        "file": {"type": "string", "airbyte_secret": true},
        "pin": {"type": "integer", "airbyte_secret": true},
        "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "airbyte_secret": true}}}},
        "auth": {"type": "object", "oneOf": [{"properties": {"a": {"airbyte_secret": true}}}]},
    }}});
    let config = json!({"file": r#"{"type":"service_account","private_key":"-----BEGIN KEY"}"#, "pin": 4711,
        "list": [{"p": "one"}, {"p": "two"}], "auth": {"a": "three"}, "open": "four"});
    let found = secrets(&spec, &config);
    for secret in ["-----BEGIN KEY", "4711", "one", "two", "three"] {
        assert!(found.iter().any(|known| known == secret), "{secret}: {found:?}");
    }
    assert!(!found.contains(&"four".to_owned()));
    assert_eq!(with_wrong_secrets(&spec, &json!({"open": "four"})), None);
    let wrong = with_wrong_secrets(&spec, &config).unwrap();
    assert_ne!(wrong["pin"], config["pin"]);
    let inner: Value = serde_json::from_str(wrong["file"].as_str().unwrap()).unwrap();
    assert_eq!(inner["type"], "service_account");
    assert_ne!(inner["private_key"], "-----BEGIN KEY");
    assert_eq!(wrong["open"], "four");
}

#[test]
fn wrong_secrets_look_like_right_ones() {
    let config = config_of_good();
    let wrong = with_wrong_secrets(&good(), &config).unwrap();
    let (old, new) = (&config["credentials"]["api_key"], &wrong["credentials"]["api_key"]);
    assert!(new.as_str().unwrap().starts_with("sk_test_"), "{new}");
    assert_ne!(old, new);
    assert_eq!(old.as_str().unwrap().len(), new.as_str().unwrap().len());
    assert_eq!(config_findings(&wrong), []);
}

#[test]
fn pem_keys_keep_their_frame() {
    let spec = json!({"connectionSpecification": {"properties": {"k": {"type": "string", "airbyte_secret": true}}}});
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nabcdefghijklmn\nopqr\n-----END PRIVATE KEY-----\n";
    let wrong = with_wrong_secrets(&spec, &json!({"k": key})).unwrap();
    let wrong = wrong["k"].as_str().unwrap();
    assert_ne!(wrong, key);
    assert!(wrong.starts_with("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nabcdefg"), "{wrong}");
    assert!(wrong.ends_with("\n-----END PRIVATE KEY-----\n"), "{wrong}");
}

#[test]
fn breaking_configurations_break() {
    let spec = good();
    let config = config_of_good();
    let made = breaking_configs(&spec, &config);
    let what: Vec<&str> = made.iter().map(|(what, _)| what.as_str()).collect();
    for wanted in [
        "required `start_date` left out",
        "required `credentials.api_key` left out",
        "required `credentials.auth_type` left out",
        "`start_date` is a number instead of string",
        "`start_date` is empty",
        "`pages` is a string instead of integer",
        "`pages` is too small",
        "`pages` is too large",
        "`mode` is none of the permitted values",
        "`credentials` is a string instead of object",
        "`credentials.api_key` does not match its pattern",
        "`credentials.auth_type` is none of the permitted values",
    ] {
        assert!(what.contains(&wanted), "{wanted} is missing: {what:#?}");
    }
    assert!(!what.iter().any(|what| what.contains("client_secret")), "{what:?}");
    for (what, broken) in &made {
        let found = config_findings(broken);
        assert!(found.iter().any(|f| f.1 == Level::Error), "{what} breaks nothing: {broken}");
        assert_eq!(broken["_limit"], 5, "{what}");
    }
    assert!(breaking_configs(&spec, &json!({})).is_empty());
}

#[test]
fn an_unknown_property_is_added() {
    let config = with_unknown_property(&config_of_good());
    assert_eq!(config_findings(&config), []);
    assert_eq!(config.as_object().unwrap().len(), 4);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(spec in arbitrary_json(), schema in arbitrary_json(), config_value in arbitrary_json()) {
        for spec in [spec, json!({"connectionSpecification": schema})] {
            found_in(&spec);
            let mut sheet = Sheet::new();
            config(&spec, &config_value, "spec", &mut sheet);
            secrets(&spec, &config_value);
            with_wrong_secrets(&spec, &config_value);
            breaking_configs(&spec, &config_value);
        }
    }

    #[test]
    fn wrong_secrets_keep_length_and_differ(secret in "[a-zA-Z0-9_-]{4,40}") {
        let spec = json!({"connectionSpecification": {"properties": {"k": {"type": "string", "airbyte_secret": true}}}});
        prop_assume!(secret.chars().any(|c| c.is_ascii_alphanumeric()));
        let wrong = with_wrong_secrets(&spec, &json!({"k": secret})).unwrap();
        let wrong = wrong["k"].as_str().unwrap();
        prop_assert_ne!(wrong, &secret);
        prop_assert_eq!(wrong.len(), secret.len());
    }
}
