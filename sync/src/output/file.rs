//! The file of one stream.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use airbyte_protocol::StreamDescriptor;

use super::Plan;
use crate::atomic;
use crate::error::{Error, Result};
use crate::manifest::{FileMark, Length, Replacement};

const BUFFER_BYTES: usize = 128 * 1024;

/// A stream's file while it is written. A read that replaces the file writes to a second one,
/// which takes the first one's name when the stream is complete.
#[derive(Debug)]
pub(super) struct StreamFile {
    stream: StreamDescriptor,
    path: PathBuf,
    incremental: bool,
    /// Set while a replacement is being written: what is covered of the file it will replace.
    replaces: Option<Length>,
    writer: Option<BufWriter<File>>,
    written: Length,
    covered: Length,
    /// Whether a state of the present read covers something; before that, a crash leads back to
    /// the state and the files of the time before this read.
    begun: bool,
    complete: bool,
    unsynced: bool,
}

impl StreamFile {
    /// Opens a stream's file at its mark. Also returns how many bytes lay behind the mark.
    pub(super) fn open(
        folder: &Path,
        plan: &Plan,
        mark: Option<FileMark>,
        resume: bool,
    ) -> Result<(Self, u64)> {
        let path = folder.join(file_name(&plan.stream));
        let known = mark.is_some();
        let mut mark = mark.unwrap_or_else(|| FileMark::new(plan.stream.clone()));
        take_place(&path, &mut mark)?;
        let (length, mut cut) =
            if known { cut_back(&path, mark.length)? } else { (found(&path)?, 0) };
        let continued = mark.replacement.filter(|_| resume);
        let (replaces, written) = match continued {
            Some(replacement) => {
                let (at, part_cut) = cut_back(&part_path(&path), replacement.length)?;
                cut += part_cut;
                (Some(length), at)
            }
            None => {
                cut += remove(&part_path(&path))?;
                if plan.replace { (Some(length), Length::default()) } else { (None, length) }
            }
        };
        let begun = resume && mark.unfinished;
        let file = Self {
            stream: plan.stream.clone(),
            path,
            incremental: plan.incremental,
            replaces,
            writer: None,
            written,
            covered: written,
            begun,
            complete: false,
            unsynced: false,
        };
        Ok((file, cut))
    }

    /// Whether this goes on with a read that was cut off.
    pub(super) fn continues(&self) -> bool {
        self.begun
    }

    pub(super) fn append(&mut self, data: &str) -> Result<()> {
        let path = self.target();
        let writer = self.open_writer()?;
        writer
            .write_all(data.as_bytes())
            .and_then(|()| writer.write_all(b"\n"))
            .map_err(|error| Error::io("write to", &path, error))?;
        self.written.bytes += data.len() as u64 + 1;
        self.written.records += 1;
        self.unsynced = true;
        Ok(())
    }

    pub(super) fn cover(&mut self) {
        self.covered = self.written;
        self.begun = true;
    }

    /// Whether the end of the stream can be taken as the end of its file.
    pub(super) fn may_finish(&self) -> bool {
        !self.incremental || self.covered == self.written
    }

    pub(super) fn finish(&mut self) -> Result<()> {
        if self.complete && self.covered == self.written {
            return Ok(());
        }
        self.open_writer()?;
        self.cover();
        self.complete = true;
        Ok(())
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        if !self.unsynced {
            return Ok(());
        }
        let path = self.target();
        if let Some(writer) = &mut self.writer {
            writer
                .flush()
                .and_then(|()| writer.get_ref().sync_data())
                .map_err(|error| Error::io("write to", &path, error))?;
        }
        self.unsynced = false;
        Ok(())
    }

    pub(super) fn mark(&self) -> FileMark {
        let done = self.complete;
        let (length, replacement) = match self.replaces {
            None => (self.covered, None),
            Some(old) if !self.begun => (old, None),
            Some(old) => (old, Some(Replacement { length: self.covered, done })),
        };
        FileMark {
            stream: self.stream.clone(),
            length,
            replacement,
            unfinished: self.begun && !done,
        }
    }

