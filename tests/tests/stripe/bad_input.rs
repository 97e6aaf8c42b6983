//! Bad input of every kind ends with a message that a person can act on.

use std::net::TcpListener;

use airbyte_protocol::{ConnectionStatusType, FailureType, StreamStatusType};
use e2e::{Job, Outcome, Stripe, state};
use sandbox::Options;
use serde_json::{Value, json};

/// A configuration with which no server is ever reached.
fn offline() -> Value {
    json!({"client_secret": "sk_test_never_sent_0123", "api_url": "http://127.0.0.1:9", "max_attempts": 1})
}

fn read(config: Value) -> Job {
    Job::read("source-stripe", config, &["customers"])
}

/// Asserts that there is one error, of that kind, whose message has all the parts.
#[track_caller]
fn assert_error(outcome: &Outcome, kind: FailureType, parts: &[&str]) {
    let error = outcome.error();
    assert_eq!(error.kind(), Some(kind), "{error:?}");
    for part in parts {
        assert!(error.message.contains(part), "{part:?} in {:?}", error.message);
    }
    assert_eq!(outcome.row_count(), 0);
}

/// Asserts that `check` says FAILED with all the parts in its message.
#[track_caller]
fn assert_check_failed(outcome: &Outcome, parts: &[&str]) {
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{}", outcome.summary());
    let status = outcome.status();
    assert_eq!(status.status, ConnectionStatusType::Failed);
    let message = status.message.as_deref().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "{part:?} in {message:?}");
    }
}

#[test]
fn a_config_file_that_is_missing() {
    for command in ["check", "discover", "read"] {
        let job = Job::new("source-stripe", command, Value::Null).missing("config");
        let job = if command == "read" { job.text("catalog", r#"{"streams":[]}"#) } else { job };
        let outcome = job.run().failed();
        assert_error(
            &outcome,
            FailureType::Config,
            &["config file", "config.json", "cannot be read"],
        );
    }
}

#[test]
fn a_config_file_that_is_no_json() {
    let outcome =
        read(offline()).text("config", "{\n  \"client_secret\": sk_test_1\n}").run().failed();
    assert_error(&outcome, FailureType::Config, &["config file", "not valid JSON", "line 2"]);
    let outcome = read(offline()).text("config", "[1]").run().failed();
    assert_error(&outcome, FailureType::Config, &["does not hold a JSON object"]);
}

#[test]
fn a_setting_of_the_wrong_type() {
    let wrong = json!({"num_workers": "many", "start_date": "yesterday"});
    let outcome = read(offline()).set(wrong.clone()).run().failed();
    let parts = ["Config validation error", "/num_workers", "integer", "/start_date"];
    assert_error(&outcome, FailureType::Config, &parts);
    let check = Job::new("source-stripe", "check", offline()).set(wrong).run();
    assert_check_failed(&check, &parts);
}

#[test]
fn a_date_that_does_not_exist() {
    let outcome = read(offline()).set(json!({"start_date": "2026-02-30T00:00:00Z"})).run().failed();
    assert_error(&outcome, FailureType::Config, &["start_date", "exists"]);
}

#[test]
fn a_config_without_a_key() {
    let outcome = read(json!({"account_id": "acct_1"})).run().failed();
    assert_error(&outcome, FailureType::Config, &["/client_secret is required"]);
    let outcome = read(json!({"client_secret": null})).run().failed();
    assert_error(&outcome, FailureType::Config, &["/client_secret is required"]);
    let check = Job::new("source-stripe", "check", json!({"account_id": "acct_1"})).run();
    assert_check_failed(&check, &["/client_secret is required"]);
}

#[test]
fn a_catalog_that_is_broken() {
    let outcome = read(offline()).text("catalog", "{\"streams\": [").run().failed();
    assert_error(&outcome, FailureType::Config, &["catalog", "JSON"]);
    let unknown_mode = r#"{"streams":[{"stream":{"name":"customers","json_schema":{}},"sync_mode":"sideways","destination_sync_mode":"append"}]}"#;
    let outcome = read(offline()).text("catalog", unknown_mode).run().failed();
    assert_error(&outcome, FailureType::Config, &["customers", "sideways"]);
}

#[test]
fn a_stream_that_does_not_exist() {
    let stripe = Stripe::of_rows(12);
    let outcome = stripe.read(&["custommers", "customers"]).run().failed();
    assert_eq!(
        outcome.error().stream_descriptor.as_ref().map(|d| d.name.as_str()),
        Some("custommers")
    );
    let message = &outcome.error().message;
    assert!(message.contains("custommers") && message.contains("discover"), "{message}");
    assert_eq!(outcome.statuses("custommers"), [StreamStatusType::Incomplete]);
    assert!(outcome.is_complete("customers"));
    assert_eq!(outcome.rows("customers").len(), 12);
}

#[test]
fn a_state_file_that_is_broken() {
    let outcome = read(offline()).state("[{\"type\":").run().failed();
    assert_error(&outcome, FailureType::Config, &["state file", "not valid JSON"]);
    let outcome = read(offline()).state("[{\"type\":\"STREEM\"}]").run().failed();
    assert_error(&outcome, FailureType::Config, &["Entry 0", "STREEM"]);
    let outcome = read(offline()).missing("state").run().failed();
    assert_error(&outcome, FailureType::Config, &["state file", "cannot be read"]);
}

#[test]
fn a_state_of_one_stream_that_is_broken() {
    let stripe = Stripe::of_rows(12);
    let broken = state::of_stream("charges", json!({"updated": "yesterday"}));
    let outcome = stripe.read(&["charges", "customers"]).state(broken).run().failed();
    let error = outcome.error_of("charges");
    assert_eq!(error.kind(), Some(FailureType::Config));
    for part in ["state", "updated", "clear"] {
        assert!(error.message.contains(part), "{part} in {}", error.message);
    }
    assert_eq!(outcome.rows("charges").len(), 0);
    assert!(outcome.is_complete("customers"));
    assert_eq!(outcome.rows("customers").len(), 12);
    let not_an_object =
        r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"charges"},"stream_state":7}}]"#;
    let outcome = stripe.read(&["charges"]).state(not_an_object).run().failed();
    assert_error(&outcome, FailureType::Config, &["charges", "not a JSON object"]);
}

