//! Where trials are carried out: the connector, its configuration, what is known of it so far.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::progress::Progress;
use crate::checks::output::{self, Bounds, Circumstances, Expected};
use crate::checks::spec as spec_checks;
use crate::config::Config;
use crate::exec::{Call, Connector, Stop, Trouble};
use crate::leaks::Leaks;
use crate::report::RunSummary;
use crate::rules::{self, Level, Rule};
use crate::sheet::{Finding, Sheet};
use crate::transcript::Transcript;

/// Rules whose violations are only warned about when the source changes while it is read.
static OF_LIVE_DATA: &[&Rule] = &[
    &rules::R11,
    &rules::I05,
    &rules::I06,
    &rules::X01,
    &rules::I07,
    &rules::D08,
    &rules::E01,
    &rules::E02,
    &rules::E03,
];

/// The rules that somebody wants to know about.
#[derive(Debug, Clone, Default)]
pub enum Wanted {
    /// All of them.
    #[default]
    All,
    /// These, by id.
    Only(BTreeSet<&'static str>),
}

impl Wanted {
    /// Whether any of these rules is wanted.
    pub fn any(&self, rules: &[&'static Rule]) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => rules.iter().any(|rule| ids.contains(rule.id)),
        }
    }
}

/// The connector under test, and what is known of it.
pub struct Lab<'a> {
    /// The connector.
    pub connector: Connector,
    /// What is asked of the suite.
    pub settings: &'a Config,
    /// The rules that are wanted.
    pub wanted: Wanted,
    /// Chooses places and values.
    pub seed: u64,
    /// Runs at the same time.
    pub jobs: usize,
    /// The file that the configuration came from, and what it has at `proxy.base_url_key`; new
    /// configurations are written to it.
    pub config_file: Option<(PathBuf, Option<Value>)>,
    /// The address of the API, where the suite was told it or found it in the configuration.
    pub upstream: Option<String>,
    /// Where progress is shown.
    pub progress: &'a dyn Progress,
    /// The connector's configuration, with what CONTROL messages have changed.
    config: Mutex<Value>,
    leaks: RwLock<Arc<Leaks>>,
    spec: OnceLock<Value>,
    results: Mutex<Results>,
}

/// What came of all trials so far.
#[derive(Debug, Default)]
pub struct Results {
    /// The findings.
    pub sheet: Sheet,
    /// The runs.
    pub runs: Vec<RunSummary>,
}

