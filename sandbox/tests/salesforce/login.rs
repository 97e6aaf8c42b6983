//! Login flows, rotation, sessions.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use sandbox::salesforce::connector_config_for;
use serde_json::{Value, json};

use crate::client::{BASE, Client};

const TOKEN: &str = "/services/oauth2/token";

fn config(flow: &str) -> Value {
    connector_config_for("http://127.0.0.1:1", flow).expect("a known flow")
}

#[test]
fn a_refresh_token_opens_a_session_that_slides() {
    let client = Client::stranger(10, "login.session_seconds = 900");
    assert_eq!(client.ask("/limits").error(), (401, "INVALID_AUTH_HEADER".to_owned()));
    let (status, body) = client.refresh(None);
    assert_eq!((status, &body["instance_url"]), (200, &json!(BASE)));
    assert!(body.get("expires_in").is_none() && body.get("refresh_token").is_none());
    for _ in 0..3 {
        client.clock.set(client.clock.get() + 800_000);
        assert_eq!(client.ask("/limits").status, 200);
    }
    client.clock.set(client.clock.get() + 900_000);
    assert_eq!(client.ask("/limits").error(), (401, "INVALID_SESSION_ID".to_owned()));
    assert_eq!(client.refresh(None).0, 200);
    assert_eq!(client.ask("/limits").status, 200);
    client.change("event", &json!({"type": "expire_sessions"}));
    assert_eq!(client.ask("/limits").status, 401);
}

#[test]
fn a_rotated_token_works_once_and_its_reuse_revokes_all() {
    let client = Client::new(10, "login.rotate = true");
    let known = client.change("event", &json!({"type": "refresh_token"}));
    let second = known["refresh_token"].as_str().expect("a token").to_owned();
    let (status, body) = client.refresh(Some(&second));
    assert_eq!(status, 200);
    let third = body["refresh_token"].as_str().expect("a new token").to_owned();
    assert_ne!(second, third);
    assert_eq!(client.ask("/limits").status, 200);
    let (status, body) = client.refresh(Some(&second));
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(client.ask("/limits").status, 401);
    assert_eq!(client.refresh(Some(&third)).0, 400);
    let new = client.change("event", &json!({"type": "authorize"}));
    assert_eq!(client.refresh(new["refresh_token"].as_str()).0, 200);
}

#[test]
fn the_same_token_twice_at_once_is_being_processed() {
    let client = Client::stranger(10, "login.busy_ms = 500");
    assert_eq!(client.refresh(None).0, 200);
    let (status, body) = client.refresh(None);
    assert_eq!(
        (status, &body["error_description"]),
        (400, &json!("token request is already being processed"))
    );
    client.clock.set(500);
    assert_eq!(client.refresh(None).0, 200);
}

#[test]
fn jwt_sessions_end_hard() {
    let client = Client::new(10, "login.jwt_minutes = 1");
    client.clock.set(59_000);
    assert_eq!(client.ask("/limits").status, 200);
    client.clock.set(60_000);
    assert_eq!(client.ask("/limits").error(), (401, "INVALID_JWT_FORMAT".to_owned()));
}

#[test]
fn client_credentials_and_password() {
    let client = Client::stranger(10, "");
    let config = config("ClientCredentials");
    let (id, secret) = (
        config["client_id"].as_str().expect("id"),
        config["client_secret"].as_str().expect("secret"),
    );
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let (status, body) = client.token_call(TOKEN, &form);
    assert_eq!(status, 200);
    assert!(body.get("refresh_token").is_none());
    let (status, body) = client.token_call(&format!("/login.salesforce.com{TOKEN}"), &form);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    client.change("settings", &json!({"login": {"run_as": false}}));
    let (_, body) = client.token_call(TOKEN, &form);
    assert_eq!(body["error_description"], "no client credentials user enabled");

    let config = self::config("Password");
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    let password = text("password") + &text("security_token");
    let login = |password: &str| {
        let user = text("username");
        let form = [
            ("grant_type", "password"),
            ("client_id", id),
            ("client_secret", secret),
            ("username", &user),
            ("password", password),
        ];
        client.token_call(TOKEN, &form).0
    };
    assert_eq!((login(&password), login(&text("password"))), (200, 400));
}

#[test]
fn a_signed_assertion_is_checked() {
    let client = Client::stranger(10, "");
    let config = config("JWT");
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    let pem: String = text("private_key").lines().filter(|l| !l.starts_with('-')).collect();
    let key = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(pem).expect("base64")).expect("a key");
    let now = client.options.clock_start;
    let good = json!({"iss": text("client_id"), "sub": text("username"), "aud": "https://login.salesforce.com", "exp": now + 180});
    let login = |claims: &Value, spoil: bool| {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "RS256"})), part(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("signs");
        signature[9] ^= u8::from(spoil);
        let assertion = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", &assertion),
        ];
        let (status, body) = client.token_call(TOKEN, &form);
        (status, body["error_description"].as_str().unwrap_or_default().to_owned())
    };
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        login(&claims, false)
    };
    assert_eq!(login(&good, false).0, 200);
    assert_eq!(login(&good, true), (400, "invalid assertion".to_owned()));
    assert_eq!(with("aud", json!("https://example.com")), (400, "audience is invalid".to_owned()));
    assert_eq!(with("exp", json!(now - 1)), (400, "invalid assertion".to_owned()));
    assert_eq!(with("exp", json!(now + 3600)).0, 400);
    assert_eq!(with("sub", json!("x@y.z")), (400, "user hasn't approved this consumer".to_owned()));
}

#[test]
fn wrong_credentials() {
    let client = Client::stranger(10, "");
    let (status, body) =
        client.token_call(TOKEN, &[("grant_type", "refresh_token"), ("client_id", "x")]);
    assert_eq!((status, &body["error"]), (400, &json!("invalid_client_id")));
    assert_eq!(client.refresh(Some("nonsense")).1["error"], "invalid_grant");
    assert_eq!(client.token_call(TOKEN, &[]).1["error"], "unsupported_grant_type");
}

#[test]
fn a_client_behind_a_proxy_is_sent_to_the_orgs_domain() {
    let client = Client::stranger(10, "");
    let config = config("ClientCredentials");
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        text("client_id"),
        text("client_secret")
    );
    let login = |host: &str| client.send("POST", TOKEN, &[("host", host)], form.as_bytes()).json();
    assert_eq!(login("acme.my.salesforce.com")["instance_url"], "https://acme.my.salesforce.com");
    assert_eq!(login("login.salesforce.com")["error"], "invalid_grant");
    assert_eq!(login("127.0.0.1:8700")["instance_url"], BASE);
}
