//! The columns of a stream's rows: what is asked for, and how rows are made of the answers.

use std::collections::HashMap;

use airbyte_protocol::{Error, Result};
use cdk::decode::{Member, RowWriter};
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use tracing::warn;

use crate::describe::Describe;
use crate::fields::{ADDRESS, CODES, Kind, LOCATION, is_in_bulk};
use crate::texts;

/// The columns of a stream.
#[derive(Debug, Clone)]
pub struct Columns {
    object: String,
    version: String,
    columns: Vec<Column>,
    cursor: Option<String>,
    na_as_null: bool,
    in_bulk: bool,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    kind: Kind,
    /// What a compound is made of: its members with the fields they come from.
    parts: Vec<(&'static str, Option<String>)>,
}

/// What columns are chosen from.
pub struct Choice<'a> {
    /// The properties of the configured schema; empty means all fields.
    pub selected: &'a Map<String, Value>,
    /// The API version, which stands in the addresses of files.
    pub version: &'a str,
    /// The field that orders rows in time.
    pub cursor: Option<&'a str>,
    /// Whether texts such as "NA" become null.
    pub na_as_null: bool,
}

impl Columns {
    /// The columns that a describe has of those selected. Id and cursor are always read.
    pub fn described(describe: &Describe, choice: &Choice<'_>) -> Self {
        let is_selected = |name: &str| {
            choice.selected.is_empty()
                || choice.selected.contains_key(name)
                || name == "Id"
                || choice.cursor == Some(name)
        };
        let chosen: Vec<_> = describe.fields.iter().filter(|f| is_selected(&f.name)).collect();
        let columns = chosen.iter().map(|field| {
            let kind = Kind::of(&describe.name, field);
            Column { name: field.name.clone(), kind, parts: parts(describe, &field.name, kind) }
        });
        for name in choice.selected.keys().filter(|name| describe.field(name).is_none()) {
            warn!(
                "{} has no field {name} any more, or it is hidden from this user: it is left out.",
                describe.name
            );
        }
        Columns {
            in_bulk: describe.has_id() && chosen.iter().all(|field| is_in_bulk(field)),
            columns: columns.collect(),
            ..Self::empty(&describe.name, choice)
        }
    }

    /// The selected columns as the configured schema has them, without knowing more of the
    /// object: enough to read by REST.
    pub fn selected(object: &str, choice: &Choice<'_>) -> Self {
        let mut columns: Vec<Column> = choice
            .selected
            .iter()
            .map(|(name, property)| Column {
                name: name.clone(),
                kind: Kind::of_schema(property),
                parts: Vec::new(),
            })
            .collect();
        for (name, kind) in
            [(Some("Id"), Kind::Text), (choice.cursor, Kind::DateTime)].into_iter().rev()
        {
            if let Some(name) = name.filter(|name| columns.iter().all(|c| c.name != **name)) {
                columns.insert(0, Column { name: name.into(), kind, parts: Vec::new() });
            }
        }
        Columns { columns, ..Self::empty(object, choice) }
    }

    fn empty(object: &str, choice: &Choice<'_>) -> Self {
        Columns {
            object: object.to_owned(),
            version: choice.version.to_owned(),
            columns: Vec::new(),
            cursor: choice.cursor.map(str::to_owned),
            na_as_null: choice.na_as_null,
            in_bulk: false,
        }
    }

    /// Whether Bulk jobs can bring these columns.
    pub fn is_in_bulk(&self) -> bool {
        self.in_bulk
    }

