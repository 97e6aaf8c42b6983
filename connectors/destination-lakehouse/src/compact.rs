//! Compaction: small files become large ones, and deleted rows go for good.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::{Error, Result};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{Field, SchemaRef as ArrowSchemaRef};
use arrow_select::filter::filter_record_batch;
use futures::StreamExt;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFile, FormatVersion, Struct};
use roaring::RoaringTreemap;
use uuid::Uuid;

use crate::catalog::{Catalog, Outcome, TableName, Version};
use crate::commit::{self, Change, FileKey, LiveFile, MAIN};
use crate::config::Config;
use crate::deletes::DeleteFiles;
use crate::error::{Classify, parquet_error};
use crate::file::{self, FileWriter, built};
use crate::key::field_id;
use crate::partition::Divider;
use crate::scan;
use crate::storage::Storage;

/// A file that is put together is ended when it is so large.
const FILE_BYTES: u64 = 256 << 20;

/// A data file that is to be written anew.
struct Old {
    live: LiveFile,
    /// Its deleted rows.
    gone: RoaringTreemap,
    /// Its own delete files, which go with it.
    deletes: Vec<FileKey>,
}

/// Compacts one table.
pub async fn compact(
    catalog: &Catalog,
    config: &Config,
    name: &TableName,
    mut version: Version,
) -> Result<String> {
    if version.metadata.format_version() == FormatVersion::V3 {
        // Rows would have to keep their ids, which this program does not write.
        return Ok("left alone: compaction of format 3 is not supported".into());
    }
    let groups = choose(config, &version).await?;
    if groups.is_empty() {
        return Ok("nothing to compact".into());
    }
    let mut change = Change { is_rewrite: true, ..Change::default() };
    let mut olds = 0;
    for (partition, files) in &groups {
        change.data.extend(rewrite(&version, partition, files).await?);
        for old in files {
            change.removed.insert(FileKey::of(&old.live.file));
            change.removed.extend(old.deletes.iter().cloned());
            olds += 1;
        }
    }
    let news = change.data.len();
    // New rows may be committed meanwhile; new deletions in the files that were read may not.
    for attempt in 0..10 {
        let (requirements, updates) =
            commit::prepare(&version.storage, &version.metadata, MAIN, &change).await?;
        if let Outcome::Done(_) = catalog.commit(name, &version, requirements, updates).await? {
            return Ok(format!("{olds} files became {news}"));
        }
        tokio::time::sleep(crate::table::backoff(attempt)).await;
        let gone = || Error::transient("It was dropped meanwhile.");
        version = catalog.load(name).await?.ok_or_else(gone)?;
        if !is_unchanged(&version, &groups).await? {
            break;
        }
    }
    for file in &change.data {
        version.storage.delete(file.file_path()).await?;
    }
    Ok("left for another time: its files changed meanwhile".into())
}

/// The files that are worth it, by partition.
async fn choose(config: &Config, version: &Version) -> Result<HashMap<Struct, Vec<Old>>> {
    let metadata = &version.metadata;
    let small = u64::from(config.compact_below_megabytes) << 20;
    let files = commit::live_files(&version.storage, metadata, MAIN).await?;
    let mut deletes = DeleteFiles::of(&files);
    if deletes.has_equality_deletes {
        return Err(Error::config(
            "It has equality deletes of another writer, which this program cannot apply.",
        ));
    }
    let spec = metadata.default_partition_spec_id();
    let mut groups: HashMap<Struct, Vec<Old>> = HashMap::new();
    for live in files.iter().filter(|live| commit::is_data(&live.file) && live.spec == spec) {
        let path = live.file.file_path();
        let own = deletes.own_rows(&version.storage, path).await?;
        let gone = own | deletes.shared_rows(&version.storage, path).await?;
        let is_worn = gone.len() * 3 >= live.file.record_count().max(1);
        if is_worn || live.file.file_size_in_bytes() < small {
            let own = deletes.own(path).iter().map(FileKey::of).collect();
            let old = Old { live: live.clone(), gone, deletes: own };
            groups.entry(live.file.partition().clone()).or_default().push(old);
        }
    }
    // A single file without deletions would only be copied.
    groups.retain(|_, files| files.len() > 1 || files.iter().any(|old| !old.gone.is_empty()));
    Ok(groups)
}

