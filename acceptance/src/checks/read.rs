//! R: one read.

use std::collections::{BTreeMap, BTreeSet};

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

use super::streams::StreamInfo;
use crate::rules::{self, Level, Rule};
use crate::schema::RecordSchema;
use crate::sheet::{Finding, Sheet};
use crate::transcript::{Body, Line, StateBody, StatusBody, Transcript};

/// What is demanded of a read beside the protocol; the defaults demand nothing special.
#[derive(Debug, Clone, Default)]
pub struct Demands {
    /// Streams that may have no records, by name.
    pub empty_streams: BTreeSet<String>,
    /// Whether any stream may have none: the read starts from a state.
    pub may_be_empty: bool,
    /// Undeclared fields are errors, not warnings.
    pub fail_on_extra_columns: bool,
    /// Every declared field has to occur.
    pub validate_data_points: bool,
    /// Records are not compared with their schemas.
    pub skip_schema: bool,
    /// Key values may be objects, arrays and null.
    pub skip_key_types: bool,
    /// `Some(true)` demands statuses, `Some(false)` does not look at them.
    pub statuses: Option<bool>,
    /// `Some(true)` demands counts in states, `Some(false)` does not look at states.
    pub states: Option<bool>,
}

/// What a check of a read knows.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The configured streams.
    pub streams: &'a [StreamInfo],
    /// Streams that are read as a full refresh, by descriptor.
    pub full_refresh: &'a BTreeSet<StreamDescriptor>,
    /// What is demanded.
    pub demands: &'a Demands,
}

/// Looks at a read that ran to its end.
pub fn check(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    belonging(run, of, sheet);
    presence(run, of, sheet);
    contents(run, of, sheet);
    keys(run, of, sheet);
    order(run, of, sheet);
    if of.demands.states != Some(false) {
        states(run, of, sheet);
    }
}

/// The configured streams of a catalog that are read as a full refresh.
pub fn full_refresh_streams(catalog: &Value) -> BTreeSet<StreamDescriptor> {
    let entries = catalog["streams"].as_array();
    let is_full = |entry: &&Value| {
        let modes = entry["stream"]["supported_sync_modes"].as_array();
        let can = modes.into_iter().flatten().any(|mode| mode == "incremental");
        entry["sync_mode"] != "incremental" || !can
    };
    let full = entries.into_iter().flatten().filter(is_full);
    full.filter_map(|entry| crate::transcript::descriptor(&entry["stream"])).collect()
}

fn find<'a>(
    run: &'a Transcript,
    line: &'a Line,
    stream: &'a StreamDescriptor,
) -> impl Fn(Finding) -> Finding + 'a {
    move |finding| finding.in_run(&run.title).at(line.number, &line.text()).stream(stream)
}

/// The streams that a line is about.
fn streams_of(line: &Line) -> Vec<StreamDescriptor> {
    match &line.body {
        Body::Record(record) => vec![record.stream.clone()],
        Body::Status(status) => vec![status.stream.clone()],
        Body::State(state) => match &state.stream {
            Some(stream) => vec![stream.clone()],
            None => {
                let states = state.payload.pointer("/global/stream_states");
                let states = states.and_then(Value::as_array).into_iter().flatten();
                states
                    .filter_map(|entry| crate::transcript::descriptor(&entry["stream_descriptor"]))
                    .collect()
            }
        },
        _ => Vec::new(),
    }
}

fn belonging(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    sheet.check(&rules::R02);
    for line in &run.lines {
        for stream in streams_of(line) {
            if of.streams.iter().any(|info| info.descriptor == stream) {
                continue;
            }
            let kind = line.kind().unwrap_or_default();
            let by_name = of.streams.iter().find(|info| info.descriptor.name == stream.name);
            let message = match by_name {
                Some(info) => format!(
                    "a {kind} of {stream} with namespace {:?}, the catalog has {:?}",
                    stream.namespace, info.descriptor.namespace
                ),
                None => format!("a {kind} of {stream}, which is not configured"),
            };
            sheet.find(find(run, line, &stream)(Finding::new(&rules::R02, message)));
        }
    }
}

