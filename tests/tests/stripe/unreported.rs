//! What changes without an event, and changes in great numbers.

use std::collections::BTreeSet;

use e2e::{Outcome, Stripe, rows};
use serde_json::{Value, json};

fn next(stripe: &Stripe, streams: &[&str], before: &Outcome) -> Outcome {
    stripe.read(streams).state(before.state_file()).run().succeeded()
}

#[test]
fn open_checkout_sessions_are_found_by_listing() {
    let stripe = Stripe::of_rows(60);
    let first = stripe.read(&["checkout_sessions"]).run().succeeded();
    stripe.settle();
    let change = stripe.change("create", json!({"resource": "checkout_sessions", "count": 2}));
    assert_eq!(change["events"], json!([]), "Stripe has no event for it");
    stripe.settle();
    let second = next(&stripe, &["checkout_sessions"], &first);
    let got: BTreeSet<String> = rows::ids(&second.rows("checkout_sessions")).into_iter().collect();
    assert_eq!(json!(got), sorted(&change["ids"]));
    stripe.settle();
    assert_eq!(next(&stripe, &["checkout_sessions"], &second).row_count(), 0);
}

fn sorted(ids: &Value) -> Value {
    let ids: BTreeSet<&str> =
        ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    json!(ids)
}

/// The status of a transaction turns to available when its time comes, without an event.
#[test]
fn balance_transactions_come_again_when_they_become_available() {
    let stripe = Stripe::of_rows(3_000);
    let first = stripe.read(&["balance_transactions"]).run().succeeded();
    let pending: Vec<Value> = first
        .rows("balance_transactions")
        .into_iter()
        .filter(|row| row["status"] == "pending")
        .collect();
    assert!(!pending.is_empty(), "nothing is pending");
    stripe.pass(9 * 86_400);
    let second = next(&stripe, &["balance_transactions"], &first);
    let truth = rows::by_key(stripe.truth("balance_transactions"), Some("id"));
    let got = rows::by_key(second.rows("balance_transactions"), Some("id"));
    for row in pending {
        let id = row["id"].as_str().unwrap_or_default();
        if truth[id]["status"] == "available" {
            assert_eq!(got.get(id), Some(&truth[id]), "{row}");
        }
    }
    assert!(got.values().any(|row| row["status"] == "available"));
    assert!(got.len() < 1_000, "{} rows came again", got.len());
}

#[test]
fn accounts_are_listed_again_once_a_day() {
    let stripe = Stripe::of_rows(150);
    let streams = ["accounts", "persons"];
    let first = stripe.read(&streams).run().succeeded();
    let account = rows::ids(&first.rows("accounts"))[0].clone();
    // Its events are not to be relied on.
    stripe.change("mutate", json!({"resource": "accounts", "id": account, "set": {"email": "new@example.com"}, "event": null}));
    stripe.pass(3_600);
    let hour = next(&stripe, &streams, &first);
    assert_eq!(hour.row_count(), 0);
    stripe.pass(86_400);
    let day = next(&stripe, &streams, &hour);
    for stream in streams {
        rows::assert_same(stream, day.rows(stream), stripe.truth(stream), Some("id"));
    }
    // Whoever does not want it says so.
    stripe.pass(2 * 86_400);
    let job = stripe.read(&streams).set(json!({"relist_days": {"accounts": 0, "persons": 7}}));
    assert_eq!(job.state(day.state_file()).run().succeeded().row_count(), 0);
}

/// Hundreds of new objects are listed in place of being asked for one by one; hundreds of changed
/// ones come too, with states in between.
#[test]
fn changes_in_great_numbers_arrive() {
    let stripe = Stripe::of_rows(600);
    let first = stripe.read(&["customers"]).run().succeeded();
    stripe.settle();
    stripe.change(
        "create",
        json!({"resource": "customers", "count": 450, "set": {"description": "new"}}),
    );
    stripe.pass(5);
    let changed = stripe.change(
        "mutate",
        json!({"resource": "customers", "count": 300, "set": {"name": "changed"}}),
    );
    stripe.pass(5);
    stripe.change("delete", json!({"resource": "customers", "count": 30}));
    // So long ago that the next read does not look at them once more.
    stripe.pass(900);
    stripe.recount();
    let second = next(&stripe, &["customers"], &first);
    let truth = rows::by_key(stripe.truth("customers"), Some("id"));
    let got = rows::by_key(second.rows("customers"), Some("id"));
    assert_eq!(second.rows("customers").len(), got.len(), "rows came twice");
    let flagged = got.values().filter(|row| row["is_deleted"] == true).count();
    assert_eq!(flagged, 30);
    for (id, row) in &truth {
        let is_new = row["description"] == "new";
        let is_changed = changed["ids"].as_array().is_some_and(|ids| ids.contains(&json!(id)));
        let Some(got) = got.get(id) else {
            assert!(!is_new && !is_changed, "{id} did not come");
            continue;
        };
        assert_eq!(
            (&got["name"], &got["description"]),
            (&row["name"], &row["description"]),
            "{id}"
        );
    }
    // New ones in lists of a hundred, changed ones by themselves.
    let by_id = stripe.requests_to("/v1/customers/{id}");
    assert!(by_id <= 320, "{by_id} objects were asked for one by one");
    stripe.settle();
    assert_eq!(next(&stripe, &["customers"], &second).row_count(), 0);
}

/// An object that is gone by the time it is asked for is flagged like one whose deletion was told.
#[test]
fn an_object_that_is_gone_without_an_event_is_flagged() {
    let stripe = Stripe::of_rows(60);
    let first = stripe.read(&["customers"]).run().succeeded();
    stripe.settle();
    let id = rows::ids(&first.rows("customers"))[7].clone();
    stripe.change("mutate", json!({"resource": "customers", "id": id}));
    stripe.change("delete", json!({"resource": "customers", "id": id, "event": null}));
    stripe.settle();
    let second = next(&stripe, &["customers"], &first);
    let [row] = second.rows("customers").try_into().expect("one row");
    assert_eq!((row["id"].as_str(), &row["is_deleted"]), (Some(id.as_str()), &json!(true)));
}

/// When events cannot be read, all that follow them fail with one error each, and the next read
/// loses nothing.
#[test]
fn failing_events_fail_what_follows_them_and_lose_nothing() {
    let stripe = Stripe::of_rows(60);
    let streams = ["customers", "products", "balance_transactions"];
    let first = stripe.read(&streams).run().succeeded();
    stripe.settle();
    let change = stripe.change("mutate", json!({"resource": "customers", "count": 3}));
    stripe.settle();
    let down = "[[script]]\npath = \"/stripe/v1/events\"\ntimes = 0\naction = \"server_error\"\nstatus = 503\n";
    stripe.faults(down);
    let job = stripe.read(&streams).set(json!({"max_attempts": 2}));
    let failed = job.state(first.state_file()).run().failed();
    for stream in ["customers", "products"] {
        let error = failed.error_of(stream);
        assert_eq!(error.kind(), Some(airbyte_protocol::FailureType::Transient));
        assert!(error.message.contains("503"), "{}", error.message);
    }
    assert!(failed.is_complete("balance_transactions"));
    stripe.faults("none");
    let mut states = first.last_states();
    states.extend(failed.last_states());
    let job = stripe.read(&streams).state(e2e::state::platform(&states));
    let third = job.run().succeeded();
    let got: BTreeSet<String> = rows::ids(&third.rows("customers")).into_iter().collect();
    assert_eq!(json!(got), sorted(&change["ids"]));
}
