//! The report for a terminal.

use std::fmt::Write;

use crate::sheet::Finding;

use super::style::plain;
use super::{Report, RuleReport, Status, View};

/// Findings of a rule that the short form shows.
const SHOWN: usize = 3;

pub(super) fn render(report: &Report, view: &View) -> String {
    let mut out = String::new();
    head(&mut out, report, view);
    if view.verbose {
        runs(&mut out, report, view);
        every_rule(&mut out, report, view);
    } else {
        groups(&mut out, report, view);
    }
    for status in [Status::Failed, Status::Warned, Status::Noted] {
        let is_shown = status != Status::Noted || view.verbose;
        for rule in report.rules.iter().filter(|rule| rule.status == status && is_shown) {
            violation(&mut out, rule, view);
        }
    }
    let paragraphs = [switched_off(report, view), skipped(report, view), notes(report, view)];
    for paragraph in paragraphs.iter().filter(|paragraph| !paragraph.is_empty()) {
        line(&mut out, "");
        line(&mut out, paragraph.trim_end());
    }
    line(&mut out, "");
    line(&mut out, &verdict(report, view));
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn head(out: &mut String, report: &Report, view: &View) {
    let version = report.version.as_deref().map(|version| format!(" {version}"));
    let name = format!("{}{}", report.connector, version.unwrap_or_default());
    line(out, &view.bold(&view.cut(0, &name)));
    let seed = report.seed.map(|seed| format!(" · seed {seed}")).unwrap_or_default();
    let strict = if report.strict { " · strict" } else { "" };
    let about = format!("{} in {:.1} s{seed}{strict}", report.processes(), report.seconds);
    line(out, &view.dim(&about));
    line(out, "");
}

/// `3 failed · 9 passed`, coloured. Rules that nothing in this run has to do with do not count.
fn counts(rules: &[&RuleReport], view: &View) -> String {
    let count = |status: Status| {
        let is_counted = |rule: &&&RuleReport| {
            rule.status == status && (status != Status::Skipped || !rule.skipped.is_empty())
        };
        let count = rules.iter().filter(is_counted).count();
        (count > 0).then(|| view.of_status(status, &format!("{count} {}", status.name())))
    };
    let all: Vec<String> = Status::ALL.into_iter().filter_map(count).collect();
    match all.is_empty() {
        true => view.dim("not part of this run"),
        false => all.join(" · "),
    }
}

fn groups(out: &mut String, report: &Report, view: &View) {
    let longest = report.groups().map(|(_, title, _)| title.len()).max().unwrap_or(0);
    for (letter, title, rules) in report.groups() {
        let counts = counts(&rules, view);
        match view.width >= 70 {
            true => line(out, &format!("{letter}  {title:longest$}  {counts}")),
            false => line(out, &format!("{letter}  {title}\n   {counts}")),
        }
    }
}

fn runs(out: &mut String, report: &Report, view: &View) {
    for run in &report.runs {
        let figures = format!(
            "{:>7.2} s  {:>9}  {:>8} lines  {:>8} records  {:9}  ",
            run.seconds,
            run.memory(),
            run.lines,
            run.records,
            plain(&run.exit)
        );
        match view.width >= 90 {
            true => {
                let title = view.cut(figures.len(), &run.title);
                line(out, &format!("{}{title}", view.dim(&figures)));
            }
            false => line(out, &format!("{}\n{}", view.cut(0, &run.title), view.dim(&figures))),
        }
    }
    line(out, "");
}

fn every_rule(out: &mut String, report: &Report, view: &View) {
    for (letter, title, rules) in report.groups() {
        line(out, &view.bold(&format!("{letter}  {title}")));
        for rule in rules {
            let status = view.of_status(rule.status, &format!("{:7}", rule.status.name()));
            let first = format!("  {status}  {}  ", rule.rule.id);
            let checks = match rule.checks {
                0 => String::new(),
                1 => " (looked at once)".to_owned(),
                n => format!(" (looked at {n} times)"),
            };
            line(out, &view.wrap(&first, &format!("{}{checks}", rule.rule.title)));
            for reason in &rule.skipped {
                line(out, &view.wrap(&format!("{:16}not looked at: ", ""), reason));
            }
        }
    }
}

fn violation(out: &mut String, rule: &RuleReport, view: &View) {
    line(out, "");
    let status = view.of_status(rule.status, rule.status.name());
    line(out, &view.wrap(&format!("{status}  {}  ", rule.rule.id), rule.rule.title));
    let shown = if view.verbose { usize::MAX } else { SHOWN };
    for one in rule.findings.iter().take(shown) {
        finding(out, one, view);
    }
    let hidden = rule.findings.len().saturating_sub(shown) + rule.more;
    if hidden > 0 {
        let rest =
            if rule.findings.len() > shown { " (--verbose and --json show more)" } else { "" };
        line(out, &view.dim(&format!("  … and {hidden} more{rest}")));
    }
    line(out, &view.wrap("  Why: ", rule.rule.why));
    line(out, &view.wrap("  Fix: ", rule.rule.fix));
}

fn finding(out: &mut String, finding: &Finding, view: &View) {
    line(out, &view.wrap("  - ", &message(finding)));
    let place = place(finding);
    if !place.is_empty() {
        line(out, &view.dim(&view.wrap("    at ", &place)));
    }
    if let Some(excerpt) = &finding.excerpt {
        line(out, &format!("    {}", view.dim(&format!("> {}", view.cut(6, excerpt)))));
    }
    if let Some(hint) = &finding.hint {
        line(out, &view.wrap("    ", hint));
    }
}

/// The message, with its stream unless it names it itself.
fn message(finding: &Finding) -> String {
    match &finding.stream {
        Some(stream) if !finding.message.contains(stream.as_str()) => {
            format!("{stream}: {}", finding.message)
        }
        _ => finding.message.clone(),
    }
}

/// The run and the line.
pub(super) fn place(finding: &Finding) -> String {
    let number = finding.line.map(|number| format!("line {number}"));
    let parts = [finding.run.clone(), number];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn switched_off(report: &Report, view: &View) -> String {
    let mut out = String::new();
    for rule in &report.rules {
        for off in &rule.off {
            let hides = match off.findings {
                0 => "hides nothing now".to_owned(),
                1 => "hides 1 finding".to_owned(),
                n => format!("hides {n} findings"),
            };
            let streams = match off.streams.as_slice() {
                [] => String::new(),
                streams => format!(" for {}", streams.join(", ")),
            };
            let text = format!("switched off{streams} ({hides}): {}", off.reason);
            line(&mut out, &view.wrap(&format!("{}  ", rule.rule.id), &text));
        }
    }
    out
}

fn skipped(report: &Report, view: &View) -> String {
    let mut out = String::new();
    for (reason, rules) in report.skips() {
        let text = format!("{}: {reason}", rules.join(" "));
        line(&mut out, &view.dim(&view.wrap("skipped  ", &text)));
    }
    out
}

fn notes(report: &Report, view: &View) -> String {
    let mut out = String::new();
    for note in &report.notes {
        let first = format!("{}  ", note.kind.name());
        line(&mut out, &view.wrap(&first, &format!("{}: {}", note.path, note.text)));
    }
    out
}

fn verdict(report: &Report, view: &View) -> String {
    let rules: Vec<&RuleReport> = report.rules.iter().collect();
    let (status, word) =
        if report.passed { (Status::Passed, "passed") } else { (Status::Failed, "failed") };
    let mut verdict = format!("{}: {}", view.of_status(status, word), counts(&rules, view));
    if let Some(rule) = report.rules.iter().find(|rule| report.fails(rule.status)) {
        let _ = write!(
            verdict,
            "\n{}",
            view.dim(&format!("`acceptance rules {}` says more of a rule", rule.rule.id))
        );
    }
    verdict
}
