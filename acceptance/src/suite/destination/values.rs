//! Experiments with types and names: what arrives is what was sent.

use serde_json::{Map, Value, json};

use super::Bench;
use super::feed::{Feed, Target, row};
use crate::checks::destination::{Row, agrees, plain};
use crate::exec::Trouble;
use crate::rules::{self, Level};
use crate::sheet::Finding;

/// Values of the wrong type become null, with a note.
pub(super) fn misfits(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("misfits");
    let target = Target::new(&stream);
    let bad = json!({
        "id": 1, "cursor": "many", "name": "kept", "amount": "a lot", "active": "perhaps",
        "day": "some day", "at": "yesterday",
    });
    let feed = Feed::new()
        .record(&stream, row(0))
        .record(&stream, bad)
        .record(&stream, row(2))
        .state(&stream, 1);
    bench.sheet.check(&rules::W07);
    if !bench.write(&rules::W07, "values that do not fit", &[&target], &feed)? {
        return Ok(());
    }
    bench.expect(&rules::W07, &stream, "id", &[0, 1, 2], "with values that do not fit")?;
    let Some(rows) = bench.rows(&rules::W07, &stream)? else { return Ok(()) };
    let Some(found) = rows.iter().find(|row| agrees(&json!(1), &Row(row).value("id"))) else {
        return Ok(());
    };
    let mut find = |message: String| {
        bench.sheet.find(Finding::new(&rules::W07, message).stream(&stream));
    };
    let changed: Vec<String> = Row(found).changed().iter().map(|name| plain(name)).collect();
    for name in ["cursor", "amount", "active", "day", "at"] {
        let value = Row(found).value(name);
        if !value.is_null() {
            find(format!("{name:?} does not fit its type and is stored as {value}"));
        } else if !changed.contains(&plain(name)) {
            find(format!("{name:?} was nulled without an entry in _airbyte_meta.changes"));
        }
    }
    if Row(found).value("name") != "kept" {
        find("a value that fits is lost beside those that do not".to_owned());
    }
    Ok(())
}

/// The matrix of types.
pub(super) fn types(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let timestamp = |kind: &str| json!({"type": ["null", "string"], "format": "date-time", "airbyte_type": kind});
    let time =
        |kind: &str| json!({"type": ["null", "string"], "format": "time", "airbyte_type": kind});
    let nullable = |kind: &str| json!({"type": ["null", kind]});
    let columns: Vec<(&str, Value, Value)> = vec![
        ("text", nullable("string"), json!("plain")),
        ("unicode", nullable("string"), json!("Zürich 東京 😀 \u{e9}")),
        ("special", nullable("string"), json!("a\tb\nc \"quoted\" 'single' \\ , ; | % {}")),
        ("blank", nullable("string"), json!("")),
        ("large_text", nullable("string"), json!("x".repeat(100_000))),
        ("whole", nullable("integer"), json!(42)),
        ("negative", nullable("integer"), json!(-7)),
        ("large_whole", nullable("integer"), json!(9_007_199_254_740_991_i64)),
        ("decimal", nullable("number"), json!(1234.5678)),
        ("tiny", nullable("number"), json!(1.5e-7)),
        ("yes", nullable("boolean"), json!(true)),
        ("no", nullable("boolean"), json!(false)),
        ("day", json!({"type": ["null", "string"], "format": "date"}), json!("2024-02-29")),
        ("zoned", timestamp("timestamp_with_timezone"), json!("2026-01-31T10:00:00.123456+02:00")),
        ("local", timestamp("timestamp_without_timezone"), json!("2026-01-31T10:00:00")),
        ("zoned_time", time("time_with_timezone"), json!("10:00:00Z")),
        ("local_time", time("time_without_timezone"), json!("10:00:00")),
        (
            "nested",
            json!({"type": ["null", "object"], "properties": {"a": {"type": "object",
                "properties": {"b": {"type": "array", "items": {"type": "integer"}}}}}}),
            json!({"a": {"b": [1, 2]}}),
        ),
        (
            "list",
            json!({"type": ["null", "array"], "items": {"type": "string"}}),
            json!(["one", "two"]),
        ),
        ("union", json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}), json!("either")),
    ];
    values(bench, "types", &columns)
}

