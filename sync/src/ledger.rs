//! The durable part of a run: records, states, and the order in which they reach the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use airbyte_protocol::{StateLine, StateType, StreamDescriptor};

use crate::atomic;
use crate::error::{Error, Result};
use crate::manifest;
use crate::output::OutputFolder;
use crate::states::States;

/// The least time between two checkpoints: states that come faster share one.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Output files and state file of one connection.
#[derive(Debug)]
pub struct Ledger {
    state_path: PathBuf,
    states: States,
    /// `None` when a destination keeps the records.
    output: Option<OutputFolder>,
    /// Whether something came that the last checkpoint does not hold.
    pending: bool,
    last_commit: Instant,
}

impl Ledger {
    /// A ledger over what is on the disk.
    pub fn new(state_path: PathBuf, states: States, output: Option<OutputFolder>) -> Self {
        Self { state_path, states, output, pending: false, last_commit: Instant::now() }
    }

    /// Writes a record, given as the JSON text of its data, unless a destination keeps them.
    pub fn record(&mut self, stream: &StreamDescriptor, data: &str) -> Result<()> {
        self.output.as_mut().map_or(Ok(()), |output| output.append(stream, data))
    }

    /// Takes a state: everything that was written before it is covered.
    pub fn state(&mut self, state: &StateLine) -> Result<()> {
        self.states.set(state)?;
        if let Some(output) = &mut self.output {
            match (state.kind(), state.streams()) {
                (StateType::Stream, [stream]) => output.cover(stream),
                _ => output.cover_all(),
            }
        }
        self.pending = true;
        Ok(())
    }

    /// The source says that a stream was read to its end.
    pub fn complete(&mut self, stream: &StreamDescriptor) -> Result<()> {
        self.pending |= self.output.is_some();
        self.output.as_mut().map_or(Ok(()), |output| output.complete(stream))
    }

    /// The whole read succeeded, so that a stream is complete whatever its states say.
    pub fn finish(&mut self, stream: &StreamDescriptor) -> Result<()> {
        self.pending |= self.output.is_some();
        self.output.as_mut().map_or(Ok(()), |output| output.finish(stream))
    }

    /// Makes a checkpoint when there is something new and the last one is long enough ago.
    pub fn commit_if_due(&mut self) -> Result<()> {
        if self.pending && self.last_commit.elapsed() >= COMMIT_INTERVAL {
            self.commit()
        } else {
            Ok(())
        }
    }

    /// Makes a checkpoint when there is something new.
    pub fn commit(&mut self) -> Result<()> {
        if !self.pending {
            return Ok(());
        }
        let text = self.states.text();
        let path = &self.state_path;
        let save = || {
            atomic::write(path, text.as_bytes()).map_err(|error| Error::io("write", path, error))
        };
        match &mut self.output {
            Some(output) => output.commit(manifest::fingerprint(Some(text.as_bytes())), save)?,
            None => save()?,
        }
        self.pending = false;
        self.last_commit = Instant::now();
        Ok(())
    }

    /// Ends a run that failed: the last states are saved and what they do not cover is cut off.
    /// Returns the number of bytes cut off.
    pub fn close_failed(&mut self) -> Result<u64> {
        self.commit()?;
        self.output.as_mut().map_or(Ok(0), OutputFolder::cut_uncovered)
    }
}
