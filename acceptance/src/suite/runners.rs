//! Runners' ways of calling: P, and what they do to processes (X04, X05).

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::lab::{Desk, Trial};
use super::reading::{self, Read, Reading};
use crate::checks::output::Expected;
use crate::exec::{Call, Content, Mode, Stop, Trouble};
use crate::rules::{self, Rule};
use crate::sheet::Finding;
use crate::transcript::{Exit, Transcript};

/// Runners' ways of calling everything but read.
pub fn of_commands<'a>() -> Vec<Trial<'a>> {
    let mut trials: Vec<Trial<'a>> = Vec::new();
    for (command, answer) in
        [("spec", "SPEC"), ("check", "CONNECTION_STATUS"), ("discover", "CATALOG")]
    {
        trials.push(Trial::new("the platform's wrapper", &[&rules::P01], {
            move |desk: &mut Desk<'_>| answers(desk, &rules::P01, Mode::Platform, command, answer)
        }));
        trials.push(Trial::new("PyAirbyte's calls", &[&rules::P02], {
            move |desk: &mut Desk<'_>| answers(desk, &rules::P02, Mode::PyAirbyte, command, answer)
        }));
        trials.push(Trial::new("airbyte-serverless's calls", &[&rules::P05], {
            move |desk: &mut Desk<'_>| answers(desk, &rules::P05, Mode::Serverless, command, answer)
        }));
        trials.push(Trial::new("Meltano's calls", &[&rules::P03], {
            move |desk: &mut Desk<'_>| answers(desk, &rules::P03, Mode::Meltano, command, answer)
        }));
    }
    trials
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Plain => "plainly",
        Mode::Platform => "by the platform",
        Mode::PyAirbyte => "by PyAirbyte",
        Mode::Meltano => "by Meltano",
        Mode::Serverless => "by airbyte-serverless",
        Mode::Pid1 => "as PID 1",
    }
}

fn answers(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    mode: Mode,
    command: &str,
    answer: &'static str,
) -> Result<(), Trouble> {
    if mode == Mode::Platform && desk.lab.connector.is_image() {
        desk.sheet.skip(rule, "the wrapper is emulated for executables only");
        return Ok(());
    }
    let title = format!("{command} {}", name(mode));
    let mut call =
        if command == "spec" { desk.plain_call(title, command) } else { desk.call(title, command) };
    call = call.mode(mode);
    if mode == Mode::PyAirbyte {
        call = call.stop(Stop::AtAnswer(answer));
    }
    let run = desk.lab.connector.run(&call)?;
    desk.sheet.check(rule);
    let is_control = |kind: Option<&str>| matches!(kind, Some("LOG" | "TRACE" | "CONTROL"));
    let first = run.lines.iter().find(|line| line.syntax.is_none() && !is_control(line.kind()));
    let is_right = match mode {
        // It takes the first message of any other type for the answer.
        Mode::Serverless => {
            first.and_then(|line| line.kind()) == Some(answer) && run.payloads(answer).count() == 1
        }
        _ => run.answer(answer).is_some(),
    };
    if !is_right {
        let message =
            format!("{command} {}: no {answer}, {}: {}", name(mode), run.exit, run.error_text());
        desk.find(Finding::new(rule, message).in_run(&run.title));
    }
    let ends_well = match mode {
        // The answer is all it wants, then it sends SIGTERM.
        Mode::PyAirbyte => matches!(run.exit, Exit::Code(0 | 143) | Exit::Signal(15)),
        Mode::Serverless => true,
        _ => run.exit.is_success(),
    };
    if is_right && !ends_well {
        let message = format!("{command} {} ended with {}", name(mode), run.exit);
        desk.find(Finding::new(rule, message).in_run(&run.title));
    }
    Ok(())
}

/// Runners' ways of reading.
pub fn of_read<'a>(reading: &'a Reading<'a>, base: &'a Read) -> Vec<Trial<'a>> {
    let as_runner = |rule: &'static Rule, mode: Mode| {
        Trial::new(format!("read {}", name(mode)), &[rule], move |desk: &mut Desk<'_>| {
            read_as(desk, rule, mode, reading, base)
        })
    };
    vec![
        as_runner(&rules::P01, Mode::Platform),
        as_runner(&rules::P02, Mode::PyAirbyte),
        as_runner(&rules::P03, Mode::Meltano),
        Trial::new("a strict line reader", &[&rules::P04], move |desk: &mut Desk<'_>| {
            strict(desk, base);
            Ok(())
        }),
        Trial::new("cancelled by the platform", &[&rules::X05], move |desk: &mut Desk<'_>| {
            cancelled(desk, base)
        }),
        Trial::new("SIGTERM as PID 1", &[&rules::X04], move |desk: &mut Desk<'_>| {
            pid_1(desk, base)
        }),
    ]
}

