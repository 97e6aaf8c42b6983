//! The rules themselves: what `acceptance rules` prints.

use std::fmt::Write;

use serde_json::{Value, json};

use super::View;
use crate::rules::{self, Level, Rule};

/// All rules as a table, by group.
pub fn rules_text(view: &View) -> String {
    let mut out = String::new();
    for (at, (letter, title, rules)) in rules::groups().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        let _ = writeln!(out, "{gap}{}", view.bold(&format!("{letter}  {title}")));
        for rule in rules {
            let first = format!("  {}  {}  ", rule.id, level(rule.level, 7, view));
            let _ = writeln!(out, "{}", view.wrap(&first, rule.title));
            if view.verbose {
                let _ = writeln!(out, "{}", view.wrap("                Why: ", rule.why));
                let _ = writeln!(out, "{}", view.wrap("                Fix: ", rule.fix));
            }
        }
    }
    let count = rules::all().count();
    let _ = writeln!(out, "\n{count} rules; `acceptance rules RULE` explains one");
    out
}

/// One rule: what has to be so, why, how to mend it, how to switch it off.
pub fn explain(rule: &Rule, view: &View) -> String {
    let mut out = String::new();
    let group = rules::groups().find(|(letter, _, _)| *letter == rule.group());
    let group = group.map(|(_, title, _)| title).unwrap_or_default();
    let _ = writeln!(out, "{}", view.wrap(&format!("{}  ", view.bold(rule.id)), rule.title));
    let weight = match rule.level {
        Level::Error => "fails the run",
        Level::Warning => "fails the run only under --strict",
        Level::Note => "never fails the run",
    };
    let _ =
        writeln!(out, "{}", view.dim(&format!("     {group}; {}, {weight}", rule.level.name())));
    let _ = writeln!(out, "\n{}", view.wrap("Why  ", rule.why));
    let _ = writeln!(out, "{}", view.wrap("Fix  ", rule.fix));
    let off = format!(
        "rules: {{off: [{{rule: {}, reason: …}}]}} in acceptance.yml, or --off {}=REASON",
        rule.id, rule.id
    );
    let _ = writeln!(out, "{}", view.dim(&view.wrap("Off  ", &off)));
    out
}

/// All rules as JSON: a list of `{group, id, title, level, why, fix}`.
pub fn rules_json() -> String {
    let rules = rules::groups().flat_map(|(_, group, rules)| {
        rules.iter().map(move |rule| {
            json!({
                "group": group, "id": rule.id, "title": rule.title,
                "level": rule.level.name(), "why": rule.why, "fix": rule.fix,
            })
        })
    });
    let rules = Value::Array(rules.collect());
    serde_json::to_string_pretty(&rules).unwrap_or_default()
}

/// All rules as Markdown: a heading and a table a group.
pub fn rules_markdown() -> String {
    let mut out = String::new();
    for (at, (letter, title, rules)) in rules::groups().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        let _ = writeln!(out, "{gap}## {letter}: {title}\n");
        out.push_str("| rule | level | what has to be so | why | how to mend it |\n");
        out.push_str("| --- | --- | --- | --- | --- |\n");
        for rule in rules {
            let cells = [rule.title, rule.why, rule.fix].map(cell).join(" | ");
            let _ = writeln!(out, "| {} | {} | {cells} |", rule.id, rule.level.name());
        }
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*")
}

fn level(level: Level, width: usize, view: &View) -> String {
    let style = match level {
        Level::Error => console::Style::new().red(),
        Level::Warning => console::Style::new().yellow(),
        Level::Note => console::Style::new().cyan(),
    };
    view.paint(style, &format!("{:width$}", level.name()))
}
