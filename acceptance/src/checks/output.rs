//! O: what holds for the output of every run.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::payload;
use crate::leaks::Leaks;
use crate::rules::{self, Level};
use crate::sheet::{Finding, Sheet};
use crate::transcript::{Body, Exit, Line, Transcript, payload_key};

/// From this length on a platform flags a line as too large, in bytes.
const LONG_LINE: usize = 20_000_000;
/// Words by which a crash is known on stderr.
const CRASHES: [&str; 7] = [
    "panicked at",
    "Traceback (most recent call last)",
    "Exception in thread",
    "Segmentation fault",
    "goroutine 1 [",
    "core dumped",
    "UnhandledPromiseRejection",
];
/// How far clocks may be apart, in milliseconds.
const CLOCK_SKEW: i64 = 120_000;

/// How a run is meant to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// With exit code 0.
    Success,
    /// With an error; other rules say how.
    Failure,
    /// In any way: another rule looks at it.
    Anything,
}

/// Limits of a run; `None` where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// The time, in seconds.
    pub seconds: Option<f64>,
    /// The memory, in bytes.
    pub peak_rss: Option<u64>,
}

/// What is known about a run.
#[derive(Debug)]
pub struct Circumstances<'a> {
    /// How it is meant to end.
    pub expected: Expected,
    /// The secrets that it was given.
    pub leaks: &'a Leaks,
    /// Its limits.
    pub bounds: Bounds,
    /// The configuration that it was given, and the schema of configurations, where known.
    pub config: Option<(&'a Value, &'a Value)>,
}

/// Looks at the output of a run.
pub fn check(run: &Transcript, of: &Circumstances<'_>, sheet: &mut Sheet) {
    lines(run, sheet);
    for rule in [&rules::O02, &rules::O06, &rules::O09] {
        sheet.check(rule);
    }
    for line in &run.lines {
        for problem in payload::problems(line) {
            sheet.find(
                Finding::new(&rules::O02, problem).in_run(&run.title).at(line.number, &line.text()),
            );
        }
        times(run, line, sheet);
        envelope(run, line, sheet);
    }
    errors(run, sheet);
    ending(run, of.expected, sheet);
    secrets(run, of.leaks, sheet);
    bounds(run, of.bounds, sheet);
    stderr(run, of.leaks, sheet);
    if let Some((config, schema)) = of.config {
        controls(run, config, schema, sheet);
    }
}

/// Whether a line is the cut end of an interrupted run.
fn is_cut(run: &Transcript, line: &Line) -> bool {
    let is_last = line.number == run.lines.len();
    let was_killed = run.was_interrupted() || matches!(run.exit, Exit::Signal(_) | Exit::TimedOut);
    is_last && !run.is_terminated && was_killed
}

fn lines(run: &Transcript, sheet: &mut Sheet) {
    sheet.check(&rules::O01);
    sheet.check(&rules::O03);
    for line in &run.lines {
        if is_cut(run, line) {
            continue;
        }
        let text = line.text();
        let find = |finding: Finding| finding.in_run(&run.title).at(line.number, &text);
        if let Some(syntax) = &line.syntax {
            sheet.find(find(syntax_finding(line, syntax)));
            continue;
        }
        match line.kind() {
            None => sheet.find(find(Finding::new(&rules::O01, "it has no `type`"))),
            Some(kind) if payload_key(kind).is_none() => {
                sheet.find(find(Finding::new(&rules::O01, format!("type {kind} is unknown"))));
            }
            Some(_) => {}
        }
        for path in &line.repeated {
            let message = format!("the key {path} stands twice");
            sheet.find(find(Finding::new(&rules::O03, message)));
        }
        if line.raw.len() >= LONG_LINE {
            let message = format!("the line has {} bytes", line.raw.len());
            let reason = "the platform only notes lines of 20 MB and more in its log";
            sheet.find(find(Finding::new(&rules::O03, message).only(Level::Warning, reason)));
        }
    }
    if !run.is_terminated && !run.was_interrupted() && !matches!(run.exit, Exit::Signal(_)) {
        sheet.find(Finding::new(&rules::O03, "the last line has no newline").in_run(&run.title));
    }
}

