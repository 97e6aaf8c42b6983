//! What cannot be run ends with exit code 2 and a sentence that says what to do.

use crate::bench::Bench;

#[test]
fn wrong_flags_are_refused() {
    let bench = Bench::new();
    bench.call(&["run", "--executible", "x"]).refuses(&["--executible", "--executable"]);
    bench.call(&["rum"]).refuses(&["rum", "Usage"]);
    bench.run(None, &["--off", "R03"]).refuses(&["a reason is needed"]);
    bench.run(None, &["--off", "R99=why"]).refuses(&["there is no rule R99"]);
    bench.run(None, &["--rules", "R99"]).refuses(&["no rule or group `R99`", "acceptance rules"]);
    bench.run(None, &["--checkpoints", "some"]).refuses(&["a number or `all`"]);
    bench.run(None, &["--image", "x"]).refuses(&["--executable", "cannot be used with"]);
    bench.run(None, &["--record", "a", "--replay", "b"]).refuses(&["cannot be used with"]);
    bench.call(&["rules", "R99"]).refuses(&["there is no rule R99"]);
    bench.call(&["self-test", "no-such"]).refuses(&["there is no mutant `no-such`"]);
    bench.call(&["diff", "a", "b", "--fail-on", "big"]).refuses(&["patch, minor, major"]);
}

#[test]
fn a_connector_has_to_be_named_and_there() {
    let bench = Bench::new();
    bench.call(&["run"]).refuses(&["no connector is named; give --executable"]);
    let named =
        |command: &str| bench.call(&["run", "--executable", command, "--config", "config.json"]);
    named("./no-such-source").refuses(&["no-such-source` does not exist: give the path"]);
    named("config.json x").refuses(&["config.json` does not exist: give the path"]);
    named("./config.json").refuses(&["is not executable: `chmod +x` it"]);
    named("'open").refuses(&["a quote is not closed in `'open`; close it"]);
    bench
        .call(&["run", "--image", "x", "--engine", "./no-docker", "--config", "config.json"])
        .refuses(&["no-docker` does not exist"]);
}

#[test]
fn files_have_to_be_readable() {
    let bench = Bench::new();
    let stub = Bench::stub(None);
    let run = |flag: &str, file: &str| {
        let mut arguments = vec!["run", "--executable", &stub, flag, file];
        if flag != "--config" {
            arguments.extend(["--config", "config.json"]);
        }
        bench.call(&arguments)
    };
    run("--config", "none.json").refuses(&["none.json", "--config FILE or `config_path:`"]);
    bench.write("broken.json", "{\"api_token\": \"s3cret\",");
    let outcome = run("--config", "broken.json");
    outcome.refuses(&["broken.json: no valid JSON (line 1, column"]);
    assert!(!outcome.stderr.contains("s3cret"));
    bench.write("list.json", "[]");
    run("--config", "list.json").refuses(&["has to be a JSON object"]);
    run("--config-file", "none.yml").refuses(&["none.yml"]);
    run("--config-file", "/").refuses(&["/ holds none of acceptance.yml"]);
    bench.write("wrong.yml", "limits: {read_seconds: soon}\nparallel: many\n");
    run("--config-file", "wrong.yml")
        .refuses(&["wrong.yml: limits.read_seconds: a number is needed", "parallel: "]);
    bench.write("faults.yml", "proxy: {faults: [too_many, flood]}");
    run("--config-file", "faults.yml").refuses(&["no fault `flood`; there are too_many, "]);
    run("--configured-catalog", "none.json").refuses(&["none.json"]);
    run("--replay", "none").refuses(&["none", "record first, with --record"]);

    bench.call(&["lint", "none.jsonl"]).refuses(&["none.jsonl"]);
    bench.write("output.jsonl", "{}");
    for flag in ["--catalog", "--config", "--spec"] {
        bench.call(&["lint", "output.jsonl", flag, "none.json"]).refuses(&["none.json"]);
        bench.call(&["lint", "output.jsonl", flag, "broken.json"]).refuses(&["broken.json"]);
    }
    bench.call(&["diff", "none.json", "config.json"]).refuses(&["none.json cannot be read"]);
    bench.call(&["diff", "list.json", "list.json"]).refuses(&["is neither a spec, nor a catalog"]);
}

#[test]
fn reports_have_to_be_writable() {
    let bench = Bench::new();
    bench.write("output.jsonl", "");
    bench.call(&["lint", "output.jsonl", "--html", "no/such/folder"]).refuses(&["no/such/folder"]);
}
