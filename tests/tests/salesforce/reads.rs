//! Whole reads: by both APIs the same, complete, and at little cost.

use std::time::Duration;

use airbyte_protocol::LogLevel;
use e2e::{Outcome, Running, Salesforce, rows};
use serde_json::{Value, json};

use crate::bulk;

/// All streams of the org that have rows.
const STREAMS: [&str; 21] = [
    "Account",
    "AccountFeed",
    "AccountHistory",
    "ActivityFieldHistory",
    "Attachment",
    "Campaign",
    "Case",
    "CaseStatus",
    "Contact",
    "ContentDocument",
    "ContentVersion",
    "Everything__c",
    "Group",
    "Lead",
    "LoginHistory",
    "Opportunity",
    "OpportunityStage",
    "Product2",
    "Task",
    "User",
    "Wide__c",
];

#[track_caller]
fn complete(org: &Salesforce, read: &Outcome, streams: &[&str]) {
    for stream in streams {
        assert!(read.is_complete(stream), "{stream}\n{}", read.summary());
        rows::assert_same(stream, read.rows(stream), org.truth(stream), Some("Id"));
    }
}

#[test]
fn case_07_bulk_and_rest_bring_the_same_rows() {
    let org = Salesforce::of_rows(600);
    let by_rest = org.read(&STREAMS).full_refresh().run().succeeded();
    complete(&org, &by_rest, &STREAMS);
    assert_eq!(org.jobs(), 0);
    let by_bulk = org.read(&STREAMS).full_refresh().set(bulk()).run().succeeded();
    complete(&org, &by_bulk, &STREAMS);
    assert!(org.jobs() >= 17, "{} jobs", org.jobs());
    let everything = by_bulk.rows("Everything__c");
    let has = |text: &str| {
        STREAMS.iter().any(|stream| {
            let cells = by_bulk.rows(stream);
            cells.iter().any(|row| row.as_object().is_some_and(|r| r.values().any(|v| v == text)))
        })
    };
    for text in ["NA", "null", "   ", "first line\nsecond line\r\nthird"] {
        assert!(has(text), "{text:?}");
    }
    assert!(everything.iter().any(|row| row["Site__c"]["street"].is_string()));
    assert!(!by_bulk.text.contains("\\u0000"));
}

#[test]
fn case_07_links_are_read_document_by_document() {
    let org = Salesforce::of_rows(600);
    let read = org.read(&["ContentDocumentLink", "Describe"]).run().succeeded();
    let (got, expected) = (read.rows("ContentDocumentLink"), org.truth("ContentDocumentLink"));
    rows::assert_same("ContentDocumentLink", got, expected, Some("Id"));
    let described = read.rows("Describe");
    assert_eq!(rows::column(&described, "name"), [json!("ContentDocumentLink")]);
}

#[test]
fn case_07_nulls_of_old_on_request() {
    let org = Salesforce::of_rows(2_000);
    let has = |read: &Outcome| {
        let rows = read.rows("Everything__c");
        ["NA", "null", "None", "   "].map(|word| {
            rows.iter().any(|row| row.as_object().is_some_and(|r| r.values().any(|v| v == word)))
        })
    };
    for settings in [json!({}), bulk()] {
        let job = org.read(&["Everything__c"]).set(settings);
        assert_eq!(has(&job.run().succeeded()), [true; 4]);
        let old = job.set(json!({ "legacy_na_as_null": true })).run().succeeded();
        assert_eq!(has(&old), [false; 4]);
    }
}

#[test]
fn only_selected_columns_are_asked_for_by_both_apis() {
    let org = Salesforce::of_rows(100);
    let mut catalog = org.job("discover").run().succeeded().catalog().streams.clone();
    catalog.retain(|stream| stream.name == "Account");
    let keep = ["Name", "BillingAddress", "AnnualRevenue"];
    let mut properties = catalog[0].json_schema.properties();
    properties.retain(|name, _| keep.contains(&name.as_str()));
    catalog[0].json_schema = json!({ "type": "object", "properties": properties }).into();
    for settings in [json!({}), bulk()] {
        let read = org.read(&[]).streams(catalog.clone()).set(settings).run().succeeded();
        let row = &read.rows("Account")[0];
        let mut names: Vec<&String> = row.as_object().expect("a row").keys().collect();
        names.sort();
        assert_eq!(names, ["AnnualRevenue", "BillingAddress", "Id", "Name", "SystemModstamp"]);
        let expected: Vec<Value> =
            org.truth("Account").iter().map(|row| row["BillingAddress"].clone()).collect();
        let mut got = read.rows("Account");
        got.sort_by_key(|row| row["Id"].as_str().map(str::to_owned));
        assert_eq!(rows::column(&got, "BillingAddress"), expected);
    }
}

