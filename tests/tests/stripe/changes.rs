//! Later reads: what events tell, and what they do not.

use e2e::{Outcome, Stripe, rows};
use serde_json::{Value, json};

/// Reads streams for the first time.
fn first(stripe: &Stripe, streams: &[&str]) -> Outcome {
    let read = stripe.read(streams).run().succeeded();
    // What happens from now on is not in the same second as the read.
    stripe.settle();
    read
}

/// Reads on from another read.
fn next(stripe: &Stripe, streams: &[&str], before: &Outcome) -> Outcome {
    stripe.read(streams).state(before.state_file()).run().succeeded()
}

/// The only row of a stream. Panics if there is none or another.
#[track_caller]
fn only(read: &Outcome, stream: &str) -> Value {
    let rows = read.rows(stream);
    assert_eq!(rows.len(), 1, "{stream}: {:?}", rows::ids(&rows));
    rows[0].clone()
}

/// The ids that a change names.
fn changed(change: &Value) -> Vec<String> {
    let ids = change["ids"].as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn case_08_a_change_during_the_first_read_is_in_the_next_one() {
    let stripe = Stripe::of_rows(400);
    stripe.faults(
        "[[script]]\npath = \"/stripe/v1/customers\"\nnth = 2\naction = \"slow\"\ndelay_ms = 300\n",
    );
    let mut running = stripe.read(&["customers"]).spawn();
    running.until("\"RECORD\"");
    // One that was read already, and one that was not.
    let truth = rows::ids(&stripe.truth("customers"));
    let (read, unread) = (&truth[3], &truth[390]);
    stripe.change(
        "mutate",
        json!({"resource": "customers", "ids": [read, unread], "set": {"name": "changed"}}),
    );
    let backfill = running.finish().succeeded();
    assert_eq!(backfill.rows("customers").len(), 400);
    stripe.settle();
    let later = next(&stripe, &["customers"], &backfill);
    assert_eq!(
        sorted(rows::ids(&later.rows("customers"))),
        sorted(vec![read.clone(), unread.clone()])
    );
    assert!(later.rows("customers").iter().all(|row| row["name"] == "changed"));
}

#[test]
fn case_09_three_events_of_one_object_are_one_row_the_newest() {
    let stripe = Stripe::of_rows(50);
    let before = first(&stripe, &["customers"]);
    let id = rows::ids(&before.rows("customers"))[20].clone();
    for name in ["one", "two", "three"] {
        stripe.pass(10);
        stripe.change("mutate", json!({"resource": "customers", "id": id, "set": {"name": name}}));
    }
    let last = stripe.admin().now();
    stripe.settle();
    for mode in ["reread", "payload"] {
        let job = stripe.read(&["customers"]).set(json!({"incremental_mode": mode}));
        let row = only(&job.state(before.state_file()).run().succeeded(), "customers");
        assert_eq!((row["id"].as_str(), row["name"].as_str()), (Some(id.as_str()), Some("three")));
        let updated = row["updated"].as_i64().unwrap_or_default();
        assert!((last - 2..=last).contains(&updated), "{updated} {last}");
    }
}

#[test]
fn case_10_of_two_events_in_one_second_the_later_in_the_list_loses() {
    let stripe = Stripe::of_rows(50);
    let before = first(&stripe, &["customers"]);
    let customer = before.rows("customers")[20].clone();
    stripe.pass(100);
    let second = stripe.admin().now();
    // Lists are newest first: of what is written last within a second.
    for name in ["older", "newer"] {
        let mut payload = customer.clone();
        payload["name"] = name.into();
        let event = json!({"resource": "customers", "type": "customer.updated", "created": second, "payload": payload});
        stripe.change("event", event);
    }
    stripe.settle();
    let job = stripe.read(&["customers"]).set(json!({"incremental_mode": "payload"}));
    let row = only(&job.state(before.state_file()).run().succeeded(), "customers");
    assert_eq!((&row["name"], &row["updated"]), (&json!("newer"), &json!(second)));
}

#[test]
fn case_11_an_event_younger_than_the_lag_waits_for_the_next_read() {
    let stripe = Stripe::of_rows(50);
    let before = first(&stripe, &["customers"]);
    let change = stripe.change("mutate", json!({"resource": "customers"}));
    // It shows in Stripe's list by now, but others of its time may not yet.
    stripe.pass(35);
    let at_once = next(&stripe, &["customers"], &before);
    assert_eq!(at_once.rows("customers").len(), 0);
    stripe.pass(60);
    let later = next(&stripe, &["customers"], &at_once);
    assert_eq!(rows::ids(&later.rows("customers")), changed(&change));
    let nothing = next(&stripe, &["customers"], &later);
    assert_eq!(nothing.rows("customers").len(), 0);
}

#[test]
fn an_event_that_shows_late_is_found_and_known_ones_do_not_come_again() {
    let stripe = Stripe::of_rows(50);
    let before = first(&stripe, &["customers"]);
    let [a, b] = [10, 20].map(|index| before.rows("customers")[index].clone());
    let event = |object: &Value, created: i64| json!({"resource": "customers", "type": "customer.updated", "id": object["id"], "created": created});
    let time = stripe.admin().now();
    stripe.change("event", event(&a, time));
    stripe.pass(200);
    let second = next(&stripe, &["customers"], &before);
    assert_eq!(only(&second, "customers")["id"], a["id"]);
    // It happened before the last read ended, but was listed after it only.
    stripe.change("event", event(&b, time - 5));
    stripe.settle();
    let third = next(&stripe, &["customers"], &second);
    assert_eq!(only(&third, "customers")["id"], b["id"]);
}

#[test]
fn case_12_a_deleted_object_is_flagged_and_keeps_its_content() {
    let stripe = Stripe::of_rows(50);
    let streams = ["customers", "products"];
    let before = first(&stripe, &streams);
    let customer = before.rows("customers")[30].clone();
    let product = before.rows("products")[1].clone();
    stripe.change("delete", json!({"resource": "customers", "id": customer["id"]}));
    stripe.change("delete", json!({"resource": "products", "id": product["id"]}));
    let time = stripe.admin().now();
    stripe.settle();
    let later = next(&stripe, &streams, &before);
    let row = only(&later, "customers");
    for field in ["id", "object", "created", "email", "name", "metadata"] {
        assert_eq!(row[field], customer[field], "{field}");
    }
    assert_eq!(row["is_deleted"], true);
    assert!(row["updated"].as_i64().is_some_and(|updated| (time - 2..=time).contains(&updated)));
    let row = only(&later, "products");
    assert_eq!(
        (&row["id"], &row["name"], &row["is_deleted"]),
        (&product["id"], &product["name"], &json!(true))
    );
}

#[test]
fn case_13_a_canceled_subscription_is_kept_and_says_so() {
    let stripe = Stripe::of_rows(60);
    let before = first(&stripe, &["subscriptions"]);
    let of_status = |rows: &[Value], status: &str| -> Vec<String> {
        rows::ids(&rows.iter().filter(|row| row["status"] == status).cloned().collect::<Vec<_>>())
    };
    assert!(!of_status(&before.rows("subscriptions"), "canceled").is_empty());
    let id = of_status(&before.rows("subscriptions"), "active")[0].clone();
    stripe.change("delete", json!({"resource": "subscriptions", "id": id}));
    stripe.settle();
    let row = only(&next(&stripe, &["subscriptions"], &before), "subscriptions");
    assert_eq!((row["id"].as_str(), row["status"].as_str()), (Some(id.as_str()), Some("canceled")));
    assert_ne!(row["is_deleted"], true);
    assert!(row["ended_at"].is_i64());
}

#[test]
fn case_14_events_about_other_objects_make_no_rows() {
    let stripe = Stripe::of_rows(120);
    let streams = ["charges", "accounts", "refunds", "external_account_bank_accounts"];
    let before = first(&stripe, &streams);
    let refund = before.rows("refunds")[0]["id"].clone();
    let bank = before.rows("external_account_bank_accounts")[0]["id"].clone();
    stripe.change(
        "event",
        json!({"resource": "refunds", "id": refund, "type": "charge.refund.updated"}),
    );
    stripe.change("event", json!({"resource": "external_account_bank_accounts", "id": bank, "type": "account.external_account.updated"}));
    stripe.settle();
    let later = next(&stripe, &streams, &before);
    assert_eq!(only(&later, "refunds")["id"], refund);
    assert_eq!(only(&later, "external_account_bank_accounts")["id"], bank);
    for stream in ["charges", "accounts"] {
        assert_eq!(rows::ids(&later.rows(stream)), Vec::<String>::new(), "{stream}");
    }
}

#[test]
fn case_15_a_refund_that_fails_is_a_row_of_refunds() {
    let stripe = Stripe::of_rows(120);
    let before = first(&stripe, &["refunds", "charges"]);
    let id = before.rows("refunds")[0]["id"].clone();
    stripe.change("mutate", json!({"resource": "refunds", "id": id, "set": {"status": "failed"}, "event": "refund.failed"}));
    stripe.settle();
    let row = only(&next(&stripe, &["refunds"], &before), "refunds");
    assert_eq!((&row["id"], &row["status"]), (&id, &json!("failed")));
}

#[test]
fn case_16_all_25_lines_of_an_invoice_come_on_both_paths() {
    let stripe = Stripe::of_rows(40);
    let before = first(&stripe, &["invoice_line_items"]);
    let all = before.rows("invoice_line_items");
    rows::assert_same(
        "invoice_line_items",
        all.clone(),
        stripe.truth("invoice_line_items"),
        Some("id"),
    );
    let lines_of = |rows: &[Value], invoice: &Value| -> Vec<String> {
        let its = rows.iter().filter(|row| row["invoice_id"] == *invoice).cloned();
        sorted(rows::ids(&its.collect::<Vec<_>>()))
    };
    let long = all.iter().map(|row| &row["invoice_id"]).find(|id| lines_of(&all, id).len() == 25);
    let long = long.expect("an invoice of 25 lines").clone();
    // One list of invoices, one more page of lines.
    assert_eq!(stripe.requests_to("/v1/invoices"), 1);
    let more = stripe.truth("invoices").iter().filter(|i| i["lines"]["has_more"] == true).count();
    assert_eq!(stripe.requests_to("/v1/invoices/{id}/lines"), more as u64);
    stripe.change("mutate", json!({"resource": "invoices", "id": long}));
    stripe.settle();
    stripe.recount();
    let later = next(&stripe, &["invoice_line_items"], &before);
    let again = later.rows("invoice_line_items");
    assert_eq!(lines_of(&again, &long), lines_of(&all, &long));
    assert_eq!(again.len(), 25);
    let requests = ["/v1/events", "/v1/invoices/{id}", "/v1/invoices/{id}/lines", "/v1/invoices"];
    let requests: Vec<u64> = requests.iter().map(|path| stripe.requests_to(path)).collect();
    assert!(requests.iter().sum::<u64>() <= 3, "{requests:?}");
    // Both paths give one shape: only the time of the change differs.
    let expected = rows::by_key(stripe.truth("invoice_line_items"), Some("id"));
    for (id, mut row) in rows::by_key(again, Some("id")) {
        assert!(row["invoice_updated"].as_i64() > row["invoice_created"].as_i64());
        row["invoice_updated"] = expected[&id]["invoice_updated"].clone();
        assert_eq!(row, expected[&id]);
    }
}

#[test]
fn case_17_an_item_removed_from_a_subscription_is_flagged() {
    let stripe = Stripe::of_rows(60);
    let before = first(&stripe, &["subscription_items"]);
    let item = before.rows("subscription_items")[0].clone();
    let (gone, subscription) =
        (item["id"].as_str().unwrap_or_default().to_owned(), item["subscription"].clone());
    // Several events know of the item.
    stripe.change("mutate", json!({"resource": "subscriptions", "id": subscription}));
    stripe.change("mutate", json!({"resource": "subscriptions", "id": subscription}));
    stripe.change("delete", json!({"resource": "subscription_items", "id": gone}));
    stripe.settle();
    let later = next(&stripe, &["subscription_items"], &before);
    let flagged: Vec<Value> = later
        .rows("subscription_items")
        .into_iter()
        .filter(|row| row["is_deleted"] == true)
        .collect();
    assert_eq!(rows::ids(&flagged), [gone.as_str()]);
    assert!(flagged[0]["subscription_updated"].is_i64());
    let others =
        later.rows("subscription_items").into_iter().filter(|row| row["is_deleted"] != true);
    let still_there = stripe.truth("subscription_items");
    let expected: Vec<Value> =
        still_there.into_iter().filter(|row| row["subscription"] == subscription).collect();
    assert_eq!(
        sorted(rows::ids(&others.collect::<Vec<_>>())),
        sorted(rows::ids(&expected)),
        "the other items of that subscription"
    );
}

#[test]
fn case_18_a_new_refund_of_a_fee_is_found_by_the_fees_event() {
    let stripe = Stripe::of_rows(120);
    let before = first(&stripe, &["application_fees_refunds", "application_fees"]);
    let change = stripe.change("create", json!({"resource": "application_fees_refunds"}));
    let [new] = changed(&change).try_into().expect("one refund");
    stripe.settle();
    let later = next(&stripe, &["application_fees_refunds", "application_fees"], &before);
    let rows_by_id = rows::by_key(later.rows("application_fees_refunds"), Some("id"));
    assert!(rows_by_id.contains_key(&new), "{:?}", rows_by_id.keys());
    let fee = &rows_by_id[&new]["fee"];
    assert_eq!(only(&later, "application_fees")["id"], *fee);
    // No refunds but those of that fee.
    assert!(rows_by_id.values().all(|row| row["fee"] == *fee));
}

#[test]
fn case_19_after_31_days_all_is_listed_again_with_a_warning() {
    let stripe = Stripe::of_rows(50);
    let before = first(&stripe, &["customers", "charges"]);
    stripe
        .change("mutate", json!({"resource": "customers", "count": 3, "set": {"name": "changed"}}));
    stripe.pass(31 * 86_400);
    let later = next(&stripe, &["customers", "charges"], &before);
    let warnings = later.logs(airbyte_protocol::LogLevel::Warn);
    for stream in ["customers", "charges"] {
        let its = warnings.iter().find(|text| text.contains(stream));
        let its = its.unwrap_or_else(|| panic!("no warning of {stream}: {warnings:?}"));
        assert!(its.contains("31 days") && its.contains("30 days"), "{its}");
        rows::assert_same(stream, later.rows(stream), stripe.truth(stream), Some("id"));
    }
    let renamed = later.rows("customers").iter().filter(|row| row["name"] == "changed").count();
    assert_eq!(renamed, 3);
    stripe.pass(600);
    stripe.recount();
    let third = next(&stripe, &["customers", "charges"], &later);
    assert_eq!(third.row_count(), 0);
    assert_eq!((stripe.requests_to("/v1/customers"), stripe.requests_to("/v1/charges")), (0, 0));
}

#[test]
fn case_20_a_quiet_stream_is_not_listed_again_for_60_days() {
    let stripe = Stripe::of_rows(20);
    let mut before = first(&stripe, &["reviews"]);
    assert_eq!(stripe.requests_to("/v1/reviews"), 1);
    for _ in 0..20 {
        stripe.pass(3 * 86_400);
        let read = next(&stripe, &["reviews"], &before);
        assert_eq!(read.row_count(), 0);
        before = read;
    }
    assert_eq!(stripe.requests_to("/v1/reviews"), 1);
}

#[test]
fn case_30_36_idle_streams_cost_at_most_8_requests() {
    let stripe = Stripe::of_rows(30);
    // Those of Airbyte's streams that follow events; accounts and what is below them are listed
    // once a day besides.
    let streams = [
        "accounts",
        "application_fees",
        "application_fees_refunds",
        "authorizations",
        "bank_accounts",
        "cardholders",
        "cards",
        "charges",
        "checkout_sessions",
        "coupons",
        "credit_notes",
        "customers",
        "disputes",
        "early_fraud_warnings",
        "external_account_bank_accounts",
        "external_account_cards",
        "invoice_items",
        "invoice_line_items",
        "invoice_payments",
        "invoices",
        "payment_intents",
        "payment_methods",
        "payouts",
        "persons",
        "plans",
        "prices",
        "products",
        "promotion_codes",
        "refunds",
        "reviews",
        "setup_intents",
        "subscription_items",
        "subscription_schedule",
        "subscriptions",
        "top_ups",
        "transfers",
    ];
    assert_eq!(streams.len(), 36);
    let before = first(&stripe, &streams);
    stripe.pass(3600);
    // The events from before the first read are met again in the first minutes only.
    let settled = next(&stripe, &streams, &before);
    stripe.pass(3600);
    stripe.recount();
    let idle = next(&stripe, &streams, &settled);
    assert_eq!(idle.row_count(), 0);
    let requests = stripe.requests();
    assert!(requests.all.total <= 8, "{:?}", requests.by_path);
    assert!(streams.iter().all(|stream| idle.is_complete(stream)));
}

/// Rows leave oldest change first, so that a target that keeps the last one keeps the newest.
#[test]
fn rows_of_changes_come_oldest_first() {
    let stripe = Stripe::of_rows(100);
    let before = first(&stripe, &["customers"]);
    for _ in 0..8 {
        stripe.change("mutate", json!({"resource": "customers", "count": 2}));
        stripe.pass(7);
    }
    stripe.change("create", json!({"resource": "customers", "count": 5}));
    stripe.settle();
    let later = next(&stripe, &["customers"], &before);
    let times: Vec<i64> =
        later.rows("customers").iter().filter_map(|row| row["updated"].as_i64()).collect();
    assert!(times.len() > 10 && times.is_sorted(), "{times:?}");
    let mut ids = sorted(rows::ids(&later.rows("customers")));
    ids.dedup();
    assert_eq!(ids.len(), times.len(), "an object came twice");
}
