//! Shapes before and after 2025-03-31.basil.

use serde_json::Value;

use crate::client::{CURRENT, Client};

const OLD: &str = "2022-11-15";

fn first(version: &'static str, url: &str) -> Value {
    let client = Client { version, ..Client::new(300) };
    client.get(url)["data"][0].clone()
}

/// Fields that only the old shape has, and those that only the current one has.
const MOVED: &[(&str, &[&str], &[&str])] = &[
    (
        "/v1/invoices",
        &[
            "charge",
            "discount",
            "paid",
            "paid_out_of_band",
            "payment_intent",
            "quote",
            "subscription",
            "subscription_details",
            "tax",
            "total_tax_amounts",
            "transfer_data",
            "application_fee_amount",
        ],
        &["parent", "total_taxes", "total_pretax_credit_amounts", "amount_overpaid"],
    ),
    (
        "/v1/subscriptions",
        &["current_period_start", "current_period_end", "discount"],
        &["billing_mode", "billing_schedules"],
    ),
    ("/v1/charges", &["invoice"], &[]),
    ("/v1/payment_intents", &["invoice"], &[]),
    ("/v1/promotion_codes", &["coupon"], &["promotion"]),
    ("/v1/plans", &["aggregate_usage"], &[]),
    ("/v1/credit_notes", &["refund", "tax_amounts"], &["refunds", "total_taxes"]),
    ("/v1/checkout/sessions", &["shipping_details"], &["collected_information"]),
    (
        "/v1/invoiceitems",
        &["price", "subscription", "subscription_item", "unit_amount", "unit_amount_decimal"],
        &["parent", "pricing", "net_amount"],
    ),
];

#[test]
fn fields_come_and_go_with_the_version() {
    for (url, old_only, new_only) in MOVED {
        let (old, new) = (first(OLD, url), first(CURRENT, url));
        assert_eq!(old["id"], new["id"], "{url}");
        for field in *old_only {
            assert!(old.get(field).is_some() && new.get(field).is_none(), "{url} {field}");
        }
        for field in *new_only {
            assert!(old.get(field).is_none() && new.get(field).is_some(), "{url} {field}");
        }
    }
}

#[test]
fn nested_objects_change_with_the_version_too() {
    let line = |version| first(version, "/v1/invoices")["lines"]["data"][0].clone();
    let (old, new) = (line(OLD), line(CURRENT));
    for field in ["type", "price", "proration", "tax_rates", "amount_excluding_tax"] {
        assert!(old.get(field).is_some() && new.get(field).is_none(), "{field}");
    }
    for field in ["parent", "pricing", "taxes", "subtotal"] {
        assert!(old.get(field).is_none() && new.get(field).is_some(), "{field}");
    }
    let item = |version| first(version, "/v1/subscriptions")["items"]["data"][0].clone();
    assert!(item(OLD).get("current_period_end").is_none());
    assert!(item(CURRENT)["current_period_end"].is_i64());
    let discount = |version| {
        let client = Client { version, ..Client::new(300) };
        let customers = client.all("/v1/customers", 100);
        customers.iter().map(|c| c["discount"].clone()).find(Value::is_object).unwrap_or_default()
    };
    assert_eq!(discount(OLD)["coupon"]["object"], "coupon");
    assert!(discount(CURRENT)["source"]["coupon"].is_string());
}

#[test]
fn the_two_shapes_tell_the_same() {
    let old = Client { version: OLD, ..Client::new(200) }
        .all("/v1/invoices?expand[]=data.total_tax_amounts.tax_rate", 100);
    let new = Client::new(200).truth("invoices");
    for (old, new) in old.iter().zip(&new) {
        for field in ["id", "subscription", "paid", "tax", "status", "total"] {
            assert_eq!(old[field], new[field], "{} {field}", old["id"]);
        }
    }
}

#[test]
fn endpoints_come_and_go_with_the_version() {
    let mut client = Client::new(50);
    assert_eq!(client.ask("/v1/invoice_payments").0, 200);
    client.version = "2025-02-24.acacia";
    assert_eq!(client.ask("/v1/invoice_payments").0, 404);
    client.version = "2025-03-31.basil";
    assert_eq!(client.ask("/v1/invoice_payments").0, 200);
    client.version = "tomorrow";
    assert_eq!(client.ask("/v1/charges").0, 400);
}

#[test]
fn the_version_is_echoed() {
    let reply = Client::new(20).reply("GET", "/v1/charges?limit=1");
    let header =
        |name: &str| reply.headers.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_str());
    assert_eq!(header("stripe-version"), Some(CURRENT));
    assert!(header("request-id").is_some_and(|id| id.starts_with("req_")));
}
