//! The lakehouse that the demo writes to, and reads back.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use airbyte_protocol::Message;
use serde_json::{Value, json};

use super::rows::Content;
use crate::connector::Connector;
use crate::error::{Error, Result};

/// By this file a folder is known to be of an earlier demo.
const MARK: &str = ".sync-demo";

/// A folder of tables, in which each API has its namespace.
pub struct Lake {
    /// The destination.
    program: PathBuf,
    folder: PathBuf,
}

/// The tables of one API.
pub struct Tables {
    /// The destination.
    pub program: PathBuf,
    /// Its configuration.
    pub config: PathBuf,
    namespace: &'static str,
    folder: PathBuf,
}

impl Lake {
    /// An empty lake. That of an earlier demo is removed; any other folder is left alone.
    pub fn prepare(program: PathBuf, folder: &Path) -> Result<Self> {
        let failed = |what: &'static str| move |error| Error::io(what, folder, error);
        if folder.join(MARK).exists() {
            fs::remove_dir_all(folder).map_err(failed("remove"))?;
        }
        fs::create_dir_all(folder).map_err(failed("create the folder"))?;
        if fs::read_dir(folder).map_err(failed("read"))?.next().is_some() {
            return Err(Error::usage(format!(
                "{} is not empty, and not of an earlier demo: name another folder with --lake",
                folder.display()
            )));
        }
        fs::write(folder.join(MARK), "").map_err(failed("write to"))?;
        let folder = folder.canonicalize().map_err(failed("find"))?;
        Ok(Self { program, folder })
    }

    /// The tables of a namespace, with the destination's configuration among `files`.
    pub fn tables(&self, namespace: &'static str, files: &Path) -> Result<Tables> {
        let config = files.join("lake.json");
        let settings = json!({
            "warehouse": {"type": "local", "path": self.folder},
            "namespace": namespace,
            "naming": "verbatim",
            // So often that a kill half-way finds something to resume from.
            "commit_seconds": 1,
        });
        fs::write(&config, settings.to_string()).map_err(|e| Error::io("write", &config, e))?;
        let (program, folder) = (self.program.clone(), self.folder.clone());
        Ok(Tables { program, config, namespace, folder })
    }

    /// Where the tables are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Tables {
    /// Asks the destination whether it can write here.
    pub fn check(&self) -> Result<()> {
        let said = Connector::at("destination", &self.program).check(&self.config)?;
        println!(
            "   tables go to {}: {}",
            self.folder.display(),
            said.as_deref().unwrap_or("a probe was written, read and dropped")
        );
        Ok(())
    }

    /// The rows of the tables, by stream.
    pub fn rows(&self) -> Result<HashMap<String, Vec<Value>>> {
        let failed = |error| Error::run(format!("the tables cannot be read back: {error}"));
        let mut dump = Command::new(&self.program)
            .args(["dump", "--config"])
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let mut rows: HashMap<String, Vec<Value>> = HashMap::new();
        for line in dump.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines) {
            let line = line.map_err(failed)?;
            if let Ok(Message::Record(record)) = Message::parse(&line)
                && record.namespace.as_deref() == Some(self.namespace)
            {
                let row = serde_json::from_str(record.data.get()).map_err(|error| {
                    Error::run(format!("a row of the tables is not valid JSON: {error}"))
                })?;
                rows.entry(record.stream).or_default().push(row);
            }
        }
        let status = dump.wait().map_err(failed)?;
        if !status.success() {
            return Err(Error::run(format!("the tables cannot be read back: {status}")));
        }
        Ok(rows)
    }

    /// How others read a table: a line of DuckDB and one of pyiceberg.
    pub fn how_to_query(&self, (table, columns): (&str, &str)) -> String {
        let table = self.folder.join(self.namespace).join(table);
        let table = table.display();
        format!(
            "  DuckDB:    LOAD iceberg; SELECT {columns} FROM iceberg_scan('{table}') GROUP BY 1;\n  pyiceberg: python3 -c \"from pyiceberg.table import StaticTable; print(StaticTable.from_metadata('{table}').scan().to_arrow())\""
        )
    }
}

/// The columns that the fields of a stream become.
pub fn columns(json_schema: &Value) -> BTreeMap<String, Content> {
    let properties = json_schema.get("properties").and_then(Value::as_object);
    let column = |(name, schema): (&String, &Value)| (name.clone(), content(schema));
    properties.into_iter().flatten().map(column).collect()
}

fn content(schema: &Value) -> Content {
    let types = schema.get("type").and_then(Value::as_array);
    let types = types.into_iter().flatten().chain(schema.get("type"));
    let types: Vec<&str> = types.filter_map(Value::as_str).filter(|t| *t != "null").collect();
    let composed = ["oneOf", "anyOf", "allOf"].iter().any(|word| schema.get(word).is_some());
    match types[..] {
        _ if composed || types.len() > 1 => Content::Json,
        ["object" | "array"] => Content::Json,
        ["number"] => Content::Number,
        ["string"] if schema.get("format").is_some_and(|f| f == "date-time") => Content::Time,
        _ => Content::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_apart() {
        let schema = json!({"properties": {
            "a": {"type": ["null", "string"]}, "b": {"type": "object"}, "c": {"type": ["string", "integer"]},
            "d": {"oneOf": []}, "e": {"type": ["null", "array"]}, "f": {}, "g": {"type": ["number", "null"]},
            "h": {"type": ["string", "null"], "format": "date-time"}, "i": {"type": "string", "format": "date"},
        }});
        let found: Vec<Content> = columns(&schema).into_values().collect();
        use Content::{Json, Number, Plain, Time};
        assert_eq!(found, [Plain, Json, Json, Json, Json, Plain, Number, Time, Plain]);
    }

    #[test]
    fn only_an_empty_folder_or_that_of_a_demo_is_used() {
        let place = tempfile::TempDir::new().unwrap();
        let lake = place.path().join("lake");
        let prepare = || Lake::prepare("d".into(), &lake);
        prepare().unwrap();
        fs::write(lake.join("old"), "").unwrap();
        prepare().unwrap();
        assert!(!lake.join("old").exists());
        fs::remove_file(lake.join(MARK)).unwrap();
        fs::write(lake.join("mine"), "").unwrap();
        assert!(prepare().is_err());
        assert!(lake.join("mine").exists());
    }
}
