//! Values that may come from outside the file: environment variables and the output of commands.

use std::fmt;
use std::path::Path;
use std::process::Command as Process;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A value written down, or where to get it from.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Setting {
    /// The value; `$NAME` takes that of an environment variable, `$$` begins with a dollar.
    Text(String),
    /// A number; the connector gets its digits.
    Number(serde_json::Number),
    /// `true` or `false`.
    Switch(bool),
    /// From elsewhere.
    Outside(Outside),
}

/// Where to get a value from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Outside {
    /// The name of an environment variable.
    pub env: Option<String>,
    /// A shell command; its output without the last newline is the value.
    pub command: Option<String>,
}

impl fmt::Debug for Setting {
    /// Values may be secrets, so they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(outside) => outside.fmt(f),
            _ => f.write_str("Setting(..)"),
        }
    }
}

/// A connector's configuration written into the file. Never printed.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct InlineConfig(pub Map<String, Value>);

impl fmt::Debug for InlineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InlineConfig(..)")
    }
}

/// Gets values from outside.
pub struct Outer<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The folder in which commands run.
    pub folder: &'a Path,
}

impl<'a> Outer<'a> {
    /// The environment of this process.
    pub fn here(folder: &'a Path) -> Self {
        Self { variable: &|name| std::env::var(name).ok(), folder }
    }

    /// The value of a setting, as text.
    ///
    /// # Errors
    /// A sentence: the variable is not set, or the command failed. It never holds the value.
    pub fn text(&self, setting: &Setting) -> Result<String, String> {
        match setting {
            Setting::Text(text) => self.expand(text),
            Setting::Number(number) => Ok(number.to_string()),
            Setting::Switch(switch) => Ok(switch.to_string()),
            Setting::Outside(outside) => self.fetch(outside),
        }
    }

    /// A connector's configuration with all values in place.
    ///
    /// # Errors
    /// As [`Outer::text`].
    pub fn config(&self, config: &InlineConfig) -> Result<Value, String> {
        let members = config.0.iter().map(|(key, value)| {
            let value = self.value(value).map_err(|error| format!("{key}: {error}"))?;
            Ok((key.clone(), value))
        });
        members.collect::<Result<Map<_, _>, String>>().map(Value::Object)
    }

    fn value(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.expand(text).map(Value::String),
            Value::Array(items) => items
                .iter()
                .map(|item| self.value(item))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Value::Object(members) => match outside(members) {
                Some(outside) => self.fetch(&outside).map(Value::String),
                None => self.config(&InlineConfig(members.clone())),
            },
            other => Ok(other.clone()),
        }
    }

    fn expand(&self, text: &str) -> Result<String, String> {
        match text.strip_prefix('$') {
            Some(rest) if rest.starts_with('$') => Ok(rest.to_owned()),
            Some(name) if is_variable(name) => self.variable(name),
            _ => Ok(text.to_owned()),
        }
    }

    fn fetch(&self, outside: &Outside) -> Result<String, String> {
        match (&outside.env, &outside.command) {
            (Some(name), None) => self.variable(name),
            (None, Some(command)) => self.run(command),
            _ => Err("give either `env` or `command`".to_owned()),
        }
    }

    fn variable(&self, name: &str) -> Result<String, String> {
        (self.variable)(name).ok_or_else(|| {
            format!(
                "the environment variable {name} is not set; set it, or write $${name} if the \
                 text itself is meant"
            )
        })
    }

    fn run(&self, command: &str) -> Result<String, String> {
        let mut shell = Process::new("sh");
        let shell = shell.args(["-c", command]).current_dir(self.folder);
        let output = shell.output().map_err(|error| format!("`{command}`: {error}"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let last = stderr.lines().last().unwrap_or("it printed no reason");
            return Err(format!("`{command}` failed ({}): {last}", output.status));
        }
        let mut text = String::from_utf8(output.stdout)
            .map_err(|_| format!("`{command}` printed something that is no UTF-8"))?;
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        Ok(text)
    }
}

/// `{env: NAME}` or `{command: …}` and nothing else.
fn outside(members: &Map<String, Value>) -> Option<Outside> {
    let text = |key: &str| members.get(key).and_then(Value::as_str).map(str::to_owned);
    let outside = Outside { env: text("env"), command: text("command") };
    let is_variable = outside.env.as_deref().is_none_or(is_variable);
    (members.len() == 1 && outside != Outside::default() && is_variable).then_some(outside)
}

/// Whether it looks like the name of an environment variable: capitals, digits, underscores.
fn is_variable(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outer<T>(test: impl FnOnce(&Outer) -> T) -> T {
        let variable = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        test(&Outer { variable: &variable, folder: Path::new("/") })
    }

    #[test]
    fn values_come_from_outside() {
        let text = |value: Value| {
            let setting: Setting = serde_json::from_value(value).unwrap();
            outer(|outer| outer.text(&setting))
        };
        assert_eq!(text(json!("plain")).unwrap(), "plain");
        assert_eq!(text(json!("$TOKEN")).unwrap(), "s3cret");
        assert_eq!(text(json!("$$TOKEN")).unwrap(), "$TOKEN");
        assert_eq!(text(json!("$5 a month")).unwrap(), "$5 a month");
        assert_eq!(text(json!(8080)).unwrap(), "8080");
        assert_eq!(text(json!(true)).unwrap(), "true");
        assert_eq!(text(json!({"env": "TOKEN"})).unwrap(), "s3cret");
        assert_eq!(text(json!({"command": "printf 'a\\nb\\n\\n'"})).unwrap(), "a\nb");
        assert!(text(json!("$MISSING")).unwrap_err().contains("MISSING is not set"));
        let failed = text(json!({"command": "echo no luck >&2; exit 3"})).unwrap_err();
        assert!(failed.contains("no luck"), "{failed}");
        assert!(text(json!({})).is_err());
    }

    #[test]
    fn a_configuration_is_filled_in_at_any_depth() {
        let config = json!({
            "auth": {"token": {"env": "TOKEN"}, "kind": "bearer"},
            "keys": ["$TOKEN", {"command": "echo x"}],
            "server": {"env": "prod"},
            "page": 10, "since": null,
        });
        let config: InlineConfig = serde_json::from_value(config).unwrap();
        let filled = outer(|outer| outer.config(&config)).unwrap();
        let expected = json!({
            "auth": {"token": "s3cret", "kind": "bearer"},
            "keys": ["s3cret", "x"],
            "server": {"env": "prod"},
            "page": 10, "since": null,
        });
        assert_eq!(filled, expected);
        assert!(!format!("{config:?}").contains("bearer"));
    }

    #[test]
    fn an_error_says_where() {
        let config = json!({"auth": {"token": "$NOWHERE"}});
        let config: InlineConfig = serde_json::from_value(config).unwrap();
        let error = outer(|outer| outer.config(&config)).unwrap_err();
        assert!(error.starts_with("auth: token: the environment variable NOWHERE"), "{error}");
    }
}
