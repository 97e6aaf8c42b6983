//! Changes by admin calls, and the events that tell of them.

use serde_json::{Value, json};

use crate::client::{Client, ids};

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|e| e["type"].as_str()).collect()
}

/// The events of the last change, newest first.
fn fresh(client: &mut Client, done: &Value) -> Vec<Value> {
    client.now += 60;
    let written = done["events"].as_array().cloned().unwrap_or_default();
    let all = client.all("/v1/events", 100);
    all.into_iter().filter(|e| written.contains(&e["id"])).collect()
}

fn id(done: &Value) -> String {
    done["ids"][0].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_update_shows_everywhere_and_in_an_event() {
    let mut client = Client::new(100);
    let done = client.change("mutate", json!({"resource": "customers", "count": 3, "set": {"name": "changed", "metadata": {"a": "b"}}}));
    assert_eq!(done["ids"].as_array().map(Vec::len), Some(3));
    let customer = id(&done);
    assert_eq!(client.get(&format!("/v1/customers/{customer}"))["name"], "changed");
    let truth = client.truth("customers");
    assert_eq!(truth.iter().filter(|c| c["name"] == "changed").count(), 3);
    assert_eq!(client.truth("charges").len(), 100);
    let events = fresh(&mut client, &done);
    assert_eq!(types(&events), ["customer.updated"; 3]);
    let event = &events[2];
    assert_eq!(event["api_version"], "2024-06-20");
    assert_eq!(event["data"]["object"]["id"], customer.as_str());
    assert_eq!(event["data"]["object"]["name"], "changed");
    assert!(event["data"]["previous_attributes"]["name"].is_string());
    let expanded = client.get("/v1/charges?limit=100&expand[]=data.customer");
    let seen = expanded["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|c| c["customer"]["name"] == "changed");
    assert!(
        seen.count() > 0
            || client.truth("charges").iter().all(|c| c["customer"] != customer.as_str())
    );
}

#[test]
fn events_show_after_a_while_and_fade_after_thirty_days() {
    let mut client = Client::new(100);
    let done = client.change("mutate", json!({"resource": "products"}));
    let written = done["events"][0].clone();
    let shows = |client: &Client| client.all("/v1/events", 100).iter().any(|e| e["id"] == written);
    assert!(!shows(&client));
    client.now += 19;
    assert!(!shows(&client));
    client.now += 1;
    assert!(shows(&client));
    assert!(client.truth("events").iter().any(|e| e["id"] == written));
    let id = written.as_str().unwrap_or_default().to_owned();
    assert_eq!(client.get(&format!("/v1/events/{id}"))["type"], "product.updated");
    client.now += 31 * 86_400;
    assert!(!shows(&client));
    assert_eq!(client.error(&format!("/v1/events/{id}")).0, 404);
    let (status, error) = client.error(&format!("/v1/events?starting_after={id}"));
    assert_eq!((status, &error["code"]), (400, &json!("resource_missing")));
    assert!(error["message"].as_str().is_some_and(|m| m.contains("aged out")));
}

#[test]
fn payloads_stay_as_they_were() {
    let mut client = Client::new(100);
    let first = client.change("mutate", json!({"resource": "products", "set": {"name": "one"}}));
    let product = id(&first);
    client.now += 5;
    let second = client.change(
        "mutate",
        json!({"resource": "products", "ids": [product], "set": {"name": "two"}}),
    );
    client.now += 60;
    let of = |done: &Value| {
        client.get(&format!("/v1/events/{}", done["events"][0].as_str().unwrap_or_default()))
    };
    assert_eq!(of(&first)["data"]["object"]["name"], "one");
    assert_eq!(of(&second)["data"]["object"]["name"], "two");
    assert_eq!(of(&second)["data"]["previous_attributes"]["name"], "one");
    assert_eq!(client.get(&format!("/v1/products/{product}"))["updated"], client.now - 60);
}

#[test]
fn payloads_are_in_the_accounts_version_and_cut_to_ten() {
    let mut client = Client::new(100);
    let long = client.all("/v1/invoices", 100).into_iter().find(|i| i["lines"]["has_more"] == true);
    let long = long.unwrap_or_default()["id"].clone();
    let done = client.change("mutate", json!({"resource": "invoices", "ids": [long]}));
    let object = fresh(&mut client, &done)[0]["data"]["object"].clone();
    assert!(object.get("paid").is_some() && object.get("parent").is_none());
    assert_eq!(object["lines"]["data"].as_array().map(Vec::len), Some(10));
}

#[test]
fn new_objects_head_the_list() {
    let mut client = Client::new(100);
    client.now += 100;
    let done = client
        .change("create", json!({"resource": "customers", "count": 3, "set": {"name": "new"}}));
    let newest = client.get("/v1/customers?limit=4");
    let created: Vec<_> =
        newest["data"].as_array().into_iter().flatten().map(|c| c["created"].as_i64()).collect();
    assert_eq!(created[..3], [Some(client.now); 3]);
    assert_eq!(client.all("/v1/customers", 2).len(), 103);
    assert_eq!(ids(&client.all("/v1/customers", 2)), ids(&client.truth("customers")));
    let since = client.all(&format!("/v1/customers?created[gte]={}", client.now), 100);
    assert_eq!(since.len(), 3);
    assert_eq!(types(&fresh(&mut client, &done)), ["customer.created"; 3]);
    let invoice = client.change("create", json!({"resource": "invoices"}));
    let invoice = client.get(&format!("/v1/invoices/{}", id(&invoice)));
    assert_eq!(
        client.all(invoice["lines"]["url"].as_str().unwrap_or_default(), 10).len(),
        client.truth("invoice_line_items").iter().filter(|l| l["invoice"] == invoice["id"]).count()
    );
}

#[test]
fn every_kind_can_be_created_changed_and_deleted() {
    use sandbox::api::Api;
    let client = Client::new(60);
    let no_objects = ["balance", "events", "payout_balance_transactions", "discounts"];
    let streams = client.stripe.streams();
    for stream in streams.iter().map(String::as_str).filter(|s| !no_objects.contains(s)) {
        let done = client.change("create", json!({"resource": stream}));
        let object = id(&done);
        let has = |id: &str| ids(&client.truth(stream)).contains(&id);
        // New children of connected accounts belong to streams of the platform's own account only.
        if !stream.starts_with("external_account") && stream != "accounts" {
            assert!(has(&object), "{stream}: {object} was created");
        }
        client.change(
            "mutate",
            json!({"resource": stream, "ids": [object], "set": {"metadata": {"k": "v"}}}),
        );
        client.change("delete", json!({"resource": stream, "ids": [object]}));
        assert!(stream == "subscriptions" || !has(&object), "{stream}: {object} was deleted");
    }
}

#[test]
fn deleted_objects_leave_stubs_and_events() {
    let mut client = Client::new(100);
    let done = client.change("delete", json!({"resource": "coupons"}));
    let coupon = id(&done);
    let stub = client.get(&format!("/v1/coupons/{coupon}"));
    assert_eq!(stub, json!({"id": coupon, "object": "coupon", "deleted": true}));
    assert!(!ids(&client.all("/v1/coupons", 100)).contains(&coupon.as_str()));
    assert_eq!(client.error(&format!("/v1/coupons?starting_after={coupon}")).0, 400);
    let events = fresh(&mut client, &done);
    assert_eq!(types(&events), ["coupon.deleted"]);
    assert!(events[0]["data"]["object"]["duration"].is_string());
    let charge = id(&client.change("delete", json!({"resource": "charges"})));
    assert_eq!(client.error(&format!("/v1/charges/{charge}")).0, 404);
}

#[test]
fn a_customer_goes_with_all_that_is_hers() {
    let mut client = Client::new(100);
    let customers = client.all("/v1/customers?expand[]=data.sources", 100);
    let rich = customers.iter().find(|c| c["sources"]["has_more"] == true).map(|c| c["id"].clone());
    let rich = rich.unwrap_or_default();
    let done = client.change("delete", json!({"resource": "customers", "ids": [rich]}));
    for stream in ["customer_cards", "bank_accounts", "payment_methods"] {
        assert!(client.truth(stream).iter().all(|r| r["customer"] != rich), "{stream}");
    }
    let subscriptions = client.all("/v1/subscriptions?status=all", 100);
    assert!(
        subscriptions.iter().filter(|s| s["customer"] == rich).all(|s| s["status"] == "canceled")
    );
    let events = fresh(&mut client, &done);
    assert!(types(&events).contains(&"customer.source.deleted"));
    assert_eq!(types(&events)[0], "customer.deleted");
    let charge = client.get("/v1/charges?limit=100&expand[]=data.customer");
    let gone =
        charge["data"].as_array().into_iter().flatten().find(|c| c["customer"]["id"] == rich);
    assert!(gone.is_none_or(|c| c["customer"]["deleted"] == true));
}

#[test]
fn a_removed_item_is_told_by_its_subscription() {
    let mut client = Client::new(100);
    let before = client.truth("subscription_items").len();
    let done = client.change("delete", json!({"resource": "subscription_items"}));
    assert_eq!(client.truth("subscription_items").len(), before - 1);
    let events = fresh(&mut client, &done);
    assert_eq!(types(&events), ["customer.subscription.updated"]);
    let old = &events[0]["data"]["previous_attributes"]["items"]["data"];
    assert!(ids(old.as_array().map_or(&[][..], Vec::as_slice)).contains(&id(&done).as_str()));
}

#[test]
fn a_new_fee_refund_is_told_by_its_fee() {
    let mut client = Client::new(100);
    let fee = client.get("/v1/application_fees?limit=1")["data"][0].clone();
    let done = client
        .change("create", json!({"resource": "application_fees_refunds", "parent": fee["id"]}));
    let events = fresh(&mut client, &done);
    assert_eq!(types(&events), ["application_fee.refunded"]);
    let now =
        client.get(&format!("/v1/application_fees/{}", fee["id"].as_str().unwrap_or_default()));
    assert_eq!(now["refunds"]["data"][0]["id"], id(&done).as_str());
    let refund = client.change("create", json!({"resource": "refunds"}));
    let events = fresh(&mut client, &refund);
    assert_eq!(types(&events), ["charge.refunded", "refund.created"]);
}

#[test]
fn subscriptions_end_but_stay() {
    let mut client = Client::new(100);
    let done = client.change("delete", json!({"resource": "subscriptions"}));
    let subscription = client.get(&format!("/v1/subscriptions/{}", id(&done)));
    assert_eq!(subscription["status"], "canceled");
    assert_eq!(types(&fresh(&mut client, &done)), ["customer.subscription.deleted"]);
}

#[test]
fn any_event_can_be_written() {
    let mut client = Client::new(100);
    let charge = client.get("/v1/charges?limit=1")["data"][0]["id"].clone();
    let at = client.now - 1000;
    let done = client.change(
        "event",
        json!({"resource": "charges", "id": charge, "type": "charge.captured", "created": at}),
    );
    let events = fresh(&mut client, &done);
    assert_eq!((types(&events)[0], &events[0]["created"]), ("charge.captured", &json!(at)));
    let done = client.change("event", json!({"resource": "invoices", "type": "invoice.upcoming", "payload": {"object": "invoice", "lines": {"data": []}}}));
    let events = fresh(&mut client, &done);
    assert!(events[0]["data"]["object"].get("id").is_none());
    let quiet = client.change("mutate", json!({"resource": "charges", "event": null}));
    assert_eq!(quiet["events"], json!([]));
}

#[test]
fn events_by_type() {
    let client = Client::new(400);
    let all = client.all("/v1/events", 100);
    assert!(created_is_falling(&all));
    let one = client.all("/v1/events?type=customer.created", 100);
    assert!(!one.is_empty() && types(&one).iter().all(|t| *t == "customer.created"));
    let some = client.all("/v1/events?type=customer.*", 100);
    assert!(some.len() > one.len() && types(&some).iter().all(|t| t.starts_with("customer.")));
    let two = client.all("/v1/events?types[]=customer.created&types[]=charge.succeeded", 7);
    assert_eq!(
        two.len(),
        types(&all).iter().filter(|t| ["customer.created", "charge.succeeded"].contains(t)).count()
    );
    assert_eq!(client.error("/v1/events?type=a.b&types[]=c.d").0, 400);
    let many = (0..21).map(|i| format!("types[]=t{i}")).collect::<Vec<_>>().join("&");
    assert_eq!(client.error(&format!("/v1/events?{many}")).0, 400);
    let recent = client.now - 20 * 86_400;
    assert!(all.iter().all(|e| e["created"].as_i64() >= Some(recent)));
}

fn created_is_falling(events: &[Value]) -> bool {
    events.is_sorted_by(|a, b| a["created"].as_i64() >= b["created"].as_i64())
}

#[test]
fn bad_requests_are_explained() {
    use sandbox::api::Api;
    let client = Client::new(20);
    for (action, body) in [
        ("mutate", json!({"resource": "nothing"})),
        ("mutate", json!({"resource": "charges", "ids": ["ch_1"]})),
        ("mutate", json!({"resource": "charges", "sett": {}})),
        ("mutate", json!([])),
        ("explode", json!({"resource": "charges"})),
        ("create", json!({"resource": "refunds", "parent": "ch_1"})),
        ("event", json!({"resource": "charges"})),
        ("create", json!({"resource": "charges", "account": "acct_1"})),
    ] {
        assert!(client.stripe.change(action, &body, client.now).is_err(), "{action} {body}");
    }
}

#[test]
fn pending_money_becomes_available_without_an_event() {
    let mut client = Client::new(2000);
    let pending = |client: &Client| {
        client.truth("balance_transactions").iter().filter(|t| t["status"] == "pending").count()
    };
    let (before, events) = (pending(&client), client.truth("events").len());
    client.now += 4 * 86_400;
    assert!(before > 0 && pending(&client) == 0);
    assert!(client.truth("events").len() <= events);
}
