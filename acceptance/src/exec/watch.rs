//! Watching a process: its memory, and that it ends.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::usage;

/// The time between two looks at the memory of a process, at the beginning.
const FIRST_SAMPLE: Duration = Duration::from_millis(2);
/// The longest time between two looks.
const LAST_SAMPLE: Duration = Duration::from_millis(50);

/// The processes that are running, by their groups, with their containers.
static RUNNING: Mutex<BTreeMap<i32, Option<(String, String)>>> = Mutex::new(BTreeMap::new());

/// Kills every connector that is running: they are in groups of their own, so that Ctrl-C on the
/// terminal does not reach them.
pub fn kill_all() {
    let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    for (pid, container) in running.iter() {
        if let Some(pid) = Pid::from_raw(*pid) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        kill_container(container.as_ref());
    }
}

/// The thread that watches. It ends when this is dropped.
pub(super) struct Watch {
    pid: i32,
    _until: mpsc::Sender<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    peak_rss: AtomicU64,
    timed_out: AtomicBool,
}

impl Watch {
    /// Watches a process and all that it starts; kills them after this time.
    pub fn start(pid: Pid, timeout: Duration, container: Option<(String, String)>) -> Self {
        let raw = pid.as_raw_nonzero().get();
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).insert(raw, container.clone());
        let (until, over) = mpsc::channel::<()>();
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        std::thread::spawn(move || {
            let deadline = Instant::now() + timeout;
            let mut pause = FIRST_SAMPLE;
            loop {
                seen.peak_rss.fetch_max(usage::peak_rss(pid), Ordering::Relaxed);
                if Instant::now() > deadline && !seen.timed_out.swap(true, Ordering::SeqCst) {
                    let _ = rustix::process::kill_process_group(pid, Signal::KILL);
                    kill_container(container.as_ref());
                }
                if over.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
                pause = (pause * 2).min(LAST_SAMPLE);
            }
        });
        Self { pid: raw, _until: until, shared }
    }

    /// The largest resident set seen, in bytes.
    pub fn peak_rss(&self) -> u64 {
        self.shared.peak_rss.load(Ordering::Relaxed)
    }

    /// Whether the time was over.
    pub fn timed_out(&self) -> bool {
        self.shared.timed_out.load(Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

/// Kills a container: its engine's client is only a client.
pub(super) fn kill_container(container: Option<&(String, String)>) {
    if let Some((engine, name)) = container {
        let _ = Command::new(engine).args(["kill", name]).output();
    }
}