fn syntax_finding(line: &Line, syntax: &str) -> Finding {
    let text = line.text();
    if std::str::from_utf8(&line.raw).is_err() {
        return Finding::new(&rules::O03, "the line is not UTF-8");
    }
    if text.starts_with('\u{feff}') {
        return Finding::new(&rules::O03, "the line begins with a byte order mark");
    }
    if syntax.contains("recursion limit") {
        return Finding::new(&rules::O03, "values are nested deeper than 128 levels")
            .only(Level::Warning, "the platform reads a thousand levels, other readers fewer");
    }
    if syntax.contains("trailing characters") && text.trim_start().starts_with('{') {
        return Finding::new(&rules::O03, format!("something follows the object: {syntax}"));
    }
    if ["NaN", "Infinity"].iter().any(|word| text.contains(word)) && text.starts_with('{') {
        return Finding::new(&rules::O03, format!("NaN and Infinity are no JSON: {syntax}"));
    }
    Finding::new(&rules::O01, format!("the line is no JSON object: {syntax}"))
}

fn envelope(run: &Transcript, line: &Line, sheet: &mut Sheet) {
    let Some(key) = line.kind().and_then(payload_key) else { return };
    let others: Vec<&str> =
        line.envelope.members.iter().map(String::as_str).filter(|member| *member != key).collect();
    if !others.is_empty() {
        let message = format!("members beside `type` and `{key}`: {}", others.join(", "));
        sheet.find(
            Finding::new(&rules::O09, message).in_run(&run.title).at(line.number, &line.text()),
        );
    }
}

/// The time of a message, in milliseconds.
fn emitted_at(line: &Line) -> Option<f64> {
    match &line.body {
        Body::Record(record) => record.emitted_at.as_f64(),
        Body::Status(status) => status.payload["emitted_at"].as_f64(),
        Body::Error(error) => error.payload["emitted_at"].as_f64(),
        Body::Other { payload } => payload["emitted_at"].as_f64(),
        Body::State(_) | Body::Nothing => None,
    }
}

