//! The suite: what is run, in which order, and the report of it.
//!
//! Everything is a trial in a [`Lab`]: a function that runs the connector and
//! writes findings. First come spec, check and discover, one after the other, since nothing works
//! without them; then the whole reads that others are compared with; then everything else, several
//! at a time.

mod beside;
mod commands;
mod connection;
pub mod destination;
mod discovery;
mod environment;
mod expected;
mod faults;
mod inputs;
mod lab;
mod progress;
mod reading;
mod resuming;
mod runners;
mod spec;
mod states;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use chrono::Utc;
use serde_json::Value;

pub use lab::{Desk, Lab, Wanted};
pub use progress::{Line, Progress, Silent};

use crate::checks::incremental::CursorRules;
use crate::checks::streams;
use crate::config::{
    BasicReadTest, Common, Config, ConfigSource, IncrementalTest, Note, NoteKind, PathPart, Plan,
    Section, Target,
};
use crate::exec::{Connector, Trouble};
use crate::proxy::{Journal, Mode, Options, Proxy};
use crate::report::{About, Report};
use crate::rules::{self, Rule};

/// How the suite is run, beside what the configuration says.
#[derive(Debug, Clone, Default)]
pub struct How {
    /// The rules that are wanted.
    pub wanted: Wanted,
    /// The container engine.
    pub engine: Option<String>,
}

/// Runs the suite. Fails when it cannot be run at all.
pub fn run(settings: &Config, how: How, progress: &dyn Progress) -> Result<Report, Trouble> {
    let started = Instant::now();
    let started_at = Utc::now();
    let trouble = |error: crate::config::ConfigError| Trouble(error.to_string());
    faults::check_names(settings.proxy.faults.as_ref())?;
    let mut connector = connector(settings, &how)?;
    let environment = settings.environment_of(&Common::default()).map_err(trouble)?;
    connector.environment.extend(environment);
    let mut config = settings.read_config(&settings.main_config()).map_err(trouble)?;
    let upstream = upstream(settings, &config);
    let config_file = config_file(settings, &config);
    let proxy = recorder(settings, &mut connector, &mut config, upstream.as_deref())?;
    let name = connector.name();
    let mut lab = Lab::new(connector, settings, config, how.wanted, progress);
    lab.upstream = upstream;
    lab.config_file = config_file;
    let outcome = stages(&mut lab);
    commands::finally(settings);
    let seed = lab.seed;
    let results = lab.into_results();
    let mut notes = settings.notes.clone();
    if let Some(proxy) = proxy {
        let journal = proxy.finish();
        notes.extend(of_traffic(
            &journal.map_err(|error| Trouble(format!("the recording: {error}")))?,
        ));
    }
    outcome?;
    let about = About {
        connector: name,
        version: None,
        started_at,
        seconds: started.elapsed().as_secs_f64(),
        seed: Some(seed),
        strict: settings.strict,
        off: settings.rules.off.clone(),
        runs: results.runs,
        notes,
    };
    Ok(Report::new(&results.sheet, about))
}

/// What the proxy has to say about a recording or a replay.
fn of_traffic(journal: &Journal) -> Vec<Note> {
    let mut texts = journal.problems.clone();
    if let Some(first) = journal.unmatched().next() {
        texts.push(format!(
            "{} requests are not in the recording and got status 599, such as {} {}; record again, \
             with the same flags",
            journal.unmatched().count(),
            first.method,
            first.url
        ));
    }
    let note = |text| Note { kind: NoteKind::Traffic, path: "proxy".to_owned(), text };
    texts.into_iter().map(note).collect()
}

fn connector(settings: &Config, how: &How) -> Result<Connector, Trouble> {
    Ok(match settings.target().map_err(|error| Trouble(error.to_string()))? {
        Target::Executable(words) => Connector::executable(words),
        Target::Image(image) => Connector::image(&image, how.engine.as_deref().unwrap_or("docker")),
    })
}

/// The address of the API: as given, or what the configuration says at the named key.
fn upstream(settings: &Config, config: &Value) -> Option<String> {
    let key = settings.proxy.base_url_key.as_deref()?;
    let value = key.split('.').try_fold(config, |value, part| value.get(part));
    let of_config = value.and_then(Value::as_str).map(str::to_owned);
    settings.proxy.upstream.clone().or(of_config)
}

/// The file of the main configuration, and what it has at the key of the API's address.
fn config_file(settings: &Config, config: &Value) -> Option<(PathBuf, Option<Value>)> {
    let ConfigSource::File(path) = settings.main_config() else { return None };
    let key = settings.proxy.base_url_key.as_deref();
    let value = key.and_then(|key| key.split('.').try_fold(config, |value, part| value.get(part)));
    Some((path, value.cloned()))
}

