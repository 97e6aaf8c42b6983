use chrono::TimeZone;
use console::measure_text_width;
use serde_json::Value;

use super::*;
use crate::config::NoteKind;

const WIDE: View = View { width: 100, colour: false, verbose: false };
const HOSTILE: &str = "<script>alert('\"&')</script>\u{1b}[31m\u{0}\u{202e}";

fn sheet() -> Sheet {
    let mut sheet = Sheet::new();
    for rule in [&rules::O01, &rules::O02, &rules::S01, &rules::R01] {
        sheet.check(rule);
    }
    for user in 1..=5 {
        let line =
            format!("{{\"type\":\"RECORD\",\"record\":{{\"id\":{user},\"note\":\"{HOSTILE}\"}}}}");
        sheet.find(
            Finding::new(&rules::R03, format!("/id of {user} is no string"))
                .stream("users")
                .in_run("read (full refresh)")
                .at(user, &line),
        );
    }
    sheet.find(Finding::new(&rules::O10, "3 lines on stderr").hint("They come from the logger."));
    sheet.find(Finding::new(&rules::R12, "plan never occurs").stream("users"));
    sheet.skip(&rules::F01, "no API address is known");
    sheet.skip(&rules::F02, "no API address is known");
    sheet.find(Finding::new(&rules::D08, "the order of streams differs").hint("Sort them."));
    sheet
}

fn about() -> About {
    About {
        connector: "./source-x --loud".to_owned(),
        version: Some("1.2.0".to_owned()),
        started_at: Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap(),
        seconds: 12.5,
        seed: Some(42),
        runs: vec![RunSummary {
            title: "read (full refresh)".to_owned(),
            command: "./source-x read --config c.json".to_owned(),
            exit: "exit 0".to_owned(),
            seconds: 1.25,
            peak_rss: Some(9 << 20),
            lines: 100,
            records: 90,
        }],
        notes: vec![Note {
            kind: NoteKind::Bypass,
            path: "acceptance_tests.spec".to_owned(),
            text: "not now".to_owned(),
        }],
        ..About::default()
    }
}

fn off(rule: &Rule, streams: &[&str]) -> OffRule {
    let streams = streams.iter().map(|&stream| stream.to_owned()).collect();
    OffRule { rule: rule.id.to_owned(), reason: "it is known".to_owned(), streams }
}

fn status(report: &Report, rule: &Rule) -> Status {
    report.rules.iter().find(|one| one.rule == rule).unwrap().status
}

#[test]
fn statuses_follow_from_the_sheet() {
    let report = Report::new(&sheet(), about());
    let expected = [
        (&rules::R03, Status::Failed),
        (&rules::O10, Status::Warned),
        (&rules::R12, Status::Noted),
        (&rules::F01, Status::Skipped),
        (&rules::W01, Status::Skipped),
        (&rules::O01, Status::Passed),
        (&rules::D08, Status::Failed),
    ];
    for (rule, expected) in expected {
        assert_eq!(status(&report, rule), expected, "{}", rule.id);
    }
    assert_eq!(report.rules.len(), rules::all().count());
    assert_eq!(report.counts.values().sum::<usize>(), report.rules.len());
    assert_eq!((report.counts[&Status::Failed], report.counts[&Status::Passed]), (2, 4));
    assert_eq!(report.exit_code(), 1);
}

#[test]
fn warnings_fail_under_strict_only() {
    let mut sheet = Sheet::new();
    sheet.find(Finding::new(&rules::O10, "text"));
    assert_eq!(Report::new(&sheet, about()).exit_code(), 0);
    let strict = About { strict: true, ..about() };
    assert_eq!(Report::new(&sheet, strict).exit_code(), 1);
    let mut sheet = Sheet::new();
    sheet.find(Finding::new(&rules::R12, "text"));
    assert_eq!(Report::new(&sheet, About { strict: true, ..about() }).exit_code(), 0);
}

#[test]
fn rules_are_switched_off_wholly_or_for_streams() {
    let off_all = About { off: vec![off(&rules::R03, &[]), off(&rules::D08, &[])], ..about() };
    let report = Report::new(&sheet(), off_all);
    assert_eq!(status(&report, &rules::R03), Status::Off);
    assert_eq!((report.exit_code(), report.counts[&Status::Off]), (0, 2));
    let text = report.terminal(&WIDE);
    assert!(text.contains("R03  switched off (hides 5 findings): it is known"), "{text}");
    assert!(!text.contains("is no string"), "{text}");

    let one = Report::new(&sheet(), About { off: vec![off(&rules::R03, &["users"])], ..about() });
    assert_eq!(status(&one, &rules::R03), Status::Passed);
    assert!(one.terminal(&WIDE).contains("switched off for users (hides 5 findings)"));
    let other = Report::new(&sheet(), About { off: vec![off(&rules::R03, &["plans"])], ..about() });
    assert_eq!(status(&other, &rules::R03), Status::Failed);
    assert!(other.terminal(&WIDE).contains("(hides nothing now)"));
}

