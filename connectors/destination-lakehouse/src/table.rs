//! A table that is being written: files that are open, and the commits that make them visible.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{Error, Result};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef as ArrowSchemaRef;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{
    DataFile, DataFileBuilder, FormatVersion, Operation, Snapshot, Struct, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::catalog::{Catalog, Outcome, TableName, Version};
use crate::commit::{self, Change, FileKey, MAIN};
use crate::deletes::{self, Deleted};
use crate::error::Classify;
use crate::file::{self, FileWriter, built};
use crate::index::{KeyIndex, Losers, MOST_KEYS};
use crate::partition::Divider;

/// A file is ended when it is so large.
const FILE_BYTES: u64 = 256 << 20;
/// Commits are tried so often while others commit to the same table.
const ATTEMPTS: u32 = 50;

/// Where the rows of a sync go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Into the table.
    Main,
    /// Aside, to take the place of the whole table when the stream is complete.
    Aside {
        /// The branch that they wait in.
        branch: String,
        /// The table's snapshot when the sync began.
        main: Option<i64>,
    },
}

impl Target {
    /// The branch that is written to.
    pub fn branch(&self) -> &str {
        match self {
            Self::Main => MAIN,
            Self::Aside { branch, .. } => branch,
        }
    }
}

/// A table that is being written.
pub struct TableWriter {
    catalog: Catalog,
    name: TableName,
    version: Version,
    target: Target,
    arrow: ArrowSchemaRef,
    json: HashSet<String>,
    divider: Divider,
    index: Option<KeyIndex>,
    open: HashMap<Struct, FileWriter>,
    done: Vec<(Struct, DataFileBuilder)>,
    done_bytes: u64,
    rows: u64,
    /// What the names of this process's files begin with.
    prefix: String,
    files: u32,
}

impl TableWriter {
    /// Begins to write to a version of a table. With an `index` rows replace older rows of their
    /// key; `json` are the columns of JSON text.
    pub fn new(
        catalog: Catalog,
        name: TableName,
        version: Version,
        target: Target,
        index: Option<KeyIndex>,
        json: HashSet<String>,
    ) -> Result<Self> {
        let schema = version.metadata.current_schema();
        let arrow = schema_to_arrow_schema(schema).classify("The table's schema cannot be used")?;
        Ok(Self {
            arrow: Arc::new(arrow),
            json,
            divider: Divider::new(schema, version.metadata.default_partition_spec())?,
            catalog,
            name,
            version,
            target,
            index,
            open: HashMap::new(),
            done: Vec::new(),
            done_bytes: 0,
            rows: 0,
            prefix: Uuid::now_v7().simple().to_string(),
            files: 0,
        })
    }

    /// The schema of the batches that it takes.
    pub fn schema(&self) -> &ArrowSchemaRef {
        &self.arrow
    }

    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The snapshot that the next commit follows.
    pub fn head(&self) -> Option<&Snapshot> {
        self.version.metadata.snapshot_for_ref(self.target.branch()).map(|head| head.as_ref())
    }

    /// Bytes of memory that open row groups take.
    pub fn memory(&self) -> usize {
        self.open.values().map(FileWriter::memory).sum()
    }

    /// Bytes that wait for the next commit.
    pub fn size(&self) -> u64 {
        self.done_bytes + self.open.values().map(FileWriter::size).sum::<u64>()
    }

    /// Whether there are so many keys that a commit is due, whatever else.
    pub fn is_full(&self) -> bool {
        self.index.as_ref().is_some_and(|index| index.len() >= MOST_KEYS)
    }

