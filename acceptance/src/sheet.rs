//! What the checks found: findings by rule, and how often each rule was looked at.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::rules::{self, Level, Rule};

/// The findings of one rule that are kept; more are only counted.
const KEPT: usize = 20;
/// The characters of an offending line that are kept.
const EXCERPT: usize = 400;

/// One violation of a rule.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The rule.
    #[serde(serialize_with = "id_of")]
    pub rule: &'static Rule,
    /// How much it matters here; never more than the rule's own level.
    pub level: Level,
    /// What is wrong, with names and values.
    pub message: String,
    /// Why it matters less here than the rule says, or what to do in this very case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The run in which it showed, such as `read (full refresh)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The line of stdout, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The offending line or value, cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

fn id_of<S: serde::Serializer>(rule: &&'static Rule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.id)
}

impl Finding {
    /// A violation of a rule.
    pub fn new(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self {
            rule,
            level: rule.level,
            message: message.into(),
            hint: None,
            run: None,
            line: None,
            stream: None,
            excerpt: None,
        }
    }

    /// It matters less than the rule says, for this reason.
    pub fn only(mut self, level: Level, reason: impl Into<String>) -> Self {
        self.level = self.level.min(level);
        self.hint = Some(reason.into());
        self
    }

    /// It was asked for by name, so it fails whatever the rule's own level.
    pub fn demanded(mut self) -> Self {
        self.level = Level::Error;
        self
    }

    /// What to do in this case.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The run in which it showed.
    pub fn in_run(mut self, run: &str) -> Self {
        self.run = Some(run.to_owned());
        self
    }

    /// The line of stdout, and its text.
    pub fn at(mut self, line: usize, text: &str) -> Self {
        self.line = Some(line);
        self.excerpt(text)
    }

    /// The stream.
    pub fn stream(mut self, stream: impl std::fmt::Display) -> Self {
        self.stream = Some(stream.to_string());
        self
    }

    /// The offending text; long ones are cut.
    pub fn excerpt(mut self, text: &str) -> Self {
        let cut: String = text.chars().take(EXCERPT).collect();
        let is_cut = cut.len() < text.len();
        self.excerpt = Some(if is_cut { format!("{cut}…") } else { cut });
        self
    }
}

/// What came of one rule.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How often it was looked at.
    pub checks: usize,
    /// The violations, the first ones of many.
    pub findings: Vec<Finding>,
    /// The violations that are not in `findings`.
    pub more: usize,
    /// Why it could not be looked at somewhere.
    pub skipped: Vec<String>,
}

impl Tally {
    /// The worst level among the findings.
    pub fn worst(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.level).max()
    }
}

/// The score sheet that checks write on. Sheets of parallel checks are merged.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    tallies: BTreeMap<&'static str, Tally>,
}

impl Sheet {
    /// An empty sheet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rule was looked at.
    pub fn check(&mut self, rule: &'static Rule) {
        self.tallies.entry(rule.id).or_default().checks += 1;
    }

    /// The rule was looked at and is violated.
    pub fn find(&mut self, finding: Finding) {
        let tally = self.tallies.entry(finding.rule.id).or_default();
        tally.checks = tally.checks.max(1);
        let is_known = tally
            .findings
            .iter()
            .any(|known| known.message == finding.message && known.stream == finding.stream);
        if is_known || tally.findings.len() >= KEPT {
            tally.more += 1;
            // A worse one must not hide behind the first twenty.
            if let Some(milder) = tally.findings.iter_mut().find(|f| f.level < finding.level)
                && !is_known
            {
                *milder = finding;
            }
        } else {
            tally.findings.push(finding);
        }
    }

    /// The rule was looked at; these are its violations.
    pub fn record(&mut self, rule: &'static Rule, findings: impl IntoIterator<Item = Finding>) {
        self.check(rule);
        findings.into_iter().for_each(|finding| self.find(finding));
    }

    /// The rule could not be looked at.
    pub fn skip(&mut self, rule: &'static Rule, why: impl Into<String>) {
        let why = why.into();
        let tally = self.tallies.entry(rule.id).or_default();
        if !tally.skipped.contains(&why) {
            tally.skipped.push(why);
        }
    }

    /// Findings of a rule matter less, for this reason.
    pub fn tone_down(&mut self, rule: &'static Rule, level: Level, reason: &str) {
        let Some(tally) = self.tallies.get_mut(rule.id) else { return };
        for finding in tally.findings.iter_mut().filter(|finding| finding.level > level) {
            finding.level = level;
            finding.hint = Some(reason.to_owned());
        }
    }

    /// Changes every text of every finding.
    pub fn each_text(&mut self, change: impl Fn(&mut String)) {
        for finding in self.tallies.values_mut().flat_map(|tally| &mut tally.findings) {
            change(&mut finding.message);
            finding.hint.iter_mut().chain(&mut finding.excerpt).for_each(&change);
        }
    }

    /// Takes over what another sheet says.
    pub fn merge(&mut self, other: Sheet) {
        for (id, tally) in other.tallies {
            let Some(rule) = rules::by_id(id) else { continue };
            let more = tally.more;
            tally.findings.into_iter().for_each(|finding| self.find(finding));
            tally.skipped.into_iter().for_each(|why| self.skip(rule, why));
            let mine = self.tallies.entry(id).or_default();
            mine.checks += tally.checks;
            mine.more += more;
        }
    }

    /// What came of a rule; `None` when nobody looked.
    pub fn tally(&self, rule: &Rule) -> Option<&Tally> {
        self.tallies.get(rule.id)
    }

    /// All findings, in the order of the rules.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        rules::all().filter_map(|rule| self.tally(rule)).flat_map(|tally| &tally.findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_add_up() {
        let mut one = Sheet::new();
        one.check(&rules::R03);
        let mut other = Sheet::new();
        other.record(&rules::R03, [Finding::new(&rules::R03, "wrong")]);
        other.skip(&rules::I05, "no checkpoints");
        one.merge(other);
        let tally = one.tally(&rules::R03).unwrap();
        assert_eq!((tally.checks, tally.findings.len()), (2, 1));
        assert_eq!(tally.worst(), Some(Level::Error));
        assert_eq!(one.tally(&rules::I05).unwrap().skipped, ["no checkpoints"]);
        assert!(one.tally(&rules::O01).is_none());
    }

    #[test]
    fn many_findings_are_counted_and_the_worst_is_kept() {
        let mut sheet = Sheet::new();
        for at in 0..30 {
            let finding = Finding::new(&rules::R03, format!("wrong {at}"));
            sheet.find(finding.only(Level::Warning, "it is accepted"));
        }
        sheet.find(Finding::new(&rules::R03, "really wrong"));
        let tally = sheet.tally(&rules::R03).unwrap();
        assert_eq!((tally.findings.len(), tally.more), (KEPT, 11));
        assert_eq!(tally.worst(), Some(Level::Error));
    }

    #[test]
    fn a_finding_never_matters_more_than_its_rule() {
        let finding = Finding::new(&rules::O10, "text").only(Level::Error, "because");
        assert_eq!(finding.level, Level::Warning);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let finding = Finding::new(&rules::O01, "x").at(3, &"ä".repeat(1000));
        assert_eq!(finding.excerpt.unwrap().chars().count(), EXCERPT + 1);
    }
}
