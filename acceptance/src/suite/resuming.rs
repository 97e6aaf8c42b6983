//! Going on from states: I04 to I06, and what signals leave behind (X01 to X03).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use rustix::process::Signal;
use serde_json::Value;

use super::commands::Around;
use super::lab::{Desk, Lab, Trial};
use super::reading::{self, Read, Reading};
use crate::checks::incremental::{self, CursorRules};
use crate::checks::output::Expected;
use crate::checks::streams::Asked;
use crate::config::{Checkpoints, ClientContainer};
use crate::exec::{Call, Stop, Trouble};
use crate::rows::Rows;
use crate::rules::{self, Level, Rule};
use crate::sheet::Finding;
use crate::transcript::{Exit, Transcript};

/// Checkpoints that are read from again, unless more or fewer are asked for.
const CHECKPOINTS: usize = 6;
/// Reads that are killed.
const KILLS: usize = 3;
/// How long a process may go on after it was told to end.
const PROMPT: Duration = Duration::from_secs(10);
/// A read that prints less than this is over before a signal reaches it, in bytes.
const WORTHWHILE: usize = 24 << 10;

/// The state file after the first lines of a read: the last state of each stream, or the last
/// GLOBAL one.
pub fn state_after(run: &Transcript, line: usize) -> Value {
    let mut streams: BTreeMap<StreamDescriptor, Value> = BTreeMap::new();
    let mut global = None;
    for (_, state) in run.states().take_while(|(at, _)| at.number <= line) {
        match &state.stream {
            Some(stream) => {
                streams.insert(stream.clone(), state.handed_back());
            }
            None => global = Some(state.handed_back()),
        }
    }
    match global {
        Some(global) => Value::Array(vec![global]),
        None => streams.into_values().collect(),
    }
}

/// The records that the states up to a line cover: of each stream those before its last state.
pub fn covered(reading: &Reading<'_>, run: &Transcript, line: usize) -> Rows {
    let mut rows = Rows::default();
    let global =
        run.states().take_while(|(at, _)| at.number <= line).filter(|(_, s)| s.is_global());
    let global = global.last().map(|(at, _)| at.number);
    for info in &reading.streams {
        let own = run
            .states()
            .take_while(|(at, _)| at.number <= line)
            .filter(|(_, state)| state.stream.as_ref() == Some(&info.descriptor));
        let last = own.last().map(|(at, _)| at.number).max(global);
        if let Some(last) = last {
            let before = reading.rows(run, last);
            rows.extend(&before.only(|stream| *stream == info.descriptor));
        }
    }
    rows
}

/// All trials of going on.
pub fn trials<'a>(
    lab: &'a Lab<'a>,
    reading: &'a Reading<'a>,
    base: &'a Read,
    cursors: &'a CursorRules,
    skips_checkpoints: bool,
    between: Option<&'a ClientContainer>,
) -> Vec<Trial<'a>> {
    let mut trials = vec![Trial::new("read from the final state", &[&rules::I04, &rules::I01], {
        move |desk: &mut Desk<'_>| from_the_end(desk, reading, base, cursors, between)
    })];
    if !skips_checkpoints {
        let (lines, untried) = cuts(base, lab.settings.checkpoints, lab.seed);
        if untried > 0 || lines.is_empty() {
            let why = if lines.is_empty() {
                "no state stands before other records of its stream".to_owned()
            } else {
                format!("{untried} streams have checkpoints that were not tried; --checkpoints all")
            };
            let mut desk = Desk::new(lab);
            desk.sheet.skip(&rules::I05, why);
            desk.clear();
        }
        for line in lines {
            trials.push(Trial::new("read from a checkpoint", &[&rules::I05], {
                move |desk: &mut Desk<'_>| from_checkpoint(desk, reading, base, line)
            }));
        }
    }
    let kills = lab.settings.kills.unwrap_or(KILLS);
    let mut random = fastrand::Rng::with_seed(lab.seed);
    for _ in 0..kills {
        let line = random.usize(1..=base.run.lines.len().max(1));
        trials.push(Trial::new("a killed read", &[&rules::I06], {
            move |desk: &mut Desk<'_>| killed(desk, reading, base, line)
        }));
    }
    let first = base.run.records().next().map_or(1, |(line, _)| line.number);
    for (signal, rule) in [(Signal::TERM, &rules::X01), (Signal::INT, &rules::X03)] {
        let rules: &[&'static Rule] =
            if signal == Signal::TERM { &[&rules::X01] } else { &[&rules::X03] };
        trials.push(Trial::new("a signal in the middle", rules, move |desk: &mut Desk<'_>| {
            signalled(desk, reading, base, first, signal, rule)
        }));
    }
    trials.push(Trial::new("a closed pipe", &[&rules::X02], move |desk: &mut Desk<'_>| {
        closed(desk, base, first)
    }));
    trials
}