/// The proxy that records or replays everything, if that is asked for; connector and
/// configuration are led to it.
fn recorder(
    settings: &Config,
    connector: &mut Connector,
    config: &mut Value,
    upstream: Option<&str>,
) -> Result<Option<Proxy>, Trouble> {
    let mode = match (&settings.proxy.record, &settings.proxy.replay) {
        (Some(folder), _) => Mode::Record(folder.clone()),
        (None, Some(folder)) => Mode::Replay(folder.clone()),
        (None, None) => return Ok(None),
    };
    let trouble = |error: crate::proxy::Error| Trouble(format!("the proxy: {error}"));
    // The spec is not known yet, so every text of the configuration that may be one is a secret.
    let secrets = faults::texts(config);
    let proxy = Proxy::start(Options { mode, secrets, ..Options::default() }).map_err(trouble)?;
    connector.environment.extend(proxy.environment());
    if let (Some(key), Some(upstream)) = (&settings.proxy.base_url_key, upstream) {
        let address = proxy.base_url(upstream).map_err(trouble)?;
        faults::put(config, key, address.into());
    }
    Ok(Some(proxy))
}

/// The configuration of an entry: its own, or the one that the connector has by now.
fn config_of(lab: &Lab<'_>, common: &Common) -> Result<Value, Trouble> {
    if lab.settings.config_source(common) == lab.settings.main_config() {
        return Ok(lab.config());
    }
    let source = lab.settings.config_source(common);
    lab.settings.read_config(&source).map_err(|error| Trouble(error.to_string()))
}

fn environment_of(lab: &Lab<'_>, common: &Common) -> Result<BTreeMap<String, String>, Trouble> {
    lab.settings.environment_of(common).map_err(|error| Trouble(error.to_string()))
}

