//! What lists return, page by page, is what `truth` says.

use std::collections::HashMap;

use crate::client::{Client, ids};
use serde_json::Value;

/// Streams, the lists they read, and the fields that differ from the list by design.
const LISTS: &[(&str, &str)] = &[
    ("accounts", "/v1/accounts"),
    ("apple_pay_domains", "/v1/apple_pay/domains"),
    ("application_fees", "/v1/application_fees"),
    ("authorizations", "/v1/issuing/authorizations"),
    ("balance_transactions", "/v1/balance_transactions"),
    ("cardholders", "/v1/issuing/cardholders"),
    ("cards", "/v1/issuing/cards"),
    ("charges", "/v1/charges?expand[]=data.refunds"),
    ("checkout_sessions", "/v1/checkout/sessions"),
    ("coupons", "/v1/coupons"),
    ("credit_notes", "/v1/credit_notes"),
    ("customers", "/v1/customers"),
    ("disputes", "/v1/disputes"),
    ("early_fraud_warnings", "/v1/radar/early_fraud_warnings"),
    ("entitlement_features", "/v1/entitlements/features"),
    ("events", "/v1/events"),
    ("file_links", "/v1/file_links"),
    ("files", "/v1/files"),
    ("invoice_items", "/v1/invoiceitems"),
    ("invoice_payments", "/v1/invoice_payments"),
    ("invoices", "/v1/invoices?expand[]=data.discounts&expand[]=data.payments"),
    ("issuing_disputes", "/v1/issuing/disputes"),
    ("payment_intents", "/v1/payment_intents"),
    ("payment_methods", "/v1/payment_methods"),
    ("payouts", "/v1/payouts"),
    ("plans", "/v1/plans?expand[]=data.tiers"),
    ("prices", "/v1/prices?expand[]=data.tiers&expand[]=data.currency_options"),
    ("products", "/v1/products"),
    ("promotion_codes", "/v1/promotion_codes?expand[]=data.promotion.coupon"),
    ("radar_value_lists", "/v1/radar/value_lists"),
    ("refunds", "/v1/refunds"),
    ("reviews", "/v1/reviews"),
    ("setup_intents", "/v1/setup_intents"),
    ("shipping_rates", "/v1/shipping_rates"),
    ("subscription_schedule", "/v1/subscription_schedules"),
    ("subscriptions", "/v1/subscriptions?status=all"),
    ("tax_rates", "/v1/tax_rates"),
    ("top_ups", "/v1/topups"),
    ("transactions", "/v1/issuing/transactions"),
    ("transfers", "/v1/transfers"),
];

/// Streams of children, the list of their parents, and where each parent's children are.
const CHILDREN: &[(&str, &str, &str)] = &[
    ("active_entitlements", "/v1/customers", "/v1/entitlements/active_entitlements?customer={}"),
    ("application_fees_refunds", "/v1/application_fees", "/v1/application_fees/{}/refunds"),
    ("bank_accounts", "/v1/customers", "/v1/customers/{}/bank_accounts"),
    (
        "checkout_sessions_line_items",
        "/v1/checkout/sessions",
        "/v1/checkout/sessions/{}/line_items?expand[]=data.discounts&expand[]=data.taxes",
    ),
    ("credit_note_line_items", "/v1/credit_notes", "/v1/credit_notes/{}/lines"),
    ("customer_balance_transactions", "/v1/customers", "/v1/customers/{}/balance_transactions"),
    ("customer_cards", "/v1/customers", "/v1/customers/{}/cards"),
    ("customer_tax_ids", "/v1/customers", "/v1/customers/{}/tax_ids"),
    ("invoice_line_items", "/v1/invoices", "/v1/invoices/{}/lines"),
    ("payment_methods", "/v1/customers", "/v1/customers/{}/payment_methods"),
    ("persons", "/v1/accounts", "/v1/accounts/{}/persons"),
    ("radar_value_list_items", "/v1/radar/value_lists", "/v1/radar/value_list_items?value_list={}"),
    ("refunds", "/v1/charges", "/v1/charges/{}/refunds"),
    ("setup_attempts", "/v1/setup_intents", "/v1/setup_attempts?setup_intent={}"),
    (
        "subscription_items",
        "/v1/subscriptions?status=all",
        "/v1/subscription_items?subscription={}",
    ),
    ("transfer_reversals", "/v1/transfers", "/v1/transfers/{}/reversals"),
];

/// Columns that the connector fills, in place of fields of the same name.
const FILLED: &[(&str, &[&str])] = &[("invoice_line_items", &["subscription"])];

fn same(stream: &str, listed: &[Value], truth: &[Value]) {
    assert!(!listed.is_empty(), "{stream} is empty");
    assert_eq!(listed.len(), truth.len(), "{stream}");
    let by_id: HashMap<&str, &Value> =
        truth.iter().filter_map(|r| Some((r["id"].as_str()?, r))).collect();
    assert_eq!(by_id.len(), truth.len(), "{stream} has an id twice");
    let filled = FILLED.iter().find(|(s, _)| *s == stream).map_or(&[][..], |(_, f)| f);
    for object in listed {
        let id = object["id"].as_str().unwrap_or_default();
        let record = by_id.get(id).unwrap_or_else(|| panic!("{stream}: {id} is not in the truth"));
        for (name, value) in object.as_object().into_iter().flatten() {
            if !filled.contains(&name.as_str()) {
                assert_eq!(&record[name], value, "{stream} {id} {name}");
            }
        }
    }
}

