//! Retries, verdicts and broken answers.

use std::sync::Arc;

use airbyte_protocol::{Error, FailureType};
use cdk::http::{
    Action, Admission, Broken, Client, ErrorTable, Failure, Gate, HeaderMap, Response, RetryPolicy,
    Rule,
};
use cdk::json::Select;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{Answer, Server, World, seconds, start};

fn ok() -> Answer {
    Answer::json(&json!({ "ok": true }))
}

async fn fetch(client: &Client) -> Result<Value, Failure> {
    client.json(&client.get("/things")).await
}

fn kind(failure: &Failure) -> FailureType {
    failure.error.kind()
}

#[tokio::test(start_paused = true)]
async fn outages_are_retried_within_the_bounds_of_backoff() {
    let world = World::new();
    let server = Server::script(vec![
        || Answer::status(500),
        || Answer::status(503),
        || Answer::broken(Broken::Network("connection refused".into())),
        || Answer::text(200, r#"{"ok": tr"#).cut(),
        || Answer::text(200, r#"{"ok": tr"#),
        ok,
    ]);
    let client = world.client(&server);
    assert_eq!(fetch(&client).await.unwrap(), json!({ "ok": true }));
    let gaps = server.gaps();
    assert_eq!(gaps.len(), 5);
    for (gap, bound) in gaps.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0]) {
        assert!(*gap <= bound + 0.002, "{gaps:?}");
    }
    assert_eq!((client.counts().requests(), client.counts().retries()), (6, 5));
}

