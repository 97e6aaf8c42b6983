//! Which row of a key stays: among the rows of one commit, and between them and what is stored.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use airbyte_protocol::Result;
use arrow_array::RecordBatch;
use iceberg::spec::TableMetadata;
use roaring::RoaringTreemap;

use crate::commit::{self, FileKey, LiveFile};
use crate::deletes::DeleteFiles;
use crate::key::{BatchKeys, Key, KeyMap, KeyPlan, Rank};
use crate::scan;
use crate::storage::Storage;

/// Keys of one commit, at most: about 64 bytes each. A commit is made when there are more.
pub const MOST_KEYS: usize = 1_000_000;

/// Where the row of a key is among the new files.
#[derive(Debug, Clone)]
struct Newest {
    file: u32,
    row: u64,
    rank: Rank,
}

/// The keys of the rows that were written since the last commit.
pub struct KeyIndex {
    plan: KeyPlan,
    newest: KeyMap<Newest>,
    files: Vec<NewFile>,
    by_path: HashMap<String, u32>,
    /// Bits of keys that are there, for a quick no.
    filter: Filter,
}

/// A new file and the rows of it that did not stay.
struct NewFile {
    path: String,
    dead: RoaringTreemap,
}

/// What a commit has to delete.
#[derive(Default)]
pub struct Losers {
    /// Rows of new files, by location.
    pub new: HashMap<String, RoaringTreemap>,
    /// Rows of stored files.
    pub stored: Vec<StoredLosers>,
}

/// A stored file of which rows have to go.
pub struct StoredLosers {
    /// The file.
    pub file: LiveFile,
    /// All rows that its own delete file must name, with those that it names already.
    pub rows: RoaringTreemap,
    /// Its delete files so far, which the new one takes the place of.
    pub superseded: Vec<FileKey>,
    /// Whether no row of the file is left.
    pub is_empty: bool,
}

impl KeyIndex {
    /// An index without keys.
    pub fn new(plan: KeyPlan) -> Self {
        Self {
            plan,
            newest: KeyMap::default(),
            files: Vec::new(),
            by_path: HashMap::new(),
            filter: Filter::default(),
        }
    }

    /// Keys so far.
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// Forgets everything, for the next commit.
    pub fn clear(&mut self) {
        *self = Self::new(self.plan.clone());
    }

    /// Takes the rows of a batch, in the order in which they came: `place` tells for each the file
    /// and the position in it.
    pub fn add(&mut self, batch: &RecordBatch, places: &[(u32, u64)]) {
        let plan = self.plan.clone();
        let mut keys = BatchKeys::new(&plan, batch);
        for (row, &(file, position)) in places.iter().enumerate() {
            let key = keys.key(row);
            let rank = keys.rank(row);
            if keys.is_deleted(row) {
                // It takes part like any other row, and is not seen.
                self.kill(file, position);
            }
            let new = Newest { file, row: position, rank };
            match self.newest.entry(key) {
                Entry::Vacant(entry) => {
                    entry.insert(new);
                    self.filter.insert(key);
                }
                Entry::Occupied(mut entry) => {
                    let loser = if entry.get().rank.beats_later(&new.rank) {
                        new
                    } else {
                        entry.insert(new)
                    };
                    self.kill(loser.file, loser.row);
                }
            }
        }
    }

    /// The number of a new file.
    pub fn file(&mut self, path: &str) -> u32 {
        if let Some(number) = self.by_path.get(path) {
            return *number;
        }
        let number = self.files.len() as u32;
        self.files.push(NewFile { path: path.to_owned(), dead: RoaringTreemap::new() });
        self.by_path.insert(path.to_owned(), number);
        number
    }

    fn kill(&mut self, file: u32, row: u64) {
        if let Some(file) = self.files.get_mut(file as usize) {
            file.dead.insert(row);
        }
    }

    /// Compares with what is stored in a branch.
    pub async fn losers(
        &self,
        storage: &Storage,
        table: &TableMetadata,
        branch: &str,
    ) -> Result<Losers> {
        let mut losers = Losers {
            new: self.files.iter().map(|f| (f.path.clone(), f.dead.clone())).collect(),
            stored: Vec::new(),
        };
        if self.newest.is_empty() {
            return Ok(losers);
        }
        let files = commit::live_files(storage, table, branch).await?;
        let mut deletes = DeleteFiles::of(&files);
        for live in files.iter().filter(|live| commit::is_data(&live.file)) {
            let path = live.file.file_path();
            let own = deletes.own_rows(storage, path).await?;
            let gone = &own | &deletes.shared_rows(storage, path).await?;
            let found = self.search(storage, live, &gone, &mut losers).await?;
            if found.is_empty() {
                continue;
            }
            let is_empty = (&gone | &found).len() >= live.file.record_count();
            losers.stored.push(StoredLosers {
                file: live.clone(),
                rows: own | found,
                superseded: deletes.own(path).iter().map(FileKey::of).collect(),
                is_empty,
            });
        }
        Ok(losers)
    }

    /// The rows of a stored file that lose against new ones; the new ones that lose go to `losers`.
    async fn search(
        &self,
        storage: &Storage,
        live: &LiveFile,
        gone: &RoaringTreemap,
        losers: &mut Losers,
    ) -> Result<RoaringTreemap> {
        let mut found = RoaringTreemap::new();
        let fields = self.plan.field_ids();
        let (path, size) = (live.file.file_path(), live.file.file_size_in_bytes());
        let has_gone = !gone.is_empty();
        scan::each_batch(storage, path, size, Some(&fields), |first, batch| {
            let mut keys = BatchKeys::new(&self.plan, &batch);
            for row in 0..batch.num_rows() {
                let key = keys.key(row);
                let Some(new) = self.get(key) else { continue };
                let position = first + row as u64;
                if has_gone && gone.contains(position) {
                    continue;
                }
                if keys.rank(row).beats_later(&new.rank) {
                    if let Some(file) = self.files.get(new.file as usize) {
                        losers.new.entry(file.path.clone()).or_default().insert(new.row);
                    }
                } else {
                    found.insert(position);
                }
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    fn get(&self, key: Key) -> Option<&Newest> {
        if self.filter.may_contain(key) { self.newest.get(&key) } else { None }
    }
}

/// A bit for every few keys: most of what is stored is not among the new keys, and this says so from
/// the processor's cache.
struct Filter(Vec<u64>);

const FILTER_BITS: usize = 1 << 21;

impl Default for Filter {
    fn default() -> Self {
        Self(vec![0; FILTER_BITS / 64])
    }
}

impl Filter {
    fn place(key: Key) -> (usize, u64) {
        let bit = (key >> 64) as usize % FILTER_BITS;
        (bit / 64, 1 << (bit % 64))
    }

    fn insert(&mut self, key: Key) {
        let (word, bit) = Self::place(key);
        self.0[word] |= bit;
    }

    fn may_contain(&self, key: Key) -> bool {
        let (word, bit) = Self::place(key);
        self.0[word] & bit != 0
    }
}
