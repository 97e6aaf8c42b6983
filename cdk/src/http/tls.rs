//! TLS: rustls with the machine's trusted certificates, or built-in ones where it has none.

use std::sync::Arc;

use airbyte_protocol::{Error, Result};
use rustls::{ClientConfig, RootCertStore};

/// A client configuration. Certificates come from `SSL_CERT_FILE` or `SSL_CERT_DIR` if
/// set, else from the system; if there are none, from Mozilla's list as compiled in, so
/// that the smallest image works.
///
/// # Errors
/// When no configuration can be made.
pub fn config() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::system("TLS could not be set up.").with_internal(e.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
