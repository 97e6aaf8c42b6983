//! First reads: pages, windows, and what a list hides.

use std::collections::BTreeSet;

use e2e::{Canned, Head, Job, Reply, Stripe, rows};
use sandbox::Options;
use serde_json::{Value, json};

use crate::streams::names;

#[test]
fn case_04_full_read_of_1050_customers_takes_11_pages() {
    let stripe = Stripe::of_rows(1050);
    let truth = stripe.truth("customers");
    let created = |index: usize| truth[index]["created"].as_i64();
    assert_eq!(
        created(199),
        created(200),
        "equal times are meant to stand at the border of a page"
    );
    let read = stripe.read(&["customers"]).run().succeeded();
    assert_eq!(read.rows("customers").len(), 1050);
    rows::assert_same("customers", read.rows("customers"), truth, Some("id"));
    assert_eq!(stripe.requests_to("/v1/customers"), 11);
}

#[test]
fn case_05_every_list_is_asked_for_full_pages() {
    let stripe = Stripe::of_rows(10);
    let tap = stripe.tap();
    stripe.read(&names()).set(Stripe::through(&tap)).run();
    let seen = tap.seen();
    let lists: BTreeSet<&str> = seen.iter().map(Head::path).collect();
    assert!(lists.len() > 60, "{lists:?}");
    for request in &seen {
        let is_object = ["/stripe/v1/account", "/stripe/v1/balance"].contains(&request.path());
        let limit = request.query("limit");
        assert_eq!(limit == ["100"], !is_object, "{}", request.target);
        assert!(limit.len() <= 1);
    }
    let mut subscriptions =
        seen.iter().filter(|r| r.path() == "/stripe/v1/subscriptions").peekable();
    assert!(subscriptions.peek().is_some());
    assert!(subscriptions.all(|request| request.query("status") == ["all"]));
}

/// The objects of a server of two customers a second, from `first` to `last`.
fn two_a_second(request: &Head, first: i64, last: i64) -> Reply {
    let bound = |name: &str| request.query(name).first().and_then(|text| text.parse::<i64>().ok());
    let from = bound("created[gte]").unwrap_or(first).max(first);
    let to = bound("created[lt]").unwrap_or(last + 1).min(last + 1);
    let all = (from..to).rev().flat_map(|second| [(second, 'b'), (second, 'a')]);
    let id = |(second, which): (i64, char)| format!("cus_{second}{which}");
    let after = request.query("starting_after").first().cloned();
    let rest: Vec<(i64, char)> = match after {
        Some(after) => all.skip_while(|object| id(*object) != after).skip(1).collect(),
        None => all.collect(),
    };
    let objects: Vec<Value> = rest
        .iter()
        .take(100)
        .map(|object| json!({"id": id(*object), "object": "customer", "created": object.0}))
        .collect();
    Reply::json(
        json!({"object": "list", "url": "/v1/customers", "has_more": rest.len() > 100, "data": objects}),
    )
}

/// With an object in every second there is one on every border of a window.
#[test]
fn case_06_a_record_on_the_border_of_a_window_appears_once() {
    let (first, last) = (1_767_225_600, 1_767_228_099); // 2026-01-01T00:00:00Z and 2,500 s
    let server = Canned::start(move |request| match request.path() {
        "/v1/customers" => two_a_second(request, first, last),
        _ => Reply::json(json!({"id": "acct_1", "object": "account"})),
    });
    let config = json!({
        "client_secret": "sk_test_0123456789",
        "start_date": "2026-01-01T00:00:00Z",
        "api_url": server.url(),
        "call_rate_limit": 10000,
    });
    // A server's clock is its Date header; this one has none, so the end is the machine's now.
    let read = Job::read("source-stripe", config, &["customers"]).run().succeeded();
    let ids = rows::ids(&read.rows("customers"));
    let once: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(once.len(), 5000, "some are missing");
    assert_eq!(ids.len(), 5000, "some came twice");
    let windows: BTreeSet<(i64, i64)> = server
        .seen()
        .iter()
        .filter(|request| request.path() == "/v1/customers")
        .filter_map(|request| {
            let bound = |name: &str| request.query(name).first()?.parse().ok();
            Some((bound("created[gte]")?, bound("created[lt]")?))
        })
        .collect();
    let inside = windows.iter().filter(|(from, _)| (first + 1..=last).contains(from)).count();
    assert!(inside > 0, "no border fell between the objects: {windows:?}");
}

#[test]
fn case_27_expands_have_a_prefix_on_lists_only_and_rows_have_one_shape() {
    let stripe = Stripe::of_rows(60);
    let tap = stripe.tap();
    let read = |state: Option<String>| {
        let job = stripe.read(&["charges", "prices"]).set(Stripe::through(&tap));
        state.map_or(job.clone(), |state| job.state(state)).run().succeeded()
    };
    let first = read(None);
    assert_eq!(expands(&tap.seen(), "/stripe/v1/charges"), ["data.refunds"]);
    assert_eq!(expands(&tap.seen(), "/stripe/v1/prices"), ["data.tiers", "data.currency_options"]);
    let charge = rows::ids(&first.rows("charges"))[40].clone();
    let price = rows::ids(&first.rows("prices"))[2].clone();
    stripe.change(
        "mutate",
        json!({"resource": "charges", "id": charge, "set": {"description": "new"}}),
    );
    stripe.change("mutate", json!({"resource": "prices", "id": price, "set": {"nickname": "new"}}));
    stripe.settle();
    tap.forget();
    let second = read(Some(first.state_file()));
    assert_eq!(expands(&tap.seen(), &format!("/stripe/v1/charges/{charge}")), ["refunds"]);
    assert_eq!(
        expands(&tap.seen(), &format!("/stripe/v1/prices/{price}")),
        ["tiers", "currency_options"]
    );
    for (stream, id, field) in [("charges", charge, "description"), ("prices", price, "nickname")] {
        let [row] = second.rows(stream).try_into().expect("one row");
        let before = rows::by_key(first.rows(stream), Some("id"))[&id].clone();
        let mut expected = before;
        expected[field] = "new".into();
        expected["updated"] = row["updated"].clone();
        assert_eq!(row, expected);
    }
}

