//! Inputs that are broken or unusual: B.

use serde_json::{Value, json};

use super::lab::{Desk, Trial};
use super::reading::{Read, Reading};
use crate::checks::output::Expected;
use crate::checks::spec as spec_checks;
use crate::checks::streams::{self, Asked};
use crate::exec::{Call, Content, Trouble};
use crate::rules::{self, Level, Rule};
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// The stream that Airbyte's own suite asks for to see an error.
const NO_SUCH_STREAM: &str = "__AIRBYTE__stream_that_does_not_exist";

/// Broken configurations that read is tried with.
const BROKEN: usize = 4;

/// Inputs of check: they need no streams.
pub fn of_check<'a>() -> Vec<Trial<'a>> {
    let configs: [(&str, Content); 4] = [
        ("a configuration that is not there", Content::Missing),
        ("a configuration that is no JSON", Content::Text("{\"a\": ".into())),
        ("a configuration that is a list", Content::Text("[]".into())),
        ("an empty configuration file", Content::Text(String::new())),
    ];
    let mut trials: Vec<Trial<'a>> = Vec::new();
    for (what, content) in configs {
        trials.push(Trial::new("broken inputs of check", &[&rules::B01, &rules::B06], {
            move |desk: &mut Desk<'_>| {
                let call = desk.plain_call(format!("check, {what}"), "check");
                let run = desk.run(&call.file("config", content), Expected::Failure)?;
                let is_failed = |(_, status): (_, &Value)| status["status"] == "FAILED";
                let is_failed = run.payloads("CONNECTION_STATUS").any(is_failed);
                refuses(desk, &rules::B01, &run, what, is_failed);
                Ok(())
            }
        }));
    }
    trials.push(Trial::new("misuse of the command line", &[&rules::B07], misuse));
    trials
}

fn misuse(desk: &mut Desk<'_>) -> Result<(), Trouble> {
    let config = desk.lab.config();
    let calls: [(&str, Call); 4] = [
        (
            "an unknown flag",
            Call::new("check --nonsense", "check").config(&config).argument("--nonsense"),
        ),
        ("an unknown command", Call::new("frobnicate", "frobnicate")),
        ("no command", Call::new("no command", "")),
        ("check without --config", Call::new("check without --config", "check")),
    ];
    for (what, call) in calls {
        let run = desk.run(&call, Expected::Failure)?;
        desk.sheet.check(&rules::B07);
        if run.exit.is_success() {
            let finding = Finding::new(&rules::B07, format!("{what}: {}", run.exit));
            desk.find(finding.in_run(&run.title));
        }
    }
    Ok(())
}

/// A broken input has to end in an error trace and a non-zero exit; `is_answered` when it was
/// refused in another clear way.
fn refuses(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    run: &Transcript,
    what: &str,
    is_answered: bool,
) {
    desk.sheet.check(rule);
    let errors = run.errors().count();
    if run.exit.is_success() && !is_answered {
        let records = run.records().count();
        let message =
            format!("with {what}: {}, {records} records, {errors} error traces", run.exit);
        let finding = Finding::new(rule, message);
        let finding = if errors > 0 && records == 0 { told_all_the_same(finding) } else { finding };
        desk.find(finding.in_run(&run.title));
    } else if errors == 0 && !is_answered {
        let finding = Finding::new(rule, format!("with {what}: {}, but no error trace", run.exit));
        let reason = "the exit code fails the sync, but the user is not told why";
        desk.find(finding.only(Level::Warning, reason).in_run(&run.title));
    }
    for (line, error) in run.errors() {
        desk.sheet.check(&rules::B06);
        if error.failure_type.as_deref().is_some_and(|kind| kind != "config_error") {
            let kind = error.failure_type.as_deref().unwrap_or_default();
            let finding = Finding::new(&rules::B06, format!("with {what} the error is a {kind}"));
            desk.find(finding.in_run(&run.title).at(line.number, &line.text()));
        }
    }
}

/// An error trace came, only the exit code is wrong: one fault, one failed rule.
pub fn told_all_the_same(finding: Finding) -> Finding {
    let reason = "the error trace tells the user; that the exit code is 0 all the same is rule O04";
    finding.only(Level::Warning, reason)
}

