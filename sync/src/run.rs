//! One sync: a source is read to its end, records and states reach the disk or a destination.

mod destination;
mod prepare;
mod pump;

use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use airbyte_protocol::TraceError;
use rustix::process::Signal;

use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::process::{Pipes, Process, describe_exit};
use crate::progress::Progress;
use crate::signals::{Interrupts, Listener};
use crate::stats::{Stats, Status};
use destination::Destination;
use prepare::Prepared;

/// Time between two looks at the processes, the checkpoint and the display.
const TICK: Duration = Duration::from_millis(50);

/// What to sync.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The source's command line.
    pub source: String,
    /// The source's configuration file.
    pub config: PathBuf,
    /// The configured catalog; without one, everything that the source offers is read.
    pub catalog: Option<PathBuf>,
    /// The streams to read; all when empty.
    pub streams: Vec<String>,
    /// The state file.
    pub state: PathBuf,
    /// The folder for JSON lines, when there is no destination.
    pub out: Option<PathBuf>,
    /// The destination's command line.
    pub destination: Option<String>,
    /// The destination's configuration file.
    pub destination_config: Option<PathBuf>,
    /// Reads everything from the start and replaces what is there.
    pub full_refresh: bool,
    /// Shows the informational log of the connectors too.
    pub verbose: bool,
}

/// How a sync went.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What was read.
    pub stats: Stats,
    /// Whether everything that was asked for was read and kept.
    pub success: bool,
    /// How the source ended, for people.
    pub source_end: String,
    /// How the destination ended, if there was one.
    pub destination_end: Option<String>,
    /// The signal that broke the sync off, if one did.
    pub interrupted: Option<i32>,
    /// Bytes behind the last checkpoint that were cut off the output files.
    pub cut_bytes: u64,
}

impl Summary {
    /// The exit code: 0 for success, 130 or 143 for a sync that a signal broke off, else 1.
    pub fn exit_code(&self) -> u8 {
        match (self.success, self.interrupted) {
            (true, _) => 0,
            (false, Some(signal)) => u8::try_from(128 + signal).unwrap_or(1),
            (false, None) => 1,
        }
    }
}

/// Looks at the progress now and then; says `true` to kill the source at once.
pub type Watch<'a> = dyn Fn(&Stats) -> bool + Sync + 'a;

/// Runs one sync. Fails when it cannot start or cannot keep what comes; a source that fails is
/// told by the summary.
pub fn run(options: &Options) -> Result<Summary> {
    run_watched(options, &|_| false)
}

/// Runs one sync with somebody watching.
pub fn run_watched(options: &Options, watch: &Watch<'_>) -> Result<Summary> {
    let progress = Progress::start();
    let result = Prepared::new(options, &progress)
        .and_then(|prepared| execute(options, prepared, &progress, watch));
    progress.finish();
    result
}

/// What the threads of a run share.
struct Shared<'a> {
    stats: Mutex<Stats>,
    ledger: Mutex<Ledger>,
    progress: &'a Progress,
    /// The first thing that went wrong on our side.
    failure: Mutex<Option<Error>>,
    source: Arc<Process>,
    destination: Option<Arc<Process>>,
    started: Instant,
    over: AtomicBool,
    options: &'a Options,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared<'_> {
    /// Notes a failure of our own and ends the source.
    fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.source.signal(Signal::KILL);
    }

    fn has_failed(&self) -> bool {
        lock(&self.failure).is_some()
    }

    /// Shows an error that a connector told, and keeps it for the summary.
    fn connector_error(&self, error: TraceError) {
        self.progress.say(&format!("error: {}", describe_error(&error)));
        lock(&self.stats).errors.push(error);
    }

    /// The regular work beside the reading.
    fn tick(&self, watch: &Watch<'_>) {
        self.source.sample();
        if let Some(destination) = &self.destination {
            destination.sample();
        }
        if let Err(error) = lock(&self.ledger).commit_if_due() {
            self.fail(error);
        }
        let stats = self.current_stats();
        self.progress.tick(&stats);
        if watch(&stats) {
            self.source.signal(Signal::KILL);
        }
    }

    fn current_stats(&self) -> Stats {
        let mut stats = lock(&self.stats).clone();
        stats.elapsed = self.started.elapsed();
        stats.source = self.source.usage();
        stats.destination = self.destination.as_ref().map(|destination| destination.usage());
        stats
    }
}

/// An error of a connector as one line.
pub fn describe_error(error: &TraceError) -> String {
    let mut text = match &error.stream_descriptor {
        Some(stream) => format!("stream {stream}: {}", error.message),
        None => error.message.clone(),
    };
    if let Some(kind) = &error.failure_type {
        text += &format!(" ({kind})");
    }
    if let Some(internal) =
        error.internal_message.as_ref().filter(|internal| **internal != error.message)
    {
        text += &format!(" [{internal}]");
    }
    text
}

