//! Ends before the end: kills, signals, a reader that goes away. What was done is kept, nothing
//! is lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use airbyte_protocol::{LogLevel, Message, StreamStatusType};
use e2e::{Outcome, Stripe, rows, state};
use sandbox::Options;
use serde_json::{Value, json};

/// Rows that may come again after a kill besides those that no state covers: pages that were
/// written while others of their window were not, and the seconds at borders.
const AGAIN: usize = 1_200;

/// Rows of a stream after its last state.
fn uncovered(read: &Outcome) -> usize {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in &read.messages {
        match message {
            Message::Record(record) => *counts.entry(&record.stream).or_default() += 1,
            Message::State(state) => {
                let name =
                    state.stream.as_ref().map(|stream| stream.stream_descriptor.name.as_str());
                counts.insert(name.unwrap_or_default(), 0);
            }
            _ => {}
        }
    }
    counts.values().sum()
}

/// Reads on and on, killed at each of these numbers of lines, then to the end.
fn killed_at(stripe: &Stripe, streams: &[&str], lines: &[usize]) {
    let mut states: BTreeMap<String, Value> = BTreeMap::new();
    let mut got: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut may_come_again = 0;
    for kill_at in lines.iter().copied().chain([usize::MAX]) {
        let mut running = stripe.read(streams).state(state::pyairbyte(&states)).spawn();
        let is_cut = (0..kill_at).all(|_| running.line().is_some());
        running.kill();
        let read = running.finish();
        for stream in streams {
            got.entry(stream).or_default().extend(read.rows(stream));
        }
        states.extend(read.last_states());
        if !is_cut {
            let read = if read.signal.is_some() { None } else { Some(read.succeeded()) };
            assert!(kill_at == usize::MAX || read.is_some());
            break;
        }
        may_come_again += uncovered(&read) + AGAIN;
    }
    let mut surplus = 0;
    for (stream, rows) in got {
        let (count, rows) = (rows.len(), rows::by_key(rows, Some("id")));
        surplus += count - rows.len();
        let found = rows::differences(&rows, &rows::by_key(stripe.truth(stream), Some("id")));
        assert!(found.is_empty(), "{stream}, killed at {lines:?}: {found:#?}");
    }
    assert!(surplus <= may_come_again, "{surplus} rows came again, {may_come_again} may");
}

#[test]
fn kills_at_any_line_lose_nothing() {
    let stripe = Stripe::of_rows(5_600);
    let mut random = fastrand::Rng::with_seed(7);
    // Before any record, before any state, after a state.
    let lines = [random.usize(1..20), random.usize(50..2_500), random.usize(5_100..5_600)];
    killed_at(&stripe, &["charges", "disputes"], &lines);
}

#[test]
fn kills_during_a_bad_day_lose_nothing() {
    let stripe = Stripe::of_rows(1_000);
    stripe.faults("server_error = 0.03\nreset = 0.02\ntruncate = 0.02\n");
    let mut random = fastrand::Rng::with_seed(11);
    let lines = [random.usize(1..400), random.usize(400..1_500), random.usize(1_500..2_500)];
    killed_at(&stripe, &["invoices", "invoice_line_items", "balance_transactions"], &lines);
}

#[test]
fn case_07_a_first_read_that_was_killed_goes_on_behind_the_finished_windows() {
    let stripe = Stripe::of_rows(5_600);
    let mut running = stripe.read(&["charges"]).spawn();
    running.until("\"STATE\"");
    running.kill();
    let killed = running.finish();
    let saved = killed.last_state("charges");
    assert_eq!(saved["phase"], "backfill", "{saved}");
    assert_eq!(saved.get("updated"), None, "a cursor would let others take it for complete");
    let done: Vec<(i64, i64)> = saved["done"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|span| Some((span[0].as_i64()?, span[1].as_i64()?)))
        .collect();
    assert!(!done.is_empty());
    let is_done = |row: &Value| {
        let created = row["created"].as_i64().unwrap_or_default();
        done.iter().any(|(from, to)| (*from..*to).contains(&created))
    };
    let truth = stripe.truth("charges");
    let covered = truth.iter().filter(|row| is_done(row)).count();
    assert!(covered >= 3_000, "{covered} rows are covered by {done:?}");
    let read_before = rows::by_key(killed.rows("charges"), Some("id"));
    let rest = stripe.read(&["charges"]).state(killed.state_file()).run().succeeded();
    let rest_rows = rest.rows("charges");
    assert!(!rest_rows.iter().any(is_done), "a finished window was read again");
    assert_eq!(rest_rows.len(), truth.len() - covered);
    let all = read_before.into_values().chain(rest_rows);
    assert_eq!(rows::by_key(all, Some("id")), rows::by_key(truth, Some("id")));
}

