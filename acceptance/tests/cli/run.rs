//! `acceptance run`: verdicts, reports, configuration files.

use serde_json::{Value, json};

use crate::bench::Bench;

/// Rules that one run of each command is enough for.
const FEW: &str = "S01,D01,R01,R03,R05,R07,R08,R10";

fn status<'a>(report: &'a Value, id: &str) -> &'a Value {
    let rules = report["rules"].as_array().unwrap();
    &rules.iter().find(|rule| rule["id"] == id).unwrap()["status"]
}

fn skipped(report: &Value, id: &str) -> Value {
    let rules = report["rules"].as_array().unwrap();
    rules.iter().find(|rule| rule["id"] == id).unwrap()["skipped"].clone()
}

#[test]
fn a_correct_connector_passes() {
    let bench = Bench::new();
    // One of its streams has no rows, which has to be said.
    let file = "acceptance_tests: {basic_read: {tests: [{empty_streams: [{name: empty}]}]}}";
    bench.write("acceptance.yml", file);
    let outcome = bench.run(None, &["--config-file", ".", "--rules", FEW]);
    outcome.says(0, &["stub-source", "R read", "passed:"]);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_violation_fails_and_shows_its_line() {
    let bench = Bench::new();
    let outcome = bench.run(Some("score-as-string"), &["--rules", "R03"]);
    outcome.says(
        1,
        &[
            "failed R03 records are valid against the schema of their stream",
            "at read (full refresh), line ",
            "users: /score: it is not of types",
            "> \"0.0\"",
            "Why: Destinations null",
            "Fix: Correct the schema",
            "`acceptance rules R03` says more of a rule",
        ],
    );
}

#[test]
fn reports_go_where_they_are_asked_for() {
    let bench = Bench::new();
    let outcome = bench.run(
        Some("score-as-string"),
        &["--rules", "R03", "--json", "--junit", "report.xml", "--html", "report.html"],
    );
    assert_eq!(outcome.code, 1);
    let report = outcome.json();
    assert_eq!((&report["format"], &report["passed"]), (&json!(1), &json!(false)));
    assert_eq!(status(&report, "R03"), "failed");
    let findings = report["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == "R03");
    let finding = &findings.unwrap()["findings"][0];
    assert_eq!(
        (&finding["stream"], &finding["run"]),
        (&json!("users"), &json!("read (full refresh)"))
    );
    assert!(finding["line"].as_u64().is_some());

    let xml = bench.read("report.xml");
    let document = roxmltree::Document::parse(&xml).unwrap();
    let failed = document.descendants().filter(|node| node.has_tag_name("failure"));
    let cases: Vec<&str> = failed.filter_map(|node| node.parent()?.attribute("name")).collect();
    assert!(cases.iter().any(|name| name.starts_with("R03 ")), "{cases:?}");

    let html = bench.read("report.html");
    assert!(html.starts_with("<!doctype html>") && html.contains("R03"));
    // Self-contained: nothing is fetched.
    assert!(!html.contains("src=\"http") && !html.contains("<link"));
    let token = acceptance::stub::API_TOKEN;
    assert!(![&outcome.stdout, &xml, &html].iter().any(|text| text.contains(token)));
}

#[test]
fn a_rule_is_switched_off_with_a_reason() {
    let bench = Bench::new();
    let off = "R03=numbers as text are wanted here";
    let outcome = bench.run(Some("score-as-string"), &["--rules", "R03", "--off", off]);
    outcome.says(0, &["R03 switched off (hides", "numbers as text are wanted here", "passed:"]);
    let streams = "R03:orders=only there";
    let outcome = bench.run(Some("score-as-string"), &["--rules", "R03", "--off", streams]);
    outcome.says(1, &["R03 switched off for orders (hides nothing now): only there", "failed R03"]);
}

#[test]
fn warnings_fail_only_when_that_is_asked_for() {
    let bench = Bench::new();
    bench.run(Some("chatter-on-stderr"), &["--rules", "O10"]).says(0, &["warned O10"]);
    bench.run(Some("chatter-on-stderr"), &["--rules", "O10", "--strict"]).says(1, &["warned O10"]);
}

#[test]
fn only_what_is_asked_for_is_run() {
    let bench = Bench::new();
    let titles = |outcome: crate::bench::Outcome| -> Vec<String> {
        let runs = outcome.json()["runs"].as_array().unwrap().clone();
        runs.iter().map(|run| run["title"].as_str().unwrap().to_owned()).collect()
    };
    let few = titles(bench.run(None, &["--rules", "S10", "--json"]));
    assert_eq!(few, ["spec", "check", "spec, a second time", "discover"]);
    let group = titles(bench.run(None, &["--rules", "d", "--json"]));
    assert!(group.iter().any(|title| title == "discover, a second time"), "{group:?}");
    assert!(!group.iter().any(|title| title.starts_with("read")), "{group:?}");
}

#[test]
fn a_connector_that_is_no_connector_fails_whatever_is_asked_for() {
    let bench = Bench::new();
    let run = |command: &str| {
        let config = ["--config", "config.json", "--rules", "R03"];
        bench.call(&[&["run", "--executable", command][..], &config].concat())
    };
    run("echo hello").says(1, &["failed O01", "> hello", "failed S01", "0 SPEC messages"]);
    run("false").says(1, &["failed S01"]);
}

#[test]
fn a_file_of_airbytes_form_drives_a_run() {
    let bench = Bench::new();
    let config = bench.read("config.json");
    bench.write("secrets/config.json", &config);
    let wrong = config.replace(acceptance::stub::API_TOKEN, "sk_stub_0000000000000000");
    bench.write("integration_tests/invalid.json", &wrong);
    bench.write(
        "acceptance-test-config.yml",
        r#"
connector_image: airbyte/source-stub:dev
test_strictness_level: low
acceptance_tests:
  spec:
    tests: [{spec_path: spec.yaml}]
  connection:
    tests:
      - {config_path: secrets/config.json, status: succeed}
      - {config_path: integration_tests/invalid.json, status: failed}
  discovery:
    tests: [{config_path: secrets/config.json}]
  basic_read:
    tests:
      - config_path: secrets/config.json
        empty_streams: [{name: empty, bypass_reason: there is nothing}]
        fail_on_extra_column: true
  full_refresh:
    bypass_reason: reads are long
  incremental:
    tests: [{config_path: secrets/config.json}]
"#,
    );
    let stub = Bench::stub(None);
    let rules = ["--rules", "C05,R01,R03,R11", "--executable", &stub];
    let run = |file: &str, more: &str| {
        let mut arguments = vec!["run", "--config-file", file];
        arguments.extend(rules);
        arguments.push(more);
        bench.call(&arguments)
    };
    let outcome = run(".", "-v");
    outcome.says(
        0,
        &[
            "left out acceptance_tests.full_refresh: reads are long",
            "acceptance_tests.basic_read.tests[0].empty_streams[0] (empty): there is nothing",
            "unknown key acceptance_tests.basic_read.tests[0].fail_on_extra_column",
            "passed:",
        ],
    );
    let report = run("acceptance-test-config.yml", "--json").json();
    assert_eq!(status(&report, "C05"), "passed");
    assert_eq!(status(&report, "R01"), "passed");
    assert_eq!(skipped(&report, "R11"), json!(["bypassed: reads are long"]));
}

#[test]
fn a_file_of_the_suites_own_needs_no_flags() {
    let bench = Bench::new();
    let stub = Bench::stub(Some("score-as-string"));
    let config = bench.read("config.json");
    let token = acceptance::stub::API_TOKEN;
    let config = config.replace(&format!("\"{token}\""), "{env: TOKEN_FOR_THE_STUB}");
    let file = format!(
        "executable: {stub}\nconfig: {config}\nrules: {{off: [{{rule: R03, reason: known}}]}}\n"
    );
    bench.write("acceptance.yml", &file);
    bench
        .call(&["run", "--rules", "R03"])
        .refuses(&["the environment variable TOKEN_FOR_THE_STUB is not set"]);
    let file = file.replace("{env: TOKEN_FOR_THE_STUB}", &format!("{{command: echo {token}}}"));
    bench.write("acceptance.yml", &file);
    bench.call(&["run", "--rules", "R03"]).says(0, &["switched off", ": known", "passed:"]);
}
