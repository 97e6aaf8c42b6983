//! Paging, filters, expansion, keys, accounts.

use serde_json::Value;

use crate::client::{Client, ids};

fn code(error: &(u16, Value)) -> (u16, &str, &str) {
    let text = |name: &str| error.1[name].as_str().unwrap_or_default();
    (error.0, text("code"), text("param"))
}

fn created(objects: &[Value]) -> Vec<i64> {
    objects.iter().filter_map(|o| o["created"].as_i64()).collect()
}

#[test]
fn newest_first_with_equal_moments_across_a_page_border() {
    let client = Client::new(500);
    let times = created(&client.all("/v1/charges", 100));
    assert!(times.is_sorted_by(|a, b| a >= b));
    assert_eq!(times[199], times[200]);
}

#[test]
fn page_sizes() {
    let client = Client::new(50);
    assert_eq!(client.get("/v1/charges")["data"].as_array().map(Vec::len), Some(10));
    assert_eq!(client.get("/v1/charges?limit=1")["data"].as_array().map(Vec::len), Some(1));
    for bad in ["0", "101", "-1", "many", ""] {
        let error = client.error(&format!("/v1/charges?limit={bad}"));
        assert_eq!(code(&error), (400, "parameter_invalid_integer", "limit"), "{bad}");
    }
}

#[test]
fn backwards_is_forwards_reversed() {
    let client = Client::new(120);
    for list in ["/v1/refunds", "/v1/customers", "/v1/events", "/v1/products"] {
        let all = client.all(list, 100);
        let oldest = ids(&all).last().copied().unwrap_or_default().to_owned();
        let (mut found, mut before) = (vec![oldest.clone()], oldest);
        loop {
            let page = client.get(&format!("{list}?limit=9&ending_before={before}"));
            let data = page["data"].as_array().cloned().unwrap_or_default();
            let keys = ids(&data);
            found.splice(0..0, keys.iter().map(|id| (*id).to_owned()));
            before = found[0].clone();
            if page["has_more"] != true {
                break;
            }
        }
        assert_eq!(found, ids(&all), "{list}");
    }
}

