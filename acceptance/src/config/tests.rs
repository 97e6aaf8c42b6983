use std::time::Duration;

use airbyte_protocol::StreamDescriptor;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::sheet::Sheet;

const FOLDER: &str = "/connector";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new(FOLDER))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

fn at(path: &str) -> PathBuf {
    Path::new(FOLDER).join(path)
}

/// A file as people have it, with high strictness.
const TYPICAL: &str = "
connector_image: example/source-thing:dev
test_strictness_level: high
custom_environment_variables: {REGION: eu}
acceptance_tests:
  spec: {tests: [{spec_path: spec.yaml, backward_compatibility_tests_config: {disable_for_version: 1.4.0}}]}
  connection:
    tests:
      - {config_path: secrets/config.json, status: succeed}
      - {config_path: tests/wrong.json, status: failed}
  discovery: {tests: [{config_path: secrets/config.json}]}
  basic_read:
    tests:
      - config_path: secrets/config.json
        empty_streams: [{name: refunds, bypass_reason: nothing to refund}]
        expect_records: {path: tests/expected.jsonl}
  full_refresh: {tests: [{config_path: secrets/config.json}]}
  incremental:
    tests:
      - config_path: secrets/config.json
        future_state:
          future_state_path: tests/abnormal_state.json
          missing_streams: [{name: plans, bypass_reason: full refresh only}]
";

/// Every key there is.
const FULL: &str = include_str!("full.yml");

#[test]
fn a_typical_file() {
    let config = parse(TYPICAL).unwrap();
    assert_eq!(config.target().unwrap(), Target::Image("example/source-thing:dev".to_owned()));
    let tests = &config.acceptance_tests;
    let spec = &tests.spec.as_ref().unwrap().tests[0];
    assert_eq!(spec.spec_path, Some(at("spec.yaml")));
    let compatibility = &spec.backward_compatibility_tests_config;
    assert_eq!(compatibility.disable_for_version.as_deref(), Some("1.4.0"));
    let connection = &tests.connection.as_ref().unwrap().tests;
    assert_eq!(connection[1].status, CheckStatus::Failed);
    let read = &tests.basic_read.as_ref().unwrap().tests[0];
    assert_eq!(read.expect_records.as_ref().unwrap().path, Some(at("tests/expected.jsonl")));
    assert!(read.validate_schema && read.validate_state_messages && !read.validate_data_points);
    assert_eq!(read.timeout(), Duration::from_secs(600));
    assert_eq!(config.main_config(), ConfigSource::File(at("secrets/config.json")));
    let environment = config.environment_of(&read.common).unwrap();
    assert_eq!(environment["REGION"], "eu");
    let notes: Vec<(&str, &str)> =
        config.notes.iter().map(|note| (note.path.as_str(), note.text.as_str())).collect();
    let expected = [
        ("acceptance_tests.basic_read.tests[0].empty_streams[0] (refunds)", "nothing to refund"),
        (
            "acceptance_tests.incremental.tests[0].future_state.missing_streams[0] (plans)",
            "full refresh only",
        ),
    ];
    assert_eq!(notes, expected);
}