impl<'a> Lab<'a> {
    /// A lab without results.
    pub fn new(
        connector: Connector,
        settings: &'a Config,
        config: Value,
        wanted: Wanted,
        progress: &'a dyn Progress,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            connector,
            settings,
            wanted,
            seed: settings.seed.unwrap_or(1),
            jobs: settings.parallel.unwrap_or(cores).max(1),
            config_file: None,
            upstream: settings.proxy.upstream.clone(),
            progress,
            config: Mutex::new(config),
            leaks: RwLock::default(),
            spec: OnceLock::new(),
            results: Mutex::default(),
        }
    }

    /// The configuration, as it is by now.
    pub fn config(&self) -> Value {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a configuration over that the connector has sent.
    pub fn set_config(&self, config: Value) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        self.learn_secrets();
    }

    /// Replaces the file of the configuration, so that a token that was used up is not what is left
    /// of the test. The address of the suite's own proxy does not go into it.
    fn save_config(&self, mut config: Value) {
        let Some((path, base_url)) = &self.config_file else { return };
        if let (Some(key), Some(base_url)) = (&self.settings.proxy.base_url_key, base_url) {
            super::faults::put(&mut config, key, base_url.clone());
        }
        let beside = path.with_extension("json.new");
        let written = std::fs::write(&beside, format!("{config:#}\n"))
            .and_then(|()| std::fs::rename(&beside, path));
        if let Err(error) = written {
            eprintln!("acceptance: the new configuration was not saved: {error}");
        }
    }

    /// The payload of SPEC; an empty schema before it is known.
    pub fn spec(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        self.spec.get().unwrap_or(&NOTHING)
    }

    /// The schema of configurations.
    pub fn schema(&self) -> &Value {
        &self.spec()["connectionSpecification"]
    }

    /// Takes the payload of SPEC over.
    pub fn set_spec(&self, spec: Value) {
        let _ = self.spec.set(spec);
        self.learn_secrets();
    }

    fn learn_secrets(&self) {
        let config = self.config();
        self.know_secrets_of(&config);
    }

    /// Looks out for the secrets of a configuration, too.
    pub fn know_secrets_of(&self, config: &Value) {
        let secrets = spec_checks::secrets(self.spec(), config);
        let mut leaks = self.leaks.write().unwrap_or_else(PoisonError::into_inner);
        let mut known = leaks.values().to_vec();
        known.extend(secrets);
        *leaks = Arc::new(Leaks::new(known));
    }

    /// The secrets that must not be seen.
    pub fn leaks(&self) -> Arc<Leaks> {
        Arc::clone(&self.leaks.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the spec is that of a destination.
    pub fn is_destination(&self) -> bool {
        let modes = &self.spec()["supported_destination_sync_modes"];
        self.settings.destination.is_some()
            || modes.as_array().is_some_and(|modes| !modes.is_empty())
    }

    /// Takes results over; where the source is live, and where a rule is about equal data, they
    /// weigh less.
    pub fn add(&self, mut sheet: Sheet, runs: Vec<RunSummary>) {
        if self.settings.live {
            for rule in OF_LIVE_DATA {
                sheet.tone_down(rule, Level::Warning, "the source is live: its data changes");
            }
        }
        let leaks = self.leaks();
        sheet.each_text(|text| {
            if leaks.are_in(text) {
                *text = leaks.hide(text).into_owned();
            }
        });
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.sheet.merge(sheet);
        results.runs.extend(runs);
    }

    /// All results.
    pub fn into_results(self) -> Results {
        self.results.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a rule has errors so far.
    pub fn has_failed(&self, rule: &Rule) -> bool {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.sheet.tally(rule).and_then(crate::sheet::Tally::worst) == Some(Level::Error)
    }
}

/// Where one trial is carried out.
pub struct Desk<'a> {
    /// The lab.
    pub lab: &'a Lab<'a>,
    /// The trial's own findings.
    pub sheet: Sheet,
    runs: Vec<RunSummary>,
}

impl<'a> Desk<'a> {
    /// An empty desk.
    pub fn new(lab: &'a Lab<'a>) -> Self {
        Self { lab, sheet: Sheet::new(), runs: Vec::new() }
    }

    /// Hands the findings over to the lab.
    pub fn clear(self) {
        self.lab.add(self.sheet, self.runs);
    }

    /// A command with the configuration.
    pub fn call(&self, title: impl Into<String>, command: &str) -> Call {
        self.plain_call(title, command).config(&self.lab.config())
    }

    /// A command without files.
    pub fn plain_call(&self, title: impl Into<String>, command: &str) -> Call {
        let settings = self.lab.settings;
        let limit = settings.seconds_of(command);
        // Twice the limit, so that a run that is only too slow can still be looked at.
        let timeout = Duration::from_secs_f64((limit * 2.0).clamp(4.0, 7200.0));
        let call = Call::new(title, command).timeout(timeout);
        match settings.deployment_mode_of(command) {
            Some(mode) => call.variable("DEPLOYMENT_MODE", mode),
            None => call,
        }
    }

    /// Runs a command and looks at its output.
    pub fn run(&mut self, call: &Call, expected: Expected) -> Result<Transcript, Trouble> {
        self.run_with(&self.lab.connector, call, expected)
    }

    /// The same with another connector, or with another environment.
    pub fn run_with(
        &mut self,
        connector: &Connector,
        call: &Call,
        expected: Expected,
    ) -> Result<Transcript, Trouble> {
        let transcript = connector.run(call)?;
        self.look_at(&transcript, expected, call);
        Ok(transcript)
    }

    /// Looks at the output of a run that somebody else has carried out.
    pub fn look_at(&mut self, run: &Transcript, expected: Expected, call: &Call) {
        let leaks = self.lab.leaks();
        let limits = &self.lab.settings.limits;
        let config = match call.content("config") {
            Some(crate::exec::Content::Json(config)) => Some(config),
            _ => None,
        };
        let bounds = Bounds {
            seconds: (!call.is_hindered).then(|| self.lab.settings.seconds_of(&call.command)),
            peak_rss: Some((limits.peak_rss_mib * 1024.0 * 1024.0) as u64),
            line: Some(limits.line_bytes),
        };
        let schema = self.lab.schema();
        let circumstances = Circumstances {
            expected,
            leaks: &leaks,
            bounds,
            config: config.filter(|_| schema.is_object()).map(|config| (config, schema)),
        };
        let mut sheet = Sheet::new();
        output::check(run, &circumstances, &mut sheet);
        if matches!(call.stop, Some(Stop::SignalAt(_, Signal::INT))) {
            for rule in [&rules::O01, &rules::O02, &rules::O03] {
                sheet.tone_down(rule, Level::Warning, "no runner sends SIGINT, people do");
            }
        }
        self.sheet.merge(sheet);
        self.runs.push(RunSummary::of(run));
        self.lab.progress.run_done(run);
        self.take_control(run, config);
    }

    /// A rotated token has to be used from now on. A run of another configuration, or by way of a
    /// proxy, tells only of what it has changed itself, where that was the same here.
    fn take_control(&self, run: &Transcript, given: Option<&Value>) {
        let control = run.payloads("CONTROL").last();
        let new = control.and_then(|(_, control)| control.pointer("/connectorConfig/config"));
        let (Some(given), Some(new)) = (given, new) else { return };
        let mut config = self.lab.config();
        if carry_over(given, new, &mut config) {
            self.lab.set_config(config.clone());
            self.lab.save_config(config);
        }
    }

    /// Writes a finding.
    pub fn find(&mut self, finding: Finding) {
        self.sheet.find(finding);
    }
}

/// Changes `config` in all places where `new` differs from `given`; false when `config` was another
/// one there already.
fn carry_over(given: &Value, new: &Value, config: &mut Value) -> bool {
    let (Some(members), Some(config)) = (new.as_object(), config.as_object_mut()) else {
        return false;
    };
    members.iter().all(|(key, new)| match (given.get(key), config.get_mut(key)) {
        (Some(given), _) if given == new => true,
        (Some(given), Some(here)) if given.is_object() && new.is_object() => {
            carry_over(given, new, here)
        }
        (Some(given), Some(here)) if given == here => {
            *here = new.clone();
            true
        }
        (None, None) => {
            config.insert(key.clone(), new.clone());
            true
        }
        _ => false,
    })
}

/// What a trial does.
pub type Work<'a> = Box<dyn FnOnce(&mut Desk<'_>) -> Result<(), Trouble> + Send + 'a>;

