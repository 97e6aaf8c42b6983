//! OAuth 2.0 access tokens: got once, shared by all tasks, renewed before they expire.
//!
//! Grants: refresh token (also single-use ones that rotate), client credentials, JWT
//! bearer (RFC 7523) and resource owner password. See RFC 6749.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use airbyte_protocol::{Error, FailureType, Output, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::info;
use url::Url;

use super::{Jwt, TokenVersion};
use crate::clock::Clock;
use crate::http::{
    Body, Broken, Failure, Request, Response, RetryPolicy, Transport, common_error, http_date,
    retry_after, stopped,
};
use crate::json;

/// What is exchanged for an access token.
#[derive(Debug, Clone)]
pub enum Grant {
    /// A refresh token; the server may answer with a new one that replaces it.
    RefreshToken(Secret),
    /// The client's own id and secret.
    ClientCredentials,
    /// A signed assertion.
    JwtBearer(Jwt),
    /// A user's name and password.
    Password {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
}

/// How the client proves itself to the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the form.
    Form,
    /// HTTP Basic.
    Basic,
}

/// Where the config keeps tokens, so that rotated ones can be handed back to the
/// platform. Each is a path of keys.
#[derive(Debug, Clone)]
pub struct TokenPaths {
    /// The refresh token.
    pub refresh_token: Vec<String>,
    /// The access token, if the config keeps it.
    pub access_token: Option<Vec<String>>,
    /// When the access token expires (RFC 3339), if the config keeps it.
    pub expires_at: Option<Vec<String>>,
}

/// A source of access tokens. Clones share the token.
#[derive(Clone)]
pub struct OAuth(Arc<Inner>);

struct Inner {
    settings: Settings,
    transport: Arc<dyn Transport>,
    clock: Clock,
    output: Output,
    token: RwLock<Option<Token>>,
    /// Held while a token is being got: the others wait for that one.
    renewal: Mutex<Renewal>,
}

struct Settings {
    token_url: Url,
    client: Option<(String, Secret, ClientAuth)>,
    params: Vec<(String, String)>,
    paths: Option<TokenPaths>,
    default_lifetime: TimeDelta,
    passing: Vec<&'static str>,
    policy: RetryPolicy,
    shutdown: CancellationToken,
}

struct Renewal {
    grant: Grant,
    config: Value,
    /// What the server said when it refused the grant for good: asking again could get the
    /// account locked, and cannot help.
    refused: Option<Failure>,
}

#[derive(Clone)]
struct Token {
    secret: Secret,
    expires_at: DateTime<Utc>,
    /// From when on it is renewed ahead of its end.
    renew_at: DateTime<Utc>,
    version: TokenVersion,
    answer: Arc<Map<String, Value>>,
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth")
            .field("token_url", &self.0.settings.token_url.as_str())
            .finish_non_exhaustive()
    }
}

/// The parts of an [`OAuth`], to be named one by one.
pub struct OAuthBuilder {
    settings: Settings,
    grant: Grant,
    initial: Option<(Secret, DateTime<Utc>)>,
}

impl OAuthBuilder {
    /// The client's id and secret and where they go.
    pub fn client(mut self, id: impl Into<String>, secret: Secret, how: ClientAuth) -> Self {
        self.settings.client = Some((id.into(), secret, how));
        self
    }

    /// A further form parameter, such as `scope` or `audience`.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        self.settings.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where the config keeps tokens: a rotated refresh token leaves as a CONTROL message
    /// with the whole config before the new access token is used.
    pub fn keep_in_config(mut self, paths: TokenPaths) -> Self {
        self.settings.paths = Some(paths);
        self
    }

    /// An access token from the config that is good until `expires_at`.
    pub fn start_with(mut self, token: Secret, expires_at: DateTime<Utc>) -> Self {
        self.initial = Some((token, expires_at));
        self
    }

