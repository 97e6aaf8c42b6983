//! The output folder: one file of JSON lines per stream, and checkpoints over all of them.

mod file;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use airbyte_protocol::StreamDescriptor;

use file::StreamFile;
pub use file::file_name;

use crate::atomic::Lock;
use crate::error::{Error, Result};
use crate::manifest::{Checkpoint, FileMark, Manifest};

/// What is to happen with one stream's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The stream.
    pub stream: StreamDescriptor,
    /// Whether the source goes on from its state, rather than sending everything each time.
    pub incremental: bool,
    /// Whether a complete read takes the place of what is there, rather than following it.
    pub replace: bool,
    /// Whether an earlier, unfinished read may be continued, given that its state is there.
    pub resume: bool,
}

/// The output folder, open for one run.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    files: Vec<StreamFile>,
    by_stream: HashMap<StreamDescriptor, usize>,
    /// Marks of streams that this run does not touch.
    others: Vec<FileMark>,
    /// The checkpoint that the state file on disk belongs to.
    current: Checkpoint,
    _lock: Lock,
}

/// How an output folder was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Whether the state file was not the one of the folder's last checkpoints.
    pub foreign_state: bool,
    /// The streams whose last read was cut off after a state, and that go on from it.
    pub unfinished: Vec<StreamDescriptor>,
    /// Bytes that lay behind the checkpoint and were cut off.
    pub cut_bytes: u64,
}

impl OutputFolder {
    /// Opens the folder, creates it if need be, and cuts every file back to the checkpoint that
    /// belongs to the state file with the given fingerprint.
    pub fn open(path: &Path, plans: &[Plan], state: String) -> Result<(Self, Found)> {
        fs::create_dir_all(path).map_err(|error| Error::io("create the folder", path, error))?;
        let lock = Lock::folder(path).map_err(|error| Error::io("lock", path, error))?.ok_or_else(
            || Error::usage(format!("another sync is writing to {}", path.display())),
        )?;
        refuse_shared_names(plans)?;
        let (checkpoint, foreign_state) = match Manifest::load(path)? {
            None => (Checkpoint::default(), false),
            Some(manifest) => match manifest.checkpoint(&state) {
                Some(checkpoint) => (checkpoint.clone(), false),
                None => (manifest.newest().cloned().unwrap_or_default(), true),
            },
        };
        let mut found = Found { foreign_state, ..Found::default() };
        let mut folder = Self {
            path: path.to_owned(),
            files: Vec::new(),
            by_stream: HashMap::new(),
            others: checkpoint.streams,
            current: Checkpoint { state, streams: Vec::new() },
            _lock: lock,
        };
        for plan in plans {
            folder.add(plan, &mut found)?;
        }
        folder.current.streams = folder.marks();
        Manifest::of(None, folder.current.clone()).save(path)?;
        Ok((folder, found))
    }

    fn add(&mut self, plan: &Plan, found: &mut Found) -> Result<()> {
        let known = self.others.iter().position(|mark| mark.stream == plan.stream);
        let mark = known.map(|at| self.others.swap_remove(at));
        let resume = plan.resume && !found.foreign_state;
        let (file, cut) = StreamFile::open(&self.path, plan, mark, resume)?;
        found.cut_bytes += cut;
        if file.continues() {
            found.unfinished.push(plan.stream.clone());
        }
        self.by_stream.insert(plan.stream.clone(), self.files.len());
        self.files.push(file);
        Ok(())
    }

    /// Appends one record, given as the JSON text of its data.
    pub fn append(&mut self, stream: &StreamDescriptor, data: &str) -> Result<()> {
        match self.file(stream) {
            Some(file) => file.append(data),
            None => Ok(()),
        }
    }

    /// A state came: all that was written for the stream is covered by it.
    pub fn cover(&mut self, stream: &StreamDescriptor) {
        if let Some(file) = self.file(stream) {
            file.cover();
        }
    }

    /// A state of all streams came.
    pub fn cover_all(&mut self) {
        self.files.iter_mut().for_each(StreamFile::cover);
    }

    /// The source says that the stream was read to its end. An incremental stream whose last
    /// records no state covers yet is left open until one does, or until the whole read succeeded.
    pub fn complete(&mut self, stream: &StreamDescriptor) -> Result<()> {
        match self.file(stream) {
            Some(file) if file.may_finish() => file.finish(),
            _ => Ok(()),
        }
    }

    /// The stream is complete, whatever its states say.
    pub fn finish(&mut self, stream: &StreamDescriptor) -> Result<()> {
        match self.file(stream) {
            Some(file) => file.finish(),
            None => Ok(()),
        }
    }

    /// A durable checkpoint: brings the records to the disk, then writes the manifest, then lets
    /// `save_state` write the state file, then gives finished replacements their names.
    /// `state` is the fingerprint of what `save_state` writes.
    pub fn commit(&mut self, state: String, save_state: impl FnOnce() -> Result<()>) -> Result<()> {
        for file in &mut self.files {
            file.sync()?;
        }
        let newest = Checkpoint { state, streams: self.marks() };
        Manifest::of(Some(self.current.clone()), newest.clone()).save(&self.path)?;
        save_state()?;
        self.current = newest;
        self.files.iter_mut().try_for_each(StreamFile::settle)
    }

    /// Cuts off everything that no state covers; for the end of a run that failed.
    pub fn cut_uncovered(&mut self) -> Result<u64> {
        let mut cut = 0;
        for file in &mut self.files {
            cut += file.cut()?;
        }
        Ok(cut)
    }

    fn file(&mut self, stream: &StreamDescriptor) -> Option<&mut StreamFile> {
        self.by_stream.get(stream).map(|at| &mut self.files[*at])
    }

    fn marks(&self) -> Vec<FileMark> {
        self.files.iter().map(StreamFile::mark).chain(self.others.iter().cloned()).collect()
    }
}

fn refuse_shared_names(plans: &[Plan]) -> Result<()> {
    let mut names = HashMap::new();
    for plan in plans {
        if let Some(other) = names.insert(file_name(&plan.stream), &plan.stream) {
            return Err(Error::usage(format!(
                "the streams `{other}` and `{}` would share the file {}; choose one of them with --streams",
                plan.stream,
                file_name(&plan.stream)
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
