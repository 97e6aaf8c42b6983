//! What an answer means: one table, the connector's own rows before the default ones.

use airbyte_protocol::{Error, FailureType};
use reqwest::header::HeaderMap;

use super::budget::Scope;
use super::request::{Request, Response};

/// What to do about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Use it.
    Succeed,
    /// Ask again after a while.
    Retry,
    /// The rate limit is reached: pause the budget, then ask again.
    Pause(Scope),
    /// The token is no longer good: get a new one, then ask again.
    RefreshToken,
    /// There is nothing to read here; it is no failure.
    Empty,
    /// Leave the stream out with a warning.
    Skip,
    /// Give up.
    Fail(FailureType),
}

/// What an API says about an error in the body of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiError {
    /// The API's error code or type.
    pub code: Option<String>,
    /// The API's words.
    pub message: Option<String>,
}

/// One row of the table. All conditions given must hold; a row without conditions
/// matches everything.
#[derive(Debug, Clone)]
pub struct Rule {
    statuses: Vec<u16>,
    codes: Vec<&'static str>,
    contains: Option<&'static str>,
    header: Option<(&'static str, &'static str)>,
    endpoint: Option<&'static str>,
    action: Action,
    advice: Option<String>,
}

impl Rule {
    /// A row that leads to `action`.
    pub fn new(action: Action) -> Self {
        Rule {
            statuses: Vec::new(),
            codes: Vec::new(),
            contains: None,
            header: None,
            endpoint: None,
            action,
            advice: None,
        }
    }

    /// Only answers with one of these status codes.
    pub fn status(mut self, statuses: impl IntoIterator<Item = u16>) -> Self {
        self.statuses.extend(statuses);
        self
    }

    /// Only answers whose body carries one of these error codes.
    pub fn code(mut self, codes: impl IntoIterator<Item = &'static str>) -> Self {
        self.codes.extend(codes);
        self
    }

    /// Only answers whose error message contains this text, in any case.
    pub fn contains(mut self, text: &'static str) -> Self {
        self.contains = Some(text);
        self
    }

    /// Only answers with this header and value (in any case).
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Only answers to requests of this endpoint.
    pub fn endpoint(mut self, endpoint: &'static str) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// What the user should do about it.
    pub fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(text.into());
        self
    }

    fn matches(&self, request: &Request, response: &Response, error: &ApiError) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&response.status))
            && (self.codes.is_empty()
                || error.code.as_deref().is_some_and(|code| self.codes.contains(&code)))
            && self.contains.is_none_or(|text| {
                error
                    .message
                    .as_deref()
                    .is_some_and(|said| said.to_lowercase().contains(&text.to_lowercase()))
            })
            && self.header.is_none_or(|(name, value)| {
                response.header(name).is_some_and(|said| said.eq_ignore_ascii_case(value))
            })
            && self.endpoint.is_none_or(|endpoint| request.endpoint == endpoint)
    }
}

/// Reads an API's error out of an answer.
pub type ParseError = fn(&Response) -> ApiError;

/// The table of an API.
#[derive(Debug, Clone)]
pub struct ErrorTable {
    rules: Vec<Rule>,
    parse: ParseError,
    request_id: Option<&'static str>,
}

/// What the table says of one answer.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// What the API said.
    pub error: ApiError,
    /// The row's advice for the user.
    pub advice: Option<String>,
}

impl Default for ErrorTable {
    fn default() -> Self {
        Self::new(common_error)
    }
}

impl ErrorTable {
    /// A table that has only the default rows.
    pub fn new(parse: ParseError) -> Self {
        ErrorTable { rules: default_rules(), parse, request_id: None }
    }

    /// Puts the connector's rows before the default ones.
    pub fn with(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.splice(0..0, rules);
        self
    }

    /// Names the header that identifies a request at the API; it goes into every message.
    pub fn request_id(mut self, header: &'static str) -> Self {
        self.request_id = Some(header);
        self
    }

    /// The identification of the request by the API, when the answer has one.
    pub fn id_in<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        headers.get(self.request_id?)?.to_str().ok()
    }

    /// Looks an answer up.
    pub fn classify(&self, request: &Request, response: &Response) -> Verdict {
        let error =
            if response.status < 400 { ApiError::default() } else { (self.parse)(response) };
        let rule = self.rules.iter().find(|rule| rule.matches(request, response, &error));
        let action = rule.map_or(Action::Fail(FailureType::System), |rule| rule.action);
        Verdict { action, error, advice: rule.and_then(|rule| rule.advice.clone()) }
    }
}

