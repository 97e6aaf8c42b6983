//! The report as JUnit's XML, as CI systems read it.

use std::fmt::Write;

use super::terminal::place;
use super::{Report, RuleReport, Status};

pub(super) fn render(report: &Report) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all: Vec<&RuleReport> = report.rules.iter().collect();
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" {} time=\"{:.3}\">",
        escape(&report.connector),
        totals(report, &all),
        report.seconds
    );
    for (letter, title, rules) in report.groups() {
        suite(&mut out, report, letter, title, &rules);
    }
    out.push_str("</testsuites>\n");
    out
}

fn totals(report: &Report, rules: &[&RuleReport]) -> String {
    let failures = rules.iter().filter(|rule| report.fails(rule.status)).count();
    let is_skipped = |rule: &&&RuleReport| matches!(rule.status, Status::Skipped | Status::Off);
    let skipped = rules.iter().filter(is_skipped).count();
    format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"", rules.len())
}

fn suite(out: &mut String, report: &Report, letter: char, title: &str, rules: &[&RuleReport]) {
    let _ = writeln!(
        out,
        "  <testsuite name=\"{letter} {}\" {} time=\"0\" timestamp=\"{}\">",
        escape(title),
        totals(report, rules),
        report.started_at.format("%Y-%m-%dT%H:%M:%S")
    );
    for rule in rules {
        case(out, report, letter, rule);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, report: &Report, letter: char, rule: &RuleReport) {
    let _ = write!(
        out,
        "    <testcase classname=\"acceptance.{letter}\" name=\"{} {}\" time=\"0\"",
        rule.rule.id,
        escape(rule.rule.title)
    );
    let Some(body) = body(report, rule) else {
        out.push_str("/>\n");
        return;
    };
    let _ = writeln!(out, ">\n      {body}\n    </testcase>");
}

fn body(report: &Report, rule: &RuleReport) -> Option<String> {
    match rule.status {
        Status::Passed => None,
        Status::Skipped | Status::Off => {
            let reasons = match rule.status {
                Status::Off => rule.off.iter().map(|off| off.reason.as_str()).collect(),
                _ => rule.skipped.iter().map(String::as_str).collect::<Vec<_>>(),
            };
            let reasons = match reasons.as_slice() {
                [] => "not part of this run".to_owned(),
                reasons => reasons.join("; "),
            };
            let off = if rule.status == Status::Off { "switched off: " } else { "" };
            Some(format!("<skipped message=\"{off}{}\"/>", escape(&reasons)))
        }
        status if report.fails(status) => {
            let first = rule.findings.first().map(|finding| finding.message.as_str());
            Some(format!(
                "<failure type=\"{}\" message=\"{}\">{}</failure>",
                rule.status.name(),
                escape(first.unwrap_or_default()),
                escape(&findings(rule))
            ))
        }
        status => {
            let text = format!("{}: {}", status.name(), findings(rule));
            Some(format!("<system-out>{}</system-out>", escape(&text)))
        }
    }
}

fn findings(rule: &RuleReport) -> String {
    let mut text = String::new();
    for finding in &rule.findings {
        let stream = finding.stream.as_deref().map(|stream| format!("[{stream}] "));
        let _ = writeln!(text, "{}{}", stream.unwrap_or_default(), finding.message);
        let place = place(finding);
        if !place.is_empty() {
            let _ = writeln!(text, "  at {place}");
        }
        for more in [&finding.excerpt, &finding.hint].into_iter().flatten() {
            let _ = writeln!(text, "  {more}");
        }
    }
    if rule.more > 0 {
        let _ = writeln!(text, "and {} more", rule.more);
    }
    let _ = write!(text, "Why: {}\nFix: {}", rule.rule.why, rule.rule.fix);
    text
}

/// Text for elements and attributes. XML 1.0 has no way to write most control characters, so they
/// are taken out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            character if character.is_control() => {}
            '\u{fffe}' | '\u{ffff}' => {}
            character => escaped.push(character),
        }
    }
    escaped
}
