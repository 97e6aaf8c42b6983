//! From a file to a [`Config`].

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::schema::{Walk, join, schema};
use super::{Config, ConfigError, Note, NoteKind, Problem, consistency, legacy};

/// The names under which the file is looked for.
const NAMES: [&str; 4] = [
    "acceptance.yml",
    "acceptance.yaml",
    "acceptance-test-config.yml",
    "acceptance-test-config.yaml",
];

/// The file in a folder, under any of its names.
pub fn find(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

impl Config {
    /// Reads a file, or the one in a folder.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML, or does not say what it should; each place is named.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let path = match path.is_dir() {
            true => find(path).ok_or_else(|| {
                let names = NAMES.join(", ");
                ConfigError::new(format!("{} holds none of {names}", path.display()))
            })?,
            false => path.to_owned(),
        };
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::new(format!("{}: {error}", path.display())))?;
        let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let folder = absolute.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|error| ConfigError { file: Some(path), ..error })
    }

    /// Reads the text of a file that stands in this folder.
    ///
    /// # Errors
    /// It is no YAML, or does not say what it should.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        // `off` and `no` are words here, until a boolean is wanted.
        let options = serde_saphyr::options! { strict_booleans: true };
        let value: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| ConfigError::new(format!("this is no valid YAML: {error}")))?;
        Self::from_value(value, folder)
    }

    /// Takes over the parsed content of a file that stands in this folder.
    ///
    /// # Errors
    /// It does not say what it should.
    pub fn from_value(value: Value, folder: &Path) -> Result<Self, ConfigError> {
        let mut root = match value {
            Value::Object(root) => root,
            Value::Null => Map::new(),
            _ => {
                return Err(ConfigError::new(
                    "the file has to be a map of keys, such as `executable: ./source-x`",
                ));
            }
        };
        let base = root.get("base_path").and_then(Value::as_str).unwrap_or_default();
        let folder = std::path::absolute(folder.join(base)).unwrap_or_else(|_| folder.to_owned());
        let mut notes = Vec::new();
        legacy::migrate(&mut root, &mut notes)
            .map_err(|problem| ConfigError { file: None, problems: vec![problem] })?;
        let mut walk = Walk { folder: &folder, problems: Vec::new(), notes };
        let mut value = Value::Object(root);
        walk.value(schema(), &mut value, "");
        let Walk { problems, mut notes, .. } = walk;
        refuse(problems)?;
        bypasses(&value["acceptance_tests"], "acceptance_tests", &mut notes);
        let mut config: Self = serde_json::from_value(value)
            .map_err(|error| ConfigError::new(format!("this cannot be understood: {error}")))?;
        (config.folder, config.notes) = (folder, notes);
        refuse(consistency::problems(&config))?;
        Ok(config)
    }
}

fn refuse(problems: Vec<Problem>) -> Result<(), ConfigError> {
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { file: None, problems }) }
}

/// Notes each reason for leaving something out.
fn bypasses(value: &Value, path: &str, notes: &mut Vec<Note>) {
    match value {
        Value::Object(members) => {
            if let Some(reason) = members.get("bypass_reason").and_then(Value::as_str) {
                let what = members.get("name").or(members.get("extension")).and_then(Value::as_str);
                let what = what.map(|what| format!(" ({what})")).unwrap_or_default();
                let path = format!("{path}{what}");
                notes.push(Note { kind: NoteKind::Bypass, path, text: reason.to_owned() });
            }
            for (key, value) in members.iter().filter(|(key, _)| *key != "config") {
                bypasses(value, &join(path, key), notes);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                bypasses(item, &format!("{path}[{at}]"), notes);
            }
        }
        _ => {}
    }
}

/// A JSON file whose content is an object. Errors never hold parts of it.
pub(super) fn json_object(path: &Path) -> Result<Value, ConfigError> {
    let failed = |text: String| ConfigError::new(format!("{}: {text}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| {
        failed(format!(
            "{error}; name the connector's configuration with --config FILE or `config_path:`"
        ))
    })?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| {
        failed(format!("no valid JSON (line {}, column {})", error.line(), error.column()))
    })?;
    match value.is_object() {
        true => Ok(value),
        false => Err(failed("a connector's configuration has to be a JSON object".to_owned())),
    }
}
