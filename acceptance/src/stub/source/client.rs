//! The stub source's way to its API: one request after the other, repeated when that may help.

use std::time::Duration;

use airbyte_protocol::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::output::{Output, now_ms};
use crate::stub::mutants::{Fault, Mutation};

/// How often a request is sent before it is given up.
const ATTEMPTS: u32 = 6;
/// The first pause; each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause that an API may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// The characters of an answer that are kept for engineers.
const EXCERPT: usize = 300;

/// The API, as seen by one process.
pub struct Client<'a> {
    http: reqwest::Client,
    config: Value,
    token: Option<String>,
    output: &'a Output,
    mutation: Mutation,
}

/// What came of sending a request once.
enum Trouble {
    /// 429, with its Retry-After.
    Limited(Option<Duration>),
    /// 5xx or 408.
    Outage(u16),
    /// No connection, or one that broke before the body.
    Broken(String),
    /// The body broke off.
    Cut(String),
    /// No answer in time.
    TimedOut,
    /// An answer that is no JSON.
    NoJson(String),
    /// 401.
    Unauthorized(String),
    /// 403.
    Forbidden(String),
    /// Any other answer.
    Refused(u16, String),
}

/// A request.
struct Call<'a> {
    path: &'a str,
    query: &'a [(&'a str, String)],
    form: Option<&'a [(&'a str, String)]>,
}

