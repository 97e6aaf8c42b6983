//! Amazon's signatures (AWS docs, "Signature Version 4"), by the library that also signs requests to
//! S3.

use std::sync::Arc;

use bytes::Bytes;
use cdk::http::{Body, Broken, Incoming, Request, Transport};
use futures::future::BoxFuture;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody};

use crate::config::RestAuth;

/// Signs what goes through.
pub struct Signing {
    inner: Arc<dyn Transport>,
    credential: AwsCredential,
    service: String,
    region: String,
}

impl Signing {
    /// With the keys of a configuration.
    pub fn new(inner: Arc<dyn Transport>, auth: &RestAuth) -> Self {
        let mut signing = Self {
            inner,
            credential: AwsCredential {
                key_id: String::new(),
                secret_key: String::new(),
                token: None,
            },
            service: String::new(),
            region: String::new(),
        };
        if let RestAuth::Sigv4 {
            service,
            region,
            access_key_id,
            secret_access_key,
            session_token,
        } = auth
        {
            signing.service = service.clone();
            signing.region = region.clone();
            signing.credential = AwsCredential {
                key_id: access_key_id.expose().to_owned(),
                secret_key: secret_access_key.expose().to_owned(),
                token: session_token.as_ref().map(|token| token.expose().to_owned()),
            };
        }
        signing
    }

    fn sign(&self, mut request: Request) -> Result<Request, Broken> {
        let refused = |why: String| Broken::Refused(why);
        let body = match std::mem::take(&mut request.body) {
            Body::Empty => None,
            Body::Json(json) => Some((Bytes::from(json.to_string()), "application/json")),
            Body::Bytes(bytes, kind) => Some((bytes, kind)),
            Body::Form(_) => return Err(refused("forms are not signed".into())),
        };
        // The address is signed as it is sent, so the query becomes part of it.
        request.url = request.full_url();
        request.query.clear();
        let bytes = body.as_ref().map(|(bytes, _)| bytes.clone()).unwrap_or_default();
        let mut signed = HttpRequest::new(HttpRequestBody::from(bytes));
        *signed.method_mut() = request.method.clone();
        *signed.uri_mut() =
            request.url.as_str().parse().map_err(|_| refused("the address is no URI".into()))?;
        *signed.headers_mut() = request.headers.clone();
        AwsAuthorizer::new(&self.credential, &self.service, &self.region)
            .try_authorize(&mut signed, None)
            .map_err(|error| refused(error.to_string()))?;
        request.headers = signed.headers().clone();
        if let Some((bytes, kind)) = body {
            request.body = Body::Bytes(bytes, kind);
        }
        Ok(request)
    }
}

impl Transport for Signing {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Incoming, Broken>> {
        match self.sign(request) {
            Ok(request) => self.inner.send(request),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}
