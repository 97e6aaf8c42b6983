//! All streams at once: values, schemas, order of messages, and what changes bring.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use airbyte_protocol::Stream;
use cdk::schema::Conformance;
use e2e::{Outcome, Stripe, rows};
use serde_json::{Value, json};

/// The streams as they are discovered, once for all tests.
pub fn discovered() -> &'static BTreeMap<String, Stream> {
    static STREAMS: OnceLock<BTreeMap<String, Stream>> = OnceLock::new();
    STREAMS.get_or_init(|| {
        let discovered = Stripe::of_rows(1).job("discover").run().succeeded();
        let streams = discovered.catalog().streams.iter();
        streams.map(|stream| (stream.name.clone(), stream.clone())).collect()
    })
}

/// The names of all streams.
pub fn names() -> Vec<&'static str> {
    discovered().keys().map(String::as_str).collect()
}

/// The field that is the primary key of a stream.
pub fn key_of(stream: &str) -> Option<&'static str> {
    discovered()[stream].source_defined_primary_key.first()?.first().map(String::as_str)
}

/// Asserts that the rows of every stream are those of the sandbox, each once.
#[track_caller]
fn assert_truth(stripe: &Stripe, read: &Outcome) {
    assert_truth_of(stripe, read, &names());
}

#[track_caller]
fn assert_truth_of(stripe: &Stripe, read: &Outcome, streams: &[&str]) {
    for name in streams {
        let name = *name;
        let mut got = read.rows(name);
        let mut expected = stripe.truth(name);
        if name == "balance" {
            // Its key is the moment of the read.
            for row in got.iter_mut().chain(&mut expected) {
                row["snapshot_at"] = "now".into();
            }
        }
        assert!(!expected.is_empty(), "{name}: nothing to read");
        rows::assert_same(name, got, expected, key_of(name));
    }
}

/// Enough for every stream to have something to read.
const ROWS: u64 = 100;

#[test]
fn a_full_refresh_of_all_streams_is_the_truth_and_fits_the_schemas() {
    let stripe = Stripe::of_rows(ROWS);
    let read = stripe.read(&names()).full_refresh().run().succeeded();
    assert_truth(&stripe, &read);
    assert_fits(&read);
}

/// Asserts that every row fits its stream's schema, which declares every field.
#[track_caller]
fn assert_fits(read: &Outcome) {
    for (name, stream) in discovered() {
        let check = Conformance::new(stream.json_schema.value()).expect("a schema");
        for row in read.rows(name) {
            let found = check.findings(&row);
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }
}

#[test]
fn a_full_refresh_of_all_streams_on_a_bad_day_is_the_truth() {
    let stripe = Stripe::of_rows(ROWS);
    let day = "too_many = 0.02\nretry_after_share = 0.0\nserver_error = 0.02\nreset = 0.01\ntruncate = 0.02\n";
    stripe.faults(day);
    let read = stripe.read(&names()).full_refresh().run().succeeded();
    let statuses = stripe.requests().all.by_status;
    for fault in ["429", "reset"] {
        assert!(statuses.contains_key(fault), "{statuses:?}");
    }
    assert_truth(&stripe, &read);
}

/// The streams that can be read incrementally.
fn incremental() -> Vec<&'static str> {
    let streams = discovered().iter().filter(|(_, stream)| !stream.default_cursor_field.is_empty());
    streams.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn a_second_read_of_all_streams_brings_nothing_when_nothing_has_changed() {
    let stripe = Stripe::of_rows(ROWS);
    let streams = incremental();
    let first = stripe.read(&streams).run().succeeded();
    assert_truth_of(&stripe, &first, &streams);
    stripe.settle();
    let second = stripe.read(&streams).state(first.state_file()).run().succeeded();
    // Events of the last minute before the first read were left to the second.
    let late = second.row_count();
    assert_eq!(late, 0, "{:?}", counts(&second));
    stripe.pass(3600);
    stripe.recount();
    let third = stripe.read(&streams).state(second.state_file()).run().succeeded();
    assert_eq!(third.row_count(), 0, "{:?}", counts(&third));
    // One pass over events, and a list each for what no event tells of.
    let requests = stripe.requests();
    assert!(requests.all.total <= 16, "{:?}", requests.by_path);
}

/// Rows by stream.
fn counts(read: &Outcome) -> BTreeMap<&'static str, usize> {
    let counts = names().into_iter().map(|name| (name, read.rows(name).len()));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// The field that tells when a row changed.
fn cursor_of(stream: &str) -> &'static str {
    let field = discovered()[stream].default_cursor_field.first();
    field.map_or("", String::as_str)
}

/// Streams whose objects have events of their own, and how many of them are to be changed.
const CHANGED: &[(&str, usize)] = &[
    ("application_fees", 1),
    ("authorizations", 2),
    ("bank_accounts", 2),
    ("cardholders", 1),
    ("cards", 2),
    ("charges", 5),
    ("checkout_sessions", 2),
    ("coupons", 2),
    ("credit_notes", 1),
    ("customer_cards", 2),
    ("customer_tax_ids", 2),
    ("customers", 4),
    ("disputes", 1),
    ("early_fraud_warnings", 1),
    ("external_account_bank_accounts", 1),
    ("external_account_cards", 1),
    ("invoices", 4),
    ("issuing_disputes", 1),
    ("payment_intents", 3),
    ("payment_methods", 3),
    ("payouts", 1),
    ("persons", 2),
    ("plans", 1),
    ("prices", 2),
    ("products", 2),
    ("promotion_codes", 1),
    ("refunds", 2),
    ("reviews", 1),
    ("setup_intents", 2),
    ("subscription_schedule", 1),
    ("subscriptions", 3),
    ("tax_rates", 1),
    ("top_ups", 1),
    ("transactions", 2),
    ("transfers", 1),
];

