//! The life of one connection: read, killed, resumed; changes, and the read that brings them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use airbyte_protocol::{Catalog, ConfiguredStream, StreamDescriptor, SyncMode};
use sandbox::faults::Profile;
use sandbox::{Admin, Server};
use serde_json::Value;

use super::api::{Api, Trial};
use super::lake::{self, Tables};
use super::report::{self, Effort, Requests, StreamReport};
use super::rows::{Rows, Shape};
use super::verify::{Verdict, compare};
use super::{DemoOptions, changes};
use crate::connector::Connector;
use crate::error::{Error, Result};
use crate::run::{self, Options, Summary, Watch, describe_error};
use crate::stats::Stats;
use crate::{catalog, table};

/// The name of the state file.
pub const STATE: &str = "state.json";

/// A connection and the sandbox that it reads.
pub struct Life {
    /// What it reads.
    pub api: &'static Api,
    /// The streams of the next read; all when empty.
    pub names: Vec<String>,
    server: Server,
    rows: u64,
    source: PathBuf,
    tables: Tables,
    files: PathBuf,
    streams: Vec<Compared>,
    reports: Vec<StreamReport>,
    requests: Requests,
    effort: Effort,
    step: u32,
    /// Whether every run that was to succeed did.
    succeeded: bool,
}

/// A stream that is read and compared.
struct Compared {
    stream: StreamDescriptor,
    shape: Shape,
    /// Members that are not compared after the changes.
    told_by_changes: &'static [&'static str],
    incremental: bool,
}

impl Life {
    /// Starts the sandbox.
    pub fn start(
        options: &DemoOptions,
        api: &'static Api,
        source: PathBuf,
        tables: Tables,
        files: PathBuf,
    ) -> Result<Self> {
        let wrong = |what: &str, why: String| Error::run(format!("{what}: {why}"));
        let rows = (api.rows)(options.rows);
        let server = Server::start(sandbox::Options {
            rows,
            seed: options.seed,
            faults: Profile::parse("rough").map_err(|why| wrong("the fault profile", why))?,
            salesforce: sandbox::salesforce::Settings::load(api.org)
                .map_err(|why| wrong("the emulated org", why))?,
            ..sandbox::Options::default()
        })
        .map_err(|error| wrong("the sandbox cannot start", error.to_string()))?;
        Ok(Self {
            api,
            names: Vec::new(),
            server,
            rows,
            source,
            tables,
            files,
            streams: Vec::new(),
            reports: Vec::new(),
            requests: Requests::default(),
            effort: Effort::default(),
            step: 1,
            succeeded: true,
        })
    }

    /// The streams that can be compared.
    pub fn streams(&self) -> Result<Vec<String>> {
        let streams = self.admin().streams(self.api.name);
        streams.map_err(|why| Error::run(format!("the sandbox does not tell its streams: {why}")))
    }

    /// How others read a table.
    pub fn how_to_query(&self) -> String {
        self.tables.how_to_query(self.api.example)
    }

    /// Everything. True when all is as it must be.
    pub fn run(&mut self) -> Result<bool> {
        let start = Instant::now();
        println!("\n{} into the lake", self.api.connector);
        self.prepare()?;
        self.first_read()?;
        self.changes()?;
        let quiet = self.quiet_read()?;
        let matched = self.reports.iter().all(StreamReport::is_match);
        println!(
            "\n{}\n{}",
            report::streams(&self.reports),
            report::totals(self.requests, self.effort)
        );
        self.explain_differences();
        let verdict = match (self.succeeded, matched, quiet) {
            (false, ..) => "the connector FAILED on the way",
            (true, false, _) => "NOT everything matched the truth",
            (true, true, false) => "everything matched the truth, but the quiet read was NOT quiet",
            (true, true, true) => "everything matched the truth",
        };
        println!("{}: {verdict}, after {:.0} s", self.api.connector, start.elapsed().as_secs_f64());
        Ok(self.succeeded && matched && quiet)
    }

    fn prepare(&mut self) -> Result<()> {
        self.announce(&format!(
            "a sandbox at {} with {} rows a collection: {}",
            self.server.url(),
            table::count(self.rows),
            self.api.faults
        ));
        let config = self.config()?;
        let connector = Connector::at("source", &self.source);
        connector.spec()?;
        let said = connector.check(&config)?;
        self.announce(&format!(
            "spec and check: {}",
            said.as_deref().unwrap_or("the configuration works")
        ));
        self.tables.check()?;
        let mut catalog = connector.discover(&config)?;
        self.announce(&format!("discover: {} streams", catalog.streams.len()));
        catalog.streams.retain(|stream| !self.api.untold.contains(&stream.name.as_str()));
        self.streams = compared(self.api, catalog, &self.names)?;
        self.names = self.streams.iter().map(|compared| compared.stream.to_string()).collect();
        Ok(())
    }