/// Lines of states to go on from. A cut is good for a stream when the stream has a state by then
/// and records after it; cuts are chosen so that many streams are cut in their middle. Also tells
/// how many streams with such states remain without a cut.
fn cuts(base: &Read, wanted: Option<Checkpoints>, seed: u64) -> (Vec<usize>, usize) {
    let states: Vec<usize> = base.run.states().map(|(line, _)| line.number).collect();
    let mut last_record: BTreeMap<&StreamDescriptor, usize> = BTreeMap::new();
    for (line, record) in base.run.records() {
        last_record.insert(&record.stream, line.number);
    }
    // By stream, the lines between its first state and its last record.
    let mut open: BTreeMap<&StreamDescriptor, (usize, usize)> = BTreeMap::new();
    for (line, state) in base.run.states() {
        let streams: Vec<&StreamDescriptor> = match &state.stream {
            Some(stream) => vec![stream],
            None => last_record.keys().copied().collect(),
        };
        for stream in streams {
            let last = last_record.get(stream).copied().unwrap_or_default();
            if line.number < last {
                open.entry(stream).or_insert((line.number, last));
            }
        }
    }
    let all = |lines: Vec<usize>| (lines, 0);
    let count = match wanted {
        Some(Checkpoints::All(_)) => return all(states),
        Some(Checkpoints::Sample(count)) => count,
        None => CHECKPOINTS,
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let mut chosen: Vec<usize> = Vec::new();
    let mut uncut: BTreeSet<&StreamDescriptor> = open.keys().copied().collect();
    while chosen.len() < count {
        let covers = |line: usize| -> Vec<&StreamDescriptor> {
            let within = |stream: &&StreamDescriptor| {
                open.get(*stream).is_some_and(|(from, to)| (*from..*to).contains(&line))
            };
            uncut.iter().copied().filter(within).collect()
        };
        let mut candidates: Vec<usize> =
            states.iter().copied().filter(|line| !chosen.contains(line)).collect();
        random.shuffle(&mut candidates);
        let Some(best) = candidates.into_iter().max_by_key(|line| covers(*line).len()) else {
            break;
        };
        let cut = covers(best);
        // Once every stream is cut, the rest are spread by chance.
        uncut.retain(|stream| !cut.contains(stream));
        chosen.push(best);
        if uncut.is_empty() && open.is_empty() {
            break;
        }
    }
    chosen.sort_unstable();
    (chosen, uncut.len())
}

fn resume(
    desk: &mut Desk<'_>,
    base: &Read,
    title: &str,
    state: &Value,
) -> Result<Transcript, Trouble> {
    let call = desk.call(title, "read").catalog(&base.catalog).state(state);
    desk.run(&call, Expected::Success)
}

/// What neither the records before nor those after have.
fn loss(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    base: &Read,
    before: &Rows,
    after: &Rows,
    run: &Transcript,
    point: &str,
) {
    desk.sheet.check(rule);
    let mut union = before.clone();
    union.extend(after);
    for (stream, missing) in union.missing_of(&base.rows) {
        let text = reading::named(&missing, base.rows.count(stream), "lost");
        let finding = Finding::new(rule, format!("{text}, {point}"));
        desk.find(finding.in_run(&run.title).stream(stream));
    }
}

fn from_checkpoint(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    line: usize,
) -> Result<(), Trouble> {
    if !base.is_good {
        desk.sheet.skip(&rules::I05, "the first read failed");
        return Ok(());
    }
    let state = state_after(&base.run, line);
    let title = format!("read from the state on line {line}");
    let run = resume(desk, base, &title, &state)?;
    let before = covered(reading, &base.run, line);
    let after = reading.rows(&run, usize::MAX);
    let point = format!("reading from the state on line {line} of `{}`", base.run.title);
    loss(desk, &rules::I05, base, &before, &after, &run, &point);
    Ok(())
}

fn from_the_end(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    cursors: &CursorRules,
    between: Option<&ClientContainer>,
) -> Result<(), Trouble> {
    if !base.is_good {
        desk.sheet.skip(&rules::I04, "the first read failed");
        return Ok(());
    }
    Around::new(desk.lab.settings, between).between_syncs()?;
    let state = state_after(&base.run, usize::MAX);
    let again =
        reading.read(desk, "read from the final state", Asked::Incremental, Some(&state))?;
    let before = |stream: &StreamDescriptor| {
        let states = base.run.states().filter_map(|(_, state)| state.of_stream(stream));
        states.last().cloned()
    };
    incremental::check(&again.run, &again.streams, before, cursors, &mut desk.sheet);
    for info in reading.streams.iter().filter(|info| info.is_incremental) {
        repeated(desk, info, base, &again);
    }
    Ok(())
}

/// With the final state only what is new comes, but for records that share the last cursor value.
fn repeated(
    desk: &mut Desk<'_>,
    info: &crate::checks::streams::StreamInfo,
    base: &Read,
    again: &Read,
) {
    let stream = &info.descriptor;
    let (first, second) = (base.rows.count(stream), again.rows.count(stream));
    let values = |read: &Read| -> BTreeSet<String> {
        let records = read.run.records().filter(|(_, record)| record.stream == *stream);
        let values = records.filter_map(|(_, record)| info.cursor_value(&record.data));
        values.map(Value::to_string).collect()
    };
    let (all, came) = (values(base), values(again));
    if first < 2 || all.len() < 2 {
        let why = format!("{stream}: too few records or cursor values to tell");
        return desk.sheet.skip(&rules::I04, why);
    }
    desk.sheet.check(&rules::I04);
    if second >= first && came.len() >= all.len() {
        let message = format!("the state has no effect: all {first} records came again");
        desk.find(Finding::new(&rules::I04, message).in_run(&again.run.title).stream(stream));
    } else if came.len() > 1 && second * 2 > first {
        let message = format!("{second} of {first} records came again");
        let reason = "a lookback window, or a state that lags behind, reads some again";
        let finding = Finding::new(&rules::I04, message).only(Level::Warning, reason);
        desk.find(finding.in_run(&again.run.title).stream(stream));
    }
}

fn killed(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    line: usize,
) -> Result<(), Trouble> {
    if !base.is_good {
        desk.sheet.skip(&rules::I06, "the first read failed");
        return Ok(());
    }
    let title = format!("read, killed at line {line}");
    let call =
        desk.call(title, "read").catalog(&base.catalog).stop(Stop::SignalAt(line, Signal::KILL));
    let cut = desk.run(&call, Expected::Anything)?;
    let point = format!("after a SIGKILL at line {line}");
    go_on(desk, &rules::I06, reading, base, &cut, &point)
}

/// Resumes a read that was cut, and looks for what is lost.
fn go_on(
    desk: &mut Desk<'_>,
    rule: &'static Rule,
    reading: &Reading<'_>,
    base: &Read,
    cut: &Transcript,
    point: &str,
) -> Result<(), Trouble> {
    let state = state_after(cut, usize::MAX);
    let run = resume(desk, base, &format!("resumed {point}"), &state)?;
    let before = covered(reading, cut, usize::MAX);
    let after = reading.rows(&run, usize::MAX);
    loss(desk, rule, base, &before, &after, &run, point);
    Ok(())
}

/// The bytes that a read prints after a line.
fn bytes_after(run: &Transcript, line: usize) -> usize {
    run.lines.iter().filter(|at| at.number > line).map(|at| at.raw.len() + 1).sum()
}

fn signalled(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    base: &Read,
    line: usize,
    signal: Signal,
    rule: &'static Rule,
) -> Result<(), Trouble> {
    let name = if signal == Signal::TERM { "SIGTERM" } else { "SIGINT" };
    if !base.is_good {
        desk.sheet.skip(rule, "the first read failed");
        return Ok(());
    }
    let title = format!("read, {name} at the first record");
    let call = desk.call(title, "read").catalog(&base.catalog).stop(Stop::SignalAt(line, signal));
    let cut = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(rule);
    if cut.exit == Exit::TimedOut || cut.went_on() > PROMPT {
        let message = format!("it went on for {:.0} s after {name}", cut.went_on().as_secs_f64());
        desk.find(Finding::new(rule, message).in_run(&cut.title));
    }
    let is_whole = cut.exit.is_success() && cut.records().count() >= base.run.records().count();
    if is_whole && bytes_after(&base.run, line) > WORTHWHILE {
        let message = format!("{name} had no effect: it read everything to the end");
        desk.find(Finding::new(rule, message).in_run(&cut.title));
    }
    if !cut.is_terminated {
        let finding = Finding::new(rule, format!("half a line is left after {name}"));
        let reason = "runners drop a line without an end";
        desk.find(finding.only(Level::Warning, reason).in_run(&cut.title));
    }
    if signal == Signal::TERM {
        go_on(desk, &rules::X01, reading, base, &cut, "after SIGTERM")?;
    }
    Ok(())
}

fn closed(desk: &mut Desk<'_>, base: &Read, line: usize) -> Result<(), Trouble> {
    if bytes_after(&base.run, line) < WORTHWHILE {
        let why = "the read prints too little to notice a closed pipe";
        desk.sheet.skip(&rules::X02, why);
        return Ok(());
    }
    let call: Call = desk.call("read, pipe closed at the first record", "read");
    let call = call.catalog(&base.catalog).stop(Stop::CloseAt(line));
    let run = desk.run(&call, Expected::Anything)?;
    desk.sheet.check(&rules::X02);
    if run.exit == Exit::TimedOut || run.went_on() > PROMPT {
        let seconds = run.went_on().as_secs_f64();
        let message = format!("it went on for {seconds:.0} s after its output was closed");
        desk.find(Finding::new(&rules::X02, message).in_run(&run.title));
    }
    if let Some(text) = run.stderr.lines().find(|text| !text.trim().is_empty()) {
        let finding = Finding::new(&rules::X02, "it complains on stderr about the closed pipe");
        let reason = "nobody reads it any more; it only fills logs";
        let leaks = desk.lab.leaks();
        let finding = finding.only(Level::Warning, reason).excerpt(&leaks.hide(text));
        desk.find(finding.in_run(&run.title));
    }
    let signal_ended = matches!(run.exit, Exit::Signal(signal) if signal != 13 && signal != 15);
    if signal_ended {
        let finding = Finding::new(&rules::X02, format!("it ended by {}", run.exit));
        desk.find(finding.in_run(&run.title));
    }
    Ok(())
}
