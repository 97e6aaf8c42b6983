//! Access tokens: one renewal for all, rotation, refusals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use airbyte_protocol::{FailureType, Secret};
use cdk::auth::{Auth, ClientAuth, Grant, OAuth, OAuthBuilder, TokenPaths};
use cdk::http::{Body, Client, Failure};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Answer, Sent, Server, World, seconds, start};

fn builder(grant: Grant) -> OAuthBuilder {
    OAuth::builder("https://login.example.com/token".parse().unwrap(), grant).client(
        "client",
        Secret::new("client-secret"),
        ClientAuth::Form,
    )
}

fn refresh(token: &str) -> Grant {
    Grant::RefreshToken(Secret::new(token))
}

fn client(world: &World, server: &Arc<Server>, builder: OAuthBuilder) -> (Client, OAuth) {
    let config = json!({ "credentials": { "refresh_token": "refresh-0" }, "start_date": "2026" });
    let oauth =
        builder.build(server.clone(), world.clock.clone(), world.context.output.clone(), config);
    (world.builder(server).auth(Auth::OAuth(oauth.clone())).build(), oauth)
}

async fn fetch(client: &Client) -> Result<Value, Failure> {
    client.json(&client.get("/things")).await
}

fn is_login(sent: &Sent) -> bool {
    sent.request.url.host_str() == Some("login.example.com")
}