    /// Lifetime of tokens that do not state it, neither in the answer (`expires_in`) nor in
    /// themselves (the `exp` of a JWT); an hour unless given.
    pub fn default_lifetime(mut self, lifetime: TimeDelta) -> Self {
        self.settings.default_lifetime = lifetime;
        self
    }

    /// Words in a refusal that mean a passing trouble, so that asking again may help.
    pub fn passing(mut self, words: &'static str) -> Self {
        self.settings.passing.push(words);
        self
    }

    /// When to give up asking the token endpoint.
    pub fn policy(mut self, policy: RetryPolicy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// The signal to stop, which ends waits between attempts at the token endpoint. An
    /// attempt that was begun is brought to its end, since it may rotate a token.
    pub fn shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.settings.shutdown = shutdown;
        self
    }

    /// Puts it together. `config` is the whole config as given.
    pub fn build(
        self,
        transport: Arc<dyn Transport>,
        clock: Clock,
        output: Output,
        config: Value,
    ) -> OAuth {
        if let Grant::RefreshToken(token) = &self.grant {
            output.add_secret(token.expose());
        }
        let token = self.initial.map(|(secret, expires_at)| {
            output.add_secret(secret.expose());
            Token {
                secret,
                expires_at,
                renew_at: expires_at - TimeDelta::minutes(1),
                version: TokenVersion(1),
                answer: Arc::default(),
            }
        });
        OAuth(Arc::new(Inner {
            settings: self.settings,
            transport,
            clock,
            output,
            token: RwLock::new(token),
            renewal: Mutex::new(Renewal { grant: self.grant, config, refused: None }),
        }))
    }
}

impl OAuth {
    /// Tokens from `token_url` in exchange for `grant`.
    pub fn builder(token_url: Url, grant: Grant) -> OAuthBuilder {
        let settings = Settings {
            token_url,
            client: None,
            params: Vec::new(),
            paths: None,
            default_lifetime: TimeDelta::hours(1),
            passing: Vec::new(),
            policy: RetryPolicy::default(),
            shutdown: CancellationToken::new(),
        };
        OAuthBuilder { settings, grant, initial: None }
    }

    /// An access token that is good for a while yet.
    ///
    /// # Errors
    /// Config: the server refuses the grant. Transient: it cannot be reached.
    pub async fn token(&self) -> Result<(Secret, TokenVersion), Failure> {
        if let Some(token) = self.fresh() {
            return Ok((token.secret, token.version));
        }
        let renewed = self.renew_unless(|oauth| oauth.fresh().is_some()).await;
        match (renewed, self.current()) {
            (Ok(()), Some(token)) => Ok((token.secret, token.version)),
            // An early renewal that fails is no loss while the old token is still good.
            (Err(failure), Some(token))
                if failure.error.kind() == FailureType::Transient
                    && self.0.clock.now() < token.expires_at =>
            {
                Ok((token.secret, token.version))
            }
            (Err(failure), _) => Err(failure),
            (Ok(()), None) => Err(Error::system("There is no access token.").into()),
        }
    }

    /// Replaces the token of `refused`, unless another task has done so already.
    ///
    /// # Errors
    /// As [`OAuth::token`].
    pub async fn renew(&self, refused: TokenVersion) -> Result<(), Failure> {
        self.renew_unless(move |oauth| {
            oauth.current().is_some_and(|token| token.version != refused)
        })
        .await
    }

    /// Gets a new token, one task at a time, unless `is_done` says that another one did.
    ///
    /// The work goes on when nobody waits for it any more: the server may have replaced the
    /// refresh token already, and what it gave instead must not be lost.
    async fn renew_unless(
        &self,
        is_done: impl Fn(&OAuth) -> bool + Send + 'static,
    ) -> Result<(), Failure> {
        let oauth = self.clone();
        let work = tokio::spawn(async move {
            let mut renewal = oauth.0.renewal.lock().await;
            if is_done(&oauth) { Ok(()) } else { oauth.exchange(&mut renewal).await }
        });
        work.await.unwrap_or_else(|e| {
            Err(Error::system("The login ended abnormally.").with_internal(e.to_string()).into())
        })
    }

