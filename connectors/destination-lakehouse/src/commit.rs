//! The commit of a snapshot: new data files, delete files and removals in one.
//!
//! The transactions of `iceberg` 0.10 can only append, and both `TransactionAction` and
//! `TableCommit` are closed to others. Everything below them is public, so this module makes the
//! list of table updates itself, which a catalog then applies or sends.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};

use airbyte_protocol::Result;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestFile,
    ManifestList, ManifestListWriter, ManifestWriter, ManifestWriterBuilder, Operation, Snapshot,
    SnapshotReference, SnapshotRetention, SnapshotSummaryCollector, Summary, TableMetadata,
};
use iceberg::{TableRequirement, TableUpdate};
use uuid::Uuid;

use crate::error::Classify;
use crate::storage::Storage;

/// Manifests of one kind beyond this number are put together into one.
const MANIFESTS: usize = 100;

/// What a snapshot changes.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// New data files, of the table's partition spec.
    pub data: Vec<DataFile>,
    /// New delete files, with the partition specs of the data files that they belong to.
    pub deletes: Vec<(i32, DataFile)>,
    /// Files, data or deletes, that are no longer part of the table.
    pub removed: HashSet<FileKey>,
    /// Whether everything that was there goes away.
    pub replace: bool,
    /// Whether the rows of the table stay the same.
    pub is_rewrite: bool,
    /// What the snapshot tells about itself.
    pub properties: HashMap<String, String>,
}

/// What tells a file of a table from others: its location, and for one of several deletion vectors
/// in a file the place in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileKey(String, Option<i64>);

impl FileKey {
    /// The key of a file.
    pub fn of(file: &DataFile) -> Self {
        Self(file.file_path().to_owned(), file.content_offset())
    }
}

/// A file of a snapshot, with what its manifest says.
#[derive(Debug, Clone)]
pub struct LiveFile {
    /// The file.
    pub file: DataFile,
    /// The partition spec that it was written by.
    pub spec: i32,
}

/// The manifests of a snapshot.
pub async fn manifests(
    storage: &Storage,
    table: &TableMetadata,
    snapshot: &Snapshot,
) -> Result<Vec<ManifestFile>> {
    const FAILED: &str = "The list of a snapshot's manifests cannot be read";
    let location = snapshot.manifest_list();
    let bytes = storage.get(location).await?.ok_or_else(|| {
        airbyte_protocol::Error::system(format!("{location} is missing: the table is damaged"))
    })?;
    let list = ManifestList::parse_with_version(&bytes, table.format_version()).classify(FAILED)?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The files of a branch: data files and delete files.
pub async fn live_files(
    storage: &Storage,
    table: &TableMetadata,
    branch: &str,
) -> Result<Vec<LiveFile>> {
    let Some(snapshot) = table.snapshot_for_ref(branch) else { return Ok(Vec::new()) };
    let io = storage.file_io();
    let mut files = Vec::new();
    for manifest in manifests(storage, table, snapshot).await? {
        let loaded = manifest.load_manifest(&io).await.classify("A manifest cannot be read")?;
        for entry in loaded.entries().iter().filter(|entry| entry.is_alive()) {
            files.push(LiveFile {
                file: entry.data_file().clone(),
                spec: manifest.partition_spec_id,
            });
        }
    }
    Ok(files)
}

/// Writes the manifests of a new snapshot of `branch` and tells what the catalog has to do, and on
/// which condition.
pub async fn prepare(
    storage: &Storage,
    table: &TableMetadata,
    branch: &str,
    change: &Change,
) -> Result<(Vec<TableRequirement>, Vec<TableUpdate>)> {
    let preparation = Preparation {
        io: storage.file_io(),
        storage,
        table,
        branch,
        change,
        snapshot_id: new_snapshot_id(table),
        commit: Uuid::now_v7(),
        manifests: AtomicU32::new(0),
    };
    preparation.run().await
}

fn new_snapshot_id(table: &TableMetadata) -> i64 {
    loop {
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let id = ((high ^ low) >> 1) as i64;
        if table.snapshot_by_id(id).is_none() {
            return id;
        }
    }
}

struct Preparation<'a> {
    io: FileIO,
    storage: &'a Storage,
    table: &'a TableMetadata,
    branch: &'a str,
    change: &'a Change,
    snapshot_id: i64,
    commit: Uuid,
    manifests: AtomicU32,
}

/// What the files of a snapshot add up to.
struct Totals(SnapshotSummaryCollector);

impl Totals {
    fn count(&mut self, table: &TableMetadata, file: &DataFile, is_added: bool) {
        let schema = table.current_schema().clone();
        let spec = table.default_partition_spec().clone();
        if is_added {
            self.0.add_file(file, schema, spec);
        } else {
            self.0.remove_file(file, schema, spec);
        }
    }
}