fn presence(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    let present: BTreeSet<&StreamDescriptor> =
        run.records().map(|(_, record)| &record.stream).collect();
    sheet.check(&rules::R01);
    sheet.check(&rules::R15);
    for info in of.streams {
        let is_declared = of.demands.empty_streams.contains(&info.descriptor.name);
        if !present.contains(&info.descriptor) && !is_declared && !of.demands.may_be_empty {
            let finding = Finding::new(&rules::R01, "no records").in_run(&run.title);
            sheet.find(finding.stream(&info.descriptor));
        }
    }
    for (line, record) in run.records() {
        if record.data.as_object().is_some_and(serde_json::Map::is_empty) {
            let finding = Finding::new(&rules::R15, "the record is {}");
            sheet.find(find(run, line, &record.stream)(finding));
        }
    }
}

fn contents(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    if of.demands.skip_schema {
        let why = "validate_schema is off";
        [&rules::R03, &rules::R04, &rules::R12].into_iter().for_each(|rule| sheet.skip(rule, why));
        return;
    }
    for info in of.streams {
        let schema = match RecordSchema::compile(&info.raw["json_schema"]) {
            Ok(schema) => schema,
            Err(why) => {
                sheet
                    .skip(&rules::R03, format!("{}: its schema is broken: {why}", info.descriptor));
                continue;
            }
        };
        of_schema(run, of, info, &schema, sheet);
    }
}

fn of_schema(
    run: &Transcript,
    of: Context<'_>,
    info: &StreamInfo,
    schema: &RecordSchema,
    sheet: &mut Sheet,
) {
    sheet.check(&rules::R03);
    sheet.check(&rules::R04);
    let stream = &info.descriptor;
    let mut coverage = schema.coverage();
    let mut extra: BTreeSet<String> = BTreeSet::new();
    let mut any = false;
    for (line, record) in run.records().filter(|(_, record)| &record.stream == stream) {
        any = true;
        for violation in schema.violations(&record.data) {
            let message = format!("{}: {}", violation.path, violation.message);
            let mut finding = Finding::new(&rules::R03, message);
            if let Some(reason) = violation.reason {
                finding = finding.only(violation.level, reason);
            }
            sheet.find(find(run, line, stream)(finding).excerpt(&violation.value));
        }
        for path in coverage.observe(schema, &record.data) {
            if extra.insert(path.clone()) {
                let mut finding = Finding::new(&rules::R04, format!("{path} is not declared"));
                if of.demands.fail_on_extra_columns {
                    finding = finding.demanded().hint("fail_on_extra_columns asks for it");
                } else if path[1..].contains('/') {
                    let reason = "runners drop undeclared fields of the record itself only";
                    finding = finding.only(Level::Note, reason);
                }
                sheet.find(find(run, line, stream)(finding));
            }
        }
    }
    if !any {
        return;
    }
    let unseen = coverage.never_seen(schema);
    let rule = if of.demands.validate_data_points { &rules::R14 } else { &rules::R12 };
    sheet.check(rule);
    if !unseen.is_empty() {
        let shown = unseen.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let more = unseen.len().saturating_sub(10);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!("declared, but in no record: {shown}{more}");
        sheet.find(Finding::new(rule, message).in_run(&run.title).stream(stream));
    }
}

fn keys(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    for info in of.streams.iter().filter(|info| !info.primary_key.is_empty()) {
        if !of.demands.skip_key_types {
            sheet.check(&rules::R05);
        }
        let is_full = of.full_refresh.contains(&info.descriptor);
        if is_full {
            sheet.check(&rules::R06);
        }
        let mut first_lines: BTreeMap<String, usize> = BTreeMap::new();
        for (line, record) in run.records().filter(|(_, r)| r.stream == info.descriptor) {
            let found = find(run, line, &info.descriptor);
            let Some(values) = info.key_values(&record.data) else {
                if !of.demands.skip_key_types {
                    let names: Vec<String> =
                        info.primary_key.iter().map(|path| path.join(".")).collect();
                    let message = format!("a part of the key ({}) is missing", names.join(", "));
                    sheet.find(found(Finding::new(&rules::R05, message)));
                }
                continue;
            };
            if !of.demands.skip_key_types {
                if let Some(value) = values.iter().find(|v| v.is_object() || v.is_array()) {
                    let message = format!("a part of the key is no scalar: {value}");
                    sheet.find(found(Finding::new(&rules::R05, message)));
                }
                if values.iter().all(|value| value.is_null()) {
                    sheet.find(found(Finding::new(&rules::R05, "all parts of the key are null")));
                }
            }
            let key = serde_json::to_string(&values).unwrap_or_default();
            if let (Some(first), true) = (first_lines.get(&key), is_full) {
                let message = format!("key {key} came on line {first} already");
                sheet.find(found(Finding::new(&rules::R06, message)));
            }
            first_lines.entry(key).or_insert(line.number);
        }
    }
}

