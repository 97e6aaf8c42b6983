//! `tracing` events as LOG messages.

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::message::LogLevel;
use crate::output::Output;

/// Crates whose events below WARN tell about every byte on the wire; only TRACE shows them.
const NOISY: &[&str] = &["hyper", "h2", "rustls", "reqwest", "tower", "mio", "want"];

/// The level that `--debug` or `LOG_LEVEL` asks for; INFO when they do not.
pub(super) fn level(debug: bool) -> LogLevel {
    if debug {
        return LogLevel::Debug;
    }
    level_of(&std::env::var("LOG_LEVEL").unwrap_or_default())
}

fn level_of(name: &str) -> LogLevel {
    match name.trim().to_ascii_uppercase().as_str() {
        "FATAL" | "CRITICAL" => LogLevel::Fatal,
        "ERROR" => LogLevel::Error,
        "WARN" | "WARNING" => LogLevel::Warn,
        "DEBUG" => LogLevel::Debug,
        "TRACE" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

/// Sends the events of this process to `output`.
pub(super) fn install(output: &Output, level: &LogLevel) {
    let filter = match level {
        LogLevel::Fatal | LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info | LogLevel::Other(_) => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let layer = MessageLayer { output: output.clone(), filter };
    // It fails only when the program installed a subscriber of its own, which then has its way.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}

struct MessageLayer {
    output: Output,
    filter: LevelFilter,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for MessageLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_noisy = || {
            let root = metadata.target().split("::").next().unwrap_or_default();
            NOISY.iter().any(|noisy| root.starts_with(noisy))
        };
        *metadata.level() <= self.filter
            && (*metadata.level() <= Level::WARN
                || self.filter == LevelFilter::TRACE
                || !is_noisy())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.filter)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        self.output.log(level, text.finish());
    }
}

/// The message of an event, followed by its other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        format!("{}{}", self.message, self.fields).trim_start().to_owned()
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = if field.name() == "message" { &mut self.message } else { &mut self.fields };
        if field.name() == "message" {
            text.push_str(value);
        } else {
            let _ = write!(text, " {}={value}", field.name());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_log_messages_with_their_fields() {
        let (output, captured) = Output::capture();
        output.add_secret("hunter2hunter2");
        let layer = MessageLayer { output, filter: LevelFilter::INFO };
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(stream = "users", page = 3, "read with {}", "hunter2hunter2");
            tracing::debug!("not wanted");
            tracing::info!(target: "hyper_util::client", "noise");
            tracing::warn!(target: "hyper_util::client", "trouble");
        });
        assert_eq!(
            captured.lines(),
            [
                r#"{"type":"LOG","log":{"level":"INFO","message":"read with **** stream=users page=3"}}"#,
                r#"{"type":"LOG","log":{"level":"WARN","message":"trouble"}}"#,
            ]
        );
    }

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!(level_of("debug"), LogLevel::Debug);
        assert_eq!(level_of("Warning"), LogLevel::Warn);
        assert_eq!(level_of(""), LogLevel::Info);
        assert_eq!(level_of("loud"), LogLevel::Info);
    }
}