#[test]
fn lists_are_the_truth_at_any_page_size() {
    let client = Client::new(230);
    for (stream, url) in LISTS {
        let truth = client.truth(stream);
        let pages = client.all(url, 100);
        same(stream, &pages, &truth);
        assert_eq!(ids(&client.all(url, 7)), ids(&pages), "{stream}");
        assert_eq!(ids(&pages), ids(&truth), "{stream}: order");
    }
}

#[test]
fn tiny_data_is_whole_too() {
    for rows in [1, 3, 8] {
        let client = Client::new(rows);
        for (stream, url) in LISTS {
            assert_eq!(ids(&client.all(url, 2)), ids(&client.truth(stream)), "{stream} of {rows}");
        }
    }
}

#[test]
fn children_are_the_truth() {
    let client = Client::new(230);
    for (stream, parents, url) in CHILDREN {
        let parents = client.all(parents, 100);
        let mut counts = Vec::new();
        let mut listed = Vec::new();
        for parent in ids(&parents) {
            let children = client.all(&url.replace("{}", parent), 4);
            counts.push(children.len());
            listed.extend(children);
        }
        same(stream, &listed, &client.truth(stream));
        let some_are_long = counts.iter().any(|c| *c > 10);
        let without = ["active_entitlements", "customer_tax_ids"];
        assert!(
            some_are_long || without.contains(stream),
            "{stream} has no parent with more than 10"
        );
    }
}

#[test]
fn usage_summaries_are_an_old_stream() {
    let mut client = Client::new(100);
    let (status, error) = client.error("/v1/subscription_items/si_1/usage_record_summaries");
    assert_eq!(status, 404);
    assert!(error["message"].as_str().is_some_and(|m| m.contains("Unrecognized request URL")));
    client.version = "2025-02-24.acacia";
    let mut found = Vec::new();
    for subscription in ids(&client.all("/v1/subscriptions?status=all", 100)) {
        for item in
            ids(&client.all(&format!("/v1/subscription_items?subscription={subscription}"), 100))
        {
            found.extend(
                client.all(&format!("/v1/subscription_items/{item}/usage_record_summaries"), 100),
            );
        }
    }
    same("usage_records", &found, &client.truth("usage_records"));
}

#[test]
fn external_accounts_and_sources_mix_two_kinds() {
    let client = Client::new(60);
    let own = client.get("/v1/account");
    let url = format!("/v1/accounts/{}/external_accounts", own["id"].as_str().unwrap_or_default());
    for (stream, object) in
        [("external_account_cards", "card"), ("external_account_bank_accounts", "bank_account")]
    {
        let listed = client.all(&format!("{url}?object={object}"), 100);
        same(stream, &listed, &client.truth(stream));
        assert!(client.truth(stream).iter().all(|r| r["updated"] == own["created"]));
    }
    let both = client.all(&url, 2);
    let count = client.truth("external_account_cards").len()
        + client.truth("external_account_bank_accounts").len();
    assert_eq!(both.len(), count);
}

#[test]
fn payouts_list_their_transactions_if_automatic() {
    let client = Client::new(500);
    let mut listed = Vec::new();
    for payout in client.all("/v1/payouts", 100) {
        let url = format!(
            "/v1/balance_transactions?payout={}",
            payout["id"].as_str().unwrap_or_default()
        );
        if payout["automatic"] == true {
            listed.extend(client.all(&url, 100));
        } else {
            assert_eq!(client.error(&url).0, 400);
        }
    }
    same("payout_balance_transactions", &listed, &client.truth("payout_balance_transactions"));
}

#[test]
fn every_stream_has_a_truth() {
    use sandbox::api::Api;
    let client = Client::new(300);
    let streams = client.stripe.streams();
    assert_eq!(streams.len(), 60);
    for stream in streams {
        assert!(!client.truth(&stream).is_empty(), "{stream}");
    }
    assert!(client.stripe.truth("nothing", client.now, &mut Vec::new()).is_err());
}

#[test]
fn discounts_hang_on_customers_and_subscriptions() {
    let client = Client::new(300);
    let mut found: Vec<Value> = client
        .all("/v1/customers", 100)
        .into_iter()
        .map(|c| c["discount"].clone())
        .filter(Value::is_object)
        .collect();
    for subscription in client.all("/v1/subscriptions?status=all&expand[]=data.discounts", 100) {
        found.extend(subscription["discounts"].as_array().cloned().unwrap_or_default());
    }
    same("discounts", &found, &client.truth("discounts"));
}

#[test]
fn the_same_seed_gives_the_same_data() {
    assert_eq!(Client::new(120).truth("invoices"), Client::new(120).truth("invoices"));
    let other = sandbox::stripe::Stripe::new(&sandbox::Options {
        rows: 120,
        seed: 2,
        ..Default::default()
    });
    let client = Client { stripe: other, ..Client::new(120) };
    assert_ne!(client.truth("invoices"), Client::new(120).truth("invoices"));
}
