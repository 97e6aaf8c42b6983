//! SIGTERM and SIGINT.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator;
use tokio_util::sync::CancellationToken;

/// How long a transfer may take to stop once it was asked to.
pub(super) const GRACE: Duration = Duration::from_secs(8);
/// After the grace: to write what is left, to a reader that may have stopped reading.
const LAST_FLUSH: Duration = Duration::from_millis(1500);

/// The signals of the process, watched by a thread. A handler is needed at all because a process
/// that runs as PID 1, as in a container, does not even notice a signal without one.
pub(super) struct Signals {
    received: Arc<AtomicI32>,
}

impl Signals {
    /// Lets a signal end the process at once, by the signal's default action.
    pub(super) fn end_at_once() -> io::Result<Self> {
        Self::watch(|signal, _| die_of(signal))
    }

    /// Lets the first signal cancel `shutdown` and end the process when the grace is over, the
    /// second one end it at once.
    pub(super) fn cancel(shutdown: CancellationToken) -> io::Result<Self> {
        Self::watch(move |signal, is_first| {
            if !is_first {
                std::process::exit(exit_code(signal).into());
            }
            shutdown.cancel();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE + LAST_FLUSH);
                std::process::exit(exit_code(signal).into());
            });
        })
    }

    fn watch(mut react: impl FnMut(i32, bool) + Send + 'static) -> io::Result<Self> {
        let received = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&received);
        let mut signals = iterator::Signals::new([SIGTERM, SIGINT])?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                let is_first = noted.swap(signal, Ordering::SeqCst) == 0;
                react(signal, is_first);
            }
        })?;
        Ok(Self { received })
    }

    /// The signal that came, with its name and the exit code that tells it.
    pub(super) fn received(&self) -> Option<(&'static str, u8)> {
        match self.received.load(Ordering::SeqCst) {
            0 => None,
            SIGINT => Some(("SIGINT", exit_code(SIGINT))),
            signal => Some(("SIGTERM", exit_code(signal))),
        }
    }
}

/// What a shell reports for a process that died of the signal.
fn exit_code(signal: i32) -> u8 {
    128u8.wrapping_add(signal as u8)
}

fn die_of(signal: i32) {
    // PID 1 is immune to default actions; for others they tell the parent what happened.
    if std::process::id() != 1 {
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    std::process::exit(exit_code(signal).into());
}
