//! Experiments with `append_dedup`.

use serde_json::json;

use super::Bench;
use super::feed::{EPOCH_MS, Feed, Target};
use crate::exec::Trouble;
use crate::rules;

/// The latest cursor stays, in one sync and over several, and replays change nothing.
pub(super) fn cursors(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("dedup");
    let target = Target::new(&stream).dedup(&["id"]);
    let version = |id: i64, cursor: i64| json!({"id": id, "cursor": cursor, "name": "v"});
    let first = Feed::new()
        .record(&stream, version(1, 10))
        .record(&stream, version(2, 30))
        .state(&stream, 1)
        .record(&stream, version(1, 12))
        .record(&stream, version(1, 11))
        .state(&stream, 2);
    if !bench.write(&rules::W06, "append_dedup", &[&target], &first)? {
        return Ok(());
    }
    bench.expect(&rules::W06, &stream, "cursor", &[12, 30], "after late records of one sync")?;
    let second = Feed::new()
        .record(&stream, version(2, 20))
        .record(&stream, version(1, 40))
        .record(&stream, version(3, 1))
        .state(&stream, 3);
    if !bench.write(&rules::W06, "append_dedup, later", &[&target], &second)? {
        return Ok(());
    }
    let expected = [40, 30, 1];
    bench.expect(
        &rules::W06,
        &stream,
        "cursor",
        &expected,
        "after late records of another sync",
    )?;
    for (title, feed) in [("append_dedup, replayed", &second), ("append_dedup, all again", &first)]
    {
        if !bench.write(&rules::W06, title, &[&target], feed)? {
            return Ok(());
        }
        bench.expect(&rules::W06, &stream, "cursor", &expected, "after a replay")?;
    }
    Ok(())
}

/// Keys of two columns, one of which may be null; of equal cursors the later extraction stays.
pub(super) fn composite(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("dedup_composite");
    let fields = json!({
        "a": {"type": "integer"},
        "b": {"type": ["null", "string"]},
        "cursor": {"type": "integer"},
        "n": {"type": "integer"},
    });
    let target = Target::with_fields(&stream, fields).dedup(&["a", "b"]);
    let version = |a: i64, b: Option<&str>, n: i64| json!({"a": a, "b": b, "cursor": 1, "n": n});
    let at = |seconds: i64| json!(EPOCH_MS + seconds * 1000);
    let feed = Feed::new()
        .record_at(&stream, version(1, Some("x"), 1), at(1))
        .record_at(&stream, version(1, Some("y"), 2), at(2))
        .record_at(&stream, version(2, Some("x"), 3), at(3))
        .record_at(&stream, version(2, None, 4), at(4))
        .record_at(&stream, version(1, Some("x"), 5), at(9))
        .record_at(&stream, version(1, Some("y"), 6), at(0))
        .state(&stream, 1);
    if bench.write(&rules::W06, "append_dedup by two columns", &[&target], &feed)? {
        let when = "with keys of two columns, and equal cursors";
        bench.expect(&rules::W06, &stream, "n", &[5, 2, 3, 4], when)?;
    }
    Ok(())
}