    /// A field of the last token answer, such as Salesforce's `instance_url`.
    pub fn answer(&self, field: &str) -> Option<Value> {
        self.current()?.answer.get(field).cloned()
    }

    fn current(&self) -> Option<Token> {
        self.0.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The current token, unless it is time to renew it.
    fn fresh(&self) -> Option<Token> {
        self.current().filter(|token| self.0.clock.now() < token.renew_at)
    }

    async fn exchange(&self, renewal: &mut Renewal) -> Result<(), Failure> {
        if let Some(refused) = &renewal.refused {
            return Err(refused.clone());
        }
        let answer = match self.ask(&renewal.grant).await {
            Ok(answer) => answer,
            Err(failure) => {
                let is_final = failure.error.kind() == FailureType::Config;
                renewal.refused = is_final.then(|| failure.clone());
                return Err(failure);
            }
        };
        let Some(secret) = answer.get("access_token").and_then(Value::as_str) else {
            return Err(
                Error::system("The token endpoint answered without an access token.").into()
            );
        };
        let secret = Secret::new(secret);
        self.0.output.add_secret(secret.expose());
        let now = self.0.clock.now();
        let lifetime = answer
            .get("expires_in")
            .and_then(seconds)
            .or_else(|| lifetime(secret.expose(), self.0.clock.server_now()))
            .unwrap_or(self.0.settings.default_lifetime);
        let expires_at = now + lifetime;
        let token = Token {
            renew_at: expires_at - (lifetime / 10).min(TimeDelta::minutes(5)),
            expires_at,
            version: TokenVersion(self.current().map_or(0, |token| token.version.0) + 1),
            answer: Arc::new(answer),
            secret,
        };
        self.rotate(renewal, &token).await;
        *self.0.token.write().unwrap_or_else(PoisonError::into_inner) = Some(token);
        Ok(())
    }

    /// Hands a rotated refresh token to the platform before anything uses what came with it.
    async fn rotate(&self, renewal: &mut Renewal, token: &Token) {
        let Some(rotated) = token.answer.get("refresh_token").and_then(Value::as_str) else {
            return;
        };
        let Grant::RefreshToken(known) = &renewal.grant else { return };
        if known.expose() == rotated {
            return;
        }
        self.0.output.add_secret(rotated);
        renewal.grant = Grant::RefreshToken(Secret::new(rotated));
        let Some(paths) = &self.0.settings.paths else { return };
        json::set(&mut renewal.config, &paths.refresh_token, rotated.into());
        if let Some(path) = &paths.access_token {
            json::set(&mut renewal.config, path, token.secret.expose().into());
        }
        if let Some(path) = &paths.expires_at {
            let at = token.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            json::set(&mut renewal.config, path, at.into());
        }
        self.0.output.control(&renewal.config).await;
    }

    /// Asks the token endpoint, again where that may help.
    async fn ask(&self, grant: &Grant) -> Result<Map<String, Value>, Failure> {
        let policy = &self.0.settings.policy;
        let mut failed = 0;
        loop {
            let sent = self.0.transport.send(self.request(grant)?).await;
            let answer = match sent {
                Ok(incoming) => incoming.complete().await,
                Err(broken) => Err(broken),
            };
            if let Some(date) = answer.as_ref().ok().and_then(|a| http_date(a.header("date")?)) {
                self.0.clock.observe_server(date);
            }
            let (error, wait) = match answer {
                Ok(response) if response.status == 200 => {
                    match serde_json::from_slice(&response.body) {
                        Ok(fields) => return Ok(fields),
                        Err(e) => (unusable(&response, &e.to_string()), None),
                    }
                }
                Ok(response) if !self.worth_retrying(&response) => {
                    return Err(refused(&response).into());
                }
                Ok(response) => {
                    let told = response
                        .header("retry-after")
                        .and_then(|v| retry_after(v, self.0.clock.now()));
                    // What passes takes a moment; who asks at once is refused for the same reason.
                    let moment = || Duration::from_secs_f64(1.0 + fastrand::f64());
                    let wait = told.or_else(|| self.is_passing(&response).then(moment));
                    (unusable(&response, ""), wait)
                }
                Err(Broken::Refused(why)) => {
                    return Err(Error::config(format!(
                        "The token endpoint cannot be used: {why}."
                    ))
                    .into());
                }
                Err(Broken::Network(why)) => (
                    Error::transient(format!("The token endpoint cannot be reached: {why}.")),
                    None,
                ),
            };
            failed += 1;
            if failed >= policy.attempts {
                return Err(error.into());
            }
            let wait = wait.unwrap_or_else(|| policy.delay(failed)).max(Duration::from_millis(1));
            info!(
                "{} Attempt {} of {} follows in {:.1} s.",
                error.message(),
                failed + 1,
                policy.attempts,
                wait.as_secs_f64()
            );
            tokio::select! {
                () = self.0.clock.sleep(wait) => {}
                () = self.0.settings.shutdown.cancelled() => return Err(stopped().into()),
            }
        }
    }

    fn worth_retrying(&self, response: &Response) -> bool {
        matches!(response.status, 200 | 408 | 429 | 500..=599) || self.is_passing(response)
    }

    fn is_passing(&self, response: &Response) -> bool {
        let said = common_error(response).message.unwrap_or_default().to_lowercase();
        self.0.settings.passing.iter().any(|words| said.contains(&words.to_lowercase()))
    }

    fn request(&self, grant: &Grant) -> Result<Request, Failure> {
        let settings = &self.0.settings;
        let mut form: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: &str| form.push((name.to_owned(), value.to_owned()));
        match grant {
            Grant::RefreshToken(token) => {
                add("grant_type", "refresh_token");
                add("refresh_token", token.expose());
            }
            Grant::ClientCredentials => add("grant_type", "client_credentials"),
            Grant::JwtBearer(jwt) => {
                add("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                add("assertion", &jwt.sign(self.0.clock.now().timestamp())?);
            }
            Grant::Password { username, password } => {
                add("grant_type", "password");
                add("username", username);
                add("password", password.expose());
            }
        }
        settings.params.iter().for_each(|(name, value)| add(name, value));
        let mut request = Request::new(Method::POST, settings.token_url.clone())
            .header("accept", "application/json");
        match &settings.client {
            Some((id, secret, ClientAuth::Form)) => {
                add("client_id", id);
                add("client_secret", secret.expose());
            }
            Some((id, secret, ClientAuth::Basic)) => {
                let pair = STANDARD.encode(format!("{id}:{}", secret.expose()));
                request = request.header("authorization", &format!("Basic {pair}"));
            }
            None => {}
        }
        request.body = Body::Form(form);
        Ok(request)
    }
}

fn seconds(value: &Value) -> Option<TimeDelta> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok())?;
    TimeDelta::try_seconds(seconds.clamp(1, 10 * 365 * 86_400))
}

/// How long an access token is good for that says so itself, as JWTs do (RFC 7519, `exp`):
/// from when it was made (`iat`), or else from the server's present, since the clock here may
/// be another.
fn lifetime(token: &str, now: DateTime<Utc>) -> Option<TimeDelta> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let from = claims.get("iat").and_then(Value::as_i64).unwrap_or(now.timestamp());
    seconds(&claims.get("exp")?.as_i64()?.checked_sub(from)?.into())
}

fn refused(response: &Response) -> Error {
    let said = common_error(response);
    let words = [said.code, said.message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    let words = if words.is_empty() { format!("HTTP {}", response.status) } else { words };
    Error::config(format!(
        "The login was refused ({words}). Authenticate again, or correct the client id, client secret and token in the configuration."
    ))
    .with_internal(response.excerpt())
}

fn unusable(response: &Response, why: &str) -> Error {
    Error::transient(format!(
        "The token endpoint answered with HTTP {} and no usable token.",
        response.status
    ))
    .with_internal(format!("{why} {}", response.excerpt()))
}
