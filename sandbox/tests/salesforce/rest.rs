//! Describe, SOQL over REST, records, composites, versions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::client::{Client, DATA, encode};

fn ids(records: &[Value]) -> Vec<&str> {
    records.iter().filter_map(|r| r["Id"].as_str()).collect()
}

#[test]
fn versions_and_their_end() {
    let client = Client::stranger(10, "");
    let versions = client.send("GET", "/services/data", &[], b"").json();
    assert_eq!(
        versions[29],
        json!({"label": "Spring '24", "url": "/services/data/v60.0", "version": "60.0"})
    );
    assert_eq!(versions[31]["label"], "Winter '25");
    client.refresh(None);
    let status = |version: &str| {
        client.send("GET", &format!("/services/data/v{version}/limits"), &[], b"").status
    };
    assert_eq!(
        [status("30.0"), status("31.0"), status("67.0"), status("99.0"), status("x")],
        [410, 200, 200, 404, 404]
    );
}

#[test]
fn describe_shows_what_the_user_may_see() {
    let client = Client::new(
        10,
        "data.objects = 120\ndata.unknown_types = true\nhidden = ['Account.Fax', 'Case']",
    );
    let global = client.get("/sobjects");
    let names: Vec<&str> = global["sobjects"]
        .as_array()
        .expect("objects")
        .iter()
        .filter_map(|o| o["name"].as_str())
        .collect();
    assert_eq!(names.len(), 119);
    assert!(names.contains(&"Account") && !names.contains(&"Case"));
    assert_eq!(client.ask("/sobjects/Case/describe").error(), (404, "NOT_FOUND".to_owned()));
    let fields = client.fields("Account");
    assert!(fields.contains(&("BillingAddress".to_owned(), "address".to_owned())));
    assert!(!fields.iter().any(|(name, _)| name == "Fax"));
    assert_eq!(client.query("SELECT Fax FROM Account").error(), (400, "INVALID_FIELD".to_owned()));
    let types: BTreeSet<String> =
        client.fields("Everything__c").into_iter().map(|(_, t)| t).collect();
    assert!(types.len() > 24 && types.contains("floatarray"), "{types:?}");
    let answer = client.ask("/sobjects/Account/describe");
    let since = answer.header("last-modified").to_owned();
    let again = |client: &Client| {
        client
            .send(
                "GET",
                &format!("{DATA}/sobjects/Account/describe"),
                &[("if-modified-since", &since)],
                b"",
            )
            .status
    };
    assert_eq!(again(&client), 304);
    client.clock.set(5000);
    client.change("settings", &json!({"hidden": []}));
    assert_eq!(again(&client), 200);
}

#[test]
fn pages_hold_every_row_once() {
    let client = Client::new(5100, "");
    let first = client.query("SELECT Id, SystemModstamp FROM Opportunity").json();
    assert_eq!((&first["totalSize"], &first["done"]), (&json!(5100), &json!(false)));
    assert_eq!(first["records"].as_array().map(Vec::len), Some(2000));
    let next = first["nextRecordsUrl"].as_str().expect("a next page");
    assert!(next.starts_with("/services/data/v62.0/queryAll/0r8") && next.ends_with("-2000"));
    let records = client.records("SELECT Id, SystemModstamp FROM Opportunity");
    let distinct: BTreeSet<&str> = ids(&records).into_iter().collect();
    assert_eq!((records.len(), distinct.len()), (5100, 5100));
    let stamps: Vec<&str> = records.iter().filter_map(|r| r["SystemModstamp"].as_str()).collect();
    assert!(!stamps.is_sorted(), "rows do not come in the order of the cursor");
    assert!(stamps[0].ends_with(".000+0000"));

    let small = client
        .send(
            "GET",
            &format!("{DATA}/query?q={}", encode("SELECT Id FROM Opportunity")),
            &[("sforce-query-options", "batchSize=200")],
            b"",
        )
        .json();
    assert_eq!(small["records"].as_array().map(Vec::len), Some(200));
    let url = small["nextRecordsUrl"].as_str().expect("a next page").to_owned();
    let wide = client.fields("Account").len();
    let names: Vec<String> = client
        .fields("Everything__c")
        .into_iter()
        .chain(client.fields("Everything__c"))
        .map(|(n, _)| n)
        .collect();
    assert!(wide > 30 && names.len() > 60);
    client.clock.set(3 * 86_400_000);
    client.refresh(None);
    assert_eq!(
        client.send("GET", &url, &[], b"").error(),
        (400, "INVALID_QUERY_LOCATOR".to_owned())
    );
}

