//! From a call to a process: files, arguments, environment, wrapper.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use super::call::{Call, Content, Mode};
use super::process::{Running, Start};
use super::{Connector, Launch, Trouble, docker, platform};

/// A user that no machine knows.
const ANY_USER: u32 = 12_345;

/// Starts a command of a connector.
pub(super) fn start(connector: &Connector, call: &Call) -> Result<Running, Trouble> {
    let folder = tempfile::Builder::new()
        .prefix("acceptance-")
        .tempdir()
        .map_err(|error| Trouble(format!("no temporary folder: {error}")))?;
    let written = files(call, folder.path(), connector.is_image())?;
    let work = folder.path().join("work");
    fs::create_dir(&work).map_err(|error| trouble(&work, &error))?;
    let mut arguments: Vec<String> = Vec::new();
    if !call.command.is_empty() {
        arguments.push(call.command.clone());
    }
    arguments.extend(written);
    arguments.extend(call.arguments.iter().cloned());

    let container = connector.is_image().then(container_name);
    let words = words(connector, call, folder.path(), container.as_deref(), arguments);
    let mut command = match call.mode {
        Mode::Platform => platform::wrapper(&words, &work)?,
        Mode::Serverless => merged(&words),
        Mode::Pid1 => namespace(&words),
        _ => plain(&words),
    };
    environment(connector, call, &mut command);
    command.current_dir(&work);
    if call.is_confined {
        confine(&mut command, folder.path(), &work)?;
    }
    command.process_group(0).stdin(if call.has_input { Stdio::piped() } else { Stdio::null() });
    let engine = match &connector.launch {
        Launch::Image { engine, .. } => Some(engine.clone()),
        Launch::Executable(_) => None,
    };
    Running::start(Start { command, call, folder, work, container: engine.zip(container) })
}

fn trouble(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble(format!("{}: {error}", path.display()))
}

fn container_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("acceptance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Writes the files of a call; gives the arguments that name them.
fn files(call: &Call, folder: &Path, is_image: bool) -> Result<Vec<String>, Trouble> {
    let mut arguments = Vec::new();
    for (flag, content) in &call.files {
        let name = match (call.mode, flag.as_str()) {
            (Mode::Platform, "config") => "connectorConfig.json".to_owned(),
            (Mode::Platform, "state") => "inputState.json".to_owned(),
            (Mode::PyAirbyte, "catalog" | "state") => format!("tmp{flag}.txt"),
            _ => format!("{flag}.json"),
        };
        let path = folder.join(&name);
        let text = match content {
            Content::Json(value) => Some(value.to_string()),
            Content::Text(text) => Some(text.clone()),
            Content::Missing => None,
        };
        if let Some(text) = text {
            fs::write(&path, text).map_err(|error| trouble(&path, &error))?;
            let mode = if call.mode == Mode::PyAirbyte { 0o444 } else { 0o644 };
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        }
        let seen = if is_image { PathBuf::from(docker::FOLDER).join(&name) } else { path };
        arguments.extend([format!("--{flag}"), seen.to_string_lossy().into_owned()]);
    }
    Ok(arguments)
}

/// The words of the command line, of the connector or of the engine that runs its image.
fn words(
    connector: &Connector,
    call: &Call,
    folder: &Path,
    container: Option<&str>,
    arguments: Vec<String>,
) -> Vec<String> {
    let mut words = match &connector.launch {
        Launch::Executable(words) => words.clone(),
        Launch::Image { image, engine } => {
            let of_call = call.environment.iter().map(|(name, value)| (name, value));
            let variables = connector.environment.iter().chain(of_call);
            let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
            let mut words = vec![engine.clone()];
            let name = container.unwrap_or_default();
            words.extend(docker::run(image, name, folder, variables, call.is_confined));
            words
        }
    };
    words.extend(arguments);
    words
}

fn plain(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}

/// stderr goes where stdout goes.
fn merged(words: &[String]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$@" 2>&1"#, "sh"]).args(words);
    command
}

/// The process is PID 1 of a namespace of its own.
fn namespace(words: &[String]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]).args(words);
    command
}

fn environment(connector: &Connector, call: &Call, command: &mut Command) {
    // What the caller's shell says must not decide what the connector does.
    for name in ["LOG_LEVEL", "DEPLOYMENT_MODE", "AIRBYTE_EDITION"] {
        if !command.get_envs().any(|(known, _)| known == name) {
            command.env_remove(name);
        }
    }
    for name in &call.without {
        command.env_remove(name);
    }
    command.envs(&connector.environment);
    command.envs(call.environment.iter().map(|(name, value)| (name, value)));
}

/// An arbitrary user where the suite may switch to one, no home, a folder without write access,
/// another time zone.
fn confine(command: &mut Command, folder: &Path, work: &Path) -> Result<(), Trouble> {
    command.env_remove("HOME").env("TZ", "Pacific/Chatham");
    let readable = fs::Permissions::from_mode(0o555);
    for path in [work, folder] {
        fs::set_permissions(path, readable.clone()).map_err(|error| trouble(path, &error))?;
    }
    if rustix::process::geteuid().is_root() {
        command.uid(ANY_USER).gid(ANY_USER);
    }
    Ok(())
}
