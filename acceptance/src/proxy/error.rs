//! Why the proxy cannot do its work.

use std::io;
use std::path::PathBuf;

/// An error of the proxy itself; what goes wrong between connector and API is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No port can be listened on.
    #[error("the proxy cannot listen on a local port: {0}")]
    Listen(#[source] io::Error),
    /// Certificates, threads or temporary files cannot be made.
    #[error("the proxy cannot be set up: {0}")]
    Setup(String),
    /// Not an address of an API.
    #[error("{url} is not the address of an API: {problem}; give http://HOST/… or https://HOST/…")]
    Upstream {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A recording cannot be written or read.
    #[error("{}{}: {problem}", path.display(), line.map(|n| format!(":{n}")).unwrap_or_default())]
    Recording {
        /// The folder or file.
        path: PathBuf,
        /// The line in it, from 1.
        line: Option<usize>,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl Error {
    pub(super) fn recording(path: impl Into<PathBuf>, problem: impl ToString) -> Self {
        Error::Recording { path: path.into(), line: None, problem: problem.to_string() }
    }
}

/// A result of the proxy.
pub type Result<T, E = Error> = std::result::Result<T, E>;