#[test]
fn every_key_is_understood() {
    let config = parse(FULL).unwrap();
    let strange: Vec<_> = config.notes.iter().filter(|n| n.kind != NoteKind::Bypass).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let file: Value = serde_saphyr::from_str(FULL).unwrap();
    let (mut known, mut present) = (Vec::new(), Vec::new());
    collect_keys(schema(), &mut known);
    collect_members(&file, &mut present);
    known.retain(|key| !present.contains(key));
    // It excludes `record`, which is there.
    assert_eq!(known, ["replay"], "full.yml lacks keys");

    let tests = &config.acceptance_tests;
    let read = &tests.basic_read.as_ref().unwrap().tests[0];
    assert_eq!(read.fail_on_extra_columns, Some(false));
    assert_eq!(read.ignored_fields["users"][0].path(), ["address", "city"]);
    let expect = read.expect_records.as_ref().unwrap();
    assert!(expect.exact_order && !expect.extra_records && expect.extra_fields == Some(true));
    let incremental = &tests.incremental.as_ref().unwrap().tests[0];
    let path = [PathPart::Name("states".to_owned()), PathPart::Place(0)];
    assert_eq!(incremental.cursor_paths["users"], path);
    assert_eq!(incremental.threshold_days, Some(3));
    let format = incremental.future_state.as_ref().unwrap().cursor_format.as_ref().unwrap();
    assert_eq!((format.of("users"), format.of("plans")), (Some("^\\d+$"), Some("^.{10}$")));
    let container = incremental.client_container_config.as_ref().unwrap();
    assert_eq!(container.between_syncs_command, ["python", "seed.py", "--more"]);
    assert_eq!(config.final_teardown(), [["rm", "-r", "data"].as_slice(), &["true"]]);
    let program = at("target/source-x").to_string_lossy().into_owned();
    let target = Target::Executable(vec![program, "--name".to_owned(), "a b".to_owned()]);
    assert_eq!(config.target().unwrap(), target);
    assert_eq!(config.checkpoints, Some(Checkpoints::All(All::All)));
    assert_eq!(config.proxy.faults, Some(Faults::Off(Off::Off)));
    assert_eq!(config.rules.off[0].rule(), Some(&crate::rules::O10));
    assert_eq!(config.growth_config(), Some(ConfigSource::File(at("secrets/large.json"))));
    assert_eq!(config.limits.peak_rss_mib, 200.0);
    assert_eq!(config.limits.check_seconds, 20.5);
    assert_eq!(config.growth.as_ref().unwrap().config_path, Some(at("secrets/large.json")));
    assert!(config.live && config.strict);
}

fn collect_members(value: &Value, keys: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            keys.extend(members.keys().cloned());
            members.values().for_each(|member| collect_members(member, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_members(item, keys)),
        _ => {}
    }
}

#[test]
fn the_old_form_is_migrated() {
    let config = parse(
        "
connector_image: airbyte/source-old:dev
tests:
  spec: [{spec_path: source/spec.json}]
  connection: [{config_path: secrets/config.json, status: succeed}]
  basic_read:
    - config_path: secrets/config.json
      configured_catalog_path: catalog.json
      empty_streams: [refunds, 2020]
      expect_records: {path: expected.txt, extra_fields: no, exact_order: no, extra_records: yes}
  full_refresh: [{ignored_fields: {users: [seen_at]}}]
  incremental:
    - future_state_path: abnormal.json
      cursor_paths: {users: [updated]}
      threshold_days: 30
",
    )
    .unwrap();
    let tests = &config.acceptance_tests;
    let read = &tests.basic_read.as_ref().unwrap().tests[0];
    assert_eq!(read.empty_streams[0].name, "refunds");
    assert_eq!(read.expect_records.as_ref().unwrap().extra_fields, Some(false));
    assert_eq!(
        tests.full_refresh.as_ref().unwrap().tests[0].ignored_fields["users"][0].name,
        "seen_at"
    );
    let future = tests.incremental.as_ref().unwrap().tests[0].future_state.as_ref().unwrap();
    assert_eq!(future.future_state_path, Some(at("abnormal.json")));
    let legacy = config.notes.iter().filter(|note| note.kind == NoteKind::Legacy);
    assert_eq!(legacy.count(), 4);
}

#[test]
fn the_layouts_that_people_write_are_read() {
    // Lists at the indent of their key, folded texts, comments between entries.
    let config = parse(
        "
acceptance_tests:
  basic_read:
    tests:
    - config_path: secrets/config.json
      # fills up slowly
      empty_streams:
      - name: goals
        bypass_reason: >-
          The portal lacks a licence (requires one of [goals-read]) -
          covered by unit tests
  full_refresh:
    tests:
    - ignored_fields:
        deals:
        - name: properties/hs_time_*
          bypass_reason: it depends on the time

",
    )
    .unwrap();
    let texts: Vec<&str> = config.notes.iter().map(|note| note.text.as_str()).collect();
    let folded =
        "The portal lacks a licence (requires one of [goals-read]) - covered by unit tests";
    assert_eq!(texts, [folded, "it depends on the time"]);
}

