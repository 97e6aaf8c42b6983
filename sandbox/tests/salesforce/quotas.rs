//! Quotas: API calls, Bulk jobs, long calls.

use sandbox::api::{Api, Call};
use serde_json::json;

use crate::client::{BASE, Client, DATA};

#[test]
fn api_calls_run_out_and_come_back() {
    let client = Client::new(10, "limits.api_max = 100\nlimits.api_used = 97");
    assert_eq!(client.ask("/limits").header("sforce-limit-info"), "api-usage=98/100");
    let limits = client.get("/limits");
    assert_eq!(limits["DailyApiRequests"], json!({"Max": 100, "Remaining": 1}));
    assert_eq!(client.ask("/limits").status, 200);
    assert_eq!(client.ask("/limits").error(), (403, "REQUEST_LIMIT_EXCEEDED".to_owned()));
    client.clock.set(25 * 3_600_000);
    client.refresh(None);
    assert_eq!(client.ask("/limits").header("sforce-limit-info"), "api-usage=98/100");
}

#[test]
fn bulk_jobs_run_out() {
    let client = Client::new(10, "limits.bulk_jobs_max = 2");
    client.job("SELECT Id FROM User");
    client.job("SELECT Id FROM User");
    let order = json!({"operation": "query", "query": "SELECT Id FROM User"});
    let refused = client.post("/jobs/query", &order);
    assert_eq!(refused.error(), (400, "LIMIT_EXCEEDED".to_owned()));
    assert!(
        refused.json()[0]["message"]
            .as_str()
            .is_some_and(|m| m.starts_with("Max bulk v2 query jobs (2)"))
    );
    assert_eq!(client.get("/limits")["DailyBulkV2QueryJobs"]["Remaining"], 0);
    client.change("settings", &json!({"limits": {"bulk_jobs_max": 10, "bulk_mb_used": 1_000_000}}));
    assert_eq!(client.post("/jobs/query", &order).error(), (400, "LIMIT_EXCEEDED".to_owned()));
}

#[test]
fn long_calls_are_counted_while_they_last() {
    let client = Client::new(10, "limits.long_max = 1\nlong = [{ path = '*/describe', ms = 5 }]");
    let headers = [("authorization".to_owned(), format!("Bearer {}", client.token.borrow()))];
    let path = format!("{DATA}/sobjects/Account/describe");
    let now = client.options.clock_start;
    let call = Call {
        method: "GET",
        path: &path,
        headers: &headers,
        base: BASE,
        now,
        now_ms: now * 1000,
        ..Call::default()
    };
    let first = client.org.answer(&call);
    assert_eq!(first.delay.as_ref().map(|d| d.time.as_millis()), Some(5));
    assert_eq!(client.org.answer(&call).status, 403);
    assert_eq!(client.ask("/limits").status, 200);
    drop(first);
    assert_eq!(client.org.answer(&call).status, 200);
}
