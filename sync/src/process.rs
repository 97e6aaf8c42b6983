//! Child processes: in a group of their own, watched for what they use.

use std::fs;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::error::{Error, Result};

/// What a process has used. Zero where the system does not tell (there is no `/proc`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The largest resident set, in bytes, as seen by the samples taken while it ran.
    pub peak_rss_bytes: u64,
    /// CPU time of the process and of its own finished children.
    pub cpu: Duration,
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    child: Mutex<Child>,
    peak_rss_bytes: AtomicU64,
    cpu_ticks: AtomicU64,
}

/// The ends of a child's pipes; those that were not asked for are `None`.
#[derive(Debug)]
pub struct Pipes {
    /// Where the child reads.
    pub stdin: Option<ChildStdin>,
    /// What the child writes.
    pub stdout: Option<ChildStdout>,
    /// What the child says to humans.
    pub stderr: Option<ChildStderr>,
}

impl Process {
    /// Starts a command. Its process group is its own, so that Ctrl-C on the terminal reaches
    /// sync alone, which passes it on once.
    pub fn start(name: &str, command: &mut Command) -> Result<(Self, Pipes)> {
        use std::os::unix::process::CommandExt;
        let mut child = command
            .process_group(0)
            .spawn()
            .map_err(|error| cannot_start(name, command, &error))?;
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
        };
        let process = Self {
            name: name.to_owned(),
            pid: Pid::from_child(&child),
            child: Mutex::new(child),
            peak_rss_bytes: AtomicU64::new(0),
            cpu_ticks: AtomicU64::new(0),
        };
        process.sample();
        Ok((process, pipes))
    }

    /// What the process is to the user: `source` or `destination`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends a signal to the process and to what it has started. A process that has ended is no
    /// error.
    pub fn signal(&self, signal: Signal) {
        let _gone = rustix::process::kill_process_group(self.pid, signal);
    }

    /// Looks at what the process uses now.
    pub fn sample(&self) {
        let pid = self.pid.as_raw_nonzero();
        if let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status"))
            && let Some(bytes) = peak_rss(&status)
        {
            self.peak_rss_bytes.fetch_max(bytes, Ordering::Relaxed);
        }
        if let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat"))
            && let Some(ticks) = cpu_ticks(&stat)
        {
            self.cpu_ticks.fetch_max(ticks, Ordering::Relaxed);
        }
    }

    /// What the process has used so far.
    pub fn usage(&self) -> Usage {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        let ticks = self.cpu_ticks.load(Ordering::Relaxed);
        Usage {
            peak_rss_bytes: self.peak_rss_bytes.load(Ordering::Relaxed),
            cpu: Duration::from_millis(ticks * 1000 / ticks_per_second),
        }
    }

    /// Waits for the end of the process.
    pub fn wait(&self) -> Result<ExitStatus> {
        // Waits without collecting the child: while it is not collected, /proc still tells the
        // whole of its CPU time, and its number cannot be given to another process.
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitid(WaitId::Pid(self.pid), ended)
        {}
        self.sample();
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        child
            .wait()
            .map_err(|error| Error::run(format!("cannot wait for the {}: {error}", self.name)))
    }
}

/// The error of a command that did not start.
pub fn cannot_start(name: &str, command: &Command, error: &std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy();
    Error::usage(match error.kind() {
        std::io::ErrorKind::NotFound => format!(
            "the {name} `{program}` does not exist: give the path of an executable, or the name of one on PATH"
        ),
        std::io::ErrorKind::PermissionDenied => {
            format!(
                "the {name} `{program}` is not executable: `chmod +x` it, or name the program that runs it"
            )
        }
        _ => format!("the {name} `{program}` cannot be started: {error}"),
    })
}

/// How a process ended, for people.
pub fn describe_exit(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => "an unknown end".to_owned(),
    }
}

/// `VmHWM` of `/proc/PID/status`, in bytes.
fn peak_rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The sum of utime, stime, cutime and cstime of `/proc/PID/stat`, in clock ticks.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The command's name stands in parentheses and may hold anything, so count from its end.
    let (_, rest) = stat.rsplit_once(')')?;
    let times: Vec<u64> = rest
        .split_ascii_whitespace()
        .skip(11)
        .take(4)
        .map_while(|field| field.parse().ok())
        .collect();
    (times.len() == 4).then(|| times.iter().sum())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Stdio;

    use super::*;

    fn start(program: &str, args: &[&str]) -> Result<(Process, Pipes)> {
        Process::start("source", Command::new(program).args(args).stdout(Stdio::piped()))
    }

    #[test]
    fn figures_are_read_from_proc() {
        assert_eq!(
            peak_rss("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 9 kB\n"),
            Some(1234 * 1024)
        );
        assert_eq!(peak_rss("Name:\tx\n"), None);
        let stat = "77 (a) b (c) S 1 77 77 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 1 0";
        assert_eq!(cpu_ticks(stat), Some(110));
        assert_eq!(cpu_ticks("77 (a) S 1"), None);
    }

    #[test]
    fn usage_is_known_after_the_end() {
        let (process, pipes) = start("sh", &["-c", "echo hello; exec sleep 1000"]).unwrap();
        assert!(pipes.stdin.is_none());
        let mut hello = [0; 6];
        pipes.stdout.unwrap().read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello\n");
        // It stays until it has been looked at.
        process.sample();
        process.signal(Signal::KILL);
        process.wait().unwrap();
        assert!(process.usage().peak_rss_bytes > 0);
    }

    #[test]
    fn signals_reach_the_whole_group() {
        use std::os::unix::process::ExitStatusExt;
        let (process, pipes) = start("sh", &["-c", "sleep 1000 & echo up; wait"]).unwrap();
        let mut stdout = pipes.stdout.unwrap();
        stdout.read_exact(&mut [0; 3]).unwrap();
        process.signal(Signal::KILL);
        // Ends only when the inner process, which holds the pipe too, is gone.
        stdout.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn what_cannot_start_is_explained() {
        let error = start("/nowhere/source-x", &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.message().contains("does not exist"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = start(file.path().to_str().unwrap(), &[]).unwrap_err();
        assert!(error.exit_code() == 2 && error.message().contains("chmod +x"), "{error}");
    }
}
