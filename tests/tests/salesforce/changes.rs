//! Incremental reads: what changed since, all of it, at the right time.

use std::collections::BTreeMap;

use clock::seconds;
use e2e::{Outcome, Salesforce, rows};
use serde_json::{Value, json};

use crate::bulk;

/// Times of tests without a library for them.
mod clock {
    /// The sandbox's clock starts at 2026-11-01T00:00:00Z.
    pub const START: i64 = 1_793_491_200;

    /// Seconds since the epoch, so many days before the clock's start.
    pub fn seconds(days_before: i64) -> i64 {
        START - days_before * 86_400
    }
}

/// The newest row of each id over several reads.
fn merged(reads: &[&Outcome], stream: &str) -> Vec<Value> {
    let all = reads.iter().flat_map(|read| read.rows(stream));
    rows::by_key(all, Some("Id")).into_values().collect()
}

#[test]
fn case_08_rows_on_borders_of_windows_are_not_lost() {
    let org = Salesforce::of_rows(400);
    let now = org.admin().now();
    let ids = rows::column(&org.truth("Contact"), "Id");
    let mut ids = ids.chunks(2);
    for day in 0..20 {
        // On the border, a second before, a second behind.
        for near in [-1, 0, 1] {
            let age = now - seconds(day) - near;
            let two = ids.next().expect("rows");
            org.change("mutate", json!({ "resource": "Contact", "ids": two, "age": age }));
        }
    }
    for settings in [json!({}), bulk()] {
        let job = org
            .read(&["Contact"])
            .set(json!({ "stream_slice_step": "P1D", "start_date": "2026-09-30" }));
        let read = job.set(settings).run().succeeded();
        let is_in = |row: &Value| {
            let at = row["SystemModstamp"].as_str().unwrap_or_default();
            ("2026-09-30T00:00:00"..="2026-10-31T23:59:00").contains(&at)
        };
        let expected: Vec<Value> = org.truth("Contact").into_iter().filter(is_in).collect();
        let got: Vec<Value> = read.rows("Contact").into_iter().filter(is_in).collect();
        assert!(expected.len() > 100);
        rows::assert_same("Contact", got, expected, Some("Id"));
    }
}

#[test]
fn case_09_a_row_that_shows_late_is_caught() {
    let org = Salesforce::of_rows(50);
    let first = org.read(&["Account"]).run().succeeded();
    let late = org.change("create", json!({ "resource": "Account", "count": 1, "late": 300 }));
    let id = late["ids"][0].clone();
    org.pass(120);
    // Its time has passed, but it does not show yet.
    let second = org.read(&["Account"]).state(first.state_file()).run().succeeded();
    assert!(!rows::column(&second.rows("Account"), "Id").contains(&id));
    org.pass(300);
    let third = org.read(&["Account"]).state(second.state_file()).run().succeeded();
    assert!(rows::column(&third.rows("Account"), "Id").contains(&id));
}

#[test]
fn changes_creations_and_deletions_arrive() {
    let org = Salesforce::of_rows(300);
    for settings in [json!({}), bulk()] {
        // Out of reach of the lookback window.
        org.pass(1_200);
        let first = org.read(&["Account", "Case"]).set(settings.clone()).run().succeeded();
        org.settle();
        for resource in ["Account", "Case"] {
            org.change("mutate", json!({ "resource": resource, "count": 5 }));
            org.change("create", json!({ "resource": resource, "count": 3 }));
            org.change("delete", json!({ "resource": resource, "count": 2 }));
        }
        org.settle();
        let job = org.read(&["Account", "Case"]).set(settings).state(first.state_file());
        let second = job.run().succeeded();
        for stream in ["Account", "Case"] {
            assert!((8..=10).contains(&second.rows(stream).len()), "{}", second.rows(stream).len());
            let all = merged(&[&first, &second], stream);
            rows::assert_same(stream, all, org.truth(stream), Some("Id"));
        }
    }
}

