//! The command line of the stub source.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::stub::mutants::{Fault, Mutation};

/// What is to be done.
#[derive(Debug, Parser)]
#[command(name = "stub-source", disable_help_subcommand = true)]
pub struct Args {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands of a source.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints what can be configured.
    Spec {
        /// More log messages.
        #[arg(long)]
        debug: bool,
        /// Not needed; accepted for mutants.
        #[arg(long, hide = true)]
        config: Option<PathBuf>,
    },
    /// Tries the configuration.
    Check(Common),
    /// Prints the streams.
    Discover(Common),
    /// Prints records.
    Read {
        /// What all commands take.
        #[command(flatten)]
        common: Common,
        /// The streams to read.
        #[arg(long)]
        catalog: PathBuf,
        /// Where the last read ended.
        #[arg(long)]
        state: Option<PathBuf>,
    },
}

/// What all commands but `spec` take.
#[derive(Debug, ClapArgs)]
pub struct Common {
    /// The configuration.
    #[arg(long)]
    pub config: PathBuf,
    /// More log messages.
    #[arg(long)]
    pub debug: bool,
}

impl Args {
    /// Reads the arguments, the name of the program not among them.
    pub fn read(args: &[String], mutation: Mutation) -> Result<Self, clap::Error> {
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        if mutation.is(Fault::UnknownFlagIgnored) {
            forgive(&mut args);
        }
        Self::try_parse_from(std::iter::once("stub-source").chain(args))
    }

    /// Whether debug messages are wanted.
    pub fn is_debugging(&self) -> bool {
        let by_flag = match &self.command {
            Command::Spec { debug, .. } => *debug,
            Command::Check(common) | Command::Discover(common) | Command::Read { common, .. } => {
                common.debug
            }
        };
        by_flag || std::env::var("LOG_LEVEL").is_ok_and(|level| level.eq_ignore_ascii_case("debug"))
    }
}

/// Leaves out what is not known: what `unknown-flag-ignored` does wrong.
fn forgive(args: &mut Vec<&str>) {
    const COMMANDS: [&str; 4] = ["spec", "check", "discover", "read"];
    const FLAGS: [&str; 4] = ["--config", "--catalog", "--state", "--debug"];
    let is_known = |flag: &str| FLAGS.contains(&flag.split('=').next().unwrap_or(flag));
    args.retain(|arg| !arg.starts_with("--") || is_known(arg));
    if !args.first().is_some_and(|command| COMMANDS.contains(command)) {
        args.splice(..usize::from(!args.is_empty()), ["spec"]);
        args.truncate(1);
    }
}
