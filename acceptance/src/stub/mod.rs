//! A small connector that does everything right, an API for it, and mutants of it that each do one
//! thing wrong: the proof that the suite finds what it says it finds.

pub mod api;
pub mod destination;
pub mod mutants;
pub mod source;

use serde_json::{Value, json};

/// The API token that the stub API accepts.
pub const API_TOKEN: &str = "sk_stub_4f9a1c7e2b8d6053";
/// The OAuth client that the stub API knows.
pub const CLIENT_ID: &str = "client-11c0ffee42";
/// The secret of that client.
pub const CLIENT_SECRET: &str = "cs_8d3b71f0a6e24c95+/=";
/// The refresh token that the user has got; each use gives another one, and all of them stay valid.
pub const REFRESH_TOKEN: &str = "rt_5e1d9c83b7a240f6";

/// How the stub connector authorizes itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// By access tokens that it gets for a refresh token.
    OAuth,
    /// By a token that never ends.
    ApiToken,
}

/// A configuration of the stub source for the API at this address: pages of ten rows.
pub fn source_config(api_url: &str, auth: Auth) -> Value {
    let credentials = match auth {
        Auth::OAuth => json!({
            "auth_type": "oauth2.0",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": REFRESH_TOKEN,
        }),
        Auth::ApiToken => json!({"auth_type": "api_token", "api_token": API_TOKEN}),
    };
    json!({"api_url": api_url, "credentials": credentials, "page_size": 10})
}
