//! `/composite` and `/composite/batch`: several requests in one.

use serde_json::{Value, json};

use super::error::Error;
use super::route::Route;
use super::service::{Request, json_reply};
use crate::api::Reply;

/// Most requests in one.
const MAX: usize = 25;

/// Most queries in one composite request.
const MAX_QUERIES: usize = 5;

/// What a request counts against the quota: each part of a batch, the whole of a composite.
pub fn calls(request: &Request<'_>) -> u64 {
    match (request.method, request.route) {
        ("POST", Some(Route::Batch)) => {
            let body: Value = serde_json::from_slice(request.body).unwrap_or_default();
            body["batchRequests"].as_array().map_or(1, |parts| parts.len().max(1) as u64)
        }
        _ => 1,
    }
}

/// Answers `/composite`.
pub fn composite(request: &Request<'_>) -> Result<Reply, Error> {
    let body = parse(request)?;
    let parts = list(&body, "compositeRequest")?;
    let is_query = |p: &&Value| p["url"].as_str().is_some_and(|u| u.contains("/query"));
    if parts.iter().filter(is_query).count() > MAX_QUERIES {
        return Err(Error::bad("LIMIT_EXCEEDED", "more than 5 queries in a composite request"));
    }
    let mut answers = Vec::new();
    for part in parts {
        let name = part["referenceId"].as_str();
        let name = name.ok_or_else(|| invalid("each request needs a referenceId"))?;
        let (status, body) = inner(request, part, "")?;
        answers.push(json!({
            "body": body,
            "httpHeaders": {},
            "httpStatusCode": status,
            "referenceId": name,
        }));
    }
    Ok(json_reply(&json!({"compositeResponse": answers})))
}

/// Answers `/composite/batch`.
pub fn batch(request: &Request<'_>) -> Result<Reply, Error> {
    let body = parse(request)?;
    let mut has_errors = false;
    let mut results = Vec::new();
    for part in list(&body, "batchRequests")? {
        let (status, body) = inner(request, part, "/services/data/")?;
        has_errors |= status >= 400;
        results.push(json!({"statusCode": status, "result": body}));
    }
    Ok(json_reply(&json!({"hasErrors": has_errors, "results": results})))
}

fn invalid(message: &str) -> Error {
    Error::bad("INVALID_INPUT", message)
}

fn parse(request: &Request<'_>) -> Result<Value, Error> {
    serde_json::from_slice(request.body).map_err(|e| {
        Error::bad("JSON_PARSER_ERROR", format!("The HTTP entity body is not JSON: {e}"))
    })
}

fn list<'a>(body: &'a Value, name: &str) -> Result<&'a Vec<Value>, Error> {
    let parts = body[name].as_array().filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| invalid(&format!("{name} must be a list of requests")))?;
    if parts.len() > MAX {
        return Err(Error::bad("LIMIT_EXCEEDED", "more than 25 requests in one"));
    }
    Ok(parts)
}

/// Status and body of one part; `base` goes in front of addresses without it.
fn inner(request: &Request<'_>, part: &Value, base: &str) -> Result<(u16, Value), Error> {
    let url = part["url"].as_str().ok_or_else(|| invalid("each request needs a url"))?;
    let url = if url.starts_with('/') { url.to_owned() } else { format!("{base}{url}") };
    let method = part["method"].as_str().unwrap_or("GET");
    let answer = request.inner(method, &url).and_then(|inner| match inner.route {
        Some(Route::Composite | Route::Batch) => Err(invalid("composite requests do not nest")),
        _ => inner.answer(),
    });
    let reply = answer.unwrap_or_else(|error| error.reply());
    let body = serde_json::from_slice(&reply.body.into_bytes()).unwrap_or_default();
    Ok((reply.status, body))
}
