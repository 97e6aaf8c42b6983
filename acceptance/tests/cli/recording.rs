//! `--record` and `--replay`: the same verdict after the API is gone, and no secret in any file.

use std::path::Path;

use acceptance::stub::{API_TOKEN, CLIENT_SECRET, REFRESH_TOKEN};
use serde_json::Value;

use crate::bench::Bench;

/// Reads, a broken one among them, and one from a state.
const RULES: &str = "C01,C03,D01,R01,R03,R11,I04";

fn statuses(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rules = report["rules"].as_array().unwrap().iter();
    rules.map(|rule| (text(&rule["id"]), text(&rule["status"]))).collect()
}

fn files(folder: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(std::fs::read(path).unwrap()) }
    }
}

fn recorded_and_replayed(more: &[&str]) {
    let bench = Bench::new();
    let run = |folder: [&str; 2]| {
        let mut arguments = vec!["--rules", RULES, "--json"];
        arguments.extend(folder);
        arguments.extend(more);
        let outcome = bench.run(Some("score-as-string"), &arguments);
        assert_eq!(outcome.code, 1, "{outcome:?}");
        outcome.json()
    };
    let recorded = run(["--record", "traffic"]);
    let asked = bench.api.requests().len();
    assert!(asked > 10, "{asked} requests");
    let mut found = Vec::new();
    files(&bench.path("traffic"), &mut found);
    assert!(found.len() > 5, "{} files", found.len());
    for secret in [API_TOKEN, CLIENT_SECRET, REFRESH_TOKEN] {
        let is_in = |bytes: &Vec<u8>| bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
        assert!(!found.iter().any(is_in), "{secret}");
    }
    let replayed = run(["--replay", "traffic"]);
    assert_eq!(bench.api.requests().len(), asked, "the API was asked again");
    assert_eq!(statuses(&replayed), statuses(&recorded));
}

#[test]
fn traffic_through_the_base_url_is_replayed() {
    recorded_and_replayed(&["--base-url-key", "api_url"]);
}

#[test]
fn traffic_through_the_proxy_variables_is_replayed() {
    recorded_and_replayed(&[]);
}