#[test]
fn both_forms_at_once_are_refused() {
    let error = refused("tests: {spec: []}\nacceptance_tests: {spec: {tests: []}}");
    assert!(error.contains("move its sections"), "{error}");
}

#[test]
fn unknown_keys_are_named_with_what_was_meant() {
    let config = parse(
        "
executible: ./x
empty_streams: []
what_is_this: 1
acceptance_tests:
  basic_read: {tests: [{config_pth: a.json}]}
",
    )
    .unwrap();
    let note = |path: &str| {
        let note = config.notes.iter().find(|note| note.path == path).unwrap();
        assert_eq!(note.kind, NoteKind::UnknownKey);
        note.text.as_str()
    };
    assert!(note("executible").contains("`executable`"));
    assert!(note("empty_streams").contains("acceptance_tests.basic_read.tests[]"));
    assert!(note("what_is_this").contains("take it out"));
    assert!(note("acceptance_tests.basic_read.tests[0].config_pth").contains("`config_path`"));
}

#[test]
fn wrong_types_are_errors_with_their_places() {
    let error = refused(
        "
strict: maybe
seed: -1
parallel: two
test_strictness_level: hihg
executable: {a: b}
rules: {off: [{rule: O10}]}
proxy: {faults: none}
checkpoints: some
acceptance_tests:
  spec: [{spec_path: a}]
  connection: {tests: [{status: succeeds, timeout_seconds: 1.5}]}
  discovery: {tests: [{backward_compatibility_tests_config: {previous_connector_version: 1.10}}]}
  incremental: {tests: [{cursor_paths: {users: updated}}]}
",
    );
    for expected in [
        "strict: true or false is needed here, not the text `maybe`",
        "seed: -1 is too small",
        "parallel: a whole number is needed here, not the text `two`",
        "test_strictness_level: `hihg` is none of: low, high; did you mean high?",
        "executable: a text (in quotes if it looks like a number) or a list",
        "rules.off[0]: the key `reason` is missing",
        "proxy.faults: a list (each item after a `- `) or `off` is needed here",
        "checkpoints: a whole number or `all` is needed here",
        "acceptance_tests.spec: a map of keys is needed here, not a list",
        "acceptance_tests.connection.tests[0].status: `succeeds` is none of",
        "acceptance_tests.connection.tests[0].timeout_seconds: a whole number is needed",
        "previous_connector_version: a text (in quotes if it looks like a number) is needed",
        "acceptance_tests.incremental.tests[0].cursor_paths.users: a list",
    ] {
        assert!(error.contains(expected), "{expected}\nnot in\n{error}");
    }
    assert!(refused("- a\n- b").contains("a map of keys"));
    assert!(refused("a: [").contains("no valid YAML"));
}