/// One trial: what it is called, the rules it looks at, and what it does.
pub struct Trial<'a> {
    /// What it is called while it is under way.
    pub name: String,
    /// The rules that it looks at, beside those of every output.
    pub rules: Vec<&'static Rule>,
    /// What it does.
    pub work: Work<'a>,
}

impl<'a> Trial<'a> {
    /// A trial.
    pub fn new(
        name: impl Into<String>,
        rules: &[&'static Rule],
        work: impl FnOnce(&mut Desk<'_>) -> Result<(), Trouble> + Send + 'a,
    ) -> Self {
        Self { name: name.into(), rules: rules.to_vec(), work: Box::new(work) }
    }
}

/// Carries trials out, several at a time, those that are wanted. The first trouble is reported
/// after all are done.
pub fn carry_out(lab: &Lab<'_>, trials: Vec<Trial<'_>>) -> Result<(), Trouble> {
    let is_wanted = |trial: &Trial<'_>| trial.rules.is_empty() || lab.wanted.any(&trial.rules);
    let mut trials: Vec<Trial<'_>> = trials.into_iter().filter(is_wanted).collect();
    lab.progress.planned(trials.len());
    trials.reverse();
    let queue = Mutex::new(trials);
    let trouble = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..lab.jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(trial) = next else { return };
                    lab.progress.begun(&trial.name);
                    let mut desk = Desk::new(lab);
                    let outcome = (trial.work)(&mut desk);
                    desk.clear();
                    lab.progress.ended(&trial.name);
                    if let Err(why) = outcome {
                        let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                        trouble.get_or_insert(why);
                    }
                }
            });
        }
    });
    match trouble.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(trouble) => Err(trouble),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_run_has_changed_is_carried_over() {
        let main = json!({"url": "real", "auth": {"token": "one"}});
        let given = json!({"url": "proxy", "auth": {"token": "one"}});
        let new = json!({"url": "proxy", "auth": {"token": "two", "expires": 1}});
        let mut config = main.clone();
        assert!(carry_over(&given, &new, &mut config));
        assert_eq!(config, json!({"url": "real", "auth": {"token": "two", "expires": 1}}));
        let other = json!({"url": "real", "auth": {"token": "other"}});
        assert!(!carry_over(&other, &new, &mut main.clone()));
    }
}
