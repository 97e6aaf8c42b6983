//! A request as a plain value, and what came back.

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// What is asked of a server. Cheap to clone: a retry sends a clone, a page token is
/// put into a clone.
#[derive(Debug, Clone)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// The whole address, without the query parameters of `query`.
    pub url: Url,
    /// Query parameters in order; repeated names are allowed.
    pub query: Vec<(Cow<'static, str>, String)>,
    /// Headers besides those of the client and of the authentication.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
    /// Which budget of the API's endpoints this counts against; one name for all
    /// requests that share a limit, such as `/v1/customers/{id}`.
    pub endpoint: Cow<'static, str>,
    /// Takes the answer that counts out of one that wraps it.
    pub unwrap: Option<Unwrap>,
}

/// Takes the answer that counts, with its status, out of one that wraps it, as the answers of
/// batch endpoints do. An `Err` says why there is none.
pub type Unwrap = fn(Response) -> Result<Response, String>;

/// A request's body.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// No body.
    #[default]
    Empty,
    /// A JSON text.
    Json(serde_json::Value),
    /// `application/x-www-form-urlencoded`.
    Form(Vec<(String, String)>),
    /// Bytes with their content type.
    Bytes(Bytes, &'static str),
}

impl Request {
    /// A request for `url` that counts against the endpoint of its path.
    pub fn new(method: Method, url: Url) -> Self {
        let endpoint = Cow::Owned(url.path().to_owned());
        Request {
            method,
            url,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            endpoint,
            unwrap: None,
        }
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Sets a query parameter, replacing one of the same name.
    pub fn set_query(mut self, name: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        let name = name.into();
        self.query.retain(|(other, _)| *other != name);
        self.query(name, value)
    }

    /// Sets a header. A value that is no valid header text is left out.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: serde_json::Value) -> Self {
        self.body = Body::Json(body);
        self
    }

    /// Names the endpoint whose budget this request counts against.
    pub fn endpoint(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.endpoint = name.into();
        self
    }

    /// Says how the answer that counts is taken out of one that wraps it.
    pub fn unwrap_with(mut self, unwrap: Unwrap) -> Self {
        self.unwrap = Some(unwrap);
        self
    }

    /// The address with its query, for logs. Tokens never stand there: they are put in
    /// when the request is sent.
    pub fn display(&self) -> String {
        let mut url = self.full_url();
        let _ = url.set_password(None);
        format!("{} {}", self.method, url)
    }

    /// The address with its query.
    pub fn full_url(&self) -> Url {
        let mut url = self.url.clone();
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

impl Response {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The start of the body as text, for messages: at most 300 characters, one line.
    pub fn excerpt(&self) -> String {
        let head = &self.body[..self.body.len().min(1200)];
        let text = String::from_utf8_lossy(head);
        text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
    }
}
