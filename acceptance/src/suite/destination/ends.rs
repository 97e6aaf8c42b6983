//! Experiments with states and with the ways in which a sync ends.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::feed::{EPOCH_MS, Feed, Target};
use super::{Bench, wait_for_states, whole_numbers};
use crate::checks::destination::{Row, instant};
use crate::exec::Trouble;
use crate::rules;
use crate::sheet::Finding;

/// How long a process may take to exit after the end of its stdout; the platform waits a minute.
const LINGER: Duration = Duration::from_secs(10);

/// How long the end of stdin stays behind that of stdout in a cancelled sync.
const CLOSING: Duration = Duration::from_millis(500);

/// Rows, states, the end of the input: all is written, and the metadata are right.
pub(super) fn append(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("append");
    let target = Target::new(&stream);
    let feed = Feed::new()
        .rows(&stream, 0..3)
        .state(&stream, 1)
        .rows(&stream, 3..5)
        .state(&stream, 2)
        .state(&stream, 3)
        .rows(&stream, 5..6)
        .state(&stream, 4);
    bench.sheet.check(&rules::W03);
    if !bench.write(&rules::W03, "append without ids", &[&target], &feed)? {
        return Ok(());
    }
    bench.expect(&rules::W03, &stream, "id", &[0, 1, 2, 3, 4, 5], "after the end of the input")?;
    if let Some(rows) = bench.rows(&rules::W13, &stream)? {
        metadata(bench, &stream, &rows, 0);
    }

    let stream = bench.stream("append_ids");
    let target = Target::new(&stream).ids(7, 0);
    let feed = Feed::new().rows(&stream, 0..2).state(&stream, 1).status(&stream, "COMPLETE");
    if bench.write(&rules::W13, "append with ids", &[&target], &feed)?
        && let Some(rows) = bench.rows(&rules::W13, &stream)?
    {
        metadata(bench, &stream, &rows, 7);
        for row in &rows {
            let meta = match Row(row).value("_airbyte_meta") {
                Value::String(text) => serde_json::from_str(&text).unwrap_or_default(),
                meta => meta,
            };
            if meta["sync_id"] != 1007 {
                let message = format!("_airbyte_meta is {meta} and should name sync_id 1007");
                bench.sheet.find(Finding::new(&rules::W13, message).stream(&stream));
            }
        }
    }
    Ok(())
}

