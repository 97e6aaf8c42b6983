//! A connector that runs.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tempfile::TempDir;

use super::call::{Call, Mode, Stop};
use super::reader::{Arrival, Output, drain};
use super::watch::{self, Watch};
use super::{Trouble, platform, usage};
use crate::transcript::{Exit, Line, Transcript, Usage};

/// How long a process may go on after its output has ended.
const GRACE: Duration = Duration::from_secs(20);
/// How long processes may outlive the one that was started.
const LEAVE: Duration = Duration::from_secs(3);

/// What a process is started from.
pub(super) struct Start<'a> {
    pub command: Command,
    pub call: &'a Call,
    pub folder: TempDir,
    pub work: PathBuf,
    /// The engine and the name of the container.
    pub container: Option<(String, String)>,
}

/// A running connector. What it prints is read as fast as it is asked for.
pub struct Running {
    child: Child,
    pid: Pid,
    stdin: Option<ChildStdin>,
    output: Option<Output>,
    stderr: Option<Stderr>,
    watch: Watch,
    call: Call,
    started: Instant,
    started_at: i64,
    lines: Vec<Line>,
    is_terminated: bool,
    interrupted_at: Option<Duration>,
    container: Option<(String, String)>,
    work: PathBuf,
    _folder: TempDir,
}

enum Stderr {
    /// A thread reads it as it comes.
    Drained(JoinHandle<Vec<u8>>),
    /// Nobody reads it before the end.
    Undrained(ChildStderr),
    /// It goes where stdout goes.
    Elsewhere,
}

impl Running {
    pub(super) fn start(start: Start<'_>) -> Result<Self, Trouble> {
        let Start { mut command, call, folder, work, container } = start;
        let is_platform = call.mode == Mode::Platform;
        let pipe = || if is_platform { Stdio::null() } else { Stdio::piped() };
        command.stdout(pipe()).stderr(pipe());
        let started = Instant::now();
        let started_at = epoch_ms();
        let mut child = command.spawn().map_err(|error| cannot_start(&command, &error))?;
        let pid = Pid::from_child(&child);
        let stdin = child.stdin.take();
        let holds_back = !matches!(call.stop, None | Some(Stop::AtAnswer(_)));
        let no_pipe = |error: std::io::Error| {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            Trouble(format!("no pipe for stdout: {error}"))
        };
        let (output, stderr) = if is_platform {
            let output = Output::of_named(&work.join(platform::STDOUT), started, holds_back);
            let path = work.join(platform::STDERR);
            let stderr = Stderr::Drained(std::thread::spawn(move || {
                fs::File::open(&path).map(drain).unwrap_or_default()
            }));
            (Some(output.map_err(no_pipe)?), stderr)
        } else {
            let stdout = child.stdout.take();
            let output = stdout.map(|stdout| Output::of(stdout, started, holds_back));
            let stderr = match (child.stderr.take(), call.mode) {
                (Some(stderr), Mode::Meltano) => Stderr::Undrained(stderr),
                (Some(stderr), _) => Stderr::Drained(std::thread::spawn(move || drain(stderr))),
                (None, _) => Stderr::Elsewhere,
            };
            (output.transpose().map_err(no_pipe)?, stderr)
        };
        Ok(Self {
            watch: Watch::start(pid, call.timeout, container.clone()),
            child,
            pid,
            stdin,
            output,
            stderr: Some(stderr),
            call: call.clone(),
            started,
            started_at,
            lines: Vec::new(),
            is_terminated: true,
            interrupted_at: None,
            container,
            work,
            _folder: folder,
        })
    }

    /// The next line of output, kept in the transcript as well; `None` at the end.
    pub fn line(&mut self) -> Option<&Line> {
        let arrival = self.output.as_ref()?.next()?;
        Some(self.keep(arrival))
    }

    /// The next line, if it comes within this time. `Err` when it does not.
    pub fn line_within(&mut self, time: Duration) -> Result<Option<&Line>, Duration> {
        let Some(output) = self.output.as_ref() else { return Ok(None) };
        Ok(output.next_within(time)?.map(|arrival| self.keep(arrival)))
    }

    fn keep(&mut self, arrival: Arrival) -> &Line {
        self.is_terminated = arrival.is_terminated;
        let number = self.lines.len() + 1;
        self.lines.push(Line::read(number, arrival.raw, arrival.at));
        &self.lines[number - 1]
    }

    /// The lines so far.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Writes to stdin. False when the process does not read any more.
    pub fn write(&mut self, text: &[u8]) -> bool {
        let Some(stdin) = &mut self.stdin else { return false };
        stdin.write_all(text).and_then(|()| stdin.flush()).is_ok()
    }

    /// Ends stdin.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Closes the reading end of stdout.
    pub fn close_output(&mut self) {
        self.interrupted_at.get_or_insert(self.started.elapsed());
        self.output = None;
    }