    /// The full read, killed on the way and resumed.
    fn first_read(&mut self) -> Result<()> {
        let truths = self.truths(true)?;
        let expected: u64 = truths.iter().map(|truth| truth.received).sum();
        let killed = AtomicBool::new(false);
        let (admin, trial) = (self.admin(), self.api.trial);
        let watch = |stats: &Stats| {
            stats.records() >= expected / 3
                && stats.states() > 0
                && trial(&admin).is_ok_and(|trial| trial != Trial::Open)
                && !killed.swap(true, Ordering::AcqRel)
        };
        self.announce(&format!(
            "full read of {} records into the lake, killed on the way",
            table::count(expected)
        ));
        let summary = self.sync(&watch)?;
        if !killed.load(Ordering::Acquire) || summary.success {
            return Err(why_not_killed(&summary));
        }
        self.announce("the same again: it resumes from the state");
        self.sync_to_the_end()?;
        match trial(&admin)? {
            Trial::None => {}
            Trial::Open => return Err(Error::run("what had to go wrong on purpose did not")),
            Trial::Over(told) => println!("   {told}"),
        }
        self.announce("comparing every stream with the truth");
        let received = self.received(true)?;
        self.reports = self
            .streams
            .iter()
            .zip(truths.iter().zip(received))
            .map(|(compared, (truth, rows))| StreamReport {
                name: compared.stream.to_string(),
                received: rows.received,
                duplicates: rows.repeated,
                first: compare(&truth.by_key, &rows.by_key),
                ..StreamReport::default()
            })
            .collect();
        println!("   {}", verdict_line(&self.reports, |report| &report.first));
        Ok(())
    }

    /// Changes in the account, and the read that brings them.
    fn changes(&mut self) -> Result<()> {
        let done = changes::make(self.api, &self.admin())?;
        self.announce(&format!("changes: {done}; {} minutes pass", changes::SECONDS_AFTER / 60));
        self.announce(
            "incremental read: rows take the place of older ones of their key; is_deleted deletes",
        );
        let summary = self.sync_to_the_end()?;
        let (truths, received) = (self.truths(false)?, self.received(false)?);
        for (at, (truth, rows)) in truths.iter().zip(received).enumerate() {
            self.reports[at].changed = summary.stats.streams[at].records;
            self.reports[at].second = compare(&truth.by_key, &rows.by_key);
        }
        println!("   {}", verdict_line(&self.reports, |report| &report.second));
        Ok(())
    }

    /// A read when nothing has changed. True when it brought nothing.
    fn quiet_read(&mut self) -> Result<bool> {
        let incremental = self.streams.iter().filter(|compared| compared.incremental);
        self.names = incremental.map(|compared| compared.stream.to_string()).collect();
        if self.names.is_empty() {
            // To sync, no names mean all streams.
            return Ok(true);
        }
        self.announce(&format!(
            "a read of the {} incremental streams, with nothing new",
            self.names.len()
        ));
        let summary = self.sync_to_the_end()?;
        Ok(summary.stats.records() == 0)
    }

    fn announce(&mut self, what: &str) {
        self.step += 1;
        println!("{}. {what}", self.step);
    }

    fn admin(&self) -> Admin {
        self.server.admin()
    }

    /// Writes the connector's configuration.
    fn config(&self) -> Result<PathBuf> {
        let wrong = |why: String| {
            Error::run(format!("the sandbox has no configuration for the connector: {why}"))
        };
        let text = sandbox::cli::config(self.api.connector, &self.server.url())
            .map_err(|error| wrong(error.to_string()))?;
        let mut config: Value = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if let (Value::Object(config), Value::Object(more)) = (&mut config, (self.api.config)()) {
            config.extend(more);
        }
        let file = self.config_file();
        fs::write(&file, config.to_string()).map_err(|error| Error::io("write", &file, error))?;
        Ok(file)
    }

    fn config_file(&self) -> PathBuf {
        self.files.join("config.json")
    }

    /// One run of the connector, with its requests counted.
    fn sync(&mut self, watch: &Watch<'_>) -> Result<Summary> {
        let admin = self.admin();
        admin.reset_counters();
        let summary = run::run_watched(&self.options(), watch)?;
        let requests = Requests::of(&admin.counters());
        self.requests = self.requests.plus(requests);
        self.effort.add(&summary.stats);
        println!(
            "   {} records by {} requests in {:.1} s, {} of them refused by limits; the connector: {}",
            table::count(summary.stats.records()),
            table::count(requests.total),
            summary.stats.elapsed.as_secs_f64(),
            table::count(requests.limited),
            summary.source_end
        );
        Ok(summary)
    }

