//! Answers that are none: limits, breaks, refusals.

use std::time::Duration;

use airbyte_protocol::{FailureType, LogLevel, Message, StreamStatusType};
use e2e::{Canned, Job, Reply, Stripe, rows};
use serde_json::{Value, json};

/// A scripted fault as TOML.
fn script(path: &str, nth: u64, times: u64, action: &str) -> String {
    format!("[[script]]\npath = \"{path}\"\nnth = {nth}\ntimes = {times}\n{action}\n")
}

const CUSTOMERS: &str = "/stripe/v1/customers";

/// Reads customers in pages while each page meets another fault first.
#[track_caller]
fn rides_out(actions: &[&str]) {
    let stripe = Stripe::of_rows(100 * actions.len() as u64 + 50);
    // Each fault costs one request more: the second page's first request is number 2, the third's
    // is number 4, and so on.
    let at = |(index, action): (usize, &&str)| script(CUSTOMERS, 1 + 2 * index as u64, 1, action);
    let profile: String = actions.iter().enumerate().map(at).collect();
    stripe.faults(&profile);
    let read = stripe.read(&["customers"]).run().succeeded();
    rows::assert_same("customers", read.rows("customers"), stripe.truth("customers"), Some("id"));
    let count = stripe.requests().by_path[CUSTOMERS].clone();
    let clean = count.total - actions.len() as u64;
    assert_eq!(clean, actions.len() as u64 + 1, "{count:?}");
}

#[test]
fn case_23_limits_of_every_reason_are_ridden_out() {
    rides_out(&[
        "action = \"too_many\"\nreason = \"global-rate\"",
        "action = \"too_many\"\nreason = \"endpoint-rate\"",
        "action = \"too_many\"\nreason = \"global-concurrency\"",
        "action = \"too_many\"\nreason = \"endpoint-concurrency\"",
        "action = \"too_many\"\nreason = \"resource-specific\"",
        "action = \"too_many\"",
        "action = \"lock_timeout\"",
        "action = \"rate_limit_400\"",
    ]);
}

#[test]
fn case_23_errors_that_pass_are_ridden_out() {
    rides_out(&[
        "action = \"conflict\"",
        "action = \"server_error\"\nstatus = 500\nshould_retry = true",
        "action = \"server_error\"\nstatus = 500",
        "action = \"server_error\"\nstatus = 503",
        "action = \"truncate\"",
        "action = \"reset\"",
        "action = \"html\"",
        "action = \"reply\"\nstatus = 200\nbody = \"{\\\"object\\\":\\\"list\\\",\\\"data\\\":[{\\\"id\\\":\"",
    ]);
}

#[test]
fn case_23_an_error_that_is_not_to_be_retried_fails_at_once_and_is_resumed() {
    let stripe = Stripe::of_rows(350);
    let action = "action = \"server_error\"\nstatus = 500\nshould_retry = false";
    stripe.faults(&script(CUSTOMERS, 3, 1, action));
    let read = stripe.read(&["customers"]).run().failed();
    assert_eq!(stripe.requests_to("/v1/customers"), 3);
    assert_eq!(read.error().kind(), Some(FailureType::System));
    assert!(read.error().message.contains("500") && read.error().message.contains("req_"));
    let before = rows::ids(&read.rows("customers"));
    assert_eq!(before.len(), 200);
    let rest = stripe.read(&["customers"]).state(read.state_file()).run().succeeded();
    let all = [read.rows("customers"), rest.rows("customers")].concat();
    // The last second of what was read comes again: there may be more of it.
    assert!(all.len() < 360, "{}", all.len());
    let got = rows::by_key(all, Some("id"));
    assert_eq!(got, rows::by_key(stripe.truth("customers"), Some("id")));
}

#[test]
fn case_23_retry_after_is_obeyed_and_long_waits_are_announced() {
    let stripe = Stripe::of_rows(50);
    stripe.faults(&script(CUSTOMERS, 1, 1, "action = \"too_many\"\nretry_after = 6"));
    let read = stripe.read(&["customers", "products"]).run().succeeded();
    assert!(read.took >= Duration::from_secs(6), "{:?}", read.took);
    assert_eq!(read.rows("customers").len(), 50);
    let waits = read.messages.iter().filter_map(|message| match message {
        Message::Trace(trace) => {
            trace.stream_status.as_ref().filter(|status| !status.reasons.is_empty())
        }
        _ => None,
    });
    let waits: Vec<_> =
        waits.filter(|status| status.stream_descriptor.name == "customers").collect();
    let reason = &waits.first().expect("an announcement").reasons[0];
    assert_eq!(reason.kind, "RATE_LIMITED");
    assert!(reason.rate_limited.as_ref().is_some_and(|limit| limit.quota_reset.is_some()));
    assert_eq!(stripe.requests_to("/v1/customers"), 2);
}

