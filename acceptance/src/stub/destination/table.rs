//! Tables of the stub destination: a folder with files of rows, and a manifest that says which of
//! them count. What the manifest does not name does not exist, so a commit is one rename.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A table.
pub struct Table {
    folder: PathBuf,
    manifest: Manifest,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Manifest {
    next: u64,
    files: Vec<String>,
    staged: Option<Staged>,
}

/// Rows that replace others once a refresh is complete.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Staged {
    generation: Option<i64>,
    files: Vec<String>,
}

/// The rows that readers see, or those that wait for the end of a refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// What readers see.
    Live,
    /// What waits.
    Staged,
}

impl Table {
    /// Opens a table; it may not be there yet.
    pub fn open(root: &Path, name: &str) -> io::Result<Self> {
        use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
        const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.');
        let mut file_name = format!("t_{}", utf8_percent_encode(name, PLAIN));
        if file_name.len() > 200 {
            file_name = format!("{}_{:x}", &file_name[..180], checksum(name));
        }
        let folder = root.join(file_name);
        let manifest = match fs::read_to_string(folder.join("manifest.json")) {
            Ok(text) => serde_json::from_str(&text).map_err(io::Error::other)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Manifest::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { folder, manifest })
    }

    /// Whether it has ever been committed.
    pub fn is_there(&self) -> bool {
        self.folder.join("manifest.json").exists()
    }

    /// The rows of an area.
    pub fn rows(&self, area: Area) -> io::Result<Vec<Value>> {
        let mut rows = Vec::new();
        for file in self.files(area) {
            for line in fs::read_to_string(self.folder.join(file))?.lines() {
                rows.push(serde_json::from_str(line).map_err(io::Error::other)?);
            }
        }
        Ok(rows)
    }

    fn files(&self, area: Area) -> &[String] {
        match area {
            Area::Live => &self.manifest.files,
            Area::Staged => self.manifest.staged.as_ref().map_or(&[], |staged| &staged.files),
        }
    }

    /// Begins to stage rows of a generation. What an earlier attempt of the same one has staged
    /// stays; without a generation nothing does.
    pub fn stage(&mut self, generation: Option<i64>, is_forgetful: bool) {
        let is_same = |staged: &Staged| staged.generation == generation && generation.is_some();
        if is_forgetful || !self.manifest.staged.as_ref().is_some_and(is_same) {
            self.manifest.staged = Some(Staged { generation, files: Vec::new() });
        }
    }

    /// Adds rows to an area, durably.
    pub fn append(&mut self, area: Area, rows: &[Value]) -> io::Result<()> {
        let file = self.write_rows(rows)?;
        match area {
            Area::Live => self.manifest.files.push(file),
            Area::Staged => self.manifest.staged.get_or_insert_default().files.push(file),
        }
        self.commit()
    }

    /// Replaces the rows of an area, durably.
    pub fn replace(&mut self, area: Area, rows: &[Value]) -> io::Result<()> {
        let file = self.write_rows(rows)?;
        match area {
            Area::Live => self.manifest.files = vec![file],
            Area::Staged => self.manifest.staged.get_or_insert_default().files = vec![file],
        }
        self.commit()
    }

    /// Shows these rows instead of all others; nothing is staged any more.
    pub fn swap(&mut self, rows: &[Value]) -> io::Result<()> {
        let file = self.write_rows(rows)?;
        self.manifest.files = vec![file];
        self.manifest.staged = None;
        self.commit()
    }

    fn write_rows(&mut self, rows: &[Value]) -> io::Result<String> {
        fs::create_dir_all(&self.folder)?;
        self.manifest.next += 1;
        let name = format!("{:06}.jsonl", self.manifest.next);
        let mut text = String::new();
        for row in rows {
            text.push_str(&row.to_string());
            text.push('\n');
        }
        let mut file = File::create(self.folder.join(&name))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(name)
    }

    /// Makes what was done count.
    pub fn commit(&self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let new = self.folder.join("manifest.json.new");
        let mut file = File::create(&new)?;
        file.write_all(serde_json::to_string(&self.manifest)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join("manifest.json"))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// FNV-1a: tells long names apart.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn staged_rows_are_seen_only_after_the_swap() {
        let root = tempfile::tempdir().unwrap();
        let mut table = Table::open(root.path(), "a/b").unwrap();
        assert!(!table.is_there());
        table.append(Area::Live, &[json!({"id": 1})]).unwrap();
        table.stage(Some(2), false);
        table.append(Area::Staged, &[json!({"id": 2})]).unwrap();

        let mut again = Table::open(root.path(), "a/b").unwrap();
        assert_eq!(again.rows(Area::Live).unwrap(), [json!({"id": 1})]);
        again.stage(Some(2), false);
        let staged = again.rows(Area::Staged).unwrap();
        assert_eq!(staged, [json!({"id": 2})]);
        again.swap(&staged).unwrap();
        assert_eq!(Table::open(root.path(), "a/b").unwrap().rows(Area::Live).unwrap(), staged);
        again.stage(Some(3), false);
        assert!(again.rows(Area::Staged).unwrap().is_empty());
    }

    #[test]
    fn long_names_stay_apart() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = ("x".repeat(300), format!("{}y", "x".repeat(299)));
        Table::open(root.path(), &one).unwrap().append(Area::Live, &[]).unwrap();
        assert!(Table::open(root.path(), &one).unwrap().is_there());
        assert!(!Table::open(root.path(), &two).unwrap().is_there());
    }
}
