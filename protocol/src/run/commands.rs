//! The commands, and what they leave on stdout and as exit code.

use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::cli::{self, Arguments, Command, Usage};
use super::signals::{GRACE, Signals};
use super::{Connector, logging, panics};
use crate::catalog::{Catalog, ConfiguredCatalog};
use crate::config;
use crate::error::{Error, FailureType, Result};
use crate::message::{ConnectionStatus, ConnectionStatusType, LogLevel, line};
use crate::output::Output;
use crate::source::{Context, Edition};
use crate::state::InputState;

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
const MISUSE: u8 = 2;
/// What a shell reports for a process that died of SIGPIPE.
const CLOSED_PIPE: u8 = 141;
/// Threads of a destination's runtime. A source has one: it hands bytes through faster than
/// any API gives them, and memory that one thread allocates stays compact however long it
/// reads.
const WORKERS: usize = 2;

/// The whole life of the process.
pub(super) fn run<C: Connector>(connector: C) -> ExitCode {
    let code = match cli::parse(&C::commands(), std::env::args_os()) {
        Ok(arguments) => {
            let closed = if arguments.command.is_transfer() { CLOSED_PIPE } else { SUCCESS };
            stdout(closed).map(|output| execute(&connector, &arguments, output))
        }
        Err(usage) => stdout(SUCCESS).map(|output| misuse(&usage, &output)),
    };
    ExitCode::from(code.unwrap_or_else(|error| without_stdout(&error)))
}

/// The output to stdout; the process ends with the code `closed` when nobody reads it any more.
fn stdout(closed: u8) -> io::Result<Output> {
    // A file of its own, since `std::io::Stdout` would look for newlines in all that passes.
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Output::to_writer(file, move |error| {
        let code =
            if error.kind() == ErrorKind::BrokenPipe { closed } else { without_stdout(&error) };
        std::process::exit(code.into());
    })
}

/// There is only stderr left to say it.
fn without_stdout(error: &io::Error) -> u8 {
    let _ = writeln!(io::stderr(), "stdout cannot be written: {error}");
    FAILURE
}

fn misuse(usage: &Usage, output: &Output) -> u8 {
    match &usage.problem {
        None => {
            output.line(usage.text.trim_end().to_owned());
            output.flush_blocking(None);
            SUCCESS
        }
        Some(problem) => {
            let _ = io::stderr().write_all(usage.text.as_bytes());
            output.error(&Error::config(format!("The command line is not understood: {problem}")));
            output.flush_blocking(None);
            MISUSE
        }
    }
}

fn execute<C: Connector>(connector: &C, arguments: &Arguments, output: Output) -> u8 {
    panics::install(&output);
    let code = if arguments.command == Command::Spec {
        output.line(line("SPEC", "spec", &connector.spec()));
        SUCCESS
    } else {
        let session = Session::new(connector, arguments, output.clone());
        session.and_then(Session::execute).unwrap_or_else(|error| {
            output.error(&error);
            FAILURE
        })
    };
    output.flush_blocking(None);
    code
}

/// One run of a command that has a configuration.
struct Session<'a, C> {
    connector: &'a C,
    arguments: &'a Arguments,
    schema: Value,
    context: Context,
    signals: Signals,
}

impl<'a, C: Connector> Session<'a, C> {
    /// Reads the configuration, unvalidated, and gets everything else ready.
    fn new(connector: &'a C, arguments: &'a Arguments, output: Output) -> Result<Self> {
        let shutdown = CancellationToken::new();
        let signals = if arguments.command.is_transfer() {
            Signals::cancel(shutdown.clone())
        } else {
            Signals::end_at_once()
        };
        let signals = signals.map_err(|error| {
            Error::system("Signals cannot be handled").with_internal(error.to_string())
        })?;
        let level = logging::level(arguments.debug);
        output.set_level(&level);
        logging::install(&output, &level);
        let config = config::read_config(arguments.config.as_deref().unwrap_or("".as_ref()))?;
        let schema = connector.spec().connection_specification;
        config::secrets(&schema, &config).iter().for_each(|secret| output.add_secret(secret));
        let context = Context { output, shutdown, config, edition: Edition::from_env() };
        Ok(Self { connector, arguments, schema, context, signals })
    }

    fn execute(self) -> Result<u8> {
        match self.arguments.command {
            Command::Check => self.check(),
            Command::Discover => self.discover(),
            Command::Task(name, _) => self.task(name),
            _ => self.transfer(),
        }
    }

    /// The configuration, validated and as the connector's own type.
    fn config(&self) -> Result<C::Config> {
        config::validate_config(&self.schema, &self.context.config)?;
        serde_json::from_value(config::effective(&self.context.config))
            .map_err(|error| Error::config(format!("Config validation error: {error}")))
    }