#[test]
fn case_24_a_stream_without_permission_fails_and_the_others_are_read() {
    let stripe = Stripe::of_rows(30);
    let streams = ["charges", "customers", "products"];
    let job = stripe.read(&streams).key("rk_test_deny_charge_x0123456789");
    let read = job.clone().run().failed();
    let error = read.error();
    assert_eq!(error.stream_descriptor.as_ref().map(|d| d.name.as_str()), Some("charges"));
    assert_eq!(error.kind(), Some(FailureType::Config));
    for part in ["rak_charge_read", "permission", "req_"] {
        assert!(error.message.contains(part), "{part} in {}", error.message);
    }
    assert_eq!(read.statuses("charges").last(), Some(&StreamStatusType::Incomplete));
    assert_eq!(read.rows("charges").len(), 0);
    for stream in ["customers", "products"] {
        assert!(read.is_complete(stream));
        rows::assert_same(stream, read.rows(stream), stripe.truth(stream), Some("id"));
    }
    // Whoever wants it otherwise gets a warning.
    let skipped = job.set(json!({"on_missing_permission": "skip"})).run().succeeded();
    assert!(skipped.logs(LogLevel::Warn).iter().any(|text| text.contains("rak_charge_read")));
    assert_eq!(skipped.rows("charges").len(), 0);
}

/// A stream that was skipped must not count as read: the day the permission is there, all comes.
#[test]
fn a_skipped_stream_is_read_in_full_once_it_may_be() {
    let stripe = Stripe::of_rows(30);
    let job = stripe.read(&["charges"]).set(json!({"on_missing_permission": "skip"}));
    let skipped = job.clone().key("rk_test_deny_charge_x0123456789").run().succeeded();
    let later = job.state(skipped.state_file()).run().succeeded();
    rows::assert_same("charges", later.rows("charges"), stripe.truth("charges"), Some("id"));
}

#[test]
fn case_24_events_that_may_not_be_read_fail_what_follows_them() {
    let stripe = Stripe::of_rows(30);
    let first = stripe.read(&["customers", "balance_transactions"]).run().succeeded();
    stripe.settle();
    let job = stripe.read(&["customers", "balance_transactions"]).state(first.state_file());
    let read = job.key("rk_test_deny_event_x0123456789").run().failed();
    assert!(read.error_of("customers").message.contains("rak_event_read"));
    assert!(read.is_complete("balance_transactions"));
}

#[test]
fn case_25_an_unknown_parameter_fails_with_the_requests_id() {
    let stripe = Stripe::of_rows(30);
    let body = r#"{"error":{"code":"parameter_unknown","message":"Received unknown parameter: status","param":"status","type":"invalid_request_error"}}"#;
    let body = body.replace('"', "\\\"");
    let action = format!("action = \"reply\"\nstatus = 400\nbody = \"{body}\"");
    stripe.faults(&script("/stripe/v1/subscriptions", 1, 0, &action));
    let read = stripe.read(&["subscriptions", "customers"]).run().failed();
    assert_eq!(stripe.requests_to("/v1/subscriptions"), 1);
    let error = read.error_of("subscriptions");
    assert_eq!(error.kind(), Some(FailureType::System));
    for part in ["400", "unknown parameter: status", "req_", "api_version"] {
        assert!(error.message.contains(part), "{part} in {}", error.message);
    }
    assert!(read.is_complete("customers"));
}

#[test]
fn case_26_paging_goes_on_when_the_cursors_object_is_deleted() {
    let stripe = Stripe::of_rows(350);
    let slow = "action = \"slow\"\ndelay_ms = 500";
    stripe.faults(&script(CUSTOMERS, 2, 1, slow));
    let truth = stripe.truth("customers");
    let mut running = stripe.read(&["customers"]).spawn();
    running.until("\"RECORD\"");
    // The last two of the first page, after which the second is being asked for.
    let gone = [rows::ids(&truth)[99].clone(), rows::ids(&truth)[98].clone()];
    stripe.change("delete", json!({"resource": "customers", "ids": gone}));
    let read = running.finish().succeeded();
    rows::assert_same("customers", read.rows("customers"), truth, Some("id"));
    assert_eq!(stripe.requests().by_path[CUSTOMERS].by_status["400"], 2);
    stripe.settle();
    let later = stripe.read(&["customers"]).state(read.state_file()).run().succeeded();
    let flagged = rows::by_key(later.rows("customers"), Some("id"));
    assert!(gone.iter().all(|id| flagged[id]["is_deleted"] == true), "{flagged:?}");
}

