//! Types of fields, and what they are in schemas (docs "Field Types", "Compound Fields").

use serde_json::{Map, Value, json};
use tracing::warn;

use crate::describe::{Describe, Field};

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A point in time.
    DateTime,
    /// An address, which is a compound of other fields.
    Address,
    /// A place on earth, which is a compound of other fields.
    Location,
    /// A file, of which rows have the address.
    Base64,
}

/// Members of an address that are always there, with the endings of the fields that they are
/// made of.
pub const ADDRESS: [(&str, &str); 8] = [
    ("street", "Street"),
    ("city", "City"),
    ("state", "State"),
    ("postalCode", "PostalCode"),
    ("country", "Country"),
    ("latitude", "Latitude"),
    ("longitude", "Longitude"),
    ("geocodeAccuracy", "GeocodeAccuracy"),
];

/// Members of an address that are there where the org has picklists of states and countries.
pub const CODES: [(&str, &str); 2] = [("stateCode", "StateCode"), ("countryCode", "CountryCode")];

/// Members of a location.
pub const LOCATION: [(&str, &str); 2] = [("latitude", "Latitude"), ("longitude", "Longitude")];

impl Kind {
    /// The kind of a field; `None` for a type that is not known.
    fn known(field_type: &str) -> Option<Self> {
        Some(match field_type {
            "id" | "reference" | "string" | "textarea" | "email" | "phone" | "url" | "picklist"
            | "multipicklist" | "combobox" | "encryptedstring" | "masterrecord"
            | "complexvalue" | "byte" | "json" | "time" | "anyType" | "calculated" => Kind::Text,
            other if other.eq_ignore_ascii_case("datacategorygroupreference") => Kind::Text,
            "int" => Kind::Integer,
            "long" | "double" | "currency" | "percent" => Kind::Number,
            "boolean" => Kind::Boolean,
            "date" => Kind::Date,
            "datetime" => Kind::DateTime,
            "address" => Kind::Address,
            "location" => Kind::Location,
            "base64" => Kind::Base64,
            _ => return None,
        })
    }

    /// The kind of a field. What is not known is text.
    pub fn of(object: &str, field: &Field) -> Self {
        Self::known(&field.field_type).unwrap_or_else(|| {
            warn!(
                "{object}.{} has the unknown type '{}': its values are read as text.",
                field.name, field.field_type
            );
            Kind::Text
        })
    }

    /// The kind that a property of a catalog's schema stands for.
    pub fn of_schema(property: &Value) -> Self {
        let types = match property.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(only)) => vec![only.as_str()],
            _ => Vec::new(),
        };
        let is = |name: &str| types.contains(&name);
        let format = property.get("format").and_then(Value::as_str).unwrap_or_default();
        if is("object") {
            let is_address = property.pointer("/properties/street").is_some();
            return if is_address { Kind::Address } else { Kind::Location };
        }
        match format {
            "date-time" => Kind::DateTime,
            "date" => Kind::Date,
            "base64" => Kind::Base64,
            _ if is("string") => Kind::Text,
            _ if is("integer") => Kind::Integer,
            _ if is("number") => Kind::Number,
            _ if is("boolean") => Kind::Boolean,
            _ => Kind::Text,
        }
    }

    /// The JSON schema of values.
    fn schema(self) -> Value {
        let typed = |name: &str| ("type", Value::from(vec![name, "null"]));
        let formatted = |name: &str| object([typed("string"), ("format", name.into())]);
        let compound = |members: &[(&str, &str)]| {
            let member = |key: &str| {
                let is_number = matches!(key, "latitude" | "longitude");
                let name = if is_number { "number" } else { "string" };
                object([("type", Value::from(vec!["null", name]))])
            };
            let members: Map<String, Value> =
                members.iter().map(|(key, _)| ((*key).to_owned(), member(key))).collect();
            object([typed("object"), ("properties", members.into())])
        };
        match self {
            Kind::Text => object([typed("string")]),
            Kind::Integer => object([typed("integer")]),
            Kind::Number => object([typed("number")]),
            Kind::Boolean => object([typed("boolean")]),
            Kind::Date => formatted("date"),
            Kind::DateTime => formatted("date-time"),
            Kind::Base64 => formatted("base64"),
            Kind::Address => compound(&ADDRESS),
            Kind::Location => compound(&LOCATION),
        }
    }

    /// Whether the value is made of other fields.
    pub fn is_compound(self) -> bool {
        matches!(self, Kind::Address | Kind::Location)
    }
}

/// An object that takes no more memory than it needs: an org has some ten thousand fields.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut object = Map::with_capacity(N);
    object.extend(members.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(object)
}

/// Whether Bulk jobs can select a field of this type, or what it is made of (docs "Query Jobs",
/// "Considerations").
pub fn is_in_bulk(field: &Field) -> bool {
    let is_structure = field.soap_type.starts_with("urn:")
        && !matches!(field.field_type.as_str(), "address" | "location");
    !is_structure && !matches!(field.field_type.as_str(), "json" | "complexvalue")
}

/// The schema of an object's rows.
pub fn schema(describe: &Describe) -> Value {
    let mut properties = Map::with_capacity(describe.fields.len());
    for field in &describe.fields {
        properties.insert(field.name.clone(), Kind::of(&describe.name, field).schema());
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": true,
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_say_what_they_were_made_of() {
        for kind in [
            Kind::Text,
            Kind::Integer,
            Kind::Number,
            Kind::Boolean,
            Kind::Date,
            Kind::DateTime,
            Kind::Address,
            Kind::Location,
            Kind::Base64,
        ] {
            assert_eq!(Kind::of_schema(&kind.schema()), kind);
        }
    }

    #[test]
    fn an_unknown_type_is_text() {
        let describe: Describe = serde_json::from_value(json!({ "name": "A", "fields": [
            { "name": "Id", "type": "id", "soapType": "tns:ID" },
            { "name": "Vector__c", "type": "floatarray", "soapType": null },
        ] }))
        .unwrap();
        let schema = schema(&describe);
        assert_eq!(schema["properties"]["Vector__c"], json!({ "type": ["string", "null"] }));
    }
}