fn form(sent: &Sent, name: &str) -> Option<String> {
    let Body::Form(pairs) = &sent.request.body else { return None };
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// A server that hands out `access-1`, `access-2`, … and accepts only the newest.
fn rotating(lifetime: i64) -> Arc<Server> {
    let newest = AtomicUsize::new(0);
    Server::new(move |sent| {
        if is_login(sent) {
            let number = newest.fetch_add(1, Ordering::Relaxed) + 1;
            let expected = format!("refresh-{}", number - 1);
            if form(sent, "refresh_token") != Some(expected) {
                return Answer::text(400, r#"{"error":"invalid_grant"}"#);
            }
            return Answer::json(&json!({
                "access_token": format!("access-token-{number}"),
                "refresh_token": format!("refresh-{number}"),
                "expires_in": lifetime,
                "instance_url": "https://one.example.com",
            }))
            .after(seconds(2));
        }
        let expected = format!("Bearer access-token-{}", newest.load(Ordering::Relaxed));
        if sent.header("authorization") == Some(&expected) {
            Answer::json(&json!({})).after(seconds(1))
        } else {
            Answer::status(401)
        }
    })
}

fn paths() -> TokenPaths {
    TokenPaths {
        refresh_token: vec!["credentials".into(), "refresh_token".into()],
        access_token: Some(vec!["credentials".into(), "access_token".into()]),
        expires_at: Some(vec!["token_expiry_date".into()]),
    }
}

#[tokio::test(start_paused = true)]
async fn one_login_serves_everybody() {
    let world = World::new();
    let server = rotating(3600);
    let (client, oauth) = client(&world, &server, builder(refresh("refresh-0")));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        tasks.spawn(async move { fetch(&client).await.map(drop) });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(server.sent().iter().filter(|sent| is_login(sent)).count(), 1);
    assert_eq!(oauth.answer("instance_url"), Some(json!("https://one.example.com")));
}

#[tokio::test(start_paused = true)]
async fn many_refusals_lead_to_one_renewal() {
    let world = World::new();
    // The server forgets the token at once when told to, long before it expires.
    let server = rotating(3600);
    let (client, _) = client(
        &world,
        &server,
        builder(refresh("refresh-0"))
            .start_with(Secret::new("access-token-from-config"), start() + TimeDelta::hours(1)),
    );
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        tasks.spawn(async move { fetch(&client).await.map(drop) });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap().unwrap();
    }
    let logins = server.sent().iter().filter(|sent| is_login(sent)).count();
    assert_eq!((logins, server.sent().len()), (1, 50 + 1 + 50));
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_is_out_before_what_came_with_it_is_used() {
    let world = World::new();
    let captured = world.captured.clone();
    let inner = rotating(3600);
    let server = Server::new(move |sent| {
        if !is_login(sent) {
            let token = sent.header("authorization").unwrap().trim_start_matches("Bearer ");
            let out = captured.lines().iter().any(|l| l.contains("CONTROL") && l.contains(token));
            assert!(out, "{token} is used before its CONTROL message");
        }
        inner.answer(sent)
    });
    let (client, _) =
        client(&world, &server, builder(refresh("refresh-0")).keep_in_config(paths()));
    fetch(&client).await.unwrap();
    tokio::time::sleep(seconds(4000)).await;
    fetch(&client).await.unwrap();
    let controls: Vec<Value> = world
        .captured
        .lines()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["type"] == "CONTROL")
        .map(|message| message["control"]["connectorConfig"]["config"].clone())
        .collect();
    assert_eq!(controls.len(), 2);
    assert_eq!(
        controls[1],
        json!({
            "credentials": { "refresh_token": "refresh-2", "access_token": "access-token-2" },
            "start_date": "2026",
            "token_expiry_date": "2023-11-15T00:20:05Z",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn tokens_are_renewed_before_they_expire() {
    let world = World::new();
    let server = rotating(600);
    let (client, _) = client(&world, &server, builder(refresh("refresh-0")));
    fetch(&client).await.unwrap();
    // Nine of ten minutes later the token is still good, and replaced all the same.
    tokio::time::sleep(seconds(545)).await;
    fetch(&client).await.unwrap();
    let logins = server.sent().iter().filter(|sent| is_login(sent)).count();
    assert_eq!((logins, server.sent().len()), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn an_early_renewal_that_fails_leaves_the_old_token_in_use() {
    let world = World::new();
    let inner = rotating(600);
    let begin = Instant::now();
    let server = Server::new(move |sent| {
        let late = is_login(sent) && sent.at > begin + seconds(60);
        if late { Answer::status(503) } else { inner.answer(sent) }
    });
    let policy = cdk::http::RetryPolicy { attempts: 2, ..Default::default() };
    let (client, _) = client(&world, &server, builder(refresh("refresh-0")).policy(policy));
    fetch(&client).await.unwrap();
    tokio::time::sleep(seconds(545)).await;
    fetch(&client).await.unwrap();
    let last = server.sent().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("Bearer access-token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_grant_is_a_config_error_at_once() {
    let world = World::new();
    let server = Server::new(|_| {
        Answer::text(400, r#"{"error":"invalid_grant","error_description":"token revoked"}"#)
    });
    let (client, _) = client(&world, &server, builder(refresh("refresh-0")));
    let failure = fetch(&client).await.unwrap_err();
    assert_eq!(failure.error.kind(), FailureType::Config);
    assert!(failure.error.message().contains("invalid_grant: token revoked"), "{}", failure.error);
    assert_eq!(server.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_token_that_is_refused_too_is_final() {
    let world = World::new();
    let server = Server::new(|sent| {
        if is_login(sent) {
            Answer::json(&json!({ "access_token": "access-token" }))
        } else {
            Answer::status(401)
        }
    });
    let (client, _) = client(&world, &server, builder(Grant::ClientCredentials));
    let failure = fetch(&client).await.unwrap_err();
    assert_eq!(failure.error.kind(), FailureType::Config);
    let (logins, others): (Vec<_>, Vec<_>) = server.sent().into_iter().partition(is_login);
    assert_eq!((logins.len(), others.len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_unsteady_token_endpoint_is_asked_again() {
    let world = World::new();
    let server = Server::script(vec![
        || Answer::status(503),
        || Answer::text(200, "<html>"),
        || Answer::json(&json!({ "access_token": "access-token" })).cut(),
        || Answer::json(&json!({ "access_token": "access-token", "expires_in": "7200" })),
        || Answer::json(&json!({})),
    ]);
    let (client, _) = client(&world, &server, builder(Grant::ClientCredentials));
    fetch(&client).await.unwrap();
    assert_eq!(form(&server.sent()[3], "grant_type").as_deref(), Some("client_credentials"));
    assert_eq!(form(&server.sent()[3], "client_secret").as_deref(), Some("client-secret"));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_nobody_waits_for_any_more_is_not_lost() {
    let world = World::new();
    let server = rotating(3600);
    let (client, _) =
        client(&world, &server, builder(refresh("refresh-0")).keep_in_config(paths()));
    // The one who asked goes away while the server is rotating the token.
    let gone = tokio::time::timeout(seconds(1), fetch(&client)).await;
    assert!(gone.is_err());
    tokio::time::sleep(seconds(5)).await;
    assert!(world.captured.lines().iter().any(|line| line.contains("refresh-1")));
    fetch(&client).await.unwrap();
    assert_eq!(server.sent().iter().filter(|sent| is_login(sent)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_wait_for_a_token_endpoint() {
    let world = World::new();
    let server = Server::new(|_| Answer::status(503).header("retry-after", "3600"));
    let builder = builder(Grant::ClientCredentials).shutdown(world.context.shutdown.clone());
    let (client, _) = client(&world, &server, builder);
    let stop = async {
        tokio::time::sleep(seconds(2)).await;
        world.context.shutdown.cancel();
    };
    let begin = Instant::now();
    let (result, ()) = tokio::join!(fetch(&client), stop);
    assert!(result.unwrap_err().error.message().contains("stopped by a signal"));
    assert_eq!(begin.elapsed(), seconds(2));
}

#[tokio::test(start_paused = true)]
async fn secrets_of_the_login_are_masked() {
    let world = World::new();
    let server = rotating(3600);
    let (client, _) = client(&world, &server, builder(refresh("refresh-0")));
    fetch(&client).await.unwrap();
    let output = &world.context.output;
    output.log(airbyte_protocol::LogLevel::Info, "refresh-0 refresh-1 access-token-1");
    let line = world.captured.lines().pop().unwrap();
    assert!(!line.contains("refresh-") && !line.contains("access-token-1"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_not_asked_for_again_and_a_passing_one_is() {
    let world = World::new();
    let server = Server::new({
        let mut asked = 0;
        move |_| {
            asked += 1;
            let said = if asked == 1 { "is Already being processed" } else { "expired" };
            Answer::text(
                400,
                format!(r#"{{"error":"invalid_grant","error_description":"{said}"}}"#),
            )
        }
    });
    let (client, _) = client(&world, &server, builder(refresh("r")).passing("already being"));
    for _ in 0..3 {
        let failure = fetch(&client).await.unwrap_err();
        assert_eq!(failure.error.kind(), FailureType::Config);
        assert!(failure.error.message().contains("expired"), "{}", failure.error);
    }
    assert_eq!(server.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_a_jwt_is_renewed_before_it_ends() {
    use base64::Engine as _;
    let world = World::new();
    let server = Server::new(|sent| {
        if !is_login(sent) {
            return Answer::json(&json!({}));
        }
        // Made by a server whose clock is another.
        let claims = json!({ "iat": 1_000, "exp": 1_600 }).to_string();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        Answer::json(&json!({ "access_token": format!("e30.{claims}.x") }))
    });
    let (client, _) = client(&world, &server, builder(Grant::ClientCredentials));
    for (wait, logins) in [(0, 1), (530, 1), (30, 2)] {
        tokio::time::sleep(seconds(wait)).await;
        fetch(&client).await.unwrap();
        assert_eq!(server.sent().iter().filter(|sent| is_login(sent)).count(), logins);
    }
}