/// Where a stream stands.
#[derive(Debug, Default, Clone)]
struct Progress {
    started: bool,
    running: bool,
    ended: Option<String>,
    records: u64,
    since_state: u64,
    last_record: Option<usize>,
    states: usize,
}

fn order(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    if of.demands.statuses == Some(false) {
        return sheet.skip(&rules::R07, "validate_stream_statuses is off");
    }
    sheet.check(&rules::R07);
    if run.statuses().next().is_none() && !of.streams.is_empty() {
        let finding = Finding::new(&rules::R07, "no stream has a status").in_run(&run.title);
        let reason = "the platform makes do with the exit code; it shows no progress by stream";
        let is_demanded = of.demands.statuses == Some(true);
        return sheet.find(if is_demanded {
            finding
        } else {
            finding.only(Level::Warning, reason)
        });
    }
    let mut streams: BTreeMap<StreamDescriptor, Progress> = BTreeMap::new();
    for line in &run.lines {
        for stream in streams_of(line) {
            let progress = streams.entry(stream.clone()).or_default();
            let findings = match &line.body {
                Body::Record(_) => progress.record(line.number),
                Body::Status(status) => progress.status(status),
                Body::State(_) => progress.state(),
                _ => Vec::new(),
            };
            for finding in findings {
                sheet.find(find(run, line, &stream)(finding));
            }
        }
    }
    for info in of.streams {
        let progress = streams.entry(info.descriptor.clone()).or_default();
        let message = match progress.ended.as_deref() {
            Some("COMPLETE") => continue,
            Some(status) => format!("the last status is {status}: {}", run.error_text()),
            None if progress.started => "it never came to COMPLETE or INCOMPLETE".to_owned(),
            None => "it has no status".to_owned(),
        };
        let finding = Finding::new(&rules::R07, message).in_run(&run.title);
        sheet.find(finding.stream(&info.descriptor));
    }
}

impl Progress {
    fn record(&mut self, line: usize) -> Vec<Finding> {
        self.records += 1;
        self.last_record = Some(line);
        let mut findings = Vec::new();
        if let Some(ended) = &self.ended {
            findings.push(Finding::new(&rules::R07, format!("a record after {ended}")));
        } else if !self.started {
            findings.push(Finding::new(&rules::R07, "a record before STARTED"));
        } else if !self.running {
            let finding = Finding::new(&rules::R07, "a record before RUNNING");
            findings.push(finding.only(Level::Warning, "the platform takes STARTED for RUNNING"));
        }
        findings
    }

    fn state(&mut self) -> Vec<Finding> {
        self.states += 1;
        let Some(ended) = &self.ended else { return Vec::new() };
        let finding = Finding::new(&rules::R07, format!("a state after {ended}"));
        let reason = "the platform accepts it; Airbyte's own kit does this";
        vec![finding.only(Level::Warning, reason)]
    }

    fn status(&mut self, status: &StatusBody) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut note = |text: String, reason: Option<&str>| {
            let finding = Finding::new(&rules::R07, text);
            findings.push(match reason {
                Some(reason) => finding.only(Level::Warning, reason),
                None => finding,
            });
        };
        if let Some(ended) = &self.ended {
            note(format!("{} after {ended}", status.status), None);
        }
        match status.status.as_str() {
            "STARTED" if self.started => {
                note("STARTED a second time".into(), Some("the platform takes it for RUNNING"))
            }
            "STARTED" => self.started = true,
            "RUNNING" => {
                if !self.started {
                    let reason = "the platform takes it for STARTED";
                    note("RUNNING before STARTED".into(), Some(reason));
                }
                self.running = true;
            }
            ended @ ("COMPLETE" | "INCOMPLETE") => {
                if !self.started && ended == "COMPLETE" {
                    note("COMPLETE before STARTED".into(), None);
                }
                self.ended = Some(ended.to_owned());
            }
            _ => {}
        }
        findings
    }
}

