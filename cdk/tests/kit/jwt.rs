//! Signed assertions, with a key that was made for these tests and opens nothing.

use airbyte_protocol::{FailureType, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cdk::auth::{Auth, ClientAuth, Grant, Jwt, OAuth, SigningKey};
use cdk::http::Body;
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use crate::support::{Answer, START, Server, World};

const KEY: &[u8] = include_bytes!("throwaway-rsa.der");

/// The key as a PEM text with this between its lines.
fn pem(newline: &str) -> Secret {
    let body = STANDARD.encode(KEY);
    let lines = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap());
    let lines: Vec<&str> = lines.collect();
    let frame = |word: &str| format!("-----{word} PRIVATE KEY-----");
    Secret::new([&frame("BEGIN"), lines.join(newline).as_str(), &frame("END")].join(newline))
}

fn jwt(pem: &Secret) -> Jwt {
    let claims = json!({ "iss": "me@example.com", "aud": "https://login.example.com/token" });
    Jwt {
        key: SigningKey::from_pem(pem).unwrap(),
        key_id: Some("key-1".into()),
        claims: claims.as_object().unwrap().clone(),
        lifetime: 300,
    }
}

/// The header and the claims of an assertion whose signature is right.
fn verified(assertion: &str) -> (Value, Value) {
    let (message, signature) = assertion.rsplit_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let pair = RsaKeyPair::from_pkcs8(KEY).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key())
        .verify(message.as_bytes(), &decode(signature))
        .unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let json = |text: &str| serde_json::from_slice(&decode(text)).unwrap();
    (json(header), json(claims))
}

#[test]
fn an_assertion_says_who_asks_and_until_when() {
    for newline in ["\n", "\r\n", "\\n", " "] {
        let (header, claims) = verified(&jwt(&pem(newline)).sign(1_000).unwrap());
        assert_eq!(header, json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }));
        let expected = json!({ "iss": "me@example.com", "aud": "https://login.example.com/token",
            "iat": 1_000, "exp": 1_300 });
        assert_eq!(claims, expected);
    }
}

#[test]
fn what_is_no_key_is_a_config_error_that_does_not_repeat_it() {
    for text in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----"] {
        let error = SigningKey::from_pem(&Secret::new(text)).unwrap_err();
        assert_eq!(error.kind(), FailureType::Config);
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert_eq!(format!("{:?}", SigningKey::from_pem(&pem("\n")).unwrap()), "SigningKey");
}

#[tokio::test(start_paused = true)]
async fn an_assertion_is_exchanged_for_a_token() {
    let world = World::new();
    let server = Server::new(|sent| match &sent.request.body {
        Body::Form(_) => Answer::json(&json!({ "access_token": "the-access-token" })),
        _ => Answer::json(&json!({})),
    });
    let oauth = OAuth::builder(
        "https://login.example.com/token".parse().unwrap(),
        Grant::JwtBearer(jwt(&pem("\n"))),
    )
    .client("client", Secret::new("client-secret"), ClientAuth::Basic)
    .param("scope", "read")
    .build(
        server.clone(),
        world.clock.clone(),
        world.context.output.clone(),
        Map::new().into(),
    );
    let client = world.builder(&server).auth(Auth::OAuth(oauth)).build();
    client.json::<Value>(&client.get("/things")).await.unwrap();
    let sent = server.sent();
    let Body::Form(form) = &sent[0].request.body else { panic!("no form") };
    let form: std::collections::HashMap<_, _> = form.iter().cloned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(form["scope"], "read");
    assert_eq!(verified(&form["assertion"]).1["iat"], START);
    assert_eq!(sent[0].header("authorization"), Some("Basic Y2xpZW50OmNsaWVudC1zZWNyZXQ="));
    assert_eq!(sent[1].header("authorization"), Some("Bearer the-access-token"));
}
