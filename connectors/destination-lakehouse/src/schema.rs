//! The schema of a table: what columns the fields of a stream become, and how a table that is there
//! follows when they change.

use std::collections::HashSet;
use std::sync::Arc;

use iceberg::spec::{
    ListType, NestedField, NestedFieldRef, PrimitiveType, Schema, StructType, TableMetadata, Type,
};
use serde_json::Value;

use crate::config::NumberType;
use crate::names::Naming;

/// The columns that every table has beside those of its stream: the same as those of Airbyte's own
/// lakehouse destinations, so that tables can change hands.
pub const RAW_ID: &str = "_airbyte_raw_id";
/// When the source emitted the record.
pub const EXTRACTED_AT: &str = "_airbyte_extracted_at";
/// What was changed in the record on its way, and by which sync it came.
pub const META: &str = "_airbyte_meta";
/// The generation of the stream that the record belongs to.
pub const GENERATION_ID: &str = "_airbyte_generation_id";

const META_COLUMNS: [&str; 4] = [RAW_ID, EXTRACTED_AT, META, GENERATION_ID];

/// What a field holds, which decides how its values are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Boolean,
    /// A whole number of 64 bits.
    Long,
    /// A floating point number of 64 bits.
    Double,
    /// A number with 38 digits, 9 of them after the point.
    Decimal,
    /// Text, and whatever else comes as text.
    String,
    /// A day.
    Date,
    /// A time of day.
    Time,
    /// A moment without a time zone.
    Timestamp,
    /// A moment.
    Timestamptz,
    /// An object, kept as its JSON text.
    Object,
    /// An array, kept as its JSON text.
    Array,
    /// A value of several types, kept as its JSON text.
    Union,
}

/// Digits and digits after the point of [`Kind::Decimal`].
pub const DECIMAL: (u32, u32) = (38, 9);

impl Kind {
    /// The kind that a property's JSON schema asks for.
    pub fn of(schema: &Value, numbers: NumberType) -> Self {
        if ["oneOf", "anyOf", "allOf"].iter().any(|keyword| schema.get(keyword).is_some()) {
            return Self::Union;
        }
        if let Some(known) = schema.get("$ref").and_then(Value::as_str) {
            return Self::well_known(known.rsplit('/').next().unwrap_or_default(), numbers);
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(some)) => some.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut types = types.into_iter().filter(|name| *name != "null");
        let (only, more) = (types.next(), types.next());
        if more.is_some() {
            return Self::Union;
        }
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        let is_naive = text("airbyte_type").is_some_and(|name| name.ends_with("without_timezone"));
        match (only, text("format")) {
            (Some("boolean"), _) => Self::Boolean,
            (Some("integer"), _) => Self::Long,
            (Some("number"), _) if text("airbyte_type") == Some("integer") => Self::Long,
            (Some("number"), _) => numbers.kind(),
            (Some("string"), Some("date")) => Self::Date,
            (Some("string"), Some("date-time")) if is_naive => Self::Timestamp,
            (Some("string"), Some("date-time")) => Self::Timestamptz,
            (Some("string"), Some("time")) => Self::Time,
            (Some("object"), _) => Self::Object,
            (Some("array"), _) => Self::Array,
            _ => Self::String,
        }
    }

    fn well_known(name: &str, numbers: NumberType) -> Self {
        match name {
            "Boolean" => Self::Boolean,
            "Integer" => Self::Long,
            "Number" => numbers.kind(),
            "Date" => Self::Date,
            "TimestampWithTimezone" => Self::Timestamptz,
            "TimestampWithoutTimezone" => Self::Timestamp,
            "TimeWithTimezone" | "TimeWithoutTimezone" => Self::Time,
            _ => Self::String,
        }
    }

    /// The type of the column.
    pub fn primitive(self) -> PrimitiveType {
        match self {
            Self::Boolean => PrimitiveType::Boolean,
            Self::Long => PrimitiveType::Long,
            Self::Double => PrimitiveType::Double,
            Self::Decimal => PrimitiveType::Decimal { precision: DECIMAL.0, scale: DECIMAL.1 },
            Self::String | Self::Object | Self::Array | Self::Union => PrimitiveType::String,
            Self::Date => PrimitiveType::Date,
            Self::Time => PrimitiveType::Time,
            Self::Timestamp => PrimitiveType::Timestamp,
            Self::Timestamptz => PrimitiveType::Timestamptz,
        }
    }

    /// Whether the column holds JSON text.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Object | Self::Array | Self::Union)
    }
}

/// A field of a stream and the column that it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The field, as in records.
    pub field: String,
    /// The column.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
}

