//! Accepts connections and finds out where their requests want to go.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::ca::Authority;
use super::conn::{Conn, ResetSwitch};
use super::exchange::{Body, Exchanger, Reset, Routed, refuse};
use super::journal::Door;

/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// The proxy's inside: shared by all connections.
#[derive(Debug)]
pub(super) struct Server {
    pub exchanger: Exchanger,
    pub authority: Authority,
    /// The APIs behind base URLs, by local port.
    pub doors: RwLock<HashMap<u16, Url>>,
}

/// What is known about a connection's requests.
#[derive(Clone, Debug)]
enum Way {
    /// The port for `HTTP_PROXY`.
    Proxy,
    /// A tunnel that `CONNECT` opened to this origin.
    Tunnel(Url),
    /// The port of a base URL.
    BaseUrl(Url, SocketAddr),
}

impl Server {
    fn door(&self, port: u16) -> Option<Url> {
        self.doors.read().unwrap_or_else(PoisonError::into_inner).get(&port).cloned()
    }

    /// Where a request wants to go; an error is what to tell the sender.
    fn route(&self, way: &Way, request: &Request<Incoming>) -> Result<Routed, &'static str> {
        let uri = request.uri();
        let path = uri.path_and_query().map_or("/", |p| p.as_str());
        let absolute = (uri.scheme().is_some() && uri.authority().is_some())
            .then(|| Url::parse(&uri.to_string()).ok())
            .flatten();
        let url = match (way, absolute) {
            (Way::BaseUrl(upstream, local), _) => return behind(upstream, *local, path),
            (_, Some(url)) => url,
            (Way::Tunnel(origin), None) => at(origin, path)?,
            (Way::Proxy, None) => {
                return Err(
                    "This port is an HTTP proxy: name it in HTTP_PROXY, or ask for a base URL.",
                );
            }
        };
        // A connector may send even its requests to a base URL by the proxy.
        if matches!(url.host_str(), Some("127.0.0.1" | "localhost"))
            && let Some(port) = url.port()
            && let Some(upstream) = self.door(port)
        {
            return behind(&upstream, SocketAddr::from(([127, 0, 0, 1], port)), path);
        }
        Ok(Routed { door: Door::Proxy, url, shown_as: None })
    }
}

fn behind(upstream: &Url, local: SocketAddr, path: &str) -> Result<Routed, &'static str> {
    let url = at(upstream, path)?;
    Ok(Routed { door: Door::BaseUrl, url, shown_as: Some(format!("http://{local}")) })
}

/// The origin of `url` with another path and query.
fn at(url: &Url, path: &str) -> Result<Url, &'static str> {
    let origin = url.origin().ascii_serialization();
    let path = if path.starts_with('/') { path } else { "/" };
    Url::parse(&format!("{origin}{path}")).map_err(|_| "The path of this request is not valid.")
}

/// Accepts connections for ever; with `upstream`, all of them want to go there.
pub(super) async fn accept(server: Arc<Server>, listener: TcpListener, upstream: Option<Url>) {
    let Ok(local) = listener.local_addr() else { return };
    let way = upstream.map_or(Way::Proxy, |upstream| Way::BaseUrl(upstream, local));
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of file descriptors, for example: wait instead of spinning.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let conn = Conn::new(tcp);
        let switch = conn.switch();
        tokio::spawn(requests(server.clone(), conn, way.clone(), switch));
    }
}

/// Serves a connection's requests.
async fn requests<C>(server: Arc<Server>, conn: C, way: Way, switch: ResetSwitch)
where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let (server, way, switch) = (server.clone(), way.clone(), switch.clone());
        async move { one(server, way, switch, request).await }
    });
    // An error here is a broken or reset connection; the journal has the exchange.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(conn), service)
        .with_upgrades()
        .await;
}

async fn one(
    server: Arc<Server>,
    way: Way,
    switch: ResetSwitch,
    request: Request<Incoming>,
) -> Result<Response<Body>, Reset> {
    if request.method() == Method::CONNECT {
        return Ok(connect(server, switch, request));
    }
    let routed = match server.route(&way, &request) {
        Ok(routed) => routed,
        Err(problem) => return Ok(refuse(400, problem)),
    };
    server.exchanger.serve(routed, request).await.inspect_err(|Reset| switch.pull())
}

/// Opens a tunnel whose other end is here.
fn connect(server: Arc<Server>, switch: ResetSwitch, request: Request<Incoming>) -> Response<Body> {
    let Some(authority) = request.uri().authority().cloned() else {
        return refuse(400, "CONNECT needs HOST:PORT.");
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let conn = BufReader::new(TokioIo::new(upgraded));
            tunnel(server, conn, authority, switch).await;
        }
    });
    let mut response = refuse(200, "");
    *response.headers_mut() = hyper::HeaderMap::new();
    *response.body_mut() = http_body_util::StreamBody::new(Box::pin(futures::stream::empty()));
    response
}

/// Serves what comes through a tunnel, TLS or not.
async fn tunnel<C>(
    server: Arc<Server>,
    mut conn: BufReader<C>,
    authority: hyper::http::uri::Authority,
    switch: ResetSwitch,
) where
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let first = match conn.fill_buf().await {
        Ok(bytes) => bytes.first().copied(),
        Err(_) => return,
    };
    let scheme = if first == Some(TLS_HANDSHAKE) { "https" } else { "http" };
    let Ok(origin) = Url::parse(&format!("{scheme}://{authority}")) else { return };
    if scheme == "http" {
        return requests(server, conn, Way::Tunnel(origin), switch).await;
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let config = match server.authority.server(&host) {
        Ok(config) => config,
        Err(error) => return server.exchanger.log.problem(error.to_string()),
    };
    match TlsAcceptor::from(config).accept(conn).await {
        Ok(tls) => requests(server, tls, Way::Tunnel(origin), switch).await,
        Err(error) => server.exchanger.log.problem(format!(
            "TLS with the connector failed for {host} ({error}); it may not trust the bundle of \
             certificates that its environment names"
        )),
    }
}
