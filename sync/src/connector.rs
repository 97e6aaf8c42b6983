//! A connector: any executable that speaks the Airbyte protocol.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use airbyte_protocol::{Catalog, ConnectionStatus, ConnectionStatusType, Message, TraceError};

use crate::error::{Error, Result};
use crate::{args, atomic, process};

/// A connector that can be started.
#[derive(Debug, Clone)]
pub struct Connector {
    role: &'static str,
    program: String,
    args: Vec<String>,
}

/// What a connector said in answer to `spec`, `check` or `discover`.
#[derive(Debug)]
pub struct Answer {
    /// Every message that it printed.
    pub messages: Vec<Message>,
    /// How it ended.
    pub status: ExitStatus,
    role: &'static str,
    what: String,
    first_noise: Option<String>,
}

impl Connector {
    /// A connector from its command line, split without a shell. `role` is `source` or
    /// `destination`.
    pub fn parse(role: &'static str, command: &str) -> Result<Self> {
        let mut words = args::split(command)?.into_iter();
        match words.next() {
            Some(program) => Ok(Self { role, program, args: words.collect() }),
            None => Err(Error::usage(format!("--{role} names no program"))),
        }
    }

    /// A connector at a path, without arguments of its own.
    pub fn at(role: &'static str, path: &Path) -> Self {
        Self { role, program: path.to_string_lossy().into_owned(), args: Vec::new() }
    }

    /// The command that runs one of the protocol's commands.
    pub fn command(&self, command: &str, flags: &[(&str, &Path)]) -> Command {
        let mut built = Command::new(&self.program);
        built.args(&self.args).arg(command);
        for (flag, path) in flags {
            built.arg(flag).arg(path);
        }
        built
    }

    /// Runs `spec`, `check` or `discover` and collects what it prints. New configurations that
    /// it announces are written to the file of the `--config` flag.
    pub fn call(&self, command: &str, config: Option<&Path>) -> Result<Answer> {
        let flags: Vec<(&str, &Path)> = config.map(|path| ("--config", path)).into_iter().collect();
        let mut built = self.command(command, &flags);
        built.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            built.spawn().map_err(|error| process::cannot_start(self.role, &built, &error))?;
        let mut messages = Vec::new();
        let mut first_noise = None;
        for line in
            child.stdout.take().into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n'))
        {
            let line = line.map_err(|error| {
                Error::run(format!("cannot read from the {}: {error}", self.role))
            })?;
            let line = String::from_utf8_lossy(&line);
            match Message::parse(&line) {
                Ok(message) => messages.push(message),
                Err(_) if line.trim().is_empty() => {}
                Err(_) => {
                    first_noise = first_noise.or_else(|| Some(line.chars().take(200).collect()))
                }
            }
        }
        let status = child
            .wait()
            .map_err(|error| Error::run(format!("cannot wait for the {}: {error}", self.role)))?;
        if let Some(config) = config {
            keep_config(&messages, config)?;
        }
        Ok(Answer { messages, status, role: self.role, what: command.to_owned(), first_noise })
    }

    /// Asks for the specification.
    pub fn spec(&self) -> Result<()> {
        let answer = self.call("spec", None)?;
        let has_spec = answer.messages.iter().any(|message| matches!(message, Message::Spec(_)));
        if has_spec && answer.status.success() { Ok(()) } else { Err(answer.failure("SPEC")) }
    }

    /// Checks a configuration; the message of a check that succeeded, if it has one.
    pub fn check(&self, config: &Path) -> Result<Option<String>> {
        let answer = self.call("check", Some(config))?;
        let status = answer.messages.iter().find_map(|message| match message {
            Message::ConnectionStatus(status) => Some(status),
            _ => None,
        });
        match status {
            Some(ConnectionStatus { status: ConnectionStatusType::Succeeded, message, .. }) => {
                Ok(message.clone())
            }
            Some(failed) => {
                let why = failed.message.as_deref().unwrap_or("it gives no reason");
                Err(Error::run(format!("the {} refuses its configuration: {why}", self.role)))
            }
            None => Err(answer.failure("CONNECTION_STATUS")),
        }
    }

    /// Asks which streams there are.
    pub fn discover(&self, config: &Path) -> Result<Catalog> {
        let mut answer = self.call("discover", Some(config))?;
        let at = answer.messages.iter().position(|message| matches!(message, Message::Catalog(_)));
        match at.map(|at| answer.messages.swap_remove(at)) {
            Some(Message::Catalog(catalog)) if answer.status.success() => Ok(catalog),
            _ => Err(answer.failure("CATALOG")),
        }
    }
}

