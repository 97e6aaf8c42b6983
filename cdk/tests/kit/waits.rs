//! Rate limits, long waits and the signal to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use airbyte_protocol::{FailureType, StreamDescriptor, StreamState};
use cdk::http::{Action, Budget, Budgets, Client, ErrorTable, RetryPolicy, Rule, Scope};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{Answer, Server, World, seconds};

fn ok() -> Answer {
    Answer::json(&json!({ "ok": true }))
}

fn limited(retry_after: &str) -> Answer {
    Answer::status(429).header("retry-after", retry_after)
}

/// Sends `count` requests at once and waits for all of them.
async fn crowd(client: &Client, count: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let client = client.clone();
        tasks.spawn(async move { client.json::<Value>(&client.get("/things")).await });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_pauses_everybody_once_and_the_work_goes_on_at_the_rate() {
    let world = World::new();
    let begin = Instant::now();
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = answered.clone();
    // The fifth request is one too many.
    let server = Server::new(move |_| {
        let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
        if number == 5 { limited("30") } else { ok() }
    });
    let client =
        world.builder(&server).budgets(Budgets::new(Budget::per_second("Example", 10.0))).build();
    crowd(&client, 100).await;
    let sent: Vec<f64> = server.sent().iter().map(|s| (s.at - begin).as_secs_f64()).collect();
    assert_eq!((sent.len(), client.counts().rate_limits()), (101, 1));
    let pause = sent.iter().zip(&sent[1..]).filter(|(a, b)| *b - *a > 1.0).count();
    assert_eq!(pause, 1, "{sent:?}");
    assert!((30.3..30.6).contains(&sent[5]), "{sent:?}");
    // After the pause: two thirds of the rate at first, all of it within ten seconds.
    assert!(sent.windows(2).all(|w| w[1] - w[0] > 0.099), "{sent:?}");
    let last = sent[100] - sent[5];
    assert!((9.5..13.0).contains(&last), "{last}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoints_refusal_leaves_the_others_alone() {
    let world = World::new();
    let server = Server::new(|sent| {
        let busy = sent.request.url.path().ends_with("/busy");
        if busy && sent.at.elapsed() == Duration::ZERO && sent.query("n").as_deref() == Some("0") {
            return Answer::status(429).header("retry-after", "60").header("x-scope", "endpoint");
        }
        ok()
    });
    let table = ErrorTable::default().with([Rule::new(Action::Pause(Scope::Endpoint))
        .status([429])
        .header("x-scope", "endpoint")]);
    let client = world.builder(&server).errors(table).build();
    let refused = tokio::spawn({
        let client = client.clone();
        async move {
            let request = client.get("/busy").query("n", 0);
            tokio::time::timeout(seconds(10), client.json::<Value>(&request)).await.is_err()
        }
    });
    tokio::task::yield_now().await;
    client.json::<Value>(&client.get("/calm")).await.unwrap();
    let before = Instant::now();
    client.json::<Value>(&client.get("/busy").query("n", 1)).await.unwrap();
    assert!(before.elapsed() >= seconds(59), "{:?}", before.elapsed());
    assert!(refused.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn who_waits_at_the_endpoint_minds_a_pause_of_the_api() {
    let world = World::new();
    let server = Server::new(|_| ok());
    let budgets = Budgets::new(Budget::unlimited("Example")).each_endpoint(1.0);
    let client = world.builder(&server).budgets(budgets).build();
    let api = client.budgets().api().clone();
    let pause = async {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        api.pause(Some(seconds(60)), &RetryPolicy::default(), Instant::now());
    };
    let begin = Instant::now();
    tokio::join!(crowd(&client, 5), pause);
    let late = server.sent().iter().filter(|sent| sent.at - begin >= seconds(61)).count();
    assert_eq!(late, 3, "two requests left before the pause");
}

#[tokio::test(start_paused = true)]
async fn long_waits_are_announced_once_and_ended() {
    let world = World::new();
    let stream = world.context.output.stream(StreamDescriptor::new("things"));
    stream.started();
    let first = AtomicUsize::new(0);
    let server = Server::new(move |_| match first.fetch_add(1, Ordering::Relaxed) {
        // All four are on their way when the first answer comes.
        0..4 => limited("90").after(Duration::from_millis(50)),
        _ => ok(),
    });
    crowd(&world.client(&server), 4).await;
    assert_eq!(world.statuses(), ["STARTED", "RATE_LIMITED@90", "RUNNING"]);
}

#[tokio::test(start_paused = true)]
async fn short_waits_and_outages_are_no_rate_limits() {
    let world = World::new();
    world.context.output.stream(StreamDescriptor::new("things")).started();
    let server = Server::script(vec![
        || limited("4"),
        || Answer::status(503).header("retry-after", "50"),
        ok,
    ]);
    crowd(&world.client(&server), 1).await;
    assert_eq!(world.statuses(), ["STARTED"]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_hours_gives_signs_of_life() {
    let world = World::new();
    let stream = world.context.output.stream(StreamDescriptor::new("things"));
    stream.started();
    let state: StreamState = serde_json::from_value(json!({ "page": 7 })).unwrap();
    stream.state(&state).await;
    let begin = Instant::now();
    let server =
        Server::new(move |_| if begin.elapsed() < seconds(10) { limited("14400") } else { ok() });
    crowd(&world.client(&server), 3).await;
    // Four hours: one state each twenty minutes, however many tasks wait.
    let states = world.states();
    assert!((12..=13).contains(&states.len()), "{}", states.len());
    assert!(states.iter().all(|state| state == &json!({ "page": 7 })));
    assert_eq!(world.statuses(), ["STARTED", "RATE_LIMITED@14400", "RUNNING"]);
}

#[tokio::test(start_paused = true)]
async fn twenty_hours_of_rate_limits_are_ridden_out() {
    let world = World::new();
    let begin = Instant::now();
    let server =
        Server::new(
            move |_| if begin.elapsed() < seconds(20 * 3600) { limited("3600") } else { ok() },
        );
    let client = world.client(&server);
    client.json::<Value>(&client.get("/things")).await.unwrap();
    assert!((20..=22).contains(&server.sent().len()), "{}", server.sent().len());
}

#[tokio::test(start_paused = true)]
async fn rate_limits_beyond_the_total_are_a_transient_error() {
    let world = World::new();
    let server = Server::new(|_| limited("3600"));
    let policy = RetryPolicy { rate_limit_total: seconds(2 * 3600), ..RetryPolicy::default() };
    let client = world.builder(&server).policy(policy).build();
    let begin = Instant::now();
    let failure = client.json::<Value>(&client.get("/things")).await.unwrap_err();
    assert_eq!(failure.error.kind(), FailureType::Transient);
    assert!(failure.error.message().contains("2.0 hours"), "{}", failure.error);
    assert!(begin.elapsed() <= seconds(2 * 3600));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_retry_at_once_is_not_hammered() {
    let world = World::new();
    let server = Server::new(|_| limited("0").after(Duration::from_millis(1)));
    let policy = RetryPolicy { rate_limit_total: seconds(3600), ..RetryPolicy::default() };
    let client = world.builder(&server).policy(policy).build();
    client.json::<Value>(&client.get("/things")).await.unwrap_err();
    // Waits grow up to a minute: about two requests a minute.
    assert!(server.sent().len() < 400, "{}", server.sent().len());
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_every_wait_at_once() {
    for answer in [
        || limited("3600"),
        || Answer::status(503).header("retry-after", "3600"),
        || ok().after(seconds(100)),
        || Answer::text(200, "{").hanging(),
        || Answer::text(400, "{").hanging(),
    ] {
        let world = World::new();
        let client = world.client(&Server::new(move |_| answer()));
        let begin = Instant::now();
        let stop = async {
            tokio::time::sleep(seconds(2)).await;
            world.context.shutdown.cancel();
        };
        let request = client.get("/things");
        let (result, ()) = tokio::join!(client.json::<Value>(&request), stop);
        let failure = result.unwrap_err();
        assert!(failure.error.message().contains("stopped by a signal"), "{}", failure.error);
        assert_eq!(begin.elapsed(), seconds(2));
    }
}
