//! Login: the OAuth 2.0 token endpoint, refresh token rotation, sessions and their end.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{self, KeyPair, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::error::Error;
use super::settings::LoginSettings;
use crate::api::{Call, Reply};
use crate::hash;

/// The consumer key of the app.
pub const CLIENT_ID: &str = "3MVG9sandboxConsumerKey";
/// The consumer secret of the app.
pub const CLIENT_SECRET: &str = "sandbox-consumer-secret-0123456789";
/// The refresh token that the user gave the app at first.
pub const REFRESH_TOKEN: &str = "5Aep861sandboxRefreshToken.0";
/// The user.
pub const USERNAME: &str = "integration@acme.example";
/// The user's password.
pub const PASSWORD: &str = "sandbox-password";
/// What a login by password appends to it.
pub const SECURITY_TOKEN: &str = "sandboxSecurityToken";
/// The private key for the JWT bearer flow. It opens nothing but this sandbox.
pub const PRIVATE_KEY: &str = include_str!("jwt_key.pem");

/// Milliseconds that an assertion may lie in the future.
const LONGEST_ASSERTION_S: i64 = 300;

/// Who may do what until when.
#[derive(Debug)]
pub struct Logins {
    org: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sessions: HashMap<String, Session>,
    /// The refresh token that is good now; None when it is revoked.
    refresh: Option<String>,
    used: HashSet<String>,
    /// When the refresh token was last posted, milliseconds.
    posted: Option<i64>,
    issued: u64,
}

#[derive(Debug)]
struct Session {
    /// Last use, unix milliseconds.
    used: i64,
    /// When a JWT token ends, unix milliseconds.
    ends: Option<i64>,
    by_refresh: bool,
}

