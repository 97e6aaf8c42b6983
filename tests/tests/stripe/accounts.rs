//! Connected accounts.

use std::collections::BTreeMap;

use e2e::{Canned, Head, Job, Reply, Stripe, rows};
use serde_json::{Value, json};

const ACCOUNTS: usize = 300;
/// The account whose data may not be read.
const REFUSED: &str = "acct_0150";

fn list(objects: &[Value], has_more: bool) -> Reply {
    Reply::json(json!({"object": "list", "data": objects, "has_more": has_more}))
}

/// A platform of 300 accounts with two customers each.
fn platform(request: &Head) -> Reply {
    let account = request.header("stripe-account").unwrap_or("acct_platform");
    match request.path() {
        "/v1/account" => Reply::json(json!({"id": account, "object": "account", "created": 1})),
        _ if account == REFUSED => {
            let error = json!({"type": "invalid_request_error", "code": "account_invalid", "message": "no access"});
            Reply::json(json!({"error": error})).with_status(403)
        }
        "/v1/accounts" => {
            let after = request.query("starting_after").first().map(|id| id[5..].parse::<usize>());
            let first = after.and_then(Result::ok).map_or(0, |after| after + 1);
            let objects: Vec<Value> = (first..ACCOUNTS)
                .take(100)
                .map(|i| json!({"id": format!("acct_{i:04}"), "object": "account", "created": 1}))
                .collect();
            list(&objects, first + 100 < ACCOUNTS)
        }
        "/v1/customers" => {
            let customer = |i| json!({"id": format!("cus_{account}_{i}"), "object": "customer", "created": 1_767_225_600 + i});
            list(&[customer(1), customer(0)], false)
        }
        _ => list(&[], false),
    }
}

#[test]
fn case_31_rows_of_300_connected_accounts_are_tagged_and_one_failure_stops_none() {
    let server = Canned::start(platform);
    let config = json!({
        "client_secret": "sk_live_0123456789",
        "api_url": server.url(),
        "call_rate_limit": 10000,
        "connected_accounts": ["all"],
    });
    let read = Job::read("source-stripe", config, &["customers"]).run().failed();
    let mut by_account: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    for row in read.rows("customers") {
        let tag = row["connected_account_id"].as_str().map(str::to_owned);
        by_account.entry(tag).or_default().push(row["id"].as_str().unwrap_or_default().to_owned());
    }
    // The platform's own rows carry no tag.
    assert_eq!(by_account.len(), ACCOUNTS);
    assert!(!by_account.contains_key(&Some(REFUSED.to_owned())));
    for (tag, ids) in &by_account {
        let account = tag.as_deref().unwrap_or("acct_platform");
        let mut ids = ids.clone();
        ids.sort();
        assert_eq!(ids, [format!("cus_{account}_0"), format!("cus_{account}_1")]);
    }
    let message = &read.error().message;
    assert!(message.contains(REFUSED) && message.contains("others"), "{message}");
    let state = read.last_state("customers");
    let accounts = state["accounts"].as_object().expect("states by account");
    assert_eq!(accounts["acct_0007"]["phase"], "follow", "{}", accounts["acct_0007"]);
    assert_ne!(accounts.get(REFUSED).map(|state| state["phase"].clone()), Some(json!("follow")));
}

#[test]
fn changes_of_connected_accounts_are_followed_one_by_one() {
    let stripe = Stripe::of_rows(150);
    let connected = json!({"connected_accounts": ["all"]});
    let job = stripe.read(&["customers"]).set(connected);
    let first = job.clone().run().succeeded();
    let rows_of = |rows: &[Value]| -> BTreeMap<String, usize> {
        rows.iter().fold(BTreeMap::new(), |mut counts, row| {
            *counts.entry(row["connected_account_id"].to_string()).or_default() += 1;
            counts
        })
    };
    let counts = rows_of(&first.rows("customers"));
    assert_eq!(counts.len(), 4, "{counts:?}");
    assert_eq!(counts["null"], 150);
    stripe.settle();
    let one = first
        .rows("customers")
        .iter()
        .find_map(|row| Some(row["connected_account_id"].as_str()?.to_owned()));
    let one = one.expect("a connected account");
    stripe.change("mutate", json!({"resource": "customers", "account": one, "count": 2}));
    stripe.change("mutate", json!({"resource": "customers", "count": 3}));
    stripe.settle();
    let second = job.state(first.state_file()).run().succeeded();
    let expected = BTreeMap::from([("null".to_owned(), 3), (format!("\"{one}\""), 2)]);
    assert_eq!(rows_of(&second.rows("customers")), expected);
}

#[test]
fn an_account_given_by_id_is_read_in_place_of_the_own() {
    let stripe = Stripe::of_rows(150);
    let accounts = rows::ids(&stripe.truth("accounts"));
    let tap = stripe.tap();
    let job = stripe.read(&["customers"]).set(Stripe::through(&tap));
    let read = job.set(json!({"account_id": accounts[0]})).run().succeeded();
    assert!(!read.rows("customers").is_empty() && read.rows("customers").len() < 150);
    assert!(read.rows("customers").iter().all(|row| row.get("connected_account_id").is_none()));
    let lists: Vec<Head> =
        tap.seen().into_iter().filter(|r| r.path().ends_with("/customers")).collect();
    assert!(
        lists.iter().all(|request| request.header("stripe-account") == Some(accounts[0].as_str()))
    );
    // The key's own account is asked for without the header.
    tap.forget();
    stripe.read(&["customers"]).set(Stripe::through(&tap)).run().succeeded();
    assert!(tap.seen().iter().all(|request| request.header("stripe-account").is_none()));
}