/// Names of columns and of streams that need care.
pub(super) fn names(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let long = "a_column_with_a_name_that_is_rather_long_for_a_column_of_a_table";
    let names = [
        "CamelCase",
        "with space",
        "with-dash",
        "with.dot",
        "1_begins_with_a_digit",
        "select",
        "größe",
        "UPPER",
        "trailing_",
        long,
    ];
    let mut columns: Vec<(&str, Value, Value)> = Vec::new();
    for (at, name) in names.into_iter().enumerate() {
        columns.push((name, json!({"type": ["null", "integer"]}), json!(at as i64 + 100)));
    }
    values(bench, "column_names", &columns)?;
    for name in ["CamelCaseStream", "stream-with-dash", "order", "1st_stream"] {
        values(bench, name, &[("number", json!({"type": "integer"}), json!(5))])?;
    }
    let many: Vec<String> = (0..50).map(|at| format!("column_{at}")).collect();
    let wide: Vec<(&str, Value, Value)> = many
        .iter()
        .enumerate()
        .map(|(at, name)| (name.as_str(), json!({"type": ["null", "integer"]}), json!(at as i64)))
        .collect();
    values(bench, "wide", &wide)
}

/// Writes one row with all values and one with nulls only, and compares what is read back.
fn values(
    bench: &mut Bench<'_>,
    name: &str,
    columns: &[(&str, Value, Value)],
) -> Result<(), Trouble> {
    let stream = bench.stream(name);
    let mut properties = Map::new();
    properties.insert("id".to_owned(), json!({"type": "integer"}));
    let mut full = Map::new();
    full.insert("id".to_owned(), json!(1));
    let mut nulls = full.clone();
    nulls.insert("id".to_owned(), json!(2));
    for (column, schema, value) in columns {
        properties.insert((*column).to_owned(), schema.clone());
        full.insert((*column).to_owned(), value.clone());
        nulls.insert((*column).to_owned(), Value::Null);
    }
    let target = Target::with_fields(&stream, Value::Object(properties));
    let feed = Feed::new()
        .record(&stream, Value::Object(full))
        .record(&stream, Value::Object(nulls))
        .record(&stream, json!({"id": 3}))
        .state(&stream, 1);
    bench.sheet.check(&rules::W17);
    if !bench.write(&rules::W17, name, &[&target], &feed)? {
        return Ok(());
    }
    bench.expect(&rules::W17, &stream, "id", &[1, 2, 3], "after one sync")?;
    let Some(rows) = bench.rows(&rules::W17, &stream)? else { return Ok(()) };
    for row in &rows {
        let is_full = agrees(&json!(1), &Row(row).value("id"));
        for (column, _, value) in columns {
            let came = Row(row).value(column);
            let finding = |message: String| Finding::new(&rules::W17, message).stream(&stream);
            if is_full && !agrees(value, &came) {
                let message = format!("{column:?} was {} and is {}", cut(value), cut(&came));
                let finding = finding(message);
                // Some stores know no such type and say so.
                let is_noted = Row(row).changed().iter().any(|name| plain(name) == plain(column));
                bench.sheet.find(if is_noted {
                    finding.only(Level::Warning, "the change is noted in _airbyte_meta.changes")
                } else {
                    finding
                });
            } else if !is_full && !came.is_null() {
                bench.sheet.find(finding(format!("{column:?} was null and is {}", cut(&came))));
            }
        }
    }
    Ok(())
}

fn cut(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// Many rows, with a state now and then.
pub(super) fn batch(bench: &mut Bench<'_>) -> Result<(), Trouble> {
    let stream = bench.stream("batch");
    let target = Target::new(&stream);
    let feed = (0..5).fold(Feed::new(), |feed, at| {
        feed.rows(&stream, at * 1000..(at + 1) * 1000).state(&stream, at + 1)
    });
    if bench.write(&rules::W17, "a large batch", &[&target], &feed)? {
        let all: Vec<i64> = (0..5000).collect();
        bench.expect(&rules::W17, &stream, "id", &all, "after a large batch")?;
    }
    Ok(())
}
