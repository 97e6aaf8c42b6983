//! The rows of tables as records again, for looking at them and for comparing them with what a source
//! had. They are read by `iceberg`'s own scan, not by what this program uses while it writes.

use airbyte_protocol::{Context, Error, Result, StreamDescriptor};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use futures::TryStreamExt;
use iceberg::spec::FormatVersion;
use iceberg::table::Table;
use iceberg::{NamespaceIdent, Runtime, TableIdent};
use serde_json::{Map, Value};

use crate::catalog::{TableName, Version};
use crate::error::Classify;

/// Writes a table's rows as RECORD messages of the stream that the table is called after. Null is left
/// out, and so are the columns about the record.
pub async fn dump(context: &Context, name: &TableName, version: Version) -> Result<String> {
    const FAILED: &str = "The table cannot be read";
    if version.metadata.format_version() == FormatVersion::V3 {
        return Err(Error::config("Tables of format 3 cannot be dumped."));
    }
    let namespace = NamespaceIdent::new(name.namespace.clone());
    let table = Table::builder()
        .file_io(version.storage.file_io())
        .metadata_location(version.location)
        .metadata(version.metadata)
        .identifier(TableIdent::new(namespace, name.name.clone()))
        .runtime(Runtime::current())
        .build()
        .classify(FAILED)?;
    let output = context.output.stream(StreamDescriptor::in_namespace(&name.namespace, &name.name));
    let mut count = 0;
    if table.metadata().current_snapshot().is_some() {
        let scan = table.scan().build().classify(FAILED)?;
        let mut batches = scan.to_arrow().await.classify(FAILED)?;
        while let Some(batch) = batches.try_next().await.classify(FAILED)? {
            let schema = batch.schema();
            let columns: Vec<(&str, &ArrayRef)> = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .map(|(field, column)| (field.name().as_str(), column))
                .filter(|(name, _)| !name.starts_with("_airbyte_"))
                .collect();
            let mut records = output.batch();
            for row in 0..batch.num_rows() {
                let mut members = Map::new();
                for (name, column) in columns.iter().filter(|(_, column)| column.is_valid(row)) {
                    members.insert((*name).to_owned(), value(column, row)?);
                }
                records.push(&[Value::Object(members).to_string().as_bytes()]);
            }
            count += batch.num_rows();
            output.records(records).await;
        }
    }
    Ok(format!("{count} rows"))
}

/// A value as JSON: numbers and truth as such, everything else as text.
fn value(column: &ArrayRef, row: usize) -> Result<Value> {
    Ok(match column.data_type() {
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options);
            formatter.classify("A value cannot be shown")?.value(row).to_string().into()
        }
    })
}
