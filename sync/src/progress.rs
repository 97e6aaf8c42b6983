//! Progress on stderr: one moving line on a terminal, else a plain line every few seconds.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stats::Stats;

/// Time between plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Where progress is shown.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Progress {
    /// Shows progress on stderr, as a moving line if that is a terminal.
    pub fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise}  {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { bar, last_line: Mutex::new(Instant::now()) }
    }

    /// Shows where the run stands; to be called often.
    pub fn tick(&self, stats: &Stats) {
        if let Some(bar) = &self.bar {
            bar.set_message(stats.line());
            bar.tick();
            return;
        }
        let mut last_line =
            self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last_line.elapsed() >= PLAIN_INTERVAL {
            *last_line = Instant::now();
            eprintln!("{:>6.0} s  {}", stats.elapsed.as_secs_f64(), stats.line());
        }
    }

    /// Prints a line beside the progress.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