#[test]
fn cursors_must_exist() {
    let client = Client::new(50);
    let id =
        client.get("/v1/charges?limit=1")["data"][0]["id"].as_str().unwrap_or_default().to_owned();
    let unknown = client.error("/v1/charges?starting_after=ch_0000000000000000");
    assert_eq!(code(&unknown), (400, "resource_missing", "starting_after"));
    let other = client.get("/v1/customers?limit=1")["data"][0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(client.error(&format!("/v1/charges?starting_after={other}")).0, 400);
    assert_eq!(client.error(&format!("/v1/charges?starting_after={id}&ending_before={id}")).0, 400);
}

#[test]
fn created_ranges_cut_the_list_without_gaps() {
    let client = Client::new(300);
    for list in ["/v1/charges", "/v1/refunds", "/v1/events", "/v1/products", "/v1/invoiceitems"] {
        let all = client.all(list, 100);
        let field = if list == "/v1/invoiceitems" { "date" } else { "created" };
        let middle = all[all.len() / 2][field].as_i64().unwrap_or_default();
        let older = client.all(&format!("{list}?created[lt]={middle}"), 50);
        let newer = client.all(&format!("{list}?created%5Bgte%5D={middle}"), 50);
        assert_eq!(older.len() + newer.len(), all.len(), "{list}");
        assert!(newer.iter().all(|o| o[field].as_i64() >= Some(middle)));
        let exact = client.all(&format!("{list}?created={middle}"), 50);
        let both = client.all(&format!("{list}?created[gte]={middle}&created[lte]={middle}"), 50);
        assert_eq!(ids(&exact), ids(&both));
        assert!(!exact.is_empty());
        let none = client.get(&format!("{list}?created[gt]={middle}&created[lte]={middle}"));
        assert_eq!(
            (none["data"].as_array().map(Vec::len), &none["has_more"]),
            (Some(0), &Value::Bool(false))
        );
    }
}

#[test]
fn unknown_and_missing_parameters() {
    let client = Client::new(50);
    assert_eq!(code(&client.error("/v1/charges?foo=1")), (400, "parameter_unknown", "foo"));
    assert_eq!(
        code(&client.error("/v1/payment_methods?created[gte]=1")),
        (400, "parameter_unknown", "created")
    );
    assert_eq!(client.error("/v1/charges?created[since]=1").0, 400);
    assert_eq!(client.error("/v1/charges?created[gte]=yesterday").0, 400);
    assert_eq!(
        code(&client.error("/v1/subscription_items")),
        (400, "parameter_missing", "subscription")
    );
    assert_eq!(
        code(&client.error("/v1/setup_attempts")),
        (400, "parameter_missing", "setup_intent")
    );
    assert_eq!(client.error("/v1/radar/value_list_items?value_list=rsl_1").0, 400);
    assert_eq!(client.error("/v1/nothing").0, 404);
    assert_eq!(client.reply("POST", "/v1/charges").status, 404);
}

#[test]
fn filters_agree_with_the_objects() {
    let client = Client::new(300);
    let customer =
        client.all("/v1/invoices", 100)[5]["customer"].as_str().unwrap_or_default().to_owned();
    for list in
        ["/v1/invoices", "/v1/charges", "/v1/payment_intents", "/v1/subscriptions?status=all"]
    {
        let joint = if list.contains('?') { '&' } else { '?' };
        let found = client.all(&format!("{list}{joint}customer={customer}"), 3);
        let all = client.all(list, 100);
        let expected: Vec<_> =
            all.iter().filter(|o| o["customer"] == customer.as_str()).cloned().collect();
        assert_eq!(ids(&found), ids(&expected), "{list}");
    }
    let paid = client.all("/v1/invoices?status=paid", 100);
    assert!(!paid.is_empty() && paid.iter().all(|i| i["status"] == "paid"));
    let tiered = client.all("/v1/prices?recurring[interval]=year", 100);
    assert!(!tiered.is_empty() && tiered.iter().all(|p| p["recurring"]["interval"] == "year"));
    let subscription =
        paid.iter().find_map(|i| i["parent"]["subscription_details"]["subscription"].as_str());
    let of_one =
        client.all(&format!("/v1/invoices?subscription={}", subscription.unwrap_or_default()), 10);
    assert!((1..=2).contains(&of_one.len()));
    let two = ids(&client.all("/v1/products", 100)[..2]).join("&ids[]=");
    assert_eq!(client.all(&format!("/v1/products?ids[]={two}"), 10).len(), 2);
}

#[test]
fn canceled_subscriptions_hide() {
    let client = Client::new(300);
    let all = client.all("/v1/subscriptions?status=all", 100);
    let shown = client.all("/v1/subscriptions", 100);
    let canceled = client.all("/v1/subscriptions?status=canceled", 100);
    assert!(!canceled.is_empty() && shown.iter().all(|s| s["status"] != "canceled"));
    assert_eq!(shown.len() + canceled.len(), all.len());
}

#[test]
fn test_clocks_keep_their_objects_apart() {
    let client = Client::new(60);
    let clocks = client.all("/v1/test_helpers/test_clocks", 10);
    assert_eq!(clocks.len(), 3);
    let clock = clocks[0]["id"].as_str().unwrap_or_default();
    for list in ["/v1/customers", "/v1/subscriptions", "/v1/quotes"] {
        let plain = client.all(list, 100);
        assert!(plain.iter().all(|o| o["test_clock"].is_null()), "{list}");
        let bound = client.all(&format!("{list}?test_clock={clock}"), 1);
        assert!(bound.iter().all(|o| o["test_clock"] == clock), "{list}");
        let id = bound.first().and_then(|o| o["id"].as_str()).unwrap_or_default();
        let path = list.replace("?status=all", "");
        assert_eq!(client.get(&format!("{path}/{id}"))["id"], id);
    }
    assert_eq!(client.error("/v1/customers?test_clock=clock_1").0, 400);
}

#[test]
fn nested_lists_show_ten_and_say_where_the_rest_is() {
    let client = Client::new(100);
    let invoices = client.all("/v1/invoices", 100);
    let long = invoices.iter().find(|i| i["lines"]["has_more"] == true);
    let lines = &long.unwrap_or(&Value::Null)["lines"];
    assert_eq!(lines["data"].as_array().map(Vec::len), Some(10));
    let url = lines["url"].as_str().unwrap_or_default();
    let first = client.get(&format!("{url}?limit=10"));
    assert_eq!(first["data"], lines["data"]);
    assert_eq!(client.all(url, 100).len(), 25);
    let items = client.all("/v1/subscriptions?status=all", 100);
    let url = items
        .iter()
        .find(|s| s["items"]["has_more"] == true)
        .and_then(|s| s["items"]["url"].as_str());
    assert_eq!(client.all(url.unwrap_or_default(), 100).len(), 12);
    let fees = client.all("/v1/application_fees", 100);
    assert!(
        fees.iter().all(|f| f["refunds"]["url"].as_str().is_some_and(|u| u.ends_with("/refunds")))
    );
}

#[test]
fn expansion() {
    let client = Client::new(200);
    let charge = &client.get("/v1/charges?limit=1&expand[]=data.customer.default_source&expand[]=data.payment_intent.latest_charge.balance_transaction")["data"][0];
    assert_eq!(
        charge["payment_intent"]["latest_charge"]["balance_transaction"]["object"],
        "balance_transaction"
    );
    let id = charge["id"].as_str().unwrap_or_default();
    let one = client
        .get(&format!("/v1/charges/{id}?expand[]=payment_intent&expand[]=refunds.data.charge"));
    assert_eq!(one["payment_intent"]["object"], "payment_intent");
    assert_eq!(one["refunds"]["object"], "list");
    assert!(client.get(&format!("/v1/charges/{id}")).get("refunds").is_none());
    let subscription =
        &client.get("/v1/subscriptions?limit=1&expand[]=data.items.data.price.product")["data"][0];
    assert_eq!(subscription["items"]["data"][0]["price"]["product"]["object"], "product");
    for bad in [
        "/v1/charges?expand[]=customer",
        "/v1/charges?expand[]=data.amount",
        "/v1/charges?expand[]=data.nothing",
        "/v1/events?expand[]=data.data.object.lines",
        "/v1/events?expand[]=data.data.object",
        "/v1/charges?expand[]=data.payment_intent.latest_charge.payment_intent.latest_charge.customer",
        "/v1/invoices?expand[]=data.total_tax_amounts.tax_rate",
    ] {
        assert_eq!(client.error(bad).0, 400, "{bad}");
    }
    assert_eq!(client.error(&format!("/v1/charges/{id}?expand[]=data.customer")).0, 400);
}

#[test]
fn sources_expand_into_both_kinds() {
    let client = Client::new(60);
    let customers = client.all("/v1/customers?expand[]=data.sources", 100);
    let all: Vec<&Value> = customers
        .iter()
        .flat_map(|c| c["sources"]["data"].as_array().into_iter().flatten())
        .collect();
    assert!(
        all.iter().any(|s| s["object"] == "card")
            && all.iter().any(|s| s["object"] == "bank_account")
    );
    let long = customers.iter().find(|c| c["sources"]["has_more"] == true);
    let url = long.and_then(|c| c["sources"]["url"].as_str()).unwrap_or_default();
    assert_eq!(client.all(url, 4).len(), 23);
    assert_eq!(client.all(&format!("{url}?object=card"), 100).len(), 11);
}

#[test]
fn one_object() {
    let client = Client::new(60);
    for list in [
        "/v1/charges",
        "/v1/customers",
        "/v1/invoices",
        "/v1/events",
        "/v1/issuing/cards",
        "/v1/coupons",
        "/v1/plans",
    ] {
        let first = client.get(&format!("{list}?limit=1"))["data"][0].clone();
        let id = first["id"].as_str().unwrap_or_default();
        assert_eq!(client.get(&format!("{list}/{id}")), first, "{list}");
    }
    let error = client.error("/v1/charges/ch_nope");
    assert_eq!(code(&error), (404, "resource_missing", "id"));
    assert_eq!(error.1["message"], "No such charge: 'ch_nope'");
    let line = client.all("/v1/customers", 100).iter().find_map(|c| {
        let cards = client.all(&format!("/v1/customers/{}/cards", c["id"].as_str()?), 10);
        Some((c["id"].as_str()?.to_owned(), cards.first()?["id"].as_str()?.to_owned()))
    });
    let (customer, card) = line.unwrap_or_default();
    assert_eq!(
        client.get(&format!("/v1/customers/{customer}/sources/{card}"))["id"],
        card.as_str()
    );
    assert_eq!(client.error("/v1/customers/cus_nope/cards").0, 404);
}

#[test]
fn keys_and_permissions() {
    let client = |key: &str| Client { key: key.to_owned(), ..Client::new(20) };
    assert_eq!(client("sk_test_x").ask("/v1/charges").0, 200);
    assert_eq!(client("nonsense").ask("/v1/charges").0, 401);
    assert_eq!(code(&client("sk_test_expired").error("/v1/charges")), (401, "api_key_expired", ""));
    assert_eq!(code(&client("pk_test_x").error("/v1/charges")).1, "secret_key_required");
    let restricted = client("rk_test_deny_charge_event_x");
    let (status, error) = restricted.error("/v1/charges");
    assert_eq!(status, 403);
    assert!(error["message"].as_str().is_some_and(|m| m.contains("rak_charge_read")));
    assert_eq!(restricted.error("/v1/events").0, 403);
    assert_eq!(restricted.ask("/v1/customers").0, 200);
    let live = client("sk_live_x").get("/v1/charges?limit=1");
    assert_eq!(live["data"][0]["livemode"], true);
}

#[test]
fn connected_accounts_have_their_own_data() {
    let mut client = Client::new(200);
    let own = client.get("/v1/account");
    let accounts = client.all("/v1/accounts", 100);
    let platform = client.all("/v1/customers", 100);
    client.account = own["id"].as_str().map(str::to_owned);
    assert_eq!(client.all("/v1/customers", 100), platform);
    client.account = accounts[0]["id"].as_str().map(str::to_owned);
    assert_eq!(client.get("/v1/account")["id"], accounts[0]["id"]);
    let theirs = client.all("/v1/customers", 100);
    assert!(!theirs.is_empty() && theirs.len() < platform.len());
    assert!(ids(&theirs).iter().all(|id| !ids(&platform).contains(id)));
    assert!(client.all("/v1/accounts", 100).is_empty());
    let account = accounts[0]["id"].as_str().unwrap_or_default();
    assert_eq!(ids(&client.truth(&format!("customers@{account}"))), ids(&theirs));
    let cards = client.truth(&format!("external_account_bank_accounts@{account}"));
    let listed =
        client.all(&format!("/v1/accounts/{account}/external_accounts?object=bank_account"), 10);
    assert_eq!(ids(&cards), ids(&listed));
    assert!(cards.iter().all(|card| card["updated"] == accounts[0]["created"]));
    assert!(!client.all("/v1/charges", 100).is_empty());
    client.account = Some("acct_unknown".to_owned());
    assert_eq!(code(&client.error("/v1/customers")), (403, "account_invalid", ""));
}

#[test]
fn related_objects_point_at_each_other() {
    let client = Client::new(300);
    for charge in client.all("/v1/charges", 100) {
        if let Some(intent) = charge["payment_intent"].as_str() {
            let intent = client.get(&format!("/v1/payment_intents/{intent}"));
            assert_eq!(intent["latest_charge"], charge["id"]);
            assert_eq!(
                (&intent["amount"], &intent["customer"]),
                (&charge["amount"], &charge["customer"])
            );
        }
        if let Some(transaction) = charge["balance_transaction"].as_str() {
            let transaction = client.get(&format!("/v1/balance_transactions/{transaction}"));
            assert_eq!(
                (&transaction["source"], &transaction["amount"]),
                (&charge["id"], &charge["amount"])
            );
        }
        let refunds = client
            .all(&format!("/v1/refunds?charge={}", charge["id"].as_str().unwrap_or_default()), 100);
        let sum: i64 = refunds.iter().filter_map(|r| r["amount"].as_i64()).sum();
        assert_eq!(charge["amount_refunded"], sum);
    }
    for invoice in client.all("/v1/invoices", 100) {
        let lines = client.all(invoice["lines"]["url"].as_str().unwrap_or_default(), 100);
        let sum: i64 = lines.iter().filter_map(|l| l["amount"].as_i64()).sum();
        assert_eq!(invoice["subtotal"], sum);
    }
}

#[test]
fn odd_data_is_there() {
    let charges = Client::new(4200).truth("charges");
    assert!(charges.iter().any(|c| c["amount"] == 9_007_199_254_740_993_i64));
    assert!(charges.iter().any(|c| c["metadata"].as_object().is_some_and(|m| m.len() == 50)));
    assert!(charges.iter().any(|c| {
        c["billing_details"]["name"].as_str().is_some_and(|n| n.chars().any(|c| c as u32 > 0xffff))
    }));
}
