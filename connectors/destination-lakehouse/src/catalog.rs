//! What keeps track of tables: where the current metadata of each is, and how a new version takes
//! its place.

mod filesystem;
#[cfg(feature = "cloud")]
mod rest;
#[cfg(feature = "cloud")]
mod signing;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(any(feature = "cloud", feature = "sqlite"))]
use std::sync::Arc;

use airbyte_protocol::{Context, Error, Result};
use iceberg::spec::TableMetadata;
use iceberg::{TableCreation, TableRequirement, TableUpdate};

use crate::config::{CatalogConfig, Config};
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
    /// Where its files are.
    pub storage: Storage,
}

/// How a commit went. There is one at a time, so its size is of no account.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
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
    /// A database file.
    #[cfg(feature = "sqlite")]
    Sqlite(Arc<sqlite::Sqlite>),
    /// A server of Iceberg's REST interface.
    #[cfg(feature = "cloud")]
    Rest(Arc<rest::Rest>),
}

/// Calls the same function of whichever catalog there is.
macro_rules! dispatch {
    ($catalog:expr, $function:ident($($argument:expr),*)) => {
        match $catalog {
            Catalog::Filesystem(storage) => filesystem::$function(storage $(, $argument)*).await,
            #[cfg(feature = "sqlite")]
            Catalog::Sqlite(sqlite) => sqlite.$function($($argument),*).await,
            #[cfg(feature = "cloud")]
            Catalog::Rest(rest) => rest.$function($($argument),*).await,
        }
    };
}

impl Catalog {
    /// The catalog of a configuration.
    ///
    /// # Errors
    /// Config: it cannot be reached, or this program was built without it.
    pub async fn connect(config: &Config, context: &Context) -> Result<Self> {
        let storage = || {
            config.warehouse.storage(context)?.ok_or_else(|| {
                Error::config(
                    "The warehouse from_catalog goes with the catalog rest: the others have to be \
                     told where the files go.",
                )
            })
        };
        match &config.catalog {
            CatalogConfig::Filesystem => Ok(Self::Filesystem(storage()?)),
            #[cfg(feature = "sqlite")]
            CatalogConfig::Sqlite { path, name } => {
                Ok(Self::Sqlite(Arc::new(sqlite::Sqlite::open(path, name, storage()?)?)))
            }
            #[cfg(not(feature = "sqlite"))]
            CatalogConfig::Sqlite { .. } => Err(not_built_in("catalog sqlite", "sqlite")),
            #[cfg(feature = "cloud")]
            CatalogConfig::Rest(rest) => {
                let rest = rest::Rest::connect(rest, &config.warehouse, context).await?;
                Ok(Self::Rest(Arc::new(rest)))
            }
            #[cfg(not(feature = "cloud"))]
            CatalogConfig::Rest(_) => Err(not_built_in("catalog rest", "cloud")),
        }
    }

    /// The current version of a table, if there is the table.
    pub async fn load(&self, table: &TableName) -> Result<Option<Version>> {
        dispatch!(self, load(table))
    }

    /// Makes a table without rows. `Conflict` means that it is there already.
    pub async fn create(&self, table: &TableName, creation: TableCreation) -> Result<Outcome> {
        dispatch!(self, create(table, creation))
    }

    /// Makes a new version of a table, unless another one was made since `base` was loaded. What was
    /// written for it is durable before.
    pub async fn commit(
        &self,
        table: &TableName,
        base: &Version,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Outcome> {
        base.storage.sync().await?;
        dispatch!(self, commit(table, base, requirements, updates))
    }

    /// Removes a table and its files.
    pub async fn drop_table(&self, table: &TableName) -> Result<()> {
        dispatch!(self, drop_table(table))
    }

    /// The tables of all namespaces.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        dispatch!(self, tables())
    }
}

/// A part that this program was built without.
#[cfg(not(all(feature = "cloud", feature = "sqlite")))]
pub fn not_built_in(what: &str, feature: &str) -> Error {
    Error::config(format!(
        "This program was built without the {what}. Build it with `--features {feature}`, or use an image, \
         which has everything."
    ))
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
