//! The report as one page of HTML. It loads nothing, works without JavaScript (which only filters),
//! and whatever a connector printed is text on it, never markup.

use std::fmt::Write;

use crate::sheet::Finding;

use super::style::plain;
use super::terminal::place;
use super::{Report, RuleReport, RunSummary, Status};

const CSS: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let title = escape(&report.connector);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{title}: acceptance</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n"
    );
    head(&mut out, report);
    filters(&mut out, report);
    for (letter, title, rules) in report.groups() {
        let _ = writeln!(out, "<section>\n<h2>{letter} · {}</h2>", escape(title));
        for rule in rules {
            card(&mut out, rule);
        }
        out.push_str("</section>\n");
    }
    notes(&mut out, report);
    runs(&mut out, &report.runs);
    let _ = write!(out, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, report: &Report) {
    let (class, word) = if report.passed { ("passed", "passed") } else { ("failed", "failed") };
    let version = report.version.as_deref().map(|version| format!(" {}", escape(version)));
    let seed = report.seed.map(|seed| format!(" · seed {seed}")).unwrap_or_default();
    let strict = if report.strict { " · strict" } else { "" };
    let _ = writeln!(
        out,
        "<header>\n<h1><span class=\"badge {class}\">{word}</span> <code>{}</code>{}</h1>\n\
         <p class=\"dim\">{} · {} in {:.1} s{seed}{strict}</p>\n</header>",
        escape(&report.connector),
        version.unwrap_or_default(),
        report.started_at.format("%Y-%m-%d %H:%M:%S UTC"),
        report.processes(),
        report.seconds
    );
}

fn filters(out: &mut String, report: &Report) {
    out.push_str("<nav aria-label=\"Filter by status\">\n");
    for status in Status::ALL {
        let count = report.counts[&status];
        // What is fine is out of sight until it is asked for.
        let pressed = status <= Status::Noted;
        let _ = writeln!(
            out,
            "<button type=\"button\" class=\"{0}\" data-status=\"{0}\" \
             aria-pressed=\"{pressed}\">{count} {0}</button>",
            status.name()
        );
    }
    out.push_str("</nav>\n");
}

fn card(out: &mut String, rule: &RuleReport) {
    let status = rule.status.name();
    let open = if rule.status == Status::Failed { " open" } else { "" };
    let _ = write!(
        out,
        "<details class=\"rule\" data-status=\"{status}\" id=\"{0}\"{open}>\n\
         <summary><span class=\"badge {status}\">{status}</span> <b>{0}</b> <span>{1}</span></summary>\n",
        rule.rule.id,
        escape(rule.rule.title)
    );
    if !rule.findings.is_empty() {
        out.push_str("<ul class=\"findings\">\n");
        rule.findings.iter().for_each(|one| finding(out, one));
        if rule.more > 0 {
            let _ = writeln!(out, "<li class=\"dim\">… and {} more</li>", rule.more);
        }
        out.push_str("</ul>\n");
    }
    for off in &rule.off {
        let streams = match off.streams.as_slice() {
            [] => String::new(),
            streams => format!(" for {}", escape(&streams.join(", "))),
        };
        let reason = escape(&off.reason);
        let _ = writeln!(
            out,
            "<p>Switched off{streams}: {reason} (hides {} findings)</p>",
            off.findings
        );
    }
    for reason in &rule.skipped {
        let _ = writeln!(out, "<p class=\"dim\">Not looked at: {}</p>", escape(reason));
    }
    if rule.checks > 0 {
        let _ = writeln!(
            out,
            "<p class=\"dim\">Looked at {} ×, level {}</p>",
            rule.checks,
            rule.rule.level.name()
        );
    }
    let (why, fix) = (escape(rule.rule.why), escape(rule.rule.fix));
    let _ =
        writeln!(out, "<dl><dt>Why</dt><dd>{why}</dd><dt>Fix</dt><dd>{fix}</dd></dl>\n</details>");
}

fn finding(out: &mut String, finding: &Finding) {
    let stream = finding.stream.as_deref();
    let stream =
        stream.map(|stream| format!("<code>{}</code> ", escape(stream))).unwrap_or_default();
    let level = finding.level.name();
    let _ = write!(out, "<li class=\"{level}\">{stream}{}", escape(&finding.message));
    let place = place(finding);
    if !place.is_empty() {
        let _ = write!(out, " <span class=\"dim\">{}</span>", escape(&place));
    }
    if let Some(hint) = &finding.hint {
        let _ = write!(out, "<p>{}</p>", escape(hint));
    }
    if let Some(excerpt) = &finding.excerpt {
        let _ = write!(out, "<pre>{}</pre>", escape(excerpt));
    }
    out.push_str("</li>\n");
}

fn notes(out: &mut String, report: &Report) {
    if report.notes.is_empty() {
        return;
    }
    out.push_str("<section>\n<h2>Notes</h2>\n<ul class=\"findings\">\n");
    for note in &report.notes {
        let kind = note.kind.name();
        let (path, text) = (escape(&note.path), escape(&note.text));
        let _ = writeln!(out, "<li><b>{kind}</b> <code>{path}</code> {text}</li>");
    }
    out.push_str("</ul>\n</section>\n");
}

fn runs(out: &mut String, runs: &[RunSummary]) {
    if runs.is_empty() {
        return;
    }
    out.push_str(
        "<section>\n<h2>Runs</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>run</th><th>end</th>\
         <th class=\"n\">seconds</th><th class=\"n\">memory</th><th class=\"n\">lines</th>\
         <th class=\"n\">records</th><th>command</th></tr></thead>\n<tbody>\n",
    );
    for run in runs {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{:.2}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td><td class=\"n\">{}</td><td><code>{}</code></td></tr>",
            escape(&run.title),
            escape(&run.exit),
            run.seconds,
            run.memory(),
            run.lines,
            run.records,
            escape(&run.command)
        );
    }
    out.push_str("</tbody></table></div>\n</section>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}
