//! Getting a stream's table ready: it is made, or follows the stream's schema, and it is decided
//! where the rows go.

use std::collections::HashMap;

use airbyte_protocol::{ConfiguredStream, DestinationSyncMode, Error, Result};
use iceberg::spec::{DataContentType, FormatVersion, PrimitiveLiteral, Schema, TableMetadata};
use iceberg::{TableCreation, TableUpdate};

use crate::catalog::{Catalog, Outcome, TableName, Version};
use crate::commit::{self, MAIN};
use crate::config::{Config, Deletions};
use crate::error::Classify;
use crate::index::KeyIndex;
use crate::key::{KeyPlan, Place};
use crate::partition;
use crate::rows::Rows;
use crate::schema::{self, Column, GENERATION_ID};
use crate::table::{self, TableWriter, Target};

/// The branches of this program: rows that wait to take the place of a table's.
const BRANCHES: &str = "lakehouse-";
/// The column by which sources of change data capture tell that a row was deleted.
const DELETED_AT: &str = "_ab_cdc_deleted_at";

/// A stream that is ready to be written.
pub struct Opened {
    /// The table.
    pub writer: TableWriter,
    /// The builder of its batches.
    pub rows: Rows,
}

/// The table of a stream.
pub fn table_name(config: &Config, stream: &ConfiguredStream) -> TableName {
    let naming = crate::names::Naming::from(config.naming);
    let namespace = stream.stream.namespace.as_deref().filter(|name| !name.is_empty());
    TableName {
        namespace: naming.table(namespace.unwrap_or(&config.namespace)),
        name: naming.table(&stream.stream.name),
    }
}

/// Refuses what makes no sense before anything is written.
pub fn validate(stream: &ConfiguredStream) -> Result<()> {
    let name = stream.descriptor();
    let refuse = |why: String| Err(Error::config(why).for_stream(name.clone()));
    match stream.destination_sync_mode {
        DestinationSyncMode::Append | DestinationSyncMode::Overwrite => {}
        DestinationSyncMode::AppendDedup => {
            if stream.primary_key.iter().all(Vec::is_empty) {
                return refuse(format!(
                    "Stream `{name}` has no primary key to deduplicate by. Choose one, or choose the mode append."
                ));
            }
        }
        _ => {
            return refuse(format!(
                "Stream `{name}` has the destination sync mode {}, which is not for tables.",
                stream.destination_sync_mode.as_str()
            ));
        }
    }
    let (minimum, generation) = (stream.minimum_generation_id, stream.generation_id);
    if minimum.is_some_and(|minimum| minimum != 0 && Some(minimum) != generation) {
        return refuse(format!(
            "Stream `{name}` asks to keep some of its older generations, which is not supported: \
             minimum_generation_id must be 0 or equal generation_id."
        ));
    }
    Ok(())
}

/// Gets the table of a stream ready.
pub async fn open(catalog: &Catalog, config: &Config, stream: &ConfiguredStream) -> Result<Opened> {
    let name = table_name(config, stream);
    let mut columns = schema::columns(
        &stream.stream.json_schema.value(),
        config.naming.into(),
        config.number_type,
    );
    let mut version = load_or_create(catalog, config, stream, &name, &columns).await?;
    version = follow(catalog, &name, version, &mut columns).await?;
    let (target, version) = target(catalog, &name, version, stream).await?;
    let index = match stream.destination_sync_mode {
        DestinationSyncMode::AppendDedup => {
            let plan = key_plan(config, stream, &columns, version.metadata.current_schema())?;
            Some(KeyIndex::new(plan))
        }
        _ => None,
    };
    let json = columns.iter().filter(|column| column.kind.is_json());
    let json = json.map(|column| column.name.clone()).collect();
    let writer = TableWriter::new(catalog.clone(), name, version, target, index, json)?;
    let generation = stream.generation_id.unwrap_or(0);
    let schema = std::sync::Arc::clone(writer.schema());
    let rows = Rows::new(schema, &columns, stream.sync_id, generation);
    Ok(Opened { writer, rows })
}

async fn load_or_create(
    catalog: &Catalog,
    config: &Config,
    stream: &ConfiguredStream,
    name: &TableName,
    columns: &[Column],
) -> Result<Version> {
    if let Some(version) = catalog.load(name).await? {
        return Ok(version);
    }
    let schema = schema::create(columns).classify("The stream's schema cannot be a table's")?;
    let settings = [stream.descriptor().to_string(), stream.stream.name.clone()];
    let settings = settings.iter().find_map(|key| config.partitioning.get(key));
    let spec = settings.map(|settings| partition::spec(&schema, settings)).transpose()?;
    let creation = TableCreation::builder()
        .name(name.name.clone())
        .schema(schema)
        .partition_spec_opt(spec)
        .properties(table_properties())
        .format_version(if config.format_version == 3 {
            FormatVersion::V3
        } else {
            FormatVersion::V2
        })
        .build();
    match catalog.create(name, creation).await? {
        Outcome::Done(version) => Ok(version),
        // Another one made it in this moment.
        Outcome::Conflict => catalog.load(name).await?.ok_or_else(|| {
            Error::transient(format!("Table {name} can neither be made nor be read."))
        }),
    }
}

fn table_properties() -> HashMap<String, String> {
    let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    HashMap::from([
        property("write.format.default", "parquet"),
        property("write.parquet.compression-codec", "zstd"),
        // Engines that write to the table too should delete rows as it is done here.
        property("write.delete.mode", "merge-on-read"),
        property("write.update.mode", "merge-on-read"),
        property("write.merge.mode", "merge-on-read"),
        property("write.metadata.delete-after-commit.enabled", "true"),
        property("write.metadata.previous-versions-max", "20"),
    ])
}

