//! The stub destination: tables as JSON lines in a folder, right in all that rules of destinations
//! ask for, unless it is told to be a mutant.

mod rows;
mod table;
mod write;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use airbyte_protocol::{Error, Result};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};

use self::table::{Area, Table};
use super::mutants::{Connector, Fault, Mutation};
use super::source::now_ms;

#[derive(Debug, Parser)]
#[command(name = "stub-destination", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what can be configured.
    Spec,
    /// Tries the configuration.
    Check {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// Writes what comes on stdin.
    Write {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The streams.
        #[arg(long)]
        catalog: PathBuf,
    },
    /// Prints the rows of a table, one JSON object a line.
    Read {
        /// The configuration.
        #[arg(long)]
        config: PathBuf,
        /// The stream: `name` or `namespace.name`.
        stream: String,
    },
}

/// A configuration of the stub destination that writes into this folder.
pub fn config(folder: &Path) -> Value {
    json!({"folder": folder.to_string_lossy()})
}

/// Runs the stub destination, or a mutant of it, with the arguments after the program's name: the
/// whole process is the connector.
pub fn main(mutant: Option<&str>, args: &[String]) -> ExitCode {
    let mutation = match Mutation::named(mutant, Connector::Destination) {
        Ok(mutation) => mutation,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let words = std::iter::once("stub-destination").chain(args.iter().map(String::as_str));
    let args = match Args::try_parse_from(words) {
        Ok(args) => args,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match run(&args.command, mutation) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command, mutation: Mutation) -> Result<()> {
    match command {
        Command::Spec => {
            print(&json!({"type": "SPEC", "spec": spec(mutation)}));
            Ok(())
        }
        Command::Check { config } => check(config),
        Command::Write { config, catalog } => {
            end_at_signals()?;
            write::write(
                &folder(&read_json(config, "configuration")?)?,
                &read_json(catalog, "catalog")?,
                mutation,
            )
        }
        Command::Read { config, stream } => {
            read(&folder(&read_json(config, "configuration")?)?, stream)
        }
    }
}

fn spec(mutation: Mutation) -> Value {
    let mut spec = json!({
        "documentationUrl": "https://example.org/stub",
        "protocol_version": "0.18.0",
        "supported_destination_sync_modes": ["overwrite", "append", "append_dedup"],
        "connectionSpecification": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Stub",
            "type": "object",
            "required": ["folder"],
            "properties": {
                "folder": {
                    "type": "string", "title": "Folder", "order": 0,
                    "description": "Where the tables are kept.", "examples": ["/data/tables"],
                },
            },
        },
    });
    if mutation.is(Fault::ModesUnnamed)
        && let Some(spec) = spec.as_object_mut()
    {
        spec.shift_remove("supported_destination_sync_modes");
    }
    spec
}

/// Writes a probe into the folder, and takes it away again.
fn check(config: &Path) -> Result<()> {
    let config = read_json(config, "configuration")?;
    let tried = folder(&config).and_then(|folder| {
        let probe = folder.join(format!(".probe-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&probe, ""))
            .and_then(|()| std::fs::remove_file(&probe))
            .map_err(|error| Error::config(format!("{}: {error}.", folder.display())))
    });
    let status = match tried {
        Ok(()) => json!({"status": "SUCCEEDED"}),
        Err(error) => json!({"status": "FAILED", "message": error.message()}),
    };
    print(&json!({"type": "CONNECTION_STATUS", "connectionStatus": status}));
    Ok(())
}

/// Prints the rows that readers see.
fn read(folder: &Path, stream: &str) -> Result<()> {
    let table = Table::open(folder, stream).map_err(|error| storage(&error))?;
    if !table.is_there() {
        return Err(Error::config(format!("There is no table {stream:?}.")));
    }
    for row in table.rows(Area::Live).map_err(|error| storage(&error))? {
        // A row of a deleted record is kept to be compared with late ones, and is not shown.
        if row["_ab_cdc_deleted_at"].is_null() {
            print(&row);
        }
    }
    Ok(())
}

fn folder(config: &Value) -> Result<PathBuf> {
    match config["folder"].as_str() {
        Some(folder) if !folder.is_empty() => Ok(PathBuf::from(folder)),
        _ => Err(Error::config("Config validation error: 'folder' must be a path.")),
    }
}

fn read_json(path: &Path, what: &str) -> Result<Value> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::config(format!("The {what} cannot be read: {error}.")))?;
    match serde_json::from_str(&text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Error::config(format!("The {what} is no JSON object."))),
        Err(error) => Err(Error::config(format!("The {what} is no JSON: {error}."))),
    }
}

fn storage(error: &std::io::Error) -> Error {
    Error::system("The tables cannot be read or written.").with_internal(error.to_string())
}

/// Prints a message. False when nobody reads it.
fn print(message: &Value) -> bool {
    print_text(&message.to_string())
}

fn print_text(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{text}\n").as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

fn print_error(error: &Error) {
    let mut body = json!({"message": error.message(), "failure_type": error.kind().as_str()});
    if let Some(internal) = error.internal() {
        body["internal_message"] = internal.into();
    }
    if let Some(stream) = error.stream() {
        body["stream_descriptor"] = json!({"name": stream.name, "namespace": stream.namespace});
    }
    let trace = json!({"type": "ERROR", "emitted_at": now_ms() as f64, "error": body});
    print(&json!({"type": "TRACE", "trace": trace}));
}

/// A signal ends the process: what was not acknowledged comes again.
fn end_at_signals() -> Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Error::system("No signals.").with_internal(error.to_string()))?;
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}
