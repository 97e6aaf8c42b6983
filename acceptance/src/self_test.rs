//! The suite looked at itself: a correct stub that raises nothing, and mutants of it, each with
//! one fault, that have to be caught by the rule meant for them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use serde_json::{Value, json};

use crate::checks::streams::{self, Asked};
use crate::config::Config;
use crate::exec::{self, Call, Trouble};
use crate::report::{Report, Status, View};
use crate::rules::{self, Level, Rule};
use crate::stub::api::{Rows, StubApi};
use crate::stub::mutants::{self, Connector, Mutant};
use crate::stub::{self, Auth};
use crate::suite::{self, How, Silent, Wanted};

/// What came of one stub.
struct Verdict {
    name: String,
    what: String,
    rule: Option<&'static Rule>,
    /// The rules that raised something, with the worst level of each.
    raised: Vec<(&'static str, Level)>,
    trouble: Option<String>,
    seconds: f64,
    report: Option<Report>,
}

impl Verdict {
    fn is_right(&self) -> bool {
        match self.rule {
            _ if self.trouble.is_some() => false,
            None => self.raised.is_empty(),
            Some(rule) => self.raised.iter().any(|(id, _)| *id == rule.id),
        }
    }
}

/// How many times as much data the larger API has.
const MORE: usize = 100;

/// The names of the stubs as they should be.
const CORRECT: [(&str, Connector); 2] =
    [("source", Connector::Source), ("destination", Connector::Destination)];

/// Runs the suite over the stubs and their mutants, or those named, and prints a table; with
/// `is_verbose` the whole report of each. Gives the exit code.
pub fn run(names: &[String], is_verbose: bool, out: &mut dyn Write) -> Result<u8, Trouble> {
    let is_known = |name: &String| {
        CORRECT.iter().any(|(known, _)| known == name)
            || mutants::ALL.iter().any(|mutant| mutant.name() == *name)
    };
    if let Some(name) = names.iter().find(|name| !is_known(name)) {
        return Err(Trouble(format!("there is no mutant `{name}`")));
    }
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let chosen: Vec<&Mutant> =
        mutants::ALL.iter().filter(|mutant| is_wanted(&mutant.name())).collect();
    let mut subjects: Vec<Subject> = CORRECT
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .map(|(name, connector)| Subject::Correct(name, *connector))
        .collect();
    subjects.extend(chosen.iter().map(|mutant| Subject::Mutant(mutant)));
    let width = chosen.iter().map(|mutant| mutant.name().len()).max().unwrap_or(0).max(12);
    let mut wrong = 0;
    let mut trouble = None;
    each(&subjects, |verdict| {
        wrong += usize::from(!verdict.is_right());
        let report = verdict.report.as_ref().filter(|_| is_verbose);
        let report = report.map(|report| report.terminal(&View::of_stdout(false)));
        let text = format!("{}{}", row(&verdict, width), report.unwrap_or_default());
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            trouble = Some(Trouble(format!("stdout: {error}")));
        }
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    let rules: BTreeSet<&str> = chosen.iter().map(|mutant| mutant.rule.id).collect();
    let summary = format!(
        "\n{} mutants of {} rules, {wrong} wrong; warnings stand in parentheses\n",
        chosen.len(),
        rules.len(),
    );
    out.write_all(summary.as_bytes()).map_err(|error| Trouble(format!("stdout: {error}")))?;
    Ok(u8::from(wrong > 0))
}

fn row(verdict: &Verdict, width: usize) -> String {
    let expected = verdict.rule.map_or("nothing", |rule| rule.id);
    let shown = |(id, level): &(&'static str, Level)| match level {
        Level::Error => (*id).to_owned(),
        _ => format!("({id})"),
    };
    let raised: Vec<String> = verdict.raised.iter().map(shown).collect();
    let raised = verdict.trouble.clone().unwrap_or_else(|| raised.join(" "));
    let mark = if verdict.is_right() { "ok    " } else { "MISSED" };
    let (name, what, seconds) = (&verdict.name, &verdict.what, verdict.seconds);
    format!("{mark}  {name:<width$}  {expected:<7}  {seconds:>5.1} s  {raised:<20}  {what}\n")
}

/// What the suite is run over.
enum Subject<'a> {
    Correct(&'static str, Connector),
    Mutant(&'a Mutant),
}

impl Subject<'_> {
    fn verdict(&self) -> Verdict {
        match self {
            Self::Correct(name, connector) => correct(name, *connector),
            Self::Mutant(mutant) => of_mutant(mutant),
        }
    }
}

/// The verdicts of all subjects, several at a time, handed on in their order.
fn each(subjects: &[Subject<'_>], mut take: impl FnMut(Verdict)) {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let (sender, verdicts) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..cores * 2 {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((at, subject)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    subjects.get(at).map(|subject| (at, subject))
                } {
                    // The receiver lives as long as this scope.
                    let _ = sender.send((at, subject.verdict()));
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (at, verdict) in verdicts {
            waiting.insert(at, verdict);
            while let Some(verdict) = waiting.remove(&due) {
                take(verdict);
                due += 1;
            }
        }
    });
}

/// A stub without any fault: all rules.
fn correct(name: &str, connector: Connector) -> Verdict {
    verdict(name.into(), "as it should be".into(), None, connector, None, Wanted::All)
}

/// A mutant: only the trials that look at the rule meant for it.
fn of_mutant(mutant: &Mutant) -> Verdict {
    // Rules of every output show in the trials of the rules that may find the fault as well.
    let ids = mutant.also.iter().map(|rule| rule.id).chain([mutant.rule.id]);
    let wanted = Wanted::Only(ids.collect());
    let name = mutant.name();
    verdict(
        name.clone(),
        mutant.what.into(),
        Some(mutant.rule),
        mutant.connector,
        Some(&name),
        wanted,
    )
}

fn verdict(
    name: String,
    what: String,
    rule: Option<&'static Rule>,
    connector: Connector,
    mutant: Option<&str>,
    wanted: Wanted,
) -> Verdict {
    let started = std::time::Instant::now();
    let outcome = report(connector, mutant, rule, wanted);
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        Ok(report) => {
            let raised = raised(&report, rule);
            Verdict { raised, trouble: None, name, what, rule, seconds, report: Some(report) }
        }
        Err(why) => {
            let trouble = Some(why.0);
            Verdict { raised: Vec::new(), trouble, name, what, rule, seconds, report: None }
        }
    }
}

