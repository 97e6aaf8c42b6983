//! Signed assertions for OAuth's JWT bearer grant (RFC 7523), RS256.

use airbyte_protocol::{Error, Result, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;

/// An RSA private key that signs assertions.
#[derive(Clone)]
pub struct SigningKey(Arc<RsaKeyPair>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a PEM text (PKCS #8 or PKCS #1). Keys that went through a form field, where
    /// newlines became `\n` or spaces, are understood too.
    ///
    /// # Errors
    /// A config error when it is no usable RSA key.
    pub fn from_pem(pem: &Secret) -> Result<Self> {
        let wrong = |why: String| {
            Error::config("The private key is not a usable RSA key in PEM form. Paste the whole key, from the BEGIN to the END line.")
                .with_internal(why)
        };
        let text = mend(pem.expose());
        let key =
            PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| wrong(e.to_string()))?;
        let pair = match &key {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err(wrong("not an RSA key".into())),
        };
        pair.map(|pair| SigningKey(Arc::new(pair))).map_err(|e| wrong(e.to_string()))
    }
}

/// Puts the line breaks back that a form field swallowed.
fn mend(pem: &str) -> String {
    let text = pem.trim().replace("\\n", "\n");
    let Some((begin, rest)) = text.strip_prefix("-----").and_then(|t| t.split_once("-----")) else {
        return text;
    };
    let Some((body, end)) = rest.split_once("-----") else { return text };
    let body: String = body.split_whitespace().collect();
    format!("-----{begin}-----\n{body}\n-----{end}\n")
}

/// What an assertion says and who signs it.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// Signs.
    pub key: SigningKey,
    /// The key's id for the header, where the server wants one.
    pub key_id: Option<String>,
    /// All claims but `iat` and `exp`.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// How long an assertion is good for, in seconds.
    pub lifetime: i64,
}

impl Jwt {
    /// An assertion made at `now` (epoch seconds).
    ///
    /// # Errors
    /// When signing fails.
    pub fn sign(&self, now: i64) -> Result<String> {
        let mut header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(id) = &self.key_id {
            header["kid"] = id.as_str().into();
        }
        let mut claims = self.claims.clone();
        claims.insert("iat".into(), now.into());
        claims.insert("exp".into(), (now + self.lifetime).into());
        let claims = serde_json::Value::Object(claims);
        let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.0.public().modulus_len()];
        self.key
            .0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| Error::system("The login assertion could not be signed."))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
