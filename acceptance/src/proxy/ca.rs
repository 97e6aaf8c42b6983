//! Certificates: an authority made for one run, and what is trusted.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::error::{Error, Result};

/// Signs certificates for any host. Its key never leaves the process.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// All hosts share one key; only certificates differ.
    key: KeyPair,
    by_host: Mutex<HashMap<String, Arc<ServerConfig>>>,
    bundle: tempfile::NamedTempFile,
}

impl Authority {
    pub(super) fn new() -> Result<Self> {
        let mut params = params(Vec::new(), "Acceptance suite, authority of this run")?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(setup)?)
            .map_err(setup)?;
        let bundle = bundle(&issuer.pem()).map_err(setup)?;
        let key = KeyPair::generate().map_err(setup)?;
        Ok(Self { issuer, key, by_host: Mutex::default(), bundle })
    }

    /// The PEM file with the machine's authorities and this one. It lives as long as `self`.
    pub(super) fn bundle(&self) -> &Path {
        self.bundle.path()
    }

    /// TLS as `host` (a name or an IP address).
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>> {
        let mut by_host = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = by_host.get(host) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.make(host)?);
        by_host.insert(host.to_owned(), config.clone());
        Ok(config)
    }

    fn make(&self, host: &str) -> Result<ServerConfig> {
        let mut params = params(vec![host.to_owned()], host)?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(setup)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(setup)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("bundle", &self.bundle()).finish_non_exhaustive()
    }
}

fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(setup)?;
    // Wide enough for connectors that are run under another date.
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2100, 1, 1);
    // A common name has at most 64 characters.
    let short: String = common_name.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, short);
    Ok(params)
}

fn bundle(own: &str) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("acceptance-ca-").suffix(".pem");
    // A connector in a container may run as another user; certificates are public.
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    #[cfg(unix)]
    builder.permissions(mode);
    let mut file = builder.tempfile()?;
    for certificate in rustls_native_certs::load_native_certs().certs {
        file.write_all(pem(&certificate).as_bytes())?;
    }
    file.write_all(own.as_bytes())?;
    file.flush()?;
    Ok(file)
}

/// RFC 7468: 64 characters a line.
fn pem(certificate: &CertificateDer<'_>) -> String {
    let encoded = STANDARD.encode(certificate);
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = more;
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// TLS towards APIs: trusts the machine's authorities (built-in ones where it has none) and those
/// in the given PEM files.
pub(super) fn client(extra: &[PathBuf]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for path in extra {
        let problem = |e: &dyn std::fmt::Display| {
            Error::Setup(format!("{} is no PEM file with certificates: {e}", path.display()))
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| problem(&e))? {
            let certificate = certificate.map_err(|e| problem(&e))?;
            roots.add(certificate).map_err(|e| problem(&e))?;
        }
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(setup)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn setup(error: impl ToString) -> Error {
    Error::Setup(error.to_string())
}
