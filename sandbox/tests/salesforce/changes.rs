//! Changes by the admin paths, and how queries and logs show them.

use std::collections::BTreeSet;

use sandbox::api::Api;
use serde_json::{Value, json};

use crate::client::{Client, encode};

fn id_list(answer: &Value) -> Vec<String> {
    answer["ids"]
        .as_array()
        .expect("ids")
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn changed(client: &Client, object: &str) -> BTreeSet<String> {
    let records = client
        .records(&format!("SELECT Id FROM {object} WHERE SystemModstamp >= 2026-11-01T00:00:00Z"));
    records.iter().filter_map(|r| r["Id"].as_str()).map(str::to_owned).collect()
}

#[test]
fn rows_are_added_changed_and_deleted() {
    let client = Client::new(300, "");
    assert!(changed(&client, "Contact").is_empty());
    client.clock.set(60_000);
    let mut wanted: BTreeSet<String> =
        id_list(&client.change("create", &json!({"resource": "Contact", "count": 3})))
            .into_iter()
            .collect();
    let mutated = id_list(&client.change("mutate", &json!({"resource": "Contact", "count": 2, "set": {"Email": "new@example.com", "DoNotCall": true, "Title": null}})));
    let deleted = id_list(&client.change("delete", &json!({"resource": "Contact", "count": 1})));
    wanted.extend(mutated.iter().cloned());
    wanted.extend(deleted.iter().cloned());
    assert_eq!(changed(&client, "Contact"), wanted);
    assert_eq!(client.truth("Contact").len(), 303);
    let row = client.get(&format!("/sobjects/Contact/{}", mutated[1]));
    assert_eq!(
        (&row["Email"], &row["DoNotCall"], &row["Title"]),
        (&json!("new@example.com"), &json!(true), &Value::Null)
    );
    assert_eq!(row["SystemModstamp"], "2026-11-01T00:01:00.000+0000");
    let gone = client.get(&format!(
        "/query?q={}",
        encode(&format!("SELECT Id FROM Contact WHERE Id = '{}'", deleted[0]))
    ));
    assert_eq!(gone["totalSize"], 0);
    client.clock.set(120_000);
    let log =
        client.get("/sobjects/Contact/deleted?start=2026-10-31T00:00:00Z&end=2026-11-01T01:00:00Z");
    assert!(
        log["deletedRecords"].as_array().is_some_and(|l| l.iter().any(|r| r["id"] == deleted[0]))
    );
}

#[test]
fn purged_rows_leave_but_the_log_knows() {
    let client = Client::new(300, "");
    client.clock.set(60_000);
    let gone =
        id_list(&client.change("delete", &json!({"resource": "Lead", "count": 2, "purge": true})));
    assert_eq!(
        (client.truth("Lead").len(), client.records("SELECT Id FROM Lead").len()),
        (148, 148)
    );
    client.clock.set(120_000);
    let log =
        client.get("/sobjects/Lead/deleted?start=2026-10-31T00:00:00Z&end=2026-11-01T01:00:00Z");
    let ids: Vec<&Value> =
        log["deletedRecords"].as_array().expect("a list").iter().map(|r| &r["id"]).collect();
    assert!(gone.iter().all(|id| ids.iter().any(|i| *i == id)));
    let early =
        client.ask("/sobjects/Lead/deleted?start=2026-01-01T00:00:00Z&end=2026-11-01T01:00:00Z");
    assert_eq!(early.error(), (400, "INVALID_REPLICATION_DATE".to_owned()));
    assert_eq!(
        client
            .ask("/sobjects/User/deleted?start=2026-10-31T00:00:00Z&end=2026-11-01T01:00:00Z")
            .status,
        400
    );
}

#[test]
fn formulas_and_late_commits() {
    let client = Client::new(300, "");
    client.clock.set(60_000);
    let body = json!({"resource": "Opportunity", "count": 1, "set": {"ExpectedRevenue": 12.5}, "stamp": false});
    let id = id_list(&client.change("mutate", &body)).remove(0);
    assert!(changed(&client, "Opportunity").is_empty());
    assert_eq!(client.get(&format!("/sobjects/Opportunity/{id}"))["ExpectedRevenue"], 12.5);
    let late = id_list(&client.change("create", &json!({"resource": "Opportunity", "late": 300})));
    assert!(changed(&client, "Opportunity").is_empty());
    client.clock.set(400_000);
    assert_eq!(changed(&client, "Opportunity").into_iter().collect::<Vec<_>>(), late);
    let row = client.get(&format!("/sobjects/Opportunity/{}", late[0]));
    assert_eq!(row["SystemModstamp"], "2026-11-01T00:01:00.000+0000");
}

#[test]
fn a_cursor_keeps_what_it_began_with() {
    let client = Client::new(3000, "");
    let first = client.query("SELECT Id, Name FROM Wide__c").json();
    client.change("delete", &json!({"resource": "Wide__c", "count": 1500, "purge": true}));
    let next =
        client.send("GET", first["nextRecordsUrl"].as_str().expect("a next page"), &[], b"").json();
    assert_eq!(
        (&next["totalSize"], next["records"].as_array().map(Vec::len)),
        (&json!(3000), Some(1000))
    );
    assert_eq!(client.records("SELECT Id FROM Wide__c").len(), 1500);
}

#[test]
fn bad_changes_are_refused() {
    let client = Client::new(10, "");
    let refused = |action: &str, body: Value| client.org.change(action, &body, 0).is_err();
    assert!(refused("mutate", json!({"resource": "Nothing"})));
    assert!(refused("mutate", json!({"resource": "Account", "set": {"Nothing": 1}})));
    assert!(refused("mutate", json!({"resource": "Account", "set": {"BillingAddress": "x"}})));
    assert!(refused("mutate", json!({"resource": "Account", "set": {"AnnualRevenue": "x"}})));
    assert!(refused("mutate", json!({"resource": "Account", "count": 11})));
    assert!(refused("mutate", json!({"resource": "Account", "ids": ["001"]})));
    assert!(refused("mutate", json!({"resource": "Account", "sett": {}})));
    assert!(refused("event", json!({"type": "x"})));
    assert!(refused("settings", json!({"data": {"days": 3}})));
}