#[test]
fn windows_part_the_rows() {
    let client = Client::new(3000, "");
    let all = client.records("SELECT Id FROM Contact").len();
    let edge = client
        .records("SELECT SystemModstamp FROM Contact ORDER BY SystemModstamp LIMIT 1 OFFSET 1500");
    let edge = edge[0]["SystemModstamp"].as_str().expect("a stamp").replace("+0000", "Z");
    let count = |condition: &str| {
        client.query(&format!("SELECT COUNT() FROM Contact WHERE {condition}")).json()["totalSize"]
            .as_u64()
            .expect("a number")
    };
    let (before, after) =
        (count(&format!("SystemModstamp < {edge}")), count(&format!("SystemModstamp >= {edge}")));
    assert_eq!(before + after, all as u64);
    assert!(count(&format!("SystemModstamp = {edge}")) >= 2, "rows share timestamps");
    assert_eq!(
        count(&format!("SystemModstamp <= {edge}")) + count(&format!("SystemModstamp > {edge}")),
        all as u64
    );
}

#[test]
fn keyset_paging_follows_ids() {
    let client = Client::new(700, "");
    let mut seen = Vec::new();
    let mut last = "000000000000000".to_owned();
    loop {
        let page = client
            .records(&format!("SELECT Id FROM Wide__c WHERE Id > '{last}' ORDER BY Id LIMIT 64"));
        let Some(id) = ids(&page).last().map(|id| (*id).to_owned()) else { break };
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        last = id;
    }
    assert!(seen.is_sorted());
    assert_eq!(seen.len(), 700);
    let down = client.records("SELECT Id FROM Wide__c ORDER BY Id DESC LIMIT 3");
    assert_eq!(ids(&down), seen.iter().rev().take(3).map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn query_hides_what_query_all_shows() {
    let client = Client::new(800, "");
    let total = |resource: &str, object: &str| {
        client.get(&format!("/{resource}?q={}", encode(&format!("SELECT Id FROM {object}"))))["totalSize"].as_u64().expect("a number")
    };
    assert!(total("query", "Account") < total("queryAll", "Account"));
    let archived = client.records("SELECT Id FROM Task WHERE IsArchived = true").len() as u64;
    assert!(archived > 100 && total("query", "Task") + archived <= total("queryAll", "Task"));
    let losers = client
        .records("SELECT Id, IsDeleted, MasterRecordId FROM Account WHERE MasterRecordId != null");
    assert!(!losers.is_empty() && losers.iter().all(|r| r["IsDeleted"] == true));
}

#[test]
fn errors_have_salesforces_codes() {
    let client = Client::new(10, "");
    let code = |soql: &str| client.query(soql).error();
    let bad = |code: &str| (400, code.to_owned());
    assert_eq!(code("SELECT Nothing FROM Account"), bad("INVALID_FIELD"));
    assert_eq!(code("SELECT Id FROM Nothing"), bad("INVALID_TYPE"));
    assert_eq!(code("SELECT Id FROM"), bad("MALFORMED_QUERY"));
    assert_eq!(code("SELECT Id FROM Vote"), bad("INVALID_TYPE_FOR_OPERATION"));
    assert_eq!(code("SELECT Id FROM ContentDocumentLink"), bad("MALFORMED_QUERY"));
    assert_eq!(code("SELECT Id FROM Account WHERE Description = 'x'"), bad("INVALID_FIELD"));
    assert_eq!(code("SELECT Id FROM Account ORDER BY Description"), bad("INVALID_FIELD"));
    assert_eq!(
        code("SELECT Id FROM ActivityFieldHistory WHERE SystemModstamp > 2026-01-01T00:00:00Z"),
        bad("INVALID_FIELD")
    );
    assert_eq!(
        code("SELECT Id FROM Account WHERE SystemModstamp > '2026-01-01T00:00:00Z'"),
        bad("INVALID_FIELD")
    );
    assert_eq!(
        code("SELECT Id FROM Account WHERE SystemModstamp > 2026-01-01"),
        bad("INVALID_FIELD")
    );
    assert_eq!(code("SELECT Id FROM Account WHERE NumberOfEmployees > 'x'"), bad("INVALID_FIELD"));
    let long = format!("SELECT Id FROM Account WHERE Name IN ('{}')", "x".repeat(100));
    assert_eq!(client.query(&long).status, 200);
    assert_eq!(
        client.query(&format!("SELECT {} FROM Account", ["Name"; 3000].join(","))).status,
        414
    );
    assert_eq!(client.ask("/nothing").status, 404);
    assert_eq!(client.send("PUT", &format!("{DATA}/limits"), &[], b"").status, 405);
    assert!(client.truth("ContentDocumentLink").len() == 1);
}

#[test]
fn conditions_of_every_kind() {
    let client = Client::new(2000, "");
    let count = |condition: &str| {
        client.records(&format!("SELECT Id FROM Opportunity WHERE {condition}")).len()
    };
    let all = 2000;
    assert_eq!(count("Amount = null") + count("Amount != null"), all);
    assert_eq!(count("IsWon = true") + count("IsWon = false"), all);
    assert_eq!(count("Amount < 500.5") + count("Amount >= 500.5") + count("Amount = null"), all);
    assert_eq!(count("CloseDate <= 2024-01-01") + count("CloseDate > 2024-01-01"), all);
    assert_eq!(
        count("StageName IN ('New', 'won')"),
        count("StageName = 'NEW'") + count("StageName = 'Won'")
    );
    assert_eq!(count("StageName NOT IN ('New')") + count("StageName = 'New'"), all);
    let one = client.records("SELECT Id FROM Opportunity LIMIT 1");
    let id = one[0]["Id"].as_str().expect("an id");
    assert_eq!((count(&format!("Id = '{id}'")), count(&format!("Id = '{}'", &id[..15]))), (1, 1));
    let links = client.records(&format!(
        "SELECT Id FROM ContentDocumentLink WHERE ContentDocumentId IN ('{}')",
        ids(&client.records("SELECT Id FROM ContentDocument")).join("','")
    ));
    assert_eq!(links.len(), 200);
}

#[test]
fn composites_bundle_requests() {
    let client = Client::new(300, "");
    let used = |client: &Client| {
        client.get("/limits")["DailyApiRequests"]["Remaining"].as_u64().expect("a number")
    };
    let before = used(&client);
    let many = ["Name"; 4000].join(",");
    let soql = encode(&format!("SELECT Id,{many} FROM Product2"));
    let body = json!({"compositeRequest": [
        {"method": "GET", "url": format!("{DATA}/sobjects/Account/describe"), "referenceId": "a"},
        {"method": "GET", "url": format!("{DATA}/sobjects/Nothing/describe"), "referenceId": "b"},
        {"method": "GET", "url": format!("{DATA}/queryAll/?q={soql}"), "referenceId": "c"},
    ]});
    let answers = client.post("/composite", &body).json();
    let answers = answers["compositeResponse"].as_array().expect("answers");
    let statuses: Vec<u64> = answers.iter().filter_map(|a| a["httpStatusCode"].as_u64()).collect();
    assert_eq!(statuses, [200, 404, 200]);
    assert_eq!(answers[2]["body"]["totalSize"], 30);
    assert_eq!(before - used(&client), 2, "the composite and the look at the limits");
    let body = json!({"batchRequests": vec![json!({"method": "GET", "url": "v62.0/sobjects/Lead/describe"}); 25]});
    let before = used(&client);
    let answers = client.post("/composite/batch", &body).json();
    assert_eq!(
        (&answers["hasErrors"], answers["results"].as_array().map(Vec::len)),
        (&json!(false), Some(25))
    );
    assert_eq!(before - used(&client), 26);
    let body = json!({"batchRequests": vec![json!({"method": "GET", "url": "v62.0/limits"}); 26]});
    assert_eq!(client.post("/composite/batch", &body).status, 400);
}

#[test]
fn records_counts_and_blobs() {
    let client = Client::new(500, "");
    let attachment =
        client.records("SELECT Id, Body FROM Attachment WHERE IsDeleted = false LIMIT 1");
    let url = attachment[0]["Body"].as_str().expect("a URL");
    let blob = client.send("GET", url, &[], b"");
    assert!(blob.status == 200 && blob.body.len() >= 64);
    let id = attachment[0]["Id"].as_str().expect("an id");
    assert_eq!(client.get(&format!("/sobjects/Attachment/{id}"))["Body"], url);
    let counts = client.get("/limits/recordCount?sObjects=Account,AccountHistory,User");
    let counts = counts["sObjects"].as_array().expect("counts");
    assert_eq!(counts.len(), 2);
    assert!(counts[0]["count"].as_u64() < Some(500) && counts[1]["count"] == 25);
}

#[test]
fn truth_is_what_rest_says() {
    let client = Client::new(200, "data.unknown_types = true");
    for stream in ["Account", "Everything__c", "Attachment", "Contact", "LoginHistory"] {
        let fields: Vec<String> = client.fields(stream).into_iter().map(|(name, _)| name).collect();
        let records = client.records(&format!("SELECT {} FROM {stream}", fields.join(",")));
        let truth = client.truth(stream);
        assert_eq!(records.len(), truth.len());
        for (mut record, truth) in records.into_iter().zip(truth) {
            let map = record.as_object_mut().expect("an object");
            map.shift_remove("attributes");
            for value in map.values_mut() {
                if let Some(text) = value.as_str() {
                    *value = text.replace(".000+0000", ".000Z").replace('\0', "").into();
                }
            }
            assert_eq!(record, truth);
        }
    }
}