/// Inputs of read.
pub fn of_read<'a>(reading: &'a Reading<'a>, base: &'a Read) -> Vec<Trial<'a>> {
    let mut trials: Vec<Trial<'a>> = Vec::new();
    let catalogs: [(&str, Content); 4] = [
        ("a catalog that is not there", Content::Missing),
        ("a catalog that is no JSON", Content::Text("not json".into())),
        ("a catalog without `streams`", Content::Text("{}".into())),
        ("a catalog that is a list", Content::Text("[]".into())),
    ];
    for (what, content) in catalogs {
        trials.push(Trial::new("broken catalogs", &[&rules::B02, &rules::B06], {
            move |desk: &mut Desk<'_>| {
                let call = desk.call(format!("read, {what}"), "read").file("catalog", content);
                let run = desk.run(&call, Expected::Failure)?;
                refuses(desk, &rules::B02, &run, what, false);
                Ok(())
            }
        }));
    }
    trials.push(Trial::new("an unknown sync mode", &[&rules::B03], move |desk: &mut Desk<'_>| {
        unknown_mode(desk, reading)
    }));
    trials.push(Trial::new("an unknown stream", &[&rules::B04], move |desk: &mut Desk<'_>| {
        unknown_stream(desk, reading)
    }));
    let states: [(&str, &str); 3] = [
        ("a state that is no JSON", "[{"),
        ("a state of numbers", "[1, 2]"),
        ("a state that is text", "\"yesterday\""),
    ];
    for (what, text) in states {
        trials.push(Trial::new("broken states", &[&rules::B05, &rules::B06], {
            move |desk: &mut Desk<'_>| {
                let call = desk.call(format!("read, {what}"), "read").catalog(&base.catalog);
                let call = call.file("state", Content::Text(text.to_owned()));
                let run = desk.run(&call, Expected::Failure)?;
                refuses(desk, &rules::B05, &run, what, false);
                Ok(())
            }
        }));
    }
    trials.push(Trial::new("read, broken configuration", &[&rules::B08], {
        move |desk: &mut Desk<'_>| broken_config(desk, base)
    }));
    trials.push(Trial::new("read, no configuration", &[&rules::B01], {
        move |desk: &mut Desk<'_>| no_config(desk, base)
    }));
    for (what, change) in UNUSUAL {
        trials.push(Trial::new("unusual catalogs", &[&rules::B09], {
            move |desk: &mut Desk<'_>| unusual(desk, reading, base, what, change)
        }));
    }
    trials
}

fn unknown_mode(desk: &mut Desk<'_>, reading: &Reading<'_>) -> Result<(), Trouble> {
    if !reading.test.expect_trace_message_on_failure {
        desk.sheet.skip(&rules::B03, "expect_trace_message_on_failure is off");
        return Ok(());
    }
    let catalog = json!({"streams": [{
        "stream": {"name": NO_SUCH_STREAM, "json_schema": {"type": "object", "properties": {}},
                   "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "INVALID",
        "destination_sync_mode": "INVALID",
    }]});
    let mut known = streams::configured(reading.streams.iter().take(1), Asked::FullRefresh);
    known["streams"][0]["sync_mode"] = "INVALID".into();
    for (what, catalog) in
        [("sync mode INVALID of an unknown stream", catalog), ("sync mode INVALID", known)]
    {
        let call = desk.call(format!("read, {what}"), "read").catalog(&catalog);
        let run = desk.run(&call, Expected::Failure)?;
        refuses(desk, &rules::B03, &run, what, false);
        if run.errors().next().is_none() {
            let message = format!("no error trace with {what}");
            desk.find(Finding::new(&rules::B03, message).in_run(&run.title));
        }
    }
    Ok(())
}

fn unknown_stream(desk: &mut Desk<'_>, reading: &Reading<'_>) -> Result<(), Trouble> {
    let mut catalog = streams::configured(reading.streams.iter().take(1), Asked::FullRefresh);
    let stranger = json!({
        "stream": {"name": NO_SUCH_STREAM,
                   "json_schema": {"type": "object", "properties": {"id": {"type": "string"}}},
                   "supported_sync_modes": ["full_refresh"]},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
    });
    if let Some(entries) = catalog["streams"].as_array_mut() {
        entries.push(stranger);
    }
    let call = desk.call("read, an unknown stream", "read").catalog(&catalog);
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::B04);
    if run.exit.is_success() {
        let finding = Finding::new(&rules::B04, format!("{}, no error", run.exit));
        desk.find(finding.in_run(&run.title));
    } else if !run.errors().any(|(_, error)| {
        let message = error.message.as_deref().unwrap_or_default();
        message.contains(NO_SUCH_STREAM)
            || error.stream.as_ref().is_some_and(|stream| stream.name == NO_SUCH_STREAM)
    }) {
        let message = "no error trace names the stream";
        desk.find(Finding::new(&rules::B04, message).in_run(&run.title));
    }
    Ok(())
}

fn broken_config(desk: &mut Desk<'_>, base: &Read) -> Result<(), Trouble> {
    let broken = spec_checks::breaking_configs(desk.lab.spec(), &desk.lab.config());
    if broken.is_empty() {
        let why = "no configuration was found that the spec refuses";
        desk.sheet.skip(&rules::B08, why);
    }
    for (what, config) in super::sample(broken, BROKEN, desk.lab.seed) {
        let call = desk.plain_call(format!("read, {what}"), "read").config(&config);
        let run = desk.run(&call.catalog(&base.catalog), Expected::Failure)?;
        refuses(desk, &rules::B08, &run, &what, false);
    }
    Ok(())
}