    /// Adds rows.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let whole = self.index.is_some().then(|| batch.clone());
        let mut places = vec![(0, 0); whole.as_ref().map_or(0, RecordBatch::num_rows)];
        for part in self.divider.divide(batch)? {
            if !self.open.contains_key(&part.partition) {
                let file = self.create(&part.partition, &part.batch)?;
                self.open.insert(part.partition.clone(), file);
            }
            let Some(file) = self.open.get_mut(&part.partition) else { continue };
            if let Some(index) = &mut self.index {
                let number = index.file(file.location());
                for (position, row) in (file.rows()..).zip(&part.rows) {
                    places[*row as usize] = (number, position);
                }
            }
            file.write(part.batch).await?;
            if file.size() >= FILE_BYTES {
                self.end_file(&part.partition).await?;
            }
        }
        if let (Some(index), Some(whole)) = (&mut self.index, whole) {
            index.add(&whole, &places);
        }
        Ok(())
    }

    fn create(&mut self, partition: &Struct, rows: &RecordBatch) -> Result<FileWriter> {
        let folder = self.divider.folder(partition);
        let location = self.new_location(&format!("data/{folder}"), "parquet");
        let properties = file::properties(&self.json, rows)?;
        let schema = Arc::clone(&self.arrow);
        FileWriter::create(&self.version.storage, location, schema, properties)
    }

    fn new_location(&mut self, folder: &str, ending: &str) -> String {
        self.files += 1;
        let table = self.version.metadata.location();
        format!("{table}/{folder}{}-{:05}.{ending}", self.prefix, self.files)
    }

    async fn end_file(&mut self, partition: &Struct) -> Result<()> {
        if let Some(file) = self.open.remove(partition) {
            let size = file.size();
            let described = file.finish(self.version.metadata.current_schema()).await?;
            self.done_bytes += size;
            self.done.push((partition.clone(), described));
        }
        Ok(())
    }

    /// Ends the greatest open row group, to free memory.
    pub async fn flush_greatest(&mut self) -> Result<()> {
        match self.open.values_mut().max_by_key(|file| file.memory()) {
            Some(file) => file.flush().await,
            None => Ok(()),
        }
    }

    /// Drops the rows since the last commit.
    pub async fn discard(&mut self) -> Result<()> {
        for (_, file) in std::mem::take(&mut self.open) {
            file.abort().await;
        }
        for (_, file) in std::mem::take(&mut self.done) {
            let file = built(&file)?;
            self.version.storage.delete(file.file_path()).await?;
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        self.rows = 0;
        self.done_bytes = 0;
        if let Some(index) = &mut self.index {
            index.clear();
        }
    }

    /// Makes the rows since the last commit part of the branch. When it returns they are durable.
    pub async fn commit(&mut self, properties: HashMap<String, String>) -> Result<()> {
        let partitions: Vec<Struct> = self.open.keys().cloned().collect();
        for partition in &partitions {
            self.end_file(partition).await?;
        }
        if self.rows == 0 {
            return Ok(());
        }
        let spec = self.version.metadata.default_partition_spec_id();
        let mut files = Vec::new();
        for (partition, mut file) in std::mem::take(&mut self.done) {
            file.partition(partition).partition_spec_id(spec);
            files.push(built(&file)?);
        }
        for attempt in 0..ATTEMPTS {
            let change = self.change(&files, &properties).await?;
            if self.try_commit(&change).await? {
                self.forget();
                return Ok(());
            }
            self.wait_and_reload(attempt).await?;
            if self.version.metadata.default_partition_spec_id() != spec {
                return Err(self.conflict("its partitioning was changed"));
            }
        }
        Err(self.conflict("others commit to it all the time"))
    }

    async fn change(
        &mut self,
        files: &[DataFile],
        properties: &HashMap<String, String>,
    ) -> Result<Change> {
        let mut change = Change { properties: properties.clone(), ..Change::default() };
        let Some(index) = &self.index else {
            change.data = files.to_vec();
            return Ok(change);
        };
        let metadata = &self.version.metadata;
        let losers = index.losers(&self.version.storage, metadata, self.target.branch()).await?;
        self.add_deletes(&mut change, files, &losers).await?;
        Ok(change)
    }

    async fn add_deletes(
        &mut self,
        change: &mut Change,
        files: &[DataFile],
        losers: &Losers,
    ) -> Result<()> {
        let mut deleted = Vec::new();
        let spec = self.version.metadata.default_partition_spec_id();
        for file in files {
            let dead = losers.new.get(file.file_path()).filter(|dead| !dead.is_empty());
            if dead.is_some_and(|dead| dead.len() >= file.record_count()) {
                continue;
            }
            change.data.push(file.clone());
            if let Some(rows) = dead {
                let (path, partition) = (file.file_path(), file.partition());
                deleted.push(Deleted { path, partition, spec, rows });
            }
        }
        for stored in &losers.stored {
            let file = &stored.file.file;
            change.removed.extend(stored.superseded.iter().cloned());
            if stored.is_empty {
                change.removed.insert(FileKey::of(file));
            } else {
                let (path, partition) = (file.file_path(), file.partition());
                deleted.push(Deleted {
                    path,
                    partition,
                    spec: stored.file.spec,
                    rows: &stored.rows,
                });
            }
        }
        if deleted.is_empty() {
            return Ok(());
        }
        let storage = self.version.storage.clone();
        if self.version.metadata.format_version() == FormatVersion::V3 {
            let location = self.new_location("data/", "puffin");
            let vectors = deletes::write_vectors(&storage, &location, &deleted).await?;
            change.deletes.extend(deleted.iter().map(|deleted| deleted.spec).zip(vectors));
        } else {
            for deleted in &deleted {
                let location = self.new_location("data/", "deletes.parquet");
                let file = deletes::write_positions(&storage, location, deleted).await?;
                change.deletes.push((deleted.spec, file));
            }
        }
        Ok(())
    }

    async fn try_commit(&mut self, change: &Change) -> Result<bool> {
        let branch = self.target.branch();
        let storage = &self.version.storage;
        let (requirements, updates) =
            commit::prepare(storage, &self.version.metadata, branch, change).await?;
        self.try_updates(requirements, updates).await
    }

    async fn try_updates(
        &mut self,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<bool> {
        match self.catalog.commit(&self.name, &self.version, requirements, updates).await? {
            Outcome::Done(version) => {
                self.version = version;
                Ok(true)
            }
            Outcome::Conflict => Ok(false),
        }
    }

    async fn wait_and_reload(&mut self, attempt: u32) -> Result<()> {
        tokio::time::sleep(backoff(attempt)).await;
        let loaded = self.catalog.load(&self.name).await?;
        self.version = loaded.ok_or_else(|| self.conflict("it was dropped"))?;
        Ok(())
    }

    fn conflict(&self, why: &str) -> Error {
        Error::transient(format!("Table {} cannot be committed to: {why}.", self.name))
    }

    /// Ends a complete stream: rows that were written aside take the place of the table's.
    pub async fn complete(&mut self) -> Result<()> {
        let Target::Aside { branch, main } = self.target.clone() else { return Ok(()) };
        for attempt in 0..ATTEMPTS {
            self.check_main(main)?;
            let metadata = &self.version.metadata;
            let current = metadata.current_snapshot_id();
            let is_done = match metadata.snapshot_for_ref(&branch) {
                Some(head) => {
                    let updates = vec![
                        commit::set_branch(MAIN, head.snapshot_id()),
                        TableUpdate::RemoveSnapshotRef { ref_name: branch.clone() },
                    ];
                    let main = TableRequirement::RefSnapshotIdMatch {
                        r#ref: MAIN.to_owned(),
                        snapshot_id: current,
                    };
                    let uuid = TableRequirement::UuidMatch { uuid: metadata.uuid() };
                    self.try_updates(vec![uuid, main], updates).await?
                }
                None if current.is_none() => true,
                // The stream had no rows.
                None => {
                    self.target = Target::Main;
                    self.try_commit(&Change { replace: true, ..Change::default() }).await?
                }
            };
            if is_done {
                self.target = Target::Main;
                return Ok(());
            }
            self.wait_and_reload(attempt).await?;
        }
        Err(self.conflict("others commit to it all the time"))
    }

    /// Nothing but maintenance may have happened to the rows that are to be replaced.
    fn check_main(&self, at_start: Option<i64>) -> Result<()> {
        let metadata = &self.version.metadata;
        let mut snapshot = metadata.current_snapshot();
        while let Some(current) = snapshot.filter(|s| Some(s.snapshot_id()) != at_start) {
            if current.summary().operation != Operation::Replace {
                return Err(Error::transient(format!(
                    "Table {} was written to by somebody else while its new rows were collected. \
                     Nothing was replaced; the next run goes on with what was collected.",
                    self.name
                )));
            }
            snapshot = current.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
        }
        Ok(())
    }
}

/// How long to wait before another attempt: longer and longer, and not in step with others.
pub fn backoff(attempt: u32) -> Duration {
    let most = 20 << attempt.min(7);
    Duration::from_millis(fastrand::u64(most / 2..=most))
}

/// Makes a metadata change that does not touch rows, whoever else commits meanwhile. `change` gives
/// the updates for a version, or `None` when there is nothing to do.
pub async fn update(
    catalog: &Catalog,
    name: &TableName,
    mut version: Version,
    change: impl Fn(&TableMetadata) -> Result<Option<Vec<TableUpdate>>>,
) -> Result<Version> {
    for attempt in 0..ATTEMPTS {
        let Some(updates) = change(&version.metadata)? else { return Ok(version) };
        let metadata = &version.metadata;
        let requirements = vec![
            TableRequirement::UuidMatch { uuid: metadata.uuid() },
            TableRequirement::CurrentSchemaIdMatch {
                current_schema_id: metadata.current_schema_id(),
            },
            TableRequirement::LastAssignedFieldIdMatch {
                last_assigned_field_id: metadata.last_column_id(),
            },
        ];
        match catalog.commit(name, &version, requirements, updates).await? {
            Outcome::Done(version) => return Ok(version),
            Outcome::Conflict => {
                tokio::time::sleep(backoff(attempt)).await;
                let loaded = catalog.load(name).await?;
                let gone = || Error::transient(format!("Table {name} was dropped meanwhile."));
                version = loaded.ok_or_else(gone)?;
            }
        }
    }
    Err(Error::transient(format!("Others commit to table {name} all the time.")))
}
