//! Logging in: four flows of OAuth 2.0 at the host that the org allows (docs "Authorize Apps
//! with OAuth").

use std::sync::Arc;

use airbyte_protocol::{Context, Error, Result, Secret};
use cdk::auth::{ClientAuth, Grant, Jwt, OAuth, SigningKey, TokenPaths};
use cdk::clock::Clock;
use cdk::http::{RetryPolicy, Transport};
use chrono::TimeDelta;
use serde_json::{Map, Value, json};
use url::Url;

use crate::config::{AuthType, Config, text};

/// Tokens without a stated end live as long as they are used: Salesforce prolongs a session
/// with each request (docs "Session Settings").
const UNTIL_REFUSED: TimeDelta = TimeDelta::days(3_650);
/// Seconds that a login assertion is good for; Salesforce allows a few minutes.
const ASSERTION: i64 = 180;

/// A source of access tokens for the configured flow.
///
/// # Errors
/// Config: the flow lacks a setting, or an address cannot be used.
pub fn oauth(
    config: &Config,
    context: &Context,
    transport: Arc<dyn Transport>,
    clock: Clock,
    policy: RetryPolicy,
) -> Result<OAuth> {
    let mut url = host(config)?;
    url.set_path(&format!("{}/services/oauth2/token", url.path().trim_end_matches('/')));
    let mut builder = OAuth::builder(url, grant(config)?)
        .default_lifetime(UNTIL_REFUSED)
        // Said when the same refresh token is used twice at a time (Help "Error: token request
        // is already being processed").
        .passing("already being processed")
        .policy(policy)
        .shutdown(context.shutdown.clone());
    if config.auth_type == AuthType::Client {
        builder = builder.keep_in_config(TokenPaths {
            refresh_token: vec!["refresh_token".into()],
            access_token: None,
            expires_at: None,
        });
    }
    let secret = given(&config.client_secret);
    builder = match (config.auth_type, secret) {
        // The assertion says who asks.
        (AuthType::Jwt, _) => builder,
        (_, Some(secret)) => builder.client(&config.client_id, secret, ClientAuth::Form),
        // A public client has no secret.
        (AuthType::Client, None) => builder.param("client_id", &config.client_id),
        (_, None) => return Err(missing(config.auth_type, "client_secret")),
    };
    Ok(builder.build(transport, clock, context.output.clone(), context.config.clone()))
}

fn grant(config: &Config) -> Result<Grant> {
    let kind = config.auth_type;
    let need = |value: Option<Secret>, name| value.ok_or_else(|| missing(kind, name));
    let username = || {
        text(config.username.as_deref()).map(str::to_owned).ok_or_else(|| missing(kind, "username"))
    };
    Ok(match kind {
        AuthType::Client => {
            Grant::RefreshToken(need(given(&config.refresh_token), "refresh_token")?)
        }
        AuthType::ClientCredentials => {
            if text(config.my_domain.as_deref()).is_none() && config.api_url.is_none() {
                return Err(missing(kind, "my_domain"));
            }
            Grant::ClientCredentials
        }
        AuthType::Jwt => {
            let claims = json!({
                "iss": config.client_id, "sub": username()?, "aud": audience(config),
            });
            let claims = claims.as_object().cloned().unwrap_or_else(Map::<String, Value>::new);
            let key = SigningKey::from_pem(&need(given(&config.private_key), "private_key")?)?;
            Grant::JwtBearer(Jwt { key, key_id: None, claims, lifetime: ASSERTION })
        }
        AuthType::Password => {
            let password = need(given(&config.password), "password")?;
            let token = given(&config.security_token);
            let token = token.as_ref().map(Secret::expose).unwrap_or_default();
            Grant::Password {
                username: username()?,
                password: Secret::new(format!("{}{token}", password.expose())),
            }
        }
    })
}

fn given(secret: &Option<Secret>) -> Option<Secret> {
    secret.clone().filter(|secret| !secret.expose().trim().is_empty())
}

fn missing(kind: AuthType, name: &str) -> Error {
    let kind = match kind {
        AuthType::Client => "Client",
        AuthType::Jwt => "JWT",
        AuthType::ClientCredentials => "ClientCredentials",
        AuthType::Password => "Password",
    };
    Error::config(format!("The login {kind} (auth_type) needs {name}: enter it."))
}

/// Whom assertions are meant for.
fn audience(config: &Config) -> &'static str {
    if config.is_sandbox { "https://test.salesforce.com" } else { "https://login.salesforce.com" }
}

/// The host that logs in.
fn host(config: &Config) -> Result<Url> {
    let own = text(config.api_url.as_deref()).or_else(|| text(config.my_domain.as_deref()));
    let Some(own) = own else { return address(audience(config)) };
    match own {
        url if url.contains("://") => address(url),
        host if host.contains('.') => address(&format!("https://{host}")),
        name => address(&format!("https://{name}.my.salesforce.com")),
    }
}

/// An address that secrets may go to: https, or this very machine.
///
/// # Errors
/// Config: it is another one, or none at all.
pub fn address(text: &str) -> Result<Url> {
    let url = Url::parse(text.trim())
        .map_err(|e| Error::config(format!("'{text}' is no address of a Salesforce org: {e}.")))?;
    let is_local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_local => Ok(url),
        _ => Err(Error::config(format!("'{text}' is no address that begins with https://."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_config;

    #[test]
    fn hosts() {
        for (settings, expected) in [
            (json!({}), "https://login.salesforce.com/"),
            (json!({ "is_sandbox": true }), "https://test.salesforce.com/"),
            (json!({ "my_domain": "acme" }), "https://acme.my.salesforce.com/"),
            (
                json!({ "my_domain": "acme--uat.sandbox.my.salesforce.com" }),
                "https://acme--uat.sandbox.my.salesforce.com/",
            ),
            (
                json!({ "my_domain": "https://acme.my.salesforce.com/" }),
                "https://acme.my.salesforce.com/",
            ),
            (json!({ "api_url": "http://127.0.0.1:80/sf" }), "http://127.0.0.1/sf"),
        ] {
            assert_eq!(host(&test_config(settings)).unwrap().as_str(), expected);
        }
        assert!(
            host(&test_config(json!({ "my_domain": "http://acme.my.salesforce.com" }))).is_err()
        );
    }

    #[test]
    fn each_flow_names_what_it_lacks() {
        for (settings, lacks) in [
            (json!({}), "refresh_token"),
            (json!({ "refresh_token": " " }), "refresh_token"),
            (json!({ "auth_type": "ClientCredentials" }), "my_domain"),
            (json!({ "auth_type": "JWT" }), "username"),
            (json!({ "auth_type": "JWT", "username": "u" }), "private_key"),
            (json!({ "auth_type": "Password", "username": "u" }), "password"),
        ] {
            let error = grant(&test_config(settings)).unwrap_err();
            assert!(error.message().contains(lacks), "{error}");
        }
    }
}
