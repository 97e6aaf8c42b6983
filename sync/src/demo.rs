//! `sync demo`: a whole life of a connection against the sandbox, checked against its truth.

mod build;
mod changes;
mod lake;
mod report;
mod rows;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use airbyte_protocol::{Catalog, ConfiguredStream, StreamDescriptor, SyncMode};
use sandbox::faults::Profile;
use sandbox::{Admin, Server};
use tempfile::TempDir;

use crate::connector::Connector;
use crate::error::{Error, Result};
use crate::run::{self, Options, Summary, Watch, describe_error};
use crate::stats::Stats;
use crate::{catalog, table};
use lake::Lake;
use report::{Effort, Requests, StreamReport};
use rows::{Rows, Shape};
use verify::{Verdict, compare};

/// The emulated API, as the sandbox calls it.
const API: &str = "stripe";

/// What the demo is to do.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// The size of the emulated account: objects in each of its large collections.
    pub rows: u64,
    /// The seed of its data and of the faults.
    pub seed: u64,
    /// The connector; built or looked for beside this program when absent.
    pub source: Option<PathBuf>,
    /// The destination; built or looked for beside this program when absent.
    pub destination: Option<PathBuf>,
    /// Where configuration and state are kept; a temporary folder when absent.
    pub keep: Option<PathBuf>,
    /// The folder that the tables are written to.
    pub lake: PathBuf,
    /// The streams to read; all when empty.
    pub streams: Vec<String>,
}

/// Runs the demo. True when everything matched.
pub fn demo(options: &DemoOptions) -> Result<bool> {
    let mut demo = Demo::prepare(options)?;
    demo.first_read()?;
    demo.changes()?;
    let quiet = demo.quiet_read()?;
    let matched = demo.reports.iter().all(StreamReport::is_match);
    println!(
        "\n{}\n{}",
        report::streams(&demo.reports),
        report::totals(demo.requests, demo.effort)
    );
    demo.explain_differences();
    let verdict = match (demo.succeeded, matched, quiet) {
        (false, ..) => "the connector FAILED on the way",
        (true, false, _) => "NOT everything matched the truth",
        (true, true, false) => "everything matched the truth, but the quiet read was NOT quiet",
        (true, true, true) => "everything matched the truth",
    };
    println!("{verdict}, after {:.0} s", demo.start.elapsed().as_secs_f64());
    println!("{}", demo.lake.how_to_query());
    Ok(demo.succeeded && matched && quiet)
}

/// Where the demo keeps its files.
struct Place {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

/// A stream that is read and compared.
struct Compared {
    stream: StreamDescriptor,
    shape: Shape,
    incremental: bool,
}

struct Demo {
    admin: Admin,
    _server: Server,
    source: PathBuf,
    lake: Lake,
    names: Vec<String>,
    place: Place,
    streams: Vec<Compared>,
    reports: Vec<StreamReport>,
    requests: Requests,
    effort: Effort,
    step: u32,
    /// When the connector was there and the demo began.
    start: Instant,
    /// Whether every run that was to succeed did.
    succeeded: bool,
}

impl Demo {
    fn prepare(options: &DemoOptions) -> Result<Self> {
        let place = Place::new(options.keep.as_deref())?;
        println!("1. the connectors");
        let source = match &options.source {
            Some(path) => path.clone(),
            None => build::connector(build::CONNECTOR)?,
        };
        let destination = match &options.destination {
            Some(path) => path.clone(),
            None => build::connector(build::DESTINATION)?,
        };
        let lake = Lake::prepare(destination, &options.lake, &place.folder)?;
        let start = Instant::now();
        let faults = Profile::parse("rough")
            .map_err(|why| Error::run(format!("the fault profile: {why}")))?;
        let server = Server::start(sandbox::Options {
            rows: options.rows,
            seed: options.seed,
            faults,
            ..sandbox::Options::default()
        })
        .map_err(|error| Error::run(format!("the sandbox cannot start: {error}")))?;
        println!(
            "2. a sandbox at {} with {} rows a collection, 429s, 5xx, resets and broken bodies",
            server.url(),
            table::count(options.rows)
        );
        let config = sandbox::cli::config(build::CONNECTOR, &server.url()).map_err(|error| {
            Error::run(format!("the sandbox has no configuration for the connector: {error}"))
        })?;
        fs::write(place.config(), config)
            .map_err(|error| Error::io("write", &place.config(), error))?;
        let connector = Connector::at("source", &source);
        connector.spec()?;
        let said = connector.check(&place.config())?;
        println!("3. spec and check: {}", said.as_deref().unwrap_or("the configuration works"));
        lake.check()?;
        let catalog = connector.discover(&place.config())?;
        println!("4. discover: {} streams", catalog.streams.len());
        Ok(Self {
            admin: server.admin(),
            _server: server,
            source,
            lake,
            names: options.streams.clone(),
            place,
            streams: compared(catalog, &options.streams)?,
            reports: Vec::new(),
            requests: Requests::default(),
            effort: Effort::default(),
            step: 4,
            start,
            succeeded: true,
        })
    }

