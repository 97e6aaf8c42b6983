//! States: those of Airbyte's connector are gone on from, ours are such that it can go on.

use e2e::{Outcome, Stripe, rows, state};
use serde_json::{Value, json};

/// How far before the watermark events are looked at once more, in seconds.
const OVERLAP: i64 = 600;

/// Goes on from a state of one stream; tells from when on events (or the list, where there are
/// none) were asked for.
#[track_caller]
fn goes_on(stripe: &Stripe, stream: &str, saved: Value) -> (Outcome, i64) {
    let tap = stripe.tap();
    let job = stripe.read(&[stream]).set(Stripe::through(&tap));
    let read = job.state(state::of_stream(stream, saved)).run().succeeded();
    let seen = tap.seen();
    let since: Vec<i64> = seen
        .iter()
        .filter_map(|request| request.query("created[gte]").first()?.parse().ok())
        .collect();
    let first = since.iter().min().copied().unwrap_or_else(|| panic!("no window: {seen:?}"));
    (read, first)
}

#[test]
fn case_21_every_state_of_airbytes_connector_is_gone_on_from() {
    let stripe = Stripe::of_rows(40);
    let saved = stripe.admin().now() - 5 * 86_400;
    let older = saved - 3 * 86_400;
    let text = |time: i64| time.to_string();
    let shapes = [
        ("customers", json!({"updated": text(saved)})),
        ("customers", json!({"updated": saved})),
        ("invoices", json!({"updated": text(saved), "something": {"else": 1}})),
        // After a first read of children of events.
        (
            "invoice_line_items",
            json!({"use_global_cursor": true, "state": {"invoice_updated": text(saved)}, "lookback_window": 1, "parent_state": {}}),
        ),
        // After the first incremental read: both places, the nested one may be newer or older.
        (
            "invoice_line_items",
            json!({"use_global_cursor": true, "state": {"invoice_updated": text(saved)}, "lookback_window": 1, "parent_state": {}, "invoice_updated": text(older)}),
        ),
        (
            "subscription_items",
            json!({"use_global_cursor": true, "state": {"subscription_updated": text(older)}, "lookback_window": 1, "parent_state": {}, "subscription_updated": text(saved)}),
        ),
        // Children of a parent with a state of its own.
        (
            "customer_balance_transactions",
            json!({"use_global_cursor": true, "lookback_window": 1, "parent_state": {"customers": {"updated": saved}}}),
        ),
        (
            "payout_balance_transactions",
            json!({"use_global_cursor": true, "state": {"updated": text(older)}, "lookback_window": 1, "parent_state": {"payouts": {"updated": text(saved)}}}),
        ),
        (
            "setup_attempts",
            json!({"use_global_cursor": false, "states": [{"partition": {"parent_slice": {}, "setup_intent_id": "seti_1"}, "cursor": {"created": text(older)}}],
                "state": {"created": text(older)}, "lookback_window": 1, "parent_state": {"setup_intents": {"updated": saved}}}),
        ),
    ];
    for (stream, shape) in shapes {
        stripe.recount();
        let (read, since) = goes_on(&stripe, stream, shape.clone());
        assert_eq!(since, saved - OVERLAP, "{stream}: {shape}");
        let listed = stripe.requests_to("/v1/customers") + stripe.requests_to("/v1/payouts");
        assert_eq!(listed, 0, "{stream} was listed again: {shape}");
        let all = stripe.truth(stream).len();
        assert!(read.rows(stream).len() < all, "{stream}: all rows came for {shape}");
        let state = read.last_state(stream);
        assert!(state["watermark"].as_i64() > Some(saved), "{state}");
    }
}

#[test]
fn case_21_streams_by_creation_go_on_from_the_cursor() {
    let stripe = Stripe::of_rows(40);
    for stream in ["balance_transactions", "files", "file_links", "shipping_rates", "events"] {
        let truth = stripe.truth(stream);
        let saved = truth[truth.len() / 3]["created"].as_i64().expect("a time");
        for saved_as in [json!(saved), json!(saved.to_string())] {
            let (read, _) = goes_on(&stripe, stream, json!({"created": saved_as}));
            let got = rows::by_key(read.rows(stream), Some("id"));
            let new = truth.iter().filter(|row| row["created"].as_i64() > Some(saved));
            for row in new {
                let id = row["id"].as_str().unwrap_or_default();
                assert_eq!(got.get(id), Some(row), "{stream}");
            }
            assert!(got.len() < truth.len(), "{stream}: all came again");
        }
    }
}