/// The rules with errors or warnings, and the one that is meant to find the fault, whatever its
/// level.
fn raised(report: &Report, meant: Option<&Rule>) -> Vec<(&'static str, Level)> {
    let rules = report.rules.iter().filter(|report| match report.status {
        Status::Failed | Status::Warned => true,
        _ => Some(report.rule) == meant,
    });
    rules
        .filter_map(|rule| {
            let worst = rule.findings.iter().map(|finding| finding.level).max()?;
            Some((rule.rule.id, worst))
        })
        .collect()
}

/// Runs the suite over a stub.
fn report(
    connector: Connector,
    mutant: Option<&str>,
    rule: Option<&'static Rule>,
    wanted: Wanted,
) -> Result<Report, Trouble> {
    let trouble = |error: std::io::Error| Trouble(error.to_string());
    let folder = tempfile::tempdir().map_err(trouble)?;
    let program = std::env::current_exe().map_err(trouble)?;
    // Tests are programs of their own; the stub is in the program beside them.
    let program = match program.parent().filter(|parent| parent.ends_with("deps")) {
        Some(deps) => deps.with_file_name("acceptance"),
        None => program,
    };
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.push(
        match connector {
            Connector::Source => "stub-source",
            Connector::Destination => "stub-destination",
        }
        .into(),
    );
    if let Some(mutant) = mutant {
        words.extend(["--mutant".to_owned(), mutant.to_owned()]);
    }
    let how = How { wanted, engine: None };
    match connector {
        Connector::Source => {
            let api = StubApi::start().map_err(trouble)?;
            let large = StubApi::with(Rows::default().times(MORE), usize::MAX).map_err(trouble)?;
            let settings = source_settings(folder.path(), &words, rule, &api, &large)?;
            suite::run(&settings, how, &Silent)
        }
        Connector::Destination => {
            let settings = destination_settings(folder.path(), &words, &program)?;
            suite::run(&settings, how, &Silent)
        }
    }
}

