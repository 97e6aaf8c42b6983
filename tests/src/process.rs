//! A connector that runs.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::outcome::Outcome;

/// A connector that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(100);

/// A running connector. Its output is read as fast as the test asks for it.
pub struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
    text: String,
    secrets: Vec<String>,
    started: Instant,
    /// The thread that ends a hanging process waits for this to be dropped.
    _watch: mpsc::Sender<()>,
    _folder: TempDir,
}

impl Running {
    pub(crate) fn start(mut command: Command, folder: TempDir, secrets: Vec<String>) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().expect("the connector can be started");
        let stdout = child.stdout.take().map(BufReader::new);
        let mut stderr = child.stderr.take().expect("a pipe");
        let stderr = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let (watch, over) = mpsc::channel::<()>();
        let pid = Pid::from_child(&child);
        std::thread::spawn(move || {
            if over.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Self {
            child,
            stdout,
            stderr,
            text: String::new(),
            secrets,
            started,
            _watch: watch,
            _folder: folder,
        }
    }

    /// The next line of output; `None` at its end.
    pub fn line(&mut self) -> Option<&str> {
        let start = self.text.len();
        let stdout = self.stdout.as_mut()?;
        let read = stdout.read_line(&mut self.text).expect("lines of UTF-8");
        (read > 0).then(|| self.text[start..].trim_end())
    }

    /// Reads on until a line contains `mark`. Panics if none does.
    pub fn until(&mut self, mark: &str) {
        while let Some(line) = self.line() {
            if line.contains(mark) {
                return;
            }
        }
        panic!("no line with {mark:?} in:\n{}", self.text);
    }

    /// Forgets the output so far, for reads that are too long to be kept.
    pub fn forget(&mut self) {
        self.text.clear();
    }

    /// The most memory that it has used so far, in KiB: the `VmHWM` of Linux.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Closes the reading end of its output.
    pub fn close(&mut self) {
        self.stdout = None;
    }

    /// Reads the rest and waits for the end. What was read must be messages without secrets; only
    /// a last line that a kill cut short is left out.
    pub fn finish(mut self) -> Outcome {
        if let Some(mut stdout) = self.stdout.take() {
            let mut rest = Vec::new();
            stdout.read_to_end(&mut rest).expect("the output can be read");
            self.text.push_str(&String::from_utf8(rest).expect("UTF-8"));
        }
        let status = self.child.wait().expect("an end");
        let took = self.started.elapsed();
        assert!(took < PATIENCE, "the connector hangs; its last lines:\n{}", tail(&self.text));
        if status.signal().is_some() {
            self.text.truncate(self.text.rfind('\n').map_or(0, |at| at + 1));
        }
        let stderr = self.stderr.join().expect("the thread that reads stderr");
        Outcome::new(status, took, self.text, stderr, &self.secrets)
    }
}

fn tail(text: &str) -> &str {
    let from = text.len().saturating_sub(3000);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    &text[from..]
}
