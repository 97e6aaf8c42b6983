//! The stub API: rows that are always the same, in pages, behind a token.
//!
//! `GET /users`, `/orders`, `/countries`, `/notes` and `/empty` answer
//! `{"data": [row, …], "next": token or null}`; `since` filters by the cursor (inclusive),
//! `page_size` and `page_token` go through the pages. `GET /me` answers whose token it is, and
//! `POST /oauth/token` gives access tokens for refresh tokens.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use axum::body::Body;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Duration, Utc};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::{API_TOKEN, CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN};

/// The page size when the request does not say one.
const PAGE_SIZE: usize = 20;

/// Names of users; they need escaping, or more than one byte a letter.
const NAMES: [&str; 5] = ["Ada", "Björn", "Chloé \"C.\"", "大輔", "Eve\u{2028}\\"];
const TAGS: [&str; 2] = ["new", "paying"];

/// How much data the API has.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// Rows of `/users`.
    pub users: usize,
    /// Rows of `/orders`.
    pub orders: usize,
    /// Rows of `/countries`.
    pub countries: usize,
    /// Rows of `/notes`.
    pub notes: usize,
}

impl Default for Rows {
    fn default() -> Self {
        Self { users: 60, orders: 60, countries: 12, notes: 30 }
    }
}

impl Rows {
    /// So many times as much of everything.
    pub fn times(self, factor: usize) -> Self {
        Self {
            users: self.users * factor,
            orders: self.orders * factor,
            countries: self.countries * factor,
            notes: self.notes * factor,
        }
    }

    fn of(&self, stream: &str) -> Option<usize> {
        Some(match stream {
            "users" => self.users,
            "orders" => self.orders,
            "countries" => self.countries,
            "notes" => self.notes,
            "empty" => 0,
            _ => return None,
        })
    }
}

/// An answer that the API gives instead of the right one, once.
#[derive(Debug, Clone, Copy)]
pub enum Upset {
    /// This status, with this Retry-After (in seconds).
    Status(u16, Option<u32>),
    /// A web page, with status 200.
    Html,
    /// The first half of the right answer; then the connection breaks.
    Cut,
}

/// A running stub API. Dropping it stops it.
pub struct StubApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    rows: Rows,
    token_uses: usize,
    /// What each answer waits, in milliseconds.
    delay: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Access tokens, and how often each may still be used.
    tokens: HashMap<String, usize>,
    minted: usize,
    upsets: VecDeque<(String, Upset)>,
    requests: Vec<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StubApi {
    /// Starts one with the usual amount of data, on a free port of 127.0.0.1.
    pub fn start() -> io::Result<Self> {
        Self::with(Rows::default(), 10_000)
    }

    /// Starts one with so much data, whose access tokens expire after so many requests.
    pub fn with(rows: Rows, token_uses: usize) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared {
            rows,
            token_uses,
            delay: AtomicU64::new(0),
            inner: Mutex::default(),
        });
        let router = router(Arc::clone(&shared));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("stub-api".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(socket) else { return };
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers the next request to this path wrongly; several are used up in their order.
    pub fn upset(&self, path: &str, upset: Upset) {
        self.shared.lock().upsets.push_back((path.to_owned(), upset));
    }

    /// Lets each answer wait so long from now on, so that a read lasts long enough to be disturbed.
    pub fn slow_down(&self, delay: std::time::Duration) {
        self.shared.delay.store(delay.as_millis() as u64, Ordering::Relaxed);
    }

    /// The requests so far: method, path and query.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }
}

impl Drop for StubApi {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/oauth/token", post(token))
        .route("/{stream}", get(list))
        .with_state(shared)
}

type Parameters = HashMap<String, String>;

async fn me(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = admit(&shared, "/me", "", &headers) {
        return refusal;
    }
    upset_or(&shared, "/me", json!({"account": "stub"}))
}

async fn token(State(shared): State<Arc<Shared>>, Form(form): Form<Parameters>) -> Response {
    let is = |key: &str, value: &str| form.get(key).is_some_and(|given| given == value);
    let is_refresh_token = form.get("refresh_token").is_some_and(|token| {
        token.strip_prefix(REFRESH_TOKEN).is_some_and(|rest| {
            rest.is_empty() || rest.strip_prefix('n').is_some_and(|n| n.parse::<u64>().is_ok())
        })
    });
    let mut inner = shared.lock();
    inner.requests.push("POST /oauth/token".to_owned());
    if !is("client_id", CLIENT_ID) || !is("client_secret", CLIENT_SECRET) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "invalid_client"})))
            .into_response();
    }
    if !is("grant_type", "refresh_token") || !is_refresh_token {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant"}))).into_response();
    }
    inner.minted += 1;
    let number = inner.minted;
    let access = format!("at_{:016x}", (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    inner.tokens.insert(access.clone(), shared.token_uses);
    drop(inner);
    let answer = json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": format!("{REFRESH_TOKEN}n{number}"),
    });
    upset_or(&shared, "/oauth/token", answer)
}

