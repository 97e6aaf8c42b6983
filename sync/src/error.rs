//! What can go wrong, and how the program ends with it.

use std::fmt;
use std::path::Path;

/// A failure with a sentence for the user and the exit code that tells a script what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

/// Who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user: a wrong argument, a missing or broken file. Exit code 2.
    Usage,
    /// The run itself failed. Exit code 1.
    Run,
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A mistake in what the user gave.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    /// A failure while working.
    pub fn run(message: impl Into<String>) -> Self {
        Self { kind: Kind::Run, message: message.into() }
    }

    /// A failed operation on a file, with what was being done to it.
    pub fn io(doing: &str, path: &Path, error: std::io::Error) -> Self {
        Self::run(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// The sentence for the user.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Who has to act.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The exit code of the program.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Run => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
