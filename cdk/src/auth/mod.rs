//! How requests are authorized.

mod jwt;
mod oauth;

use airbyte_protocol::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::http::{Failure, Request};

pub use jwt::{Jwt, SigningKey};
pub use oauth::{ClientAuth, Grant, OAuth, OAuthBuilder, TokenPaths};

/// How requests prove who asks.
#[derive(Debug, Clone)]
pub enum Auth {
    /// They do not.
    None,
    /// `Authorization: Bearer TOKEN` with a token that does not change.
    Bearer(Secret),
    /// `Authorization: Basic`.
    Basic {
        /// The user name.
        user: Secret,
        /// The password; may be empty.
        password: Secret,
    },
    /// A key in a header of the API's own.
    Header {
        /// The header's name, in lower case.
        name: &'static str,
        /// The key.
        key: Secret,
    },
    /// A key in a query parameter.
    Query {
        /// The parameter's name.
        name: &'static str,
        /// The key.
        key: Secret,
    },
    /// Access tokens by OAuth 2.0, renewed before they expire.
    OAuth(OAuth),
}

/// Which token a request was sent with, so that a refusal is held against that token and
/// not against one that has replaced it meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenVersion(pub(crate) u64);

impl Auth {
    /// Puts the credentials into a request that is about to be sent.
    ///
    /// # Errors
    /// When no token can be had.
    pub async fn authorize(&self, request: &mut Request) -> Result<TokenVersion, Failure> {
        let mut version = TokenVersion::default();
        match self {
            Auth::None => {}
            Auth::Bearer(token) => bearer(request, token.expose()),
            Auth::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
                put(request, AUTHORIZATION, &format!("Basic {pair}"));
            }
            Auth::Header { name, key } => {
                put(request, HeaderName::from_static(name), key.expose());
            }
            Auth::Query { name, key } => {
                request.query.push(((*name).into(), key.expose().to_owned()));
            }
            Auth::OAuth(oauth) => {
                let (token, current) = oauth.token().await?;
                bearer(request, token.expose());
                version = current;
            }
        }
        Ok(version)
    }

    /// The server refused the token of `version`: gets a new one. `false` when there is
    /// nothing to renew, so that the refusal is final.
    ///
    /// # Errors
    /// When the new token cannot be had.
    pub async fn renew(&self, version: TokenVersion) -> Result<bool, Failure> {
        match self {
            Auth::OAuth(oauth) => oauth.renew(version).await.map(|()| true),
            _ => Ok(false),
        }
    }
}

fn bearer(request: &mut Request, token: &str) {
    put(request, AUTHORIZATION, &format!("Bearer {token}"));
}

/// A credential that cannot stand in a header (a stray newline, say) is left out: the
/// server's refusal then leads to the message about wrong credentials.
fn put(request: &mut Request, name: HeaderName, value: &str) {
    if let Ok(mut value) = HeaderValue::from_str(value.trim()) {
        value.set_sensitive(true);
        request.headers.insert(name, value);
    }
}
