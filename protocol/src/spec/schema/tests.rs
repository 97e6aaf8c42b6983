use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::config_schema;
use crate::secret::Secret;

/// # Demo
/// What it is
/// for.
///
/// More.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Config {
    /// # Log in
    credentials: Credentials,
    /// # Start date
    /// Nothing before it
    /// is read.
    #[schemars(regex(pattern = r"^[0-9]{4}$"), extend("pattern_descriptor" = "YYYY", "format" = "date"))]
    start_date: Option<String>,
    #[serde(default = "ten")]
    page_size: u8,
    #[schemars(range(min = 1, max = 50), extend("order" = 1))]
    workers: Option<u32>,
    lists: Option<Vec<String>>,
    #[serde(default)]
    mode: Option<Mode>,
    other_login: Option<Credentials>,
    #[serde(default)]
    nested: Nested,
    #[schemars(extend("airbyte_hidden" = true))]
    api_url: Option<String>,
}

fn ten() -> u8 {
    10
}

/// How it goes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Takes its
    /// time.
    Slow,
    Fast,
}

#[derive(Deserialize, JsonSchema, Default, serde::Serialize)]
struct Nested {
    depth: Option<i64>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "auth_type")]
#[expect(dead_code, reason = "only its schema is of interest")]
enum Credentials {
    /// # OAuth
    #[serde(rename = "oauth2.0")]
    OAuth { client_id: String, refresh_token: Secret },
    #[serde(rename = "api_key")]
    Key(Key),
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Key {
    api_key: Option<Secret>,
}

fn credentials(title: &str, order: u64) -> Value {
    json!({
        "title": title, "type": "object", "order": order,
        "oneOf": [
            {"type": "object", "title": "OAuth", "required": ["auth_type", "client_id", "refresh_token"],
             "properties": {
                "auth_type": {"type": "string", "const": "oauth2.0", "title": "Auth Type", "order": 0},
                "client_id": {"type": "string", "title": "Client Id", "order": 1},
                "refresh_token": {"type": "string", "title": "Refresh Token", "airbyte_secret": true, "order": 2},
            }},
            {"type": "object", "title": "Api Key", "required": ["auth_type"],
             "properties": {
                "auth_type": {"type": "string", "const": "api_key", "title": "Auth Type", "order": 0},
                "api_key": {"type": "string", "title": "Api Key", "airbyte_secret": true, "order": 1},
            }},
        ],
    })
}

#[test]
fn the_schema_follows_the_conventions() {
    let expected = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object", "title": "Demo", "description": "What it is for.\n\nMore.",
        "required": ["credentials"],
        "properties": {
            "credentials": credentials("Log in", 0),
            "start_date": {"type": "string", "title": "Start date", "description": "Nothing before it is read.",
                "pattern": "^[0-9]{4}$", "pattern_descriptor": "YYYY", "format": "date", "order": 2},
            "page_size": {"type": "integer", "title": "Page Size", "minimum": 0, "maximum": 255, "default": 10,
                "order": 3},
            "workers": {"type": "integer", "title": "Workers", "minimum": 1, "maximum": 50, "order": 1},
            "lists": {"type": "array", "items": {"type": "string"}, "title": "Lists", "order": 4},
            "mode": {"type": "string", "enum": ["fast", "slow"], "title": "Mode",
                "description": "How it goes.\n\n`slow`: Takes its time.", "order": 5},
            "other_login": credentials("Other Login", 6),
            "nested": {"type": "object", "title": "Nested", "order": 7,
                "properties": {"depth": {"type": "integer", "title": "Depth", "order": 0}}},
            "api_url": {"type": "string", "title": "Api Url", "airbyte_hidden": true, "order": 8},
        },
    });
    let schema = config_schema::<Config>();
    assert_eq!(schema, expected, "{schema:#}");
}

#[test]
fn the_order_of_the_text_is_the_order_of_the_struct() {
    let schema = config_schema::<Config>();
    let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert_eq!(names[..3], ["credentials", "start_date", "page_size"]);
    assert!(schema.to_string().starts_with(r#"{"$schema":"#));
}
