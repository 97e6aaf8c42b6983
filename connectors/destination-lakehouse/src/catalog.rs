//! What keeps track of tables: where the current metadata of each is, and how a new version takes
//! its place.

mod filesystem;

use airbyte_protocol::{Error, Result};
use iceberg::spec::TableMetadata;
use iceberg::{TableCreation, TableRequirement, TableUpdate};

use crate::error::Classify;
use crate::storage::Storage;

/// The name of a table: namespace and table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The namespace.
    pub namespace: String,
    /// The table.
    pub name: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

/// The current version of a table.
#[derive(Debug, Clone)]
pub struct Version {
    /// The metadata.
    pub metadata: TableMetadata,
    /// The file that it was read from.
    pub location: String,
}

/// How a commit went.
#[derive(Debug)]
pub enum Outcome {
    /// The table has a new version.
    Done(Version),
    /// Somebody else was faster: load the table again.
    Conflict,
}

/// A catalog of tables.
#[derive(Debug, Clone)]
pub enum Catalog {
    /// The files themselves.
    Filesystem(Storage),
}

impl Catalog {
    /// The files of a table.
    pub fn storage(&self) -> &Storage {
        match self {
            Self::Filesystem(storage) => storage,
        }
    }

    /// The current version of a table, if there is the table.
    pub async fn load(&self, table: &TableName) -> Result<Option<Version>> {
        match self {
            Self::Filesystem(storage) => filesystem::load(storage, table).await,
        }
    }

    /// Makes a table without rows. `Conflict` means that it is there already.
    pub async fn create(&self, table: &TableName, creation: TableCreation) -> Result<Outcome> {
        match self {
            Self::Filesystem(storage) => filesystem::create(storage, table, creation).await,
        }
    }

    /// Makes a new version of a table, unless another one was made since `base` was loaded.
    pub async fn commit(
        &self,
        table: &TableName,
        base: &Version,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Outcome> {
        match self {
            Self::Filesystem(storage) => {
                let next = apply(base, &requirements, updates)?;
                filesystem::commit(storage, table, base, next).await
            }
        }
    }

    /// Removes a table and its files.
    pub async fn drop_table(&self, table: &TableName) -> Result<()> {
        match self {
            Self::Filesystem(storage) => filesystem::drop_table(storage, table).await,
        }
    }

    /// The tables of all namespaces.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        match self {
            Self::Filesystem(storage) => filesystem::tables(storage).await,
        }
    }
}

/// The metadata after the updates.
fn apply(
    base: &Version,
    requirements: &[TableRequirement],
    updates: Vec<TableUpdate>,
) -> Result<TableMetadata> {
    const FAILED: &str = "A change of a table's metadata is not possible";
    for requirement in requirements {
        requirement.check(Some(&base.metadata)).classify(FAILED)?;
    }
    let mut builder = base.metadata.clone().into_builder(Some(base.location.clone()));
    for update in updates {
        builder = update.apply(builder).classify(FAILED)?;
    }
    Ok(builder.build().classify(FAILED)?.metadata)
}

/// The text of a metadata file.
fn to_json(metadata: &TableMetadata) -> Result<Vec<u8>> {
    serde_json::to_vec(metadata).classify("The metadata of a table cannot be written")
}

/// The metadata in a file.
fn from_json(location: &str, bytes: &[u8]) -> Result<TableMetadata> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(Error::config(format!(
            "{location} is compressed, which this program does not read. Set the table property \
             write.metadata.compression-codec to none."
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Error::system(format!("{location} is not valid metadata of an Iceberg table"))
            .with_internal(error.to_string())
    })
}
