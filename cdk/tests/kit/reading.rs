//! The scheduler with small streams.

use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{
    ConfiguredCatalog, ConfiguredStream, Error, InputState, StreamDescriptor, StreamState, SyncMode,
};
use cdk::http::{Action, Failure};
use cdk::read::{CheckpointPolicy, Reading, Stream, read};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::support::{World, seconds};

fn state(value: Value) -> StreamState {
    serde_json::from_value(value).unwrap()
}

async fn write(reading: &Reading, ids: std::ops::Range<u64>) {
    let mut batch = reading.batch();
    for id in ids {
        batch.push(&[json!({ "id": id }).to_string().as_bytes()]);
    }
    reading.write(batch).await;
}

type Body = for<'a> fn(&'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>>;

struct Fake(&'static str, Body);

impl Stream for Fake {
    fn definition(&self) -> airbyte_protocol::Stream {
        let schema = json!({ "type": "object", "properties": { "id": { "type": "integer" } } });
        airbyte_protocol::Stream::new(self.0, schema)
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        (self.1)(reading)
    }
}

fn good(reading: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async move {
        write(reading, 0..3).await;
        tokio::time::sleep(seconds(1)).await;
        Ok(state(json!({ "done": true })))
    })
}

fn bad(reading: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async move {
        write(reading, 0..1).await;
        reading.progress(|| state(json!({ "page": 1 }))).await;
        Err(Error::config("No permission.").into())
    })
}

fn refused(action: Action) -> Failure {
    let error = Error::config("Not there.");
    Failure { action, status: Some(404), api: Box::default(), error }
}

fn skipped(_: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async { Err(refused(Action::Skip)) })
}

fn empty(_: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async { Err(refused(Action::Empty)) })
}

fn skipped_late(reading: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async move {
        write(reading, 0..1).await;
        reading.progress(|| state(json!({ "page": 1 }))).await;
        Err(refused(Action::Skip))
    })
}

fn broken(_: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async { panic!("a defect") })
}

fn endless(reading: &Reading) -> BoxFuture<'_, Result<StreamState, Failure>> {
    Box::pin(async move {
        for page in 0.. {
            reading.keep_going()?;
            write(reading, page * 2..page * 2 + 2).await;
            reading.progress(|| state(json!({ "page": page }))).await;
            tokio::time::sleep(seconds(1)).await;
        }
        Ok(state(json!({})))
    })
}

