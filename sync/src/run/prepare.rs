//! Everything before the first process starts reading.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use airbyte_protocol::{ConfiguredCatalog, StreamDescriptor};
use tempfile::TempDir;

use super::Options;
use crate::atomic::{self, Lock};
use crate::connector::Connector;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::output::{Found, OutputFolder, Plan};
use crate::progress::Progress;
use crate::states::{self, States};
use crate::{catalog, manifest};

/// A sync that is ready to start.
pub(super) struct Prepared {
    source: Connector,
    destination: Option<Connector>,
    /// The streams that are read, in the catalog's order.
    pub(super) streams: Vec<StreamDescriptor>,
    pub(super) ledger: Ledger,
    files: Files,
    _lock: Lock,
}

/// The catalog and the state as files for the connectors. The folder goes when this is dropped.
struct Files {
    folder: TempDir,
    has_state: bool,
}

impl Prepared {
    pub(super) fn new(options: &Options, progress: &Progress) -> Result<Self> {
        let source = Connector::parse("source", &options.source)?;
        let destination = options
            .destination
            .as_deref()
            .map(|command| Connector::parse("destination", command))
            .transpose()?;
        needs_file("--config", &options.config)?;
        if let Some(config) = &options.destination_config {
            needs_file("--destination-config", config)?;
        }
        let lock = lock_state(&options.state)?;
        let state_text = states::read_file(&options.state)?;
        let mut catalog = match &options.catalog {
            Some(path) => catalog::read_file(path)?,
            None => catalog::configure(source.discover(&options.config)?),
        };
        catalog::select(&mut catalog, &options.streams)?;
        let streams = catalog::descriptors(&catalog);
        let states =
            States::parse(state_text.as_deref().unwrap_or_default(), &options.state, &streams)?;
        if options.full_refresh && destination.is_some() {
            catalog::new_generation(&mut catalog, now_seconds());
        }
        let plans = catalog::plans(&catalog, &states, options.full_refresh);
        let (output, found) = match &options.out {
            Some(path) => {
                let state = manifest::fingerprint(state_text.as_ref().map(|text| text.as_bytes()));
                let (output, found) = OutputFolder::open(path, &plans, state)?;
                (Some(output), found)
            }
            None => (None, Found::default()),
        };
        announce(&found, options, progress);
        let files = Files::write(&catalog, &states.text_for(&continued(&plans, &found)))?;
        let ledger = Ledger::new(options.state.clone(), states, output);
        Ok(Self { source, destination, streams, ledger, files, _lock: lock })
    }

    /// The command that reads.
    pub(super) fn source_command(&self, options: &Options) -> Command {
        let (catalog, state) = (self.files.catalog(), self.files.state());
        let mut flags =
            vec![("--config", options.config.as_path()), ("--catalog", catalog.as_path())];
        if self.files.has_state {
            flags.push(("--state", &state));
        }
        self.source.command("read", &flags)
    }

    /// The command that writes, if there is a destination.
    pub(super) fn destination_command(&self, options: &Options) -> Option<Command> {
        let catalog = self.files.catalog();
        let mut flags = vec![("--catalog", catalog.as_path())];
        if let Some(config) = &options.destination_config {
            flags.insert(0, ("--config", config));
        }
        Some(self.destination.as_ref()?.command("write", &flags))
    }
}

impl Files {
    fn write(catalog: &ConfiguredCatalog, states: &str) -> Result<Self> {
        let folder = TempDir::new()
            .map_err(|error| Error::run(format!("cannot create a temporary folder: {error}")))?;
        let files = Self { folder, has_state: states.trim() != "[]" };
        let catalog = serde_json::to_string(catalog)
            .map_err(|error| Error::run(format!("cannot write the catalog: {error}")))?;
        for (path, text) in [(files.catalog(), catalog.as_str()), (files.state(), states)] {
            std::fs::write(&path, text).map_err(|error| Error::io("write", &path, error))?;
        }
        Ok(files)
    }

    fn catalog(&self) -> PathBuf {
        self.folder.path().join("catalog.json")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }
}

/// The streams whose state the source gets: incremental ones, and full refreshes that were cut
/// off and can be resumed.
fn continued(plans: &[Plan], found: &Found) -> Vec<StreamDescriptor> {
    plans
        .iter()
        .filter(|plan| plan.resume && (plan.incremental || found.unfinished.contains(&plan.stream)))
        .map(|plan| plan.stream.clone())
        .collect()
}

fn announce(found: &Found, options: &Options, progress: &Progress) {
    if found.foreign_state {
        progress.say(&format!(
            "the state file {} is not the one that belongs to the output folder; what the source sends again \
             will stand there twice",
            options.state.display()
        ));
    }
    if found.cut_bytes > 0 {
        progress.say(&format!(
            "{} bytes behind the last checkpoint were cut off; they will be read again",
            found.cut_bytes
        ));
    }
}

fn needs_file(flag: &str, path: &Path) -> Result<()> {
    let explain = |why: String| Error::usage(format!("{flag} {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => explain("there is no such file".into()),
        _ => explain(error.to_string()),
    })?;
    let config: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| explain(format!("it is not valid JSON: {error}")))?;
    if config.is_object() { Ok(()) } else { Err(explain("it does not hold a JSON object".into())) }
}

fn lock_state(state: &Path) -> Result<Lock> {
    let folder = atomic::folder_of(state);
    std::fs::create_dir_all(folder)
        .map_err(|error| Error::io("create the folder", folder, error))?;
    let mut path = state.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    Lock::file(&path).map_err(|error| Error::io("lock", &path, error))?.ok_or_else(|| {
        Error::usage(format!("another sync is using the state file {}", state.display()))
    })
}

fn now_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