#[test]
fn what_was_only_counted_is_not_hidden_with_a_stream() {
    let mut sheet = Sheet::new();
    for at in 0..30 {
        sheet.find(Finding::new(&rules::R03, format!("wrong {at}")).stream("users"));
    }
    let report = Report::new(&sheet, About { off: vec![off(&rules::R03, &["users"])], ..about() });
    assert_eq!(status(&report, &rules::R03), Status::Failed);
    assert!(report.terminal(&WIDE).contains("10 further findings were only counted"));
}

#[test]
fn a_terminal_gets_the_short_form() {
    let text = Report::new(&sheet(), about()).terminal(&WIDE);
    let expected = [
        "./source-x --loud 1.2.0\n1 run in 12.5 s · seed 42\n",
        "O  output of every run             1 warned · 2 passed\n",
        "W  destinations                    not part of this run\n",
        "failed  R03  records are valid against the schema of their stream\n",
        "  - users: /id of 1 is no string\n    at read (full refresh), line 1\n    > {\"type\"",
        "  … and 2 more (--verbose and --json show more)\n",
        "  Fix: ",
        "warned  O10  stderr stays empty\n  - 3 lines on stderr\n    They come from the logger.\n",
        "skipped  F01 F02: no API address is known\n",
        "left out  acceptance_tests.spec: not now\n",
        "failed: 2 failed · 1 warned · 1 noted · 2 skipped · 4 passed\n",
        "`acceptance rules D08`",
    ];
    for expected in expected {
        assert!(text.contains(expected), "{expected}\nnot in\n{text}");
    }
    // Notes and what passed are for --verbose; nothing is coloured, nothing obeyed.
    assert!(!text.contains("plan never occurs") && !text.contains("of 4 is no"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{0}', '\u{202e}']), "{text}");
}

#[test]
fn verbose_lists_every_rule_and_run() {
    let view = View { verbose: true, ..WIDE };
    let text = Report::new(&sheet(), about()).terminal(&view);
    for rule in rules::all() {
        assert!(text.contains(rule.id), "{}", rule.id);
    }
    for expected in
        ["plan never occurs", "of 5 is no string", "9 MiB", "not looked at: no API address"]
    {
        assert!(text.contains(expected), "{expected}\nnot in\n{text}");
    }
}

#[test]
fn lines_keep_to_the_width() {
    for verbose in [false, true] {
        for width in [40, 80, 120] {
            let view = View { width, colour: true, verbose };
            let text = Report::new(&sheet(), about()).terminal(&view);
            // The figures of runs and the counts of a group are never broken.
            let is_free = |line: &&str| line.contains(" · ") || line.contains("records");
            for line in text.lines().filter(|line| !is_free(line)) {
                let found = measure_text_width(line);
                assert!(found <= width + 8, "{found} > {width}: {line}");
            }
            assert!(text.contains("\u{1b}[31m"), "red where it failed");
        }
    }
}

#[test]
fn json_has_the_documented_members() {
    let report: Value = serde_json::from_str(&Report::new(&sheet(), about()).json()).unwrap();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        members(&report),
        [
            "format",
            "passed",
            "connector",
            "version",
            "started_at",
            "seconds",
            "seed",
            "strict",
            "counts",
            "rules",
            "runs",
            "notes"
        ]
    );
    assert_eq!(report["started_at"], "2026-01-02T03:04:05Z");
    assert_eq!(
        members(&report["counts"]),
        ["failed", "warned", "noted", "skipped", "off", "passed"]
    );
    let rules = report["rules"].as_array().unwrap();
    let rule = rules.iter().find(|rule| rule["id"] == "R03").unwrap();
    assert_eq!(
        members(rule),
        ["id", "title", "level", "status", "checks", "findings", "more", "skipped", "off"]
    );
    let finding = &rule["findings"][0];
    assert_eq!(members(finding), ["rule", "level", "message", "run", "line", "stream", "excerpt"]);
    assert_eq!((finding["rule"].as_str(), finding["line"].as_u64()), (Some("R03"), Some(1)));
    assert_eq!(
        members(&report["runs"][0]),
        ["title", "command", "exit", "seconds", "peak_rss", "lines", "records"]
    );
    assert_eq!(report["notes"][0]["kind"], "bypass");
}

#[test]
fn junit_is_xml_with_a_case_a_rule() {
    let mut sheet = sheet();
    sheet.find(Finding::new(&rules::R05, format!("key {HOSTILE}")).hint("a\tb\nc"));
    let about = About { off: vec![off(&rules::O10, &[])], ..about() };
    let text = Report::new(&sheet, about).junit();
    let document = roxmltree::Document::parse(&text).unwrap();
    let root = document.root_element();
    assert_eq!(
        (root.tag_name().name(), root.attribute("name")),
        ("testsuites", Some("./source-x --loud"))
    );
    assert_eq!(root.attribute("tests"), Some(rules::all().count().to_string().as_str()));
    assert_eq!(root.attribute("failures"), Some("3"));
    let cases: Vec<_> = root.descendants().filter(|node| node.has_tag_name("testcase")).collect();
    assert_eq!(cases.len(), rules::all().count());
    let case = |id: &str| {
        let case = cases.iter().find(|case| case.attribute("name").unwrap().starts_with(id));
        case.unwrap().first_element_child()
    };
    let failure = case("R03").unwrap();
    assert_eq!(failure.tag_name().name(), "failure");
    let body = failure.text().unwrap();
    assert!(body.contains("[users] /id of 5") && body.contains("Fix: "), "{body}");
    let hostile = case("R05").unwrap();
    let message = hostile.attribute("message").unwrap();
    assert_eq!(message, "key <script>alert('\"&')</script>[31m\u{202e}");
    assert!(hostile.text().unwrap().contains("a\tb\nc"));
    assert_eq!(case("O10").unwrap().attribute("message"), Some("switched off: it is known"));
    assert_eq!(case("F01").unwrap().attribute("message"), Some("no API address is known"));
    assert_eq!(case("W01").unwrap().attribute("message"), Some("not part of this run"));
    assert_eq!(case("R12").unwrap().tag_name().name(), "system-out");
    assert!(case("O01").is_none());
    let suites = root.children().filter(|node| node.is_element());
    let sum: usize =
        suites.map(|s| s.attribute("failures").unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(sum, 3);
}

#[test]
fn html_shows_hostile_text_as_text() {
    let mut about = about();
    about.connector = HOSTILE.to_owned();
    about.runs[0].command = HOSTILE.to_owned();
    about.notes[0].text = HOSTILE.to_owned();
    about.off = vec![OffRule { reason: HOSTILE.to_owned(), ..off(&rules::O09, &[HOSTILE]) }];
    let mut sheet = sheet();
    sheet.skip(&rules::F03, HOSTILE);
    sheet.find(Finding::new(&rules::R05, HOSTILE).stream(HOSTILE).in_run(HOSTILE).hint(HOSTILE));
    let page = Report::new(&sheet, about).html();
    assert_eq!(page.matches("<script>").count(), 1, "the page's own script alone");
    assert!(page.contains("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;\\u{1b}[31m"));
    assert!(!page.contains(['\u{1b}', '\u{0}', '\u{202e}']));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn html_has_rules_findings_and_runs() {
    let page = Report::new(&sheet(), about()).html();
    for expected in [
        "<span class=\"badge failed\">failed</span> <code>./source-x --loud</code> 1.2.0",
        "data-status=\"failed\" id=\"R03\" open>",
        "<li class=\"error\"><code>users</code> /id of 1 is no string <span class=\"dim\">read (full refresh), line 1</span><pre>{&quot;type&quot;",
        "data-status=\"warned\" aria-pressed=\"true\">1 warned</button>",
        "data-status=\"passed\" aria-pressed=\"false\">4 passed</button>",
        "<td class=\"n\">9 MiB</td>",
        "<p class=\"dim\">Not looked at: no API address is known</p>",
        "name=\"viewport\"",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    assert_eq!(page.matches("<details").count(), rules::all().count());
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    // To look at it: REPORT_HTML=/tmp/report.html cargo test html_has
    if let Some(path) = std::env::var_os("REPORT_HTML") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn rules_are_listed_in_every_form() {
    let text = rules_text(&WIDE);
    let verbose = rules_text(&View { verbose: true, ..WIDE });
    let markdown = rules_markdown();
    let json: Value = serde_json::from_str(&rules_json()).unwrap();
    for (at, rule) in rules::all().enumerate() {
        assert!(text.contains(&format!("  {}  {:7}  ", rule.id, rule.level.name())), "{}", rule.id);
        assert!(
            markdown.contains(&format!("| {} | {} | ", rule.id, rule.level.name())),
            "{}",
            rule.id
        );
        assert_eq!(json[at]["id"], rule.id);
        assert_eq!(json[at]["why"], rule.why);
    }
    assert!(!text.contains("Fix: ") && verbose.contains("Fix: "));
    assert_eq!(json[0]["group"], "output of every run");
    // Cells of a table: as many bars in each row.
    let rows = markdown.lines().filter(|line| line.starts_with('|'));
    for row in rows {
        assert_eq!(row.replace("\\|", "").matches('|').count(), 6, "{row}");
    }
}

#[test]
fn a_rule_is_explained() {
    let text = explain(&rules::O10, &WIDE);
    for expected in [
        "O10  stderr stays empty",
        "fails the run only under --strict",
        "Why  ",
        "Fix  ",
        "--off O10=REASON",
    ] {
        assert!(text.contains(expected), "{expected}\nnot in\n{text}");
    }
}