fn streams(bodies: &[(&'static str, Body)]) -> Vec<Arc<dyn Stream>> {
    bodies.iter().map(|(name, body)| Arc::new(Fake(name, *body)) as Arc<dyn Stream>).collect()
}

fn configured(stream: airbyte_protocol::Stream) -> ConfiguredStream {
    serde_json::from_value(json!({ "stream": stream, "sync_mode": "full_refresh" })).unwrap()
}

fn catalog(streams: &[Arc<dyn Stream>]) -> ConfiguredCatalog {
    let streams = streams.iter().map(|stream| configured(stream.definition())).collect();
    ConfiguredCatalog { streams, ..Default::default() }
}

async fn run(world: &World, bodies: &[(&'static str, Body)], from: &InputState) {
    let streams = streams(bodies);
    let catalog = catalog(&streams);
    read(streams, catalog, from, &world.context, 4).await.unwrap();
}

fn ends(world: &World, stream: &str) -> Vec<String> {
    let of_stream = world.captured.lines().into_iter().filter(|line| {
        line.contains("STREAM_STATUS") && line.contains(&format!(r#""name":"{stream}""#))
    });
    of_stream
        .filter_map(|line| {
            let message: Value = serde_json::from_str(&line).unwrap();
            message["trace"]["stream_status"]["status"].as_str().map(str::to_owned)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn one_fails_and_the_others_complete() {
    let world = World::new();
    run(&world, &[("a", good), ("b", bad), ("c", good)], &InputState::default()).await;
    assert_eq!(ends(&world, "a"), ["STARTED", "RUNNING", "COMPLETE"]);
    assert_eq!(ends(&world, "b"), ["STARTED", "RUNNING", "INCOMPLETE"]);
    assert_eq!(ends(&world, "c"), ["STARTED", "RUNNING", "COMPLETE"]);
    assert_eq!((world.records("a").len(), world.records("b").len()), (3, 1));
    assert_eq!(world.errors(), [("config_error".into(), "b".into(), "No permission.".into())]);
    assert!(world.states().contains(&json!({ "page": 1 })), "the safe state comes before the end");
    assert!(world.context.output.has_failures());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_source_does_not_have_fails_alone() {
    let world = World::new();
    let streams = streams(&[("a", good)]);
    let mut catalog = catalog(&streams);
    let stranger = Fake("stranger", good).definition();
    catalog.streams.insert(0, configured(stranger));
    read(streams, catalog, &InputState::default(), &world.context, 1).await.unwrap();
    assert_eq!(ends(&world, "stranger"), ["INCOMPLETE"]);
    assert_eq!(ends(&world, "a"), ["STARTED", "RUNNING", "COMPLETE"]);
    let errors = world.errors();
    assert_eq!(
        (errors.len(), errors[0].0.as_str(), errors[0].1.as_str()),
        (1, "config_error", "stranger")
    );
    assert!(errors[0].2.contains("no stream named 'stranger'"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_stream_is_told_and_the_others_end() {
    let world = World::new();
    run(&world, &[("a", good), ("b", broken)], &InputState::default()).await;
    assert_eq!(ends(&world, "a"), ["STARTED", "RUNNING", "COMPLETE"]);
    assert_eq!(world.errors()[0].0, "system_error");
    assert!(world.context.output.has_failures());
}

#[tokio::test(start_paused = true)]
async fn a_signal_in_mid_stream_leaves_the_state_that_covers_the_records() {
    let world = World::new();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        world.context.shutdown.cancel();
    };
    let state = InputState::default();
    tokio::join!(run(&world, &[("a", endless)], &state), stop);
    let story = world.story();
    assert_eq!(story[story.len() - 3..], ["state", "error", "INCOMPLETE"]);
    assert_eq!(world.records("a").len(), 8);
    assert_eq!(world.states().last(), Some(&json!({ "page": 3 })));
    assert_eq!(world.errors()[0].0, "transient_error");
}

#[tokio::test(start_paused = true)]
async fn after_a_signal_nothing_new_is_begun() {
    let world = World::new();
    world.context.shutdown.cancel();
    run(&world, &[("a", good), ("b", good)], &InputState::default()).await;
    assert!(world.records("a").is_empty() && world.records("b").is_empty());
    assert_eq!(ends(&world, "a").last().unwrap(), "INCOMPLETE");
}

#[tokio::test(start_paused = true)]
async fn a_skipped_or_empty_stream_is_complete_and_keeps_its_state() {
    let world = World::new();
    let mut from = InputState::default();
    from.set(StreamDescriptor::new("a"), state(json!({ "kept": 1 })));
    run(&world, &[("a", skipped)], &from).await;
    run(&world, &[("b", empty)], &from).await;
    run(&world, &[("c", skipped_late)], &from).await;
    for stream in ["a", "b", "c"] {
        assert_eq!(ends(&world, stream), ["STARTED", "RUNNING", "COMPLETE"]);
    }
    let sentinel = json!({ "__ab_no_cursor_state_message": true });
    assert_eq!(world.states(), [json!({ "kept": 1 }), sentinel, json!({ "page": 1 })]);
    assert!(world.errors().is_empty() && !world.context.output.has_failures());
}

/// A reading with a policy of its own.
fn reading(world: &World, policy: CheckpointPolicy) -> Reading {
    let stream = Fake("a", good).definition();
    let output = world.context.output.stream(stream.descriptor());
    output.started();
    Reading::new(configured(stream), None, output, policy, world.context.shutdown.clone())
}

#[tokio::test(start_paused = true)]
async fn states_are_written_after_so_many_records_or_so_much_time() {
    let world = World::new();
    let reading = reading(&world, CheckpointPolicy { records: 10, interval: seconds(60) });
    for page in 0..10 {
        write(&reading, page * 4..page * 4 + 4).await;
        reading.progress(|| state(json!({ "page": page }))).await;
    }
    let pages = |world: &World| -> Vec<Value> {
        world.states().iter().map(|state| state["page"].clone()).collect()
    };
    assert_eq!(pages(&world), [2, 5, 8]);
    tokio::time::sleep(seconds(61)).await;
    reading.progress(|| state(json!({ "page": 10 }))).await;
    assert_eq!(pages(&world), [2, 5, 8, 10]);
    reading.flush().await;
    assert_eq!(pages(&world), [2, 5, 8, 10], "nothing new to tell");
    reading.progress(|| state(json!({ "page": 11 }))).await;
    reading.flush().await;
    assert_eq!(pages(&world), [2, 5, 8, 10, 11]);
}

#[tokio::test(start_paused = true)]
async fn a_state_comes_after_the_records_that_it_covers() {
    let world = World::new();
    let reading = Arc::new(reading(&world, CheckpointPolicy { records: 1, interval: seconds(60) }));
    let written = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8u64 {
        let (reading, written) = (reading.clone(), written.clone());
        tasks.spawn(async move {
            for page in 0..20 {
                tokio::time::sleep(Duration::from_millis((task * 7 + page * 3) % 11)).await;
                write(&reading, 0..3).await;
                written.fetch_add(3, std::sync::atomic::Ordering::SeqCst);
                let covered = || written.load(std::sync::atomic::Ordering::SeqCst);
                reading.progress(|| state(json!({ "covered": covered() }))).await;
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    let (mut records, mut last) = (0, 0);
    for line in world.captured.lines() {
        let message: Value = serde_json::from_str(&line).unwrap();
        match message["type"].as_str() {
            Some("RECORD") => records += 1,
            Some("STATE") => {
                let covered =
                    message["state"]["stream"]["stream_state"]["covered"].as_u64().unwrap();
                assert!(covered <= records && covered >= last, "{covered} of {records}");
                last = covered;
            }
            _ => {}
        }
    }
    assert_eq!((records, last), (480, 480));
}

#[tokio::test(start_paused = true)]
async fn incremental_mode_and_sentinels_are_seen_as_they_are() {
    let world = World::new();
    let mut configured = configured(Fake("a", good).definition());
    configured.sync_mode = SyncMode::Incremental;
    let output = world.context.output.stream(configured.descriptor());
    let make = |state| {
        Reading::new(
            configured.clone(),
            Some(state),
            output.clone(),
            CheckpointPolicy::default(),
            world.context.shutdown.clone(),
        )
    };
    assert!(make(StreamState::full_refresh_sentinel()).is_incremental());
    assert_eq!(make(StreamState::full_refresh_sentinel()).state(), None);
    assert!(make(StreamState::complete_sentinel()).state().is_some());
}