fn execute(
    options: &Options,
    prepared: Prepared,
    progress: &Progress,
    watch: &Watch<'_>,
) -> Result<Summary> {
    let (source, source_pipes) = start(&mut prepared.source_command(options))?;
    let source = Arc::new(source);
    let (destination, destination_pipes) = match prepared.destination_command(options) {
        None => (None, None),
        Some(mut command) => match start_destination(&mut command) {
            Ok((process, pipes)) => (Some(Arc::new(process)), Some(pipes)),
            Err(error) => {
                source.signal(Signal::KILL);
                source.wait()?;
                return Err(error);
            }
        },
    };
    let interrupts = Arc::new(Interrupts::default());
    let _listener =
        Listener::start(Arc::clone(&interrupts), pass_on(&source, destination.as_ref()))?;
    let shared = Shared {
        stats: Mutex::new(Stats::new(&prepared.streams)),
        ledger: Mutex::new(prepared.ledger),
        progress,
        failure: Mutex::new(None),
        source,
        destination,
        started: Instant::now(),
        over: AtomicBool::new(false),
        options,
    };
    let ends = thread::scope(|scope| {
        let ticker = scope.spawn(|| {
            while !shared.over.load(Ordering::Acquire) {
                shared.tick(watch);
                thread::park_timeout(TICK);
            }
        });
        let ends = read_to_the_end(&shared, source_pipes, destination_pipes, &interrupts);
        shared.over.store(true, Ordering::Release);
        ticker.thread().unpark();
        ends
    })?;
    conclude(&shared, &ends, &interrupts)
}

/// What happens with signals: the first one goes to the source, the next one ends everything.
fn pass_on(
    source: &Arc<Process>,
    destination: Option<&Arc<Process>>,
) -> impl Fn(i32, u32) + Send + 'static {
    let source = Arc::clone(source);
    let destination = destination.cloned();
    move |signal, count| {
        if count == 1 {
            source.signal(Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
        } else {
            source.signal(Signal::KILL);
            if let Some(destination) = &destination {
                destination.signal(Signal::KILL);
            }
        }
    }
}

fn start(command: &mut Command) -> Result<(Process, Pipes)> {
    Process::start(
        "source",
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()),
    )
}

fn start_destination(command: &mut Command) -> Result<(Process, Pipes)> {
    Process::start(
        "destination",
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()),
    )
}

/// How the processes ended.
struct Ends {
    source: ExitStatus,
    destination: Option<ExitStatus>,
    /// Whether the source did all it was asked for.
    source_ok: bool,
}

/// Reads the source to its end, then lets the destination finish.
fn read_to_the_end(
    shared: &Shared<'_>,
    source: Pipes,
    destination: Option<Pipes>,
    interrupts: &Interrupts,
) -> Result<Ends> {
    thread::scope(|scope| {
        if let Some(stderr) = source.stderr {
            scope.spawn(|| show_stderr(shared, "source", stderr));
        }
        let mut writer = None;
        if let Some(pipes) = destination {
            writer = pipes.stdin.map(Destination::new);
            if let Some(stderr) = pipes.stderr {
                scope.spawn(|| show_stderr(shared, "destination", stderr));
            }
            if let Some(stdout) = pipes.stdout {
                scope.spawn(|| destination::read_answers(shared, stdout));
            }
        }
        if let Some(stdout) = source.stdout {
            read_source(shared, stdout, writer.as_mut());
        }
        let status = shared.source.wait()?;
        let source_ok = status.success() && !shared.has_failed() && !broken_off(shared, interrupts);
        if let Some(writer) = writer {
            writer.close(shared, source_ok);
        }
        let destination = shared.destination.as_ref().map(|process| process.wait()).transpose()?;
        Ok(Ends { source: status, destination, source_ok })
    })
}

/// Whether a signal came before all streams were complete.
fn broken_off(shared: &Shared<'_>, interrupts: &Interrupts) -> bool {
    let stats = lock(&shared.stats);
    interrupts.first().is_some()
        && stats.streams.iter().any(|stream| stream.status != Status::Complete)
}

fn read_source(shared: &Shared<'_>, stdout: ChildStdout, destination: Option<&mut Destination>) {
    if let Err(error) = pump::Pump::new(shared, destination).read(stdout) {
        shared.fail(error);
    }
}

fn show_stderr(shared: &Shared<'_>, name: &str, stderr: ChildStderr) {
    use std::io::{BufRead, BufReader};
    for line in BufReader::new(stderr).split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if !line.trim().is_empty() {
            shared.progress.say(&format!("{name}: {}", line.trim_end()));
        }
    }
}

/// The last checkpoint, and the verdict.
fn conclude(shared: &Shared<'_>, ends: &Ends, interrupts: &Interrupts) -> Result<Summary> {
    let destination_ok = ends.destination.is_none_or(|status| status.success());
    let mut success = ends.source_ok && destination_ok && !shared.has_failed();
    let mut stats = shared.current_stats();
    let mut ledger = lock(&shared.ledger);
    if ends.source_ok {
        for stream in &mut stats.streams {
            if stream.status == Status::Incomplete {
                success = false;
            } else {
                stream.status = Status::Complete;
            }
        }
    }
    if success {
        stats.streams.iter().try_for_each(|stream| ledger.finish(&stream.stream))?;
    }
    // A failure of our own counts more than what closing the books may add to it.
    let closed = if success { ledger.commit().map(|()| 0) } else { ledger.close_failed() };
    if let Some(error) = lock(&shared.failure).take() {
        return Err(error);
    }
    let cut_bytes = closed?;
    Ok(Summary {
        stats,
        success,
        source_end: describe_exit(ends.source),
        destination_end: ends.destination.map(describe_exit),
        interrupted: interrupts.first(),
        cut_bytes,
    })
}
