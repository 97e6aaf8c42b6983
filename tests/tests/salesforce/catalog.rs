//! `discover`: the streams of Airbyte's connector, with its schemas.

use std::collections::BTreeMap;
use std::time::Duration;

use airbyte_protocol::{LogLevel, Stream};
use e2e::Salesforce;
use serde_json::{Map, Value, json};

/// What `airbyte-source-salesforce` 2.10.3 discovers in the sandbox's org, without the texts
/// that describe fields.
const AIRBYTE: &str = include_str!("airbyte-catalog.json");
/// What it discovers in an org of 1,000 objects: names with a fingerprint of their entry.
const AIRBYTE_1000: &str = include_str!("airbyte-catalog-1000.txt");

/// The same value with sorted keys.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, Value> =
                members.iter().map(|(key, value)| (key, sorted(value))).collect();
            let sorted = sorted.into_iter().map(|(key, value)| (key.clone(), value));
            Value::Object(sorted.collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

fn entry(stream: &Stream) -> Value {
    sorted(&serde_json::to_value(stream).expect("JSON"))
}

/// FNV-1a of 64 bits.
fn fingerprint(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[test]
fn case_03_discover_equals_airbytes_catalog() {
    let discovered = Salesforce::of_rows(20).job("discover").run().succeeded();
    let expected: Vec<Value> = serde_json::from_str(AIRBYTE).expect("a fixture");
    let streams = &discovered.catalog().streams;
    assert_eq!(streams.len(), expected.len());
    for (stream, expected) in streams.iter().zip(&expected) {
        assert_eq!(entry(stream), sorted(expected), "{}", stream.name);
        let order = |schema: &Value| {
            schema["properties"].as_object().map(|p| p.keys().cloned().collect::<Vec<_>>())
        };
        assert_eq!(
            order(&stream.json_schema.value()),
            order(&expected["json_schema"]),
            "{}",
            stream.name
        );
    }
}

#[test]
fn case_03_discover_of_1000_objects_equals_airbytes_and_is_quick() {
    let org = Salesforce::with(20, "data.objects = 1000");
    let discovered = org.job("discover").run().succeeded();
    let found: Vec<String> = discovered
        .catalog()
        .streams
        .iter()
        .map(|stream| format!("{} {}", stream.name, fingerprint(&entry(stream).to_string())))
        .collect();
    let expected: Vec<&str> = AIRBYTE_1000.lines().collect();
    let strange: Vec<_> = found.iter().zip(&expected).filter(|(a, b)| a != b).take(3).collect();
    assert!(found.len() == expected.len() && strange.is_empty(), "{strange:?}");
    assert!(discovered.took < Duration::from_secs(30), "{:?}", discovered.took);
}

#[test]
fn case_04_an_unknown_type_is_text() {
    let org = Salesforce::with(20, "data.unknown_types = true");
    let discovered = org.job("discover").run().succeeded();
    let warnings = discovered.logs(LogLevel::Warn);
    assert!(warnings.iter().any(|text| text.contains("unknown type")), "{warnings:?}");
    let everything = discovered.catalog().streams.iter().find(|s| s.name == "Everything__c");
    assert!(everything.is_some());
    let read = org.read_discovered(&["Everything__c"]).run().succeeded();
    assert_eq!(read.rows("Everything__c").len(), 5);
}

#[test]
fn case_05_an_object_that_cannot_be_described_is_left_out() {
    let org = Salesforce::of_rows(20);
    org.faults(
        "[[script]]\npath = \"*/sobjects/Account/describe\"\ntimes = 6\naction = \"server_error\"\n",
    );
    let discovered = org.job("discover").set(json!({ "max_attempts": 3 })).run().succeeded();
    let names: Vec<&str> =
        discovered.catalog().streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names.len(), 22);
    assert!(!names.contains(&"Account") && names.contains(&"Contact"));
    let warnings = discovered.logs(LogLevel::Warn);
    assert!(warnings.iter().any(|text| text.starts_with("Account is left out")), "{warnings:?}");

    org.faults("[[script]]\npath = \"*/describe\"\ntimes = 0\naction = \"server_error\"\n");
    let failed = org.job("discover").set(json!({ "max_attempts": 2 })).run();
    assert_eq!(failed.code, Some(1));
    assert!(failed.error().message.contains("cannot be described"));
}

#[test]
fn case_05_a_tight_quota_has_many_describes_for_one_request() {
    let org = Salesforce::with(20, "limits.api_max = 200");
    let discovered = org.job("discover").run().succeeded();
    assert_eq!(discovered.catalog().streams.len(), 23);
    assert!(org.calls() <= 3, "{} calls", org.calls());
}

#[test]
fn case_06_criteria() {
    let org = Salesforce::of_rows(5);
    let names = |settings: Value| -> Vec<String> {
        let found = org.job("discover").set(settings).run().succeeded();
        let streams = &found.catalog().streams;
        streams.iter().map(|s| s.name.clone()).filter(|name| name != "Describe").collect()
    };
    let criteria = |list: Value| json!({ "streams_criteria": list });
    let positive = criteria(json!([
        { "criteria": "starts with", "value": "ACC" }, { "criteria": "exacts", "value": "lead" },
    ]));
    assert_eq!(names(positive), ["Account", "AccountFeed", "AccountHistory", "Lead"]);
    let negative = criteria(json!([
        { "criteria": "not contains", "value": "content" },
        { "criteria": "ends not with", "value": "__c" },
        { "criteria": "starts with", "value": "c" },
    ]));
    assert_eq!(names(negative), ["Campaign", "Case", "CaseStatus", "Contact"]);
}
