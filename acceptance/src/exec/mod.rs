//! Running a connector as runners do: an executable or an image, with files, signals and pipes.
//!
//! A [`Connector`] is what is under test. A [`Call`] is one command with its files and
//! circumstances. [`Connector::run`] gives the [`Transcript`] of a whole run;
//! [`Connector::start`] gives a [`Running`] process to whoever has to step in while it runs.

mod call;
mod docker;
mod launch;
mod platform;
mod process;
mod reader;
#[cfg(test)]
mod tests;
mod usage;
mod watch;

use std::collections::BTreeMap;
use std::fmt;

pub use call::{Call, Content, Mode, Stop};
pub use process::Running;
pub use watch::kill_all;

use crate::transcript::Transcript;

/// Why the suite itself cannot go on; never a fault that it looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble(pub String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Trouble {}

/// How the connector is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A program with its first arguments.
    Executable(Vec<String>),
    /// An image, run by this container engine (`docker`, `podman`, or a path).
    Image {
        /// The name of the image.
        image: String,
        /// The program of the engine.
        engine: String,
    },
}

/// The connector under test.
#[derive(Debug, Clone)]
pub struct Connector {
    /// How it is started.
    pub launch: Launch,
    /// Variables that are set for every run.
    pub environment: BTreeMap<String, String>,
}

impl Connector {
    /// A program with its first arguments.
    pub fn executable(words: Vec<String>) -> Self {
        Self { launch: Launch::Executable(words), environment: BTreeMap::new() }
    }

    /// An image.
    pub fn image(image: &str, engine: &str) -> Self {
        let launch = Launch::Image { image: image.to_owned(), engine: engine.to_owned() };
        Self { launch, environment: BTreeMap::new() }
    }

    /// What it is called in reports.
    pub fn name(&self) -> String {
        match &self.launch {
            Launch::Executable(words) => words.join(" "),
            Launch::Image { image, .. } => image.clone(),
        }
    }

    /// Whether it is an image.
    pub fn is_image(&self) -> bool {
        matches!(self.launch, Launch::Image { .. })
    }

    /// Starts a command. Fails only when it cannot be started at all.
    pub fn start(&self, call: &Call) -> Result<Running, Trouble> {
        launch::start(self, call)
    }

    /// Runs a command to its end, or to the point at which the call says that it is stopped.
    pub fn run(&self, call: &Call) -> Result<Transcript, Trouble> {
        Ok(self.start(call)?.finish())
    }
}
