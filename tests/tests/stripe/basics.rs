//! What the connector says of itself: `spec`, `check`, `discover`.

use std::collections::BTreeMap;
use std::time::Duration;

use airbyte_protocol::{ConnectionStatusType, Message, Stream, SyncMode};
use e2e::{Job, Stripe};
use serde_json::{Value, json};

/// The streams of Airbyte's connector with the types of their fields, as its 5.14.1 discovers
/// them (and one that came later, whose fields are not known): what a saved catalog may name.
const AIRBYTE: &str = include_str!("airbyte-streams.json");

fn schema_of_spec() -> Value {
    let spec = Job::spec("source-stripe").run();
    assert_eq!((spec.code, spec.stderr.as_str()), (Some(0), ""));
    match spec.messages.as_slice() {
        [Message::Spec(spec)] => spec.connection_specification.clone(),
        other => panic!("{other:?}"),
    }
}

fn streams() -> BTreeMap<String, Stream> {
    let discovered = Stripe::of_rows(1).job("discover").run().succeeded();
    discovered
        .catalog()
        .streams
        .iter()
        .map(|stream| (stream.name.clone(), stream.clone()))
        .collect()
}

#[test]
fn case_01_spec_has_every_setting_of_airbytes_connector() {
    let schema = schema_of_spec();
    let settings = &schema["properties"];
    for (name, kind, default) in [
        ("account_id", "string", Some(json!(""))),
        ("client_secret", "string", None),
        ("start_date", "string", Some(json!("2017-01-25T00:00:00Z"))),
        ("lookback_window_days", "integer", Some(json!(0))),
        ("slice_range", "integer", Some(json!(365))),
        ("num_workers", "integer", Some(json!(10))),
        ("call_rate_limit", "integer", None),
        ("api_retention_streams", "array", Some(json!([]))),
    ] {
        assert_eq!(settings[name]["type"], kind, "{name}");
        assert_eq!(settings[name].get("default").cloned(), default, "{name}");
    }
    assert_eq!(settings["client_secret"]["airbyte_secret"], true);
    assert_eq!(schema["required"], json!(["client_secret"]));
    for (limit, value) in [("minimum", 1), ("maximum", 100)] {
        assert_eq!(settings["num_workers"][limit], value);
    }
    assert_eq!(settings["api_url"]["airbyte_hidden"], true);
    assert_ne!(schema["additionalProperties"], false);
}

#[test]
fn case_01_spec_is_quick() {
    // The best of some: other tests run beside this one. The figure is for a release build; one
    // without optimization gets some more time.
    let limit = if cfg!(debug_assertions) { 100 } else { 20 };
    let took = (0..10).map(|_| Job::spec("source-stripe").run().took).min();
    assert!(took < Some(Duration::from_millis(limit)), "{took:?}");
}

#[test]
fn case_02_check_names_account_and_mode() {
    let stripe = Stripe::of_rows(5);
    let check = stripe.job("check").run().succeeded();
    assert_eq!(check.status().status, ConnectionStatusType::Succeeded);
    let message = check.status().message.clone().unwrap_or_default();
    let account = stripe.config()["account_id"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&account) && message.contains("test mode"), "{message}");
}

#[test]
fn case_02_check_fails_with_a_wrong_key() {
    let check = Stripe::of_rows(5).job("check").key("sk_wrong_0123456789").run();
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""));
    assert_eq!(check.status().status, ConnectionStatusType::Failed);
    let message = check.status().message.clone().unwrap_or_default();
    assert!(message.contains("client_secret"), "{message}");
}

#[test]
fn case_02_check_lists_missing_permissions() {
    let stripe = Stripe::of_rows(5);
    let check = stripe.job("check").key("rk_test_deny_charge_customer_x0123").run().succeeded();
    assert_eq!(check.status().status, ConnectionStatusType::Succeeded);
    let message = check.status().message.clone().unwrap_or_default();
    for part in ["rak_charge_read", "charges", "rak_customer_read", "customers"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert!(!message.contains("rak_invoice_read"), "{message}");
}

#[test]
fn case_02_check_fails_for_an_account_of_others() {
    let stripe = Stripe::of_rows(5);
    let check = stripe.job("check").set(json!({"account_id": "acct_of_somebody_else"})).run();
    assert_eq!(check.code, Some(0));
    assert_eq!(check.status().status, ConnectionStatusType::Failed);
    let message = check.status().message.clone().unwrap_or_default();
    assert!(message.contains("account_id acct_of_somebody_else"), "{message}");
}

#[test]
fn case_03_discover_offers_airbytes_streams_with_the_same_types() {
    let streams = streams();
    assert_eq!(streams.len(), 60);
    let expected: BTreeMap<String, Value> = serde_json::from_str(AIRBYTE).expect("a fixture");
    assert_eq!(expected.len(), 48);
    for (name, expected) in &expected {
        let stream = &streams[name];
        let key: Vec<String> =
            stream.source_defined_primary_key.iter().flatten().cloned().collect();
        assert_eq!(json!(key), expected["key"], "{name}: key");
        let cursor = stream.default_cursor_field.first().map_or(Value::Null, |c| json!(c));
        assert_eq!(cursor, expected["cursor"], "{name}: cursor");
        let is_incremental = stream.supported_sync_modes.contains(&SyncMode::Incremental);
        assert_eq!(is_incremental, expected["cursor"] != Value::Null, "{name}: modes");
        assert_eq!(stream.namespace, None, "{name}");
        let fields = expected["fields"].as_object().expect("fields");
        let properties = &stream.json_schema.value()["properties"];
        for (field, kinds) in fields {
            let ours = kinds_of(&properties[field]);
            let ours: Vec<&str> = ours.split('|').collect();
            // Some are wider, which the README lists; none may be narrower.
            let theirs = kinds.as_str().unwrap_or_default();
            assert!(theirs.split('|').all(|kind| ours.contains(&kind)), "{name}.{field}: {ours:?}");
        }
    }
}

#[test]
fn case_03_discovered_streams_are_whole() {
    for (name, stream) in streams() {
        assert_eq!(stream.supported_sync_modes.first(), Some(&SyncMode::FullRefresh), "{name}");
        let has_cursor = !stream.default_cursor_field.is_empty();
        assert_eq!(stream.is_resumable == Some(true), has_cursor, "{name}");
        let schema = stream.json_schema.value();
        assert_eq!(schema["additionalProperties"], true, "{name}");
        let properties = &schema["properties"];
        let paths = stream.source_defined_primary_key.iter().flatten();
        for field in paths.chain(&stream.default_cursor_field) {
            assert!(properties.get(field).is_some(), "{name}.{field}");
        }
    }
}

/// The types of a field without null, sorted, as in the fixture.
fn kinds_of(schema: &Value) -> String {
    let mut kinds: Vec<String> = match &schema["type"] {
        Value::String(kind) => vec![kind.clone()],
        Value::Array(kinds) => {
            kinds.iter().filter_map(|kind| Some(kind.as_str()?.into())).collect()
        }
        _ => Vec::new(),
    };
    for variant in ["oneOf", "anyOf"].iter().filter_map(|key| schema[key].as_array()).flatten() {
        kinds.extend(kinds_of(variant).split('|').map(str::to_owned));
    }
    kinds.retain(|kind| kind != "null" && !kind.is_empty());
    kinds.sort();
    kinds.dedup();
    kinds.join("|")
}