    fn check(self) -> Result<u8> {
        let outcome = match self.config() {
            Ok(config) => runtime(1)?.block_on(self.connector.check(config, self.context.clone())),
            Err(error) => Err(error),
        };
        let output = &self.context.output;
        let (status, message) = match outcome {
            Ok(note) => (ConnectionStatusType::Succeeded, note),
            Err(error) if error.kind() == FailureType::Config => {
                if let Some(internal) = error.internal() {
                    output.log(LogLevel::Info, internal);
                }
                (ConnectionStatusType::Failed, Some(error.message().to_owned()))
            }
            Err(error) => return Err(error),
        };
        let message = message.map(|message| output.mask(&message));
        let status = ConnectionStatus { status, message, extra: serde_json::Map::new() };
        output.line(line("CONNECTION_STATUS", "connectionStatus", &status));
        Ok(SUCCESS)
    }

    fn discover(self) -> Result<u8> {
        let config = self.config()?;
        let mut catalog: Catalog =
            runtime(1)?.block_on(self.connector.discover(config, self.context.clone()))?;
        let output = &self.context.output;
        for stream in &mut catalog.streams {
            output.mask_schema(&mut stream.json_schema);
        }
        output.line(line("CATALOG", "catalog", &catalog));
        Ok(SUCCESS)
    }

    fn task(self, name: &str) -> Result<u8> {
        let config = self.config()?;
        runtime(WORKERS)?.block_on(self.connector.task(name, config, self.context.clone()))?;
        Ok(if self.context.output.has_failures() { FAILURE } else { SUCCESS })
    }

    fn transfer(self) -> Result<u8> {
        let config = self.config()?;
        let catalog = self.read_file("catalog file", self.arguments.catalog.as_ref())?;
        let catalog = ConfiguredCatalog::parse(&catalog)?;
        let state = self.read_file("state file", self.arguments.state.as_ref())?;
        let state = InputState::parse(&state)?;
        let is_read = self.arguments.command == Command::Read;
        let streams =
            if is_read { catalog.streams.iter().map(|s| s.descriptor()).collect() } else { vec![] };

        let runtime = runtime(if is_read { 1 } else { WORKERS })?;
        let work = self.connector.transfer(config, catalog, state, self.context.clone());
        let outcome = runtime.block_on(within_grace(work, &self.context.shutdown));
        // What still runs has nothing more to say.
        runtime.shutdown_background();
        Ok(match self.signals.received() {
            Some((name, code)) => {
                self.stopped(name, outcome, &streams);
                code
            }
            None => self.finished(outcome, &streams),
        })
    }

    /// The text of a file that may be missing from the command line.
    fn read_file(&self, what: &str, path: Option<&std::path::PathBuf>) -> Result<String> {
        path.map_or_else(|| Ok(String::new()), |path| config::read_text(what, path))
    }

    /// Reports the end of a transfer that was left to run.
    fn finished(&self, outcome: Option<Result<()>>, streams: &[crate::StreamDescriptor]) -> u8 {
        let output = &self.context.output;
        match outcome {
            Some(Err(error)) => output.error(&error),
            // Exit code 0 means that every stream is complete, so nothing may go unsaid.
            _ => streams.iter().filter(|stream| !output.has_ended(stream)).for_each(|stream| {
                let error = Error::system(format!(
                    "The connector did not read stream `{stream}` to its end"
                ));
                output.error(&error.for_stream(stream.clone()));
            }),
        }
        output.break_off();
        if output.has_failures() { FAILURE } else { SUCCESS }
    }

    /// Reports the end of a transfer that a signal stopped.
    fn stopped(
        &self,
        signal: &str,
        outcome: Option<Result<()>>,
        streams: &[crate::StreamDescriptor],
    ) {
        let output = &self.context.output;
        if let Some(Err(error)) = &outcome {
            output.log(LogLevel::Warn, format_args!("While stopping: {error}"));
        }
        let is_done = matches!(outcome, Some(Ok(())))
            && streams.iter().all(|stream| output.has_ended(stream));
        if !is_done || streams.is_empty() {
            output.error(&Error::transient(format!(
                "Stopped by {signal} before the end. What was done is covered by the states that were \
                 written; the next run goes on from there"
            )));
        }
        output.break_off();
    }
}

/// The result of the work, or `None` when it did not end in time after it was asked to stop.
async fn within_grace(
    work: impl Future<Output = Result<()>>,
    shutdown: &CancellationToken,
) -> Option<Result<()>> {
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        outcome = work => Some(outcome),
        () = too_late => None,
    }
}

fn runtime(workers: usize) -> Result<Runtime> {
    let runtime = if workers == 1 {
        Builder::new_current_thread().enable_all().build()
    } else {
        Builder::new_multi_thread().worker_threads(workers).enable_all().build()
    };
    runtime.map_err(|error| {
        Error::system("The asynchronous runtime cannot start").with_internal(error.to_string())
    })
}
