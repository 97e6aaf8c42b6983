//! What runs no connector: `lint`, `diff`, `rules`, `schema`.

use serde_json::{Value, json};

use crate::bench::Bench;

const READ: [&str; 5] = ["read", "--config", "config.json", "--catalog", "catalog.json"];

/// A bench with the catalog of the stub, configured and discovered.
fn with_catalog() -> Bench {
    let bench = Bench::new();
    bench.record("discovered.jsonl", None, &["discover", "--config", "config.json"]);
    let message: Value = serde_json::from_str(&bench.read("discovered.jsonl")).unwrap();
    let streams = message["catalog"]["streams"].as_array().unwrap();
    let configured = streams.iter().map(|stream| {
        json!({"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "append"})
    });
    let configured = json!({"streams": configured.collect::<Vec<_>>()});
    bench.write("catalog.json", &configured.to_string());
    bench
}

#[test]
fn a_recorded_read_is_linted_by_its_catalog() {
    let bench = with_catalog();
    bench.record("good.jsonl", None, &READ);
    bench.record("bad.jsonl", Some("score-as-string"), &READ);
    bench.call(&["lint", "good.jsonl", "--catalog", "catalog.json"]).says(0, &["passed:"]);
    // What is known decides what can be seen.
    bench.call(&["lint", "bad.jsonl"]).says(0, &["passed:"]);
    for catalog in ["catalog.json", "discovered.jsonl"] {
        bench
            .call(&["lint", "bad.jsonl", "--catalog", catalog])
            .says(1, &["failed R03", "at bad.jsonl, line ", "users: /score: it is not of types"]);
    }
}

#[test]
fn a_recorded_read_is_linted_for_secrets() {
    let bench = with_catalog();
    bench.record("bad.jsonl", Some("secret-in-log"), &READ);
    bench.record("spec.jsonl", None, &["spec"]);
    bench.call(&["lint", "bad.jsonl"]).says(0, &["passed:"]);
    let token = acceptance::stub::API_TOKEN;
    for more in [&[][..], &["--spec", "spec.jsonl"]] {
        let mut arguments = vec!["lint", "bad.jsonl", "--config", "config.json"];
        arguments.extend(more);
        let outcome = bench.call(&arguments);
        outcome.says(1, &["failed O05"]);
        assert!(!outcome.stdout.contains(token));
    }
}

#[test]
fn any_output_is_linted_also_from_a_pipe() {
    let bench = with_catalog();
    bench.record("spec.jsonl", Some("secret-not-marked"), &["spec"]);
    bench.call(&["lint", "spec.jsonl"]).says(1, &["failed S04"]);
    bench.record("catalog.jsonl", Some("stream-closed"), &["discover", "--config", "config.json"]);
    bench.call(&["lint", "catalog.jsonl", "--strict"]).says(1, &["D07"]);
    let report = bench.call(&["lint", "spec.jsonl", "--json"]).json();
    assert_eq!((&report["passed"], &report["connector"]), (&json!(false), &json!("spec.jsonl")));

    use std::io::Write;
    let mut child = std::process::Command::new(crate::bench::PROGRAM)
        .args(["lint", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"Traceback\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("failed  O01") && text.contains("> Traceback"), "{text}");
}

#[test]
fn versions_are_compared_with_a_verdict() {
    let bench = with_catalog();
    let catalog: Value = serde_json::from_str(&bench.read("discovered.jsonl")).unwrap();
    let mut more = catalog.clone();
    let streams = more["catalog"]["streams"].as_array_mut().unwrap();
    let mut stream = streams[0].clone();
    stream["name"] = "another".into();
    streams.push(stream);
    bench.write("more.json", &more["catalog"].to_string());
    let compare = |a: &str, b: &str, more: &[&str]| {
        let mut arguments = vec!["diff", a, b];
        arguments.extend(more);
        bench.call(&arguments)
    };
    let same = compare("discovered.jsonl", "discovered.jsonl", &[]);
    same.says(0, &["no difference between the two catalogs"]);
    compare("discovered.jsonl", "more.json", &[]).says(0, &["minor", "another"]);
    compare("discovered.jsonl", "more.json", &["--fail-on", "minor"]).says(1, &["minor"]);
    let major = compare("more.json", "discovered.jsonl", &["--json"]);
    assert_eq!(major.code, 1);
    assert_eq!(major.json()["verdict"], "major");

    bench.record("spec.jsonl", None, &["spec"]);
    let spec = bench.read("spec.jsonl").replace("\"title\":\"Stub\"", "\"title\":\"Stump\"");
    bench.write("renamed.jsonl", &spec);
    let patch = compare("spec.jsonl", "renamed.jsonl", &["--fail-on", "patch"]);
    patch.says(1, &["1 difference between the two specs: patch"]);
    compare("spec.jsonl", "more.json", &[]).refuses(&["give two of a kind"]);
}

#[test]
fn rules_are_listed_and_explained() {
    let bench = Bench::new();
    let all: Vec<&str> = acceptance::rules::all().map(|rule| rule.id).collect();
    let text = bench.call(&["rules"]);
    text.says(0, &all);
    let listed = bench.call(&["rules", "--json"]).json();
    let listed: Vec<&str> =
        listed.as_array().unwrap().iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(listed, all);
    bench.call(&["rules", "--markdown"]).says(0, &all);
    let rule = acceptance::rules::by_id("I05").unwrap();
    bench.call(&["rules", "i05"]).says(0, &["I05", rule.title, rule.why, rule.fix, "--off I05="]);
}

#[test]
fn the_schema_of_the_file_is_printed() {
    let schema = Bench::new().call(&["schema"]).json();
    assert!(jsonschema::draft7::new(&schema).is_ok());
    assert!(schema["properties"]["executable"]["description"].is_string());
}
