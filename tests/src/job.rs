//! One command of a connector, with its files.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::outcome::Outcome;
use crate::process::Running;

/// What a file holds.
#[derive(Debug, Clone)]
enum File {
    Json(Value),
    Text(String),
    /// It is named on the command line but is not there.
    Missing,
}

/// A command that is being put together. Reads are incremental unless [`Job::full_refresh`] says
/// otherwise.
#[derive(Debug, Clone)]
pub struct Job {
    connector: &'static str,
    command: &'static str,
    files: Vec<(&'static str, File)>,
    flags: Vec<&'static str>,
    variables: Vec<(String, String)>,
}

impl Job {
    /// A command with a configuration.
    pub fn new(connector: &'static str, command: &'static str, config: Value) -> Self {
        let files = vec![("config", File::Json(config))];
        Self { connector, command, files, flags: Vec::new(), variables: Vec::new() }
    }

    /// `spec`, which takes no files.
    pub fn spec(connector: &'static str) -> Self {
        Self { files: Vec::new(), ..Self::new(connector, "spec", Value::Null) }
    }

    /// `read` of some streams.
    pub fn read(connector: &'static str, config: Value, streams: &[&str]) -> Self {
        Self::new(connector, "read", config).with("catalog", File::Json(catalog(streams)))
    }

    fn with(mut self, name: &'static str, file: File) -> Self {
        self.files.retain(|(known, _)| *known != name);
        self.files.push((name, file));
        self
    }

    /// Sets members of the configuration.
    pub fn set(mut self, members: Value) -> Self {
        for (name, file) in &mut self.files {
            if let ("config", File::Json(Value::Object(config)), Value::Object(members)) =
                (*name, file, &members)
            {
                config.extend(members.clone());
            }
        }
        self
    }

    /// Leaves a member out of the configuration.
    pub fn unset(mut self, member: &str) -> Self {
        for (name, file) in &mut self.files {
            if let ("config", File::Json(Value::Object(config))) = (*name, file) {
                config.remove(member);
            }
        }
        self
    }

    /// Gives another key.
    pub fn key(self, secret: &str) -> Self {
        self.set(json!({ "client_secret": secret }))
    }

    /// A file (`config`, `catalog` or `state`) with this text.
    pub fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, File::Text(text.into()))
    }

    /// A file (`config`, `catalog` or `state`) that is named but does not exist.
    pub fn missing(self, name: &'static str) -> Self {
        self.with(name, File::Missing)
    }

    /// The state to go on from; see [`crate::state`].
    pub fn state(self, text: impl Into<String>) -> Self {
        self.text("state", text)
    }

    /// Reads all streams in full.
    pub fn full_refresh(mut self) -> Self {
        for (name, file) in &mut self.files {
            let File::Json(catalog) = file else { continue };
            if *name == "catalog" {
                let streams = catalog["streams"].as_array_mut().into_iter().flatten();
                streams.for_each(|stream| stream["sync_mode"] = "full_refresh".into());
            }
        }
        self
    }

    /// Reads these streams, with their schemas and as incrementally as they offer.
    pub fn streams(self, streams: impl IntoIterator<Item = airbyte_protocol::Stream>) -> Self {
        let configured = |stream: airbyte_protocol::Stream| {
            let mode = stream.supported_sync_modes.last().cloned();
            json!({
                "stream": stream,
                "sync_mode": mode,
                "cursor_field": stream.default_cursor_field,
                "primary_key": stream.source_defined_primary_key,
                "destination_sync_mode": "append_dedup",
            })
        };
        let streams: Vec<Value> = streams.into_iter().map(configured).collect();
        self.with("catalog", File::Json(json!({ "streams": streams })))
    }

    /// A further argument, such as `--debug`.
    pub fn flag(mut self, flag: &'static str) -> Self {
        self.flags.push(flag);
        self
    }

    /// An environment variable.
    pub fn variable(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    /// Starts it.
    pub fn spawn(&self) -> Running {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = std::process::Command::new(crate::binary::of(self.connector));
        command.arg(self.command);
        for (name, file) in &self.files {
            let path = folder.path().join(format!("{name}.json"));
            let text = match file {
                File::Json(value) => Some(value.to_string()),
                File::Text(text) => Some(text.clone()),
                File::Missing => None,
            };
            if let Some(text) = text {
                std::fs::write(&path, text).expect("a file in a temporary folder");
            }
            command.arg(format!("--{name}")).arg(path);
        }
        command.args(&self.flags);
        for name in ["LOG_LEVEL", "DEPLOYMENT_MODE", "AIRBYTE_EDITION", "SSL_CERT_FILE"] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Running::start(command, folder, self.secrets())
    }

    /// Runs it to its end. The output must be messages of the protocol without any secret.
    pub fn run(&self) -> Outcome {
        self.spawn().finish()
    }

    /// What must not be seen in the output.
    fn secrets(&self) -> Vec<String> {
        let config = self.files.iter().find_map(|(name, file)| match (*name, file) {
            ("config", File::Json(config)) => Some(config),
            _ => None,
        });
        let names = ["client_secret", "refresh_token", "password", "private_key"];
        let secrets = names.into_iter().filter_map(|name| config?[name].as_str());
        secrets.filter(|secret| secret.len() > 8).map(str::to_owned).collect()
    }
}

/// A configured catalog as PyAirbyte makes it: incremental for all, generations of one.
fn catalog(streams: &[&str]) -> Value {
    let stream = |name: &&str| {
        let mut stream = Map::new();
        stream.insert("name".into(), (*name).into());
        stream.insert("json_schema".into(), json!({"type": "object", "properties": {}}));
        stream.insert("supported_sync_modes".into(), json!(["full_refresh", "incremental"]));
        json!({
            "stream": stream,
            "sync_mode": "incremental",
            "destination_sync_mode": "overwrite",
            "generation_id": 1,
            "minimum_generation_id": 1,
            "sync_id": 1,
        })
    };
    json!({ "streams": streams.iter().map(stream).collect::<Vec<_>>() })
}