impl<'a> Client<'a> {
    /// A client for this configuration. Error: the address is none, or must not be asked in the
    /// cloud edition.
    pub fn new(config: Value, output: &'a Output, mutation: Mutation) -> Result<Self> {
        guard(config["api_url"].as_str().unwrap_or_default(), mutation)?;
        for key in ["client_id", "client_secret", "refresh_token", "api_token"] {
            if let Some(secret) = config["credentials"][key].as_str() {
                output.hide(secret);
            }
        }
        let wait = if mutation.is(Fault::Impatient) { 200 } else { 20_000 };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_millis(wait))
            .tcp_nodelay(true)
            .build()
            .map_err(|e| Error::system("There is no HTTP.").with_internal(e.to_string()))?;
        let token = config["credentials"]["api_token"].as_str().map(str::to_owned);
        Ok(Self { http, config, token, output, mutation })
    }

    /// Rows per request.
    pub fn page_size(&self) -> u64 {
        self.config["page_size"].as_u64().unwrap_or(20)
    }

    /// From when on users are read.
    pub fn start_date(&self) -> Option<&str> {
        self.config["start_date"].as_str()
    }

    /// The answer to a request. `announce` is told of each wait for a rate limit.
    pub async fn get(
        &mut self,
        path: &str,
        query: &[(&str, String)],
        announce: &dyn Fn(Option<Duration>),
    ) -> Result<Value> {
        if self.token.is_none() {
            self.renew(announce).await?;
        }
        self.leak_token();
        let call = Call { path, query, form: None };
        let mut has_renewed = false;
        loop {
            match self.call(&call, announce).await {
                Err(Trouble::Unauthorized(_))
                    if !has_renewed
                        && self.config["credentials"]["refresh_token"].is_string()
                        && !self.mutation.is(Fault::TokenNotRenewed) =>
                {
                    has_renewed = true;
                    self.renew(announce).await?;
                }
                Err(Trouble::Forbidden(_)) if self.mutation.is(Fault::RefusalIsEmpty) => {
                    return Ok(no_rows());
                }
                Ok(answer) => return Ok(answer),
                Err(trouble) => return Err(self.error(&trouble, path)),
            }
        }
    }

    /// Gets an access token for the refresh token, and tells the platform of the next one.
    async fn renew(&mut self, announce: &dyn Fn(Option<Duration>)) -> Result<()> {
        let text =
            |key: &str| self.config["credentials"][key].as_str().unwrap_or_default().to_owned();
        let form = [
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", text("client_id")),
            ("client_secret", text("client_secret")),
            ("refresh_token", text("refresh_token")),
        ];
        let call = Call { path: "/oauth/token", query: &[], form: Some(&form) };
        let answer = self.call(&call, announce).await.map_err(|trouble| match trouble {
            Trouble::Unauthorized(body) | Trouble::Refused(400, body) => {
                Error::config("The OAuth credentials were refused. Authorize the connector anew.")
                    .with_internal(format!("POST /oauth/token: {body}"))
            }
            other => self.error(&other, "/oauth/token"),
        })?;
        let Some(access) = answer["access_token"].as_str() else {
            return Err(Error::system("The API gave no access token."));
        };
        self.output.hide(access);
        self.token = Some(access.to_owned());
        if let Some(refresh) = answer["refresh_token"].as_str() {
            self.output.hide(refresh);
            self.config["credentials"]["refresh_token"] = refresh.into();
            self.print_config();
        }
        Ok(())
    }

    fn print_config(&self) {
        let config = if self.mutation.is(Fault::ControlLeavesOut) {
            json!({"credentials": {"refresh_token": self.config["credentials"]["refresh_token"]}})
        } else {
            self.config.clone()
        };
        self.output.send(json!({
            "type": "CONTROL",
            "control": {
                "type": "CONNECTOR_CONFIG",
                "emitted_at": now_ms() as f64,
                "connectorConfig": {"config": config},
            },
        }));
    }

    /// What the mutants of rule O05 do.
    fn leak_token(&self) {
        let Some(token) = &self.token else { return };
        if self.mutation.is(Fault::SecretInLog) {
            self.output.log_as_it_is("INFO", &format!("The token is {token}."));
        } else if self.mutation.is(Fault::SecretInLogBase64) {
            let header = STANDARD.encode(format!("Bearer {token}"));
            self.output.log_as_it_is("DEBUG", &format!("The header is {header}."));
        }
    }

    /// The secret that mutants show: the token of the configuration.
    pub fn secret(&self) -> &str {
        let credentials = &self.config["credentials"];
        let secret = credentials["api_token"].as_str().or(credentials["client_secret"].as_str());
        secret.unwrap_or_default()
    }

    /// Sends a request until it is answered, or cannot be.
    async fn call(
        &self,
        call: &Call<'_>,
        announce: &dyn Fn(Option<Duration>),
    ) -> Result<Value, Trouble> {
        let mut attempt = 1;
        self.output.debug(&format!("{} is asked.", call.path));
        loop {
            let trouble = match self.send(call).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            let is_empty = match &trouble {
                Trouble::Cut(_) => self.mutation.is(Fault::CutPageDropped),
                Trouble::NoJson(_) => self.mutation.is(Fault::HtmlIsEmptyPage),
                _ => false,
            };
            if is_empty {
                return Ok(no_rows());
            }
            let Some(pause) = self.pause(&trouble, attempt) else { return Err(trouble) };
            let is_limited = matches!(trouble, Trouble::Limited(_));
            if is_limited {
                announce(Some(pause));
            }
            self.output.debug(&format!("{} is asked again in {pause:?}.", call.path));
            tokio::time::sleep(pause).await;
            if is_limited {
                announce(None);
            }
            attempt += 1;
        }
    }

    /// How long to wait before the next attempt; `None` when there is to be none.
    fn pause(&self, trouble: &Trouble, attempt: u32) -> Option<Duration> {
        let is = |fault| self.mutation.is(fault);
        let asked = match trouble {
            Trouble::Limited(Some(_)) if is(Fault::LimitFatal) => return None,
            Trouble::Limited(None) if is(Fault::RetryAfterRequired) => return None,
            Trouble::Outage(_) if is(Fault::OutageFatal) => return None,
            Trouble::Broken(_) | Trouble::Cut(_) if is(Fault::ResetFatal) => return None,
            Trouble::Limited(asked) => *asked,
            // Waiting for it took long enough.
            Trouble::TimedOut if attempt >= 2 && !is(Fault::Impatient) => return None,
            Trouble::Outage(_)
            | Trouble::Broken(_)
            | Trouble::Cut(_)
            | Trouble::TimedOut
            | Trouble::NoJson(_) => None,
            Trouble::Unauthorized(_) | Trouble::Forbidden(_) | Trouble::Refused(..) => return None,
        };
        if is(Fault::NeverGivesUp) {
            return Some(asked.unwrap_or(FIRST_PAUSE));
        }
        if is(Fault::Hammers) {
            return (attempt < 100).then_some(Duration::ZERO);
        }
        if attempt >= ATTEMPTS || asked.is_some_and(|asked| asked > LONGEST_PAUSE) {
            return None;
        }
        let own = FIRST_PAUSE * 2_u32.pow(attempt - 1);
        let own = own + own.mul_f64(fastrand::f64() * 0.2);
        if is(Fault::RetryAfterIgnored) {
            return Some(own);
        }
        Some(asked.unwrap_or(own).max(own))
    }

    /// Sends a request once.
    async fn send(&self, call: &Call<'_>) -> Result<Value, Trouble> {
        let base = self.config["api_url"].as_str().unwrap_or_default().trim_end_matches('/');
        let url = format!("{base}{}", call.path);
        let request = match call.form {
            Some(form) => self.http.post(url).form(form),
            None => {
                let token = self.token.as_deref().unwrap_or_default();
                self.http.get(url).bearer_auth(token).query(call.query)
            }
        };
        let broken = |error: reqwest::Error| {
            if error.is_timeout() { Trouble::TimedOut } else { Trouble::Broken(chain(&error)) }
        };
        let response = request.send().await.map_err(broken)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(retry_after);
        let body = response.bytes().await.map_err(|error| {
            if error.is_timeout() { Trouble::TimedOut } else { Trouble::Cut(chain(&error)) }
        });
        match status {
            429 => Err(Trouble::Limited(retry_after)),
            408 | 500..=599 => Err(Trouble::Outage(status)),
            200..=299 => {
                let body = body?;
                serde_json::from_slice(&body).map_err(|_| {
                    let looks_cut = body.first().is_some_and(|first| *first == b'{');
                    let excerpt = excerpt(&body);
                    if looks_cut { Trouble::Cut(excerpt) } else { Trouble::NoJson(excerpt) }
                })
            }
            401 => Err(Trouble::Unauthorized(excerpt(&body.unwrap_or_default()))),
            403 => Err(Trouble::Forbidden(excerpt(&body.unwrap_or_default()))),
            _ => Err(Trouble::Refused(status, excerpt(&body.unwrap_or_default()))),
        }
    }

    /// What the user is told.
    fn error(&self, trouble: &Trouble, path: &str) -> Error {
        let error = match trouble {
            Trouble::Limited(_) => Error::transient("The API limits the rate. Try again later."),
            Trouble::Outage(_) => Error::transient("The API is out of order. Try again later."),
            Trouble::Broken(_) => Error::transient("The API cannot be reached. Try again later."),
            Trouble::Cut(_) => Error::transient("Answers of the API break off. Try again later."),
            Trouble::TimedOut => Error::transient("The API does not answer. Try again later."),
            Trouble::NoJson(_) => {
                Error::transient("The API answers with something that is no JSON.")
            }
            Trouble::Unauthorized(_) => {
                Error::config("The API refused the credentials. Enter valid ones.")
            }
            Trouble::Forbidden(_) if self.mutation.is(Fault::RefusalIsTransient) => {
                Error::transient("The API refused access.")
            }
            Trouble::Forbidden(_) => {
                Error::config("The credentials do not permit this. Grant the missing permission.")
            }
            Trouble::Refused(..) => Error::system("The API refused a request of the connector."),
        };
        let (status, detail) = match trouble {
            Trouble::Limited(_) => ("429".to_owned(), ""),
            Trouble::Outage(status) => (status.to_string(), ""),
            Trouble::Broken(text) | Trouble::Cut(text) => ("broken".to_owned(), text.as_str()),
            Trouble::TimedOut => ("no answer".to_owned(), ""),
            Trouble::NoJson(body) => ("no JSON".to_owned(), body.as_str()),
            Trouble::Unauthorized(body) => ("401".to_owned(), body.as_str()),
            Trouble::Forbidden(body) => ("403".to_owned(), body.as_str()),
            Trouble::Refused(status, body) => (status.to_string(), body.as_str()),
        };
        error.with_internal(format!("{path}: {status} {detail}").trim_end().to_owned())
    }
}