    /// Sends a signal. Not every process that it goes to is still there, which is no error.
    pub fn signal(&mut self, signal: Signal) {
        self.interrupted_at.get_or_insert(self.started.elapsed());
        if signal == Signal::KILL {
            self.kill();
        } else if self.call.mode == Mode::Pid1 {
            // The child is the tool that has made the namespace; its child is PID 1 of it.
            for child in usage::children(self.pid) {
                let _ = rustix::process::kill_process(child, signal);
            }
        } else {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// The largest resident set so far, in bytes.
    pub fn peak_rss(&self) -> u64 {
        self.watch.peak_rss()
    }

    /// Reads on, stops it where the call says so, and waits for the end.
    pub fn finish(mut self) -> Transcript {
        loop {
            self.stop_if_due();
            if self.line().is_none() {
                break;
            }
        }
        self.stdin = None;
        let end = self.wait();
        let stderr = match self.stderr.take() {
            Some(Stderr::Drained(thread)) => thread.join().unwrap_or_default(),
            Some(Stderr::Undrained(pipe)) => drain(pipe),
            Some(Stderr::Elsewhere) | None => Vec::new(),
        };
        let first = |kind: Option<&str>| {
            let mut lines = self.lines.iter();
            lines.find(|line| kind.is_none() || line.kind() == kind).map(|line| line.at)
        };
        let usage = Usage {
            peak_rss: self.watch.peak_rss(),
            cpu: end.cpu,
            wall: end.wall,
            first_line: first(None),
            first_record: first(Some("RECORD")),
        };
        Transcript {
            title: std::mem::take(&mut self.call.title),
            command: std::mem::take(&mut self.call.command),
            lines: std::mem::take(&mut self.lines),
            is_terminated: self.is_terminated,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            exit: end.exit,
            usage,
            started_at: self.started_at,
            interrupted_at: self.interrupted_at,
            left_behind: end.left_behind,
        }
    }

    fn stop_if_due(&mut self) {
        let count = self.lines.len();
        match self.call.stop {
            Some(Stop::SignalAt(line, signal)) if count == line => self.signal(signal),
            Some(Stop::CloseAt(line)) if count == line => self.close_output(),
            Some(Stop::AtAnswer(kind)) => {
                let last = self.lines.last();
                if last.is_some_and(|line| line.kind() == Some(kind))
                    && self.interrupted_at.is_none()
                {
                    self.signal(Signal::TERM);
                }
            }
            Some(Stop::PauseAt(line, time)) if count == line => std::thread::sleep(time),
            Some(Stop::CancelAt(line)) if count == line => {
                self.close_output();
                platform::cancel(&self.work);
            }
            _ => {}
        }
    }

    /// Waits for the end of the process, and looks at what it leaves.
    fn wait(&mut self) -> End {
        let deadline = Instant::now() + GRACE;
        let mut overdue = false;
        while !has_ended(self.pid) {
            // A process that has closed its stdout, or was told to end, has nothing left to do.
            if Instant::now() > deadline && !overdue {
                overdue = true;
                self.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let wall = self.started.elapsed();
        // While it is not collected, /proc still tells all of its CPU time.
        let cpu = usage::cpu(self.pid).unwrap_or_default();
        let status = self.child.wait();
        let left_behind = self.leaves_processes();
        let exit = match status {
            _ if overdue || self.watch.timed_out() => Exit::TimedOut,
            Ok(status) if self.call.mode == Mode::Platform => {
                platform::exit_code(&self.work).map_or_else(|| exit_of(status), Exit::Code)
            }
            Ok(status) => exit_of(status),
            Err(_) => Exit::Unknown,
        };
        End { exit, cpu, wall, left_behind }
    }

    /// Whether processes of the group are still there some time after its end; they are killed.
    fn leaves_processes(&mut self) -> bool {
        let deadline = Instant::now() + LEAVE;
        while rustix::process::test_kill_process_group(self.pid).is_ok() {
            if Instant::now() > deadline {
                let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    fn kill(&self) {
        let _ = rustix::process::kill_process_group(self.pid, Signal::KILL);
        watch::kill_container(self.container.as_ref());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing that a check has started outlives it.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// How a run ended.
struct End {
    exit: Exit,
    cpu: Duration,
    wall: Duration,
    left_behind: bool,
}

fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Unknown,
    }
}

/// Whether a child has ended, without collecting it.
fn has_ended(pid: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(rustix::process::waitid(WaitId::Pid(pid), options), Ok(None))
}

fn epoch_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Trouble {
    let program = command.get_program().to_string_lossy();
    Trouble(match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "`{program}` does not exist: give the path of an executable, or the name of one on PATH"
        ),
        std::io::ErrorKind::PermissionDenied => format!(
            "`{program}` is not executable: `chmod +x` it, or name the program that runs it"
        ),
        _ => format!("`{program}` cannot be started: {error}"),
    })
}