/// The catalog as a runner writes it.
fn catalog_for(mode: Mode, catalog: &Value) -> Value {
    let mut catalog = catalog.clone();
    for entry in catalog["streams"].as_array_mut().into_iter().flatten() {
        let Some(members) = entry.as_object_mut() else { continue };
        match mode {
            Mode::PyAirbyte => {
                members.insert("sync_mode".into(), "incremental".into());
                members.insert("destination_sync_mode".into(), "overwrite".into());
                for key in ["generation_id", "minimum_generation_id", "sync_id"] {
                    members.insert(key.into(), 1.into());
                }
            }
            Mode::Meltano => members.retain(|key, _| {
                ["stream", "sync_mode", "destination_sync_mode"].contains(&key.as_str())
            }),
            _ => {}
        }
    }
    catalog
}

fn read_as(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    mode: Mode,
    reading: &Reading<'_>,
    base: &Read,
) -> Result<(), Trouble> {
    if mode == Mode::Platform && desk.lab.connector.is_image() {
        desk.sheet.skip(rule, "the wrapper is emulated for executables only");
        return Ok(());
    }
    let catalog = catalog_for(mode, &base.catalog);
    let mut call = desk.call(format!("read {}", name(mode)), "read").catalog(&catalog).mode(mode);
    if mode == Mode::PyAirbyte {
        call = call.file("state", Content::Text("[]".into()));
    }
    let run = desk.run(&call, Expected::Success)?;
    desk.sheet.check(rule);
    if mode == Mode::Meltano
        && let Some((line, _)) = run.errors().next()
    {
        let finding = Finding::new(rule, "an error trace, at which Meltano stops");
        desk.find(finding.in_run(&run.title).at(line.number, &line.text()));
    }
    if base.is_good {
        reading::compare(desk, rule, &run.title, &base.rows, &reading.rows(&run, usize::MAX));
    }
    Ok(())
}

fn strict(desk: &mut Desk<'_>, base: &Read) {
    desk.sheet.check(&rules::P04);
    if let Some(line) = base.run.lines.iter().find(|line| line.syntax.is_some()) {
        let finding = Finding::new(&rules::P04, "a line that is no JSON object aborts the sync");
        desk.find(finding.in_run(&base.run.title).at(line.number, &line.text()));
    }
}

/// A line in the middle of the records.
fn a_record(base: &Read) -> usize {
    base.run.records().next().map_or(1, |(line, _)| line.number)
}

fn cancelled(desk: &mut Desk<'_>, base: &Read) -> Result<(), Trouble> {
    if desk.lab.connector.is_image() {
        desk.sheet.skip(&rules::X05, "the wrapper is emulated for executables only");
        return Ok(());
    }
    let call = desk.call("read, cancelled by the platform", "read").catalog(&base.catalog);
    let call = call.mode(Mode::Platform).stop(Stop::CancelAt(a_record(base)));
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::X05);
    if run.left_behind {
        let finding = Finding::new(&rules::X05, "it was still running after the cancellation");
        let reason = "in a container of its own the kernel ends it with the wrapper";
        desk.find(finding.only(rules::Level::Warning, reason).in_run(&run.title));
    }
    Ok(())
}

/// Whether a process can be PID 1 of a namespace here.
fn has_namespaces() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "true"]);
    command.output().is_ok_and(|output| output.status.success())
}

fn pid_1(desk: &mut Desk<'_>, base: &Read) -> Result<(), Trouble> {
    if desk.lab.connector.is_image() || !has_namespaces() {
        let why = "there are no user namespaces here, or the connector is an image";
        desk.sheet.skip(&rules::X04, why);
        return Ok(());
    }
    let call: Call = desk.call("read, SIGTERM as PID 1", "read").catalog(&base.catalog);
    let call = call.mode(Mode::Pid1).stop(Stop::SignalAt(a_record(base), Signal::TERM));
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::X04);
    if went_to_the_end(&run, base) {
        let message = "SIGTERM had no effect on it as PID 1";
        desk.find(Finding::new(&rules::X04, message).in_run(&run.title));
    }
    Ok(())
}

/// Whether a run that was told to end printed everything all the same, though it had a way to go.
fn went_to_the_end(run: &Transcript, base: &Read) -> bool {
    let line = a_record(base);
    let rest: usize =
        base.run.lines.iter().filter(|at| at.number > line).map(|at| at.raw.len() + 1).sum();
    let is_whole = run.records().count() >= base.run.records().count();
    run.exit == Exit::TimedOut || (is_whole && rest > 24 << 10)
}
