//! A client that uses the proxy as a connector would.

use std::time::Duration;

use acceptance::proxy::{FaultPlan, Mode, Options, Proxy};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::runtime::Runtime;

use crate::api::Api;

/// What the client got.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Got {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub struct Client {
    pub http: reqwest::Client,
    pub runtime: Runtime,
}

impl Client {
    /// Uses `proxy` and trusts its certificates.
    pub fn new(proxy: &Proxy) -> Self {
        let pem = std::fs::read(proxy.ca_bundle()).unwrap();
        Self::with(|builder| {
            let proxied = builder.proxy(reqwest::Proxy::all(proxy.url()).unwrap());
            proxied.tls_backend_preconfigured(trusting(&pem))
        })
    }

    /// Knows nothing of proxies.
    pub fn direct() -> Self {
        Self::with(|builder| builder.no_proxy().tls_backend_preconfigured(trusting(&[])))
    }

    pub fn with(build: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> Self {
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .timeout(Duration::from_secs(30));
        Self { http: build(builder).build().unwrap(), runtime: Runtime::new().unwrap() }
    }

    pub fn get(&self, url: &str) -> reqwest::Result<Got> {
        self.send(self.http.get(url))
    }

    pub fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Got> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Ok(Got { status, headers, body: response.bytes().await? })
        })
    }
}

/// TLS that trusts the certificates of a PEM file.
pub fn trusting(pem: &[u8]) -> rustls::ClientConfig {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem).flatten());
    rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A proxy that passes on, with these faults.
pub fn proxy(faults: FaultPlan) -> Proxy {
    Proxy::start(Options { faults, ..Options::default() }).unwrap()
}

/// A proxy in this mode that trusts `api`, if it has TLS.
pub fn proxy_to(api: &Api, mode: Mode, faults: FaultPlan) -> Proxy {
    let authorities = vec![api.certificate().to_owned()];
    Proxy::start(Options { mode, faults, authorities, ..Options::default() }).unwrap()
}