#[test]
fn case_34_rows_deleted_for_good_are_told_of_on_request() {
    let org = Salesforce::of_rows(300);
    let job = org.read(&["Account"]).set(json!({ "capture_hard_deletes": true }));
    let first = job.run().succeeded();
    org.pass(600);
    let purged = org.change("delete", json!({ "resource": "Account", "count": 3, "purge": true }));
    let binned = org.change("delete", json!({ "resource": "Account", "count": 2 }));
    org.pass(600);
    let second = job.clone().state(first.state_file()).run().succeeded();
    let got: BTreeMap<String, Value> = rows::by_key(second.rows("Account"), Some("Id"));
    for id in purged["ids"].as_array().expect("ids") {
        let row = &got[id.as_str().expect("an id")];
        assert_eq!(
            (&row["IsDeleted"], row.as_object().map(|row| row.len())),
            (&json!(true), Some(3))
        );
    }
    for id in binned["ids"].as_array().expect("ids") {
        let row = &got[id.as_str().expect("an id")];
        assert!(row["IsDeleted"] == true && row["Name"].is_string(), "{row}");
    }
    let third = job.state(second.state_file()).run().succeeded();
    assert!(third.rows("Account").iter().all(|row| row.get("Name").is_some()));
}

#[test]
fn case_35_changed_formulas_arrive_once() {
    let org = Salesforce::of_rows(200);
    let job = org.read(&["Account"]).set(json!({ "formula_refresh": "P1D" }));
    let first = job.run().succeeded();
    assert_eq!(first.rows("Account").len(), 200);
    org.pass(7_200);
    let change =
        json!({ "resource": "Account", "count": 4, "stamp": false, "set": { "Score__c": 77.5 } });
    let ids = org.change("mutate", change);
    let ids = ids["ids"].as_array().expect("ids");
    // Not due yet.
    let second = job.clone().state(first.state_file()).run().succeeded();
    assert_eq!(second.rows("Account").len(), 0);
    org.pass(86_400);
    let third = job.clone().state(second.state_file()).run().succeeded();
    assert_eq!(third.rows("Account").len(), 200);
    let third_rows = third.rows("Account");
    let changed: Vec<&Value> = third_rows.iter().filter(|row| ids.contains(&row["Id"])).collect();
    assert!(changed.len() == 4 && changed.iter().all(|row| row["Score__c"] == 77.5));
    // An object without formulas is not read again, and the others not before a day is over.
    let fourth = job.state(third.state_file()).run().succeeded();
    assert_eq!(fourth.rows("Account").len(), 0);
}

#[test]
fn case_37_an_end_date_bounds_and_an_earlier_start_date_fills_the_head() {
    let org = Salesforce::of_rows(900);
    let range = |from: &str, to: &str| json!({ "start_date": from, "end_date": to });
    let job = org.read(&["Account"]);
    let first = job.clone().set(range("2025-01-01", "2025-06-01")).run().succeeded();
    let within = |row: &Value, from: &str, to: &str| {
        let at = row["SystemModstamp"].as_str().unwrap_or_default();
        from <= at && at < to
    };
    let expect = |from: &str, to: &str| -> Vec<Value> {
        org.truth("Account").into_iter().filter(|row| within(row, from, to)).collect()
    };
    rows::assert_same(
        "Account",
        first.rows("Account"),
        expect("2025-01-01", "2025-06-01"),
        Some("Id"),
    );
    let second = job.set(range("2024-10-01", "2025-08-01")).state(first.state_file()).run();
    let second = second.succeeded();
    let all = merged(&[&first, &second], "Account");
    rows::assert_same("Account", all, expect("2024-10-01", "2025-08-01"), Some("Id"));
    // The middle did not come again.
    assert!(second.rows("Account").iter().all(|row| !within(
        row,
        "2025-01-01",
        "2025-05-31T23:50"
    )));
    let slices = &second.last_state("Account")["slices"];
    assert_eq!(slices.as_array().map(Vec::len), Some(1), "{slices}");
}