impl Logins {
    /// Nobody is logged in yet.
    pub fn new(org: &str) -> Self {
        let state = State {
            sessions: HashMap::new(),
            refresh: Some(REFRESH_TOKEN.to_owned()),
            used: HashSet::new(),
            posted: None,
            issued: 0,
        };
        Self { org: org.to_owned(), state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers the token endpoint.
    pub fn token(&self, settings: &LoginSettings, call: &Call<'_>) -> Reply {
        let form = Form::parse(call.body);
        match self.grant(settings, call, &form) {
            Ok(body) => {
                let headers = vec![("cache-control", "no-store".to_owned())];
                let body = body.to_string().into_bytes().into();
                Reply { status: 200, headers, body, delay: None }
            }
            Err(error) => error.oauth_reply(),
        }
    }

    fn grant(
        &self,
        settings: &LoginSettings,
        call: &Call<'_>,
        form: &Form,
    ) -> Result<Value, Error> {
        if call.method != "POST" {
            return Err(Error::bad("unsupported_grant_type", "grant type not supported"));
        }
        match form.get("grant_type") {
            "refresh_token" => {
                client(form)?;
                let rotated = self.refresh(settings, form.get("refresh_token"), call.now_ms)?;
                let mut body = self.session(settings, call, true);
                if let Some(token) = rotated {
                    body["refresh_token"] = token.into();
                }
                Ok(body)
            }
            "client_credentials" => {
                client(form)?;
                if is_login_host(call) {
                    let message = "request not supported on this domain";
                    return Err(Error::bad("invalid_grant", message));
                }
                if !settings.run_as {
                    let message = "no client credentials user enabled";
                    return Err(Error::bad("invalid_grant", message));
                }
                Ok(self.session(settings, call, false))
            }
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => {
                assertion(form.get("assertion"), call)?;
                Ok(self.session(settings, call, false))
            }
            "password" => {
                client(form)?;
                let password = format!("{PASSWORD}{SECURITY_TOKEN}");
                let right = form.get("username") == USERNAME && form.get("password") == password;
                if !right || !settings.password {
                    return Err(Error::bad("invalid_grant", "authentication failure"));
                }
                Ok(self.session(settings, call, false))
            }
            _ => Err(Error::bad("unsupported_grant_type", "grant type not supported")),
        }
    }

    /// Uses a refresh token; with rotation returns the next one.
    fn refresh(
        &self,
        settings: &LoginSettings,
        token: &str,
        now: i64,
    ) -> Result<Option<String>, Error> {
        let dead = || Error::bad("invalid_grant", "expired access/refresh token");
        let mut state = self.state();
        if state.used.contains(token) {
            // Whoever uses a token again may have stolen it.
            state.refresh = None;
            state.sessions.retain(|_, session| !session.by_refresh);
            return Err(dead());
        }
        if state.refresh.as_deref() != Some(token) {
            return Err(dead());
        }
        if state.posted.is_some_and(|posted| now - posted < settings.busy_ms) {
            let message = "token request is already being processed";
            return Err(Error::bad("invalid_grant", message));
        }
        state.posted = Some(now);
        if !settings.rotate {
            return Ok(None);
        }
        state.used.insert(token.to_owned());
        state.issued += 1;
        let next = format!("5Aep861sandboxRefreshToken.{}", state.issued);
        state.refresh = Some(next.clone());
        state.posted = None;
        Ok(Some(next))
    }

    fn session(&self, settings: &LoginSettings, call: &Call<'_>, by_refresh: bool) -> Value {
        let mut state = self.state();
        state.issued += 1;
        let random = format!("{:016x}", hash::join(state.issued, call.number));
        let ends = (settings.jwt_minutes > 0).then(|| call.now_ms + settings.jwt_minutes * 60_000);
        let token = match ends {
            None => format!("{}!AQ{random}", &self.org[..15]),
            Some(ends) => {
                let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
                let head = part(json!({"alg": "RS256", "typ": "JWT"}));
                let claims =
                    json!({"iat": call.now_ms / 1000, "exp": ends / 1000, "sub": USERNAME});
                format!("{head}.{}.{random}", part(claims))
            }
        };
        let session = Session { used: call.now_ms, ends, by_refresh };
        state.sessions.insert(token.clone(), session);
        let base = instance_url(call);
        json!({
            "access_token": token,
            "signature": BASE64_STANDARD.encode(&random),
            "scope": "refresh_token web api",
            "instance_url": base,
            "id": format!("{base}/id/{}/{}", self.org, super::ids::id("005", 0)),
            "token_type": "Bearer",
            "issued_at": call.now_ms.to_string(),
        })
    }

    /// Whether the call carries a session that is alive; using it keeps it alive.
    pub fn check(&self, settings: &LoginSettings, call: &Call<'_>) -> Result<(), Error> {
        let token = bearer(call)?;
        let mut state = self.state();
        let alive = match state.sessions.get_mut(token) {
            None => false,
            Some(Session { ends: Some(ends), .. }) => call.now_ms < *ends,
            Some(session) => {
                let alive = call.now_ms - session.used < settings.session_seconds * 1000;
                session.used = call.now_ms;
                alive
            }
        };
        if alive {
            return Ok(());
        }
        state.sessions.remove(token);
        if token.matches('.').count() == 2 {
            return Err(Error::new(
                401,
                "INVALID_JWT_FORMAT",
                "The JWT token is invalid or expired",
            ));
        }
        Err(Error::new(401, "INVALID_SESSION_ID", "Session expired or invalid"))
    }

    /// Ends the session of a call.
    pub fn expire(&self, call: &Call<'_>) {
        if let Ok(token) = bearer(call) {
            self.state().sessions.remove(token);
        }
    }

    /// Ends all sessions; returns how many there were.
    pub fn expire_all(&self) -> usize {
        std::mem::take(&mut self.state().sessions).len()
    }

    /// Revokes the refresh token and its sessions.
    pub fn revoke(&self) {
        let mut state = self.state();
        state.refresh = None;
        state.sessions.retain(|_, session| !session.by_refresh);
    }

    /// The user allows the app again: a new refresh token.
    pub fn authorize(&self) -> String {
        let mut state = self.state();
        state.issued += 1;
        let token = format!("5Aep861sandboxRefreshToken.{}", state.issued);
        state.refresh = Some(token.clone());
        token
    }

    /// The refresh token that is good now.
    pub fn refresh_token(&self) -> Option<String> {
        self.state().refresh.clone()
    }
}

fn bearer<'a>(call: &'a Call<'_>) -> Result<&'a str, Error> {
    let header = call.header("authorization").unwrap_or_default();
    let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("OAuth "));
    token.filter(|t| !t.is_empty()).ok_or_else(|| {
        Error::new(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE: no bearer token")
    })
}

/// Where API calls go: the org's own domain if the client thinks to talk to Salesforce.
fn instance_url(call: &Call<'_>) -> String {
    let host = call.header("host").unwrap_or_default();
    let is_vendor = host.split(':').next().is_some_and(|h| h.ends_with(".salesforce.com"));
    if is_vendor { "https://acme.my.salesforce.com".to_owned() } else { call.base.to_owned() }
}

/// The hosts that only log in, by the Host header or in the path.
fn is_login_host(call: &Call<'_>) -> bool {
    let place = format!("{}{}", call.header("host").unwrap_or_default(), call.path);
    place.contains("login.salesforce.com") || place.contains("test.salesforce.com")
}

fn client(form: &Form) -> Result<(), Error> {
    if form.get("client_id") != CLIENT_ID {
        return Err(Error::bad("invalid_client_id", "client identifier invalid"));
    }
    if form.get("client_secret") != CLIENT_SECRET {
        return Err(Error::bad("invalid_client", "invalid client credentials"));
    }
    Ok(())
}

/// Checks an assertion: RS256 by the app's key, issuer, subject, audience, time.
fn assertion(text: &str, call: &Call<'_>) -> Result<(), Error> {
    let invalid = || Error::bad("invalid_grant", "invalid assertion");
    let (signed, signature) = text.rsplit_once('.').ok_or_else(invalid)?;
    let (head, claims) = signed.split_once('.').ok_or_else(invalid)?;
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| invalid())?;
    if json(head).ok_or_else(invalid)?["alg"] != "RS256" {
        return Err(invalid());
    }
    let key = private_key().ok_or_else(invalid)?;
    let public = UnparsedPublicKey::new(
        &signature::RSA_PKCS1_2048_8192_SHA256,
        key.public_key().as_ref().to_vec(),
    );
    public.verify(signed.as_bytes(), &signature).map_err(|_| invalid())?;
    let claims = json(claims).ok_or_else(invalid)?;
    if claims["iss"] != CLIENT_ID {
        return Err(Error::bad("invalid_client_id", "client identifier invalid"));
    }
    if claims["sub"] != USERNAME {
        return Err(Error::bad("invalid_grant", "user hasn't approved this consumer"));
    }
    let audience = claims["aud"].as_str().unwrap_or_default().trim_end_matches('/');
    let known = ["https://login.salesforce.com", "https://test.salesforce.com"];
    if !known.contains(&audience) && audience != call.base && audience != instance_url(call) {
        return Err(Error::bad("invalid_grant", "audience is invalid"));
    }
    let ends = claims["exp"].as_i64().unwrap_or_default();
    if ends <= call.now || ends > call.now + LONGEST_ASSERTION_S {
        return Err(invalid());
    }
    Ok(())
}

fn private_key() -> Option<RsaKeyPair> {
    let base64: String = PRIVATE_KEY.lines().filter(|l| !l.starts_with('-')).collect();
    RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(base64).ok()?).ok()
}

/// An `application/x-www-form-urlencoded` body.
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(body: &[u8]) -> Self {
        Self(super::query::pairs(&String::from_utf8_lossy(body)))
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}
