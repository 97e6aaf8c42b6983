use super::*;
use proptest::prelude::*;

fn scrubber() -> Scrubber {
    Scrubber::new(&[Secret::new("credentials.api_key", "sk_live_51/Hx+9=é")])
}

#[test]
fn parameters_lose_secrets_and_nothing_else() {
    let scrubber = scrubber();
    let url = "https://api.example.com/v1/a%20b?limit=10&access_token=abc%2Fdef&empty=&key&page_token=xyz1&x=%c3%A9";
    let want = "https://api.example.com/v1/a%20b?limit=10&access_token=SCRUBBED_access_token_1&empty=&key&page_token=xyz1&x=%c3%A9";
    assert_eq!(scrubber.url(url), want);
    assert_eq!(scrubber.url(want), want, "a second time changes nothing");
    assert_eq!(scrubber.url("/x?access_token=other"), "/x?access_token=SCRUBBED_access_token_2");
    assert_eq!(scrubber.url("/x?token=abc/def"), "/x?token=SCRUBBED_access_token_1");
    assert_eq!(
        scrubber.url("https://ann:hunter2@example.com/p"),
        "https://ann:SCRUBBED_password_1@example.com/p"
    );
}

#[test]
fn the_callers_secret_goes_in_every_form() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    let (scrubber, secret) = (scrubber(), "sk_live_51/Hx+9=é");
    let forms = [
        format!("plain {secret} text"),
        "sk_live_51%2FHx%2B9%3D%C3%A9".to_owned(),
        "sk_live_51%2fHx%2b9%3d%c3%a9".to_owned(),
        "sk_live_51%252FHx%252B9%253D%25C3%25A9".to_owned(),
        r#"{"echo":"sk_live_51\/Hx+9=\u00e9"}"#.to_owned(),
        STANDARD.encode(secret),
        STANDARD.encode(format!("user:{secret}")),
        STANDARD.encode(format!("ab{secret}:x")),
    ];
    for form in forms {
        let out = scrubber.text(&form);
        assert!(out.contains("SCRUBBED_credentials_api_key"), "{form} gave {out}");
        assert!(!out.contains("live_51") && !out.contains("bGl2ZV81M"), "{form} gave {out}");
    }
}

#[test]
fn bodies_keep_their_layout() {
    let scrubber = scrubber();
    let body = br#"{ "access_token":"tok-123456789012", "expires_in" : 3600.0, "next":"https://e.com/?sig=q1&page=2" }"#;
    let want = r#"{ "access_token":"SCRUBBED_access_token_1", "expires_in" : 3600.0, "next":"https://e.com/?sig=SCRUBBED_sig_1&page=2" }"#;
    assert_eq!(String::from_utf8(scrubber.body(None, body)).unwrap(), want);
    // The token is known from now on.
    assert_eq!(scrubber.text("echo tok-123456789012."), "echo SCRUBBED_access_token_1.");
}

#[test]
fn forms_elements_and_parts() {
    let scrubber = scrubber();
    let form = scrubber.body(
        Some("application/x-www-form-urlencoded"),
        b"grant_type=password&username=ann&password=p%26w",
    );
    assert_eq!(form, b"grant_type=password&username=ann&password=SCRUBBED_password_1");
    let soap = scrubber
        .body(Some("text/xml"), b"<r><n:sessionId x='1'>00D!AQ</n:sessionId><id>7</id></r>");
    assert_eq!(soap, b"<r><n:sessionId x='1'>SCRUBBED_sessionId_1</n:sessionId><id>7</id></r>");
    let parts = scrubber.body(
        Some("multipart/form-data; boundary=b"),
        b"--b\r\nContent-Disposition: form-data; name=\"client_secret\"\r\n\r\nabc\r\n--b--",
    );
    assert!(
        String::from_utf8(parts).unwrap().contains("\r\n\r\nSCRUBBED_client_secret_1\r\n--b--")
    );
}

#[test]
fn headers_keep_scheme_and_cookie_names() {
    let scrubber = scrubber();
    assert_eq!(scrubber.header("Authorization", "Bearer abc"), "Bearer SCRUBBED_authorization_1");
    assert_eq!(
        scrubber.header("authorization", "Basic YW5uOmh1bnRlcjEyMzQ1Njc4"),
        "Basic SCRUBBED_authorization_2"
    );
    assert_eq!(scrubber.text("hunter12345678"), "SCRUBBED_password_1");
    assert_eq!(
        scrubber.header("Set-Cookie", "sid=s1; Path=/; HttpOnly"),
        "sid=SCRUBBED_cookie_1; Path=/; HttpOnly"
    );
    assert_eq!(
        scrubber.header("Cookie", "sid=s1; a=b"),
        "sid=SCRUBBED_cookie_1; a=SCRUBBED_cookie_2"
    );
    assert_eq!(scrubber.header("X-Api-Key", "k"), "SCRUBBED_x_api_key_1");
    assert_eq!(scrubber.header("Link", "</a?page=2>; rel=\"next\""), "</a?page=2>; rel=\"next\"");
}

#[test]
fn web_tokens_are_known_by_their_look() {
    let scrubber = scrubber();
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl";
    assert_eq!(scrubber.text(&format!("is {token}!")), "is SCRUBBED_jwt_1!");
}

proptest! {
    #[test]
    fn any_url_is_survived_and_scrubbing_is_idempotent(url in "\\PC{0,80}") {
        let scrubber = scrubber();
        let once = scrubber.url(&url);
        prop_assert_eq!(scrubber.url(&once), once);
    }

    #[test]
    fn no_secret_parameter_is_left(
        value in "[a-z]{5}[0-9]{12}", before in "[a-z=&%?#0-9+]{0,20}", after in "[a-z=&%?#0-9+]{0,20}",
    ) {
        let url = format!("https://e.com/p?{before}&client_secret={value}&{after}");
        let out = scrubber().url(&url);
        prop_assert!(!out.contains(&value), "{out}");
    }

    #[test]
    fn ordinary_parameters_stay(pairs in proptest::collection::vec(("[b-f]{1,5}", "[a-zA-Z0-9%+._-]{0,9}"), 0..6)) {
        let query: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let url = format!("https://e.com/p?{}", query.join("&"));
        prop_assert_eq!(scrubber().url(&url), url);
    }

    #[test]
    fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200), kind in 0..4) {
        let kinds = ["application/json", "multipart/form-data", "application/x-www-form-urlencoded", "text/xml"];
        scrubber().body(Some(kinds[kind as usize]), &body);
    }
}
