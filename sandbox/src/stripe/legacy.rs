//! The columns that the connector fills from where newer versions keep them.

use serde_json::{Map, Value, json};

fn at(object: &Map<String, Value>, pointer: &str) -> Value {
    let (first, rest) = pointer.split_once('/').map_or((pointer, ""), |(a, b)| (a, b));
    let value = object.get(first).cloned().unwrap_or_default();
    if rest.is_empty() {
        value
    } else {
        value.pointer(&format!("/{rest}")).cloned().unwrap_or_default()
    }
}

/// Invoices: `subscription`, `paid`, `charge`, `payment_intent`, `tax`.
pub fn invoice(object: &mut Map<String, Value>) {
    let subscription = at(object, "parent/subscription_details/subscription");
    let paid = at(object, "status") == "paid";
    let payments = at(object, "payments/data");
    let payments = payments.as_array().map_or(&[][..], Vec::as_slice);
    let main = payments.iter().find(|p| p["is_default"] == true).or(payments.first());
    let of_payment = |kind: &str| main.map_or(Value::Null, |p| p["payment"][kind].clone());
    let (charge, intent) = (of_payment("charge"), of_payment("payment_intent"));
    let taxes = at(object, "total_taxes");
    let tax = taxes
        .as_array()
        .filter(|all| !all.is_empty())
        .map(|all| all.iter().filter_map(|t| t["amount"].as_i64()).sum::<i64>());
    for (name, value) in [
        ("subscription", subscription),
        ("paid", json!(paid)),
        ("charge", charge),
        ("payment_intent", intent),
        ("tax", json!(tax)),
    ] {
        object.insert(name.to_owned(), value);
    }
}

/// Invoice lines: `type`, `subscription`, `subscription_item`, `invoice_item`, `proration`, `price`.
pub fn line(object: &mut Map<String, Value>) {
    let by_subscription = at(object, "parent/subscription_item_details");
    let by_item = at(object, "parent/invoice_item_details");
    let (kind, details) = match (&by_subscription, &by_item) {
        (Value::Object(_), _) => (json!("subscription"), &by_subscription),
        (_, Value::Object(_)) => (json!("invoiceitem"), &by_item),
        _ => (Value::Null, &Value::Null),
    };
    let price = at(object, "pricing/price_details/price");
    let price = if price.is_null() { price } else { json!({"id": price, "object": "price"}) };
    for (name, value) in [
        ("type", kind),
        ("subscription", details["subscription"].clone()),
        ("subscription_item", by_subscription["subscription_item"].clone()),
        ("invoice_item", details["invoice_item"].clone()),
        ("proration", json!(details["proration"] == true)),
        ("price", price),
    ] {
        object.insert(name.to_owned(), value);
    }
}

/// Subscriptions: `current_period_start` and `current_period_end`, over the items shown inside.
pub fn subscription(object: &mut Map<String, Value>) {
    let items = at(object, "items/data");
    let all = |name: &str| -> Vec<i64> {
        items.as_array().into_iter().flatten().filter_map(|item| item[name].as_i64()).collect()
    };
    let (start, end) = (
        all("current_period_start").into_iter().min(),
        all("current_period_end").into_iter().max(),
    );
    object.insert("current_period_start".to_owned(), json!(start));
    object.insert("current_period_end".to_owned(), json!(end));
}

/// Promotion codes: `coupon`, the object.
pub fn promotion_code(object: &mut Map<String, Value>) {
    let coupon = at(object, "promotion/coupon");
    object.insert("coupon".to_owned(), coupon);
}

/// Discounts: `coupon`, the id.
pub fn discount(object: &mut Map<String, Value>) {
    let coupon = at(object, "source/coupon");
    object.insert("coupon".to_owned(), coupon);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(fill: fn(&mut Map<String, Value>), mut object: Value) -> Value {
        if let Value::Object(map) = &mut object {
            fill(map);
        }
        object
    }

    #[test]
    fn the_default_payment_counts() {
        let object = json!({"status": "paid", "parent": null, "total_taxes": [{"amount": 2}, {"amount": 3}],
            "payments": {"data": [
                {"is_default": false, "payment": {"payment_intent": "pi_2"}},
                {"is_default": true, "payment": {"charge": "ch_1"}}]}});
        let row = filled(invoice, object);
        assert_eq!(
            (
                &row["charge"],
                &row["payment_intent"],
                &row["tax"],
                &row["paid"],
                &row["subscription"]
            ),
            (&json!("ch_1"), &Value::Null, &json!(5), &json!(true), &Value::Null)
        );
        assert_eq!(
            filled(invoice, json!({"status": "open", "total_taxes": []}))["tax"],
            Value::Null
        );
    }

    #[test]
    fn lines_of_items() {
        let row = filled(
            line,
            json!({
            "parent": {"invoice_item_details": {"invoice_item": "ii_1", "proration": true, "subscription": null},
                       "subscription_item_details": null},
            "pricing": {"price_details": {"price": "price_1"}}}),
        );
        assert_eq!(row["type"], "invoiceitem");
        assert_eq!(row["price"], json!({"id": "price_1", "object": "price"}));
        assert_eq!((&row["proration"], &row["subscription"]), (&json!(true), &Value::Null));
    }
}
