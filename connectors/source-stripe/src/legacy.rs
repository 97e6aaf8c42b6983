//! Columns that newer API versions have moved, filled from where they are now, so that a
//! saved catalog finds them (docs "API changelog", 2025-03-31.basil and later).

use cdk::json::{fields, get, integer};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::members::Members;

/// Adds the moved columns of one object.
pub type Fill = fn(object: &str, columns: &mut Members);

/// A list inside an object, as far as its elements are wanted.
#[derive(Deserialize)]
struct Inner<'a> {
    #[serde(borrow, default)]
    data: Vec<&'a RawValue>,
}

fn elements(list: Option<&str>) -> Vec<&str> {
    let inner: Option<Inner<'_>> = list.and_then(|text| serde_json::from_str(text).ok());
    inner.map(|inner| inner.data.iter().map(|raw| raw.get()).collect()).unwrap_or_default()
}

/// Invoices: `subscription`, `paid`, `charge`, `payment_intent`, `tax`.
pub fn invoice(object: &str, columns: &mut Members) {
    let [parent, status, payments, taxes] =
        fields(object, ["parent", "status", "payments", "total_taxes"]);
    columns.raw_or_null(
        "subscription",
        parent.and_then(|p| get(p, &"subscription_details.subscription".into())),
    );
    columns.flag("paid", status == Some("\"paid\""));
    let payments = elements(payments);
    let main =
        payments.iter().find(|p| fields(p, ["is_default"])[0] == Some("true")).or(payments.first());
    let payment = main.and_then(|main| fields(main, ["payment"])[0]);
    columns.raw_or_null("charge", payment.and_then(|p| fields(p, ["charge"])[0]));
    columns.raw_or_null("payment_intent", payment.and_then(|p| fields(p, ["payment_intent"])[0]));
    let taxes: Vec<&RawValue> =
        taxes.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let amounts = taxes.iter().filter_map(|tax| fields(tax.get(), ["amount"])[0].and_then(integer));
    let sum = amounts.reduce(i64::saturating_add);
    columns.raw_or_null("tax", sum.map(|sum| sum.to_string()).as_deref());
}

/// Invoice lines: `type`, `subscription_item`, `invoice_item`, `proration`, `price`; `subscription`
/// stays where it was.
pub fn line_item(object: &str, columns: &mut Members) {
    let [parent, pricing] = fields(object, ["parent", "pricing"]);
    let [by_subscription, by_item] = parent
        .map_or([None, None], |p| fields(p, ["subscription_item_details", "invoice_item_details"]));
    let details = by_subscription.or(by_item);
    let kind = match (by_subscription, by_item) {
        (Some(_), _) => "\"subscription\"",
        (None, Some(_)) => "\"invoiceitem\"",
        (None, None) => "null",
    };
    columns.raw("type", kind);
    columns.raw_or_null(
        "subscription_item",
        by_subscription.and_then(|d| fields(d, ["subscription_item"])[0]),
    );
    columns.raw_or_null("invoice_item", details.and_then(|d| fields(d, ["invoice_item"])[0]));
    columns.raw("proration", details.and_then(|d| fields(d, ["proration"])[0]).unwrap_or("false"));
    let price = pricing.and_then(|p| get(p, &"price_details.price".into()));
    let price = price.map(|id| {
        if id.starts_with('{') {
            id.to_owned()
        } else {
            format!("{{\"id\":{id},\"object\":\"price\"}}")
        }
    });
    columns.raw_or_null("price", price.as_deref());
}

/// Subscriptions: `current_period_start` (the earliest of its items) and
/// `current_period_end` (the latest).
pub fn subscription(object: &str, columns: &mut Members) {
    let [items] = fields(object, ["items"]);
    let periods: Vec<[Option<i64>; 2]> = elements(items)
        .iter()
        .map(|item| {
            fields(item, ["current_period_start", "current_period_end"])
                .map(|v| v.and_then(integer))
        })
        .collect();
    let start = periods.iter().filter_map(|[start, _]| *start).min();
    let end = periods.iter().filter_map(|[_, end]| *end).max();
    columns.raw_or_null("current_period_start", start.map(|t| t.to_string()).as_deref());
    columns.raw_or_null("current_period_end", end.map(|t| t.to_string()).as_deref());
}

/// Promotion codes: `coupon`.
pub fn promotion_code(object: &str, columns: &mut Members) {
    columns.raw_or_null("coupon", get(object, &"promotion.coupon".into()));
}

/// Discounts: `coupon`.
pub fn discount(object: &str, columns: &mut Members) {
    columns.raw_or_null("coupon", get(object, &"source.coupon".into()));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn filled(fill: Fill, object: Value) -> Value {
        let mut columns = Members::default();
        fill(&object.to_string(), &mut columns);
        serde_json::from_str(&format!("{{{}}}", columns.as_str())).unwrap()
    }

    #[test]
    fn invoices() {
        let full = json!({
            "status": "paid",
            "parent": {"subscription_details": {"subscription": "sub_1"}},
            "payments": {"data": [
                {"is_default": false, "payment": {"charge": "ch_0"}},
                {"is_default": true, "payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
            ]},
            "total_taxes": [{"amount": 3}, {"amount": 4}],
        });
        assert_eq!(
            filled(invoice, full),
            json!({"subscription": "sub_1", "paid": true, "charge": null, "payment_intent": "pi_1", "tax": 7})
        );
        assert_eq!(
            filled(invoice, json!({"status": "open", "parent": null, "total_taxes": []})),
            json!({"subscription": null, "paid": false, "charge": null, "payment_intent": null, "tax": null})
        );
    }

    #[test]
    fn lines() {
        let line = json!({
            "parent": {"invoice_item_details": null, "subscription_item_details":
                {"subscription": "sub_1", "subscription_item": "si_1", "invoice_item": null, "proration": true}},
            "pricing": {"price_details": {"price": "price_1"}},
        });
        assert_eq!(
            filled(line_item, line),
            json!({"type": "subscription", "subscription_item": "si_1",
                   "invoice_item": null, "proration": true, "price": {"id": "price_1", "object": "price"}})
        );
        assert_eq!(
            filled(
                line_item,
                json!({"parent": {"invoice_item_details": {"invoice_item": "ii_1", "proration": false, "subscription": null}}})
            ),
            json!({"type": "invoiceitem", "subscription_item": null,
                   "invoice_item": "ii_1", "proration": false, "price": null})
        );
    }

    #[test]
    fn periods_span_all_items() {
        let object = json!({"items": {"data": [
            {"current_period_start": 5, "current_period_end": 9}, {"current_period_start": 3, "current_period_end": 8}]}});
        assert_eq!(
            filled(subscription, object),
            json!({"current_period_start": 3, "current_period_end": 9})
        );
        assert_eq!(
            filled(subscription, json!({})),
            json!({"current_period_start": null, "current_period_end": null})
        );
    }

    #[test]
    fn a_column_that_is_still_there_is_not_written_twice() {
        let line = json!({"subscription": null, "parent":
            {"subscription_item_details": {"subscription": "sub_2", "subscription_item": "si_1"}}});
        let columns = filled(line_item, line);
        assert_eq!(columns.get("subscription"), None);
        assert_eq!(columns["subscription_item"], "si_1");
    }
}
