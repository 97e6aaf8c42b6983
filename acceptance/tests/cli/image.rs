//! Images: an engine that carries `run --rm … IMAGE ARGUMENTS` out on this machine.

use std::os::unix::fs::PermissionsExt;

use crate::bench::{Bench, PROGRAM};

/// Notes how it was called, and runs the stub where the files of `/data` really lie.
fn engine(bench: &Bench) {
    let log = bench.path("calls");
    let script = format!(
        r#"#!/bin/sh
echo "$@" >> {log}
case "$1" in
run) ;;
image)
  version="{{\"io.airbyte.version\": \"${{3#*:}}\"}}"
  echo '[{{"Config": {{"Env": ["AIRBYTE_ENTRYPOINT=/stub"], "Entrypoint": ["/stub"], "Labels": '"$version"'}}}}]'
  exit ;;
*) exit ;;
esac
while [ "${{1#a/source:}}" = "$1" ]; do
  case "$1" in --volume) folder="${{2%%:/data}}" ;; esac
  shift
done
shift
for word; do
  shift
  case "$word" in /data/*) word="$folder/${{word#/data/}}" ;; esac
  set -- "$@" "$word"
done
exec {PROGRAM} stub-source "$@"
"#,
        log = log.display()
    );
    bench.write("engine", &script);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bench.path("engine"), mode).unwrap();
}

#[test]
fn an_image_is_run_by_its_engine() {
    let bench = Bench::new();
    engine(&bench);
    let outcome = bench.call(&[
        "run",
        "--image",
        "a/source:1",
        "--engine",
        "./engine",
        "--config",
        "config.json",
        "--rules",
        "S01,D01,R03,A05,I04,F01",
        "--base-url-key",
        "api_url",
    ]);
    outcome.says(0, &["a/source:1", "passed:"]);
    let calls = bench.read("calls");
    let reads: Vec<&str> = calls.lines().filter(|line| line.contains("a/source:1 read")).collect();
    let read = reads.iter().find(|line| line.contains("--state")).unwrap();
    assert!(read.starts_with("run --rm --interactive --network host --name acceptance-"), "{read}");
    let end = "a/source:1 read --config /data/config.json --catalog /data/catalog.json \
               --state /data/state.json";
    assert!(read.ends_with(end), "{read}");
    assert!(calls.lines().any(|line| line == "image inspect a/source:1"), "{calls}");
    // Behind the proxy there are its certificates.
    let through = reads.iter().find(|line| line.contains("--env SSL_CERT_FILE")).unwrap();
    let mounted = through.split(' ').find(|word| word.ends_with(":ro")).unwrap();
    let (outside, inside) = mounted.trim_end_matches(":ro").split_once(':').unwrap();
    assert_eq!(outside, inside);
    // Each container has a name of its own.
    let names: std::collections::BTreeSet<&str> =
        reads.iter().filter_map(|line| line.split(' ').nth(6)).collect();
    assert_eq!(names.len(), reads.len());
}

#[test]
fn an_older_image_is_compared_unless_its_version_is_excepted() {
    for (excepted, is_compared) in [("1.4.0", true), ("1.3.0", false)] {
        let bench = Bench::new();
        engine(&bench);
        let file = format!(
            "connector_image: a/source:1\nacceptance_tests:\n  spec:\n    tests:\n    \
             - config_path: config.json\n      deployment_mode: cloud\n      \
             backward_compatibility_tests_config: {{previous_connector_version: '1.3.0', \
             disable_for_version: '{excepted}'}}\n"
        );
        bench.write("acceptance.yml", &file);
        let given =
            ["--engine", "./engine", "--config", "config.json", "--rules", "S01,D01,U01,U02"];
        let outcome = bench.call(&[&["run"], &given[..]].concat());
        outcome.says(0, &["a/source:1", "passed:"]);
        let calls = bench.read("calls");
        assert!(calls.lines().any(|line| line == "image inspect a/source:1.3.0"), "{calls}");
        let is_spec = |line: &&str| line.ends_with("a/source:1.3.0 spec");
        assert_eq!(calls.lines().any(|line| is_spec(&line)), is_compared, "{calls}");
        let spec = calls.lines().find(|line| line.ends_with("a/source:1 spec")).unwrap();
        assert!(spec.contains("DEPLOYMENT_MODE"), "{spec}");
    }
}