    /// After a checkpoint: closes a complete file, and gives a complete replacement its name.
    pub(super) fn settle(&mut self) -> Result<()> {
        if !self.complete || self.unsynced {
            return Ok(());
        }
        self.writer = None;
        if self.replaces.take().is_some() {
            atomic::rename(&part_path(&self.path), &self.path)
                .map_err(|error| Error::io("replace", &self.path, error))?;
        }
        Ok(())
    }

    /// Cuts off what is not covered; returns how many bytes that were.
    pub(super) fn cut(&mut self) -> Result<u64> {
        self.sync()?;
        self.writer = None;
        if self.replaces.is_some() && !self.begun {
            self.written = Length::default();
            self.covered = self.written;
            return remove(&part_path(&self.path));
        }
        let (length, cut) = cut_back(&self.target(), self.covered)?;
        self.written = length;
        Ok(cut)
    }

    fn target(&self) -> PathBuf {
        if self.replaces.is_some() { part_path(&self.path) } else { self.path.clone() }
    }

    fn open_writer(&mut self) -> Result<&mut BufWriter<File>> {
        if self.writer.is_none() {
            let path = self.target();
            let file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .and_then(|file| {
                    atomic::sync_folder(atomic::folder_of(&path))?;
                    Ok(file)
                })
                .map_err(|error| Error::io("open", &path, error))?;
            self.writer = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        }
        self.writer.as_mut().ok_or_else(|| Error::run("an output file is closed"))
    }
}

/// The name of a stream's file: `stream.jsonl` or `namespace.stream.jsonl`, with characters that
/// a file name cannot hold, or that would hide it, written as `%` and two hexadecimal digits.
pub fn file_name(stream: &StreamDescriptor) -> String {
    let full = match &stream.namespace {
        Some(namespace) => format!("{namespace}.{}", stream.name),
        None => stream.name.clone(),
    };
    let mut name = String::with_capacity(full.len() + 6);
    for (at, char) in full.chars().enumerate() {
        if char.is_ascii_control() || matches!(char, '/' | '\\' | '%') || (at == 0 && char == '.') {
            name.push_str(&format!("%{:02X}", u32::from(char)));
        } else {
            name.push(char);
        }
    }
    name + ".jsonl"
}

fn part_path(path: &Path) -> PathBuf {
    path.with_extension("jsonl.part")
}

/// Finishes the renaming that a crash may have prevented.
fn take_place(path: &Path, mark: &mut FileMark) -> Result<()> {
    let Some(replacement) = mark.replacement.filter(|replacement| replacement.done) else {
        return Ok(());
    };
    let part = part_path(path);
    if part.exists() {
        cut_back(&part, replacement.length)?;
        atomic::rename(&part, path).map_err(|error| Error::io("replace", path, error))?;
    }
    mark.length = replacement.length;
    mark.replacement = None;
    Ok(())
}

/// Cuts a file back to a length it had, and returns where it stands and what was cut off. A file
/// that is gone was taken away by its reader and starts anew; one that is shorter was damaged.
fn cut_back(path: &Path, length: Length) -> Result<(Length, u64)> {
    let there = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Length::default(), 0)),
        Err(error) => return Err(Error::io("look at", path, error)),
    };
    if there < length.bytes {
        return Err(Error::usage(format!(
            "{} holds {there} bytes, but {} were written to it before: something else changed it. \
             Move it away to go on with a new file, or start over with --full-refresh",
            path.display(),
            length.bytes
        )));
    }
    if there > length.bytes {
        File::options()
            .write(true)
            .open(path)
            .and_then(|file| {
                file.set_len(length.bytes)?;
                file.sync_all()
            })
            .map_err(|error| Error::io("cut back", path, error))?;
    }
    Ok((length, there - length.bytes))
}

/// A file that sync has not written: it is kept, and its lines are not counted as records.
fn found(path: &Path) -> Result<Length> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Length { bytes: metadata.len(), records: 0 }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Length::default()),
        Err(error) => Err(Error::io("look at", path, error)),
    }
}

/// Removes a file if it is there, and returns how long it was.
fn remove(path: &Path) -> Result<u64> {
    let length = found(path)?.bytes;
    match fs::remove_file(path) {
        Ok(()) => Ok(length),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(Error::io("remove", path, error)),
    }
}