impl Answer {
    /// The errors that the connector told.
    pub fn errors(&self) -> impl Iterator<Item = &TraceError> {
        self.messages.iter().filter_map(|message| match message {
            Message::Trace(trace) => trace.error.as_ref(),
            _ => None,
        })
    }

    /// The error of an answer without the message that was asked for.
    fn failure(&self, wanted: &str) -> Error {
        let errors: Vec<String> = self.errors().map(|error| error.message.clone()).collect();
        if !errors.is_empty() {
            return Error::run(format!(
                "`{}` of the {} failed: {}",
                self.what,
                self.role,
                errors.join("; ")
            ));
        }
        let mut text = format!(
            "`{}` of the {} ended with {} and printed no {wanted} message",
            self.what,
            self.role,
            process::describe_exit(self.status)
        );
        match &self.first_noise {
            Some(line) => text += &format!("; it printed: {line}"),
            None if self.messages.is_empty() => text += "; is it an Airbyte connector?",
            None => {}
        }
        Error::run(text)
    }
}

/// Writes the last configuration among the messages to its file.
fn keep_config(messages: &[Message], path: &Path) -> Result<()> {
    let config = messages.iter().rev().find_map(|message| match message {
        Message::Control(control) => control.config(),
        _ => None,
    });
    config.map_or(Ok(()), |config| save_config(config, path))
}

/// Replaces a configuration file.
pub fn save_config(config: &serde_json::Value, path: &Path) -> Result<()> {
    let text = format!("{config:#}\n");
    atomic::write(path, text.as_bytes())
        .map_err(|error| Error::io("write the new configuration to", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Connector {
        Connector { role: "source", program: "sh".into(), args: vec!["-c".into(), script.into()] }
    }

    fn config() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{}").unwrap();
        file
    }

    #[test]
    fn a_command_line_becomes_program_and_arguments() {
        let connector = Connector::parse("source", "run 'my source' --fast").unwrap();
        let command = connector.command("read", &[("--config", Path::new("c.json"))]);
        let args: Vec<&str> = command.get_args().filter_map(|arg| arg.to_str()).collect();
        assert_eq!(command.get_program(), "run");
        assert_eq!(args, ["my source", "--fast", "read", "--config", "c.json"]);
        assert_eq!(Connector::parse("source", "  ").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_check_that_fails_gives_its_reason() {
        let config = config();
        let good = shell(
            r#"echo '{"type":"CONNECTION_STATUS","connectionStatus":{"status":"SUCCEEDED"}}'"#,
        );
        assert_eq!(good.check(config.path()).unwrap(), None);
        let bad = shell(
            r#"echo '{"type":"CONNECTION_STATUS","connectionStatus":{"status":"FAILED","message":"wrong key"}}'"#,
        );
        assert!(bad.check(config.path()).unwrap_err().message().contains("wrong key"));
    }

    #[test]
    fn programs_that_are_no_connectors_are_recognised() {
        let error = shell("echo hello").spec().unwrap_err();
        assert!(
            error.message().contains("printed no SPEC") && error.message().contains("hello"),
            "{error}"
        );
        let error = shell("exit 3").spec().unwrap_err();
        assert!(error.message().contains("exit code 3"), "{error}");
        let trace = r#"{"type":"TRACE","trace":{"type":"ERROR","emitted_at":1,"error":{"message":"no network"}}}"#;
        let error =
            shell(&format!("echo '{trace}'; exit 1")).discover(config().path()).unwrap_err();
        assert!(error.message().contains("no network"), "{error}");
    }

    #[test]
    fn a_new_configuration_is_kept() {
        let config = config();
        let control = r#"{"type":"CONTROL","control":{"type":"CONNECTOR_CONFIG","emitted_at":1,"connectorConfig":{"config":{"token":"new"}}}}"#;
        let catalog = r#"{"type":"CATALOG","catalog":{"streams":[]}}"#;
        let source = shell(&format!("echo '{control}'; echo '{catalog}'"));
        assert!(source.discover(config.path()).unwrap().streams.is_empty());
        let kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(config.path()).unwrap()).unwrap();
        assert_eq!(kept, serde_json::json!({"token": "new"}));
    }
}
