//! Simple streams: three as a connector would define them, the API behind them, and how they
//! are read. The tests are in the modules below.

mod deaths;
mod partitions;
mod slices;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use airbyte_protocol::{ConfiguredStream, StreamState};
use cdk::cursor::{CursorFormat, DAY, Step};
use cdk::http::{Body, Client, Failure};
use cdk::json::Select;
use cdk::page::{Paginator, Slot};
use cdk::read::{CheckpointPolicy, Reading, Stream};
use cdk::rest::{Cursor, Partitions, RestStream};
use chrono::TimeDelta;
use futures::FutureExt;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::support::{Answer, Sent, Server, World, seconds};

fn schema() -> Value {
    json!({ "type": "object", "properties": { "id": { "type": "integer" } } })
}

fn at(text: &str) -> i64 {
    CursorFormat::RFC3339.parse(text).unwrap()
}

// Three streams as a connector would define them.

fn orders(client: &Client) -> RestStream {
    let updated = Cursor::new("updated_at", CursorFormat::RFC3339).from(at("2023-01-01"));
    RestStream::new(client, "orders", schema(), client.get("/orders").query("limit", 4))
        .primary_key(["id"])
        .select(Select::list("data"))
        .pages(Paginator::cursor("next", Slot::query("after")))
        .cursor(updated.since(SINCE).before(BEFORE).step(Step::Months(1)))
}

fn report(client: &Client) -> RestStream {
    let body = json!({ "dimensions": ["date"], "dateRange": {}, "limit": 3 });
    let date = Cursor::new("date", CursorFormat::custom("%Y%m%d").unwrap()).from(at("2023-10-01"));
    let date = date.request_format(CursorFormat::Date).step(Step::days(10));
    RestStream::new(client, "report", schema(), client.post("/report").json(body))
        .select(Select::list("rows"))
        .pages(Paginator::Offset { size: 3, slot: Slot::body("offset") })
        .cursor(date.since(Slot::body("dateRange.start")).until(Slot::body("dateRange.end")))
}

fn notes(client: &Client) -> RestStream {
    let created = Cursor::new("created", CursorFormat::EpochSeconds);
    RestStream::new(client, "notes", schema(), client.get("/customers/{customer_id}/notes"))
        .select(Select::list("data"))
        .pages(Paginator::next_link("next"))
        .cursor(created.since(Slot::query("created[gte]")))
        .partitions(Partitions::parent("customer_id", customers(client), "id"))
        .column("customer_id", "customer_id")
}

fn customers(client: &Client) -> RestStream {
    RestStream::new(client, "customers", schema(), client.get("/customers"))
        .select(Select::list("data"))
        .pages(Paginator::PageNumber { first: 1, size: 2, slot: Slot::query("page") })
}

const SINCE: Slot = Slot::Query(Cow::Borrowed("since"));
const BEFORE: Slot = Slot::Query(Cow::Borrowed("before"));

// The API behind them.

/// The order number `id`: one each five days from the first of January 2023.
fn order(id: i64) -> Value {
    let text = CursorFormat::Rfc3339(chrono::SecondsFormat::Millis).text(order_time(id));
    json!({ "id": id, "updated_at": text })
}

/// In microseconds since the epoch; milliseconds are told too.
fn order_time(id: i64) -> i64 {
    1_672_531_200_777_000 + id * 5 * DAY
}

const ORDERS: i64 = 64;

fn page(all: Vec<Value>, from: usize, size: usize) -> (Vec<Value>, Option<usize>) {
    let next = (from + size < all.len()).then_some(from + size);
    (all.into_iter().skip(from).take(size).collect(), next)
}

fn answer(sent: &Sent) -> Answer {
    let path = sent.request.url.path().strip_prefix("/base").unwrap().to_owned();
    let number = |name| sent.query(name).and_then(|text| text.parse::<usize>().ok());
    if path == "/orders" {
        let (since, before) =
            (at(&sent.query("since").unwrap()), at(&sent.query("before").unwrap()));
        let inside = |id: &i64| (since..before).contains(&order_time(*id));
        let found = (0..ORDERS).filter(inside).rev().map(order).collect();
        let (data, next) = page(found, number("after").unwrap_or(0), 4);
        return Answer::json(&json!({ "data": data, "next": next.map(|n| n.to_string()) }));
    }
    if path == "/report" {
        let Body::Json(body) = &sent.request.body else { panic!("no JSON body") };
        let day =
            |key: &str| CursorFormat::Date.parse(body["dateRange"][key].as_str().unwrap()).unwrap();
        let days = (day("start")..=day("end")).step_by(DAY as usize);
        let text = CursorFormat::custom("%Y%m%d").unwrap();
        let found = days.map(|day| json!({ "id": day / DAY, "date": text.text(day) })).collect();
        let (rows, _) = page(found, body["offset"].as_u64().unwrap_or(0) as usize, 3);
        return Answer::json(&json!({ "rows": rows }));
    }
    if path == "/customers" {
        let customers = (1..=5).map(|id| json!({ "id": format!("c/{id}") })).collect();
        let (data, _) = page(customers, (number("page").unwrap() - 1) * 2, 2);
        return Answer::json(&json!({ "data": data }));
    }
    // Customer n has 3 n notes.
    let customer = path.strip_prefix("/customers/c%2F").unwrap().strip_suffix("/notes").unwrap();
    let customer: i64 = customer.parse().unwrap();
    let since = sent.query("created[gte]").unwrap().parse::<i64>().unwrap();
    let notes =
        (0..3 * customer).map(|n| json!({ "id": customer * 100 + n, "created": 1_000 * n }));
    let found = notes.filter(|note| note["created"].as_i64().unwrap() >= since).collect();
    let (data, next) = page(found, number("from").unwrap_or(0), 2);
    let next = next.map(|from| format!("/base{path}?created[gte]={since}&from={from}"));
    Answer::json(&json!({ "data": data, "next": next }))
}

