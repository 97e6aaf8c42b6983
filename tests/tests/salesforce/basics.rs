//! What the connector says of itself: `spec` and `check`.

use std::time::Duration;

use airbyte_protocol::{ConnectionStatusType, ConnectorSpecification, Message};
use e2e::{Job, Outcome, Salesforce};
use serde_json::json;

fn spec() -> ConnectorSpecification {
    let spec = Job::spec("source-salesforce").run();
    assert_eq!((spec.code, spec.stderr.as_str()), (Some(0), ""));
    match spec.messages.as_slice() {
        [Message::Spec(spec)] => spec.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn case_01_spec_has_every_setting_of_airbytes_connector() {
    let spec = spec();
    let schema = &spec.connection_specification;
    for (name, kind, default) in [
        ("is_sandbox", "boolean", Some(json!(false))),
        ("client_id", "string", None),
        ("client_secret", "string", None),
        ("refresh_token", "string", None),
        ("start_date", "string", None),
        ("end_date", "string", None),
        ("force_use_bulk_api", "boolean", Some(json!(false))),
        ("stream_slice_step", "string", Some(json!("P30D"))),
        ("lookback_window", "string", Some(json!("PT10M"))),
        ("preserve_na_values", "boolean", Some(json!(false))),
        ("streams_criteria", "array", None),
    ] {
        let setting = &schema["properties"][name];
        assert_eq!(setting["type"], kind, "{name}");
        assert_eq!(setting.get("default").cloned().filter(|d| *d != json!([])), default, "{name}");
    }
    for name in ["client_secret", "refresh_token", "private_key", "password", "security_token"] {
        assert_eq!(schema["properties"][name]["airbyte_secret"], true, "{name}");
    }
    let flows = json!(["Client", "JWT", "ClientCredentials", "Password"]);
    assert_eq!(schema["properties"]["auth_type"]["enum"], flows);
    let criteria = &schema["properties"]["streams_criteria"]["items"];
    assert_eq!(criteria["properties"]["criteria"]["default"], "contains");
    assert_eq!(criteria["properties"]["criteria"]["enum"].as_array().map(Vec::len), Some(8));
    assert_eq!(schema["required"], json!(["client_id"]));
    assert_ne!(schema["additionalProperties"], false);
    let auth = spec.advanced_auth.expect("an OAuth flow");
    assert_eq!(auth.predicate_key, ["auth_type"]);
    assert_eq!(auth.predicate_value.as_deref(), Some("Client"));
    let flow = auth.oauth_config_specification.oauth_connector_input_specification;
    let flow = flow.expect("a declarative flow");
    assert!(flow.consent_url.contains("code_challenge_method=S256"), "{}", flow.consent_url);
    assert_eq!(flow.extract_output, ["refresh_token"]);
}

#[test]
fn case_01_configurations_of_airbytes_connector_are_taken_as_they_are() {
    let org = Salesforce::of_rows(5);
    let check = org.job("check").set(json!({
        "auth_type": "Client", "is_sandbox": false, "start_date": "2021-07-25", "end_date": "",
        "force_use_bulk_api": true, "stream_slice_step": "P1M", "lookback_window": "PT30M",
        "preserve_na_values": false, "num_workers": 20, "a_setting_of_tomorrow": {"x": 1},
        "streams_criteria": [{"criteria": "exacts", "value": "account"}],
    }));
    let status = check.run();
    assert_eq!(status.status().status, ConnectionStatusType::Succeeded, "{}", status.summary());
    let message = status.status().message.clone().unwrap_or_default();
    assert!(message.contains("1 objects") && message.contains("2021-07-25"), "{message}");
}

#[test]
fn case_01_spec_is_quick() {
    let limit = if cfg!(debug_assertions) { 100 } else { 20 };
    let took = (0..10).map(|_| Job::spec("source-salesforce").run().took).min();
    assert!(took < Some(Duration::from_millis(limit)), "{took:?}");
}

#[track_caller]
fn refused(check: &Outcome, words: &[&str]) {
    assert_eq!(check.code, Some(0), "{}", check.summary());
    assert_eq!(check.status().status, ConnectionStatusType::Failed);
    let message = check.status().message.clone().unwrap_or_default();
    for word in words {
        assert!(message.contains(word), "{word} in {message}");
    }
}

#[test]
fn case_02_check_tells_what_is_wrong() {
    let org = Salesforce::of_rows(5);
    let check = || org.job("check");
    let grant = check().set(json!({ "refresh_token": "5Aep861.of.yesterday" })).run();
    refused(&grant, &["invalid_grant", "Authenticate again"]);
    refused(&check().unset("refresh_token").run(), &["needs refresh_token"]);
    refused(&check().set(json!({ "client_id": "another" })).run(), &["invalid_client_id"]);
    refused(&check().set(json!({ "api_url": "http://acme.example" })).run(), &["https"]);
    refused(&check().set(json!({ "start_date": "2021-02-30" })).run(), &["start_date"]);
    refused(&check().set(json!({ "include_streams": ["Nothing"] })).run(), &["no object"]);

    let disabled = r#"[{"message":"API is not enabled for this Organization","errorCode":"API_DISABLED_FOR_ORG"}]"#;
    org.faults(&format!(
        "[[script]]\npath = \"/salesforce/services/data/*\"\ntimes = 0\naction = \"reply\"\nstatus = 403\nbody = '{disabled}'\n"
    ));
    refused(&check().run(), &["API Enabled"]);
}

#[test]
fn case_02_a_host_that_is_not_there_is_no_fault_of_the_configuration_alone() {
    let org = Salesforce::of_rows(5);
    let host = json!({ "api_url": "http://127.0.0.1:1/salesforce", "max_attempts": 1 });
    let check = org.job("check").set(host).run();
    assert_eq!(check.code, Some(1));
    assert!(check.error().message.contains("cannot be reached"));
}
