//! Partitions: how a table is divided, and to which part each row goes.

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::{Error, Result};
use arrow_array::{RecordBatch, UInt32Array};
use iceberg::arrow::{PartitionValueCalculator, arrow_struct_to_literal};
use iceberg::spec::{
    Literal, PartitionKey, PartitionSpecRef, Schema, SchemaRef, Struct, StructType, Transform,
    UnboundPartitionField, UnboundPartitionSpec,
};

use crate::error::Classify;

/// A partition spec from its settings, such as `month(created_at)` or `bucket(16, id)`.
pub fn spec(schema: &Schema, settings: &[String]) -> Result<UnboundPartitionSpec> {
    let field = |(number, setting): (usize, &String)| {
        let wrong = |why: &str| {
            Error::config(format!("The partitioning {setting:?} cannot be used: {why}."))
        };
        let (function, argument, column) = parse(setting).ok_or_else(|| {
            wrong("write a column, or one of year, month, day, hour, bucket, truncate with a column in brackets")
        })?;
        let transform = match (function, argument) {
            ("identity", None) => Transform::Identity,
            ("year", None) => Transform::Year,
            ("month", None) => Transform::Month,
            ("day", None) => Transform::Day,
            ("hour", None) => Transform::Hour,
            ("bucket", Some(count)) if count > 0 => Transform::Bucket(count),
            ("truncate", Some(width)) if width > 0 => Transform::Truncate(width),
            _ => return Err(wrong("no such function with these arguments")),
        };
        let source = schema.field_by_name(column);
        let source = source.ok_or_else(|| wrong("the stream has no such column"))?;
        if transform.result_type(&source.field_type).is_err() {
            return Err(wrong("the column is of a type that this does not work for"));
        }
        let name = match transform {
            // Iceberg lets only identity share the name of its column.
            Transform::Identity => column.to_owned(),
            Transform::Bucket(_) => format!("{column}_bucket"),
            Transform::Truncate(_) => format!("{column}_trunc"),
            _ => format!("{column}_{function}"),
        };
        let id = 1000 + number as i32;
        Ok(UnboundPartitionField::builder()
            .source_id(source.id)
            .field_id(id)
            .name(name)
            .transform(transform)
            .build())
    };
    let fields: Vec<UnboundPartitionField> =
        settings.iter().enumerate().map(field).collect::<Result<_>>()?;
    let spec = UnboundPartitionSpec::builder().with_spec_id(0);
    Ok(spec.add_partition_fields(fields).classify("The partitioning is not possible")?.build())
}

/// The parts of `function(16, column)`, or a bare column.
fn parse(setting: &str) -> Option<(&str, Option<u32>, &str)> {
    let setting = setting.trim();
    let Some((function, rest)) = setting.split_once('(') else {
        return (!setting.is_empty()).then_some(("identity", None, setting));
    };
    let inside = rest.strip_suffix(')')?;
    match inside.split_once(',') {
        Some((number, column)) => {
            Some((function.trim(), Some(number.trim().parse().ok()?), column.trim()))
        }
        None => Some((function.trim(), None, inside.trim())),
    }
}

/// Divides batches by the partitions of a table.
pub struct Divider {
    spec: PartitionSpecRef,
    schema: SchemaRef,
    kind: StructType,
    /// `None` for a table that is not partitioned.
    calculator: Option<PartitionValueCalculator>,
}

/// Some rows of a batch, all of one partition.
pub struct Part {
    /// The partition's values.
    pub partition: Struct,
    /// The rows.
    pub batch: RecordBatch,
    /// Where they were in the whole batch.
    pub rows: Vec<u32>,
}

impl Divider {
    /// For a table of this schema and partition spec.
    pub fn new(schema: &SchemaRef, spec: &PartitionSpecRef) -> Result<Self> {
        const FAILED: &str = "The table's partitioning cannot be used";
        let calculator = match spec.is_unpartitioned() {
            true => None,
            false => Some(PartitionValueCalculator::try_new(spec, schema).classify(FAILED)?),
        };
        Ok(Self {
            kind: spec.partition_type(schema).classify(FAILED)?,
            spec: Arc::clone(spec),
            schema: Arc::clone(schema),
            calculator,
        })
    }

    /// The folder of a partition below the table's data folder, with a slash at the end.
    pub fn folder(&self, partition: &Struct) -> String {
        if self.calculator.is_none() {
            return String::new();
        }
        let key =
            PartitionKey::new(self.spec.as_ref().clone(), self.schema.clone(), partition.clone());
        // Values may hold anything; the folder is only for people.
        let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '=' | '/');
        let path: String = key.to_path().chars().map(|c| if safe(c) { c } else { '_' }).collect();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        format!("{}/", parts.join("/"))
    }

    /// The rows of a batch by partition, each part in the order in which its rows came.
    pub fn divide(&self, batch: RecordBatch) -> Result<Vec<Part>> {
        const FAILED: &str = "Rows cannot be divided by partition";
        let Some(calculator) = &self.calculator else {
            let rows = (0..batch.num_rows() as u32).collect();
            return Ok(vec![Part { partition: Struct::empty(), batch, rows }]);
        };
        let values = calculator.calculate(&batch).classify(FAILED)?;
        let values = arrow_struct_to_literal(&values, &self.kind).classify(FAILED)?;
        let mut groups: HashMap<Struct, Vec<u32>> = HashMap::new();
        for (row, value) in values.into_iter().enumerate() {
            let Some(Literal::Struct(partition)) = value else {
                return Err(Error::system(FAILED).with_internal("a row without partition"));
            };
            groups.entry(partition).or_default().push(row as u32);
        }
        let part = |(partition, rows): (Struct, Vec<u32>)| {
            let picked = UInt32Array::from(rows.clone());
            let batch = arrow_select::take::take_record_batch(&batch, &picked).classify(FAILED)?;
            Ok(Part { partition, batch, rows })
        };
        groups.into_iter().map(part).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read() {
        assert_eq!(parse("id"), Some(("identity", None, "id")));
        assert_eq!(parse(" bucket( 16 , id ) "), Some(("bucket", Some(16), "id")));
        assert_eq!(parse("month(created_at)"), Some(("month", None, "created_at")));
        for wrong in ["", "month(", "bucket(x, id)", "bucket(16, id"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
