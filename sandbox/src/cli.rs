//! The command line: `serve`, `config`, `truth`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::api::Api;
use crate::clock;
use crate::faults::Profile;
use crate::options::Options;
use crate::salesforce::{self, Salesforce};
use crate::server::Server;
use crate::stripe::{self, Stripe};

#[derive(Parser)]
#[command(
    name = "sandbox",
    version,
    about = "SaaS APIs emulated on loopback, with faults on demand"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the emulated APIs until killed.
    Serve(Serve),
    /// Print a connector's configuration for a sandbox.
    Config {
        /// The connector, such as source-stripe.
        connector: String,
        /// Where the sandbox listens.
        #[arg(long, default_value = "127.0.0.1:8700")]
        listen: SocketAddr,
        /// The sandbox serves HTTPS.
        #[arg(long)]
        tls: bool,
    },
    /// Print the records that a stream must emit on a first full read, as JSON lines.
    Truth {
        /// The connector, such as source-stripe.
        connector: String,
        /// The stream, such as charges.
        stream: String,
        #[command(flatten)]
        data: Data,
    },
}

#[derive(Args)]
struct Data {
    /// Seed of all data and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Objects in each large collection; the others follow.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// Virtual time at the start: an RFC 3339 date-time, or `now`.
    #[arg(long, default_value = "2026-11-01T00:00:00Z", value_parser = clock::parse_start)]
    clock_start: i64,
    /// The Salesforce org: TOML such as `data.objects = 100`, or a file of it ending in .toml.
    #[arg(long, default_value = "", hide_default_value = true, value_parser = salesforce::Settings::load)]
    salesforce: salesforce::Settings,
}

#[derive(Args)]
struct Serve {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8700")]
    listen: SocketAddr,
    #[command(flatten)]
    data: Data,
    /// `none`, `rough`, or a TOML file.
    #[arg(long, default_value = "none", value_parser = Profile::load)]
    faults: Profile,
    /// Milliseconds added to every answer.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Serve HTTPS with a self-signed certificate.
    #[arg(long)]
    tls: bool,
    /// Requests a second that each API accepts.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: Option<u32>,
    /// Pretty-print bodies.
    #[arg(long)]
    pretty: bool,
    /// Virtual seconds until a fresh event shows in event lists.
    #[arg(long, default_value_t = 20)]
    event_delay: u32,
    /// Default API version of the Stripe account, in which its events are frozen.
    #[arg(long, default_value = "2024-06-20")]
    account_version: String,
}

impl Serve {
    fn options(self) -> Options {
        Options {
            listen: self.listen,
            seed: self.data.seed,
            rows: self.data.rows,
            faults: self.faults,
            latency: Duration::from_millis(self.latency_ms),
            tls: self.tls,
            rate_limit: self.rate_limit,
            pretty: self.pretty,
            clock_start: self.data.clock_start,
            event_delay: self.event_delay,
            account_version: self.account_version,
            salesforce: self.data.salesforce,
        }
    }
}

/// Runs the program with the process's arguments.
pub fn run() -> io::Result<()> {
    match Cli::parse().command {
        Command::Serve(serve) => run_server(serve.options()),
        Command::Config { connector, listen, tls } => {
            let scheme = if tls { "https" } else { "http" };
            print(&config(&connector, &format!("{scheme}://{listen}"))?)
        }
        Command::Truth { connector, stream, data } => {
            let options = Options {
                seed: data.seed,
                rows: data.rows,
                clock_start: data.clock_start,
                salesforce: data.salesforce,
                ..Options::default()
            };
            let mut out = io::stdout().lock();
            truth(&connector, &stream, &options, &mut out)?;
            out.flush()
        }
    }
}

fn run_server(options: Options) -> io::Result<()> {
    let server = Server::start(options)?;
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {}", server.url())?;
    if let Some(path) = server.certificate() {
        writeln!(out, "certificate {}", path.display())?;
    }
    out.flush()?;
    drop(out);
    server.wait();
    Ok(())
}

/// The configuration of `connector` for a sandbox at `base`, as JSON.
pub fn config(connector: &str, base: &str) -> io::Result<String> {
    match connector {
        "source-stripe" => Ok(format!("{}\n", stripe::connector_config(base))),
        "source-salesforce" => Ok(format!("{}\n", salesforce::connector_config(base))),
        other => Err(unknown(other)),
    }
}

/// Writes the truth of a stream of `connector` at the clock's start, as JSON lines.
pub fn truth(
    connector: &str,
    stream: &str,
    options: &Options,
    out: &mut dyn Write,
) -> io::Result<()> {
    match connector {
        "source-stripe" => Stripe::new(options).truth(stream, options.clock_start, out),
        "source-salesforce" => Salesforce::new(options).truth(stream, options.clock_start, out),
        other => Err(unknown(other)),
    }
}

fn unknown(connector: &str) -> io::Error {
    io::Error::other(format!(
        "no emulated API for {connector:?}; there are: source-stripe, source-salesforce"
    ))
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