// One read, perhaps cut short.

struct Outcome {
    /// The final state, unless it failed or was cut short.
    end: Option<Result<StreamState, Failure>>,
    /// The last state that an orchestrator has got.
    state: Option<StreamState>,
    /// Records by id, and how often each came.
    records: BTreeMap<i64, usize>,
    sent: Vec<Sent>,
    world: World,
}

impl Outcome {
    fn finished(&self) -> Value {
        let state = self.end.as_ref().expect("cut short").as_ref().unwrap();
        Value::Object(state.0.clone())
    }

    fn ids(&self) -> Vec<i64> {
        self.records.keys().copied().collect()
    }
}

/// How a read goes.
struct Plan {
    from: Option<StreamState>,
    mode: &'static str,
    /// The process dies when the server gets this request.
    dies_at: Option<usize>,
    workers: usize,
}

impl Plan {
    fn from(state: Option<StreamState>) -> Self {
        Plan { from: state, mode: "incremental", dies_at: None, workers: 10 }
    }

    fn anew() -> Self {
        Self::from(None)
    }
}

fn state(value: Value) -> Option<StreamState> {
    Some(serde_json::from_value(value).unwrap())
}

async fn run(define: &dyn Fn(&Client) -> RestStream, plan: Plan) -> Outcome {
    run_with(define, plan, answer).await
}

async fn run_with(
    define: &dyn Fn(&Client) -> RestStream,
    plan: Plan,
    mut answer: impl FnMut(&Sent) -> Answer + Send + 'static,
) -> Outcome {
    let world = World::new();
    let death = Arc::new(Notify::new());
    let (knell, mut count) = (death.clone(), 0);
    let server = Server::new(move |sent| {
        count += 1;
        if Some(count) == plan.dies_at {
            knell.notify_one();
            return Answer::status(200).hanging();
        }
        answer(sent)
    });
    let stream = define(&world.builder(&server).workers(plan.workers).build());
    let definition = stream.definition();
    let configured: ConfiguredStream =
        serde_json::from_value(json!({ "stream": definition, "sync_mode": plan.mode })).unwrap();
    let output = world.context.output.stream(definition.descriptor());
    output.started();
    // A state after each page: what is on disk when the process dies is up to date.
    let policy = CheckpointPolicy { records: 1, interval: seconds(3600) };
    let reading =
        Reading::new(configured, plan.from, output, policy, world.context.shutdown.clone());
    let end = tokio::select! {
        end = stream.read(&reading) => Some(end),
        () = death.notified() => None,
    };
    if let Some(Err(_)) = &end {
        reading.flush().await;
    }
    let mut records = BTreeMap::new();
    for record in world.records(&definition.name) {
        *records.entry(record["id"].as_i64().unwrap()).or_insert(0) += 1;
    }
    let state = world.states().pop().map(|state| serde_json::from_value(state).unwrap());
    Outcome { end, state, records, sent: server.sent(), world }
}

/// The orders with a cursor changed in one way.
fn with_cursor(client: &Client, change: fn(Cursor) -> Cursor) -> RestStream {
    let updated = Cursor::new("updated_at", CursorFormat::RFC3339).from(at("2023-01-01"));
    let updated = updated.since(SINCE).before(BEFORE).step(Step::Months(1));
    orders(client).cursor(change(updated))
}

/// The orders without a cursor.
fn plain_orders(client: &Client) -> RestStream {
    let list = client.get("/orders").query("since", "2023-01-01").query("before", "2024-01-01");
    RestStream::new(client, "plain", schema(), list)
        .select(Select::list("data"))
        .pages(Paginator::cursor("next", Slot::query("after")))
}

/// The notes without a cursor.
fn plain_notes(client: &Client) -> RestStream {
    let list = client.get("/customers/{customer_id}/notes").query("created[gte]", 0);
    RestStream::new(client, "plain_notes", schema(), list)
        .select(Select::list("data"))
        .pages(Paginator::next_link("next"))
        .partitions(Partitions::parent("customer_id", customers(client), "id"))
}
