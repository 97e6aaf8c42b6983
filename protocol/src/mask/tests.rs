use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Masker;

fn masker(secrets: &[&str]) -> Masker {
    let mut masker = Masker::default();
    secrets.iter().for_each(|secret| masker.add(secret));
    masker
}

#[test]
fn overlapping_secrets_leave_no_remainder() {
    let masker = masker(&["abcd", "bcdefgh", "sk_live_1", "sk_live_1234"]);
    assert_eq!(masker.mask("<abcdefgh>"), "<****>");
    assert_eq!(masker.mask("key sk_live_1234, not sk_live_12"), "key ****, not ****2");
}

#[test]
fn short_values_and_texts_without_secrets_stay() {
    let masker = masker(&["abc", ""]);
    assert!(matches!(masker.mask("abcabc"), Cow::Borrowed("abcabc")));
}

#[test]
fn every_encoding_is_masked() {
    let secret = "p\"a/s sü\\€:word";
    let masker = masker(&[secret]);
    let json = Value::from(secret).to_string();
    let python = r#"p\"a/s s\u00fc\\\u20ac:word"#;
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let form = "p%22a%2fs+s%c3%bc%5c%e2%82%ac%3aword";
    let basic = STANDARD.encode(format!("someone@example.org:{secret}"));
    for text in
        [secret, &json, python, &percent, form, &STANDARD.encode(secret), &URL_SAFE.encode(secret)]
    {
        let masked = masker.mask(text).into_owned();
        assert!(masked.contains("****") && masked.len() <= "\"****\"".len(), "{text} -> {masked}");
    }
    let masked = masker.mask(&basic).into_owned();
    let (user, rest) = masked.split_once("****").unwrap();
    assert!(basic.starts_with(user) && rest.len() <= 4, "{masked}");
}

#[test]
fn the_lines_of_a_key_and_the_members_of_a_key_file_are_secrets() {
    let pem =
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n";
    let file =
        json!({"type": "service_account", "client_email": "a@example.org", "private_key": pem})
            .to_string();
    let masker = masker(&[&file]);
    assert_eq!(masker.mask(&file), "****");
    assert_eq!(masker.mask(pem), "****");
    assert_eq!(masker.mask("line MIIEvQIBADAN of the key"), "line **** of the key");
    assert_eq!(
        masker.mask("a key begins with -----BEGIN PRIVATE KEY-----"),
        "a key begins with -----BEGIN PRIVATE KEY-----"
    );
    assert_eq!(masker.mask("a@example.org"), "a@example.org");
}

#[test]
fn data_is_only_masked_where_there_is_no_doubt() {
    let masker = masker(&["2024", "20240101", "sk_live_1234"]);
    let state =
        json!({"created": "2024-01-01", "id": 20240101, "day": "20240101", "sk_live_1234": 1});
    assert!(matches!(masker.mask_data(&state), Cow::Borrowed(_)));
    let state = json!({"next": ["https://example.org/?key=sk_live_1234"]});
    assert_eq!(
        masker.mask_data(&state).into_owned(),
        json!({"next": ["https://example.org/?key=****"]})
    );
}

proptest! {
    #[test]
    fn no_secret_remains_in_any_text(
        secrets in prop::collection::vec("[abé\"\\\\/ ]{4,12}", 1..5),
        filler in prop::collection::vec("[abé \"]{0,6}", 5),
    ) {
        let mut masker = Masker::default();
        secrets.iter().for_each(|secret| masker.add(secret));
        let mut text = String::new();
        for (at, filler) in filler.iter().enumerate() {
            text.push_str(&secrets[at % secrets.len()]);
            text.push_str(filler);
        }
        let masked = masker.mask(&text).into_owned();
        for secret in &secrets {
            prop_assert!(!masked.contains(secret.as_str()), "{text:?} -> {masked:?}");
        }
    }

    #[test]
    fn a_secret_is_found_in_base64_wherever_it_stands(
        before in "[a-z:]{0,7}", secret in "[A-Za-z0-9_/+-]{12,40}", after in "[a-z:]{0,7}",
    ) {
        let masker = masker(&[&secret]);
        let encoded = STANDARD_NO_PAD.encode(format!("{before}{secret}{after}"));
        let masked = masker.mask(&encoded).into_owned();
        // What may remain are the characters that the secret shares with its neighbours.
        let remains = masked.replace("****", "").len();
        prop_assert!(masked.contains("****"));
        prop_assert!(remains <= (before.len() + after.len()) * 4 / 3 + 4, "{encoded} -> {masked}");
    }
}
