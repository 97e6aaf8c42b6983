//! Quotas and bad days: what others use up, what Salesforce refuses for a while.

use std::time::Duration;

use airbyte_protocol::Message;
use e2e::{Outcome, Salesforce, rows};
use serde_json::{Value, json};

use crate::bulk;

#[track_caller]
fn complete(org: &Salesforce, reads: &[&Outcome], stream: &str) {
    let all = reads.iter().flat_map(|read| read.rows(stream));
    let got = rows::by_key(all, Some("Id"));
    let expected = rows::by_key(org.truth(stream), Some("Id"));
    let found = rows::differences(&got, &expected);
    assert!(found.is_empty(), "{stream}: {found:#?}");
}

/// A read that needs more calls than the org has left.
fn scarce(policy: &str) -> (Salesforce, e2e::Job) {
    let org = Salesforce::with(6_000, "limits.api_max = 1000\nlimits.api_used = 895");
    let settings = json!({
        "on_quota": policy, "bulk_from_rows": 1_000_000, "stream_slice_step": "P100D",
        "quota_poll_seconds": 6,
    });
    let job = org.read(&["Contact"]).set(settings);
    (org, job)
}

/// The rest, once there is quota again.
#[track_caller]
fn rest(org: &Salesforce, job: &e2e::Job, read: &Outcome) {
    org.settings(json!({ "limits": { "api_used": 0 } }));
    let next = job.clone().state(read.state_file()).run().succeeded();
    complete(org, &[read, &next], "Contact");
}

#[test]
fn case_25_a_used_up_quota_fails_with_the_state_of_what_was_read() {
    let (org, job) = scarce("fail");
    let read = job.run().failed();
    let error = read.error_of("Contact");
    assert_eq!(error.failure_type.as_deref(), Some("transient_error"));
    assert!(error.message.contains("api_quota_percent"));
    assert!(org.calls() <= 8, "{} calls", org.calls());
    rest(&org, &job, &read);
}

#[test]
fn case_25_a_used_up_quota_stops_orderly() {
    let (org, job) = scarce("stop");
    let read = job.run().succeeded();
    assert!(read.is_complete("Contact"));
    assert!(read.rows("Contact").len() < 6_000);
    rest(&org, &job, &read);

    // A full refresh without its rest would be taken for the whole.
    let (_org, job) = scarce("stop");
    let full = job.full_refresh().set(json!({ "api_quota_percent": 89 })).run().failed();
    assert!(!full.is_complete("Contact"));
}

#[test]
fn case_25_a_used_up_quota_is_waited_for() {
    let (org, job) = scarce("wait");
    let mut running = job.spawn();
    running.until("RATE_LIMITED");
    org.settings(json!({ "limits": { "api_used": 0 } }));
    let read = running.finish().succeeded();
    complete(&org, &[&read], "Contact");
}

#[test]
fn case_25_what_the_server_refuses_for_want_of_quota() {
    // Others use it up between two answers: nobody told.
    let refusal =
        r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]"#;
    let fault = format!(
        "[[script]]\npath = \"*/queryAll*\"\nnth = 3\ntimes = 2\naction = \"reply\"\nstatus = 403\nbody = '{refusal}'\n"
    );
    let org = Salesforce::of_rows(6_000);
    let job = org.read(&["Contact"]).set(json!({ "stream_slice_step": "P100D" }));
    org.faults(&fault);
    let read = job.run().failed();
    org.faults("none");
    rest(&org, &job, &read);
    org.faults(&fault);
    let read = job.set(json!({ "on_quota": "wait" })).run().succeeded();
    complete(&org, &[&read], "Contact");
}

#[test]
fn case_26_used_up_bulk_jobs_are_no_obstacle() {
    for used in [5_000, 10_000] {
        let org = Salesforce::with(2_500, &format!("limits.bulk_jobs_used = {used}"));
        let percent = if used == 5_000 { 50 } else { 100 };
        let job = org.read(&["Contact"]).set(bulk()).full_refresh();
        let read = job.set(json!({ "bulk_jobs_quota_percent": percent })).run().succeeded();
        complete(&org, &[&read], "Contact");
        let made = org.jobs();
        assert_eq!(made, 0, "{used} used");
    }
    // Used up since it was asked: Salesforce refuses the job.
    let org = Salesforce::of_rows(2_500);
    let refusal = r#"[{"message":"Max bulk v2 query jobs (10000) per 24 hrs has been reached (10000)","errorCode":"LIMIT_EXCEEDED"}]"#;
    org.faults(&format!(
        "[[script]]\npath = \"*/jobs/query\"\ntimes = 0\naction = \"reply\"\nstatus = 400\nbody = '{refusal}'\n"
    ));
    let read = org.read(&["Contact", "Lead"]).set(bulk()).run().succeeded();
    complete(&org, &[&read], "Contact");
    complete(&org, &[&read], "Lead");
}

