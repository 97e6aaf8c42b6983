//! Tables without a server: the metadata of version N is the file `vN.metadata.json`, and whoever
//! creates that file first has committed it. Folders and object stores can both create a file only
//! if it is not there.

use airbyte_protocol::{Error, Result};
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::{TableCreation, TableRequirement, TableUpdate};

use super::{Outcome, TableName, Version, apply, from_json, to_json};
use crate::error::Classify;
use crate::names::path_part;
use crate::storage::Storage;

const HINT: &str = "version-hint.text";
/// Metadata files of older versions that are kept.
const KEPT_VERSIONS: u64 = 20;

/// The folder of a table.
fn folder(storage: &Storage, table: &TableName) -> String {
    format!("{}/{}/{}", storage.root(), path_part(&table.namespace), path_part(&table.name))
}

fn metadata_file(folder: &str, version: u64) -> String {
    format!("{folder}/metadata/v{version}.metadata.json")
}

fn version_of(location: &str) -> Option<u64> {
    let name = location.rsplit('/').next()?;
    name.strip_prefix('v')?.strip_suffix(".metadata.json")?.parse().ok()
}

pub(super) async fn load(storage: &Storage, table: &TableName) -> Result<Option<Version>> {
    let folder = folder(storage, table);
    // Two looks are enough: a file that was listed can only have gone because it was old.
    for _ in 0..3 {
        let hinted = hint(storage, &folder).await?;
        let Some(version) = newest(storage, &folder, hinted).await? else { return Ok(None) };
        let location = metadata_file(&folder, version);
        if let Some(bytes) = storage.get(&location).await? {
            if hinted != Some(version) {
                // Whoever committed it was killed before it could say so.
                point_to(storage, &folder, version).await;
            }
            let metadata = from_json(&location, &bytes)?;
            return Ok(Some(Version { metadata, location, storage: storage.clone() }));
        }
    }
    Err(Error::transient(format!("The metadata of table {table} changes all the time")))
}

/// The number of the newest version: from the hint on, as far as there are files. The hint is
/// written after the commit, so it may be behind, or missing.
async fn newest(storage: &Storage, folder: &str, hinted: Option<u64>) -> Result<Option<u64>> {
    let mut version = match hinted {
        Some(version) if storage.exists(&metadata_file(folder, version)).await? => version,
        _ => {
            let files = storage.list(&format!("{folder}/metadata")).await?;
            let versions = files.iter().filter_map(|file| version_of(file.location.as_ref()));
            let Some(version) = versions.max() else { return Ok(None) };
            version
        }
    };
    while storage.exists(&metadata_file(folder, version + 1)).await? {
        version += 1;
    }
    Ok(Some(version))
}

async fn hint(storage: &Storage, folder: &str) -> Result<Option<u64>> {
    let text = storage.get(&format!("{folder}/metadata/{HINT}")).await?;
    Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok()))
}

/// Writes the hint, which spares readers the search for the newest version. Some of them trust it
/// blindly, so a writer that was overtaken by another must not leave its older version there: each
/// looks once more after it has written.
async fn point_to(storage: &Storage, folder: &str, mut version: u64) {
    let location = format!("{folder}/metadata/{HINT}");
    let pointed = async {
        loop {
            storage.put_hint(&location, version.to_string()).await?;
            match newest(storage, folder, Some(version)).await? {
                Some(newer) if newer > version => version = newer,
                _ => return Ok::<_, Error>(()),
            }
        }
    };
    if let Err(error) = pointed.await {
        tracing::warn!("the version hint of {folder} could not be written: {error}");
    }
}

pub(super) async fn create(
    storage: &Storage,
    table: &TableName,
    creation: TableCreation,
) -> Result<Outcome> {
    const FAILED: &str = "A table cannot be made";
    let folder = folder(storage, table);
    if newest(storage, &folder, None).await?.is_some() {
        return Ok(Outcome::Conflict);
    }
    let creation = TableCreation { location: Some(folder.clone()), ..creation };
    let built = TableMetadataBuilder::from_table_creation(creation).classify(FAILED)?;
    let metadata = built.build().classify(FAILED)?.metadata;
    publish(storage, &folder, 1, metadata).await
}

pub(super) async fn commit(
    storage: &Storage,
    table: &TableName,
    base: &Version,
    requirements: Vec<TableRequirement>,
    updates: Vec<TableUpdate>,
) -> Result<Outcome> {
    let next = apply(base, &requirements, updates)?;
    let folder = folder(storage, table);
    let Some(version) = version_of(&base.location) else {
        return Err(Error::system(format!("{} is not a numbered version", base.location)));
    };
    // Not for the race, which `create` decides: so that a base from before the last deletion of old
    // versions cannot fill a gap among them.
    let (hint, exists) = tokio::join!(hint(storage, &folder), storage.exists(&base.location));
    if !exists? || hint?.is_some_and(|hint| hint > version) {
        return Ok(Outcome::Conflict);
    }
    publish(storage, &folder, version + 1, next).await
}

async fn publish(
    storage: &Storage,
    folder: &str,
    version: u64,
    metadata: TableMetadata,
) -> Result<Outcome> {
    let location = metadata_file(folder, version);
    if !storage.create(&location, to_json(&metadata)?).await? {
        return Ok(Outcome::Conflict);
    }
    // From here on the version is committed.
    let too_old = version.checked_sub(KEPT_VERSIONS + 1).filter(|old| *old > 0);
    let clean_up = async {
        if let Some(old) = too_old {
            // A leftover does no harm: the next sweep takes it.
            let _ = storage.delete(&metadata_file(folder, old)).await;
        }
    };
    tokio::join!(point_to(storage, folder, version), clean_up);
    Ok(Outcome::Done(Version { metadata, location, storage: storage.clone() }))
}

pub(super) async fn drop_table(storage: &Storage, table: &TableName) -> Result<()> {
    storage.delete_folder(&folder(storage, table)).await
}

/// Every folder in a folder that has metadata.
pub(super) async fn tables(storage: &Storage) -> Result<Vec<TableName>> {
    let mut tables = std::collections::BTreeSet::new();
    let root = format!("{}/", storage.root());
    for file in storage.list(storage.root()).await? {
        let location = storage.location(&file.location);
        let Some(inside) = location.strip_prefix(&root) else { continue };
        if let [namespace, name, "metadata", file] = inside.split('/').collect::<Vec<_>>()[..]
            && version_of(file).is_some()
        {
            tables.insert(TableName { namespace: namespace.into(), name: name.into() });
        }
    }
    Ok(tables.into_iter().collect())
}