/// Streams whose objects have no metadata, and a change of something that they have.
const WITHOUT_METADATA: &[(&str, &str)] = &[
    ("application_fees", r#"{"amount_refunded": 7}"#),
    ("customer_tax_ids", r#"{"verification": {"status": "verified"}}"#),
    ("early_fraud_warnings", r#"{"actionable": false}"#),
    ("reviews", r#"{"closed_reason": "approved"}"#),
];

/// Streams whose objects can be made, and whose creation an event tells of or a list shows.
const CREATED: &[&str] = &[
    "charges",
    "coupons",
    "credit_notes",
    "customer_balance_transactions",
    "customers",
    "file_links",
    "files",
    "invoice_items",
    "invoice_line_items",
    "invoices",
    "payment_intents",
    "payment_methods",
    "payouts",
    "products",
    "refunds",
    "setup_attempts",
    "shipping_rates",
    "subscription_items",
    "subscriptions",
    "transfer_reversals",
    "application_fees_refunds",
    "active_entitlements",
];

/// Streams whose objects can be deleted.
const DELETED: &[&str] = &[
    "bank_accounts",
    "coupons",
    "customer_cards",
    "customer_tax_ids",
    "customers",
    "invoice_items",
    "persons",
    "plans",
    "prices",
    "products",
    "subscription_items",
    "external_account_cards",
];

/// Streams of what new customers and subscriptions come with; no event of the sandbox tells of it.
const UNTOLD: &[&str] = &["bank_accounts", "customer_cards", "customer_tax_ids", "discounts"];

/// After changes of all kinds exactly the changed rows come, with today's values.
#[test]
fn changes_of_all_streams_arrive_as_they_are_and_nothing_else() {
    let stripe = Stripe::of_rows(ROWS);
    let streams = incremental();
    let first = stripe.read(&streams).run().succeeded();
    stripe.settle();
    let truths = |stripe: &Stripe| -> BTreeMap<&str, BTreeMap<String, Value>> {
        let truth = |name: &&'static str| (*name, rows::by_key(stripe.truth(name), key_of(name)));
        streams.iter().map(truth).collect()
    };
    let before = truths(&stripe);
    let mut told: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut tell = |stream: &'static str, change: Value| {
        let ids = change["ids"].as_array().into_iter().flatten();
        let ids = ids.filter_map(|id| id.as_str().map(str::to_owned));
        told.entry(stream).or_default().extend(ids);
    };
    for (stream, count) in CHANGED {
        let ids: Vec<&String> = before[stream].keys().step_by(2).take(*count).collect();
        let mut change = json!({"resource": stream, "ids": ids});
        // The usual change is one of metadata, which some objects do not have.
        if let Some((_, set)) = WITHOUT_METADATA.iter().find(|(name, _)| name == stream) {
            change["set"] = serde_json::from_str(set).expect("JSON");
        }
        tell(stream, stripe.change("mutate", change));
    }
    for stream in CREATED {
        tell(stream, stripe.change("create", json!({"resource": stream, "count": 2})));
    }
    for stream in DELETED {
        let id = before[stream].keys().nth(1);
        tell(stream, stripe.change("delete", json!({"resource": stream, "id": id})));
    }
    stripe.settle();
    let second = stripe.read(&streams).state(first.state_file()).run().succeeded();
    let after = truths(&stripe);
    let mut findings = Vec::new();
    for name in &streams {
        let mut after = after[name].clone();
        if UNTOLD.contains(name) {
            after.retain(|id, _| before[name].contains_key(id));
        }
        findings.extend(findings_of(name, second.rows(name), &before[name], &after));
        let got = rows::by_key(second.rows(name), key_of(name));
        let missing = told.get(name).into_iter().flatten().filter(|id| !got.contains_key(*id));
        findings.extend(missing.map(|id| format!("{name}: {id} was changed and did not come")));
    }
    assert!(findings.is_empty(), "{findings:#?}");
    assert_fits(&second);
    stripe.settle();
    let third = stripe.read(&streams).state(second.state_file()).run().succeeded();
    assert_eq!(third.row_count(), 0, "{:?}", counts(&third));
}

/// What is wrong with the rows of a later read.
fn findings_of(
    name: &str,
    got: Vec<Value>,
    before: &BTreeMap<String, Value>,
    after: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let cursor = cursor_of(name);
    let count = got.len();
    let got = rows::by_key(got, key_of(name));
    if got.len() != count {
        findings.push(format!("{name}: {} objects in {count} rows", got.len()));
    }
    for (id, row) in &got {
        let is_flagged = row["is_deleted"] == true;
        match after.get(id) {
            Some(_) if is_flagged => findings.push(format!("{name}: {id} is flagged but there")),
            None if is_flagged => {}
            // The own account is in no list of accounts, but has events.
            None if name == "accounts" && !before.contains_key(id) => {}
            None => findings.push(format!("{name}: {id} is gone but not flagged")),
            Some(expected) => {
                let mut row = row.clone();
                let mut expected = expected.clone();
                for row in [&mut row, &mut expected] {
                    row[cursor] = Value::Null;
                }
                let pair = |row| BTreeMap::from([(id.clone(), row)]);
                let found = rows::differences(&pair(row), &pair(expected));
                findings.extend(found.into_iter().map(|found| format!("{name}: {found}")));
            }
        }
    }
    // What is other only because something inside it is (the coupon of a discount, the price of an
    // item), or went with its parent, has no event and need not come.
    let missing = after.keys().filter(|id| !before.contains_key(*id) && !got.contains_key(*id));
    findings.extend(missing.map(|id| format!("{name}: {id} is new and did not come")));
    findings.truncate(10);
    findings
}
