//! The rules: what is checked, why it matters, and how a violation is mended.
//!
//! A rule is a value; what finds its violations stands in the modules that carry out the checks
//! and refers to it by name (`rules::R03`), so that a rule cannot be misspelt.

mod attributes;
mod changes;
mod destination;
mod faults;
mod incremental;
mod inputs;
mod output;
mod read;
mod runners;
mod spec;

use serde::Serialize;

pub use attributes::*;
pub use changes::*;
pub use destination::*;
pub use faults::*;
pub use incremental::*;
pub use inputs::*;
pub use output::*;
pub use read::*;
pub use runners::*;
pub use spec::*;

/// How much a violation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing; never changes the exit code.
    Note,
    /// Runners that people use cope with it, or it costs something but no data. Fails only under
    /// `--strict`.
    Warning,
    /// Some runner breaks, or data is lost.
    Error,
}

impl Level {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that a connector has to do.
#[derive(Debug, Serialize)]
pub struct Rule {
    /// A letter for the group and a number, such as `R03`. Never given anew.
    pub id: &'static str,
    /// What has to be so, in one sentence.
    pub title: &'static str,
    /// How much a violation matters, unless the finding itself says that it matters less.
    pub level: Level,
    /// Who breaks, and how, when it is violated.
    pub why: &'static str,
    /// How a violation is mended.
    pub fix: &'static str,
}

impl Rule {
    /// The letter of the group.
    pub fn group(&self) -> char {
        self.id.chars().next().unwrap_or_default()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

/// Declares the rules of a group: a static each, and the list of all of them.
macro_rules! rules {
    ($list:ident; $($id:ident $level:ident $title:literal why $why:literal fix $fix:literal;)*) => {
        $(
            #[doc = $title]
            pub static $id: $crate::rules::Rule = $crate::rules::Rule {
                id: stringify!($id),
                title: $title,
                level: $crate::rules::Level::$level,
                why: $why,
                fix: $fix,
            };
        )*
        pub(super) static $list: &[&$crate::rules::Rule] = &[$(&$id),*];
    };
}
use rules;

/// Groups of rules in the order of reports: letter, title, rules.
static GROUPS: &[(char, &str, &[&Rule])] = &[
    ('O', "output of every run", output::OUTPUT),
    ('S', "spec", spec::SPEC),
    ('C', "check", spec::CHECK),
    ('D', "discover", spec::DISCOVER),
    ('U', "upgrades", changes::CHANGES),
    ('R', "read", read::READ),
    ('I', "incremental reads and states", incremental::INCREMENTAL),
    ('B', "broken and unusual inputs", inputs::INPUTS),
    ('X', "signals and closed pipes", runners::SIGNALS),
    ('P', "runners", runners::RUNNERS),
    ('E', "environment, isolation, memory", runners::ENVIRONMENT),
    ('F', "faults of the API", faults::FAULTS),
    ('A', "image, metadata, documentation", attributes::ATTRIBUTES),
    ('W', "destinations", destination::DESTINATION),
];

/// All rules, in the order of reports.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().flat_map(|(_, _, rules)| rules.iter().copied())
}

/// The groups in the order of reports: letter, title, rules.
pub fn groups() -> impl Iterator<Item = (char, &'static str, &'static [&'static Rule])> {
    GROUPS.iter().copied()
}

/// The rule of this id, in either case.
pub fn by_id(id: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_stand_in_the_group_of_their_letter() {
        let mut seen = BTreeSet::new();
        for (letter, _, rules) in groups() {
            for rule in rules {
                assert!(seen.insert(rule.id), "{} stands twice", rule.id);
                assert_eq!(rule.group(), letter, "{}", rule.id);
            }
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn every_rule_says_why_and_how() {
        for rule in all() {
            for text in [rule.title, rule.why, rule.fix] {
                assert!(text.len() > 15, "{}: {text:?}", rule.id);
            }
            assert!(!rule.title.ends_with('.'), "{}", rule.id);
            assert!(rule.why.ends_with('.') && rule.fix.ends_with('.'), "{}", rule.id);
        }
    }

    #[test]
    fn a_rule_is_found_in_either_case() {
        assert_eq!(by_id("r03"), Some(&R03));
        assert_eq!(by_id("R99"), None);
    }
}
