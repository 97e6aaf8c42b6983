//! Progress on stderr: a moving line on a terminal, else nothing.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::transcript::Transcript;

/// What is told while trials are under way.
pub trait Progress: Sync {
    /// So many more trials are to come.
    fn planned(&self, _trials: usize) {}
    /// A trial has begun.
    fn begun(&self, _trial: &str) {}
    /// A trial has ended.
    fn ended(&self, _trial: &str) {}
    /// A run of the connector has ended.
    fn run_done(&self, _run: &Transcript) {}
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A moving line on stderr when that is a terminal.
#[derive(Debug)]
pub struct Line {
    bar: ProgressBar,
    under_way: Mutex<BTreeSet<String>>,
}

impl Line {
    /// The line, or `None` when stderr is no terminal.
    pub fn on_terminal() -> Option<Self> {
        if !std::io::stderr().is_terminal() {
            return None;
        }
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(
            "{spinner} {elapsed_precise} {pos}/{len} trials  {wide_msg}",
        ) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Some(Self { bar, under_way: Mutex::default() })
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn show(&self, change: impl FnOnce(&mut BTreeSet<String>)) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut under_way);
        let names: Vec<&str> = under_way.iter().map(String::as_str).collect();
        self.bar.set_message(names.join(" · "));
    }
}

impl Progress for Line {
    fn planned(&self, trials: usize) {
        self.bar.inc_length(trials as u64);
    }

    fn begun(&self, trial: &str) {
        self.show(|under_way| {
            under_way.insert(trial.to_owned());
        });
    }

    fn ended(&self, trial: &str) {
        self.bar.inc(1);
        self.show(|under_way| {
            under_way.remove(trial);
        });
    }
}