#[test]
fn case_21_states_that_mean_none_start_from_the_beginning() {
    let stripe = Stripe::of_rows(15);
    for (stream, saved) in [
        ("usage_records", json!({"__ab_no_cursor_state_message": true})),
        ("customers", json!({"__ab_no_cursor_state_message": true})),
        ("persons", json!({"use_global_cursor": true, "lookback_window": 1, "parent_state": {}})),
        ("customers", json!({})),
    ] {
        let file = state::of_stream(stream, saved.clone());
        let read = stripe.read(&[stream]).state(file).run().succeeded();
        assert_eq!(read.rows(stream).len(), stripe.truth(stream).len(), "{stream}: {saved}");
    }
    for file in ["[]", "{}", "null", ""] {
        let read = stripe.read(&["customers"]).state(file).run().succeeded();
        assert_eq!(read.rows("customers").len(), 15, "{file:?}");
    }
}

#[test]
fn states_are_understood_in_every_file_that_orchestrators_write() {
    let stripe = Stripe::of_rows(30);
    let streams = ["customers", "charges", "events"];
    let first = stripe.read(&streams).run().succeeded();
    stripe.settle();
    let change = stripe.change("mutate", json!({"resource": "customers"}));
    stripe.settle();
    let states = first.last_states();
    let lines: Vec<&str> = first.text.lines().filter(|line| line.contains("\"STATE\"")).collect();
    let legacy = json!(states).to_string();
    let files = [
        state::platform(&states),
        state::pyairbyte(&states),
        // The output of the last run as it was, and its states alone.
        first.text.clone(),
        lines.join("\n"),
        format!("[{}]", lines.join(",")),
        legacy.clone(),
        format!(r#"[{{"type":"LEGACY","data":{legacy}}}]"#),
    ];
    for file in files {
        let shown: String = file.chars().take(80).collect();
        let read = stripe.read(&streams).state(file).run().succeeded();
        assert_eq!(json!(rows::ids(&read.rows("customers"))), change["ids"], "{shown}");
        assert_eq!(read.rows("charges").len(), 0, "{shown}");
        assert!(read.rows("events").len() <= 1, "{shown}");
    }
}

/// What Airbyte's connector needs of a state, as far as it can be told without it: the cursor as
/// a string of seconds under its own name, and none of the keys by which it would take the state
/// for one of another shape.
#[test]
fn case_22_states_are_such_that_airbytes_connector_can_go_on() {
    let stripe = Stripe::of_rows(25);
    let streams = crate::streams::discovered();
    let first = stripe.read(&crate::streams::names()).run().succeeded();
    stripe.pass(3600);
    let second = stripe
        .read(&crate::streams::names())
        .state(state::pyairbyte(&first.last_states()))
        .run()
        .succeeded();
    for read in [&first, &second] {
        for (name, state) in read.last_states() {
            let Some(cursor) = streams[&name].default_cursor_field.first() else {
                assert_eq!(state, json!({"__ab_no_cursor_state_message": true}), "{name}");
                continue;
            };
            let value = state[cursor].as_str().unwrap_or_else(|| panic!("{name}: {state}"));
            let seconds: i64 = value.parse().unwrap_or_else(|_| panic!("{name}: {state}"));
            assert!((1_577_836_800..=stripe.admin().now()).contains(&seconds), "{name}: {state}");
            for foreign in
                ["use_global_cursor", "states", "state", "parent_state", "slices", "state_type"]
            {
                assert!(state.get(foreign).is_none(), "{name}: {state}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_new_in_the_catalog_is_read_from_the_start() {
    let stripe = Stripe::of_rows(30);
    let first = stripe.read(&["customers"]).run().succeeded();
    stripe.settle();
    let job = stripe.read(&["customers", "products"]).state(first.state_file());
    let second = job.run().succeeded();
    assert_eq!(second.rows("customers").len(), 0);
    rows::assert_same("products", second.rows("products"), stripe.truth("products"), Some("id"));
}

#[test]
fn a_lookback_window_brings_changes_once_more() {
    let stripe = Stripe::of_rows(30);
    let first = stripe.read(&["customers"]).run().succeeded();
    stripe.settle();
    let change = stripe.change("mutate", json!({"resource": "customers"}));
    stripe.settle();
    let second = stripe.read(&["customers"]).state(first.state_file()).run().succeeded();
    assert_eq!(second.rows("customers").len(), 1);
    stripe.pass(3600);
    let job = stripe.read(&["customers"]).state(second.state_file());
    assert_eq!(job.clone().run().succeeded().rows("customers").len(), 0);
    let again = job.set(json!({"lookback_window_days": 1})).run().succeeded();
    let ids = rows::ids(&again.rows("customers"));
    assert!(ids.iter().any(|id| change["ids"][0] == **id), "{ids:?}");
}