fn settings(folder: &Path, value: Value) -> Result<Config, Trouble> {
    Config::from_value(value, folder).map_err(|error| Trouble(error.to_string()))
}

fn source_settings(
    folder: &Path,
    words: &[String],
    rule: Option<&'static Rule>,
    api: &StubApi,
    large: &StubApi,
) -> Result<Config, Trouble> {
    // Only with OAuth is there a token to renew, and a CONTROL message that tells of it.
    let renews = [Some(&rules::O11), Some(&rules::F07)].contains(&rule);
    let auth = if renews { Auth::OAuth } else { Auth::ApiToken };
    let config = stub::source_config(&api.url(), auth);
    let mut growth = stub::source_config(&large.url(), auth);
    growth["page_size"] = 500.into();
    let mut wrong = config.clone();
    wrong["credentials"]["api_token"] = "sk_stub_0000000000000000".into();
    let previous = &words[..2];
    write_json(&folder.join("spec.json"), &stub::source::spec())?;
    write_json(&folder.join("metadata.yaml"), &metadata())?;
    expected_records(folder, previous, &config)?;
    settings(
        folder,
        json!({
            "executable": words,
            "config": config,
            "parallel": 2,
            "long": true,
            // Enough for the stub, and soon over for what hangs.
            "limits": {
                "spec_seconds": 3, "check_seconds": 10, "discover_seconds": 10,
                "read_seconds": 20,
            },
            "growth": {"config": growth},
            "previous": {"executable": previous},
            "metadata_path": "metadata.yaml",
            "proxy": {"base_url_key": "api_url"},
            "acceptance_tests": {
                "spec": {"tests": [{"spec_path": "spec.json"}]},
                "connection": {"tests": [
                    {"status": "succeed"},
                    {"status": "failed", "config": wrong},
                ]},
                "basic_read": {"tests": [{
                    "empty_streams": [{"name": "empty", "bypass_reason": "it has no rows"}],
                    "expect_records": {"path": "expected.jsonl", "extra_fields": false},
                    "validate_stream_statuses": true,
                    "validate_data_points": rule != Some(&rules::R12),
                }]},
            },
        }),
    )
}

fn write_json(path: &Path, value: &Value) -> Result<(), Trouble> {
    std::fs::write(path, value.to_string())
        .map_err(|error| Trouble(format!("{}: {error}", path.display())))
}

/// Of a connector that Airbyte would call certified, for which all of it is demanded.
fn metadata() -> Value {
    json!({"data": {
        "name": "Stub",
        "ab_internal": {"ql": 400},
        "allowedHosts": {"hosts": ["127.0.0.1"]},
        "suggestedStreams": {"streams": ["users"]},
    }})
}

/// Writes the records that the correct stub reads as the expected ones.
fn expected_records(folder: &Path, words: &[String], config: &Value) -> Result<(), Trouble> {
    let connector = exec::Connector::executable(words.to_vec());
    let run = connector.run(&Call::new("discover", "discover").config(config))?;
    let catalog = run.payloads("CATALOG").next().map(|(_, catalog)| catalog.clone());
    let streams = streams::of_catalog(&catalog.unwrap_or_default());
    let catalog = streams::configured(&streams, Asked::FullRefresh);
    let run = connector.run(&Call::new("read", "read").config(config).catalog(&catalog))?;
    let lines: Vec<String> = run
        .records()
        .map(|(_, record)| json!({"stream": record.stream.name, "data": record.data}).to_string())
        .collect();
    let path = folder.join("expected.jsonl");
    std::fs::write(&path, lines.join("\n"))
        .map_err(|error| Trouble(format!("{}: {error}", path.display())))
}

fn destination_settings(
    folder: &Path,
    words: &[String],
    program: &Path,
) -> Result<Config, Trouble> {
    let read_back =
        format!("{} stub-destination read --config \"$CONFIG\" \"$STREAM\"", program.display());
    settings(
        folder,
        json!({
            "executable": words,
            "config": stub::destination::config(&folder.join("tables")),
            "parallel": 2,
            "destination": {"read_back": read_back},
        }),
    )
}