/// The entries of a section, none when it is bypassed; then its rules are skipped.
fn entries<T: Default + Clone>(
    lab: &Lab<'_>,
    section: Option<&Section<T>>,
    rules: &[&'static Rule],
) -> Vec<T> {
    match Section::plan(section) {
        Plan::Tests(tests) => tests,
        Plan::Bypassed(why) => {
            let mut desk = Desk::new(lab);
            rules.iter().for_each(|rule| desk.sheet.skip(rule, format!("bypassed: {why}")));
            desk.clear();
            Vec::new()
        }
    }
}

fn stages(lab: &mut Lab<'_>) -> Result<(), Trouble> {
    if spec::first(lab)?.is_none() {
        return Ok(());
    }
    if lab.is_destination() {
        return destination(lab);
    }
    let rotates = connection::first(lab)?;
    if rotates {
        // Each run uses the token up that the next one needs.
        lab.jobs = 1;
    }
    let lab = &*lab;
    let tests = &lab.settings.acceptance_tests;
    let spec_tests = entries(lab, tests.spec.as_ref(), &[&rules::S03, &rules::S10, &rules::S12]);
    let connection_tests = entries(
        lab,
        tests.connection.as_ref(),
        &[&rules::C02, &rules::C03, &rules::C04, &rules::C05],
    );
    let mut trials = Vec::new();
    if !spec_tests.is_empty() {
        trials.extend(spec::trials(lab, &spec_tests));
    }
    if !connection_tests.is_empty() {
        trials.extend(connection::trials(lab, &connection_tests));
    }
    trials.extend(inputs::of_check());
    trials.extend(runners::of_commands());
    lab::carry_out(lab, trials)?;
    discover_and_read(lab)
}

/// Destinations have spec and check in common with sources; the rest is about `write`.
fn destination(lab: &mut Lab<'_>) -> Result<(), Trouble> {
    connection::first(lab)?;
    let lab = &*lab;
    let tests = &lab.settings.acceptance_tests;
    let spec_tests = entries(lab, tests.spec.as_ref(), &[&rules::S03, &rules::S10]);
    let connection_tests = entries(lab, tests.connection.as_ref(), &[&rules::C02, &rules::C03]);
    let mut trials = spec::trials(lab, &spec_tests);
    trials.extend(connection::trials(lab, &connection_tests));
    trials.extend(inputs::of_check());
    trials.extend(destination::trials(lab));
    lab::carry_out(lab, trials)
}

fn discover_and_read(lab: &Lab<'_>) -> Result<(), Trouble> {
    let tests = &lab.settings.acceptance_tests;
    let discovery = entries(lab, tests.discovery.as_ref(), &[&rules::D08, &rules::D09]);
    let first = discovery.first().cloned().unwrap_or_default();
    let Some(catalog) = discovery::first(lab, &first)? else { return Ok(()) };
    beside::check(lab, Some(&catalog))?;
    let mut trials = Vec::new();
    if !discovery.is_empty() {
        trials.extend(discovery::trials(lab, &discovery, &catalog));
    }
    lab::carry_out(lab, trials)?;
    let streams = streams::of_catalog(&catalog);
    let of_reads = [&rules::R01, &rules::R03, &rules::R07, &rules::R08, &rules::R10, &rules::R13];
    let basic = entries(lab, tests.basic_read.as_ref(), &of_reads);
    for (at, test) in basic.iter().enumerate() {
        if at == 0 {
            primary(lab, test, &streams)?;
        } else {
            another(lab, test, &streams)?;
        }
    }
    Ok(())
}

/// The rules that a stage looks at; used to leave whole stages out.
fn group_wanted(lab: &Lab<'_>, letters: &[char]) -> bool {
    let rules: Vec<&'static Rule> =
        rules::all().filter(|rule| letters.contains(&rule.group())).collect();
    lab.wanted.any(&rules)
}

/// Everything that is tried with the main configuration.
fn primary(
    lab: &Lab<'_>,
    test: &BasicReadTest,
    discovered: &[streams::StreamInfo],
) -> Result<(), Trouble> {
    if !group_wanted(lab, &['O', 'R', 'I', 'B', 'X', 'P', 'E', 'F', 'U']) {
        return Ok(());
    }
    let tests = &lab.settings.acceptance_tests;
    let full_tests = entries(lab, tests.full_refresh.as_ref(), &[&rules::R11]);
    let incremental_tests = entries(
        lab,
        tests.incremental.as_ref(),
        &[&rules::I04, &rules::I05, &rules::I06, &rules::I08],
    );
    let ignored: Vec<_> = full_tests.iter().map(|test| &test.ignored_fields).collect();
    let reading = reading::Reading::new(lab, test, &ignored, discovered)?;
    beside::expectations(lab, test, &reading, incremental_tests.first())?;
    let commands = commands::Around::new(lab.settings, test.client_container_config.as_ref());
    commands.set_up()?;
    let whole = reading::full(lab, &reading)?;
    let incremental = incremental_tests.first().cloned().unwrap_or_default();
    let cursors = cursor_rules(&incremental);
    let base = if group_wanted(lab, &['I', 'B', 'X', 'P', 'U']) {
        Some(reading::incremental(lab, &reading, &cursors)?)
    } else {
        None
    };
    let mut trials = reading::trials(lab, &reading, &whole);
    if full_tests.is_empty() {
        trials.retain(|trial| trial.rules != [&rules::R11]);
    }
    trials.extend(environment::trials(lab, &reading, &whole, lab.settings.growth_config()));
    if let Some(base) = &base {
        if !incremental_tests.is_empty() {
            let skips = incremental.skip_comprehensive_incremental_tests;
            let between = incremental.client_container_config.as_ref();
            trials.extend(resuming::trials(lab, &reading, base, &cursors, skips, between));
            trials.extend(states::trials(&reading, base, &incremental, &cursors));
        }
        trials.extend(inputs::of_read(&reading, base));
        trials.extend(runners::of_read(&reading, base));
        trials.extend(beside::previous_state(lab, &reading, base)?);
    }
    beside::file_types(lab, test, &whole);
    lab::carry_out(lab, trials)?;
    if let Some(requests) = faults::first(lab, &reading, &whole)? {
        lab::carry_out(lab, faults::trials(lab, &reading, &whole, requests))?;
    }
    commands.tear_down()
}

/// A further entry of basic_read: one read by all rules of reads.
fn another(
    lab: &Lab<'_>,
    test: &BasicReadTest,
    discovered: &[streams::StreamInfo],
) -> Result<(), Trouble> {
    let config = config_of(lab, &test.common)?;
    lab.know_secrets_of(&config);
    let before = lab.config();
    lab.set_config(config);
    let commands = commands::Around::new(lab.settings, test.client_container_config.as_ref());
    commands.set_up()?;
    let reading = reading::Reading::new(lab, test, &[], discovered)?;
    let whole = reading::full(lab, &reading)?;
    let mut desk = Desk::new(lab);
    expected::check(&mut desk, &reading, &whole)?;
    desk.clear();
    commands.tear_down()?;
    lab.set_config(before);
    Ok(())
}

fn cursor_rules(test: &IncrementalTest) -> CursorRules {
    let part = |part: &PathPart| match part {
        PathPart::Name(name) => Value::from(name.as_str()),
        PathPart::Place(place) => Value::from(*place),
    };
    let paths = test.cursor_paths.iter();
    let paths = paths.map(|(stream, path)| (stream.clone(), path.iter().map(part).collect()));
    CursorRules { paths: paths.collect(), threshold_days: test.threshold_days.unwrap_or_default() }
}

/// Some of many, chosen by the seed, in their order.
fn sample<T>(items: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut places = random.choose_multiple(0..items.len(), count);
    places.sort_unstable();
    let chosen = |(at, item): (usize, T)| places.contains(&at).then_some(item);
    items.into_iter().enumerate().filter_map(chosen).collect()
}
