//! What came of a run, for people and for programs.
//!
//! A [`Report`] is made of a [`Sheet`] and what is known of the run; the modules beside turn it
//! into a terminal's text, JUnit's XML and a page of HTML. Its JSON is the struct itself.

mod catalogue;
mod html;
mod junit;
mod style;
mod terminal;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

pub use catalogue::{explain, rules_json, rules_markdown, rules_text};
pub use style::View;

use crate::config::{Note, OffRule};
use crate::rules::{self, Level, Rule};
use crate::sheet::{Finding, Sheet, Tally};

/// The version of the JSON form. It grows when a member changes its meaning or goes away; new
/// members do not change it.
const FORMAT: u32 = 1;

/// While one of these fails, others cannot be looked at, or not to the end.
static BASE: [&Rule; 5] = [&rules::O01, &rules::O04, &rules::S01, &rules::C01, &rules::D01];

/// What is known of a run beside the findings.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The connector: its command or image.
    pub connector: String,
    /// The connector's version, where it says one.
    pub version: Option<String>,
    /// When the run began.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// What makes the suite choose the same places again.
    pub seed: Option<u64>,
    /// Warnings fail, too.
    pub strict: bool,
    /// Rules that are switched off.
    pub off: Vec<OffRule>,
    /// The processes that were run.
    pub runs: Vec<RunSummary>,
    /// What is to be said about the configuration file.
    pub notes: Vec<Note>,
}

/// One process that was run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RunSummary {
    /// Its name in findings, such as `read (full refresh)`.
    pub title: String,
    /// What was called.
    pub command: String,
    /// How it ended, such as `exit 0` or `signal 9`.
    pub exit: String,
    /// Seconds from start to end.
    pub seconds: f64,
    /// The peak of its resident memory in bytes, where it is known.
    pub peak_rss: Option<u64>,
    /// Lines on stdout.
    pub lines: usize,
    /// Records among them.
    pub records: usize,
}

impl RunSummary {
    /// The summary of a process's transcript.
    pub fn of(run: &crate::transcript::Transcript) -> Self {
        Self {
            title: run.title.clone(),
            command: run.command.clone(),
            exit: run.exit.to_string(),
            seconds: run.usage.wall.as_secs_f64(),
            peak_rss: (run.usage.peak_rss > 0).then_some(run.usage.peak_rss),
            lines: run.lines.len(),
            records: run.records().count(),
        }
    }
}

/// What came of a run. Serialized it is the report in JSON:
///
/// ```json
/// {
///   "format": 1, "passed": false, "connector": "./source-x", "version": "1.0.0",
///   "started_at": "2026-01-01T00:00:00Z", "seconds": 12.5, "seed": 42, "strict": false,
///   "counts": {"failed": 1, "warned": 0, "noted": 0, "skipped": 20, "off": 1, "passed": 100},
///   "rules": [{
///     "id": "R03", "title": "…", "level": "error", "status": "failed", "checks": 12,
///     "findings": [{"rule": "R03", "level": "error", "message": "…", "hint": "…",
///                   "run": "read", "line": 7, "stream": "users", "excerpt": "…"}],
///     "more": 0, "skipped": ["…"], "off": [{"reason": "…", "streams": ["…"], "findings": 3}]
///   }],
///   "runs": [{"title": "read", "command": "…", "exit": "exit 0", "seconds": 1.5,
///             "peak_rss": 9000000, "lines": 100, "records": 90}],
///   "notes": [{"kind": "bypass", "path": "acceptance_tests.spec", "text": "…"}]
/// }
/// ```
///
/// `rules` holds every rule, in the order of `acceptance rules`; `status` is one of [`Status`].
/// `version`, `seed` and `peak_rss` may be null; the members of a finding after `message` are
/// left out where nothing is known. `level` is that of the rule; a finding's may be lower.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The version of this form.
    pub format: u32,
    /// Whether the run as a whole is passed: decides the exit code.
    pub passed: bool,
    /// The connector: its command or image.
    pub connector: String,
    /// The connector's version, where it says one.
    pub version: Option<String>,
    /// When the run began.
    #[serde(serialize_with = "rfc3339")]
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// What makes the suite choose the same places again.
    pub seed: Option<u64>,
    /// Warnings fail, too.
    pub strict: bool,
    /// How many rules have which status.
    pub counts: BTreeMap<Status, usize>,
    /// What came of each rule, in the order of the rules.
    pub rules: Vec<RuleReport>,
    /// The processes that were run.
    pub runs: Vec<RunSummary>,
    /// What is to be said about the configuration file.
    pub notes: Vec<Note>,
}

fn rfc3339<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// What came of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Violated, and that is an error.
    Failed,
    /// Violated, and that is a warning.
    Warned,
    /// There is something worth knowing.
    Noted,
    /// It was looked at nowhere, for the reasons given; without any, nothing in this run has to
    /// do with it.
    Skipped,
    /// Switched off by name.
    Off,
    /// It was looked at and holds.
    Passed,
}

impl Status {
    /// All of them, in the order of reports.
    pub const ALL: [Self; 6] =
        [Self::Failed, Self::Warned, Self::Noted, Self::Skipped, Self::Off, Self::Passed];

    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Warned => "warned",
            Self::Noted => "noted",
            Self::Skipped => "skipped",
            Self::Off => "off",
            Self::Passed => "passed",
        }
    }
}

/// What came of one rule.
#[derive(Debug, Clone, Serialize)]
pub struct RuleReport {
    /// The rule.
    #[serde(flatten, serialize_with = "about")]
    pub rule: &'static Rule,
    /// What came of it.
    pub status: Status,
    /// How often it was looked at.
    pub checks: usize,
    /// The violations, the worst first; of many only the first ones.
    pub findings: Vec<Finding>,
    /// The violations that are not in `findings`.
    pub more: usize,
    /// Why it could not be looked at somewhere.
    pub skipped: Vec<String>,
    /// How it is switched off, wholly or for some streams.
    pub off: Vec<OffNote>,
}

