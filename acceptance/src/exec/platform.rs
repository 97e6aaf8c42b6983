//! Airbyte's platform: a shell around the entrypoint, named pipes for stdout and stderr.
//!
//! On Kubernetes the platform replaces the command of the container by a shell script that runs
//! `eval "$AIRBYTE_ENTRYPOINT …"` in a subshell, with its output going to named pipes in the
//! working folder, and that looks for a file which says that the job was cancelled. The script
//! here does the same, more often than every ten seconds.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Trouble;

/// The named pipe of stdout, in the working folder.
pub(super) const STDOUT: &str = "stdout";
/// The named pipe of stderr.
pub(super) const STDERR: &str = "stderr";
const EXIT_CODE: &str = "exitCode.txt";
const CANCELLED: &str = "TERMINATED";

const SCRIPT: &str = r#"
( eval "$AIRBYTE_ENTRYPOINT $ACCEPTANCE_ARGUMENTS" > stdout 2> stderr; echo $? > exitCode.txt ) &
child=$!
while [ ! -f TERMINATED ] && [ ! -f exitCode.txt ]; do sleep 0.05; done
if [ ! -f exitCode.txt ]; then kill "$child"; exit 143; fi
wait "$child"
"#;

/// The wrapper around a command. `words` are the connector's command line.
pub(super) fn wrapper(words: &[String], work: &Path) -> Result<Command, Trouble> {
    for name in [STDOUT, STDERR] {
        let path = work.join(name);
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .map_err(|error| Trouble(format!("no named pipe {}: {error}", path.display())))?;
    }
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    let (entrypoint, arguments) =
        quoted.split_first().map_or((String::new(), &[][..]), |(f, r)| (f.clone(), r));
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT])
        .env("AIRBYTE_ENTRYPOINT", entrypoint)
        .env("ACCEPTANCE_ARGUMENTS", arguments.join(" "))
        .envs([
            ("DEPLOYMENT_MODE", "OSS"),
            ("LOG_LEVEL", "INFO"),
            ("USE_STREAM_CAPABLE_STATE", "true"),
            ("WORKER_JOB_ID", "1"),
            ("WORKER_JOB_ATTEMPT", "0"),
        ]);
    Ok(command)
}

/// Tells the wrapper that the job is cancelled.
pub(super) fn cancel(work: &Path) {
    let _ = fs::write(work.join(CANCELLED), "");
}

/// The exit code that the wrapper has noted.
pub(super) fn exit_code(work: &Path) -> Option<i32> {
    fs::read_to_string(work.join(EXIT_CODE)).ok()?.trim().parse().ok()
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