    /// The field that orders rows in time.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The fields that a REST query selects.
    pub fn rest_fields(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// The fields that a Bulk job selects: compounds are not among them but what they are made
    /// of, nor are files, whose addresses are made of the row's id.
    pub fn bulk_fields(&self) -> Vec<&str> {
        let mut fields: Vec<&str> = Vec::new();
        let mut add = |name| {
            if !fields.contains(&name) {
                fields.push(name);
            }
        };
        for column in &self.columns {
            match column.kind {
                Kind::Address | Kind::Location => {
                    column.parts.iter().filter_map(|(_, field)| field.as_deref()).for_each(&mut add)
                }
                Kind::Base64 => add("Id"),
                _ => add(&column.name),
            }
        }
        fields
    }

    /// The place of the cursor among the fields of a Bulk job.
    pub fn cursor_cell(&self) -> Option<usize> {
        let cursor = self.cursor.as_deref()?;
        self.bulk_fields().iter().position(|field| *field == cursor)
    }

    /// Makes rows of a Bulk job's CSV.
    pub fn bulk_writer(&self) -> RowWriter {
        let fields = self.bulk_fields();
        let cell_of = |name: &str| fields.iter().position(|field| *field == name);
        let convert = |kind| texts::cell(kind, self.na_as_null);
        let part = |(key, field): &(&str, Option<String>)| {
            let is_number = matches!(*key, "latitude" | "longitude");
            let kind = if is_number { Kind::Number } else { Kind::Text };
            match field.as_deref().and_then(cell_of) {
                // As REST gives them, whatever is made of other texts.
                Some(cell) => Member::cell(key, cell, texts::cell(kind, false)),
                None => Member::null(key),
            }
        };
        let members = self.columns.iter().map(|column| match column.kind {
            Kind::Address | Kind::Location => {
                Member::object(&column.name, column.parts.iter().map(part).collect())
            }
            Kind::Base64 => {
                let before = format!("/services/data/v{}/sobjects/{}/", self.version, self.object);
                let behind = format!("/{}", column.name);
                Member::around(&column.name, &before, cell_of("Id").unwrap_or(usize::MAX), &behind)
            }
            kind => match cell_of(&column.name) {
                Some(cell) => Member::cell(&column.name, cell, convert(kind)),
                None => Member::null(&column.name),
            },
        });
        RowWriter::new(members.collect::<Vec<_>>())
    }

    /// Makes rows of a REST query's records.
    pub fn rest_writer(&self) -> RestWriter<'_> {
        let kinds = self.columns.iter().map(|column| (column.name.as_str(), column.kind)).collect();
        RestWriter { kinds, cursor: self.cursor(), na_as_null: self.na_as_null }
    }
}

/// The fields that a compound is made of, told by their names' endings.
fn parts(describe: &Describe, compound: &str, kind: Kind) -> Vec<(&'static str, Option<String>)> {
    if !kind.is_compound() {
        return Vec::new();
    }
    let fields: Vec<&str> = describe
        .fields
        .iter()
        .filter(|field| field.compound_field_name.as_deref() == Some(compound))
        .filter(|field| field.name != compound)
        .map(|field| field.name.as_str())
        .collect();
    let prefix = |name: &str| {
        // BillingAddress is made of BillingStreet …, Site__c of Site__Street__s ….
        let stem = compound.strip_suffix("__c").map(|stem| format!("{stem}__"));
        let stem = stem.unwrap_or_else(|| compound.trim_end_matches("Address").to_owned());
        name.strip_prefix(&stem).map(|end| end.trim_end_matches("__s").to_owned())
    };
    let of = |ending: &str| fields.iter().find(|name| prefix(name).as_deref() == Some(ending));
    let member = |(key, ending): &(&'static str, &str)| (*key, of(ending).map(|f| (*f).to_owned()));
    let always: &[_] = if kind == Kind::Address { &ADDRESS } else { &LOCATION };
    let mut parts: Vec<_> = always.iter().map(member).collect();
    if kind == Kind::Address {
        parts.extend(CODES.iter().map(member).filter(|(_, field)| field.is_some()));
    }
    parts
}

/// Makes rows of a REST query's records: in the form that Bulk's have.
pub struct RestWriter<'c> {
    kinds: HashMap<&'c str, Kind>,
    cursor: Option<&'c str>,
    na_as_null: bool,
}