#[test]
fn keys_that_exclude_each_other_are_refused() {
    for (file, expected) in [
        ("acceptance_tests: {spec: {bypass_reason: no, tests: [{}]}}", "cannot have `tests`"),
        ("acceptance_tests: {spec: {bypass_reason: ''}}", "it is empty"),
        (
            "acceptance_tests: {spec: {tests: [{auth_default_method: {oauth: false}}]}}",
            "needs a reason",
        ),
        ("acceptance_tests: {basic_read: {tests: [{expect_records: {}}]}}", "neither records"),
        (
            "acceptance_tests: {basic_read: {tests: [{expect_records: {path: a, bypass_reason: b}}]}}",
            "exclude each other",
        ),
        (
            "acceptance_tests: {basic_read: {tests: [{file_types: {unsupported_types: [{extension: avro}]}}]}}",
            "`.avro`",
        ),
        (
            "acceptance_tests: {basic_read: {tests: [{file_types: {bypass_reason: x}}]}}",
            "only for `skip_test: true`",
        ),
        ("acceptance_tests: {incremental: {tests: [{future_state: {}}]}}", "neither a state"),
        ("acceptance_tests: {spec: {tests: [{config: {a: 1}, config_path: a}]}}", "exclude"),
        ("rules: {off: [{rule: O99, reason: x}]}", "no rule `O99`"),
        ("rules: {off: [{rule: O10, reason: ' '}]}", "only switched off with a reason"),
        ("proxy: {record: a, replay: b}", "exclude"),
        ("environment: {A: {env: B, command: c}}", "either `env"),
        ("parallel: 0", "at least 1"),
        ("growth: {}", "configuration with more data"),
    ] {
        let error = refused(file);
        assert!(error.contains(expected), "{file}: {error}");
        assert_eq!(error.lines().count(), 1, "{file}: {error}");
    }
}

#[test]
fn high_strictness_demands_more() {
    assert_eq!(parse(TYPICAL).unwrap().strictness_problems(), []);
    for (from, to, expected) in [
        (
            "  discovery: {tests: [{config_path: secrets/config.json}]}\n",
            "",
            "discovery: high strictness",
        ),
        ("{tests: [{spec_path", "{tests: [], bypass: [{spec_path", "spec: high strictness"),
        (", bypass_reason: nothing to refund", "", "a reason for refunds"),
        (", bypass_reason: full refresh only", "", "a reason for plans"),
        ("        expect_records: {path: tests/expected.jsonl}\n", "", "demands `expect_records`"),
        (
            "expect_records:",
            "validate_schema: false\n        expect_records:",
            "schemas are validated",
        ),
        (
            "expect_records:",
            "configured_catalog_path: a.json\n        expect_records:",
            "all streams are read",
        ),
        (
            "full_refresh: {tests: [{",
            "full_refresh: {tests: [{ignored_fields: {users: [{name: at}]}, ",
            "a reason for at",
        ),
    ] {
        assert!(TYPICAL.contains(from), "{from}");
        let file = TYPICAL.replacen(from, to, 1);
        let problems = parse(&file).unwrap().strictness_problems();
        let [problem] = problems.as_slice() else { panic!("{expected}: {problems:?}") };
        let text = format!("{}: {}", problem.path, problem.text);
        assert!(text.contains(expected), "{expected}: {text}");
        let low = parse(&file.replace("high", "low")).unwrap();
        assert_eq!(low.strictness_problems(), []);
    }
    let start = TYPICAL.find("        future_state:").unwrap();
    let mut sheet = Sheet::new();
    parse(&TYPICAL[..start]).unwrap().check_strictness(&mut sheet);
    let finding = sheet.findings().next().unwrap();
    assert!(finding.rule == &crate::rules::A11 && finding.message.contains("future_state"));
    let bare = parse("test_strictness_level: high").unwrap();
    assert_eq!(bare.strictness_problems().len(), 6);
    let bypassed = ["spec", "connection", "discovery", "basic_read", "full_refresh", "incremental"]
        .map(|name| format!("{name}: {{bypass_reason: not now}}"))
        .join(", ");
    let file = format!("test_strictness_level: high\nacceptance_tests: {{{bypassed}}}");
    let config = parse(&file).unwrap();
    let plan = Section::plan(config.acceptance_tests.spec.as_ref());
    assert!(matches!(plan, Plan::Bypassed(reason) if reason == "not now"));
}

#[test]
fn names_of_fields_are_patterns() {
    for (pattern, name, fits) in [
        ("seen_at", "seen_at", true),
        ("seen_at", "seen_at_2", false),
        ("hs_time_*", "hs_time_in_lead", true),
        ("hs_time_*", "hs_time_", true),
        ("*_at", "created_at", true),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false),
        ("?", "ä", true),
        ("?", "", false),
        ("**", "", true),
        ("a.b", "a.b", true),
    ] {
        assert_eq!(name_matches(pattern, name), fits, "{pattern} {name}");
    }
}

