//! Tables in a SQLite file, in the layout of pyiceberg's `SqlCatalog`: both can use one file, even at
//! the same time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use airbyte_protocol::{Error, Result};
use iceberg::spec::TableMetadataBuilder;
use iceberg::{TableCreation, TableRequirement, TableUpdate};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{Outcome, TableName, Version, apply, from_json, to_json};
use crate::error::Classify;
use crate::names::path_part;
use crate::storage::Storage;

/// How long to wait while another process writes.
const BUSY: Duration = Duration::from_secs(30);

const LAYOUT: &str = "
    CREATE TABLE IF NOT EXISTS iceberg_tables (
        catalog_name VARCHAR(255) NOT NULL,
        table_namespace VARCHAR(255) NOT NULL,
        table_name VARCHAR(255) NOT NULL,
        metadata_location VARCHAR(1000),
        previous_metadata_location VARCHAR(1000),
        iceberg_type VARCHAR(5),
        PRIMARY KEY (catalog_name, table_namespace, table_name)
    );
    CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
        catalog_name VARCHAR(255) NOT NULL,
        namespace VARCHAR(255) NOT NULL,
        property_key VARCHAR(255) NOT NULL,
        property_value VARCHAR(1000) NOT NULL,
        PRIMARY KEY (catalog_name, namespace, property_key)
    );";

/// A catalog in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    connection: Mutex<Connection>,
    name: String,
    storage: Storage,
}

impl Sqlite {
    /// Opens or makes the file.
    pub(super) fn open(path: &str, name: &str, storage: Storage) -> Result<Self> {
        let opened = Connection::open(path).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            connection.execute_batch(LAYOUT)?;
            Ok(connection)
        });
        let connection = opened.map_err(|error| {
            Error::config(format!(
                "The catalog file {path} cannot be opened. Check that the folder is there and may be written to."
            ))
            .with_internal(error.to_string())
        })?;
        Ok(Self { connection: Mutex::new(connection), name: name.to_owned(), storage })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pointer(&self, table: &TableName) -> Result<Option<String>> {
        let query = "SELECT metadata_location FROM iceberg_tables
             WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3";
        let row = self.connection().query_row(
            query,
            params![self.name, table.namespace, table.name],
            |row| row.get(0),
        );
        row.optional().map_err(failed)
    }

    pub(super) async fn load(&self, table: &TableName) -> Result<Option<Version>> {
        let Some(location) = self.pointer(table)? else { return Ok(None) };
        let bytes = self.storage.get(&location).await?.ok_or_else(|| {
            Error::system(format!("{location} is missing: table {table} is damaged"))
        })?;
        let metadata = from_json(&location, &bytes)?;
        Ok(Some(Version { metadata, location, storage: self.storage.clone() }))
    }

    pub(super) async fn create(
        &self,
        table: &TableName,
        creation: TableCreation,
    ) -> Result<Outcome> {
        const FAILED: &str = "A table cannot be made";
        if self.pointer(table)?.is_some() {
            return Ok(Outcome::Conflict);
        }
        let (namespace, name) = (path_part(&table.namespace), path_part(&table.name));
        let folder = format!("{}/{namespace}/{name}", self.storage.root());
        let creation = TableCreation { location: Some(folder.clone()), ..creation };
        let built = TableMetadataBuilder::from_table_creation(creation).classify(FAILED)?;
        let metadata = built.build().classify(FAILED)?.metadata;
        let location = metadata_file(&folder, 0);
        self.storage.put(&location, to_json(&metadata)?).await?;
        self.storage.sync().await?;
        let added = {
            let connection = self.connection();
            let namespace = connection.execute(
                "INSERT OR IGNORE INTO iceberg_namespace_properties VALUES (?1, ?2, 'exists', 'true')",
                params![self.name, table.namespace],
            );
            namespace.map_err(failed)?;
            let table = connection.execute(
                "INSERT OR IGNORE INTO iceberg_tables
                 (catalog_name, table_namespace, table_name, metadata_location, iceberg_type)
                 VALUES (?1, ?2, ?3, ?4, 'TABLE')",
                params![self.name, table.namespace, table.name, location],
            );
            table.map_err(failed)?
        };
        if added == 0 {
            self.storage.delete(&location).await?;
            return Ok(Outcome::Conflict);
        }
        Ok(Outcome::Done(Version { metadata, location, storage: self.storage.clone() }))
    }

    pub(super) async fn commit(
        &self,
        table: &TableName,
        base: &Version,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Outcome> {
        let metadata = apply(base, &requirements, updates)?;
        let number = base.location.rsplit('/').next().and_then(|name| name.split('-').next());
        let number = number.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        let location = metadata_file(metadata.location(), number + 1);
        self.storage.put(&location, to_json(&metadata)?).await?;
        self.storage.sync().await?;
        let changed = self.connection().execute(
            "UPDATE iceberg_tables SET metadata_location = ?1, previous_metadata_location = ?2
             WHERE catalog_name = ?3 AND table_namespace = ?4 AND table_name = ?5
             AND metadata_location = ?2",
            params![location, base.location, self.name, table.namespace, table.name],
        );
        if changed.map_err(failed)? == 0 {
            self.storage.delete(&location).await?;
            return Ok(Outcome::Conflict);
        }
        Ok(Outcome::Done(Version { metadata, location, storage: self.storage.clone() }))
    }

    pub(super) async fn drop_table(&self, table: &TableName) -> Result<()> {
        let Some(version) = self.load(table).await? else { return Ok(()) };
        let gone = self.connection().execute(
            "DELETE FROM iceberg_tables
             WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3",
            params![self.name, table.namespace, table.name],
        );
        gone.map_err(failed)?;
        self.storage.delete_folder(version.metadata.location()).await
    }

    pub(super) async fn tables(&self) -> Result<Vec<TableName>> {
        let connection = self.connection();
        let query = "SELECT table_namespace, table_name FROM iceberg_tables
             WHERE catalog_name = ?1 ORDER BY 1, 2";
        let mut statement = connection.prepare(query).map_err(failed)?;
        let rows = statement.query_map(params![self.name], |row| {
            Ok(TableName { namespace: row.get(0)?, name: row.get(1)? })
        });
        rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }
}

fn metadata_file(folder: &str, number: u64) -> String {
    format!("{folder}/metadata/{number:05}-{}.metadata.json", Uuid::now_v7())
}

fn failed(error: rusqlite::Error) -> Error {
    Error::transient("The catalog file cannot be used").with_internal(error.to_string())
}