fn no_rows() -> Value {
    json!({"data": [], "next": null})
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(EXCERPT).collect()
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let date = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (date.with_timezone(&chrono::Utc) - chrono::Utc::now()).to_std().ok().or(Some(Duration::ZERO))
}

/// The stub API speaks plain HTTP, so no certificate has to be trusted.
fn tls() -> Result<rustls::ClientConfig> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::system("There is no TLS.").with_internal(e.to_string()))?;
    Ok(config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// In the cloud edition only encrypted and public addresses are asked.
fn guard(address: &str, mutation: Mutation) -> Result<()> {
    let url = url::Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return Err(Error::config("api_url is no http address."));
    };
    let is_cloud = ["DEPLOYMENT_MODE", "AIRBYTE_EDITION"]
        .iter()
        .any(|name| std::env::var(name).is_ok_and(|value| value.eq_ignore_ascii_case("cloud")));
    if is_cloud && !mutation.is(Fault::CloudUnguarded) && !is_public(&url) {
        return Err(Error::config("api_url must be a public https address."));
    }
    Ok(())
}

fn is_public(url: &url::Url) -> bool {
    use std::net::ToSocketAddrs;
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return false;
    };
    let is_private = |address: std::net::SocketAddr| match address.ip() {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    };
    let addresses = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    url.scheme() == "https" && addresses.is_ok_and(|mut found| !found.any(is_private))
}