#[test]
fn case_33_restricted_test_keys_are_limited_like_test_keys() {
    let stripe = Stripe::of_rows(30);
    let without_limit = |key: &str| {
        let job = stripe.read(&["customer_tax_ids", "payment_methods"]).key(key);
        stripe.recount();
        let read = job.unset("call_rate_limit").run().succeeded();
        (read.took.as_secs_f64(), stripe.requests().all.total as f64)
    };
    let (took, requests) = without_limit("rk_test_0123456789");
    assert!(requests > 60.0, "{requests}");
    // The first second's share may go at once.
    assert!(took > (requests - 26.0) / 25.0, "{requests} requests in {took} s");
    let (live, _) = without_limit("rk_live_0123456789");
    assert!(live < took, "{live} s with a live key, {took} s with a test key");
}

#[test]
fn case_35_the_key_is_never_printed() {
    let stripe = Stripe::of_rows(12);
    // The server repeats the key in its errors, word by word.
    let echo = json!({"error": {"type": "invalid_request_error", "code": "strange", "message": "No idea what to do with sk_test_canary_5f3a9c"}});
    let server = Canned::start(move |request| match request.path() {
        "/v1/account" => Reply::json(json!({"id": "acct_1", "object": "account"})),
        _ => Reply::json(&echo).with_status(400).with_header("Request-Id", "req_1"),
    });
    let config = json!({"client_secret": "sk_test_canary_5f3a9c", "api_url": server.url(), "max_attempts": 1});
    let noisy = |job: Job| job.flag("--debug").variable("LOG_LEVEL", "trace");
    // The harness looks for the secret in all output.
    let read = noisy(Job::read("source-stripe", config.clone(), &["customers"])).run();
    assert_eq!(read.code, Some(1));
    assert!(read.errors()[0].message.contains("No idea what to do with"), "{}", read.summary());
    noisy(Job::new("source-stripe", "check", config)).run();
    noisy(stripe.read(&["customers", "invoices"])).run().succeeded();
    noisy(stripe.job("check")).run().succeeded();
    noisy(stripe.job("discover")).run().succeeded();
    noisy(stripe.read(&["customers"]).key("sk_prod_wrong_0123456789")).run();
}

#[test]
fn case_35_redirects_are_refused_and_the_key_stays_home() {
    let foreign = Canned::start(|_| Reply::json(json!({"data": [], "has_more": false})));
    let elsewhere = format!("{}/v1/customers", foreign.url());
    let server = Canned::start(move |request| match request.path() {
        "/v1/account" => Reply::json(json!({"id": "acct_1", "object": "account"})),
        _ => Reply::json("").with_status(302).with_header("Location", &elsewhere),
    });
    let config =
        json!({"client_secret": "sk_test_0123456789", "api_url": server.url(), "max_attempts": 2});
    let read = Job::read("source-stripe", config, &["customers"]).run().failed();
    assert!(read.error().message.contains("redirect"), "{}", read.error().message);
    assert!(foreign.seen().is_empty());
    let keys: Vec<Value> = server.seen().iter().map(|r| json!(r.header("authorization"))).collect();
    assert!(keys.iter().all(|key| *key == "Bearer sk_test_0123456789"), "{keys:?}");
}

/// A nested list's address comes from the server, but never leads away from it.
#[test]
fn case_35_addresses_in_answers_do_not_lead_the_key_away() {
    let foreign = Canned::start(|_| Reply::json(json!({"data": [], "has_more": false})));
    let elsewhere = format!("{}/v1/invoices/in_1/lines", foreign.url());
    let server = Canned::start(move |request| match request.path() {
        "/v1/invoices" => Reply::json(json!({"object": "list", "has_more": false, "data": [{
            "id": "in_1", "object": "invoice", "created": 1_767_225_600,
            "lines": {"object": "list", "has_more": true, "url": elsewhere,
                "data": [{"id": "il_1", "object": "line_item"}]},
        }]})),
        _ => Reply::json(json!({"id": "acct_1", "object": "account"})),
    });
    let config =
        json!({"client_secret": "sk_test_0123456789", "api_url": server.url(), "max_attempts": 1});
    let read = Job::read("source-stripe", config, &["invoice_line_items"]).run();
    assert!(foreign.seen().is_empty(), "{}", read.summary());
}

