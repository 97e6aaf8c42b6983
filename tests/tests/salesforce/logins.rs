//! Logins: four flows, as few as possible, and no refresh token that is lost or used twice.

use airbyte_protocol::{ConnectionStatusType, Message};
use e2e::{Outcome, Salesforce, rows};
use sandbox::Options;
use serde_json::{Value, json};

use crate::bulk;

fn rotating(rows: u64) -> Salesforce {
    Salesforce::with(rows, "login.rotate = true")
}

/// The refresh tokens in CONTROL messages, in their order.
fn handed_back(read: &Outcome) -> Vec<String> {
    let configs = read.messages.iter().filter_map(|message| match message {
        Message::Control(control) => Some(control),
        _ => None,
    });
    let text = |control| serde_json::to_value(control).expect("JSON");
    let token = |value: Value| value["connectorConfig"]["config"]["refresh_token"].clone();
    configs.map(|c| token(text(c)).as_str().unwrap_or_default().to_owned()).collect()
}

/// The token that is good now, as the org knows it.
fn good(org: &Salesforce) -> Value {
    org.change("event", json!({ "type": "refresh_token" }))["refresh_token"].clone()
}

#[test]
fn case_21_one_rotation_for_each_refusal_whatever_was_refused() {
    for path in ["*/describe", "*/queryAll*", "*/jobs/query", "*/jobs/query/750*", "*/results*"] {
        let org = rotating(900);
        org.faults(&format!("[[script]]\npath = \"{path}\"\naction = \"expire_token\"\n"));
        let read = org.read(&["Account", "Lead"]).set(bulk()).run();
        let is_used = !path.contains("queryAll");
        let read = read.succeeded();
        for stream in ["Account", "Lead"] {
            rows::assert_same(stream, read.rows(stream), org.truth(stream), Some("Id"));
        }
        let tokens = handed_back(&read);
        assert_eq!(tokens.len(), 1 + usize::from(is_used), "{path}");
        assert_eq!(org.logins(), tokens.len() as u64, "{path}");
        assert_eq!(tokens.last().map(String::as_str), good(&org).as_str());
        // The first one leaves before anything that its token brought.
        let first = read.text.lines().position(|line| line.contains(r#""CONTROL""#));
        let record = read.text.lines().position(|line| line.contains(r#""RECORD""#));
        assert!(first < record);
    }
}

#[test]
fn case_21_a_rest_page_refused() {
    let org = rotating(4_500);
    org.faults("[[script]]\npath = \"*/queryAll/*\"\naction = \"expire_token\"\n");
    let read = org.read(&["Contact"]).run().succeeded();
    rows::assert_same("Contact", read.rows("Contact"), org.truth("Contact"), Some("Id"));
    assert_eq!((handed_back(&read).len(), org.logins()), (2, 2));
}

#[test]
fn case_22_two_waves_of_refusals_are_two_logins() {
    let org = rotating(400);
    org.faults(
        "[[script]]\npath = \"*/describe\"\nnth = 3\naction = \"expire_token\"\n\
         [[script]]\npath = \"*/queryAll*\"\nnth = 5\naction = \"expire_token\"\n",
    );
    let streams: Vec<String> = org.truth_streams();
    let names: Vec<&str> = streams.iter().map(String::as_str).collect();
    let read = org.read(&names).set(json!({ "num_workers": 30 })).run().succeeded();
    assert_eq!((org.logins(), handed_back(&read).len()), (3, 3));
}

#[test]
fn case_23_no_refresh_token_is_used_twice() {
    let org = rotating(300);
    let mut config = org.config();
    for command in ["check", "discover"] {
        let run = org.job(command).set(config.clone()).run().succeeded();
        let tokens = handed_back(&run);
        assert_eq!(tokens.len(), 1, "{command}");
        config["refresh_token"] = tokens[0].as_str().into();
    }
    org.faults("token_expiries = 5\n");
    let read = org.read(&["Account", "Case", "Lead", "User"]).set(config).run().succeeded();
    assert_eq!(handed_back(&read).last().map(String::as_str), good(&org).as_str());
}

#[test]
fn case_24_a_dead_grant_is_asked_for_no_more() {
    let org = Salesforce::of_rows(300);
    let dead = org.read(&["Account"]).set(json!({ "refresh_token": "5Aep861.dead.token" })).run();
    assert_eq!(dead.code, Some(1));
    assert_eq!(org.logins(), 1);
    assert_eq!(dead.error().failure_type.as_deref(), Some("config_error"));

    // In the middle of a read of many streams.
    org.recount();
    org.faults(
        "[[script]]\npath = \"*/describe\"\nnth = 6\ntimes = 0\naction = \"expire_token\"\n",
    );
    let streams = org.truth_streams();
    let names: Vec<&str> = streams.iter().map(String::as_str).collect();
    let mut running = org.read(&names).spawn();
    running.until("STARTED");
    org.change("event", json!({ "type": "revoke" }));
    let read = running.finish();
    assert_eq!(read.code, Some(1));
    assert!(org.logins() <= 2, "{} logins", org.logins());
}

#[test]
fn case_24_a_login_that_is_being_processed_is_asked_for_again() {
    let org = Salesforce::with(50, "login.busy_ms = 700");
    org.job("check").run().succeeded();
    let second = org.job("check").run().succeeded();
    assert_eq!(second.status().status, ConnectionStatusType::Succeeded);
    assert!(org.logins() >= 3);
}

#[test]
fn case_36_every_flow_logs_in() {
    let org = Salesforce::start(Options { clock_start: now(), rows: 30, ..Options::default() });
    for kind in ["Client", "ClientCredentials", "JWT", "Password"] {
        let flow = sandbox::salesforce::connector_config_for(&org.server.url(), kind);
        let flow = flow.expect("a configuration");
        let job = org.read(&["User"]).unset("refresh_token").unset("client_secret").set(flow);
        let read = job.run().succeeded();
        assert_eq!(read.rows("User").len(), 25, "{kind}");
        assert!(handed_back(&read).is_empty());
    }
}

#[test]
fn case_36_tokens_that_end_at_a_set_time_are_renewed_before() {
    let org = Salesforce::with(30, "login.jwt_minutes = 1\nlogin.rotate = true");
    let read = org.read(&["User", "Group"]).run().succeeded();
    assert_eq!(read.rows("User").len(), 25);
    assert_eq!(org.logins(), 1);
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("a time after 1970").as_secs() as i64
}

#[test]
fn case_39_every_line_is_whole_while_tokens_rotate() {
    let org = rotating(1_500);
    org.faults("token_expiries = 8\nreset = 0.02\n");
    let read = org.read(&["Account", "Contact", "Lead", "Case", "Wide__c"]).set(bulk()).run();
    // Every line was parsed; those of rows are as many as there are rows.
    let read = read.succeeded();
    for stream in ["Account", "Contact", "Lead", "Case", "Wide__c"] {
        rows::assert_same(stream, read.rows(stream), org.truth(stream), Some("Id"));
    }
    assert!(!handed_back(&read).is_empty());
}
