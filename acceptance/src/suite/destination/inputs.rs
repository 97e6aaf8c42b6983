//! Experiments with unusual input.

use serde_json::{Value, json};

use super::Bench;
use super::feed::{EPOCH_MS, Feed, Target, row};
use crate::checks::destination::{Row, instant};
use crate::exec::Trouble;
use crate::rules;
use crate::sheet::Finding;

/// Lines that are no records or states, and those with nulls where nothing has to be.
pub(super) fn other_lines(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("lines");
    let target = Target::new(&stream);
    let trace = |kind: &str, key: &str, body: Value| json!({"type": "TRACE", "trace": {"type": kind, "emitted_at": EPOCH_MS, key: body}});
    let estimate = json!({"name": stream, "type": "STREAM", "row_estimate": 3});
    let control = json!({
        "type": "CONNECTOR_CONFIG", "emitted_at": EPOCH_MS, "connectorConfig": {"config": {}},
    });
    let with_nulls = json!({
        "type": "RECORD",
        "record": {
            "stream": stream, "namespace": null, "data": row(1), "emitted_at": EPOCH_MS,
            "meta": null, "file_reference": null,
        },
        "log": null, "state": null, "trace": null, "connectionStatus": null, "catalog": null,
    });
    let feed = Feed::new()
        .line("The source says hello.")
        .line("")
        .line("{\"half\": ")
        .line("[1, 2]")
        .message(&json!({"type": "LOG", "log": {"level": "INFO", "message": "a log"}}))
        .status(&stream, "STARTED")
        .status(&stream, "RUNNING")
        .message(&trace("ESTIMATE", "estimate", estimate))
        .message(&trace("ANALYTICS", "analytics", json!({"type": "version", "value": "1"})))
        .message(&json!({"type": "CONTROL", "control": control}))
        .message(&json!({"type": "SOMETHING_NEW", "something_new": {}}))
        .rows(&stream, 0..1)
        .message(&with_nulls)
        .line("Goodbye.");
    bench.sheet.check(&rules::W08);
    if bench.write(&rules::W08, "other lines", &[&target], &feed)? {
        bench.expect(
            &rules::W08,
            &stream,
            "id",
            &[0, 1],
            "with other lines between the records",
        )?;
    }
    Ok(())
}

/// A record that belongs nowhere is not dropped.
pub(super) fn unknown_stream(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("known");
    let unknown = bench.stream("unknown");
    let target = Target::new(&stream);
    let feed =
        Feed::new().rows(&stream, 0..1).rows(&unknown, 0..1).rows(&stream, 1..2).state(&stream, 1);
    let run = bench.feed("unknown stream", &[&target], &feed)?;
    bench.sheet.check(&rules::W09);
    if run.exit.is_success() {
        let message = "a record of a stream that is not in the catalog came, and it exited with 0";
        bench.sheet.find(Finding::new(&rules::W09, message).in_run(&run.title));
    } else if run.errors().next().is_none() {
        let message = "it failed at a record of an unknown stream without an error trace";
        bench.sheet.find(Finding::new(&rules::W09, message).in_run(&run.title));
    }
    bench.runs.push((run, false));
    Ok(())
}

/// Times as other runners write them.
pub(super) fn times(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("times");
    let target = Target::new(&stream);
    let feed = Feed::new()
        .record_at(&stream, row(0), json!(EPOCH_MS))
        .record_at(&stream, row(1), json!(EPOCH_MS / 1000))
        .record_at(&stream, row(2), json!(EPOCH_MS as f64 + 0.5))
        .record_at(&stream, row(3), json!(EPOCH_MS as f64 / 1000.0 + 0.25))
        .state(&stream, 1);
    bench.sheet.check(&rules::W12);
    if !bench.write(&rules::W12, "emitted_at in seconds and with decimals", &[&target], &feed)? {
        return Ok(());
    }
    bench.expect(&rules::W12, &stream, "id", &[0, 1, 2, 3], "with unusual times")?;
    let Some(rows) = bench.rows(&rules::W12, &stream)? else { return Ok(()) };
    for row in &rows {
        let time = Row(row).value("_airbyte_extracted_at");
        let is_right =
            instant(&time).is_some_and(|time| (time.timestamp_millis() - EPOCH_MS).abs() < 1000);
        if !is_right && !time.is_null() {
            let message = format!("_airbyte_extracted_at is {time}, for a time of 2026-01-01");
            bench.sheet.find(Finding::new(&rules::W12, message).stream(&stream));
        }
    }
    Ok(())
}