/// The metadata columns of rows that the feed extracted a second apart.
fn metadata(bench: &mut Bench<'_>, stream: &str, rows: &[Value], generation: i64) {
    let sheet = &mut bench.sheet;
    sheet.check(&rules::W13);
    let mut find = |message: String| sheet.find(Finding::new(&rules::W13, message).stream(stream));
    let mut ids: Vec<String> = Vec::new();
    for (row, number) in rows.iter().zip(whole_numbers(rows, "id")) {
        let row = Row(row);
        match row.value("_airbyte_raw_id") {
            Value::String(id) if !id.is_empty() => ids.push(id),
            other => find(format!("_airbyte_raw_id is {other}")),
        }
        let expected = Value::from(EPOCH_MS + 1000 * number);
        let extracted = row.value("_airbyte_extracted_at");
        if instant(&extracted) != instant(&expected) {
            find(format!(
                "_airbyte_extracted_at is {extracted}, and emitted_at of the record was {expected}"
            ));
        }
        if row.field("_airbyte_meta").is_none_or(|meta| meta.is_null()) {
            find("_airbyte_meta is not there".to_owned());
        }
        let found = row.value("_airbyte_generation_id");
        if whole_numbers(&[serde_json::json!({"n": found})], "n") != [generation] {
            find(format!("_airbyte_generation_id is {found} and should be {generation}"));
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() < count {
        find(format!("{count} rows share {} values of _airbyte_raw_id", ids.len()));
    }
}

/// SIGKILL right after states came back: what they cover has to be there.
pub(super) fn crash(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    for (round, states) in [1_i64, 2].into_iter().enumerate() {
        let stream = bench.stream(&format!("crash_{round}"));
        let target = Target::new(&stream);
        let mut running = bench.start("crash after a state", &[&target])?;
        let feed = (0..states).fold(Feed::new(), |feed, at| {
            feed.rows(&stream, at * 10..at * 10 + 10).state(&stream, at + 1)
        });
        running.write(feed.placed(bench.namespace).text.as_bytes());
        let has_come = wait_for_states(&mut running, states as usize);
        running.signal(Signal::KILL);
        let run = running.finish();
        bench.echoes(&run, &feed, false);
        if !has_come && run.states().next().is_none() {
            bench.sheet.skip(&rules::W01, "states are held back until the end of the input");
            return Ok(());
        }
        let covered: i64 = run
            .states()
            .filter_map(|(_, state)| {
                state.payload.pointer("/stream/stream_state/position")?.as_i64()
            })
            .max()
            .unwrap_or_default()
            * 10;
        let Some(rows) = bench.rows(&rules::W01, &stream)? else { return Ok(()) };
        let found = whole_numbers(&rows, "id");
        let lost = (0..covered).filter(|id| !found.contains(id)).count();
        if lost > 0 {
            let message = format!(
                "a state came back, the process was killed, and {lost} of the {covered} rows that \
                 the state covers are not there"
            );
            bench.sheet.find(Finding::new(&rules::W01, message).stream(&stream));
        }
    }
    Ok(())
}

/// GLOBAL states come back, and cover all streams.
pub(super) fn global(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let (one, two) = (bench.stream("global_a"), bench.stream("global_b"));
    let targets = [&Target::new(&one), &Target::new(&two)];
    let feed = Feed::new()
        .rows(&one, 0..5)
        .rows(&two, 0..5)
        .global_state(&[&one, &two], 1)
        .rows(&one, 5..6)
        .global_state(&[&one, &two], 2);
    bench.sheet.check(&rules::W11);
    let run = bench.feed("global states", &targets, &feed)?;
    let back = run.states().filter(|(_, state)| state.is_global()).count();
    if !run.exit.is_success() || back == 0 {
        let message = format!("no GLOBAL state came back; {}: {}", run.exit, run.error_text());
        bench.sheet.find(Finding::new(&rules::W11, message).in_run(&run.title));
        return Ok(());
    }
    bench.echoes(&run, &feed, true);
    bench.runs.push((run, true));
    bench.expect(&rules::W11, &two, "id", &[0, 1, 2, 3, 4], "after the end of the input")?;

    let (one, two) = (bench.stream("global_c"), bench.stream("global_d"));
    let targets = [&Target::new(&one), &Target::new(&two)];
    let feed = Feed::new().rows(&one, 0..5).rows(&two, 0..5).global_state(&[&one, &two], 1);
    let mut running = bench.start("crash after a global state", &targets)?;
    running.write(feed.placed(bench.namespace).text.as_bytes());
    let has_come = wait_for_states(&mut running, 1);
    running.signal(Signal::KILL);
    running.finish();
    if !has_come {
        bench.sheet.skip(&rules::W11, "states are held back until the end of the input");
        return Ok(());
    }
    let when = "killed after a GLOBAL state came back";
    bench.expect(&rules::W11, &one, "id", &[0, 1, 2, 3, 4], when)?;
    bench.expect(&rules::W11, &two, "id", &[0, 1, 2, 3, 4], when)
}

/// An overwrite without ids replaces the rows at the end of the input; when stdout ends, all of it
/// is done, and the process exits soon.
pub(super) fn overwrite(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("overwrite");
    let target = Target::new(&stream).overwrite();
    let first = Feed::new().rows(&stream, 0..3).state(&stream, 1);
    if !bench.write(&rules::W03, "first overwrite", &[&target], &first)? {
        return Ok(());
    }
    let second = Feed::new().rows(&stream, 10..12).state(&stream, 2);
    let mut running = bench.start("second overwrite", &[&target])?;
    running.write(second.placed(bench.namespace).text.as_bytes());
    running.close_input();
    while running.line().is_some() {}
    let ended = Instant::now();
    bench.expect(&rules::W14, &stream, "id", &[10, 11], "when stdout has ended")?;
    let read_back = ended.elapsed();
    let run = running.finish();
    bench.sheet.check(&rules::W14);
    let lingered = ended.elapsed();
    if lingered > LINGER + read_back {
        let message =
            format!("it took {:.0} s from the end of stdout to the exit", lingered.as_secs_f64());
        bench.sheet.find(Finding::new(&rules::W14, message).in_run(&run.title));
    }
    bench.expect(&rules::W03, &stream, "id", &[10, 11], "after an overwrite without ids")
}

/// The platform cancels by closing stdout and stdin.
pub(super) fn cancel(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("cancel");
    let target = Target::new(&stream).overwrite();
    let first = Feed::new().rows(&stream, 0..3).state(&stream, 1);
    if !bench.write(&rules::W15, "before the cancelled sync", &[&target], &first)? {
        return Ok(());
    }
    bench.sheet.check(&rules::W15);
    let second = Feed::new().rows(&stream, 10..11).state(&stream, 2).state(&stream, 3);
    let mut running = bench.start("cancelled", &[&target])?;
    running.close_output();
    running.write(second.placed(bench.namespace).text.as_bytes());
    // The reader of the pipe notices that it is to close it at the next line at the latest.
    std::thread::sleep(CLOSING);
    running.close_input();
    let run = running.finish();
    if run.exit.is_success() {
        let message = "stdin and stdout were closed in the middle, and it exited with 0";
        bench.sheet.find(Finding::new(&rules::W15, message).in_run(&run.title));
    }
    bench.expect(&rules::W15, &stream, "id", &[0, 1, 2], "after a cancelled overwrite")
}
