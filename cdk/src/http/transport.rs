//! How bytes get to a server and back. The kit's tests replace it.

use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{Edition, Error, Result};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::HeaderMap;
use url::Url;

use super::guard;
use super::request::{Body, Request, Response};

/// An answer whose body is still coming in.
pub struct Incoming {
    /// The HTTP status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's pieces, decompressed; an error means that it broke off.
    pub body: BoxStream<'static, Result<Bytes, Broken>>,
}

/// Why no (complete) answer came.
#[derive(Debug, Clone)]
pub enum Broken {
    /// The connection failed, timed out or broke off; asking again may help.
    Network(String),
    /// Asking again cannot help: the address is not allowed or cannot be used.
    Refused(String),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Broken::Network(why) | Broken::Refused(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Broken {}

impl Incoming {
    /// Reads the whole body.
    ///
    /// # Errors
    /// When it breaks off.
    pub async fn complete(mut self) -> Result<Response, Broken> {
        let expected =
            self.headers.get("content-length").and_then(|v| v.to_str().ok()?.parse().ok());
        let mut pieces = match self.body.try_next().await? {
            None => None,
            // Most small answers come in one piece: no copy.
            Some(first) => match self.body.try_next().await? {
                None => return Ok(self.response(first)),
                Some(second) => {
                    // A header is a hint, not a promise: reserve at most 16 MiB by it.
                    let size = expected.unwrap_or(0).clamp(first.len() + second.len(), 16 << 20);
                    let mut all = BytesMut::with_capacity(size.max(first.len() + second.len()));
                    all.extend_from_slice(&first);
                    all.extend_from_slice(&second);
                    Some(all)
                }
            },
        };
        if let Some(all) = &mut pieces {
            while let Some(piece) = self.body.try_next().await? {
                all.extend_from_slice(&piece);
            }
        }
        let body = pieces.map(BytesMut::freeze).unwrap_or_default();
        Ok(self.response(body))
    }

    fn response(self, body: Bytes) -> Response {
        Response { status: self.status, headers: self.headers, body }
    }
}

/// Sends requests.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request, once, and gives the answer as soon as its headers are there.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Incoming, Broken>>;
}

/// HTTP/1.1 and HTTP/2 over TLS, with connections kept alive.
pub struct Network {
    client: reqwest::Client,
    edition: Edition,
}

impl Network {
    /// A transport for this deployment. In the cloud edition it speaks https only and
    /// refuses private addresses, whatever names lead there.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(edition: Edition) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(super::tls::config()?)
            // A redirect would carry the credentials to a place that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .read_timeout(Duration::from_secs(120))
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_nodelay(true);
        if edition == Edition::Cloud {
            builder = builder.dns_resolver(Arc::new(guard::PublicOnly));
        }
        let client = builder.build().map_err(|e| {
            Error::system("The HTTP client could not be set up.").with_internal(chain(&e))
        })?;
        Ok(Network { client, edition })
    }
}

impl Transport for Network {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Incoming, Broken>> {
        Box::pin(async move {
            let url = request.full_url();
            guard::check(&url, self.edition).map_err(Broken::Refused)?;
            let response = self.build(request, url).send().await.map_err(|e| broken(&e))?;
            Ok(Incoming {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.bytes_stream().map_err(|e| broken(&e)).boxed(),
            })
        })
    }
}

impl Network {
    fn build(&self, request: Request, url: Url) -> reqwest::RequestBuilder {
        let builder = self.client.request(request.method, url).headers(request.headers);
        match request.body {
            Body::Empty => builder,
            Body::Json(value) => builder.json(&value),
            Body::Form(pairs) => builder.form(&pairs),
            Body::Bytes(bytes, content_type) => {
                builder.header(reqwest::header::CONTENT_TYPE, content_type).body(bytes)
            }
        }
    }
}

fn broken(error: &reqwest::Error) -> Broken {
    let text = chain(error);
    if error.is_builder() || text.contains(guard::PRIVATE) {
        Broken::Refused(text)
    } else {
        Broken::Network(text)
    }
}

/// An error with its causes, without the address (it may hold values of the config).
fn chain(error: &reqwest::Error) -> String {
    let mut text = match error {
        e if e.is_timeout() => "timed out".to_owned(),
        e if e.is_connect() => "connection failed".to_owned(),
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