/// What is no list, or never ends, is a failure: neither an empty stream nor a read for ever.
#[test]
fn answers_that_are_no_proper_lists_fail() {
    let page = r#"{"object":"list","data":[{"id":"cus_1","object":"customer","created":1767225600}],"has_more":true}"#;
    for (what, body) in [
        ("an object without a list", "{}"),
        ("a list of another kind", r#"{"object":"list","data":"none","has_more":false}"#),
        ("nothing", ""),
        ("more, but nothing to go on from", r#"{"object":"list","data":[],"has_more":true}"#),
        ("the same page again and again", page),
        ("no word on whether there is more", r#"{"object":"list","data":[]}"#),
    ] {
        let server = Canned::start(move |request| match request.path() {
            "/v1/account" => Reply::json(json!({"id": "acct_1", "object": "account"})),
            _ => Reply::json(body),
        });
        let config = json!({"client_secret": "sk_test_0123456789", "api_url": server.url(), "max_attempts": 2, "call_rate_limit": 10000});
        let read = Job::read("source-stripe", config, &["customers"]).run();
        assert_eq!(read.code, Some(1), "{what}: {}", read.summary());
        assert!(server.seen().len() < 20, "{what}: {} requests", server.seen().len());
        let kind = read.error_of("customers").kind();
        assert!(kind.is_some() && kind != Some(FailureType::Config), "{what}: {kind:?}");
    }
}

/// Objects that are not the stream's own are left out wherever they turn up.
#[test]
fn strangers_in_lists_are_left_out() {
    let server = Canned::start(|request| match request.path() {
        "/v1/charges" => Reply::json(json!({"object": "list", "has_more": false, "data": [
            {"id": "ch_1", "object": "charge", "created": 1_767_225_602},
            {"id": "re_1", "object": "refund", "created": 1_767_225_601},
            {"id": "ch_2", "object": "charge", "created": 1_767_225_600},
        ]})),
        _ => Reply::json(json!({"id": "acct_1", "object": "account"})),
    });
    let config = json!({"client_secret": "sk_test_0123456789", "api_url": server.url()});
    let read = Job::read("source-stripe", config, &["charges"]).run().succeeded();
    assert_eq!(rows::ids(&read.rows("charges")), ["ch_1", "ch_2"]);
}

/// An answer of events that is no list must not count as a time without changes.
#[test]
fn answers_that_are_no_proper_lists_of_events_fail() {
    let stripe = Stripe::of_rows(30);
    let first = stripe.read(&["customers"]).run().succeeded();
    stripe.settle();
    stripe.change("mutate", json!({"resource": "customers"}));
    stripe.settle();
    stripe.faults(&script("/stripe/v1/events", 1, 1, "action = \"reply\"\nbody = \"{}\""));
    let job = stripe.read(&["customers"]).state(first.state_file());
    let failed = job.run().failed();
    assert_eq!(failed.error_of("customers").kind(), Some(FailureType::System));
    assert_eq!(job.run().succeeded().rows("customers").len(), 1);
}

/// Events with parts missing are passed over; those around them count.
#[test]
fn events_that_lack_something_do_not_stop_the_others() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("a time after 1970").as_secs();
    let event = move |id: &str, data: Value| {
        json!({"id": id, "object": "event", "created": now - 3600, "type": "customer.updated",
            "api_version": "2026-10-28.endive", "data": data})
    };
    let customer = json!({"id": "cus_1", "object": "customer", "created": now - 9_999_999});
    let server = Canned::start(move |request| match request.path() {
        "/v1/events" => Reply::json(json!({"object": "list", "has_more": false, "data": [
            event("evt_1", Value::Null),
            event("evt_2", json!({"object": null})),
            event("evt_3", json!({"object": {"id": "cus_2"}})),
            event("evt_4", json!({"object": [1]})),
            {"id": "evt_5", "object": "event"},
            event("evt_6", json!({"object": customer})),
        ]})),
        "/v1/customers/cus_1" => Reply::json(&customer),
        _ => Reply::json(json!({"id": "acct_1", "object": "account"})),
    });
    let config = json!({"client_secret": "sk_test_0123456789", "api_url": server.url()});
    let saved = json!({"updated": (now - 86_400).to_string()});
    let job = Job::read("source-stripe", config, &["customers"]);
    let read = job.state(e2e::state::of_stream("customers", saved)).run().succeeded();
    assert_eq!(rows::ids(&read.rows("customers")), ["cus_1"]);
}
