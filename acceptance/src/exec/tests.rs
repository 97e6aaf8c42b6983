//! Shell scripts as connectors: how they are started, stopped and left.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::json;

use super::*;
use crate::transcript::Exit;

/// The time of runs that have to end by themselves.
const ENOUGH: Duration = Duration::from_secs(20);
/// The time of runs that have to be ended.
const SHORT: Duration = Duration::from_millis(300);

/// A connector that is this script; the command is `$1`.
fn script(text: &str) -> Connector {
    Connector::executable(["sh", "-c", text, "connector"].map(str::to_owned).into())
}

fn call(command: &str) -> Call {
    Call::new(command, command).timeout(ENOUGH)
}

fn run(text: &str, call: &Call) -> Transcript {
    script(text).run(call).unwrap()
}

fn texts(run: &Transcript) -> Vec<String> {
    run.lines.iter().map(|line| line.text().into_owned()).collect()
}

#[test]
fn a_run_tells_lines_stderr_exit_and_usage() {
    let text = r#"echo '{"type":"LOG"}'; echo no >&2; printf '{"type":"RECORD"}'; exit 3"#;
    let run = run(text, &call("read"));
    assert_eq!(texts(&run), [r#"{"type":"LOG"}"#, r#"{"type":"RECORD"}"#]);
    assert!(!run.is_terminated && !run.was_interrupted() && !run.left_behind);
    assert_eq!((run.stderr.as_str(), run.exit), ("no\n", Exit::Code(3)));
    let usage = run.usage;
    assert!(usage.first_line.unwrap() <= usage.first_record.unwrap());
    assert!(usage.first_record.unwrap() <= usage.wall && usage.wall < ENOUGH);
    assert!(run.started_at > 1_700_000_000_000);
}

#[test]
fn memory_and_cpu_time_are_those_of_the_whole_family() {
    // `$(…)` makes a child of the shell hold the text: twenty MiB of it.
    let text = "x=$(head -c 20971520 /dev/zero | tr '\\0' x); echo ${#x}; sleep 0.1";
    let run = run(text, &call("read"));
    assert_eq!(texts(&run), ["20971520"]);
    assert!(run.usage.peak_rss > 20 << 20, "{}", run.usage.peak_rss);
    assert!(run.usage.cpu > Duration::ZERO);
}

#[test]
fn memory_that_a_fork_shares_with_its_parent_counts_once() {
    // The subshell holds the text too, and does nothing with it.
    let text = "x=$(head -c 41943040 /dev/zero | tr '\\0' x); (sleep 0.3; echo held); true";
    let run = run(text, &call("read"));
    assert_eq!(texts(&run), ["held"]);
    // A shell needs the text twice while it makes it.
    let peak = run.usage.peak_rss >> 20;
    assert!((40..110).contains(&peak), "{peak} MiB");
}

#[test]
fn files_and_arguments_stand_on_the_command_line() {
    let text = r#"for word; do printf '%s\n' "$word"; done; cat "$3"; test -e "$5" || echo none"#;
    let call = call("read").config(&json!({"a": 1})).file("catalog", Content::Missing);
    let call = call.argument("--flag").argument("two words");
    let run = run(text, &call);
    let lines = texts(&run);
    assert_eq!((lines[0].as_str(), lines[1].as_str()), ("read", "--config"));
    assert!(lines[2].ends_with("/config.json") && lines[4].ends_with("/catalog.json"));
    assert_eq!(lines[5..], ["--flag", "two words", r#"{"a":1}none"#]);
}

#[test]
fn a_signal_comes_at_its_line() {
    let text = "trap 'exit 7' TERM; echo one; while :; do echo more; done";
    let stopped = run(text, &call("read").stop(Stop::SignalAt(3, Signal::TERM)));
    assert_eq!(stopped.exit, Exit::Code(7));
    assert!(stopped.was_interrupted());
    // The pipe is short, so it cannot have run far ahead.
    assert!((3..20_000).contains(&stopped.lines.len()), "{}", stopped.lines.len());
    let killed = run(text, &call("read").stop(Stop::SignalAt(1, Signal::KILL)));
    assert_eq!((killed.exit, killed.lines[0].raw.as_slice()), (Exit::Signal(9), &b"one"[..]));
}

#[test]
fn stdout_is_closed_at_its_line() {
    let text = "trap '' PIPE; echo one; while echo more 2>/dev/null; do :; done; exit 5";
    let run = run(text, &call("read").stop(Stop::CloseAt(1)));
    assert_eq!((run.exit, texts(&run)), (Exit::Code(5), vec!["one".to_owned()]));
}

#[test]
fn stdout_is_closed_while_the_connector_is_silent() {
    let text = "trap '' PIPE; echo one; read word; echo two 2>/dev/null && exit 0; exit 5";
    let mut running = script(text).start(&call("read").with_input()).unwrap();
    assert_eq!(running.line().unwrap().text(), "one");
    assert!(running.line_within(Duration::from_millis(1)).is_err());
    running.close_output();
    assert!(running.write(b"go\n"));
    assert_eq!(running.finish().exit, Exit::Code(5));
}

#[test]
fn stdin_is_written_to_or_empty() {
    let text = "while read word; do echo \"got $word\"; done; echo end";
    assert_eq!(texts(&run(text, &call("write"))), ["end"]);
    let mut running = script(text).start(&call("write").with_input()).unwrap();
    assert!(running.write(b"a\n"));
    assert_eq!(running.line().unwrap().text(), "got a");
    running.close_input();
    assert!(!running.write(b"b\n"));
    assert_eq!(texts(&running.finish()), ["got a", "end"]);
}

#[test]
fn a_run_that_does_not_end_is_killed_with_all_that_it_started() {
    let text = "(sleep 60; echo late) & echo $!; wait";
    let run = run(text, &call("read").timeout(SHORT));
    assert_eq!((run.exit, run.lines.len()), (Exit::TimedOut, 1));
    assert!(run.usage.wall < ENOUGH && !run.left_behind);
}

#[test]
fn a_process_that_stays_behind_is_noticed() {
    let text = "sleep 60 >/dev/null 2>&1 & echo one";
    let run = run(text, &call("read"));
    assert_eq!(run.exit, Exit::Code(0));
    assert!(run.left_behind);
}

#[test]
fn a_run_that_is_dropped_ends() {
    let mut running = script("echo $$; exec sleep 60").start(&call("read")).unwrap();
    let pid = running.line().unwrap().text().parse().ok().and_then(Pid::from_raw).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_ok());
    drop(running);
    assert!(rustix::process::test_kill_process(pid).is_err());
}

#[test]
fn the_platform_wraps_a_shell_around_the_entrypoint() {
    let text = r#"printf '%s\n' "$@" $DEPLOYMENT_MODE $WORKER_JOB_ID; echo "it's" >&2; exit 4"#;
    let call = call("check").mode(Mode::Platform).config(&json!({}));
    let run = run(text, &call.argument(r#"a 'quoted' "word" $HOME"#));
    let lines = texts(&run);
    assert_eq!(lines[..2], ["check", "--config"]);
    assert!(lines[2].ends_with("/connectorConfig.json"));
    assert_eq!(lines[3..], [r#"a 'quoted' "word" $HOME"#, "OSS", "1"]);
    assert_eq!((run.stderr.as_str(), run.exit), ("it's\n", Exit::Code(4)));
}

#[test]
fn the_platform_cancels() {
    let text = "while :; do echo more; done";
    let stop = Stop::CancelAt(2);
    let run = run(text, &call("read").mode(Mode::Platform).stop(stop));
    assert_eq!(run.lines.len(), 2);
    assert!(matches!(run.exit, Exit::Code(code) if code != 0), "{}", run.exit);
    assert!(run.was_interrupted() && !run.left_behind);
}

#[test]
fn pyairbyte_names_files_its_own_way_and_ends_at_the_answer() {
    let text = r#"echo "$5"; stat -c %a "$5"; echo '{"type":"CATALOG"}'; exec sleep 60"#;
    let call = call("read").mode(Mode::PyAirbyte).config(&json!({})).catalog(&json!({}));
    let run = run(text, &call.stop(Stop::AtAnswer("CATALOG")));
    let lines = texts(&run);
    assert!(lines[0].ends_with("/tmpcatalog.txt"));
    assert_eq!(lines[1..], ["444", r#"{"type":"CATALOG"}"#]);
    assert_eq!(run.exit, Exit::Signal(15));
}

#[test]
fn meltano_does_not_drain_stderr() {
    let text = "head -c 200000 /dev/zero >&2; echo done";
    let drained = run(text, &call("read"));
    assert_eq!((drained.lines.len(), drained.stderr.len()), (1, 200_000));
    let stuck = run(text, &call("read").mode(Mode::Meltano).timeout(SHORT));
    assert_eq!((stuck.exit, stuck.lines.len()), (Exit::TimedOut, 0));
    let quiet = run("echo little >&2; echo done", &call("read").mode(Mode::Meltano));
    assert_eq!((quiet.stderr.as_str(), quiet.lines.len()), ("little\n", 1));
}

#[test]
fn serverless_reads_stderr_with_stdout() {
    let run = run("echo one; echo two >&2", &call("read").mode(Mode::Serverless));
    assert_eq!((texts(&run), run.stderr.as_str()), (vec!["one".into(), "two".into()], ""));
}

#[test]
fn a_confined_run_has_no_home_and_cannot_write() {
    let text = r#"echo "${HOME-none} $TZ"; touch here 2>/dev/null || echo refused; id -u"#;
    let run = run(text, &call("read").confined());
    let lines = texts(&run);
    assert_eq!(lines[..2], ["none Pacific/Chatham", "refused"]);
    assert_ne!(lines[2], "0");
}

#[test]
fn variables_are_set_and_taken_away() {
    let mut connector = script(r#"echo "$OWN $OF_CALL ${HOME-none} ${LOG_LEVEL-none}""#);
    connector.environment.insert("OWN".into(), "a".into());
    let mut call = call("spec").variable("OF_CALL", "b");
    call.without = vec!["HOME".into()];
    assert_eq!(texts(&connector.run(&call).unwrap()), ["a b none none"]);
}

#[test]
fn a_connector_that_cannot_be_started_is_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    let trouble = |path: &std::path::Path| {
        let words = vec![path.to_string_lossy().into_owned()];
        Connector::executable(words).run(&call("spec")).unwrap_err().0
    };
    assert!(trouble(&path).contains("does not exist: give the path"));
    std::fs::write(&path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(trouble(&path).contains("`chmod +x` it"));
}

#[test]
fn a_container_that_does_not_end_is_killed_by_its_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, log) = (folder.path().join("engine"), folder.path().join("log"));
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {}\ntest \"$1\" = kill || exec sleep 60\n",
        log.display()
    );
    std::fs::write(&engine, text).unwrap();
    std::fs::set_permissions(&engine, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut connector = Connector::image("a/source:1", &engine.to_string_lossy());
    connector.environment.insert("TOKEN".into(), "not on the command line".into());
    let call = call("check").config(&json!({})).timeout(SHORT);
    assert_eq!(connector.run(&call).unwrap().exit, Exit::TimedOut);
    // Whoever watches may still be at it.
    let started = std::time::Instant::now();
    let log = loop {
        let text = std::fs::read_to_string(&log).unwrap();
        if text.lines().count() >= 2 || started.elapsed() > ENOUGH {
            break text;
        }
        std::thread::yield_now();
    };
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("run --rm --interactive --network host --name acceptance-"));
    assert!(lines[0].ends_with("--env TOKEN a/source:1 check --config /data/config.json"));
    let name = lines[0].split(' ').nth(6).unwrap();
    assert_eq!(lines[1], format!("kill {name}"));
}