#[test]
fn streams_without_expected_records_or_states_are_named() {
    let streams = ["users", "plans", "refunds"].map(StreamDescriptor::new);
    let config = parse(TYPICAL).unwrap();
    let tests = &config.acceptance_tests;
    let record = ExpectedRecord { line: 1, stream: streams[0].clone(), data: json!({}) };
    let read = &tests.basic_read.as_ref().unwrap().tests[0];
    assert_eq!(missing_expected_records(read, &streams, &[record]), [&streams[1]]);
    let future = tests.incremental.as_ref().unwrap().tests[0].future_state.as_ref().unwrap();
    let state = json!([{"type": "STREAM", "stream": {"stream_descriptor": {"name": "users"}}}]);
    assert_eq!(missing_future_states(future, &streams, &state), [&streams[2]]);
    let legacy = json!({"users": {}, "refunds": {}});
    assert!(missing_future_states(future, &streams, &legacy).is_empty());
}

#[test]
fn an_empty_file_is_a_run_with_defaults() {
    let config = parse("").unwrap();
    assert!(config.target().unwrap_err().to_string().contains("--executable"));
    assert_eq!(config.main_config(), ConfigSource::File(at("secrets/config.json")));
    let Plan::Tests(tests) = Section::plan(config.acceptance_tests.basic_read.as_ref()) else {
        panic!("nothing is bypassed")
    };
    assert_eq!(tests.len(), 1);
    assert_eq!(config.config_source(&tests[0].common), config.main_config());
    // An empty section, as people leave it when all in it is commented out.
    assert!(parse("acceptance_tests:\n  spec:\nlimits:\n").is_ok());
}

#[test]
fn base_path_moves_all_paths() {
    let config = parse("base_path: sub\nconfig_path: a.json\nproxy: {record: /tmp/r}").unwrap();
    assert_eq!(config.main_config(), ConfigSource::File(at("sub/a.json")));
    assert_eq!(config.proxy.record, Some(PathBuf::from("/tmp/r")));
    assert_eq!(config.folder, at("sub"));
}

#[test]
fn flags_count_before_the_file() {
    let overrides = Overrides {
        executable: Some("./source-x 'a b'".to_owned()),
        config: Some("/etc/config.json".into()),
        off: vec!["o10:users=noisy library".parse().unwrap()],
        replay: Some("/tmp/tape".into()),
        seed: Some(7),
        ..Overrides::default()
    };
    let config = parse(TYPICAL).unwrap().merge(&overrides).unwrap();
    let Target::Executable(words) = config.target().unwrap() else { panic!("an executable") };
    assert_eq!(words[1], "a b");
    assert!(words[0].ends_with("/source-x") && words[0].starts_with('/'));
    let connection = &config.acceptance_tests.connection.as_ref().unwrap().tests;
    let source = |at: usize| config.config_source(&connection[at].common);
    assert_eq!(source(0), ConfigSource::File("/etc/config.json".into()));
    assert_eq!(source(1), ConfigSource::File(at("tests/wrong.json")));
    assert_eq!(config.rules.off[0].streams, ["users"]);
    assert_eq!((config.seed, config.proxy.replay), (Some(7), Some("/tmp/tape".into())));

    let image = Overrides { image: Some("other:1".to_owned()), ..Overrides::default() };
    let config = parse("executable: x").unwrap().merge(&image).unwrap();
    assert_eq!(config.target().unwrap(), Target::Image("other:1".to_owned()));
    assert_eq!(Config::from_flags(&image).unwrap().target().unwrap().to_string(), "other:1");
    for wrong in ["O10", "O10=", "O99=why"] {
        assert!(wrong.parse::<OffRule>().is_err(), "{wrong}");
    }
}