/// The columns of a stream, from the JSON schema of its records.
pub fn columns(json_schema: &Value, naming: Naming, numbers: NumberType) -> Vec<Column> {
    let properties = json_schema.get("properties").and_then(Value::as_object);
    let fields: Vec<(&String, &Value)> = properties.into_iter().flatten().collect();
    let names = fields.iter().map(|(field, _)| field.as_str());
    // The columns of our own come first, so that no field takes their names.
    let names = naming.columns(META_COLUMNS.into_iter().chain(names)).into_iter().skip(4);
    let column = |((field, schema), name): ((&String, &Value), String)| Column {
        field: field.clone(),
        name,
        kind: Kind::of(schema, numbers),
    };
    fields.into_iter().zip(names).map(column).collect()
}

/// The schema of a new table. `iceberg` numbers the fields anew.
pub fn create(columns: &[Column]) -> iceberg::Result<Schema> {
    let mut ids = Ids(0);
    let mut fields = meta_fields(&mut ids);
    fields.extend(columns.iter().map(|column| new_field(column, &mut ids)));
    Schema::builder().with_fields(fields).build()
}

struct Ids(i32);

impl Ids {
    fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0
    }
}

fn new_field(column: &Column, ids: &mut Ids) -> NestedFieldRef {
    let field =
        NestedField::optional(ids.next(), &column.name, Type::Primitive(column.kind.primitive()));
    // By this a later sync finds the column of a field again.
    let field =
        if column.field == column.name { field } else { field.with_doc(column.field.clone()) };
    Arc::new(field)
}

fn meta_fields(ids: &mut Ids) -> Vec<NestedFieldRef> {
    let string = || Type::Primitive(PrimitiveType::String);
    let long = || Type::Primitive(PrimitiveType::Long);
    let raw_id = NestedField::required(ids.next(), RAW_ID, string());
    let timestamp = Type::Primitive(PrimitiveType::Timestamptz);
    let extracted_at = NestedField::required(ids.next(), EXTRACTED_AT, timestamp);
    let meta = ids.next();
    let sync_id = NestedField::optional(ids.next(), "sync_id", long());
    let changes = ids.next();
    let change = ids.next();
    let mut text = |name: &str| Arc::new(NestedField::required(ids.next(), name, string()));
    let entry = StructType::new(vec![text("field"), text("change"), text("reason")]);
    let entries =
        ListType::new(Arc::new(NestedField::list_element(change, Type::Struct(entry), true)));
    let changes = NestedField::required(changes, "changes", Type::List(entries));
    let parts = StructType::new(vec![Arc::new(sync_id), Arc::new(changes)]);
    let meta = NestedField::required(meta, META, Type::Struct(parts));
    let generation_id = NestedField::required(ids.next(), GENERATION_ID, long());
    [raw_id, extracted_at, meta, generation_id].into_iter().map(Arc::new).collect()
}

/// The schema that the table needs for these columns, if it is not the one that it has. `columns`
/// get the names of the columns that they found.
///
/// Nothing is ever rewritten or lost: a new field is a new column; a field that went away leaves its
/// column, filled with null from now on; a type that became wider is widened where Iceberg allows
/// it; any other change of type moves the old column aside, to `name__oldtype`, and begins a new
/// one. When the old type comes back, so does the old column.
pub fn evolve(table: &TableMetadata, columns: &mut [Column]) -> iceberg::Result<Option<Schema>> {
    let current = table.current_schema();
    let mut fields: Vec<NestedField> =
        current.as_struct().fields().iter().map(|field| relaxed(field)).collect();
    let mut ids = Ids(table.last_column_id());
    for name in META_COLUMNS {
        if current.field_by_name(name).is_none() {
            let mut added = meta_fields(&mut ids);
            added.retain(|field| field.name == name);
            fields.extend(added.iter().map(|field| {
                // Rows that are there already have no value.
                NestedField { required: false, ..field.as_ref().clone() }
            }));
        }
    }
    for column in columns {
        place(&mut fields, column, &mut ids);
    }
    let fields: Vec<NestedFieldRef> = fields.into_iter().map(Arc::new).collect();
    if fields.as_slice() == current.as_struct().fields()
        && current.identifier_field_ids().len() == 0
    {
        return Ok(None);
    }
    let schema_id = table.schemas_iter().map(|schema| schema.schema_id()).max().unwrap_or(0) + 1;
    Schema::builder().with_schema_id(schema_id).with_fields(fields).build().map(Some)
}

/// A field that may be null, since a source may send null for anything at any time.
fn relaxed(field: &NestedField) -> NestedField {
    let required = field.required && META_COLUMNS.contains(&field.name.as_str());
    NestedField { required, ..field.clone() }
}