fn no_config(desk: &mut Desk<'_>, base: &Read) -> Result<(), Trouble> {
    let call = desk.plain_call("read, a configuration that is not there", "read");
    let call = call.file("config", Content::Missing).catalog(&base.catalog);
    let run = desk.run(&call, Expected::Failure)?;
    refuses(desk, &rules::B01, &run, "a configuration that is not there", false);
    Ok(())
}

type Change = fn(&mut Value);

/// Catalogs as other runners write them.
const UNUSUAL: [(&str, Change); 4] = [
    ("nulls for what is optional", with_nulls),
    ("unknown fields", with_unknown),
    ("only what the protocol demands", bare),
    ("fewer fields", fewer_fields),
];

fn each_stream(catalog: &mut Value, change: impl Fn(&mut serde_json::Map<String, Value>)) {
    for entry in catalog["streams"].as_array_mut().into_iter().flatten() {
        if let Some(members) = entry.as_object_mut() {
            change(members);
        }
    }
}

fn with_nulls(catalog: &mut Value) {
    each_stream(catalog, |entry| {
        for key in ["generation_id", "minimum_generation_id", "sync_id", "destination_object_name"]
        {
            entry.insert(key.into(), Value::Null);
        }
        if let Some(stream) = entry.get_mut("stream").and_then(Value::as_object_mut) {
            for key in ["namespace", "is_file_based"] {
                stream.entry(key).or_insert(Value::Null);
            }
        }
    });
}

fn with_unknown(catalog: &mut Value) {
    each_stream(catalog, |entry| {
        entry.insert("of_a_later_version".into(), json!({"a": 1}));
        if let Some(stream) = entry.get_mut("stream").and_then(Value::as_object_mut) {
            stream.insert("of_a_later_version".into(), json!([1]));
        }
    });
    catalog["of_a_later_version"] = true.into();
}

fn bare(catalog: &mut Value) {
    each_stream(catalog, |entry| {
        for key in
            ["cursor_field", "primary_key", "generation_id", "minimum_generation_id", "sync_id"]
        {
            entry.shift_remove(key);
        }
        if let Some(stream) = entry.get_mut("stream").and_then(Value::as_object_mut) {
            stream.retain(|key, _| {
                ["name", "namespace", "json_schema", "supported_sync_modes"].contains(&key.as_str())
            });
        }
    });
}

fn fewer_fields(catalog: &mut Value) {
    each_stream(catalog, |entry| {
        let keep: Vec<String> = ["default_cursor_field", "source_defined_primary_key"]
            .iter()
            .map(|key| entry["stream"][*key].to_string())
            .collect();
        if let Some(properties) = entry
            .get_mut("stream")
            .and_then(|stream| stream.pointer_mut("/json_schema/properties"))
            .and_then(Value::as_object_mut)
        {
            let mut kept = 0;
            properties.retain(|name, _| {
                kept += 1;
                kept <= 3 || keep.iter().any(|paths| paths.contains(&format!("{name:?}")))
            });
        }
    });
}

fn unusual(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    what: &str,
    change: Change,
) -> Result<(), Trouble> {
    let mut catalog = base.catalog.clone();
    // A choice of cursor is part of the catalog where the source leaves it to the user.
    let has_free_cursors = catalog["streams"].as_array().into_iter().flatten().any(|entry| {
        entry["sync_mode"] == "incremental" && entry["stream"]["source_defined_cursor"] != true
    });
    if what == "only what the protocol demands" && has_free_cursors {
        desk.sheet.skip(&rules::B09, "some cursors are chosen in the catalog");
        return Ok(());
    }
    change(&mut catalog);
    let call = desk.call(format!("read, {what} in the catalog"), "read").catalog(&catalog);
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::B09);
    if !run.exit.is_success() {
        let message = format!("with {what}: {}: {}", run.exit, run.error_text());
        desk.find(Finding::new(&rules::B09, message).in_run(&run.title));
        return Ok(());
    }
    if !base.is_good {
        return Ok(());
    }
    for (stream, missing) in reading.rows(&run, usize::MAX).missing_of(&base.rows) {
        // With fewer fields a record without a key is another record.
        let has_key = reading
            .streams
            .iter()
            .any(|info| info.descriptor == *stream && !info.primary_key.is_empty());
        if what == "fewer fields" && !has_key {
            continue;
        }
        let text = super::reading::named(&missing, base.rows.count(stream), "missing");
        let message = format!("with {what}: {text}");
        desk.find(Finding::new(&rules::B09, message).in_run(&run.title).stream(stream));
    }
    Ok(())
}