/// A full refresh that is interrupted goes on in the next attempt of the same job, and once it is
/// complete brings nothing more.
#[test]
fn a_full_refresh_that_was_killed_is_resumed() {
    let stripe = Stripe::of_rows(5_600);
    let job = stripe.read(&["charges"]).full_refresh();
    let mut running = job.spawn();
    running.until("\"STATE\"");
    running.kill();
    let killed = running.finish();
    let rest = job.clone().state(killed.state_file()).run().succeeded();
    assert!(rest.rows("charges").len() < 5_000, "{}", rest.rows("charges").len());
    let all = killed.rows("charges").into_iter().chain(rest.rows("charges"));
    assert_eq!(rows::by_key(all, Some("id")), rows::by_key(stripe.truth("charges"), Some("id")));
    let again = job.state(rest.state_file()).run().succeeded();
    assert_eq!(again.rows("charges").len(), 0);
}

#[test]
fn sigterm_ends_a_read_soon_with_states_that_lose_nothing() {
    let latency = Duration::from_millis(20);
    let stripe = Stripe::start(Options { rows: 1_200, latency, ..Options::default() });
    let streams = ["charges", "customers", "invoice_line_items"];
    let mut running = stripe.read(&streams).spawn();
    for _ in 0..700 {
        running.line();
    }
    running.terminate();
    let asked = Instant::now();
    let stopped = running.finish();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(143), ""), "{}", stopped.summary());
    let findings = e2e::sound::check(&stopped.messages);
    assert!(findings.is_empty(), "{findings:?}");
    let incomplete = streams
        .iter()
        .filter(|s| stopped.statuses(s).last() == Some(&StreamStatusType::Incomplete));
    assert!(incomplete.count() > 0, "it was over before the signal came");
    assert!(
        stopped
            .errors()
            .iter()
            .any(|error| error.message.contains("SIGTERM") || error.message.contains("signal"))
    );
    let rest = stripe.read(&streams).state(stopped.state_file()).run().succeeded();
    let covered = stopped.row_count() - uncovered(&stopped);
    assert!(covered > 0, "no state covers what was read");
    for stream in streams {
        let all = stopped.rows(stream).into_iter().chain(rest.rows(stream));
        let found = rows::differences(
            &rows::by_key(all, Some("id")),
            &rows::by_key(stripe.truth(stream), Some("id")),
        );
        assert!(found.is_empty(), "{stream}: {found:#?}");
    }
}

#[test]
fn sigterm_during_a_wait_for_a_rate_limit_ends_it() {
    let stripe = Stripe::of_rows(50);
    stripe.faults(
        "[[script]]\npath = \"/stripe/v1/customers\"\naction = \"too_many\"\nretry_after = 300\n",
    );
    let mut running = stripe.read(&["customers"]).spawn();
    running.until("RATE_LIMITED");
    running.terminate();
    let asked = Instant::now();
    let stopped = running.finish();
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert_eq!((stopped.code, stopped.stderr.as_str()), (Some(143), ""));
}

#[test]
fn a_closed_stdout_ends_a_read_quietly() {
    let stripe = Stripe::of_rows(3_000);
    let mut running = stripe.read(&["charges", "customers"]).spawn();
    running.until("\"RECORD\"");
    running.close();
    let closed = Instant::now();
    let ended = running.finish();
    assert!(closed.elapsed() < Duration::from_secs(5), "{:?}", closed.elapsed());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(141), ""));
    assert!(stripe.requests().all.total < 60, "it went on reading: {:?}", stripe.requests().all);
}

#[test]
fn debug_output_is_made_of_messages_and_changes_no_rows() {
    let stripe = Stripe::of_rows(150);
    let streams = ["charges", "customers", "invoice_line_items"];
    let plain = stripe.read(&streams).run().succeeded();
    stripe.faults("[[script]]\npath = \"/stripe/v1/customers\"\naction = \"server_error\"\n");
    let debug = stripe.read(&streams).flag("--debug").run().succeeded();
    assert!(!debug.logs(LogLevel::Debug).is_empty());
    assert!(plain.logs(LogLevel::Debug).is_empty());
    for stream in streams {
        let by_id = |read: &Outcome| rows::by_key(read.rows(stream), Some("id"));
        assert_eq!(by_id(&plain), by_id(&debug));
    }
    let log = stripe.read(&["customers"]).variable("LOG_LEVEL", "trace").run().succeeded();
    assert!(!log.logs(LogLevel::Trace).is_empty());
    let quiet =
        stripe.read(&["customers"]).variable("LOG_LEVEL", "error").set(json!({})).run().succeeded();
    assert!(quiet.logs(LogLevel::Info).is_empty());
}
