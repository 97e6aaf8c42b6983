//! Bulk jobs that fail, disappear, break off: nothing is lost, nothing is called complete that
//! is not.

use std::collections::BTreeSet;

use airbyte_protocol::LogLevel;
use e2e::{Outcome, Salesforce, rows};
use serde_json::{Value, json};

use crate::bulk;

fn ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(|row| row["Id"].as_str().unwrap_or_default().to_owned()).collect()
}

#[track_caller]
fn complete(org: &Salesforce, reads: &[&Outcome], stream: &str) -> usize {
    let all: Vec<Value> = reads.iter().flat_map(|read| read.rows(stream)).collect();
    let count = all.len();
    let (got, expected) = (rows::by_key(all, Some("Id")), org.truth(stream));
    let found = rows::differences(&got, &rows::by_key(expected, Some("Id")));
    assert!(found.is_empty(), "{stream}: {found:#?}");
    count - got.len()
}

/// A read of `Wide__c` by one job in pages of 4,000 rows.
fn paged(org: &Salesforce) -> e2e::Job {
    let settings = json!({ "bulk_from_rows": 2_500, "bulk_page_size": 4_000 });
    org.read(&["Wide__c"]).set(settings)
}

/// Starts a read and kills it after the state that follows so many rows.
fn killed(job: &e2e::Job, states: usize) -> Outcome {
    let mut running = job.spawn();
    for _ in 0..states {
        running.until(r#"{"type":"STATE""#);
    }
    running.kill();
    running.finish()
}

#[test]
fn case_14_a_killed_read_goes_on_in_the_middle_of_its_job() {
    let org = Salesforce::of_rows(22_000);
    let job = paged(&org);
    let first = killed(&job, 2);
    let saved = first.last_state("Wide__c");
    assert!(saved["bulk"][0]["job"].is_string(), "{saved}");
    org.recount();
    let second = job.state(first.state_file()).run().succeeded();
    assert_eq!(org.jobs(), 0, "the job of the first read was enough");
    let twice = complete(&org, &[&first, &second], "Wide__c");
    assert!(twice <= 5_500, "{twice} rows came twice");
    assert!(second.last_state("Wide__c").get("bulk").is_none());
}

#[test]
fn case_14_a_full_refresh_goes_on_too() {
    let org = Salesforce::of_rows(12_000);
    let job = paged(&org).full_refresh();
    let first = killed(&job, 1);
    org.recount();
    let second = job.state(first.state_file()).run().succeeded();
    assert_eq!(org.jobs(), 0);
    complete(&org, &[&first, &second], "Wide__c");
}

#[test]
fn case_15_a_job_that_has_expired_is_made_anew() {
    let org = Salesforce::of_rows(12_000);
    let job = paged(&org);
    let first = killed(&job, 1);
    org.pass(8 * 86_400);
    let second = job.state(first.state_file()).run().succeeded();
    complete(&org, &[&first, &second], "Wide__c");
}

#[test]
fn case_16_a_job_is_read_with_the_version_that_made_it() {
    let org = Salesforce::of_rows(12_000);
    let job = paged(&org);
    let first = killed(&job, 1);
    org.recount();
    let newer = job.set(json!({ "api_version": "64.0" })).state(first.state_file());
    let second = newer.run().succeeded();
    assert_eq!((org.jobs(), org.requests_to("/services/data/v64.0/jobs/query")), (0, 0));
    complete(&org, &[&first, &second], "Wide__c");
}

#[test]
fn case_17_a_job_that_fails_late_among_many_loses_nothing() {
    let org = Salesforce::with(4_000, "data.days = 700");
    for (number, after) in [(61, 1_200), (1, 0), (88, 300), (30, 2_500)] {
        org.settings(json!({ "jobs": { "delay_ms": 200, "script": [
            { "job": number, "action": "fail", "after_ms": after },
        ] } }));
        let job = org.read(&["Wide__c"]).set(bulk());
        let job = job.set(json!({ "start_date": "2024-11-01", "stream_slice_step": "P8D" }));
        let read = job.run().succeeded();
        assert!(read.logs(LogLevel::Warn).iter().any(|text| text.contains("a Bulk job failed")));
        assert_eq!(complete(&org, &[&read], "Wide__c"), 0);
    }
}

#[test]
fn case_17_a_job_that_always_fails_is_read_in_parts() {
    let org = Salesforce::of_rows(5_000);
    org.settings(json!({ "jobs": { "script": [{ "action": "fail" }] } }));
    let read = paged(&org).run().succeeded();
    assert_eq!(complete(&org, &[&read], "Wide__c"), 0);
    let full = paged(&org).full_refresh().run().succeeded();
    assert_eq!(complete(&org, &[&full], "Wide__c"), 0);
}

#[test]
fn case_18_a_job_that_somebody_aborted_is_told_of() {
    let org = Salesforce::of_rows(600);
    org.settings(
        json!({ "jobs": { "script": [{ "action": "abort", "object": "Lead", "after_ms": 200 }] } }),
    );
    let job = org.read(&["Lead", "Account"]).set(bulk());
    let read = job.run().failed();
    let said = read.error_of("Lead").message.clone();
    assert!(said.contains("aborted"), "{said}");
    assert!(read.is_complete("Account") && !read.is_complete("Lead"));
    org.settings(json!({ "jobs": { "script": [] } }));
    let next = job.state(read.state_file()).run().succeeded();
    complete(&org, &[&read, &next], "Lead");
}

#[test]
fn a_job_that_does_not_end_is_given_up_for_smaller_ones() {
    let org = Salesforce::of_rows(6_000);
    org.settings(json!({ "jobs": { "script": [{ "action": "stall", "job": 1 }] } }));
    let read = paged(&org).set(json!({ "job_timeout_minutes": 0.02 })).run().succeeded();
    let said = read.logs(LogLevel::Warn);
    assert!(said.iter().any(|text| text.contains("it had not ended after")), "{said:?}");
    assert!(org.jobs() > 1, "halves of the range are jobs of their own");
    assert_eq!(complete(&org, &[&read], "Wide__c"), 0);
}

#[test]
fn a_cursor_that_cannot_be_filtered_by_is_done_without() {
    let org = Salesforce::with(600, "data.unfilterable = true");
    let mut catalog = org.job("discover").run().succeeded().catalog().streams.clone();
    catalog.retain(|stream| stream.name == "Unfilterable__c");
    let job = org.read(&[]).streams(catalog);
    let read = job.run().succeeded();
    let queries = &org.requests().by_path["/salesforce/services/data/v62.0/queryAll"];
    assert_eq!(queries.by_status.get("400"), Some(&1), "{queries:?}");
    assert!(!org.truth("Unfilterable__c").is_empty());
    assert_eq!(complete(&org, &[&read], "Unfilterable__c"), 0);
    // What has no cursor is read whole each time.
    let again = job.state(read.state_file()).run().succeeded();
    assert_eq!(complete(&org, &[&again], "Unfilterable__c"), 0);
}

#[test]
fn case_19_bodies_that_break_off_anywhere_are_completed() {
    let org = Salesforce::of_rows(8_000);
    let mut script = String::new();
    for nth in 1..=12 {
        script.push_str(&format!(
            "[[script]]\npath = \"*/results*\"\nnth = {nth}\naction = \"truncate\"\nbytes = {}\n",
            nth * 65_536
        ));
    }
    org.faults(&script);
    let read = org.read(&["Wide__c"]).set(bulk()).run().succeeded();
    assert_eq!(complete(&org, &[&read], "Wide__c"), 0);
    let asked = read.logs(LogLevel::Warn).len();
    assert!(asked >= 3, "{asked} pages were asked for again");
}

#[test]
fn an_empty_result_without_a_header_is_empty() {
    let org = Salesforce::with(50, "jobs.empty_body = true");
    let job = org.read(&["Account"]).set(bulk());
    let read = job.set(json!({ "start_date": "2026-10-31T23:30:00Z" })).run().succeeded();
    assert_eq!(read.rows("Account").len(), 0);
}

#[test]
fn jobs_are_deleted_once_they_were_read() {
    let org = Salesforce::of_rows(600);
    org.read(&["Lead", "Account"]).set(bulk()).run().succeeded();
    let counts = org.requests();
    let one = &counts.by_path["/salesforce/services/data/v62.0/jobs/query/{id}"];
    assert_eq!(one.by_status.get("204"), Some(&2), "{one:?}");
}

#[test]
fn ids_are_distinct() {
    let org = Salesforce::of_rows(3_000);
    let read = org.read(&["Lead"]).set(bulk()).run().succeeded();
    assert_eq!(ids(&read.rows("Lead")).len(), 1_500);
}
