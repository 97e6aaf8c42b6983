//! Bulk 2.0 query jobs.

use std::io::Read;

use serde_json::{Value, json};

use crate::client::{Answer, Client, DATA};

/// Rows of a page, header included, by a parser that knows quotes.
fn cells(body: &[u8]) -> Vec<Vec<String>> {
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    assert!(!quoted && row.is_empty() && cell.is_empty());
    rows
}

/// The same number, but for what reading JSON numbers as floats takes from it.
fn is_near(cell: &str, wanted: f64) -> bool {
    cell.parse::<f64>().is_ok_and(|cell| (cell - wanted).abs() <= wanted.abs() * 1e-14)
}

fn page(client: &Client, id: &str, query: &str) -> Answer {
    client.send("GET", &format!("{DATA}/jobs/query/{id}/results{query}"), &[], b"")
}

/// All rows of a job, checked page by page.
fn read(client: &Client, id: &str, max: u64) -> Vec<Vec<String>> {
    let (mut rows, mut query) = (Vec::new(), format!("?maxRecords={max}"));
    loop {
        let answer = page(client, id, &query);
        let mut found = cells(&answer.body);
        found.remove(0);
        assert_eq!(answer.header("sforce-numberofrecords"), found.len().to_string());
        rows.extend(found);
        match answer.header("sforce-locator") {
            "null" => return rows,
            locator => query = format!("?maxRecords={max}&locator={locator}"),
        }
    }
}

#[test]
fn results_are_the_truth_page_by_page() {
    let client = Client::new(400, "");
    for stream in ["Account", "Everything__c", "Task"] {
        let fields: Vec<(String, String)> = client.fields(stream);
        let plain = |kind: &str| !matches!(kind, "address" | "location" | "base64");
        let names: Vec<&str> =
            fields.iter().filter(|(_, k)| plain(k)).map(|(n, _)| n.as_str()).collect();
        let id = client.job(&format!("SELECT {} FROM {stream}", names.join(", ")));
        let status = client.get(&format!("/jobs/query/{id}"));
        assert_eq!(
            (&status["state"], &status["apiVersion"]),
            (&json!("JobComplete"), &json!(62.0))
        );
        let (rows, truth) = (read(&client, &id, 37), client.truth(stream));
        assert_eq!(status["numberRecordsProcessed"], truth.len());
        assert_eq!(rows.len(), truth.len());
        for (row, truth) in rows.iter().zip(&truth) {
            for (name, cell) in names.iter().zip(row) {
                let (cell, wanted) = (cell.replace('\0', ""), &truth[*name]);
                let same = match wanted {
                    Value::Null => cell.is_empty(),
                    Value::String(text) => cell == *text,
                    Value::Number(number) => number.as_f64().is_some_and(|n| is_near(&cell, n)),
                    other => serde_json::from_str(&cell).ok().as_ref() == Some(other),
                };
                assert!(same, "{stream}.{name}: {cell:?} is not {wanted}");
            }
        }
    }
}

#[test]
fn pages_repeat_the_header_and_can_be_read_again() {
    let client = Client::new(500, "jobs.page_rows = 60");
    let id = client.job("SELECT Id, Name FROM Wide__c");
    let first = page(&client, &id, "");
    let locator = first.header("sforce-locator").to_owned();
    let second = page(&client, &id, &format!("?locator={locator}"));
    assert_eq!(cells(&second.body)[0], ["Id", "Name"]);
    client
        .change("mutate", &json!({"resource": "Wide__c", "count": 50, "set": {"Name": "changed"}}));
    client.change("delete", &json!({"resource": "Wide__c", "count": 50, "purge": true}));
    client.clock.set(3_600_000);
    assert_eq!(page(&client, &id, &format!("?locator={locator}")).body, second.body);
    assert_eq!(read(&client, &id, 100).len(), 500);
    assert_eq!(page(&client, &id, "?locator=bm9uc2Vuc2U").status, 400);

    let pages = client.get(&format!("/jobs/query/{id}/resultPages"));
    assert_eq!(
        (pages["resultPages"].as_array().map(Vec::len), &pages["done"]),
        (Some(5), &json!(false))
    );
    let next =
        client.send("GET", pages["nextRecordsUrl"].as_str().expect("a next list"), &[], b"").json();
    assert_eq!(
        (next["resultPages"].as_array().map(Vec::len), &next["done"]),
        (Some(4), &json!(true))
    );
    let urls =
        [&pages, &next].into_iter().flat_map(|p| p["resultPages"].as_array().expect("pages"));
    let rows = urls.map(|p| {
        cells(&client.send("GET", p["resultUrl"].as_str().expect("a URL"), &[], b"").body).len() - 1
    });
    assert_eq!(rows.sum::<usize>(), 500);
}

