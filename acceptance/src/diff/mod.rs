//! Two versions of a connector compared: what an upgrade breaks.

mod catalog;
mod files;
mod generate;
mod output;
mod spec;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::rules::{self, Level, Rule};
use crate::sheet::{Finding, Sheet};

pub use catalog::catalog;
pub use files::{CompareError, Kind, compare_files, read_catalog, read_spec};
pub use generate::samples;
pub use output::output;
pub use spec::spec;

/// What a change asks of the version number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing that users or destinations notice.
    Patch,
    /// More than before; what was saved goes on as it is.
    Minor,
    /// What was saved breaks, or means something else.
    Major,
}

impl Severity {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// How much it matters.
    pub severity: Severity,
    /// Where: `credentials (OAuth).client_id`, `orders: price`.
    pub path: String,
    /// What changed, in one sentence.
    pub message: String,
    /// The id of the rule that a major change of this kind violates.
    pub rule: &'static str,
    /// Why nothing breaks at once, though the meaning changes: such a change is no more than a
    /// warning for the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerated: Option<&'static str>,
}

/// A list of changes under one rule, as it grows.
struct Changes {
    rule: &'static Rule,
    list: Vec<Change>,
}

impl Changes {
    fn new(rule: &'static Rule) -> Self {
        Self { rule, list: Vec::new() }
    }

    fn add(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        let (path, message) = (path.to_owned(), message.into());
        self.list.push(Change { severity, path, message, rule: self.rule.id, tolerated: None });
    }

    fn major(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Major, path, message);
    }

    /// A major change that breaks nothing at once.
    fn tolerated(&mut self, path: &str, message: impl Into<String>, why: &'static str) {
        self.add(Severity::Major, path, message);
        if let Some(last) = self.list.last_mut() {
            last.tolerated = Some(why);
        }
    }

    fn minor(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Minor, path, message);
    }

    fn patch(&mut self, path: &str, message: impl Into<String>) {
        self.add(Severity::Patch, path, message);
    }

    /// The worst changes first, else in the order in which they were found.
    fn sorted(mut self) -> Vec<Change> {
        self.list.sort_by_key(|change| std::cmp::Reverse(change.severity));
        self.list
    }
}

/// Two files compared.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// What they are.
    pub kind: Kind,
    /// The differences, the worst first.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// What all changes together ask of the version number; `None` when there are none.
    pub fn verdict(&self) -> Option<Severity> {
        verdict(&self.changes)
    }

    /// The comparison for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for change in &self.changes {
            let Change { severity, path, message, .. } = change;
            let at = if path.is_empty() { "" } else { ": " };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:<5}  {path}{at}{message}", severity.name());
            if let Some(why) = change.tolerated {
                let _ = writeln!(text, "       {why}");
            }
        }
        let verdict = match self.verdict() {
            None => format!("no difference between the two {}", self.kind.plural()),
            Some(severity) => format!(
                "{} {} between the two {}: {}",
                self.changes.len(),
                if self.changes.len() == 1 { "difference" } else { "differences" },
                self.kind.plural(),
                severity.name()
            ),
        };
        let _ = writeln!(text, "{verdict}");
        text
    }

    /// The comparison for programs: `kind`, `verdict` (`none`, `patch`, `minor`, `major`) and
    /// `changes`.
    pub fn json(&self) -> Value {
        serde_json::json!({
            "kind": self.kind,
            "verdict": self.verdict().map_or("none", Severity::name),
            "changes": self.changes,
        })
    }
}

/// The worst of several changes.
pub fn verdict(changes: &[Change]) -> Option<Severity> {
    changes.iter().map(|change| change.severity).max()
}

/// What a version of a connector offers, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offer<'a> {
    /// The payload of its SPEC message.
    pub spec: Option<&'a Value>,
    /// The payload of its CATALOG message.
    pub catalog: Option<&'a Value>,
}

/// Holds a version against the previous one: U01 for the specs, U02 for the catalogs.
pub fn check(old: Offer<'_>, new: Offer<'_>, sheet: &mut Sheet) {
    match (old.spec, new.spec) {
        (Some(old), Some(new)) => write(&rules::U01, spec(old, new), sheet),
        _ => sheet.skip(&rules::U01, "there is no spec of the previous version"),
    }
    match (old.catalog, new.catalog) {
        (Some(old), Some(new)) => write(&rules::U02, catalog(old, new), sheet),
        _ => sheet.skip(&rules::U02, "there is no catalog of the previous version"),
    }
}

fn write(rule: &'static Rule, changes: Vec<Change>, sheet: &mut Sheet) {
    sheet.check(rule);
    for change in changes.into_iter().filter(|change| change.severity == Severity::Major) {
        let message = match change.path.as_str() {
            "" => change.message,
            path => format!("{path}: {}", change.message),
        };
        let finding = Finding::new(rule, message);
        sheet.find(match change.tolerated {
            Some(why) => finding.only(Level::Warning, why),
            None => finding,
        });
    }
}

#[cfg(test)]
mod tests;
