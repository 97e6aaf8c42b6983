//! Bringing files of a local folder to the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use airbyte_protocol::{Error, Result};
use object_store::local::LocalFileSystem;

/// Files that were written and may not have reached the disk.
///
/// `object_store` can sync each file and its folder as it is written. A commit writes some five
/// files into two folders and needs them on the disk only once, before the last of them.
pub struct Unsynced {
    root: PathBuf,
    durable: LocalFileSystem,
    files: Mutex<BTreeSet<PathBuf>>,
    /// Folders whose own entry in the folder above is on the disk.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl Unsynced {
    /// Of the files below a folder.
    pub fn below(root: &str) -> Self {
        Self {
            root: root.into(),
            durable: LocalFileSystem::new().with_fsync(true),
            files: Mutex::default(),
            folders: Mutex::default(),
        }
    }

    /// A store that syncs each file as it is written.
    pub fn durable(&self) -> &LocalFileSystem {
        &self.durable
    }

    /// Notes a file.
    pub fn add(&self, path: &object_store::path::Path) {
        let file = Path::new("/").join(path.as_ref());
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(file);
    }

    /// Syncs the files that were noted, and the folders that name them.
    pub async fn sync(&self) -> Result<()> {
        let files = std::mem::take(&mut *self.files.lock().unwrap_or_else(PoisonError::into_inner));
        if files.is_empty() {
            return Ok(());
        }
        let folders = self.folders_of(&files);
        let all = files.into_iter().chain(folders.iter().cloned()).collect::<Vec<_>>();
        let synced =
            tokio::task::spawn_blocking(move || all.iter().try_for_each(|path| sync(path)));
        let synced = synced.await.map_err(io::Error::other).and_then(|synced| synced);
        synced.map_err(|error| {
            Error::transient("Files of the warehouse cannot be brought to the disk")
                .with_internal(error.to_string())
        })?;
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).extend(folders);
        Ok(())
    }

    /// The folders of files, and those above them when they may be new.
    fn folders_of(&self, files: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        let known = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folders = BTreeSet::new();
        for folder in files.iter().filter_map(|file| file.parent()) {
            folders.insert(folder.to_owned());
            if !known.contains(folder) {
                let above = folder.ancestors().take_while(|above| above.starts_with(&self.root));
                folders.extend(above.map(Path::to_owned));
            }
        }
        folders
    }
}

/// A file that is gone was given up meanwhile.
fn sync(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn folders_are_synced_up_to_the_root_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let unsynced = Unsynced::below(root);
        let file = format!("{root}/n/t/data/a.parquet");
        std::fs::create_dir_all(format!("{root}/n/t/data")).unwrap();
        std::fs::write(&file, "a").unwrap();
        let files = BTreeSet::from([PathBuf::from(&file)]);
        let names = |folders: BTreeSet<PathBuf>| folders.len();
        assert_eq!(names(unsynced.folders_of(&files)), 4);
        unsynced.add(&object_store::path::Path::parse(file.trim_start_matches('/')).unwrap());
        unsynced.add(&object_store::path::Path::parse("nowhere/b.parquet").unwrap());
        unsynced.sync().await.unwrap();
        assert_eq!(names(unsynced.folders_of(&files)), 1);
        assert!(unsynced.files.lock().unwrap().is_empty());
    }
}