#[test]
fn gzip_dialects_and_empty_results() {
    let client = Client::new(100, "");
    let id = client.job("SELECT Id FROM Wide__c");
    let url = format!("{DATA}/jobs/query/{id}/results");
    let zipped = client.send("GET", &url, &[("accept-encoding", "gzip, deflate")], b"");
    assert_eq!(zipped.header("content-encoding"), "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&zipped.body[..]).read_to_end(&mut plain).expect("gzip");
    assert_eq!(plain, page(&client, &id, "").body);
    let order = json!({"operation": "query", "query": "SELECT Id, Name FROM User LIMIT 2", "columnDelimiter": "PIPE", "lineEnding": "CRLF"});
    let id = client.post("/jobs/query", &order).json()["id"].as_str().expect("an id").to_owned();
    let text = String::from_utf8(page(&client, &id, "").body).expect("UTF-8");
    assert!(text.starts_with("\"Id\"|\"Name\"\r\n\"005"), "{text}");
    let id = client.job("SELECT Id FROM Wide__c WHERE SystemModstamp > 2030-01-01T00:00:00Z");
    let empty = page(&client, &id, "");
    assert_eq!((empty.body.as_slice(), empty.header("sforce-locator")), (&b"\"Id\"\n"[..], "null"));
    client.change("settings", &json!({"jobs": {"empty_body": true}}));
    assert_eq!(page(&client, &id, "").body, b"");
}

#[test]
fn what_the_bulk_api_refuses() {
    let client = Client::new(10, "");
    let refuse = |soql: &str| {
        client.post("/jobs/query", &json!({"operation": "query", "query": soql})).error()
    };
    assert_eq!(refuse("SELECT Id, BillingAddress FROM Account").1, "FEATURENOTENABLED");
    assert_eq!(refuse("SELECT Id, Body FROM Attachment").1, "FEATURENOTENABLED");
    assert_eq!(refuse("SELECT Id FROM CaseStatus").1, "INVALIDENTITY");
    assert_eq!(refuse("SELECT COUNT() FROM Account").1, "API_ERROR");
    assert_eq!(refuse("SELECT Nothing FROM Account").1, "INVALID_FIELD");
    assert_eq!(client.post("/jobs/query", &json!({"operation": "insert"})).status, 400);
}

#[test]
fn the_life_of_a_job() {
    let client = Client::new(100, "jobs.delay_ms = 500");
    let id = client.job("SELECT Id FROM Wide__c");
    let state = |client: &Client| {
        client.get(&format!("/jobs/query/{id}"))["state"].as_str().expect("a state").to_owned()
    };
    assert_eq!(state(&client), "InProgress");
    assert_eq!(page(&client, &id, "").error(), (412, "JOB_NOT_COMPLETE".to_owned()));
    let url = format!("{DATA}/jobs/query/{id}");
    assert_eq!(client.send("DELETE", &url, &[], b"").status, 400);
    client.clock.set(500);
    assert_eq!(state(&client), "JobComplete");
    let other =
        client.send("GET", &format!("/services/data/v63.0/jobs/query/{id}/results"), &[], b"");
    assert_eq!(other.status, 409);
    assert_eq!(client.get("/jobs/query")["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.send("DELETE", &url, &[], b"").status, 204);
    assert_eq!(client.send("GET", &url, &[], b"").error(), (404, "NOT_FOUND".to_owned()));

    let id = client.job("SELECT Id FROM Wide__c");
    let url = format!("{DATA}/jobs/query/{id}");
    let aborted = client.send("PATCH", &url, &[], br#"{"state":"Aborted"}"#);
    assert_eq!((aborted.status, &aborted.json()["state"]), (200, &json!("Aborted")));
    assert_eq!(page(&client, &id, "").status, 400);
    let id = client.job("SELECT Id FROM Wide__c");
    client.clock.set(8 * 86_400_000);
    client.refresh(None);
    assert_eq!(client.ask(&format!("/jobs/query/{id}")).status, 404);
}

#[test]
fn scripts_choose_jobs_and_pages() {
    let client = Client::new(100, "");
    client.change(
        "settings",
        &json!({"jobs": {"delay_ms": 500, "script": [
            {"job": 2, "action": "fail", "after_ms": 13_000, "message": "too much"},
            {"object": "User", "action": "abort", "after_ms": 100},
            {"job": 4, "action": "miscount"},
            {"job": 4, "action": "lose_row"},
            {"job": 4, "action": "miscount_total"},
        ]}}),
    );
    let jobs: Vec<String> = ["Wide__c", "Wide__c", "User", "Wide__c"]
        .iter()
        .map(|o| client.job(&format!("SELECT Id FROM {o}")))
        .collect();
    let state = |at: usize| client.get(&format!("/jobs/query/{}", jobs[at]));
    client.clock.set(500);
    let states: Vec<Value> = (0..4).map(|at| state(at)["state"].clone()).collect();
    assert_eq!(states, ["JobComplete", "InProgress", "Aborted", "JobComplete"]);
    client.clock.set(13_000);
    assert_eq!(
        (&state(1)["state"], &state(1)["errorMessage"]),
        (&json!("Failed"), &json!("too much"))
    );
    assert_eq!(state(3)["numberRecordsProcessed"], 101);
    let counts: Vec<(String, usize)> = (0..3)
        .map(|_| page(&client, &jobs[3], ""))
        .map(|a| (a.header("sforce-numberofrecords").to_owned(), cells(&a.body).len() - 1))
        .collect();
    let count = |announced: &str, rows| (announced.to_owned(), rows);
    assert_eq!(counts, [count("101", 100), count("100", 99), count("100", 100)]);
}
