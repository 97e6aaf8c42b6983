//! What Salesforce says about its objects, as far as it is of use (docs "sObject Describe",
//! "Describe Global").

use serde::{Deserialize, Deserializer};

/// The answer of Describe Global.
#[derive(Debug, Deserialize)]
pub struct Objects {
    /// All objects that the user may see.
    pub sobjects: Vec<Object>,
}

/// An object in the answer of Describe Global.
#[derive(Debug, Deserialize)]
pub struct Object {
    /// The API name.
    pub name: String,
    /// Whether it can be queried.
    #[serde(default)]
    pub queryable: bool,
}

/// The answer of a describe.
#[derive(Debug, Clone, Deserialize)]
pub struct Describe {
    /// The API name.
    pub name: String,
    /// The fields that the user may see, in Salesforce's order.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// Whether there is a list of deletions.
    #[serde(default)]
    pub replicateable: bool,
}

/// A field.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// The API name.
    pub name: String,
    /// The type, such as `picklist`.
    #[serde(rename = "type")]
    pub field_type: String,
    /// The type in SOAP, such as `xsd:string`.
    #[serde(default, deserialize_with = "or_empty")]
    pub soap_type: String,
    /// The compound field that this one is a part of.
    #[serde(default)]
    pub compound_field_name: Option<String>,
    /// Whether it is a formula.
    #[serde(default)]
    pub calculated: bool,
    /// Whether queries may filter by it.
    #[serde(default = "yes")]
    pub filterable: bool,
}

fn yes() -> bool {
    true
}

fn or_empty<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

/// Fields that order rows in time, the best one first (docs "Object Basics", "System Fields").
pub const CURSORS: [&str; 4] = ["SystemModstamp", "LastModifiedDate", "CreatedDate", "LoginTime"];

impl Describe {
    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The cursor that the catalog names: the best one that there is.
    pub fn cursor(&self) -> Option<&'static str> {
        CURSORS.into_iter().find(|name| self.field(name).is_some())
    }

    /// The best cursor that queries may filter by.
    pub fn filterable_cursor(&self) -> Option<&'static str> {
        let is_filterable = |name: &&str| self.field(name).is_some_and(|field| field.filterable);
        CURSORS.into_iter().find(is_filterable)
    }

    /// Whether some field is a formula.
    pub fn has_formulas(&self) -> bool {
        self.fields.iter().any(|field| field.calculated)
    }

    /// Whether rows have an id.
    pub fn has_id(&self) -> bool {
        self.field("Id").is_some()
    }
}