/// Whether the files are all still there with the same delete files.
async fn is_unchanged(version: &Version, groups: &HashMap<Struct, Vec<Old>>) -> Result<bool> {
    let files = commit::live_files(&version.storage, &version.metadata, MAIN).await?;
    let deletes = DeleteFiles::of(&files);
    let there = |old: &Old| {
        let path = old.live.file.file_path();
        let own: Vec<FileKey> = deletes.own(path).iter().map(FileKey::of).collect();
        own == old.deletes && files.iter().any(|live| live.file.file_path() == path)
    };
    Ok(groups.values().flatten().all(there))
}

async fn rewrite(version: &Version, partition: &Struct, files: &[Old]) -> Result<Vec<DataFile>> {
    let metadata = &version.metadata;
    let schema = metadata.current_schema();
    let arrow = schema_to_arrow_schema(schema).classify("The table's schema cannot be used")?;
    let arrow: ArrowSchemaRef = Arc::new(arrow);
    let folder = Divider::new(schema, metadata.default_partition_spec())?.folder(partition);
    let mut done = Vec::new();
    let mut open: Option<FileWriter> = None;
    for old in files {
        let (path, size) = (old.live.file.file_path(), old.live.file.file_size_in_bytes());
        let mut batches = scan::read(&version.storage, path, size, None).await?;
        let mut position = 0;
        while let Some(batch) = batches.next().await {
            let batch = batch.map_err(parquet_error)?;
            let rows = batch.num_rows() as u64;
            let alive: BooleanArray =
                (position..position + rows).map(|row| Some(!old.gone.contains(row))).collect();
            position += rows;
            let batch = filter_record_batch(&batch, &alive).and_then(|b| in_shape(&b, &arrow));
            let batch = batch.classify("Rows cannot be brought into the table's shape")?;
            if batch.num_rows() == 0 {
                continue;
            }
            let writer = match &mut open {
                Some(writer) => writer,
                None => open.insert(create(
                    &version.storage,
                    metadata.location(),
                    &folder,
                    &arrow,
                    &batch,
                )?),
            };
            writer.write(batch).await?;
            if writer.size() >= FILE_BYTES
                && let Some(writer) = open.take()
            {
                done.push(writer.finish(schema).await?);
            }
        }
    }
    if let Some(writer) = open {
        done.push(writer.finish(schema).await?);
    }
    let spec = metadata.default_partition_spec_id();
    let finished = |mut file: iceberg::spec::DataFileBuilder| {
        file.partition(partition.clone()).partition_spec_id(spec);
        built(&file)
    };
    done.into_iter().map(finished).collect()
}

fn create(
    storage: &Storage,
    table: &str,
    folder: &str,
    schema: &ArrowSchemaRef,
    rows: &RecordBatch,
) -> Result<FileWriter> {
    let location = format!("{table}/data/{folder}{}-compacted.parquet", Uuid::now_v7().simple());
    let properties = file::properties(&Default::default(), rows)?;
    FileWriter::create(storage, location, Arc::clone(schema), properties)
}

/// The columns of a stored batch as those of the table's schema of today, by field id.
fn in_shape(
    batch: &RecordBatch,
    schema: &ArrowSchemaRef,
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let stored = batch.schema();
    let column = |field: &Arc<Field>| -> Result<ArrayRef, arrow_schema::ArrowError> {
        let found = stored.fields().iter().position(|f| field_id(f) == field_id(field));
        match found.map(|at| batch.column(at)) {
            None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
            Some(column) => arrow_cast::cast(column, field.data_type()),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