/// Lets the table follow the stream's schema.
async fn follow(
    catalog: &Catalog,
    name: &TableName,
    version: Version,
    columns: &mut [Column],
) -> Result<Version> {
    const FAILED: &str = "The table cannot follow the stream's schema";
    let wanted = columns.to_vec();
    let version = table::update(catalog, name, version, |metadata| {
        let evolved = schema::evolve(metadata, &mut wanted.clone()).classify(FAILED)?;
        let updates = |schema| {
            vec![TableUpdate::AddSchema { schema }, TableUpdate::SetCurrentSchema { schema_id: -1 }]
        };
        Ok(evolved.map(updates))
    })
    .await?;
    // Now for the names that the columns have in the table.
    schema::evolve(&version.metadata, columns).classify(FAILED)?;
    Ok(version)
}

/// Decides where the rows go.
async fn target(
    catalog: &Catalog,
    name: &TableName,
    version: Version,
    stream: &ConfiguredStream,
) -> Result<(Target, Version)> {
    let generation = stream.generation_id.filter(|id| *id > 0);
    let is_truncate = generation.is_some() && stream.minimum_generation_id == generation;
    let is_overwrite = stream.destination_sync_mode == DestinationSyncMode::Overwrite;
    let has_ids = generation.is_some() && stream.minimum_generation_id.is_some();
    let replaces = is_truncate || (is_overwrite && !has_ids);
    let resumes = is_truncate && !is_overwrite;
    if !replaces {
        return Ok((Target::Main, version));
    }
    let branch = match generation {
        Some(generation) => format!("{BRANCHES}generation-{generation}"),
        None => format!("{BRANCHES}overwrite"),
    };
    let keeps_branch = generation.is_some();
    let version = table::update(catalog, name, version, |metadata| {
        let ours = branches(metadata).filter(|found| !keeps_branch || *found != branch);
        let removals: Vec<TableUpdate> =
            ours.map(|ref_name| TableUpdate::RemoveSnapshotRef { ref_name }).collect();
        Ok((!removals.is_empty()).then_some(removals))
    })
    .await?;
    let has_branch = version.metadata.snapshot_for_ref(&branch).is_some();
    if resumes
        && !has_branch
        && let Some(generation) = generation
        && is_of_generation(&version, generation).await?
    {
        // The refresh to this generation is done already: what comes now goes on from it.
        return Ok((Target::Main, version));
    }
    let main = version.metadata.current_snapshot_id();
    Ok((Target::Aside { branch, main }, version))
}

/// The branches of this program.
fn branches(metadata: &TableMetadata) -> impl Iterator<Item = String> + '_ {
    // References are listed by the metadata's JSON only.
    let refs = serde_json::to_value(metadata).ok();
    let refs = refs.and_then(|json| json.get("refs").and_then(|refs| refs.as_object()).cloned());
    let names = refs.into_iter().flatten().map(|(name, _)| name);
    names.filter(|name| name.starts_with(BRANCHES))
}

/// Whether all rows of a table are of this generation or a later one, and there are some.
async fn is_of_generation(version: &Version, generation: i64) -> Result<bool> {
    let metadata = &version.metadata;
    let Some(field) = metadata.current_schema().field_by_name(GENERATION_ID) else {
        return Ok(false);
    };
    let files = commit::live_files(&version.storage, metadata, MAIN).await?;
    let mut data =
        files.iter().filter(|live| live.file.content_type() == DataContentType::Data).peekable();
    if data.peek().is_none() {
        return Ok(false);
    }
    Ok(data.all(|live| {
        let least = live.file.lower_bounds().get(&field.id).map(|bound| bound.literal());
        matches!(least, Some(PrimitiveLiteral::Long(least)) if *least >= generation)
    }))
}

fn key_plan(
    config: &Config,
    stream: &ConfiguredStream,
    columns: &[Column],
    schema: &Schema,
) -> Result<KeyPlan> {
    let place = |path: &[String]| -> Option<Place> {
        let (field, inside) = path.split_first()?;
        let column = columns.iter().find(|column| column.field == *field)?;
        let mut fields = vec![schema.field_by_name(&column.name)?.id];
        // The columns that it had while it was of another type.
        let asides = schema.as_struct().fields().iter();
        let asides = asides.filter(|f| f.name == schema::aside(&column.name, &f.field_type));
        fields.extend(asides.map(|field| field.id));
        Some(Place { fields, path: inside.to_vec() })
    };
    let part = |path: &Vec<String>| {
        place(path).ok_or_else(|| {
            let (path, name) = (path.join("."), stream.descriptor());
            Error::config(format!(
                "The primary key `{path}` of stream `{name}` is not in its schema."
            ))
            .for_stream(name)
        })
    };
    let parts = stream.primary_key.iter().filter(|path| !path.is_empty()).map(part);
    let cursor = stream.cursor_path();
    let deleted = (config.deletions == Deletions::Hard).then(|| place(&[DELETED_AT.to_owned()]));
    let extracted_at = schema.field_by_name(schema::EXTRACTED_AT);
    Ok(KeyPlan {
        extracted_at: extracted_at.map(|f| Place { fields: vec![f.id], path: Vec::new() }),
        parts: parts.collect::<Result<_>>()?,
        // A cursor outside the schema cannot be compared.
        cursor: if cursor.is_empty() { None } else { place(cursor) },
        deleted: deleted.flatten(),
    })
}
