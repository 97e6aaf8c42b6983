//! Commands of the user's that read tables back and take them away.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::exec::Trouble;

/// A command line for one table, run by `sh`. `{config}` and `{stream}` stand for the path of the
/// configuration and the name of the stream; the variables `CONFIG`, `STREAM` and `NAMESPACE` say
/// the same.
#[derive(Debug, Clone)]
pub struct TableCommand {
    line: String,
    namespace: Option<String>,
    folder: PathBuf,
}

impl TableCommand {
    /// A command for tables of a namespace.
    pub fn new(line: &str, namespace: Option<&str>) -> Self {
        let namespace = namespace.map(str::to_owned);
        Self { line: line.to_owned(), namespace, folder: PathBuf::from(".") }
    }

    /// It runs in this folder.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.folder = folder.to_owned();
        self
    }

    /// The rows of a stream, from JSON lines on stdout; `None` when there is no table, which the
    /// command says by failing.
    pub fn rows(&self, config: &Value, stream: &str) -> Result<Option<Vec<Value>>, Trouble> {
        let output = self.run(config, stream)?;
        if !output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|error| self.trouble(&format!("prints a line that is no JSON: {error}")))
    }

    /// Runs it for a stream. Trouble: it cannot be started.
    pub fn run(&self, config: &Value, stream: &str) -> Result<Output, Trouble> {
        let file = tempfile::NamedTempFile::new()
            .and_then(|file| std::fs::write(file.path(), config.to_string()).map(|()| file))
            .map_err(|error| self.trouble(&format!("gets no configuration: {error}")))?;
        let path = file.path().to_string_lossy();
        let line =
            self.line.replace("{config}", &quoted(&path)).replace("{stream}", &quoted(stream));
        let output = Command::new("sh")
            .args(["-c", &line])
            .current_dir(&self.folder)
            .env("CONFIG", file.path())
            .env("STREAM", stream)
            .env("NAMESPACE", self.namespace.as_deref().unwrap_or_default())
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.trouble(&format!("cannot be started: {error}")))?;
        if matches!(output.status.code(), Some(126 | 127)) {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(self.trouble(&format!("cannot be started: {why}")));
        }
        Ok(output)
    }

    fn trouble(&self, what: &str) -> Trouble {
        Trouble(format!("the command `{}` {what}", self.line))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(line: &str, stream: &str) -> Result<Option<Vec<Value>>, Trouble> {
        TableCommand::new(line, Some("ns")).rows(&json!({"a": 1}), stream)
    }

    #[test]
    fn rows_come_from_the_command() {
        let line = r#"cat {config}; echo; echo '{"stream":"'{stream}'"}'"#;
        let expected = [json!({"a": 1}), json!({"stream": "it's"})];
        assert_eq!(rows(line, "it's").unwrap().unwrap(), expected);
        let line = r#"cat "$CONFIG"; echo; echo "{\"in\":\"$NAMESPACE.$STREAM\"}""#;
        let expected = [json!({"a": 1}), json!({"in": "ns.x"})];
        assert_eq!(rows(line, "x").unwrap().unwrap(), expected);
        assert_eq!(rows("exit 1", "x").unwrap(), None);
        assert!(rows("no-such-program-here", "x").is_err());
        assert!(rows("echo no JSON", "x").is_err());
    }
}
