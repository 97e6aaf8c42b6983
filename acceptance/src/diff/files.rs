//! Files to be compared: what each of them is.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Comparison, catalog, output, spec};
use crate::transcript::Transcript;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A spec: the payload, a SPEC message, a `spec.yaml`, or a manifest that has one.
    Spec,
    /// A catalog: the payload, a CATALOG message, or a configured catalog.
    Catalog,
    /// The output of a read, one message a line.
    Output,
}

impl Kind {
    /// The word for several.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Spec => "specs",
            Self::Catalog => "catalogs",
            Self::Output => "outputs",
        }
    }
}

/// Why two files cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A file is none of those that can be compared.
    #[error(
        "{} is neither a spec, nor a catalog, nor the output of a connector: {why}. Give what the \
         connector printed, or the payload of its SPEC or CATALOG message, or a manifest.yaml with a \
         spec", path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// They are not of the same kind.
    #[error("{} is one of the {}, but {} is one of the {}; give two of a kind", a.display(), kind_a.plural(), b.display(), kind_b.plural())]
    Different {
        /// The first file.
        a: PathBuf,
        /// What it holds.
        kind_a: Kind,
        /// The second file.
        b: PathBuf,
        /// What it holds.
        kind_b: Kind,
    },
}

/// Compares two files; each may be anything that [`Kind`] names.
pub fn compare_files(a: &Path, b: &Path) -> Result<Comparison, CompareError> {
    let (old, new) = (Contents::read(a)?, Contents::read(b)?);
    let (kind, changes) = match (&old, &new) {
        (Contents::Spec(old), Contents::Spec(new)) => (Kind::Spec, spec(old, new)),
        (Contents::Catalog(old), Contents::Catalog(new)) => (Kind::Catalog, catalog(old, new)),
        (Contents::Output(old), Contents::Output(new)) => (Kind::Output, output(old, new)),
        _ => {
            return Err(CompareError::Different {
                a: a.to_owned(),
                kind_a: old.kind(),
                b: b.to_owned(),
                kind_b: new.kind(),
            });
        }
    };
    Ok(Comparison { kind, changes })
}

/// The payload of the SPEC message that a file holds, in whatever form.
pub fn read_spec(path: &Path) -> Result<Value, CompareError> {
    match Contents::read(path)? {
        Contents::Spec(spec) => Ok(spec),
        other => Err(CompareError::Unknown {
            path: path.to_owned(),
            why: format!("it is one of the {}", other.kind().plural()),
        }),
    }
}

/// The payload of the CATALOG message that a file holds, in whatever form.
pub fn read_catalog(path: &Path) -> Result<Value, CompareError> {
    match Contents::read(path)? {
        Contents::Catalog(catalog) => Ok(catalog),
        other => Err(CompareError::Unknown {
            path: path.to_owned(),
            why: format!("it is one of the {}", other.kind().plural()),
        }),
    }
}

enum Contents {
    Spec(Value),
    Catalog(Value),
    Output(Box<Transcript>),
}

impl Contents {
    fn kind(&self) -> Kind {
        match self {
            Self::Spec(_) => Kind::Spec,
            Self::Catalog(_) => Kind::Catalog,
            Self::Output(_) => Kind::Output,
        }
    }

    fn read(path: &Path) -> Result<Self, CompareError> {
        let bytes = std::fs::read(path)
            .map_err(|error| CompareError::Read { path: path.to_owned(), error })?;
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        let contents = if is_yaml { of_yaml(&bytes) } else { of_json(&bytes) };
        contents.map_err(|why| CompareError::Unknown { path: path.to_owned(), why })
    }
}

fn of_yaml(bytes: &[u8]) -> Result<Contents, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())?;
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| format!("it is no YAML ({error})"))?;
    of_value(value)
}

fn of_json(bytes: &[u8]) -> Result<Contents, String> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.get("type").and_then(Value::as_str).is_none_or(is_answer) => {
            of_value(value)
        }
        _ => of_lines(bytes),
    }
}

/// Whether a message of this type is compared by itself. A spec may have a `type` of its own.
fn is_answer(kind: &str) -> bool {
    matches!(kind, "SPEC" | "CATALOG") || crate::transcript::payload_key(kind).is_none()
}

fn of_value(mut value: Value) -> Result<Contents, String> {
    match value.get("type").and_then(Value::as_str) {
        Some("SPEC") if value["spec"].is_object() => {
            return Ok(Contents::Spec(value["spec"].take()));
        }
        Some("CATALOG") if value["catalog"].is_object() => {
            return Ok(Contents::Catalog(value["catalog"].take()));
        }
        _ => {}
    }
    if value.get("connectionSpecification").is_some() {
        return Ok(Contents::Spec(value));
    }
    if value.get("connection_specification").is_some() {
        return Ok(Contents::Spec(of_manifest(value)));
    }
    if let Some(inner) = value.get("spec").filter(|inner| inner.is_object()) {
        return of_value(inner.clone());
    }
    if let Some(Value::Array(streams)) = value.get("streams") {
        let is_catalog = streams.iter().all(|stream| {
            stream.get("json_schema").is_some()
                || stream.get("stream").is_some_and(Value::is_object)
        });
        if is_catalog {
            let streams: Vec<Value> =
                streams.iter().map(|entry| entry.get("stream").unwrap_or(entry).clone()).collect();
            return Ok(Contents::Catalog(json!({ "streams": streams })));
        }
    }
    Err("it has neither connectionSpecification nor streams with a json_schema".to_owned())
}

/// The spec of a manifest, whose keys are written differently.
fn of_manifest(spec: Value) -> Value {
    let Value::Object(members) = spec else { return spec };
    let name = |key: String| match key.as_str() {
        "connection_specification" => "connectionSpecification".to_owned(),
        "documentation_url" => "documentationUrl".to_owned(),
        _ => key,
    };
    let is_kept = |key: &String| key != "type";
    let members = members.into_iter().filter(|(key, _)| is_kept(key));
    Value::Object(members.map(|(key, value)| (name(key), value)).collect::<Map<_, _>>())
}

fn of_lines(bytes: &[u8]) -> Result<Contents, String> {
    let run = Transcript::recorded("output", "read", bytes);
    let is_read = run.records().next().is_some()
        || run.states().next().is_some()
        || run.statuses().next().is_some();
    if !is_read {
        match (run.answer("SPEC"), run.answer("CATALOG")) {
            (Some((_, spec)), None) => return Ok(Contents::Spec(spec.clone())),
            (None, Some((_, catalog))) => return Ok(Contents::Catalog(catalog.clone())),
            (Some(_), Some(_)) => return Err("it has both a SPEC and a CATALOG".to_owned()),
            (None, None) => {}
        }
    }
    match run.lines.iter().any(|line| line.kind().is_some()) {
        true => Ok(Contents::Output(Box::new(run))),
        false => Err("none of its lines is a message".to_owned()),
    }
}