fn expands(seen: &[Head], path: &str) -> Vec<String> {
    let request = seen.iter().find(|request| request.path() == path);
    request.unwrap_or_else(|| panic!("no request to {path}")).query("expand[]")
}

/// Objects pass through as the bytes they came as: unknown fields, their order, integers beyond
/// 64 bits, decimals, escapes, unicode, deep nesting, long texts.
#[test]
fn case_28_objects_pass_byte_by_byte() {
    let nested = format!("{}0{}", "{\"n\":[".repeat(10), "]}".repeat(10));
    let long: String = (0..50).map(|i| format!("\"key_{i}\":\"{}\",", "x".repeat(500))).collect();
    let objects = [
        r#"{"zeta":1,"id":"cus_1","object":"customer","created":1767225600,"balance":-9223372036854775808,"big":123456789012345678901234567890,"rate":0.10,"exp":1E+2,"alpha":null}"#.to_owned(),
        r#"{"id":"cus_2","object":"customer","created":1767225599,"name":"Zoë 🦀 \u00e9\ud83e\udd80\n\t\"quoted\" \\ \/ \u0000","empty":{},"list":[]}"#.to_owned(),
        format!(r#"{{"id":"cus_3","object":"customer","created":1767225598,"nested":{nested},"metadata":{{{long}"last":""}}}}"#),
        r#"{"id":"cus_4", "object" : "customer", "created":1767225597 , "spaced": [1, 2,  3], "a": true}"#.to_owned(),
    ];
    let body = format!(r#"{{"object":"list","has_more":false,"data":[{}]}}"#, objects.join(","));
    let server = Canned::start(move |request| match request.path() {
        "/v1/customers" => Reply::json(&body),
        _ => Reply::json(json!({"id": "acct_1", "object": "account"})),
    });
    let config = json!({"client_secret": "sk_test_0123456789", "api_url": server.url()});
    let read = Job::read("source-stripe", config, &["customers"]).run().succeeded();
    let rows = read.raw_rows("customers");
    assert_eq!(rows.len(), objects.len());
    for (row, object) in rows.iter().zip(&objects) {
        let as_it_came = object.strip_suffix('}').expect("an object");
        assert!(row.starts_with(as_it_came), "{row}\n{object}");
        let created: Value = serde_json::from_str(object).expect("JSON");
        let added = format!(",\"updated\":{}}}", created["created"]);
        assert_eq!(row[as_it_came.len()..], added);
    }
}

#[test]
fn pretty_printed_bodies_are_read_like_others() {
    let stripe = Stripe::start(Options { rows: 120, pretty: true, ..Options::default() });
    let read = stripe.read(&["charges", "invoices"]).run().succeeded();
    for stream in ["charges", "invoices"] {
        rows::assert_same(stream, read.rows(stream), stripe.truth(stream), Some("id"));
    }
}

#[test]
fn case_32_customers_of_test_clocks_are_read_when_wanted() {
    let stripe = Stripe::of_rows(30);
    let usual = rows::ids(&stripe.read(&["customers"]).run().succeeded().rows("customers"));
    assert_eq!(usual.len(), 30);
    let job =
        stripe.read(&["customers", "subscriptions"]).set(json!({"include_test_clocks": true}));
    let read = job.clone().run().succeeded();
    for (stream, bound) in [("customers", true), ("subscriptions", false)] {
        let all = read.rows(stream);
        let clocked: Vec<&Value> = all.iter().filter(|row| !row["test_clock"].is_null()).collect();
        assert!(clocked.len() > 2, "{stream}: {}", clocked.len());
        let ids: BTreeSet<String> = rows::ids(&all).into_iter().collect();
        assert_eq!(ids.len(), all.len(), "{stream}: rows came twice");
        if bound {
            assert_eq!(all.len(), usual.len() + clocked.len());
            assert!(usual.iter().all(|id| ids.contains(id)));
        }
    }
    // A live key has no test clocks to ask for.
    let live = job.key("sk_live_0123456789").run().succeeded();
    assert_eq!(rows::ids(&live.rows("customers")), usual);
}

#[test]
fn case_34_updated_of_invoice_items_is_the_same_in_each_full_read() {
    let stripe = Stripe::of_rows(60);
    let read = || {
        let rows = stripe.read(&["invoice_items"]).full_refresh().run().succeeded();
        rows::by_key(rows.rows("invoice_items"), Some("id"))
    };
    let first = read();
    stripe.pass(86_400);
    let second = read();
    assert!(first.len() > 10);
    assert_eq!(first, second);
    assert!(first.values().all(|row| row["updated"] == row["date"] && row["date"].is_i64()));
}
