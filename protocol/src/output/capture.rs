//! Output into memory, for tests.

use super::Output;
use crate::message::Message;

/// What was written to an [`Output::capture`].
#[derive(Clone)]
pub struct Captured {
    output: Output,
}

impl Captured {
    pub(super) fn new(output: Output) -> Self {
        Self { output }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        let memory = self.output.shared.queue.memory();
        String::from_utf8_lossy(&memory).lines().map(str::to_owned).collect()
    }

    /// All messages so far.
    ///
    /// # Panics
    /// When a line is not a message, which is what a test wants to know.
    pub fn messages(&self) -> Vec<Message> {
        let parse = |line: &String| match Message::parse(line) {
            Ok(message) => message,
            Err(error) => panic!("{error}"),
        };
        self.lines().iter().map(parse).collect()
    }
}
