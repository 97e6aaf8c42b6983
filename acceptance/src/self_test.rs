//! The suite looked at itself: a correct stub that raises nothing, and mutants of it, each with
//! one fault, that have to be caught by the rule meant for them.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::config::Config;
use crate::exec::Trouble;
use crate::report::{Report, Status};
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

/// Runs the suite over the stub and its mutants, or those named, and prints a table. Gives the
/// exit code.
pub fn run(names: &[String], out: &mut dyn Write) -> Result<u8, Trouble> {
    if let Some(name) = names.iter().find(|name| !mutants::ALL.iter().any(|m| m.name() == **name)) {
        return Err(Trouble(format!("there is no mutant `{name}`")));
    }
    let chosen: Vec<&Mutant> = mutants::ALL
        .iter()
        .filter(|mutant| names.is_empty() || names.contains(&mutant.name()))
        .collect();
    let write = |out: &mut dyn Write, line: String| {
        writeln!(out, "{line}").map_err(|error| Trouble(format!("stdout: {error}")))
    };
    let width = chosen.iter().map(|mutant| mutant.name().len()).max().unwrap_or(0).max(12);
    let mut verdicts = Vec::new();
    if names.is_empty() {
        for connector in [Connector::Source, Connector::Destination] {
            verdicts.push(correct(connector));
        }
    }
    verdicts.extend(all_of(&chosen));
    for verdict in &verdicts {
        let expected = verdict.rule.map_or("nothing", |rule| rule.id);
        let raised: Vec<String> = verdict
            .raised
            .iter()
            .map(
                |(id, level)| if *level == Level::Error { (*id).into() } else { format!("({id})") },
            )
            .collect();
        let raised = verdict.trouble.clone().unwrap_or_else(|| raised.join(" "));
        let mark = if verdict.is_right() { "ok    " } else { "MISSED" };
        write(
            out,
            format!(
                "{mark}  {:<width$}  {expected:<7}  {:>5.1} s  {raised:<20}  {}",
                verdict.name, verdict.seconds, verdict.what
            ),
        )?;
    }
    let wrong = verdicts.iter().filter(|verdict| !verdict.is_right()).count();
    let rules: BTreeSet<&str> = chosen.iter().map(|mutant| mutant.rule.id).collect();
    write(
        out,
        format!(
            "\n{} mutants of {} rules, {} wrong; warnings stand in parentheses",
            chosen.len(),
            rules.len(),
            wrong
        ),
    )?;
    Ok(u8::from(wrong > 0))
}

/// The verdicts of mutants, several at a time, in their order.
fn all_of(mutants: &[&Mutant]) -> Vec<Verdict> {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let queue = Mutex::new(mutants.iter().enumerate().rev().collect::<Vec<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..cores * 2 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((at, mutant)) = next else { return };
                    let verdict = of_mutant(mutant);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((at, verdict));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, verdict)| verdict).collect()
}

/// The unmutated stub: all rules.
fn correct(connector: Connector) -> Verdict {
    let name = match connector {
        Connector::Source => "stub source",
        Connector::Destination => "stub destination",
    };
    verdict(name.into(), "as it should be".into(), None, connector, None, Wanted::All)
}

/// A mutant: only the trials that look at the rule meant for it.
fn of_mutant(mutant: &Mutant) -> Verdict {
    let wanted = Wanted::Only(BTreeSet::from([mutant.rule.id]));
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
    let outcome = report(connector, mutant, wanted);
    let seconds = started.elapsed().as_secs_f64();
    match outcome {
        Ok(report) => Verdict { raised: raised(&report), trouble: None, name, what, rule, seconds },
        Err(why) => Verdict { raised: Vec::new(), trouble: Some(why.0), name, what, rule, seconds },
    }
}

fn raised(report: &Report) -> Vec<(&'static str, Level)> {
    let rules =
        report.rules.iter().filter(|rule| matches!(rule.status, Status::Failed | Status::Warned));
    rules
        .filter_map(|rule| {
            let worst = rule.findings.iter().map(|finding| finding.level).max()?;
            Some((rule.rule.id, worst))
        })
        .collect()
}

/// Runs the suite over a stub.
fn report(connector: Connector, mutant: Option<&str>, wanted: Wanted) -> Result<Report, Trouble> {
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
            let large = StubApi::with(Rows::default().times(10), usize::MAX).map_err(trouble)?;
            let settings = source_settings(folder.path(), &words, &api, &large)?;
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
    api: &StubApi,
    large: &StubApi,
) -> Result<Config, Trouble> {
    let config = stub::source_config(&api.url(), Auth::ApiToken);
    let growth = stub::source_config(&large.url(), Auth::ApiToken);
    settings(
        folder,
        json!({
            "executable": words,
            "config": config,
            "parallel": 2,
            "growth": {"config": growth},
            "proxy": {"base_url_key": "api_url"},
            "acceptance_tests": {"basic_read": {"tests": [{
                "empty_streams": [{"name": "empty", "bypass_reason": "it has no rows"}],
                "validate_stream_statuses": true,
            }]}},
        }),
    )
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

/// Rules that no mutant is meant for.
pub fn without_mutants() -> Vec<&'static Rule> {
    let meant: BTreeSet<&str> = mutants::ALL.iter().map(|mutant| mutant.rule.id).collect();
    rules::all().filter(|rule| !meant.contains(rule.id)).collect()
}