    /// The full read, killed half-way and resumed.
    fn first_read(&mut self) -> Result<()> {
        let truths = self.truths(true)?;
        let expected: u64 = truths.iter().map(|truth| truth.received).sum();
        let killed = AtomicBool::new(false);
        let watch = |stats: &Stats| {
            stats.records() >= expected / 2
                && stats.states() > 0
                && !killed.swap(true, Ordering::AcqRel)
        };
        self.announce(&format!(
            "full read of {} records into the lake, killed half-way",
            table::count(expected)
        ));
        let summary = self.sync(&watch)?;
        if !killed.load(Ordering::Acquire) || summary.success {
            return Err(why_not_killed(&summary));
        }
        self.announce("the same again: it resumes from the state");
        self.sync_to_the_end()?;
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
        let done = changes::make(&self.admin)?;
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

    /// One run of the connector, with its requests counted.
    fn sync(&mut self, watch: &Watch<'_>) -> Result<Summary> {
        self.admin.reset_counters();
        let summary = run::run_watched(&self.options(), watch)?;
        let requests = Requests::of(&self.admin.counters());
        self.requests = self.requests.plus(requests);
        self.effort.add(&summary.stats);
        println!(
            "   {} records by {} requests in {:.1} s, {} of them answered 429; the connector: {}",
            table::count(summary.stats.records()),
            table::count(requests.total),
            summary.stats.elapsed.as_secs_f64(),
            table::count(requests.rate_limited),
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
        let truth = |Compared { stream, shape, .. }: &Compared| {
            let text = self.admin.truth(API, &stream.name).map_err(|why| {
                Error::run(format!("the sandbox knows no truth for {stream}: {why}"))
            })?;
            Rows::parse(&text, &shape.at(first))
        };
        self.streams.iter().map(truth).collect()
    }

    /// The rows that the tables have now.
    fn received(&self, first: bool) -> Result<Vec<Rows>> {
        let mut tables = self.lake.rows()?;
        let rows = |Compared { stream, shape, .. }: &Compared| {
            let mut rows = Rows::default();
            let shape = shape.at(first);
            let found = tables.remove(&stream.name).unwrap_or_default();
            found.into_iter().for_each(|row| rows.add(row, &shape));
            rows
        };
        Ok(self.streams.iter().map(rows).collect())
    }

    /// What is synced, and where to.
    fn options(&self) -> Options {
        Options {
            source: quoted(&self.source),
            config: self.place.config(),
            streams: self.names.clone(),
            state: self.place.state(),
            destination: Some(quoted(&self.lake.program)),
            destination_config: Some(self.lake.config.clone()),
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

impl Place {
    fn new(keep: Option<&Path>) -> Result<Self> {
        let Some(folder) = keep else {
            let temporary =
                tempfile::Builder::new().prefix("sync-demo-").tempdir().map_err(|error| {
                    Error::run(format!("cannot create a temporary folder: {error}"))
                })?;
            return Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) });
        };
        fs::create_dir_all(folder)
            .map_err(|error| Error::io("create the folder", folder, error))?;
        let place = Self { folder: folder.to_owned(), _temporary: None };
        if place.state().exists() {
            return Err(Error::usage(format!(
                "{} holds an earlier demo: name an empty folder, or remove it",
                folder.display()
            )));
        }
        Ok(place)
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state.json")
    }
}

/// A path as a command line. Single quotes keep one with blanks together; one in the path itself is
/// escaped.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

impl Shape {
    /// The shape for the first comparison, or for the one after the changes: there the connector
    /// says when an object changed last, which a first read cannot know.
    fn at(&self, first: bool) -> Self {
        let mut shape = self.clone();
        if !first {
            shape.ignored.extend(["updated", "invoice_updated", "subscription_updated"]);
        }
        shape
    }
}

fn compared(offered: Catalog, names: &[String]) -> Result<Vec<Compared>> {
    let mut configured = catalog::configure(offered);
    catalog::select(&mut configured, names)?;
    let compared = |stream: ConfiguredStream| Compared {
        incremental: stream.sync_mode == SyncMode::Incremental,
        stream: stream.descriptor(),
        shape: Shape {
            ignored: ignored(&stream.stream.name),
            primary_key: stream.primary_key,
            columns: Some(lake::columns(&stream.stream.json_schema)),
        },
    };
    Ok(configured.streams.into_iter().map(compared).collect())
}

/// Members of a stream's rows that differ from read to read.
fn ignored(stream: &str) -> Vec<&'static str> {
    if stream == "balance" { vec!["snapshot_at"] } else { Vec::new() }
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
        return Error::usage("the read was over before it could be killed: give more --rows");
    }
    failure(summary)
}

fn failure(summary: &Summary) -> Error {
    let errors: Vec<String> = summary.stats.errors.iter().map(describe_error).collect();
    let told = if errors.is_empty() { "it told no error".to_owned() } else { errors.join("; ") };
    Error::run(format!("the connector failed ({}): {told}", summary.source_end))
}

/// The rows that suit two cores and two minutes.
pub const DEFAULT_ROWS: u64 = 300;
