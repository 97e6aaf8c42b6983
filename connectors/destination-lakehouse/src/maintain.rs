//! Keeping tables small: old versions and lost files go away.

use std::collections::HashSet;

use airbyte_protocol::{Error, Result};
use chrono::{TimeDelta, Utc};
use iceberg::TableUpdate;
use iceberg::spec::{ManifestEntryRef, SnapshotRef, TableMetadata};

use crate::catalog::{Catalog, TableName, Version};
use crate::commit;
use crate::config::Config;
use crate::error::Classify;
use crate::storage::Storage;
use crate::table;

/// Versions that always stay.
const KEPT: usize = 10;

/// Removes old snapshots, and then the files that no remaining one has.
pub async fn expire(
    catalog: &Catalog,
    config: &Config,
    name: &TableName,
    version: Version,
) -> Result<String> {
    let before = Utc::now() - TimeDelta::days(config.expire_after_days.into());
    let old = old_snapshots(&version.metadata, before.timestamp_millis());
    if old.is_empty() {
        return Ok("nothing to expire".into());
    }
    let storage = version.storage.clone();
    let mut candidates = HashSet::new();
    for snapshot in &old {
        files_of(&storage, &version.metadata, snapshot, Entries::All, &mut candidates).await?;
    }
    let ids: Vec<i64> = old.iter().map(|snapshot| snapshot.snapshot_id()).collect();
    let version = table::update(catalog, name, version, |metadata| {
        let still = old_snapshots(metadata, before.timestamp_millis());
        let still = still.iter().map(|snapshot| snapshot.snapshot_id());
        let snapshot_ids: Vec<i64> = still.filter(|id| ids.contains(id)).collect();
        let is_any = !snapshot_ids.is_empty();
        Ok(is_any.then(|| vec![TableUpdate::RemoveSnapshots { snapshot_ids }]))
    })
    .await?;
    let mut needed = HashSet::new();
    for snapshot in version.metadata.snapshots() {
        files_of(&storage, &version.metadata, snapshot, Entries::Alive, &mut needed).await?;
    }
    let mut deleted = 0;
    for location in candidates.difference(&needed) {
        storage.delete(location).await?;
        deleted += 1;
    }
    Ok(format!("{} versions expired, {deleted} files deleted", ids.len()))
}

/// The snapshots from before a time that nobody needs: not among the newest, and no head of a branch
/// or tag.
fn old_snapshots(metadata: &TableMetadata, before_ms: i64) -> Vec<SnapshotRef> {
    let mut snapshots: Vec<&SnapshotRef> = metadata.snapshots().collect();
    snapshots.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.sequence_number()));
    let heads: HashSet<i64> = heads(metadata);
    let old = snapshots.into_iter().skip(KEPT);
    let old = old.filter(|snapshot| snapshot.timestamp_ms() < before_ms);
    old.filter(|snapshot| !heads.contains(&snapshot.snapshot_id())).cloned().collect()
}

fn heads(metadata: &TableMetadata) -> HashSet<i64> {
    // References are listed by the metadata's JSON only.
    let json = serde_json::to_value(metadata).unwrap_or_default();
    let refs = json.get("refs").and_then(|refs| refs.as_object()).into_iter().flatten();
    let ids = refs.filter_map(|(_, reference)| reference.get("snapshot-id")?.as_i64());
    ids.chain(metadata.current_snapshot_id()).collect()
}

/// Which entries of manifests are meant.
#[derive(Clone, Copy, PartialEq)]
enum Entries {
    /// Files that are part of the snapshot.
    Alive,
    /// Also those that it says were removed.
    All,
}

/// Every file that a snapshot is made of.
async fn files_of(
    storage: &Storage,
    metadata: &TableMetadata,
    snapshot: &SnapshotRef,
    which: Entries,
    files: &mut HashSet<String>,
) -> Result<()> {
    files.insert(snapshot.manifest_list().to_owned());
    let io = storage.file_io();
    for manifest in commit::manifests(storage, metadata, snapshot).await? {
        if !files.insert(manifest.manifest_path.clone()) {
            // What is in it was counted with another snapshot.
            continue;
        }
        let loaded = manifest.load_manifest(&io).await.classify("A manifest cannot be read")?;
        let meant = |entry: &&ManifestEntryRef| which == Entries::All || entry.is_alive();
        let entries = loaded.entries().iter().filter(meant);
        files.extend(entries.map(|entry| entry.file_path().to_owned()));
    }
    Ok(())
}

/// Removes files below the table's folder that no version has, when they are old enough to be of no
/// process that still runs.
pub async fn sweep(config: &Config, version: &Version) -> Result<String> {
    let metadata = &version.metadata;
    let storage = &version.storage;
    let mut needed = HashSet::from([version.location.clone()]);
    needed.extend(metadata.metadata_log().iter().map(|log| log.metadata_file.clone()));
    needed.extend(metadata.statistics_iter().map(|file| file.statistics_path.clone()));
    needed.extend(metadata.partition_statistics_iter().map(|file| file.statistics_path.clone()));
    for snapshot in metadata.snapshots() {
        files_of(storage, metadata, snapshot, Entries::Alive, &mut needed).await?;
    }
    let needed: HashSet<_> =
        needed.iter().map(|location| storage.path(location)).collect::<Result<_>>()?;
    let before = Utc::now() - TimeDelta::days(config.sweep_after_days.into());
    let (mut deleted, mut bytes) = (0, 0);
    let folder = metadata.location();
    if folder.trim_end_matches('/') == storage.root().trim_end_matches('/') {
        return Err(Error::config("The table's folder is the whole warehouse; it is not swept."));
    }
    for file in storage.list(folder).await? {
        let name = file.location.filename().unwrap_or_default();
        let is_needed = needed.contains(&file.location)
            || name == "version-hint.text"
            || is_newer(name, version);
        if !is_needed && file.last_modified < before {
            storage.delete(&storage.location(&file.location)).await?;
            deleted += 1;
            bytes += file.size;
        }
    }
    Ok(format!("{deleted} files deleted, {:.1} MB", bytes as f64 / 1e6))
}

/// Whether it is the metadata of a version that was committed since this one was loaded.
fn is_newer(name: &str, version: &Version) -> bool {
    let number = |name: &str| -> Option<u64> {
        let name = name.strip_suffix(".metadata.json")?;
        let digits = name.strip_prefix('v').unwrap_or(name);
        digits.split('-').next()?.parse().ok()
    };
    let current = version.location.rsplit('/').next().and_then(number);
    matches!((number(name), current), (Some(number), Some(current)) if number > current)
}