impl Preparation<'_> {
    async fn run(self) -> Result<(Vec<TableRequirement>, Vec<TableUpdate>)> {
        let parent = self.table.snapshot_for_ref(self.branch);
        let mut totals = Totals(SnapshotSummaryCollector::default());
        let old = match parent {
            Some(snapshot) => manifests(self.storage, self.table, snapshot).await?,
            None => Vec::new(),
        };
        let mut manifests = self.carry_over(old, &mut totals).await?;
        let spec = self.table.default_partition_spec_id();
        let data: Vec<(i32, &DataFile)> =
            self.change.data.iter().map(|file| (spec, file)).collect();
        let deletes: Vec<(i32, &DataFile)> =
            self.change.deletes.iter().map(|(spec, file)| (*spec, file)).collect();
        manifests.extend(self.added(&data, ManifestContentType::Data, &mut totals).await?);
        manifests.extend(self.added(&deletes, ManifestContentType::Deletes, &mut totals).await?);
        let parent = parent.map(|snapshot| snapshot.as_ref());
        let snapshot = self.snapshot(manifests, parent, totals).await?;
        let parent_id = parent.map(Snapshot::snapshot_id);
        let requirements = vec![
            TableRequirement::UuidMatch { uuid: self.table.uuid() },
            TableRequirement::RefSnapshotIdMatch {
                r#ref: self.branch.to_owned(),
                snapshot_id: parent_id,
            },
        ];
        let updates =
            vec![TableUpdate::AddSnapshot { snapshot }, set_branch(self.branch, self.snapshot_id)];
        Ok((requirements, updates))
    }

    /// The manifests that were there: as they are, or written anew without what was removed, or put
    /// together when they are many.
    async fn carry_over(
        &self,
        old: Vec<ManifestFile>,
        totals: &mut Totals,
    ) -> Result<Vec<ManifestFile>> {
        let crowded = |content: ManifestContentType| {
            old.iter().filter(|manifest| manifest.content == content).count() >= MANIFESTS
        };
        let crowded = [ManifestContentType::Data, ManifestContentType::Deletes].map(crowded);
        let spec = self.table.default_partition_spec_id();
        let mut kept = Vec::new();
        let mut merged: [Option<ManifestWriter>; 2] = [None, None];
        for manifest in old {
            let is_ours = manifest.partition_spec_id == spec;
            let merge = crowded[manifest.content as usize] && is_ours;
            let is_touched = self.change.replace || !self.change.removed.is_empty();
            if !merge && !is_touched {
                kept.push(manifest);
                continue;
            }
            let loaded =
                manifest.load_manifest(&self.io).await.classify("A manifest cannot be read")?;
            let is_removed = |file: &DataFile| {
                self.change.replace || self.change.removed.contains(&FileKey::of(file))
            };
            let alive = || loaded.entries().iter().filter(|entry| entry.is_alive());
            if !merge && !alive().any(|entry| is_removed(entry.data_file())) {
                kept.push(manifest);
                continue;
            }
            let slot = &mut merged[manifest.content as usize];
            let mut own = None;
            let writer = match (merge, slot) {
                (true, Some(writer)) => writer,
                (true, slot) => {
                    slot.insert(self.writer(manifest.content, manifest.partition_spec_id)?)
                }
                (false, _) => {
                    own.insert(self.writer(manifest.content, manifest.partition_spec_id)?)
                }
            };
            // Entries that an earlier snapshot removed are not carried on: they would come back.
            for entry in alive() {
                let file = entry.data_file().clone();
                let sequence = entry.sequence_number().unwrap_or(0);
                let file_sequence = entry.file_sequence_number.or(Some(sequence));
                if is_removed(&file) {
                    totals.count(self.table, &file, false);
                    writer.add_delete_file(file, sequence, file_sequence)
                } else {
                    let snapshot = entry.snapshot_id().unwrap_or(manifest.added_snapshot_id);
                    writer.add_existing_file(file, snapshot, sequence, file_sequence)
                }
                .classify("A manifest entry cannot be carried over")?;
            }
            if let Some(writer) = own {
                kept.push(written(writer).await?);
            }
        }
        for writer in merged.into_iter().flatten() {
            kept.push(written(writer).await?);
        }
        Ok(kept)
    }

    /// Manifests of new files: one for each partition spec, since a manifest has only one.
    async fn added(
        &self,
        files: &[(i32, &DataFile)],
        content: ManifestContentType,
        totals: &mut Totals,
    ) -> Result<Vec<ManifestFile>> {
        let specs: std::collections::BTreeSet<i32> = files.iter().map(|(spec, _)| *spec).collect();
        let mut manifests = Vec::new();
        for spec in specs {
            let mut writer = self.writer(content, spec)?;
            for (_, file) in files.iter().filter(|(of, _)| *of == spec) {
                totals.count(self.table, file, true);
                writer.add_file((*file).clone(), -1).classify("A file cannot be added")?;
            }
            manifests.push(written(writer).await?);
        }
        Ok(manifests)
    }

    fn writer(&self, content: ManifestContentType, spec: i32) -> Result<ManifestWriter> {
        let number = self.manifests.fetch_add(1, Ordering::Relaxed);
        let location = format!("{}/metadata/{}-m{number}.avro", self.table.location(), self.commit);
        let output = self.io.new_output(location).classify("A manifest cannot be written")?;
        let spec =
            self.table.partition_spec_by_id(spec).unwrap_or(self.table.default_partition_spec());
        let schema = self.table.current_schema().clone();
        let builder = ManifestWriterBuilder::new(
            output,
            Some(self.snapshot_id),
            schema,
            spec.as_ref().clone(),
        );
        Ok(match (self.table.format_version(), content) {
            (FormatVersion::V3, ManifestContentType::Data) => builder.build_v3_data(),
            (FormatVersion::V3, ManifestContentType::Deletes) => builder.build_v3_deletes(),
            (_, ManifestContentType::Data) => builder.build_v2_data(),
            (_, ManifestContentType::Deletes) => builder.build_v2_deletes(),
        })
    }

    async fn snapshot(
        &self,
        manifests: Vec<ManifestFile>,
        parent: Option<&Snapshot>,
        totals: Totals,
    ) -> Result<Snapshot> {
        const FAILED: &str = "The list of a snapshot's manifests cannot be written";
        let location = format!(
            "{}/metadata/snap-{}-0-{}.avro",
            self.table.location(),
            self.snapshot_id,
            self.commit
        );
        let output = self.io.new_output(&location).classify(FAILED)?;
        let output = output.writer().await.classify(FAILED)?;
        let sequence = self.table.next_sequence_number();
        let parent_id = parent.map(Snapshot::snapshot_id);
        let first_row = self.table.next_row_id();
        let is_v3 = self.table.format_version() == FormatVersion::V3;
        let mut writer = if is_v3 {
            let first = Some(first_row);
            ManifestListWriter::v3(output, self.snapshot_id, parent_id, sequence, first)
        } else {
            ManifestListWriter::v2(output, self.snapshot_id, parent_id, sequence)
        };
        writer.add_manifests(manifests.into_iter()).classify(FAILED)?;
        let next_row = writer.next_row_id();
        writer.close().await.classify(FAILED)?;
        let now = chrono::Utc::now().timestamp_millis().max(self.table.last_updated_ms());
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(parent_id)
            .with_sequence_number(sequence)
            .with_timestamp_ms(now)
            .with_manifest_list(location)
            .with_summary(self.summary(parent, &totals))
            .with_schema_id(self.table.current_schema_id());
        Ok(match next_row {
            Some(next) => snapshot.with_row_range(first_row, next - first_row).build(),
            None => snapshot.build(),
        })
    }

    fn summary(&self, parent: Option<&Snapshot>, totals: &Totals) -> Summary {
        let change = self.change;
        let is_append = !change.replace && change.removed.is_empty() && change.deletes.is_empty();
        let operation = match (change.is_rewrite, is_append) {
            (true, _) => Operation::Replace,
            (false, true) => Operation::Append,
            (false, false) if change.data.is_empty() => Operation::Delete,
            (false, false) => Operation::Overwrite,
        };
        let counts = totals.0.build();
        let mut properties = change.properties.clone();
        properties.insert("tributary.commit".into(), self.commit.to_string());
        for (total, added, removed) in [
            ("total-data-files", "added-data-files", "deleted-data-files"),
            ("total-records", "added-records", "deleted-records"),
            ("total-delete-files", "added-delete-files", "removed-delete-files"),
            ("total-position-deletes", "added-position-deletes", "removed-position-deletes"),
            ("total-equality-deletes", "added-equality-deletes", "removed-equality-deletes"),
            ("total-files-size", "added-files-size", "removed-files-size"),
        ] {
            let count = |key: &str| counts.get(key).and_then(|text| text.parse::<i64>().ok());
            let before = parent
                .and_then(|parent| parent.summary().additional_properties.get(total))
                .and_then(|text| text.parse::<i64>().ok());
            let now = before.unwrap_or(0) + count(added).unwrap_or(0) - count(removed).unwrap_or(0);
            properties.insert(total.into(), now.max(0).to_string());
        }
        properties.extend(counts);
        Summary { operation, additional_properties: properties }
    }
}

async fn written(writer: ManifestWriter) -> Result<ManifestFile> {
    writer.write_manifest_file().await.classify("A manifest cannot be written")
}

/// Points a branch to a snapshot.
pub fn set_branch(branch: &str, snapshot_id: i64) -> TableUpdate {
    TableUpdate::SetSnapshotRef {
        ref_name: branch.to_owned(),
        reference: SnapshotReference::new(snapshot_id, SnapshotRetention::branch(None, None, None)),
    }
}

/// The branch that readers see.
pub const MAIN: &str = MAIN_BRANCH;

/// Whether a file is one with rows.
pub fn is_data(file: &DataFile) -> bool {
    file.content_type() == DataContentType::Data
}
