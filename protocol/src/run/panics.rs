//! A panic anywhere becomes a TRACE ERROR and the end of the process.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::Error;
use crate::output::Output;

/// How long the last lines may take to leave.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// Replaces the hook that would print to stderr.
pub(super) fn install(output: &Output) {
    let output = output.clone();
    let is_reporting = AtomicBool::new(false);
    std::panic::set_hook(Box::new(move |info| {
        if is_reporting.swap(true, Ordering::SeqCst) {
            // Another thread reports its panic and ends the process.
            loop {
                std::thread::park();
            }
        }
        output.error(&error_of(info));
        output.break_off();
        output.flush_blocking(Some(LAST_FLUSH));
        std::process::exit(1);
    }));
}

fn error_of(info: &PanicHookInfo<'_>) -> Error {
    let payload = info.payload();
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    Error::system(
        "The connector stopped because of a defect in it. Run it again; if it stops again, report the \
         internal message to its authors",
    )
    .with_internal(format!("panic{place}: {text}"))
}