async fn list(
    State(shared): State<Arc<Shared>>,
    Path(stream): Path<String>,
    Query(query): Query<Parameters>,
    uri: axum::http::Uri,
    headers: HeaderMap,
) -> Response {
    let path = format!("/{stream}");
    let delay = shared.delay.load(Ordering::Relaxed);
    if delay > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
    }
    if let Some(refusal) = admit(&shared, &path, uri.query().unwrap_or_default(), &headers) {
        return refusal;
    }
    let Some(total) = shared.rows.of(&stream) else {
        return (StatusCode::NOT_FOUND, Json(json!({"error": "no such collection"})))
            .into_response();
    };
    let since = query.get("since").map(String::as_str);
    let first = (0..total).find(|n| is_since(&stream, *n, since)).unwrap_or(total);
    let size = query.get("page_size").and_then(|size| size.parse().ok()).unwrap_or(PAGE_SIZE);
    let offset = match query.get("page_token").map(|token| token.strip_prefix('p')) {
        None => 0,
        Some(token) => match token.and_then(|offset| offset.parse::<usize>().ok()) {
            Some(offset) => offset,
            None => {
                let error = json!({"error": "page_token is none of ours"});
                return (StatusCode::BAD_REQUEST, Json(error)).into_response();
            }
        },
    };
    let from = first.saturating_add(offset).min(total);
    let to = from.saturating_add(size.max(1)).min(total);
    let data: Vec<Value> = (from..to).map(|n| row(&stream, n)).collect();
    let next = if to < total { json!(format!("p{}", to - first)) } else { Value::Null };
    upset_or(&shared, &path, json!({"data": data, "next": next}))
}

/// Notes the request, and refuses it when its token is not good.
fn admit(shared: &Shared, path: &str, query: &str, headers: &HeaderMap) -> Option<Response> {
    let mut inner = shared.lock();
    inner.requests.push(format!("GET {path}?{query}").trim_end_matches('?').to_owned());
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let is_good = match bearer {
        Some(API_TOKEN) => true,
        Some(token) => inner.tokens.get_mut(token).is_some_and(|uses| {
            let is_left = *uses > 0;
            *uses = uses.saturating_sub(1);
            is_left
        }),
        None => false,
    };
    let error = json!({"error": "the token is not valid (any more)"});
    (!is_good).then(|| (StatusCode::UNAUTHORIZED, Json(error)).into_response())
}

/// The answer, unless the next one to this path is to be another.
fn upset_or(shared: &Shared, path: &str, answer: Value) -> Response {
    let upset = {
        let mut inner = shared.lock();
        let at = inner.upsets.iter().position(|(of, _)| of == path);
        at.and_then(|at| inner.upsets.remove(at)).map(|(_, upset)| upset)
    };
    match upset {
        None => Json(answer).into_response(),
        Some(Upset::Status(status, retry_after)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
            let mut response = (status, Json(json!({"error": "upset"}))).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Some(Upset::Html) => {
            ([(header::CONTENT_TYPE, "text/html")], "<html><body>Back soon</body></html>")
                .into_response()
        }
        Some(Upset::Cut) => {
            let whole = answer.to_string();
            let half = whole.get(..whole.len() / 2).unwrap_or_default().to_owned();
            // The length promises more than comes, so the client sees that the body broke off.
            let response = Response::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::CONTENT_LENGTH, whole.len())
                .body(Body::from_stream(cut_stream(half)));
            response.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn cut_stream(half: String) -> impl futures::Stream<Item = io::Result<String>> {
    futures::stream::iter([Ok(half)]).chain(futures::stream::once(async {
        // What was written so far has to leave before the connection breaks.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        Err(io::ErrorKind::ConnectionReset.into())
    }))
}

/// Whether the row's cursor is at or after `since`.
fn is_since(stream: &str, n: usize, since: Option<&str>) -> bool {
    let Some(since) = since else { return true };
    match stream {
        "users" => DateTime::parse_from_rfc3339(since).is_ok_and(|since| updated_at(n) >= since),
        "orders" => since.parse().is_ok_and(|since: i64| sequence(n) >= since),
        _ => true,
    }
}

/// Two users share each time, so that equal cursors lie on both sides of page borders.
fn updated_at(n: usize) -> DateTime<Utc> {
    DateTime::from_timestamp(1_704_067_200, 0).unwrap_or_default()
        + Duration::hours(n.div_ceil(2) as i64)
}

/// Three orders share each number.
fn sequence(n: usize) -> i64 {
    1000 + (n / 3) as i64
}

fn row(stream: &str, n: usize) -> Value {
    let id = n + 1;
    match stream {
        "users" => json!({
            "id": id,
            "name": NAMES[n % NAMES.len()],
            "email": if n % 4 == 3 { Value::Null } else { json!(format!("user{id}@example.org")) },
            "active": !n.is_multiple_of(3),
            "score": (n as f64) * 0.5,
            "address": {"city": "Bern", "zip": format!("{:04}", 3000 + n % 1000)},
            "tags": TAGS.get(..n % 3),
            "updated_at": updated_at(n).format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }),
        "orders" => json!({
            "id": 5000 + id,
            "sequence": sequence(n),
            "user_id": n % 7 + 1,
            "amount": 10.25 + n as f64,
            "currency": if n.is_multiple_of(2) { "EUR" } else { "CHF" },
            "placed_on": format!("2024-{:02}-{:02}", n % 12 + 1, n % 28 + 1),
        }),
        "countries" => json!({"code": country(n), "name": format!("Country {id}")}),
        "notes" => json!({
            "user_id": n / 5 + 1,
            "number": n % 5 + 1,
            "body": format!("Note {id}\nin two lines"),
        }),
        _ => Value::Null,
    }
}

fn country(n: usize) -> String {
    let letter = |n: usize| char::from(b'A' + (n % 26) as u8);
    let code: String = [letter(n / 26), letter(n)].iter().collect();
    if n < 676 { code } else { format!("{code}{}", n / 676) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_cursors_lie_on_both_sides_of_page_borders() {
        assert_eq!(updated_at(9), updated_at(10));
        assert_eq!(sequence(9), sequence(10));
    }

    #[test]
    fn keys_are_unique() {
        let codes: std::collections::HashSet<String> = (0..2000).map(country).collect();
        assert_eq!(codes.len(), 2000);
    }
}