#[test]
fn keys_that_are_not_accepted() {
    let stripe = Stripe::of_rows(5);
    for (key, parts) in [
        ("sk_prod_of_nobody_0123", vec!["not accepted", "client_secret"]),
        ("sk_test_expired_0123456", vec!["expired", "client_secret"]),
        ("pk_test_publishable_0123", vec!["publishable", "client_secret"]),
    ] {
        let outcome = stripe.read(&["customers", "charges"]).key(key).run().failed();
        for error in outcome.errors() {
            assert_eq!(error.kind(), Some(FailureType::Config), "{key}");
            assert!(parts.iter().all(|part| error.message.contains(part)), "{}", error.message);
        }
        assert_eq!(outcome.row_count(), 0);
        assert_check_failed(&stripe.job("check").key(key).run(), &parts);
    }
}

#[test]
fn a_host_that_cannot_be_reached() {
    // A port that was just free: nobody listens there.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let config = json!({
        "client_secret": "sk_test_never_sent_0123",
        "api_url": format!("http://127.0.0.1:{port}"),
        "max_attempts": 2,
    });
    let outcome = read(config.clone()).run().failed();
    assert_eq!(outcome.errors()[0].kind(), Some(FailureType::Transient));
    let message = &outcome.errors()[0].message;
    assert!(message.contains("127.0.0.1") && message.contains("Check"), "{message}");
    let check = Job::new("source-stripe", "check", config).run();
    assert_eq!(check.code, Some(1));
    assert_eq!(check.error().kind(), Some(FailureType::Transient));
}

#[test]
fn a_certificate_that_is_not_trusted_and_one_that_is() {
    let stripe = Stripe::start(Options { rows: 12, tls: true, ..Options::default() });
    let outcome = stripe.read(&["customers"]).set(json!({"max_attempts": 2})).run().failed();
    let message = &outcome.errors()[0].message;
    assert!(message.to_lowercase().contains("certificate"), "{message}");
    let certificate = stripe.server.certificate().expect("a certificate");
    let read = stripe.read(&["customers"]).variable("SSL_CERT_FILE", certificate);
    assert_eq!(read.run().succeeded().rows("customers").len(), 12);
}

#[test]
fn an_answer_of_html() {
    let stripe = Stripe::of_rows(12);
    stripe.faults("[[script]]\npath = \"/stripe/v1/customers\"\ntimes = 0\naction = \"html\"\n");
    let outcome =
        stripe.read(&["customers", "charges"]).set(json!({"max_attempts": 2})).run().failed();
    let error = outcome.error_of("customers");
    assert!(error.message.contains("web page instead of data. Check"), "{}", error.message);
    assert_eq!(outcome.rows("customers").len(), 0);
    assert!(outcome.is_complete("charges"), "{}", outcome.summary());
}

#[test]
fn plain_http_in_a_cloud_deployment() {
    let stripe = Stripe::of_rows(5);
    for (name, value) in [("AIRBYTE_EDITION", "cloud"), ("DEPLOYMENT_MODE", "CLOUD")] {
        let outcome = stripe.read(&["customers"]).variable(name, value).run().failed();
        assert_eq!(outcome.errors()[0].kind(), Some(FailureType::Config));
        assert!(outcome.errors()[0].message.contains("https"), "{}", outcome.summary());
        let check = stripe.job("check").variable(name, value).run();
        assert_check_failed(&check, &["https"]);
    }
    assert_eq!(stripe.requests().all.total, 0, "something was sent");
}

#[test]
fn a_server_that_is_down() {
    let stripe = Stripe::of_rows(5);
    stripe.faults("[[script]]\npath = \"*\"\ntimes = 0\naction = \"server_error\"\nstatus = 503\n");
    for job in [stripe.job("check"), stripe.read(&["customers"])] {
        let outcome = job.set(json!({"max_attempts": 2})).run();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), ""));
        assert_error(&outcome, FailureType::Transient, &["503", "req_"]);
    }
}

#[test]
fn a_stream_that_is_configured_twice_or_in_a_namespace() {
    let stripe = Stripe::of_rows(5);
    let stream = |namespace: Value| {
        json!({
            "stream": {"name": "customers", "namespace": namespace, "json_schema": {"type": "object", "properties": {}}},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        })
    };
    let catalog = json!({"streams": [stream(json!("elsewhere"))]});
    let outcome = stripe.read(&[]).text("catalog", catalog.to_string()).run().failed();
    assert!(outcome.error().message.contains("elsewhere.customers"), "{}", outcome.summary());
    let twice = json!({"streams": [stream(Value::Null), stream(Value::Null)]});
    let outcome = stripe.read(&[]).text("catalog", twice.to_string()).run().failed();
    assert_error(&outcome, FailureType::Config, &["customers", "twice"]);
}

#[test]
fn a_command_line_that_is_not_understood() {
    let outcome = Job::new("source-stripe", "check", offline()).flag("--unheard-of").run();
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.error().message.contains("--unheard-of"), "{}", outcome.summary());
}
