//! The destination: `spec`, `check` and `write`.

use airbyte_protocol::{
    ConfiguredCatalog, ConfiguredStream, ConnectorSpecification, Context, Destination,
    DestinationSyncMode, Error, Input, Result, Stream, SyncMode,
};
use serde_json::json;
use uuid::Uuid;

use crate::catalog::Catalog;
use crate::commit::{self, MAIN};
use crate::compact;
use crate::config::Config;
use crate::dump;
use crate::maintain;
use crate::open::{self, Opened};
use crate::scan;
use crate::write;

/// Writes Apache Iceberg tables.
pub struct DestinationLakehouse;

impl Destination for DestinationLakehouse {
    type Config = Config;

    const TASKS: &'static [(&'static str, &'static str)] = &[
        ("compact", "Puts small files of tables together, and drops deleted rows for good"),
        ("expire", "Removes old versions of tables and the files that only they have"),
        ("sweep", "Removes files that belong to no version of a table"),
        ("dump", "Prints the rows of all tables as RECORD messages"),
    ];

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::of::<Config>("https://iceberg.apache.org/docs/latest/")
            .with_destination_sync_modes([
                DestinationSyncMode::Append,
                DestinationSyncMode::Overwrite,
                DestinationSyncMode::AppendDedup,
            ])
    }

    async fn check(&self, config: Config, context: Context) -> Result<Option<String>> {
        config.validate()?;
        let catalog = Catalog::connect(&config, &context).await?;
        probe(&catalog, &config).await?;
        Ok(None)
    }

    async fn write(
        &self,
        config: Config,
        catalog: ConfiguredCatalog,
        input: Input,
        context: Context,
    ) -> Result<()> {
        config.validate()?;
        let tables = Catalog::connect(&config, &context).await?;
        write::write(tables, config, catalog, input, context).await
    }

    async fn task(&self, name: &str, config: Config, context: Context) -> Result<()> {
        config.validate()?;
        let catalog = Catalog::connect(&config, &context).await?;
        for table in catalog.tables().await? {
            let Some(version) = catalog.load(&table).await? else { continue };
            let done = match name {
                "compact" => compact::compact(&catalog, &config, &table, version).await,
                "expire" => maintain::expire(&catalog, &config, &table, version).await,
                "sweep" => maintain::sweep(&config, &version).await,
                _ => dump::dump(&context, &table, version).await,
            };
            match done {
                Ok(report) => tracing::info!("{table}: {report}"),
                // One table's trouble is not that of the others.
                Err(error) => context.output.error(&error.context(&table)),
            }
        }
        Ok(())
    }
}

/// Makes a table, commits a row to it, reads it back and drops it.
async fn probe(catalog: &Catalog, config: &Config) -> Result<()> {
    let schema = json!({"type": "object", "properties": {"id": {"type": "integer"}}});
    let name = format!("tributary_check_{}", Uuid::now_v7().simple());
    let stream = ConfiguredStream {
        stream: Stream::new(name, schema),
        sync_mode: SyncMode::FullRefresh,
        destination_sync_mode: DestinationSyncMode::Append,
        cursor_field: Vec::new(),
        primary_key: Vec::new(),
        destination_object_name: None,
        generation_id: None,
        minimum_generation_id: None,
        sync_id: None,
        include_files: None,
        extra: serde_json::Map::new(),
    };
    let table = open::table_name(config, &stream);
    let probed = write_and_read(catalog, config, &stream).await;
    let dropped = catalog.drop_table(&table).await;
    probed.and(dropped)
}

async fn write_and_read(
    catalog: &Catalog,
    config: &Config,
    stream: &ConfiguredStream,
) -> Result<()> {
    let Opened { mut writer, mut rows } = open::open(catalog, config, stream).await?;
    let failed = |reason: String| Error::system(reason);
    rows.push(br#"{"id":1}"#, 0, None).map_err(failed)?;
    writer.write(rows.finish().map_err(|error| failed(error.to_string()))?).await?;
    writer.commit(Default::default()).await?;
    let lost = || Error::config("What was written to the warehouse could not be read back.");
    let version = catalog.load(writer.name()).await?.ok_or_else(lost)?;
    let storage = &version.storage;
    let mut found = 0;
    for live in commit::live_files(storage, &version.metadata, MAIN).await? {
        let (path, size) = (live.file.file_path(), live.file.file_size_in_bytes());
        scan::each_batch(storage, path, size, None, |_, batch| {
            found += batch.num_rows();
            Ok(())
        })
        .await?;
    }
    if found == 1 { Ok(()) } else { Err(lost()) }
}