impl RestWriter<'_> {
    /// Writes a record's row to `json` and gives the value of its cursor as it stands there.
    ///
    /// # Errors
    /// System: it is no object.
    pub fn write<'r>(&self, record: &'r str, json: &mut Vec<u8>) -> Result<Option<&'r str>> {
        json.clear();
        let mut reader = serde_json::Deserializer::from_str(record);
        reader.deserialize_map(Row { writer: self, json }).map_err(|e| {
            Error::system("Salesforce answered with a record that is no object.")
                .with_internal(e.to_string())
        })
    }
}

struct Row<'w, 'c, 'j> {
    writer: &'w RestWriter<'c>,
    json: &'j mut Vec<u8>,
}

impl<'r> Visitor<'r> for Row<'_, '_, '_> {
    type Value = Option<&'r str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Row { writer, json } = self;
        let mut cursor = None;
        json.push(b'{');
        while let Some(key) = map.next_key::<Cow<'r, str>>()? {
            let raw: &'r RawValue = map.next_value()?;
            if key == "attributes" {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut *json, key.as_ref());
            json.push(b':');
            let kind = writer.kinds.get(key.as_ref()).copied().unwrap_or(Kind::Number);
            texts::value(kind, writer.na_as_null, raw.get(), json);
            if writer.cursor == Some(key.as_ref()) {
                cursor = Some(raw.get().trim_matches('"'));
            }
        }
        json.push(b'}');
        Ok(cursor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contact() -> Describe {
        let field = |name: &str, kind: &str, of: Option<&str>| json!({ "name": name, "type": kind, "compoundFieldName": of });
        serde_json::from_value(json!({ "name": "Contact", "fields": [
            field("Id", "id", None),
            field("Name", "string", None),
            field("FirstName", "string", Some("Name")),
            field("MailingStreet", "textarea", Some("MailingAddress")),
            field("MailingCity", "string", Some("MailingAddress")),
            field("MailingStateCode", "picklist", Some("MailingAddress")),
            field("MailingLatitude", "double", Some("MailingAddress")),
            field("MailingAddress", "address", None),
            field("Site__Latitude__s", "double", Some("Site__c")),
            field("Site__Longitude__s", "double", Some("Site__c")),
            field("Site__c", "location", None),
            field("Photo", "base64", None),
            field("SystemModstamp", "datetime", None),
        ] }))
        .unwrap()
    }

    fn choice(selected: &Map<String, Value>) -> Choice<'_> {
        Choice { selected, version: "62.0", cursor: Some("SystemModstamp"), na_as_null: false }
    }

    #[test]
    fn bulk_asks_for_what_compounds_are_made_of() {
        let all = Map::new();
        let columns = Columns::described(&contact(), &choice(&all));
        assert_eq!(
            columns.bulk_fields().join(","),
            "Id,Name,FirstName,MailingStreet,MailingCity,MailingStateCode,MailingLatitude,Site__Latitude__s,Site__Longitude__s,SystemModstamp"
        );
        assert!(columns.is_in_bulk());
        let some = json!({ "MailingAddress": {}, "Gone__c": {} });
        let columns = Columns::described(&contact(), &choice(some.as_object().unwrap()));
        assert_eq!(
            columns.bulk_fields().join(","),
            "Id,MailingStreet,MailingCity,MailingLatitude,MailingStateCode,SystemModstamp"
        );
        assert_eq!(columns.rest_fields(), ["Id", "MailingAddress", "SystemModstamp"]);
        assert_eq!(columns.cursor_cell(), Some(5));
    }

    #[test]
    fn rest_rows_lose_their_attributes() {
        let all = Map::new();
        let columns = Columns::described(&contact(), &choice(&all));
        let mut json = Vec::new();
        let record = r#"{"attributes":{"type":"Contact"},"Id":"003","Name":null,"Site__c":{"latitude":1.0},"SystemModstamp":"2024-01-01T00:00:00.000+0000"}"#;
        let cursor = columns.rest_writer().write(record, &mut json).unwrap();
        assert_eq!(cursor, Some("2024-01-01T00:00:00.000+0000"));
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#"{"Id":"003","Name":null,"Site__c":{"latitude":1.0},"SystemModstamp":"2024-01-01T00:00:00.000Z"}"#
        );
    }
}
