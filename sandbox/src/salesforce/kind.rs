//! Field types, as describe names them.

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says what it is")]
pub enum Kind {
    Id,
    Reference,
    String,
    Textarea,
    Email,
    Phone,
    Url,
    Picklist,
    Combobox,
    Encrypted,
    Multipicklist,
    CategoryGroup,
    Complex,
    Json,
    Time,
    Date,
    Datetime,
    Boolean,
    Int,
    Long,
    Double,
    Currency,
    Percent,
    AnyType,
    Base64,
    Address,
    Location,
    FloatArray,
}

/// Type, name in describe, soapType.
const KINDS: [(Kind, &str, &str); 28] = [
    (Kind::Id, "id", "tns:ID"),
    (Kind::Reference, "reference", "tns:ID"),
    (Kind::String, "string", "xsd:string"),
    (Kind::Textarea, "textarea", "xsd:string"),
    (Kind::Email, "email", "xsd:string"),
    (Kind::Phone, "phone", "xsd:string"),
    (Kind::Url, "url", "xsd:string"),
    (Kind::Picklist, "picklist", "xsd:string"),
    (Kind::Combobox, "combobox", "xsd:string"),
    (Kind::Encrypted, "encryptedstring", "xsd:string"),
    (Kind::Multipicklist, "multipicklist", "xsd:string"),
    (Kind::CategoryGroup, "datacategorygroupreference", "xsd:string"),
    (Kind::Complex, "complexvalue", "xsd:anyType"),
    (Kind::Json, "json", "tns:json"),
    (Kind::Time, "time", "xsd:time"),
    (Kind::Date, "date", "xsd:date"),
    (Kind::Datetime, "datetime", "xsd:dateTime"),
    (Kind::Boolean, "boolean", "xsd:boolean"),
    (Kind::Int, "int", "xsd:int"),
    (Kind::Long, "long", "xsd:long"),
    (Kind::Double, "double", "xsd:double"),
    (Kind::Currency, "currency", "xsd:double"),
    (Kind::Percent, "percent", "xsd:double"),
    (Kind::AnyType, "anyType", "xsd:anyType"),
    (Kind::Base64, "base64", "xsd:base64Binary"),
    (Kind::Address, "address", "urn:address"),
    (Kind::Location, "location", "urn:location"),
    (Kind::FloatArray, "floatarray", "urn:floatArray"),
];

impl Kind {
    /// The type of that name.
    pub fn of(name: &str) -> Option<Self> {
        KINDS.iter().find(|(_, n, _)| *n == name).map(|(kind, ..)| *kind)
    }

    /// `type` in describe.
    pub fn name(self) -> &'static str {
        KINDS[self as usize].1
    }

    /// `soapType` in describe.
    pub fn soap(self) -> &'static str {
        KINDS[self as usize].2
    }

    /// Written without quotes in JSON.
    pub fn is_bare(self) -> bool {
        self.is_number() || self == Self::Boolean
    }

    /// A number.
    pub fn is_number(self) -> bool {
        use Kind::{Currency, Double, Int, Long, Percent};
        matches!(self, Int | Long | Double | Currency | Percent)
    }

    /// Made of other fields; its value is an object.
    pub fn is_compound(self) -> bool {
        matches!(self, Self::Address | Self::Location)
    }

    /// Neither filters nor sorts.
    pub fn is_opaque(self) -> bool {
        matches!(self, Self::Base64 | Self::Json | Self::FloatArray) || self.is_compound()
    }

    /// An id of this or of another object.
    pub fn is_id(self) -> bool {
        matches!(self, Self::Id | Self::Reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (kind, name, _) in KINDS {
            assert_eq!((kind.name(), Kind::of(name)), (name, Some(kind)));
        }
        assert_eq!(Kind::Double.soap(), "xsd:double");
    }
}