/// A rule in a report: its id, title and level.
fn about<S: Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(Some(3))?;
    map.serialize_entry("id", rule.id)?;
    map.serialize_entry("title", rule.title)?;
    map.serialize_entry("level", &rule.level)?;
    map.end()
}

/// How a rule is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OffNote {
    /// Why.
    pub reason: String,
    /// For these streams; for all when there is none.
    pub streams: Vec<String>,
    /// How many findings it hides.
    pub findings: usize,
}

impl Report {
    /// Makes the report of a run.
    pub fn new(sheet: &Sheet, about: About) -> Self {
        let rules =
            rules::all().map(|rule| RuleReport::new(rule, sheet.tally(rule), &about.off)).collect();
        let report = Self {
            format: FORMAT,
            passed: false,
            connector: about.connector,
            version: about.version,
            started_at: about.started_at,
            seconds: about.seconds,
            seed: about.seed,
            strict: about.strict,
            counts: BTreeMap::new(),
            rules,
            runs: about.runs,
            notes: about.notes,
        };
        report.counted()
    }

    /// The report without rules that nobody asked for. Those that everything else rests on stay
    /// when they failed.
    pub fn only(mut self, is_wanted: impl Fn(&'static Rule) -> bool) -> Self {
        for report in &mut self.rules {
            let is_base = BASE.contains(&report.rule) && report.status == Status::Failed;
            if !is_base && !is_wanted(report.rule) {
                *report = RuleReport::new(report.rule, None, &[]);
            }
        }
        self.counted()
    }

    fn counted(mut self) -> Self {
        self.counts = Status::ALL.into_iter().map(|status| (status, 0)).collect();
        for rule in &self.rules {
            *self.counts.entry(rule.status).or_default() += 1;
        }
        self.passed = !self.rules.iter().any(|rule| self.fails(rule.status));
        self
    }

    /// 0 when the run is passed, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.passed)
    }

    /// The report as indented JSON.
    pub fn json(&self) -> String {
        // Maps have text keys and numbers are finite or null, so this cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The report as a terminal's text.
    pub fn terminal(&self, view: &View) -> String {
        terminal::render(self, view)
    }

    /// The report as JUnit's XML: a test suite a group, a test case a rule.
    pub fn junit(&self) -> String {
        junit::render(self)
    }

    /// The report as one page of HTML that needs nothing else.
    pub fn html(&self) -> String {
        html::render(self)
    }

    /// How many processes were run, for people.
    fn processes(&self) -> String {
        match self.runs.len() {
            1 => "1 run".to_owned(),
            n => format!("{n} runs"),
        }
    }

    /// Whether this status makes the run fail.
    fn fails(&self, status: Status) -> bool {
        status == Status::Failed || (self.strict && status == Status::Warned)
    }

    /// The groups with their rules: letter, title, what came of them.
    fn groups(&self) -> impl Iterator<Item = (char, &'static str, Vec<&RuleReport>)> {
        rules::groups().map(|(letter, title, _)| {
            let rules = self.rules.iter().filter(|rule| rule.rule.group() == letter);
            (letter, title, rules.collect())
        })
    }

    /// Rules that were nowhere looked at, by the reasons.
    fn skips(&self) -> Vec<(&str, Vec<&'static str>)> {
        let mut skips: Vec<(&str, Vec<&'static str>)> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.status == Status::Skipped) {
            for reason in &rule.skipped {
                match skips.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, rules)) => rules.push(rule.rule.id),
                    None => skips.push((reason, vec![rule.rule.id])),
                }
            }
        }
        skips
    }
}

impl RuleReport {
    fn new(rule: &'static Rule, tally: Option<&Tally>, off: &[OffRule]) -> Self {
        let Tally { checks, mut findings, mut more, skipped } = tally.cloned().unwrap_or_default();
        let mut notes = Vec::new();
        let mut is_off = false;
        for off in off.iter().filter(|off| off.rule() == Some(rule)) {
            let before = findings.len();
            let is_meant = |finding: &Finding| {
                off.streams.is_empty()
                    || finding.stream.as_ref().is_some_and(|stream| off.streams.contains(stream))
            };
            findings.retain(|finding| !is_meant(finding));
            let mut hidden = before - findings.len();
            if off.streams.is_empty() {
                is_off = true;
                hidden += std::mem::take(&mut more);
            }
            let (reason, streams) = (off.reason.clone(), off.streams.clone());
            notes.push(OffNote { reason, streams, findings: hidden });
        }
        if findings.is_empty() && more > 0 {
            let message =
                format!("{more} further findings were only counted, so they may be of any stream");
            let reason = "Mend some of the streams that are switched off, or switch the rule off \
                          as a whole.";
            findings.push(Finding::new(rule, message).hint(reason));
            more = 0;
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let status = match findings.iter().map(|finding| finding.level).max() {
            _ if is_off => Status::Off,
            Some(Level::Error) => Status::Failed,
            Some(Level::Warning) => Status::Warned,
            Some(Level::Note) => Status::Noted,
            None if checks > 0 => Status::Passed,
            None => Status::Skipped,
        };
        Self { rule, status, checks, findings, more, skipped, off: notes }
    }
}

impl RunSummary {
    /// The peak of memory in MiB, for people.
    fn memory(&self) -> String {
        self.peak_rss
            .map_or("–".to_owned(), |bytes| format!("{:.0} MiB", bytes as f64 / 1_048_576.0))
    }
}

#[cfg(test)]
mod tests;