fn states(run: &Transcript, of: Context<'_>, sheet: &mut Sheet) {
    for rule in [&rules::R08, &rules::R09, &rules::R10] {
        sheet.check(rule);
    }
    let mut streams: BTreeMap<StreamDescriptor, Progress> = BTreeMap::new();
    let mut kinds: BTreeSet<String> = BTreeSet::new();
    for line in &run.lines {
        match &line.body {
            Body::Record(record) => {
                let progress = streams.entry(record.stream.clone()).or_default();
                progress.since_state += 1;
                progress.last_record = Some(line.number);
            }
            Body::State(state) => {
                kinds.extend(state.kind.clone());
                one_state(run, line, state, of, &mut streams, sheet);
            }
            _ => {}
        }
    }
    if kinds.contains("GLOBAL") && kinds.contains("STREAM") {
        let finding = Finding::new(&rules::R09, "STREAM and GLOBAL states in one read");
        sheet.find(finding.in_run(&run.title));
    }
    let is_global = kinds.contains("GLOBAL");
    for info in of.streams {
        let progress = streams.entry(info.descriptor.clone()).or_default();
        last_state(run, of, info, progress, is_global, sheet);
    }
}

fn last_state(
    run: &Transcript,
    of: Context<'_>,
    info: &StreamInfo,
    progress: &Progress,
    is_global: bool,
    sheet: &mut Sheet,
) {
    sheet.check(&rules::I01);
    let mut note = |rule: &'static Rule, message: String, reason: Option<&str>| {
        let finding = Finding::new(rule, message).in_run(&run.title).stream(&info.descriptor);
        sheet.find(match reason {
            Some(reason) => finding.only(Level::Warning, reason),
            None => finding,
        });
    };
    let has_states = progress.states > 0 || is_global;
    if !has_states {
        let is_full = of.full_refresh.contains(&info.descriptor) && !info.is_resumable;
        let reason = "the platform makes a state up for a full refresh that cannot be resumed";
        note(&rules::R08, "it has no state".into(), is_full.then_some(reason));
        if !is_full {
            note(&rules::I01, "no state came".into(), None);
        }
    } else if progress.since_state > 0 {
        let message = format!(
            "{} records after the last state, up to line {}",
            progress.since_state,
            progress.last_record.unwrap_or_default()
        );
        note(&rules::R08, message, None);
    }
}

fn one_state(
    run: &Transcript,
    line: &Line,
    state: &StateBody,
    of: Context<'_>,
    streams: &mut BTreeMap<StreamDescriptor, Progress>,
    sheet: &mut Sheet,
) {
    let at = |finding: Finding| {
        let finding = finding.in_run(&run.title).at(line.number, &line.text());
        match &state.stream {
            Some(stream) => finding.stream(stream),
            None => finding,
        }
    };
    let counted: u64 = match (&state.stream, state.is_global()) {
        (Some(stream), _) => {
            let progress = streams.entry(stream.clone()).or_default();
            progress.states += 1;
            std::mem::take(&mut progress.since_state)
        }
        (None, true) => {
            streams.values_mut().for_each(|progress| progress.states += 1);
            streams.values_mut().map(|progress| std::mem::take(&mut progress.since_state)).sum()
        }
        (None, false) => 0,
    };
    match state.kind.as_deref() {
        Some("STREAM" | "GLOBAL") => {}
        Some(other) => {
            sheet.find(at(Finding::new(&rules::R09, format!("a state of type {other}"))));
            return;
        }
        None => {
            let message = "a state without type, which readers take for LEGACY";
            sheet.find(at(Finding::new(&rules::R09, message)));
            return;
        }
    }
    if let Some(stream) = &state.stream {
        let content = state.of_stream(stream);
        if content.and_then(Value::as_object).is_none_or(|members| members.is_empty()) {
            let finding = Finding::new(&rules::R09, "the state has no content");
            let reason = "runners keep it, but cannot tell it from no state";
            sheet.find(at(finding.only(Level::Warning, reason)));
        }
    }
    count(state, counted, of, at, sheet);
}

fn count(
    state: &StateBody,
    counted: u64,
    of: Context<'_>,
    at: impl Fn(Finding) -> Finding,
    sheet: &mut Sheet,
) {
    match state.record_count {
        None => {
            let finding = Finding::new(&rules::R10, "sourceStats.recordCount is missing");
            let reason = "the platform does without it";
            let is_demanded = of.demands.states == Some(true);
            sheet.find(at(if is_demanded {
                finding
            } else {
                finding.only(Level::Warning, reason)
            }));
        }
        Some(count) if (count - counted as f64).abs() > f64::EPSILON => {
            let message = format!("recordCount is {count}, but {counted} records came");
            sheet.find(at(Finding::new(&rules::R10, message)));
        }
        Some(_) => {}
    }
}
