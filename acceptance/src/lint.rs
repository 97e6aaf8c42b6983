//! The rules that need only a recorded output.

use std::collections::BTreeSet;

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

use crate::checks::incremental::{self, CursorRules};
use crate::checks::output::{self, Bounds, Circumstances, Expected};
use crate::checks::read::{self, Context, Demands};
use crate::checks::{catalog as catalog_checks, spec as spec_checks, streams};
use crate::leaks::Leaks;
use crate::rules;
use crate::sheet::{Finding, Sheet};
use crate::transcript::Transcript;

/// What is known beside the output; everything may be absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The configured catalog, or the discovered one.
    pub catalog: Option<&'a Value>,
    /// The configuration.
    pub config: Option<&'a Value>,
    /// The payload of SPEC, which tells the secrets of the configuration; those of an output that
    /// has a SPEC itself are known without it.
    pub spec: Option<&'a Value>,
}

/// Looks at recorded output. What it is, spec, catalog, check or read, is told by its messages.
pub fn lint(run: &Transcript, known: Known<'_>) -> Sheet {
    let mut sheet = Sheet::new();
    let own_spec = run.payloads("SPEC").next().map(|(_, spec)| spec);
    let spec = known.spec.or(own_spec);
    let secrets = known.config.map(|config| secrets(spec, config)).unwrap_or_default();
    let leaks = Leaks::new(secrets);
    let schema = spec.map(|spec| &spec["connectionSpecification"]);
    let circumstances = Circumstances {
        expected: Expected::Anything,
        leaks: &leaks,
        bounds: Bounds::default(),
        config: known.config.zip(schema),
    };
    output::check(run, &circumstances, &mut sheet);
    if let Some(spec) = own_spec {
        let modes = &spec["supported_destination_sync_modes"];
        let is_destination = modes.as_array().is_some_and(|modes| !modes.is_empty());
        let options = spec_checks::Options { is_destination, ..spec_checks::Options::default() };
        spec_checks::lint(spec, options, &run.title, &mut sheet);
    }
    if let (Some(spec), Some(config)) = (spec, known.config) {
        spec_checks::config(spec, config, "the configuration", &mut sheet);
    }
    for (_, catalog) in run.payloads("CATALOG") {
        let options = catalog_checks::Options::default();
        catalog_checks::lint(catalog, &run.title, options, &mut sheet);
    }
    of_check(run, &mut sheet);
    of_read(run, known.catalog, &mut sheet);
    sheet.each_text(|text| {
        if leaks.are_in(text) {
            *text = leaks.hide(text).into_owned();
        }
    });
    sheet
}

/// The secrets of a configuration; without a spec, what is secret by its name.
fn secrets(spec: Option<&Value>, config: &Value) -> Vec<String> {
    match spec {
        Some(spec) => spec_checks::secrets(spec, config),
        None => by_name(config),
    }
}

fn by_name(config: &Value) -> Vec<String> {
    const WORDS: [&str; 6] = ["token", "secret", "password", "api_key", "private_key", "apikey"];
    let mut found = Vec::new();
    if let Value::Object(members) = config {
        for (name, value) in members {
            let name = name.to_lowercase();
            match value {
                Value::String(text) if WORDS.iter().any(|word| name.contains(word)) => {
                    found.push(text.clone());
                }
                nested => found.extend(by_name(nested)),
            }
        }
    }
    found
}

fn of_check(run: &Transcript, sheet: &mut Sheet) {
    for (line, status) in run.payloads("CONNECTION_STATUS") {
        sheet.check(&rules::C06);
        let is_silent = status["message"].as_str().is_none_or(|message| message.trim().is_empty());
        if status["status"] == "FAILED" && is_silent {
            let finding = Finding::new(&rules::C06, "FAILED without a message");
            sheet.find(finding.in_run(&run.title).at(line.number, &line.text()));
        }
    }
}

/// The streams that occur in the output, for when there is no catalog.
fn seen(run: &Transcript) -> Value {
    let of_records = run.records().map(|(_, record)| &record.stream);
    let of_states = run.states().filter_map(|(_, state)| state.stream.as_ref());
    let of_statuses = run.statuses().map(|(_, status)| &status.stream);
    let names: BTreeSet<&StreamDescriptor> =
        of_records.chain(of_states).chain(of_statuses).collect();
    let streams = names.into_iter().map(|stream| {
        serde_json::json!({"stream": {
            "name": stream.name, "namespace": stream.namespace, "json_schema": {"type": "object"},
            "supported_sync_modes": ["full_refresh"],
        }, "sync_mode": "full_refresh"})
    });
    serde_json::json!({ "streams": streams.collect::<Vec<_>>() })
}

fn of_read(run: &Transcript, catalog: Option<&Value>, sheet: &mut Sheet) {
    let is_read = run.records().next().is_some()
        || run.states().next().is_some()
        || run.statuses().next().is_some();
    if !is_read {
        return;
    }
    let made;
    let catalog = match catalog {
        Some(catalog) => catalog,
        None => {
            made = seen(run);
            &made
        }
    };
    let is_configured = catalog.pointer("/streams/0/stream").is_some();
    let streams =
        if is_configured { streams::of_configured(catalog) } else { streams::of_catalog(catalog) };
    let full_refresh = match is_configured {
        true => read::full_refresh_streams(catalog),
        false => BTreeSet::new(),
    };
    // A catalog as discovered does not say what was read, so a stream may well be absent.
    let demands = Demands { may_be_empty: true, ..Demands::default() };
    let present: BTreeSet<StreamDescriptor> =
        run.statuses().map(|(_, status)| status.stream.clone()).collect();
    let streams: Vec<_> = streams
        .into_iter()
        .filter(|info| is_configured || present.contains(&info.descriptor))
        .collect();
    let context = Context { streams: &streams, full_refresh: &full_refresh, demands: &demands };
    read::check(run, context, sheet);
    incremental::check(run, &streams, |_| None, &CursorRules::default(), sheet);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_read_is_looked_at() {
        let text = concat!(
            r#"{"type":"RECORD","record":{"stream":"a","data":{"id":"x"},"emitted_at":1767225600020}}"#,
            "\n",
            r#"{"type":"LOG","log":{"level":"INFO","message":"password=hunter2hunter2"}}"#,
            "\n",
        );
        let run = Transcript::recorded("output", "read", text.as_bytes());
        let catalog = serde_json::json!({"streams": [{"stream": {
            "name": "a", "supported_sync_modes": ["full_refresh"],
            "json_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
        }, "sync_mode": "full_refresh"}]});
        let config = serde_json::json!({"password": "hunter2hunter2"});
        let known = Known { catalog: Some(&catalog), config: Some(&config), spec: None };
        let sheet = lint(&run, known);
        let found: BTreeSet<&str> = sheet.findings().map(|finding| finding.rule.id).collect();
        assert_eq!(found, BTreeSet::from(["O05", "R03", "R07", "R08"]));
        let shown = format!("{:?}", sheet.findings().collect::<Vec<_>>());
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn output_without_a_catalog_is_looked_at_as_far_as_it_goes() {
        let run = Transcript::recorded("output", "read", b"nonsense\n");
        let sheet = lint(&run, Known::default());
        let found: Vec<&str> = sheet.findings().map(|finding| finding.rule.id).collect();
        assert_eq!(found, ["O01"]);
    }
}
