//! The stub source: a connector that does everything right unless it is told to be a mutant.

mod answers;
mod args;
mod client;
mod inputs;
mod output;
mod read;
mod signals;

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use airbyte_protocol::{Error, FailureType, Result};
use serde_json::{Value, json};

use self::args::{Args, Command};
use self::client::Client;
use self::output::Output;
pub(super) use self::output::now_ms;
use self::read::Reader;
use self::signals::Stop;
use super::mutants::{Connector, Fault, Mutation};

/// The configuration schema of the stub source, for tests that compare specs.
pub fn spec() -> Value {
    answers::spec(Mutation::default())
}

/// Runs the stub source, or a mutant of it, with the arguments after the program's name: the
/// whole process is the connector.
pub fn main(mutant: Option<&str>, args: &[String]) -> ExitCode {
    let mutation = match Mutation::named(mutant, Connector::Source) {
        Ok(mutation) => mutation,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let args = match Args::read(args, mutation) {
        Ok(args) => args,
        Err(usage) => {
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    let output = Output::new(mutation, args.is_debugging());
    let code = Process { mutation, output: &output }.run(&args.command);
    output.end();
    let is_failure = code != 0;
    if mutation.is(Fault::SuccessAfterError) && is_failure && code < 128 {
        return ExitCode::SUCCESS;
    }
    if mutation.is(Fault::FailureAfterSuccess) && !is_failure {
        return ExitCode::FAILURE;
    }
    ExitCode::from(code)
}

struct Process<'a> {
    mutation: Mutation,
    output: &'a Output,
}

impl Process<'_> {
    fn is(&self, fault: Fault) -> bool {
        self.mutation.is(fault)
    }

    /// Carries out a command; gives the exit code.
    fn run(&self, command: &Command) -> u8 {
        if let Err(error) = self.surroundings() {
            return self.fail(&error);
        }
        let result = match command {
            Command::Spec { config, .. } => self.spec(config.as_deref()),
            Command::Check(common) => self.check(&common.config),
            Command::Discover(common) => self.discover(&common.config),
            Command::Read { common, catalog, state } => {
                return self.read(&common.config, catalog, state.as_deref());
            }
        };
        match result {
            Ok(()) => 0,
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&self, error: &Error) -> u8 {
        self.output.error(error);
        1
    }

    /// What mutants demand of the place where they run.
    fn surroundings(&self) -> Result<()> {
        if self.is(Fault::HomeNeeded) {
            let home = std::env::var("HOME").map_err(|_| Error::system("There is no HOME."))?;
            let probe = Path::new(&home).join(format!(".stub-{}", std::process::id()));
            std::fs::write(&probe, "").map_err(|e| no_file(&probe, &e))?;
            let _ = std::fs::remove_file(&probe);
        } else if self.is(Fault::FolderWritten) {
            let file = Path::new("stub-source.log");
            std::fs::write(file, "started\n").map_err(|e| no_file(file, &e))?;
        }
        Ok(())
    }

    fn answer(&self, message: &Value) {
        if self.is(Fault::DraftOnStderr) {
            let draft = match message["type"].as_str() {
                Some("CATALOG") => json!({"type": "CATALOG", "catalog": {"streams": []}}),
                Some("CONNECTION_STATUS") => {
                    let status = json!({"status": "FAILED", "message": "not tried yet"});
                    json!({"type": "CONNECTION_STATUS", "connectionStatus": status})
                }
                _ => json!({"type": "SPEC", "spec": {"connectionSpecification": {}}}),
            };
            eprintln!("{draft}");
        }
        self.output.send(message.clone());
    }

    fn spec(&self, config: Option<&Path>) -> Result<()> {
        if self.is(Fault::SlowSpec) {
            std::thread::sleep(Duration::from_secs(4));
        }
        if self.is(Fault::SpecNeedsConfig) && config.is_none() {
            return Err(Error::config("Give a configuration by --config."));
        }
        let message = json!({"type": "SPEC", "spec": answers::spec(self.mutation)});
        self.answer(&message);
        if self.is(Fault::SpecTwice) {
            self.answer(&message);
        }
        Ok(())
    }

    /// Answers whether the API lets this configuration in.
    fn check(&self, path: &Path) -> Result<()> {
        let config = inputs::config(path, self.mutation)?;
        let tried = self.try_out(config);
        let status = match tried {
            Ok(()) if self.is(Fault::CheckFails) => {
                json!({"status": "FAILED", "message": "It does not work."})
            }
            Ok(()) => json!({"status": "SUCCEEDED"}),
            Err(error)
                if error.kind() == FailureType::Config
                    && !self.is(Fault::CheckErrorInsteadOfFailed) =>
            {
                if self.is(Fault::FailedWithoutReason) {
                    json!({"status": "FAILED"})
                } else {
                    json!({"status": "FAILED", "message": error.message()})
                }
            }
            Err(error) => return Err(error),
        };
        let message = json!({"type": "CONNECTION_STATUS", "connectionStatus": status});
        self.answer(&message);
        if self.is(Fault::CheckTwice) {
            self.answer(&message);
        }
        Ok(())
    }

    fn try_out(&self, config: Value) -> Result<()> {
        match inputs::validate(&config, self.mutation) {
            Err(_) if self.is(Fault::CheckSkipsValidation) => return Ok(()),
            validity => validity?,
        }
        if self.is(Fault::CheckWithoutCall) {
            return Ok(());
        }
        let mut client = Client::new(config, self.output, self.mutation)?;
        runtime()?.block_on(client.get("/me", &[], &|_| {})).map(|_| ())
    }

    /// Prints the catalog, once the API lets the configuration in.
    fn discover(&self, path: &Path) -> Result<()> {
        if !self.is(Fault::DiscoverIgnoresConfig) {
            let config = inputs::config(path, self.mutation)?;
            inputs::validate(&config, self.mutation)?;
            let mut client = Client::new(config, self.output, self.mutation)?;
            runtime()?.block_on(client.get("/me", &[], &|_| {}))?;
        }
        let message = json!({"type": "CATALOG", "catalog": answers::catalog(self.mutation)});
        self.answer(&message);
        if self.is(Fault::CatalogTwice) {
            self.answer(&message);
        }
        Ok(())
    }

    fn read(&self, config: &Path, catalog: &Path, state: Option<&Path>) -> u8 {
        match self.try_read(config, catalog, state) {
            Ok(code) => code,
            Err(error) => self.fail(&error),
        }
    }

    fn try_read(&self, config: &Path, catalog: &Path, state: Option<&Path>) -> Result<u8> {
        let stop = Stop::watch(self.mutation).map_err(|e| {
            Error::system("Signals cannot be handled.").with_internal(e.to_string())
        })?;
        let config = match inputs::config(config, self.mutation) {
            Err(_) if self.is(Fault::MissingConfigAccepted) => return Ok(0),
            config => config?,
        };
        match inputs::validate(&config, self.mutation) {
            Err(_) if self.is(Fault::ReadSkipsValidation) => {}
            validity => validity?,
        }
        let catalog = inputs::catalog(catalog, self.mutation)?;
        let states = match state {
            Some(path) => inputs::states(path, self.mutation)?,
            None => Vec::new(),
        };
        let client = Client::new(config.clone(), self.output, self.mutation)?;
        let _lock = self.lock()?;
        self.greet(&config);
        let mut child = self.is(Fault::ChildLeftBehind).then(spawn_child).flatten();
        let current = RefCell::new(None);
        let mut reader = Reader::new(client, self.output, self.mutation, &catalog, &current);
        let code = runtime()?.block_on(async {
            tokio::select! {
                biased;
                () = stop.wait() => None,
                is_well = reader.read(&states) => Some(u8::from(!is_well)),
            }
        });
        if let Some(child) = &mut child {
            let _ = child.kill();
            let _ = child.wait();
        }
        let Some(code) = code else { return Ok(self.interrupted(&stop, &current)) };
        Ok(code)
    }

    /// Ends a read that a signal stopped: what was printed holds, the rest is for the next read.
    fn interrupted(
        &self,
        stop: &Stop,
        current: &RefCell<Option<airbyte_protocol::StreamDescriptor>>,
    ) -> u8 {
        let (name, code) = stop.signal();
        if self.is(Fault::SigtermHalfLine) {
            self.output.write(br#"{"type":"RECORD","record":{"stream":"us"#.to_vec());
            return code;
        }
        let mut error = Error::transient(format!("The read was stopped by {name}."));
        if let Some(stream) = current.borrow().as_ref() {
            error = error.for_stream(stream.clone());
            self.output.error(&error);
            read::status(self.output, stream, "INCOMPLETE", None);
        } else {
            self.output.error(&error);
        }
        code
    }

    /// What some mutants do at the start of a read.
    fn greet(&self, config: &Value) {
        if self.is(Fault::TextOnStdout) {
            self.output.write_line(b"Starting the sync ...".to_vec());
        } else if self.is(Fault::SecretOnStderr) {
            eprintln!("configuration: {config}");
        } else if self.is(Fault::FloodOnStderr) {
            (0..4000)
                .for_each(|n| eprintln!("line {n} of what nobody ever wanted to know about it"));
        }
        self.output.log("INFO", "The read begins.");
    }

    /// What `lock-file` does: only one read at a time.
    fn lock(&self) -> Result<Option<std::fs::File>> {
        if !self.is(Fault::LockFile) {
            return Ok(None);
        }
        let path = std::env::temp_dir().join("stub-source.lock");
        let file = std::fs::File::create(&path).map_err(|e| no_file(&path, &e))?;
        if file.try_lock().is_err() {
            return Err(Error::system("Another instance is running."));
        }
        std::thread::sleep(Duration::from_millis(300));
        Ok(Some(file))
    }
}

fn no_file(path: &Path, error: &std::io::Error) -> Error {
    Error::system(format!("{} cannot be written: {error}.", path.display()))
}

fn spawn_child() -> Option<std::process::Child> {
    use std::process::{Command, Stdio};
    let mut command = Command::new("sleep");
    command.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok()
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::system("There is no runtime.").with_internal(e.to_string()))
}