fn place(fields: &mut Vec<NestedField>, column: &mut Column, ids: &mut Ids) {
    let by_doc = fields.iter().position(|field| field.doc.as_deref() == Some(&column.field));
    let by_name = || fields.iter().position(|field| field.name.eq_ignore_ascii_case(&column.name));
    let Some(at) = by_doc.or_else(by_name) else {
        fields.push(new_field(column, ids).as_ref().clone());
        return;
    };
    column.name = fields[at].name.clone();
    let wanted = Type::Primitive(column.kind.primitive());
    if *fields[at].field_type == wanted {
        return;
    }
    if widens(&fields[at].field_type, &wanted) {
        *fields[at].field_type = wanted;
        return;
    }
    let returning = aside(&column.name, &wanted);
    let returning =
        fields.iter().position(|field| field.name == returning && *field.field_type == wanted);
    let doc = fields[at].doc.take();
    fields[at].name = free_name(fields, &aside(&column.name, &fields[at].field_type));
    match returning {
        Some(old) => {
            fields[old].name = column.name.clone();
            fields[old].doc = doc;
        }
        None => {
            let mut field = new_field(column, ids).as_ref().clone();
            field.doc = doc;
            fields.push(field);
        }
    }
}

/// The name of a column whose type is no longer that of its field.
pub fn aside(name: &str, old: &Type) -> String {
    let kind = match old {
        Type::Primitive(PrimitiveType::Decimal { .. }) => "decimal".to_owned(),
        Type::Primitive(primitive) => primitive.to_string(),
        Type::Struct(_) => "struct".to_owned(),
        Type::List(_) => "list".to_owned(),
        Type::Map(_) => "map".to_owned(),
    };
    format!("{name}__{kind}")
}

fn free_name(fields: &[NestedField], wanted: &str) -> String {
    let taken: HashSet<String> = fields.iter().map(|field| field.name.to_lowercase()).collect();
    let numbered = (2..).map(|number| format!("{wanted}_{number}"));
    std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(&name.to_lowercase()))
        .unwrap_or_else(|| wanted.to_owned())
}

/// Whether Iceberg reads columns of the old type as the new one (spec, "Schema Evolution").
fn widens(old: &Type, new: &Type) -> bool {
    let (Type::Primitive(old), Type::Primitive(new)) = (old, new) else { return false };
    match (old, new) {
        (PrimitiveType::Int, PrimitiveType::Long) => true,
        (PrimitiveType::Float, PrimitiveType::Double) => true,
        (
            PrimitiveType::Decimal { precision: old, scale: old_scale },
            PrimitiveType::Decimal { precision: new, scale: new_scale },
        ) => old < new && old_scale == new_scale,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(schema: Value) -> Kind {
        Kind::of(&schema, NumberType::Double)
    }

    #[test]
    fn types_are_those_of_the_protocol() {
        for (schema, expected) in [
            (json!({"type": ["null", "boolean"]}), Kind::Boolean),
            (json!({"type": "integer"}), Kind::Long),
            (json!({"type": "number", "airbyte_type": "integer"}), Kind::Long),
            (json!({"type": ["number", "null"]}), Kind::Double),
            (json!({"type": "string"}), Kind::String),
            (json!({"type": "string", "format": "email"}), Kind::String),
            (json!({"type": "string", "format": "date"}), Kind::Date),
            (json!({"type": "string", "format": "date-time"}), Kind::Timestamptz),
            (
                json!({"type": "string", "format": "date-time", "airbyte_type": "timestamp_without_timezone"}),
                Kind::Timestamp,
            ),
            (
                json!({"type": "string", "format": "time", "airbyte_type": "time_with_timezone"}),
                Kind::Time,
            ),
            (json!({"type": "object", "properties": {"a": {}}}), Kind::Object),
            (json!({"type": ["null", "array"], "items": {"type": "string"}}), Kind::Array),
            (json!({"type": ["string", "integer"]}), Kind::Union),
            (json!({"oneOf": [{"type": "string"}]}), Kind::Union),
            (json!({"$ref": "WellKnownTypes.json#/definitions/Date"}), Kind::Date),
            (json!({}), Kind::String),
            (json!(true), Kind::String),
        ] {
            assert_eq!(kind(schema.clone()), expected, "{schema}");
        }
        assert_eq!(Kind::of(&json!({"type": "number"}), NumberType::Decimal), Kind::Decimal);
    }

    #[test]
    fn no_field_takes_the_name_of_a_column_of_ours() {
        let schema = json!({"properties": {"_airbyte_raw_id": {"type": "string"}, "id": {}}});
        let columns = columns(&schema, Naming::Normalized, NumberType::Double);
        assert!(columns[0].name.starts_with("_airbyte_raw_id_"), "{}", columns[0].name);
        assert_eq!(columns[1].name, "id");
    }
}