#[test]
fn environments_add_up() {
    let file = "
custom_environment_variables: {A: $HOME, PORT: 8080}
environment: {TOKEN: $TOKEN, PORT: 9090}
acceptance_tests: {spec: {tests: [{deployment_mode: cloud}]}}
";
    let config = parse(file).unwrap();
    let entry = &config.acceptance_tests.spec.as_ref().unwrap().tests[0].common;
    let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
    let outer = Outer { variable: &variable, folder: Path::new("/") };
    let variables = config.environment_from(entry, &outer).unwrap();
    let expected =
        [("A", "$HOME"), ("DEPLOYMENT_MODE", "CLOUD"), ("PORT", "9090"), ("TOKEN", "s3cret")];
    let found: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, expected);
    let outer = Outer { variable: &|_| None, folder: Path::new("/") };
    let error = config.environment_from(entry, &outer).unwrap_err().to_string();
    assert!(
        error.contains("environment.TOKEN: the environment variable TOKEN is not set"),
        "{error}"
    );
    assert!(!format!("{config:?}").contains("9090"));
}

#[test]
fn files_are_found_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acceptance-test-config.yml");
    std::fs::write(&path, "config: {token: $$a}\nstrickt: true").unwrap();
    let config = Config::load(folder.path()).unwrap();
    let value = config.read_config(&config.main_config()).unwrap();
    assert_eq!(value, json!({"token": "$a"}));
    std::fs::write(&path, "strict: 5").unwrap();
    let error = Config::load(&path).unwrap_err().to_string();
    assert!(error.contains("acceptance-test-config.yml: strict: true or false"), "{error}");

    let secret = folder.path().join("config.json");
    std::fs::write(&secret, "{\"token\": \"hunter2\" oops}").unwrap();
    let error = config.read_config(&ConfigSource::File(secret)).unwrap_err().to_string();
    assert!(error.contains("no valid JSON (line 1") && !error.contains("hunter2"), "{error}");
    let missing = ConfigSource::File(folder.path().join("none.json"));
    assert!(config.read_config(&missing).unwrap_err().to_string().contains("--config"));
    assert!(Config::load(&folder.path().join("none.yml")).is_err());

    let expected = folder.path().join("expected.jsonl");
    let lines = "{\"stream\": \"users\", \"data\": {\"id\": 1}, \"emitted_at\": 1}\n\n\
                 {\"type\": \"RECORD\", \"record\": {\"stream\": \"a\", \"namespace\": \"n\", \"data\": {}}}\n";
    std::fs::write(&expected, lines).unwrap();
    let records = expected_records(&expected).unwrap();
    assert_eq!((records[0].line, records[0].data["id"].as_i64()), (1, Some(1)));
    assert_eq!((records[1].line, records[1].stream.to_string().as_str()), (3, "n.a"));
    std::fs::write(&expected, "[1]").unwrap();
    assert!(expected_records(&expected).unwrap_err().to_string().contains("line 1"));
}

/// Values whose keys are often those of the file.
fn any_value() -> impl Strategy<Value = Value> {
    let mut keys = Vec::new();
    collect_keys(schema(), &mut keys);
    let key = prop_oneof![9 => proptest::sample::select(keys), 1 => ".*".prop_map(String::from)];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z$.]{0,8}".prop_map(Value::from),
        proptest::sample::select(vec!["succeed", "high", "off", "all", "O10", "yes"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn collect_keys(schema: &Value, keys: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            keys.extend(
                schema["properties"].as_object().into_iter().flat_map(|p| p.keys().cloned()),
            );
            members.values().for_each(|member| collect_keys(member, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn any_value_is_taken_or_refused(value in any_value()) {
        if let Err(error) = Config::from_value(value, Path::new(FOLDER)) {
            prop_assert!(!error.problems.is_empty());
            // Serde has nothing left to refuse: every error has a place.
            prop_assert!(!error.to_string().contains("cannot be understood"), "{error}");
        }
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[-:{}\\[\\],&*!|>'\"%@`#a-z0-9 \n\t]{0,60}") {
        let _ = parse(&text);
    }
}
