//! The command line of sync.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sync::Result;
use sync::demo::{self, DemoOptions};
use sync::run::{self, Options, Summary, describe_error};

/// Runs Airbyte sources and destinations on this machine.
#[derive(Debug, Parser)]
#[command(name = "sync", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Commands,
}

#[derive(Debug, Subcommand)]
enum Commands {
    /// Reads a source and keeps its records and its state.
    Run(RunArgs),
    /// Shows a whole life of a connection against the sandbox: read, crash, resume, change, read.
    Demo(DemoArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The source: a program and its arguments (quotes are understood, no shell is used).
    #[arg(long, value_name = "COMMAND")]
    source: String,
    /// The source's configuration, a JSON file. It is rewritten when the source renews it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The configured catalog. Without it, everything that `discover` finds is read.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Reads only these streams: names, or namespace.name, with commas between them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    streams: Vec<String>,
    /// The state file: read at the start, rewritten at each checkpoint.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// The folder in which each stream gets a file of JSON lines.
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present = "destination",
        conflicts_with = "destination"
    )]
    out: Option<PathBuf>,
    /// A destination to write to instead: a program and its arguments.
    #[arg(long, value_name = "COMMAND", requires = "destination_config")]
    destination: Option<String>,
    /// The destination's configuration, a JSON file.
    #[arg(long, value_name = "FILE", requires = "destination")]
    destination_config: Option<PathBuf>,
    /// Reads everything from the start, and replaces what is there once a stream is complete.
    #[arg(long)]
    full_refresh: bool,
    /// Shows the informational log of the connectors too.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// The size of the emulated accounts: objects in each of Stripe's large collections.
    /// Salesforce's have twenty times as many.
    #[arg(long, default_value_t = demo::DEFAULT_ROWS, value_parser = clap::value_parser!(u64).range(100..))]
    rows: u64,
    /// The seed of the data and of the faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shows only this connector, source-stripe or source-salesforce; both are built when absent.
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// The destination; without it, the one beside this program, or the one that cargo builds.
    #[arg(long, value_name = "PROGRAM")]
    destination: Option<PathBuf>,
    /// Keeps configurations and states in this folder.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The folder that the tables are written to; one of an earlier demo is replaced.
    #[arg(long, value_name = "FOLDER", default_value = "lake")]
    lake: PathBuf,
    /// Reads only these streams, with commas between them.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    streams: Vec<String>,
}

fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Commands::Run(args) => run_command(args),
        Commands::Demo(args) => demo_command(args),
    };
    match code {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("sync: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run_command(args: RunArgs) -> Result<u8> {
    let options = Options {
        source: args.source,
        config: args.config,
        catalog: args.catalog,
        streams: args.streams,
        state: args.state,
        out: args.out,
        destination: args.destination,
        destination_config: args.destination_config,
        full_refresh: args.full_refresh,
        verbose: args.verbose,
    };
    let summary = run::run(&options)?;
    print!("{}\n{}", summary.stats.table(), summary.stats.totals());
    explain(&summary);
    Ok(summary.exit_code())
}

fn demo_command(args: DemoArgs) -> Result<u8> {
    let DemoArgs { rows, seed, source, destination, keep, lake, streams } = args;
    let matched =
        demo::demo(&DemoOptions { rows, seed, source, destination, keep, lake, streams })?;
    Ok(u8::from(!matched))
}

/// Says why a sync did not succeed, after its table.
fn explain(summary: &Summary) {
    if summary.success {
        return;
    }
    for error in &summary.stats.errors {
        eprintln!("error: {}", describe_error(error));
    }
    if summary.cut_bytes > 0 {
        eprintln!("{} bytes behind the last checkpoint were cut off the output", summary.cut_bytes);
    }
    let destination =
        summary.destination_end.as_ref().map(|end| format!("; the destination: {end}"));
    eprintln!(
        "sync: not everything was read. The source: {}{}. The states so far are saved; run the same command \
         again to go on",
        summary.source_end,
        destination.unwrap_or_default()
    );
}
