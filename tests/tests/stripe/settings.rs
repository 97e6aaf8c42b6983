//! Settings that change what is read or how.

use std::collections::BTreeSet;

use e2e::{Job, Stripe, rows};
use serde_json::{Value, json};

use crate::streams::{discovered, key_of, names};

/// With the version that Airbyte's connector is pinned to, all streams can be read, first and
/// later, and rows have the old shape.
#[test]
fn all_streams_can_be_read_in_airbytes_api_version() {
    let stripe = Stripe::of_rows(60);
    let job = stripe.read(&names()).set(json!({"api_version": "2022-11-15"}));
    let first = job.clone().run().succeeded();
    for name in names() {
        let got = rows::by_key(first.rows(name), key_of(name)).len();
        assert_eq!(got, stripe.truth(name).len(), "{name}");
    }
    // Old columns are those that Stripe sends, not filled ones.
    let invoice = &first.rows("invoices")[0];
    assert!(invoice.get("parent").is_none() && invoice.get("paid").is_some_and(Value::is_boolean));
    let code = &first.rows("promotion_codes")[0];
    assert!(code["coupon"].is_object(), "{code}");
    stripe.settle();
    let change = stripe.change("mutate", json!({"resource": "invoices", "count": 3}));
    stripe.settle();
    let second = job.state(first.state_file()).run().succeeded();
    let changed: BTreeSet<String> = rows::ids(&second.rows("invoices")).into_iter().collect();
    assert_eq!(json!(changed.len()), json!(change["ids"].as_array().map(Vec::len)));
    assert!(second.rows("invoices").iter().all(|row| row.get("parent").is_none()));
}

/// The copies in events are frozen in the account's version; columns that moved are there anyway.
#[test]
fn payloads_of_events_are_rows_when_wanted() {
    let stripe = Stripe::of_rows(60);
    let streams = ["invoices", "customers", "subscriptions"];
    let job = stripe.read(&streams).set(json!({"incremental_mode": "payload"}));
    let first = job.clone().run().succeeded();
    stripe.settle();
    for stream in streams {
        stripe.change("mutate", json!({"resource": stream, "count": 4}));
    }
    stripe.settle();
    stripe.recount();
    let second = job.state(first.state_file()).run().succeeded();
    let requests = stripe.requests();
    for stream in streams {
        assert_eq!(second.rows(stream).len(), 4, "{stream}");
        assert_eq!(
            stripe.requests_to(&format!("/v1/{stream}/{{id}}")),
            0,
            "{:?}",
            requests.by_path
        );
    }
    let expected = rows::by_key(first.rows("invoices"), Some("id"));
    for row in second.rows("invoices") {
        let before = &expected[row["id"].as_str().unwrap_or_default()];
        for field in ["subscription", "paid", "payment_intent", "total"] {
            assert_eq!(row[field], before[field], "{field} of {}", row["id"]);
        }
    }
    let expected = rows::by_key(first.rows("subscriptions"), Some("id"));
    for row in second.rows("subscriptions") {
        let before = &expected[row["id"].as_str().unwrap_or_default()];
        // Items of different intervals are something that the old shape never knew.
        if before["items"]["data"].as_array().is_some_and(|items| items.len() > 1) {
            continue;
        }
        for field in ["current_period_start", "current_period_end", "status"] {
            assert_eq!(row[field], before[field], "{field} of {}", row["id"]);
        }
    }
}

#[test]
fn objects_before_the_start_date_are_left_out() {
    let stripe = Stripe::of_rows(120);
    let truth = stripe.truth("charges");
    // Exactly the time of one of them, which belongs in.
    let start = truth[50]["created"].as_i64().expect("a time");
    let read = stripe.read(&["charges"]).set(json!({"start_date": date(start)})).run().succeeded();
    let expected: Vec<Value> =
        truth.into_iter().filter(|row| row["created"].as_i64() >= Some(start)).collect();
    assert!((51..60).contains(&expected.len()));
    rows::assert_same("charges", read.rows("charges"), expected, Some("id"));
}

#[test]
fn a_start_date_in_the_future_brings_nothing_and_is_no_error() {
    let stripe = Stripe::of_rows(20);
    let streams = ["charges", "customers", "events", "invoice_line_items", "balance_transactions"];
    let job = stripe.read(&streams).set(json!({"start_date": "2031-01-01T00:00:00Z"}));
    let first = job.clone().run().succeeded();
    assert_eq!(first.row_count(), 0);
    stripe.settle();
    job.state(first.state_file()).run().succeeded();
}

fn date(seconds: i64) -> String {
    let text = sandbox::clock::rfc3339(seconds);
    assert!(text.ends_with('Z'));
    text
}

/// One connection at a time reads the same as many.
#[test]
fn any_number_of_workers_reads_the_same() {
    let stripe = Stripe::of_rows(100);
    let streams = ["charges", "customers", "payment_methods", "invoice_line_items"];
    for workers in [1, 2, 100] {
        let read = stripe.read(&streams).set(json!({"num_workers": workers})).run().succeeded();
        for stream in streams {
            rows::assert_same(stream, read.rows(stream), stripe.truth(stream), key_of(stream));
        }
    }
}

/// A limit that the server enforces is kept by itself: hardly a request is refused.
#[test]
fn the_configured_rate_is_kept() {
    let options = sandbox::Options { rows: 40, rate_limit: Some(50), ..Default::default() };
    let stripe = Stripe::start(options);
    let job = stripe.read(&["customer_tax_ids", "payment_methods"]);
    let read = job.set(json!({"call_rate_limit": 50})).run().succeeded();
    rows::assert_same(
        "payment_methods",
        read.rows("payment_methods"),
        stripe.truth("payment_methods"),
        Some("id"),
    );
    let all = stripe.requests().all;
    assert!(all.total > 80 && all.rate_limited <= 1, "{all:?}");
}

/// PyAirbyte asks for incremental reads of all streams, also of those that have none.
#[test]
fn streams_without_a_cursor_are_read_in_full_each_time() {
    let stripe = Stripe::of_rows(60);
    let without: Vec<&str> = discovered()
        .iter()
        .filter(|(_, stream)| stream.default_cursor_field.is_empty())
        .map(|(name, _)| name.as_str())
        .collect();
    assert!(without.len() >= 5, "{without:?}");
    let first = stripe.read(&without).run().succeeded();
    let second = stripe.read(&without).state(first.state_file()).run().succeeded();
    for stream in without {
        assert_eq!(first.rows(stream).len(), second.rows(stream).len(), "{stream}");
        assert_eq!(second.rows(stream).len(), stripe.truth(stream).len(), "{stream}");
    }
}

#[test]
fn an_empty_catalog_reads_nothing() {
    let stripe = Stripe::of_rows(5);
    let read = stripe.read(&[]).run();
    assert_eq!((read.code, read.row_count(), read.stderr.as_str()), (Some(0), 0, ""));
}

#[test]
fn saved_configurations_of_airbytes_connector_work() {
    let stripe = Stripe::of_rows(12);
    let account = stripe.config()["account_id"].clone();
    let saved = json!({
        "client_secret": "sk_test_0123456789",
        "account_id": account,
        "start_date": "2017-01-25T00:00:00Z",
        "lookback_window_days": 0,
        "slice_range": 365,
        "num_workers": 10,
        "call_rate_limit": null,
        "api_retention_streams": ["customers", "invoices"],
        "__injected_by_somebody": {"x": 1},
        "api_url": format!("{}/stripe/", stripe.server.url()),
    });
    let read = Job::read("source-stripe", saved, &["customers"]).run().succeeded();
    assert_eq!(read.rows("customers").len(), 12);
}