fn times(run: &Transcript, line: &Line, sheet: &mut Sheet) {
    let Some(time) = emitted_at(line) else { return };
    let at = |finding: Finding| finding.in_run(&run.title).at(line.number, &line.text());
    if time < 1e11 {
        let message = format!("emitted_at {time} is not in milliseconds");
        return sheet.find(at(Finding::new(&rules::O06, message)));
    }
    if run.started_at == 0 {
        return;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    if (time as i64) < run.started_at - CLOCK_SKEW || time as i64 > now + CLOCK_SKEW {
        let message = format!("emitted_at {time} does not lie in the time of the run");
        sheet.find(at(Finding::new(&rules::O06, message)));
    }
}

fn errors(run: &Transcript, sheet: &mut Sheet) {
    for (line, error) in run.errors() {
        sheet.check(&rules::O08);
        let at = |finding: Finding| finding.in_run(&run.title).at(line.number, &line.text());
        let message = error.message.as_deref().unwrap_or_default();
        if message.trim().is_empty() {
            sheet.find(at(Finding::new(&rules::O08, "the error has no message")));
        }
        if error.failure_type.is_none() {
            let finding = Finding::new(&rules::O08, "the error has no failure_type");
            let reason = "the platform takes it for a system_error";
            sheet.find(at(finding.only(Level::Warning, reason)));
        }
        if CRASHES.iter().any(|crash| message.contains(crash)) {
            let finding = Finding::new(&rules::O08, "the message is a stack trace");
            let reason = "it is shown to users; the place for it is internal_message";
            sheet.find(at(finding.only(Level::Warning, reason)));
        }
    }
}

fn ending(run: &Transcript, expected: Expected, sheet: &mut Sheet) {
    sheet.check(&rules::O04);
    let mut find = |finding: Finding| sheet.find(finding.in_run(&run.title));
    if let Some(crash) = CRASHES.iter().find(|crash| run.stderr.contains(**crash)) {
        let line = run.stderr.lines().find(|line| line.contains(crash)).unwrap_or_default();
        let finding = Finding::new(&rules::O04, "it crashed: there is a stack trace on stderr");
        let finding = finding.excerpt(line);
        let is_told =
            run.errors().next().is_some() || run.was_interrupted() || run.command.is_empty();
        find(if is_told {
            finding.only(Level::Warning, "there is an error trace or exit code as well")
        } else {
            finding
        });
    }
    match run.exit {
        Exit::TimedOut => find(Finding::new(
            &rules::O07,
            format!("no end after {:.0} s", run.usage.wall.as_secs_f64()),
        )),
        Exit::Signal(signal) if !run.was_interrupted() => {
            find(Finding::new(&rules::O04, format!("it was ended by signal {signal}")));
        }
        Exit::Code(code)
            if code != 0 && expected == Expected::Success && !run.was_interrupted() =>
        {
            let message = format!("exit code {code}: {}", run.error_text());
            find(Finding::new(&rules::O04, message));
        }
        Exit::Code(0) if matches!(run.command.as_str(), "read" | "discover" | "spec" | "write") => {
            if let Some((line, error)) = run.errors().next() {
                let message = format!(
                    "exit code 0 after an error: {}",
                    error.message.as_deref().unwrap_or("?")
                );
                find(Finding::new(&rules::O04, message).at(line.number, &line.text()));
            }
            // An unknown stream is rule B04.
            let incomplete = run.statuses().find(|(_, status)| status.status == "INCOMPLETE");
            if let (Some((line, status)), Expected::Success) = (incomplete, expected) {
                let finding = Finding::new(&rules::O04, "exit code 0 after INCOMPLETE");
                find(finding.stream(&status.stream).at(line.number, &line.text()));
            }
        }
        _ => {}
    }
}

fn secrets(run: &Transcript, leaks: &Leaks, sheet: &mut Sheet) {
    if leaks.is_empty() {
        return sheet.skip(
            &rules::O05,
            "no configuration with secrets of eight characters or more is known",
        );
    }
    sheet.check(&rules::O05);
    for line in &run.lines {
        // A CONTROL message hands the whole configuration over; a record is the user's own data.
        if matches!(line.kind(), Some("CONTROL" | "RECORD")) {
            continue;
        }
        let text = line.text();
        if leaks.are_in(&text) {
            let kind = line.kind().unwrap_or("line").to_owned();
            let finding = Finding::new(&rules::O05, format!("a secret stands in a {kind}"));
            sheet.find(finding.in_run(&run.title).at(line.number, &leaks.hide(&text)));
        }
    }
    if let Some(line) = run.stderr.lines().find(|line| leaks.are_in(line)) {
        let finding = Finding::new(&rules::O05, "a secret stands on stderr");
        sheet.find(finding.in_run(&run.title).excerpt(&leaks.hide(line)));
    }
}

fn bounds(run: &Transcript, bounds: Bounds, sheet: &mut Sheet) {
    let seconds = run.usage.wall.as_secs_f64();
    if run.usage.wall.is_zero() || run.was_interrupted() {
        return;
    }
    sheet.check(&rules::O07);
    if let Some(limit) = bounds.seconds.filter(|limit| seconds > *limit) {
        let message = format!("{} took {seconds:.1} s, the limit is {limit} s", run.command);
        sheet.find(Finding::new(&rules::O07, message).in_run(&run.title));
    }
    if let Some(limit) = bounds.peak_rss.filter(|limit| run.usage.peak_rss > *limit) {
        let message = format!(
            "peak memory was {} MiB, the limit is {} MiB",
            run.usage.peak_rss >> 20,
            limit >> 20
        );
        sheet.find(Finding::new(&rules::O07, message).in_run(&run.title));
    }
}

fn stderr(run: &Transcript, leaks: &Leaks, sheet: &mut Sheet) {
    if run.exit == Exit::Unknown {
        return;
    }
    // A usage text belongs on stderr; that is rule B07.
    if run.exit == Exit::Code(2) || run.was_interrupted() {
        return;
    }
    let first = run.stderr.lines().next().filter(|line| !line.trim().is_empty());
    let finding = first.map(|line| {
        let message = format!("{} bytes on stderr", run.stderr.len());
        Finding::new(&rules::O10, message).in_run(&run.title).excerpt(&leaks.hide(line))
    });
    sheet.record(&rules::O10, finding);
}

fn controls(run: &Transcript, config: &Value, schema: &Value, sheet: &mut Sheet) {
    for (line, control) in run.payloads("CONTROL") {
        let Some(new) = control.pointer("/connectorConfig/config").and_then(Value::as_object)
        else {
            continue;
        };
        sheet.check(&rules::O11);
        // The line is not shown: it holds secrets by design.
        let mut find = |message: String| {
            let mut finding = Finding::new(&rules::O11, message).in_run(&run.title);
            finding.line = Some(line.number);
            sheet.find(finding);
        };
        let old = config.as_object().into_iter().flatten();
        let lost: Vec<&str> = old
            .filter(|(key, value)| !new.contains_key(*key) && !value.is_null())
            .map(|(key, _)| key.as_str())
            .collect();
        if !lost.is_empty() {
            find(format!("properties of the configuration are missing: {}", lost.join(", ")));
        }
        if let Ok(validator) = jsonschema::draft7::new(schema)
            && let Some(error) = validator.iter_errors(&Value::Object(new.clone())).next()
        {
            find(format!("it is not valid against the spec at `{}`", error.instance_path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8], change: impl FnOnce(&mut Transcript)) -> Vec<(&'static str, Level)> {
        let mut run = Transcript::recorded("read", "read", text);
        change(&mut run);
        let leaks = Leaks::new(["s3cret-token-1"]);
        let circumstances = Circumstances {
            expected: Expected::Success,
            leaks: &leaks,
            bounds: Bounds { seconds: Some(1.0), peak_rss: Some(1 << 20) },
            config: None,
        };
        let mut sheet = Sheet::new();
        check(&run, &circumstances, &mut sheet);
        for finding in sheet.findings() {
            let text = format!("{finding:?}");
            assert!(!text.contains("s3cret-token-1"), "{text}");
        }
        sheet.findings().map(|finding| (finding.rule.id, finding.level)).collect()
    }

    const LOG: &str = r#"{"type":"LOG","log":{"level":"INFO","message":"x"}}"#;

    #[test]
    fn clean_output_has_no_findings() {
        let text = format!("{LOG}\n");
        assert_eq!(found(text.as_bytes(), |run| run.exit = Exit::Code(0)), []);
    }

    #[test]
    fn lines_that_are_no_messages_are_found() {
        let cases: [(&[u8], &str); 9] = [
            (b"hello\n", "O01"),
            (b"{}\n", "O01"),
            (b"[1]\n", "O01"),
            (b"{\"type\":\"DEBUG\"}\n", "O01"),
            (b"{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",\"message\":\"\xff\"}}\n", "O03"),
            (b"\xef\xbb\xbf{\"type\":\"LOG\"}\n", "O03"),
            (b"{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",\"message\":\"x\"}} {}\n", "O03"),
            (b"{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",\"level\":\"INFO\",\"message\":\"x\"}}\n", "O03"),
            (b"{\"type\":\"LOG\",\"log\":{\"level\":\"INFO\",\"message\":\"x\"}}", "O03"),
        ];
        for (text, rule) in cases {
            let found = found(text, |_| {});
            assert_eq!(found, [(rule, Level::Error)], "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_cut_line_of_a_killed_run_is_none_of_its_faults() {
        let text = format!("{LOG}\n{{\"type\":\"RE");
        let killed = |run: &mut Transcript| {
            run.interrupted_at = Some(std::time::Duration::ZERO);
            run.exit = Exit::Signal(9);
        };
        assert_eq!(found(text.as_bytes(), killed), []);
    }

    #[test]
    fn ends_are_looked_at() {
        let text = format!("{LOG}\n");
        let text = text.as_bytes();
        assert_eq!(found(text, |run| run.exit = Exit::Code(1)), [("O04", Level::Error)]);
        assert_eq!(found(text, |run| run.exit = Exit::Signal(11)), [("O04", Level::Error)]);
        assert_eq!(found(text, |run| run.exit = Exit::TimedOut), [("O07", Level::Error)]);
        let error = br#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1767225600000,"error":{"message":"x","failure_type":"system_error"}}}
"#;
        assert_eq!(found(error, |run| run.exit = Exit::Code(0)), [("O04", Level::Error)]);
    }

    #[test]
    fn secrets_are_found_and_not_repeated() {
        let text = br#"{"type":"LOG","log":{"level":"INFO","message":"token s3cret-token-1"}}
{"type":"RECORD","record":{"stream":"a","data":{"t":"s3cret-token-1"},"emitted_at":1767225600000}}
"#;
        let found = found(text, |run| run.stderr = "Bearer s3cret-token-1".into());
        assert_eq!(found, [("O05", Level::Error), ("O05", Level::Error)]);
    }

    #[test]
    fn limits_hold() {
        let found = found(format!("{LOG}\n").as_bytes(), |run| {
            run.exit = Exit::Code(0);
            run.usage.wall = std::time::Duration::from_secs(2);
            run.usage.peak_rss = 2 << 20;
        });
        assert_eq!(found, [("O07", Level::Error), ("O07", Level::Error)]);
    }
}
