//! Ctrl-C and SIGTERM: passed on to the source once, so that it writes its last states.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

use crate::error::{Error, Result};

/// The number of signals that came, and the first of them.
#[derive(Debug, Default)]
pub struct Interrupts {
    count: AtomicU32,
    first: AtomicI32,
}

impl Interrupts {
    /// How many signals came.
    pub fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// The first signal that came, by its number.
    pub fn first(&self) -> Option<i32> {
        Some(self.first.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// Notes a signal; returns how many that makes.
    fn note(&self, signal: i32) -> u32 {
        let _later = self.first.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
        self.count.fetch_add(1, Ordering::AcqRel) + 1
    }
}

/// True while nobody listens: then a signal has its usual effect, which is to end the process.
fn idle() -> std::io::Result<&'static Arc<AtomicBool>> {
    static IDLE: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(idle) = IDLE.get() {
        return Ok(idle);
    }
    let idle = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&idle))?;
    }
    Ok(IDLE.get_or_init(|| idle))
}

/// Listens for signals until dropped. There is one at a time.
#[derive(Debug)]
pub struct Listener {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    idle: &'static AtomicBool,
}

impl Listener {
    /// Starts to listen. `act` is called with each signal and how many came so far.
    pub fn start(
        interrupts: Arc<Interrupts>,
        act: impl Fn(i32, u32) + Send + 'static,
    ) -> Result<Self> {
        let cannot =
            |error: std::io::Error| Error::run(format!("cannot listen for signals: {error}"));
        let idle = idle().map_err(cannot)?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(cannot)?;
        idle.store(false, Ordering::Release);
        let handle = signals.handle();
        let thread = std::thread::spawn(move || {
            for signal in signals.forever() {
                let count = interrupts.note(signal);
                act(signal, count);
            }
        });
        Ok(Self { handle, thread: Some(thread), idle })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.idle.store(true, Ordering::Release);
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_is_remembered_and_all_are_counted() {
        let interrupts = Interrupts::default();
        assert_eq!((interrupts.count(), interrupts.first()), (0, None));
        assert_eq!(interrupts.note(SIGTERM), 1);
        assert_eq!(interrupts.note(SIGINT), 2);
        assert_eq!((interrupts.count(), interrupts.first()), (2, Some(SIGTERM)));
    }
}