fn default_rules() -> Vec<Rule> {
    use FailureType::{Config, System};
    vec![
        Rule::new(Action::Succeed).status(200..300),
        Rule::new(Action::RefreshToken)
            .status([401])
            .advice("The credentials were not accepted. Check that they are complete, active and meant for this account."),
        Rule::new(Action::Fail(Config))
            .status([403])
            .advice("The credentials lack the permission for this. Grant it, or leave the stream out."),
        Rule::new(Action::Pause(Scope::Api)).status([429]),
        Rule::new(Action::Retry).status([408, 409, 421, 423, 424, 425]).status(500..600),
        Rule::new(Action::Fail(System))
            .status(300..400)
            .advice("The server redirects elsewhere, which is not followed so that credentials stay with the configured host. Check the address in the configuration."),
        Rule::new(Action::Fail(System)),
    ]
}

/// Reads the error forms that most APIs use: `{"error": {"code"|"type", "message"}}`,
/// `{"error": "code", "error_description": "words"}`, `{"message": "words"}` and arrays of
/// such objects.
pub fn common_error(response: &Response) -> ApiError {
    let Ok(body) = serde_json::from_slice::<serde_json::Value>(&response.body) else {
        return ApiError::default();
    };
    let body = if body.is_array() { body.get(0).cloned().unwrap_or_default() } else { body };
    let text = |value: &serde_json::Value, keys: &[&str]| {
        keys.iter().find_map(|key| value.get(key)?.as_str().map(str::to_owned))
    };
    let inner = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
    ApiError {
        code: text(inner, &["code", "errorCode", "error", "type"]),
        message: text(inner, &["message", "error_description", "description", "detail"]),
    }
}

/// An answer that ends a request without a result.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What was decided: [`Action::Empty`], [`Action::Skip`] or [`Action::Fail`].
    pub action: Action,
    /// The HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// What the API said.
    pub api: Box<ApiError>,
    /// The error for the user.
    pub error: Error,
}

impl Failure {
    /// Whether the API's error code is `code`.
    pub fn is_code(&self, code: &str) -> bool {
        self.api.code.as_deref() == Some(code)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { action: Action::Fail(error.kind()), status: None, api: Box::default(), error }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn verdict(table: &ErrorTable, status: u16, body: &str) -> Verdict {
        let request = Request::new(reqwest::Method::GET, "http://h/v1/things".parse().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert("should-retry", HeaderValue::from_static("false"));
        let response = Response { status, headers, body: body.to_owned().into() };
        table.classify(&request, &response)
    }

    #[test]
    fn default_rows() {
        let table = ErrorTable::default();
        for (status, action) in [
            (200, Action::Succeed),
            (204, Action::Succeed),
            (302, Action::Fail(FailureType::System)),
            (400, Action::Fail(FailureType::System)),
            (401, Action::RefreshToken),
            (403, Action::Fail(FailureType::Config)),
            (404, Action::Fail(FailureType::System)),
            (408, Action::Retry),
            (429, Action::Pause(Scope::Api)),
            (503, Action::Retry),
        ] {
            assert_eq!(verdict(&table, status, "").action, action, "{status}");
        }
    }

    #[test]
    fn own_rows_come_first_and_all_conditions_count() {
        let table = ErrorTable::default().with([
            Rule::new(Action::Fail(FailureType::System))
                .status([503])
                .header("should-retry", "FALSE"),
            Rule::new(Action::Pause(Scope::Endpoint)).status([400]).code(["rate_limit"]),
            Rule::new(Action::Empty).status([404]).contains("no such").endpoint("/v1/things"),
        ]);
        assert_eq!(verdict(&table, 503, "").action, Action::Fail(FailureType::System));
        let limited = verdict(&table, 400, r#"{"error":{"code":"rate_limit","message":"slow"}}"#);
        assert_eq!(limited.action, Action::Pause(Scope::Endpoint));
        assert_eq!(limited.error.message.as_deref(), Some("slow"));
        let gone = verdict(&table, 404, r#"{"error":{"message":"No such thing"}}"#);
        assert_eq!(gone.action, Action::Empty);
        let other = verdict(&table, 404, r#"{"error":{"message":"nothing"}}"#);
        assert_eq!(other.action, Action::Fail(FailureType::System));
    }

    #[test]
    fn error_bodies() {
        let read = |body: &str| {
            let body = body.to_owned().into();
            let error = common_error(&Response { status: 400, headers: HeaderMap::new(), body });
            (error.code.unwrap_or_default(), error.message.unwrap_or_default())
        };
        let pair = |code: &str, message: &str| (code.to_owned(), message.to_owned());
        assert_eq!(
            read(r#"{"error":"invalid_grant","error_description":"expired"}"#),
            pair("invalid_grant", "expired")
        );
        assert_eq!(
            read(r#"[{"errorCode":"INVALID_FIELD","message":"no"}]"#),
            pair("INVALID_FIELD", "no")
        );
        assert_eq!(read("<html>"), pair("", ""));
    }
}
