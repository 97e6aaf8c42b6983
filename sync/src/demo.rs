//! `sync demo`: a whole life of a connection against the sandbox, checked against its truth, for
//! each API that has a connector.

mod api;
mod build;
mod changes;
mod lake;
mod life;
mod report;
mod rows;
mod verify;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tempfile::TempDir;

use crate::error::{Error, Result};
use api::Api;
use lake::Lake;
use life::Life;

/// The rows that suit two cores and two minutes.
pub const DEFAULT_ROWS: u64 = 300;

/// What the demo is to do.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The size of the emulated accounts: objects in each of Stripe's large collections;
    /// Salesforce's have twenty times as many, and 6,000 at least.
    pub rows: u64,
    /// The seed of their data and of the faults.
    pub seed: u64,
    /// The only connector to show; all are shown, built or looked for beside this program, when
    /// absent.
    pub source: Option<PathBuf>,
    /// The destination; built or looked for beside this program when absent.
    pub destination: Option<PathBuf>,
    /// Where configurations and states are kept; a temporary folder when absent.
    pub keep: Option<PathBuf>,
    /// The folder that the tables are written to.
    pub lake: PathBuf,
    /// The streams to read, of whichever connector; all when empty.
    pub streams: Vec<String>,
}

/// Runs the demo. True when everything matched.
pub fn demo(options: &DemoOptions) -> Result<bool> {
    let place = Place::new(options.keep.as_deref())?;
    let apis = shown(options.source.as_deref())?;
    println!("1. the connectors");
    let program = |given: &Option<PathBuf>, package: &str| match given {
        Some(path) => Ok(path.clone()),
        None => build::connector(package),
    };
    let sources: Result<Vec<PathBuf>> =
        apis.iter().map(|api| program(&options.source, api.connector)).collect();
    let lake = Lake::prepare(program(&options.destination, build::DESTINATION)?, &options.lake)?;
    let mut lives = Vec::new();
    for (api, source) in apis.into_iter().zip(sources?) {
        let files = place.of(api)?;
        let tables = lake.tables(api.name, &files)?;
        lives.push(Life::start(options, api, source, tables, files)?);
    }
    let mut lives = choose(lives, &options.streams)?;
    let start = Instant::now();
    let mut all_is_well = true;
    for life in &mut lives {
        all_is_well &= life.run()?;
    }
    println!(
        "\nThe tables stay in {}, {:.0} s later.",
        lake.folder().display(),
        start.elapsed().as_secs_f64()
    );
    for life in &lives {
        println!("To query one of {}:\n{}", life.api.name, life.how_to_query());
    }
    Ok(all_is_well)
}

/// The APIs of the demo: that of a given connector, or all.
fn shown(source: Option<&Path>) -> Result<Vec<&'static Api>> {
    let Some(source) = source else { return Ok(api::ALL.to_vec()) };
    let name = source.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let shown: Vec<&Api> = api::ALL.into_iter().filter(|api| api.connector == name).collect();
    if shown.is_empty() {
        let known: Vec<&str> = api::ALL.iter().map(|api| api.connector).collect();
        return Err(Error::usage(format!(
            "there is no demo of `{name}`; --source takes a program called {}",
            known.join(" or ")
        )));
    }
    Ok(shown)
}

/// Leaves to each life its streams among the named ones, and only lives that have any.
fn choose(mut lives: Vec<Life>, names: &[String]) -> Result<Vec<Life>> {
    if names.is_empty() {
        return Ok(lives);
    }
    let mut unknown: BTreeSet<&String> = names.iter().collect();
    for life in &mut lives {
        let has = life.streams()?;
        life.names = names.iter().filter(|name| has.contains(name)).cloned().collect();
        life.names.iter().for_each(|name| {
            unknown.remove(name);
        });
    }
    if let Some(name) = unknown.first() {
        let known: Result<Vec<Vec<String>>> = lives.iter().map(Life::streams).collect();
        return Err(Error::usage(format!(
            "there is no stream `{name}`; there are {}",
            known?.concat().join(", ")
        )));
    }
    lives.retain(|life| !life.names.is_empty());
    Ok(lives)
}

/// Where the demo keeps its files.
struct Place {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self> {
        if let Some(folder) = keep {
            return Ok(Self { folder: folder.to_owned(), _temporary: None });
        }
        let temporary = tempfile::Builder::new()
            .prefix("sync-demo-")
            .tempdir()
            .map_err(|error| Error::run(format!("cannot create a temporary folder: {error}")))?;
        Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }

    /// The folder for the files of an API.
    fn of(&self, api: &Api) -> Result<PathBuf> {
        let folder = self.folder.join(api.name);
        fs::create_dir_all(&folder)
            .map_err(|error| Error::io("create the folder", &folder, error))?;
        if folder.join(life::STATE).exists() {
            return Err(Error::usage(format!(
                "{} holds an earlier demo: name an empty folder, or remove it",
                folder.display()
            )));
        }
        Ok(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_connector_is_shown_alone() {
        let names = |source: &str| -> Result<Vec<&str>> {
            Ok(shown(Some(Path::new(source)))?.iter().map(|api| api.name).collect())
        };
        assert_eq!(names("target/release/source-salesforce").unwrap(), ["salesforce"]);
        assert_eq!(names("/a/source-other").unwrap_err().exit_code(), 2);
        assert_eq!(shown(None).unwrap().len(), api::ALL.len());
    }
}
