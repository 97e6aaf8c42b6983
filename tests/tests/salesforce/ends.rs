//! Ends before the end.

use std::collections::BTreeMap;
use std::time::Duration;

use e2e::{Salesforce, rows, state};
use serde_json::{Value, json};

#[test]
fn case_38_a_signal_ends_a_read_orderly() {
    let org = Salesforce::of_rows(22_000);
    let job = org.read(&["Wide__c"]).set(json!({ "bulk_page_size": 2_000 }));
    let mut running = job.spawn();
    running.until("\"RECORD\"");
    running.terminate();
    let first = running.finish();
    assert_eq!(first.code, Some(143), "{}", first.summary());
    assert!(first.took < Duration::from_secs(30));
    // What was written is covered: nothing comes twice.
    org.recount();
    let second = job.state(first.state_file()).run().succeeded();
    assert_eq!(org.jobs(), 0);
    let all: Vec<Value> = first.rows("Wide__c").into_iter().chain(second.rows("Wide__c")).collect();
    rows::assert_same("Wide__c", all, org.truth("Wide__c"), Some("Id"));
}

#[test]
fn kills_at_any_line_lose_nothing() {
    let org = Salesforce::of_rows(9_000);
    let mut random = fastrand::Rng::with_seed(5);
    for settings in [
        json!({ "bulk_page_size": 1_500, "force_use_bulk_api": true }),
        json!({ "stream_slice_step": "P90D" }),
    ] {
        let mut states: BTreeMap<String, Value> = BTreeMap::new();
        let mut got = Vec::new();
        for lines in [random.usize(1..30), random.usize(2_000..8_000), usize::MAX] {
            let job = org.read(&["Contact"]).set(settings.clone()).state(state::platform(&states));
            let mut running = job.spawn();
            let _ = (0..lines).all(|_| running.line().is_some());
            running.kill();
            let read = running.finish();
            got.extend(read.rows("Contact"));
            states.extend(read.last_states());
        }
        let found = rows::differences(
            &rows::by_key(got, Some("Id")),
            &rows::by_key(org.truth("Contact"), Some("Id")),
        );
        assert!(found.is_empty(), "{found:#?}");
    }
}
