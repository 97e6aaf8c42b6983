//! The way to the real API.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName};
use url::Url;

use super::body::{Answer, Pieces};
use super::ca;
use super::error::{Error, Result};

/// Headers that belong to one connection (RFC 9110, 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Sends requests on.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Goes by the environment's proxy, if there is one.
    client: reqwest::Client,
    /// For addresses of this machine, which no other proxy could reach.
    local: reqwest::Client,
}

/// A request's body: what was looked at, and what is still to come.
pub(super) struct RequestBody {
    pub head: Bytes,
    pub rest: Option<Pieces>,
}

impl Upstream {
    pub(super) fn new(authorities: &[PathBuf]) -> Result<Self> {
        let tls = ca::client(authorities)?;
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .no_gzip()
                .connect_timeout(Duration::from_secs(30))
                .tcp_nodelay(true)
        };
        let setup = |e: reqwest::Error| Error::Setup(chain(&e));
        let client = builder().build().map_err(setup)?;
        let local = builder().no_proxy().build().map_err(setup)?;
        Ok(Self { client, local })
    }

    /// The API's answer as soon as its headers are there, or why there is none.
    pub(super) async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: RequestBody,
    ) -> Result<Answer, String> {
        let client = if is_local(url) { &self.local } else { &self.client };
        let mut headers = end_to_end(headers);
        headers.remove("host");
        headers.remove("expect");
        let mut request = client.request(method.clone(), url.clone());
        match body.rest {
            None => {
                headers.remove("content-length");
                let needs_length = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
                if needs_length || !body.head.is_empty() {
                    request = request.body(body.head);
                }
            }
            Some(rest) => {
                let all = super::body::whole(body.head).chain(rest);
                request = request.body(reqwest::Body::wrap_stream(all));
            }
        }
        let response = request.headers(headers).send().await.map_err(|e| chain(&e))?;
        Ok(Answer {
            status: response.status().as_u16(),
            headers: end_to_end(response.headers()),
            body: response.bytes_stream().map_err(|e| io::Error::other(chain(&e))).boxed(),
        })
    }
}

/// Whether `url` leads to this machine.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The headers without those that belong to one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = headers
        .get_all("connection")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = headers.clone();
    for name in HOP_BY_HOP {
        kept.remove(name);
    }
    for name in named {
        kept.remove(name);
    }
    kept
}

/// An error with its causes, without the URL, which may hold secrets.
fn chain(error: &reqwest::Error) -> String {
    let mut text = match error {
        e if e.is_connect() => "connection failed".to_owned(),
        e if e.is_timeout() => "timed out".to_owned(),
        e if e.is_body() || e.is_decode() => "the answer broke off".to_owned(),
        _ => "request failed".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Own"), ("x-own", "1"), ("te", "trailers"), ("accept", "a/b")]
        {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let kept = end_to_end(&headers);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept["accept"], "a/b");
    }
}