#[tokio::test(start_paused = true)]
async fn retry_after_comes_first_in_seconds_and_as_a_date() {
    let world = World::new();
    let at = (start() + TimeDelta::seconds(100)).to_rfc2822();
    let mut step = 0;
    let server = Server::new(move |_| {
        step += 1;
        match step {
            1 => Answer::status(503).header("retry-after", "40"),
            2 => Answer::status(503).header("retry-after", &at),
            3 => Answer::status(429).header("retry-after", "7"),
            _ => ok(),
        }
    });
    fetch(&world.client(&server)).await.unwrap();
    let gaps: Vec<f64> = server.gaps().iter().map(|gap| gap.round()).collect();
    assert_eq!(gaps, [40.0, 60.0, 7.0]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_so_many_attempts_and_says_so() {
    let world = World::new();
    let server = Server::new(|_| Answer::text(503, r#"{"message":"down"}"#));
    let failure = fetch(&world.client(&server)).await.unwrap_err();
    assert_eq!(server.sent().len(), 10);
    assert_eq!(kind(&failure), FailureType::Transient);
    assert_eq!(
        failure.error.message(),
        "https://api.example.com answered 503: down. Gave up after 10 attempts."
    );
    assert!(failure.error.internal().unwrap().contains("GET https://api.example.com/base/things"));
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_total_time() {
    let world = World::new();
    let server = Server::new(|_| Answer::status(500).after(seconds(100)));
    let policy = RetryPolicy { attempts: 1000, ..RetryPolicy::default() };
    fetch(&world.builder(&server).policy(policy).build()).await.unwrap_err();
    let sent = server.sent();
    let spent = sent.last().unwrap().at - sent[0].at;
    assert!((seconds(700)..seconds(961)).contains(&spent), "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn time_spent_waiting_for_a_rate_limit_is_not_held_against_retries() {
    let world = World::new();
    let server = Server::script(vec![
        || Answer::status(429).header("retry-after", "3600"),
        || Answer::status(503),
        ok,
    ]);
    fetch(&world.client(&server)).await.unwrap();
    assert_eq!(server.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_web_page_instead_of_data_is_a_matter_of_configuration() {
    let world = World::new();
    let server = Server::new(|_| Answer::text(200, "\n <!doctype html><title>Sign in</title>"));
    let failure = fetch(&world.client(&server)).await.unwrap_err();
    assert_eq!(server.sent().len(), 3);
    assert_eq!(kind(&failure), FailureType::Config);
    assert!(failure.error.message().contains("a web page instead of data"), "{}", failure.error);
}

#[tokio::test(start_paused = true)]
async fn pages_that_do_not_parse_are_asked_for_again() {
    let world = World::new();
    let server = Server::script(vec![
        || Answer::text(200, r#"{"data":[{"id":1},{"id""#),
        || Answer::text(200, r#"{"data":{"id":1}}"#),
        || Answer::text(200, r#"{"data":[{"id":1},{"id":2}]}"#),
    ]);
    let client = world.client(&server);
    let page = client.page(&client.get("/things"), &Select::list("data"), &[]).await.unwrap();
    assert_eq!(page.len(), 2);
    assert_eq!(server.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn redirects_are_refused_with_a_message() {
    let world = World::new();
    for status in [301, 302, 307, 308] {
        let server =
            Server::new(move |_| Answer::status(status).header("location", "https://other/"));
        let failure = fetch(&world.client(&server)).await.unwrap_err();
        assert_eq!((server.sent().len(), kind(&failure)), (1, FailureType::System));
        assert!(failure.error.message().contains("redirects elsewhere"), "{}", failure.error);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_may_not_be_used_is_not_tried_again() {
    let world = World::new();
    let server = Server::new(|_| Answer::broken(Broken::Refused("it is not https".into())));
    let failure = fetch(&world.client(&server)).await.unwrap_err();
    assert_eq!((server.sent().len(), kind(&failure)), (1, FailureType::Config));
}

#[tokio::test(start_paused = true)]
async fn links_to_other_hosts_are_not_followed() {
    let world = World::new();
    let client = world.client(&Server::new(|_| ok()));
    for link in [
        "https://evil.example.net/x",
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "//evil.example.net/x",
        "data:,x",
    ] {
        let error = client.follow(link).unwrap_err();
        assert_eq!(error.kind(), FailureType::System, "{link}");
    }
    let next = |link| client.follow(link).unwrap().full_url().to_string();
    assert_eq!(next("/base/things?page=2"), "https://api.example.com/base/things?page=2");
    assert_eq!(next("https://api.example.com/x?a=1"), "https://api.example.com/x?a=1");
}

#[tokio::test(start_paused = true)]
async fn verdicts_reach_the_caller() {
    let world = World::new();
    let table = ErrorTable::default().request_id("x-request-id").with([
        Rule::new(Action::Empty).status([404]),
        Rule::new(Action::Skip).status([402]).advice("Buy the feature."),
    ]);
    for (status, action, kind) in [
        (404, Action::Empty, FailureType::System),
        (402, Action::Skip, FailureType::Config),
        (403, Action::Fail(FailureType::Config), FailureType::Config),
        (400, Action::Fail(FailureType::System), FailureType::System),
    ] {
        let server = Server::new(move |_| {
            Answer::text(status, r#"{"error":{"code":"no","message":"Not today"}}"#)
                .header("x-request-id", "req_1")
        });
        let client = world.builder(&server).errors(table.clone()).build();
        let failure = fetch(&client).await.unwrap_err();
        assert_eq!((failure.action, failure.status), (action, Some(status)));
        assert!(failure.is_code("no"));
        assert_eq!(failure.error.kind(), kind, "{status}");
        let message = failure.error.message();
        assert!(message.contains("Not today") && message.contains("req_1"), "{message}");
        assert_eq!(message.contains("Buy the feature."), status == 402);
    }
}

#[tokio::test(start_paused = true)]
async fn a_static_token_that_is_refused_is_final() {
    let world = World::new();
    let server = Server::new(|_| Answer::status(401));
    let auth = cdk::auth::Auth::Bearer(airbyte_protocol::Secret::new("key"));
    let client = world.builder(&server).auth(auth).header("x-version", "7").build();
    let failure = fetch(&client).await.unwrap_err();
    assert_eq!((server.sent().len(), kind(&failure)), (1, FailureType::Config));
    assert_eq!(server.sent()[0].header("authorization"), Some("Bearer key"));
    assert_eq!(server.sent()[0].header("x-version"), Some("7"));
}

#[tokio::test(start_paused = true)]
async fn the_servers_time_is_learnt_from_its_answers() {
    let world = World::new();
    let date = (start() - TimeDelta::seconds(300)).to_rfc2822();
    let server = Server::new(move |_| ok().header("date", &date));
    let client = world.client(&server);
    fetch(&client).await.unwrap();
    assert_eq!(client.clock().server_now(), start() - TimeDelta::seconds(300));
    assert_eq!(client.clock().now(), start());
}

#[tokio::test(start_paused = true)]
async fn streamed_answers_are_opened_once_they_succeed() {
    let world = World::new();
    let server = Server::script(vec![|| Answer::status(502), || Answer::text(200, "a,b\n1,2\n")]);
    let client = world.client(&server);
    let incoming = client.open(&client.get("/results.csv")).await.unwrap();
    assert_eq!(incoming.complete().await.unwrap().body, "a,b\n1,2\n");
}

/// Holds back every second request for ten seconds, and refuses all once told to.
#[derive(Default)]
struct Turnstile(std::sync::Mutex<(u32, bool)>);

impl Gate for Turnstile {
    fn admit(&self, _: &cdk::http::Request) -> Admission {
        let mut state = self.0.lock().unwrap();
        state.0 += 1;
        match *state {
            (_, true) => Error::transient("Nothing is left.").into(),
            (2, _) => Admission::Wait(tokio::time::Instant::now() + seconds(10), "turns"),
            _ => Admission::Go,
        }
    }

    fn note(&self, headers: &HeaderMap) {
        self.0.lock().unwrap().1 = headers.contains_key("x-empty");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_holds_back_and_refuses_by_what_answers_tell() {
    let world = World::new();
    let server = Server::script(vec![ok, || ok().header("x-empty", "1"), ok]);
    let client = world.builder(&server).gate(Arc::new(Turnstile::default())).build();
    fetch(&client).await.unwrap();
    fetch(&client).await.unwrap();
    assert!(server.gaps()[0] >= 10.0, "{:?}", server.gaps());
    let failure = fetch(&client).await.unwrap_err();
    assert_eq!(failure.error.message(), "Nothing is left.");
    assert_eq!(server.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_inside_another_one_is_judged_like_any() {
    let world = World::new();
    let wrapped =
        |status: u16, body: Value| Answer::json(&json!({ "status": status, "body": body }));
    let mut asked = 0;
    let server = Server::new(move |_| {
        asked += 1;
        match asked {
            1 => wrapped(503, json!([{ "message": "busy" }])),
            2 => wrapped(200, json!({ "ok": true })),
            _ => wrapped(404, json!([{ "errorCode": "GONE", "message": "no such thing" }])),
        }
    });
    let client = world.client(&server);
    let request = client.post("/batch").unwrap_with(|outer| {
        let whole: Value = serde_json::from_slice(&outer.body).map_err(|e| e.to_string())?;
        let status = whole["status"].as_u64().unwrap_or_default() as u16;
        Ok(Response { status, headers: outer.headers, body: whole["body"].to_string().into() })
    });
    assert_eq!(client.json::<Value>(&request).await.unwrap(), json!({ "ok": true }));
    let failure = client.json::<Value>(&request).await.unwrap_err();
    assert!(failure.is_code("GONE") && failure.status == Some(404));
}
