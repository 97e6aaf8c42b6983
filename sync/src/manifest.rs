//! The manifest of an output folder: how long each file was at the last checkpoints.
//!
//! State file and manifest are two files, so a crash can fall between their two renames. The
//! manifest is written first and holds the last two checkpoints, each with the fingerprint of the
//! state file that belongs to it: whichever of the two state files is found, its lengths are known.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use airbyte_protocol::StreamDescriptor;
use serde::{Deserialize, Serialize};

use crate::atomic;
use crate::error::{Error, Result};

/// The manifest's name in the output folder.
pub const FILE_NAME: &str = "sync-manifest.json";

const VERSION: u32 = 1;

/// The content of the manifest file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// One or two, the newest last.
    checkpoints: Vec<Checkpoint>,
}

/// The lengths of all output files that belong to one content of the state file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The [`fingerprint`] of the state file.
    pub state: String,
    /// The files, one per stream that was ever written here.
    pub streams: Vec<FileMark>,
}

/// How far one stream's output is covered by the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// The stream.
    #[serde(flatten)]
    pub stream: StreamDescriptor,
    /// What of the stream's file is covered.
    #[serde(flatten)]
    pub length: Length,
    /// What is covered of the file that will replace it, while a refresh is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
    /// Whether the last read of the stream was cut off after a state.
    #[serde(default)]
    pub unfinished: bool,
}

/// A length in both units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    /// Bytes from the file's start.
    pub bytes: u64,
    /// Lines, one a record.
    pub records: u64,
}

/// The file that a refresh writes before it takes the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// What of it is covered.
    #[serde(flatten)]
    pub length: Length,
    /// Whether it is complete, so that only the renaming is left to do.
    pub done: bool,
}

impl FileMark {
    /// The mark of a stream's file that holds nothing yet.
    pub fn new(stream: StreamDescriptor) -> Self {
        Self { stream, length: Length::default(), replacement: None, unfinished: false }
    }
}

impl Manifest {
    /// Reads the manifest of a folder; `None` when there is none.
    pub fn load(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(FILE_NAME);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let broken = |why: String| {
            Error::usage(format!(
                "the manifest {} cannot be used: {why}. Give another --out folder, or remove the \
                 manifest if the output files are to be taken as they are",
                path.display()
            ))
        };
        let manifest: Self =
            serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
        if manifest.version != VERSION {
            return Err(broken(format!("it has version {}, not {VERSION}", manifest.version)));
        }
        Ok(Some(manifest))
    }

    /// The manifest with its newest checkpoint and the one before it.
    pub fn of(former: Option<Checkpoint>, newest: Checkpoint) -> Self {
        Self { version: VERSION, checkpoints: former.into_iter().chain([newest]).collect() }
    }

    /// Writes the manifest durably.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE_NAME);
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::run(format!("cannot write the manifest: {error}")))?;
        atomic::write(&path, text.as_bytes()).map_err(|error| Error::io("write", &path, error))
    }

    /// The checkpoint of a state file, the newest if several have the same.
    pub fn checkpoint(&self, state: &str) -> Option<&Checkpoint> {
        self.checkpoints.iter().rev().find(|checkpoint| checkpoint.state == state)
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> Option<&Checkpoint> {
        self.checkpoints.last()
    }
}

/// Tells contents of a state file apart: 64-bit FNV-1a in hexadecimal, and `none` for no file.
pub fn fingerprint(state: Option<&[u8]>) -> String {
    let Some(bytes) = state else { return "none".to_owned() };
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(state: &str, bytes: u64) -> Checkpoint {
        let mut mark = FileMark::new(StreamDescriptor::new("users"));
        mark.length = Length { bytes, records: bytes / 10 };
        Checkpoint { state: state.into(), streams: vec![mark] }
    }

    #[test]
    fn fingerprints_are_those_of_fnv_1a() {
        assert_eq!(fingerprint(None), "none");
        assert_eq!(fingerprint(Some(b"")), "cbf29ce484222325");
        assert_eq!(fingerprint(Some(b"a")), "af63dc4c8601ec8c");
        assert_eq!(fingerprint(Some(b"foobar")), "85944171f73967e8");
    }

    #[test]
    fn either_of_the_last_two_state_files_is_found() {
        let manifest = Manifest::of(Some(checkpoint("old", 10)), checkpoint("new", 20));
        assert_eq!(manifest.checkpoint("old").unwrap().streams[0].length.bytes, 10);
        assert_eq!(manifest.checkpoint("new").unwrap().streams[0].length.bytes, 20);
        assert!(manifest.checkpoint("other").is_none());
    }

    #[test]
    fn the_newer_of_two_checkpoints_with_one_state_counts() {
        let manifest = Manifest::of(Some(checkpoint("same", 10)), checkpoint("same", 20));
        assert_eq!(manifest.checkpoint("same").unwrap().streams[0].length.bytes, 20);
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::load(folder.path()).unwrap(), None);
        let mut newest = checkpoint("new", 20);
        newest.streams[0].replacement =
            Some(Replacement { length: Length { bytes: 3, records: 1 }, done: true });
        newest.streams[0].stream.namespace = Some("crm".into());
        let manifest = Manifest::of(Some(checkpoint("old", 10)), newest);
        manifest.save(folder.path()).unwrap();
        assert_eq!(Manifest::load(folder.path()).unwrap(), Some(manifest));
    }

    #[test]
    fn a_broken_manifest_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["{", r#"{"version":9,"checkpoints":[]}"#] {
            fs::write(folder.path().join(FILE_NAME), text).unwrap();
            let error = Manifest::load(folder.path()).unwrap_err();
            assert!(error.exit_code() == 2 && error.message().contains("--out"), "{error}");
        }
    }
}
