//! Reading tables back by the command that the user names.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::exec::Trouble;

/// A command line such as `my-reader --config {config} {stream}`, run by `sh`: it prints the rows of
/// a stream as JSON lines, and fails when there is no table.
#[derive(Debug, Clone)]
pub struct ReadBack(pub String);

impl ReadBack {
    /// The rows of a stream; `None` when there is no table.
    pub fn rows(&self, config: &Value, stream: &str) -> Result<Option<Vec<Value>>, Trouble> {
        let trouble = |what: String| Trouble(format!("the command of read_back {what}"));
        let file = tempfile::NamedTempFile::new()
            .and_then(|file| std::fs::write(file.path(), config.to_string()).map(|()| file))
            .map_err(|error| trouble(format!("gets no configuration: {error}")))?;
        let line = self
            .0
            .replace("{config}", &quoted(&file.path().to_string_lossy()))
            .replace("{stream}", &quoted(stream));
        let output = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| trouble(format!("cannot be started: {error}")))?;
        if matches!(output.status.code(), Some(126 | 127)) {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(trouble(format!("cannot be started: {why}")));
        }
        if !output.status.success() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| serde_json::from_str(line))
            .collect::<Result<_, _>>()
            .map(Some)
            .map_err(|error| trouble(format!("prints a line that is no JSON: {error}")))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_come_from_the_command() {
        let command = ReadBack(r#"cat {config}; echo; echo '{"stream":"'{stream}'"}'"#.to_owned());
        let rows = command.rows(&json!({"a": 1}), "it's").unwrap().unwrap();
        assert_eq!(rows, [json!({"a": 1}), json!({"stream": "it's"})]);
        assert_eq!(ReadBack("exit 1".to_owned()).rows(&json!({}), "x").unwrap(), None);
        assert!(ReadBack("no-such-program-here".to_owned()).rows(&json!({}), "x").is_err());
    }
}