#[test]
fn case_27_a_burst_of_long_calls_is_ridden_out() {
    let org = Salesforce::of_rows(300);
    org.faults("[[script]]\npath = \"*/queryAll*\"\nnth = 2\ntimes = 6\naction = \"too_many\"\n");
    let streams = ["Account", "Contact", "Lead", "Case", "Opportunity"];
    let read = org.read(&streams).run().succeeded();
    for stream in streams {
        complete(&org, &[&read], stream);
    }
}

#[test]
fn case_28_answers_that_are_none_are_asked_for_again() {
    let org = Salesforce::of_rows(900);
    let kinds = [
        "action = \"conflict\"",
        "action = \"rate_limit_400\"",
        "action = \"server_error\"\nstatus = 503",
        "action = \"html\"",
        "action = \"reply\"\nstatus = 200\nbody = \"\"",
        "action = \"reply\"\nstatus = 500\nbody = \"<html>oops</html>\"",
        "action = \"reset\"",
    ];
    let paths = ["*/describe", "*/jobs/query", "*/jobs/query/750*", "*/results*"];
    for path in paths {
        let script = kinds.iter().enumerate().map(|(number, kind)| {
            // One in a row at a time: more of them is an outage.
            let nth = 1 + 2 * number;
            format!("[[script]]\npath = \"{path}\"\nnth = {nth}\n{kind}\n")
        });
        org.faults(&script.collect::<String>());
        let streams = ["Account", "Lead", "Case", "Campaign"];
        let read = org.read(&streams).set(bulk()).set(json!({ "bulk_page_size": 150 })).run();
        let read = read.succeeded();
        for stream in streams {
            complete(&org, &[&read], stream);
        }
    }
}

#[test]
fn case_30_a_field_that_is_hidden_meanwhile_is_left_out() {
    let org = Salesforce::of_rows(100);
    let job = org.read_discovered(&["Account"]);
    org.settings(json!({ "hidden": ["Account.Fax"] }));
    for settings in [json!({}), bulk()] {
        let read = job.clone().set(settings).run().succeeded();
        let got = read.rows("Account");
        assert!(got.iter().all(|row| row.get("Fax").is_none()));
        rows::assert_same("Account", got, org.truth("Account"), Some("Id"));
        let warnings = read.logs(airbyte_protocol::LogLevel::Warn);
        assert!(warnings.iter().any(|text| text.contains("Fax")), "{warnings:?}");
    }
}

#[test]
fn case_31_an_object_that_is_gone_fails_alone() {
    let org = Salesforce::of_rows(100);
    let job = org.read_discovered(&["Account", "Lead"]);
    org.settings(json!({ "hidden": ["Lead"] }));
    let read = job.run().failed();
    assert!(read.is_complete("Account") && !read.is_complete("Lead"));
    let error = read.error_of("Lead");
    assert_eq!(error.failure_type.as_deref(), Some("config_error"));
    complete(&org, &[&read], "Account");
}

#[test]
fn a_rough_day_loses_nothing() {
    let org = Salesforce::of_rows(700);
    org.faults("rough");
    let streams = ["Account", "Contact", "Lead", "Case", "Everything__c", "Wide__c"];
    for settings in [json!({}), bulk()] {
        let read = org.read(&streams).set(settings).run().succeeded();
        for stream in streams {
            complete(&org, &[&read], stream);
        }
    }
}

#[test]
fn waits_are_announced_in_time() {
    let (org, job) = scarce("wait");
    let mut running = job.set(json!({ "quota_poll_seconds": 3_600 })).spawn();
    running.until("RATE_LIMITED");
    running.terminate();
    let read = running.finish();
    assert_eq!(read.code, Some(143));
    assert!(read.took < Duration::from_secs(20));
    let waits = read.messages.iter().filter(|message| match message {
        Message::Trace(trace) => {
            trace.stream_status.as_ref().is_some_and(|status| !status.reasons.is_empty())
        }
        _ => false,
    });
    assert!(waits.count() >= 1);
    let _: Value = read.last_state("Contact");
    drop(org);
}