    /// One run of the connector that has to succeed. One that fails is held against it at the
    /// end; what it brought is compared all the same, since that shows more.
    fn sync_to_the_end(&mut self) -> Result<Summary> {
        let summary = self.sync(&|_| false)?;
        self.succeeded &= summary.success;
        Ok(summary)
    }

    /// The records that must be there now.
    fn truths(&self, first: bool) -> Result<Vec<Rows>> {
        let admin = self.admin();
        let truth = |compared: &Compared| {
            let stream = &compared.stream;
            let text = admin.truth(self.api.name, &stream.name).map_err(|why| {
                Error::run(format!("the sandbox knows no truth for {stream}: {why}"))
            })?;
            Rows::parse(&text, &compared.shape(first))
        };
        self.streams.iter().map(truth).collect()
    }

    /// The rows that the tables have now.
    fn received(&self, first: bool) -> Result<Vec<Rows>> {
        let mut tables = self.tables.rows()?;
        let rows = |compared: &Compared| {
            let mut rows = Rows::default();
            let shape = compared.shape(first);
            let found = tables.remove(&compared.stream.name).unwrap_or_default();
            found.into_iter().for_each(|row| rows.add(row, &shape));
            rows
        };
        Ok(self.streams.iter().map(rows).collect())
    }

    /// What is synced, and where to.
    fn options(&self) -> Options {
        Options {
            source: quoted(&self.source),
            config: self.config_file(),
            streams: self.names.clone(),
            state: self.files.join(STATE),
            destination: Some(quoted(&self.tables.program)),
            destination_config: Some(self.tables.config.clone()),
            ..Options::default()
        }
    }

    fn explain_differences(&self) {
        for report in &self.reports {
            for (what, verdict) in
                [("first read", &report.first), ("after the changes", &report.second)]
            {
                for example in &verdict.examples {
                    println!("{}, {what}: {example}", report.name);
                }
            }
        }
    }
}

impl Compared {
    /// The shape for the first comparison, or for the one after the changes.
    fn shape(&self, first: bool) -> Shape {
        let mut shape = self.shape.clone();
        if !first {
            shape.ignored.extend(self.told_by_changes);
        }
        shape
    }
}

fn compared(api: &'static Api, offered: Catalog, names: &[String]) -> Result<Vec<Compared>> {
    let mut configured = catalog::configure(offered);
    catalog::select(&mut configured, names)?;
    let compared = |stream: ConfiguredStream| {
        let name = &stream.stream.name;
        let ignored = api.ignored.iter().filter(|(of, _)| of == name).map(|(_, member)| *member);
        Compared {
            incremental: stream.sync_mode == SyncMode::Incremental,
            stream: stream.descriptor(),
            told_by_changes: api.told_by_changes,
            shape: Shape {
                ignored: ignored.collect(),
                columns: Some(lake::columns(&stream.stream.json_schema.value())),
                primary_key: stream.primary_key,
            },
        }
    };
    Ok(configured.streams.into_iter().map(compared).collect())
}

/// A path as a command line. Single quotes keep one with blanks together; one in the path itself is
/// escaped.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn verdict_line(reports: &[StreamReport], verdict: fn(&StreamReport) -> &Verdict) -> String {
    let differ: Vec<String> = reports
        .iter()
        .filter(|report| !verdict(report).is_match())
        .map(|report| format!("{}: {}", report.name, verdict(report).summary()))
        .collect();
    if differ.is_empty() {
        let equal = reports.iter().map(|report| verdict(report).equal).sum();
        return format!(
            "{} records of {} streams are as they must be",
            table::count(equal),
            reports.len()
        );
    }
    format!("{} of {} streams differ: {}", differ.len(), reports.len(), differ.join("; "))
}

fn why_not_killed(summary: &Summary) -> Error {
    if summary.success {
        return Error::usage(
            "the read was over before it could be killed: give more --rows, or other --streams",
        );
    }
    failure(summary)
}

fn failure(summary: &Summary) -> Error {
    let errors: Vec<String> = summary.stats.errors.iter().map(describe_error).collect();
    let told = if errors.is_empty() { "it told no error".to_owned() } else { errors.join("; ") };
    Error::run(format!("the connector failed ({}): {told}", summary.source_end))
}