#[test]
fn case_10_a_quiet_stream_costs_one_call_and_no_time() {
    let org = Salesforce::of_rows(50);
    let job = org.read_discovered(&["Account"]);
    let first = job.run().succeeded();
    org.pass(3_600);
    org.recount();
    let quiet = job.clone().state(first.state_file()).run().succeeded();
    assert_eq!((quiet.rows("Account").len(), org.calls(), org.logins()), (0, 1, 1));
    assert!(quiet.took < Duration::from_secs(1), "{:?}", quiet.took);
}

#[test]
fn case_11_a_first_read_since_2000_is_one_job() {
    let org = Salesforce::with(25_000, "");
    let job = org.read(&["Contact"]).set(json!({ "start_date": "2000-01-01T00:00:00Z" }));
    let read = job.run().succeeded();
    complete(&org, &read, &["Contact"]);
    assert_eq!(org.jobs(), 1);
}

#[test]
fn case_20_counts_that_lie_are_found_out() {
    let org = Salesforce::of_rows(3_000);
    let job = || org.read(&["Lead"]).set(bulk()).set(json!({ "bulk_page_size": 400 }));
    for lie in ["miscount", "lose_row", "repeat_page"] {
        // One page lies once: it is asked for again.
        let times = if lie == "repeat_page" { 3 } else { 1 };
        org.settings(json!({ "jobs": { "script": [{ "action": lie, "times": times }] } }));
        let read = job().run().succeeded();
        complete(&org, &read, &["Lead"]);
        assert!(!read.logs(LogLevel::Warn).is_empty(), "{lie}");
    }
    org.settings(json!({ "jobs": { "script": [{ "action": "miscount_total" }] } }));
    let read = job().run().failed();
    assert!(!read.is_complete("Lead"));
    let said = read.error_of("Lead").message.clone();
    assert!(said.contains("1501 rows") && said.contains("1500"), "{said}");
    // What was not counted is not done: the next read has another job.
    org.settings(json!({ "jobs": { "script": [] } }));
    let next = job().state(read.state_file()).run().succeeded();
    complete(&org, &next, &["Lead"]);
}

#[test]
fn case_29_a_query_that_is_too_long_for_an_address_goes_in_a_body() {
    let org = Salesforce::with(400, "data.huge = true");
    let read = org.read(&["Huge__c"]).run().succeeded();
    complete(&org, &read, &["Huge__c"]);
    assert_eq!(org.requests_to("/services/data/v62.0/composite"), 1);
    assert_eq!(org.requests_to("/services/data/v62.0/queryAll"), 0);
}

#[test]
fn case_34_deleted_and_archived_rows_come_too() {
    let org = Salesforce::of_rows(2_000);
    for settings in [json!({}), bulk()] {
        let read = org.read(&["Account", "Task"]).set(settings).run().succeeded();
        complete(&org, &read, &["Account", "Task"]);
        let has = |stream: &str, field: &str, value: bool| {
            read.rows(stream).iter().any(|row| row[field] == value)
        };
        assert!(has("Account", "IsDeleted", true) && has("Account", "IsDeleted", false));
        assert!(has("Task", "IsArchived", true) && has("Task", "IsArchived", false));
        let merged = read.rows("Account");
        assert!(
            merged.iter().any(|row| row["IsDeleted"] == true && row["MasterRecordId"].is_string())
        );
    }
}

/// Reads to the end and tells the peak of memory in KiB.
fn peak_of(mut running: Running) -> u64 {
    let (mut lines, mut peak) = (0, 0);
    while running.line().is_some() {
        lines += 1;
        if lines % 500 == 0 {
            peak = running.peak_memory().unwrap_or(peak);
            running.forget();
        }
    }
    assert_eq!(running.finish().code, Some(0));
    peak
}

#[test]
fn case_32_four_times_the_rows_need_no_more_memory() {
    let peak = |rows| peak_of(Salesforce::of_rows(rows).read(&["Wide__c"]).set(bulk()).spawn());
    let (some, more) = (peak(10_000), peak(40_000));
    assert!(some > 1 << 10, "memory cannot be measured: {some} KiB");
    assert!(more <= some + some / 4, "{some} KiB for 10,000 rows, {more} KiB for 40,000");
    assert!(more < 48 << 10, "{more} KiB");
}

#[test]
fn case_33_many_streams_share_the_page_readers() {
    let org = Salesforce::of_rows(4_000);
    let read = org.read(&STREAMS).set(bulk()).set(json!({ "bulk_page_size": 500 })).run();
    complete(&org, &read.succeeded(), &STREAMS);
}
