//! SIGTERM and SIGINT end a read between two lines.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::Notify;

use crate::stub::mutants::{Fault, Mutation};

/// How long the end may take, as when nobody reads the output.
const GRACE: Duration = Duration::from_secs(2);

/// Waits for signals.
pub struct Stop {
    notify: Arc<Notify>,
    signal: Arc<AtomicI32>,
}

impl Stop {
    /// Takes over the signals.
    pub fn watch(mutation: Mutation) -> io::Result<Self> {
        let stop = Self { notify: Arc::default(), signal: Arc::default() };
        let (notify, received) = (Arc::clone(&stop.notify), Arc::clone(&stop.signal));
        let handled: &[i32] =
            if mutation.is(Fault::SigtermByDefault) { &[SIGINT] } else { &[SIGTERM, SIGINT] };
        let mut signals = Signals::new(handled)?;
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let is_ignored = match signal {
                    SIGTERM => mutation.is(Fault::SigtermIgnored),
                    _ => mutation.is(Fault::SigintIgnored),
                };
                if is_ignored {
                    continue;
                }
                received.store(signal, Ordering::SeqCst);
                notify.notify_one();
                std::thread::spawn(move || {
                    std::thread::sleep(GRACE);
                    std::process::exit(128 + signal);
                });
            }
        });
        Ok(stop)
    }

    /// Comes back when a signal came.
    pub async fn wait(&self) {
        self.notify.notified().await;
    }

    /// The name of the signal that came, and its exit code.
    pub fn signal(&self) -> (&'static str, u8) {
        match self.signal.load(Ordering::SeqCst) {
            SIGINT => ("SIGINT", 130),
            _ => ("SIGTERM", 143),
        }
    }
}
