//! Objects and fields: the built-in text, read into what describe, queries and data are made from.

use std::collections::HashMap;

use super::kind::Kind;
use super::settings::DataSettings;
use crate::hash;

const OBJECTS: &str = include_str!("objects.txt");

/// Fields of a custom object that only fills up the org, besides the usual ones.
const FILLER_FIELDS: usize = 61;

/// Fields of `Huge__c`, besides the usual ones.
const HUGE_FIELDS: usize = 450;

/// An object of the org.
#[derive(Debug)]
pub struct Object {
    /// API name.
    pub name: String,
    /// First three characters of its ids.
    pub prefix: String,
    /// Rows at the start.
    pub rows: u64,
    /// Its fields, in the order of describe.
    pub fields: Vec<Field>,
    /// Refused by the Bulk API.
    pub no_bulk: bool,
    /// Refused by queries although describe lists it.
    pub no_soql: bool,
    /// `queryable` in describe.
    pub queryable: bool,
    /// A field that every query must filter by.
    pub needs: Option<String>,
    /// Rows older than a year are archived.
    pub archives: bool,
    /// Distinguishes its data from that of other objects.
    pub salt: u64,
    names: HashMap<String, usize>,
    /// The datetime that orders changes: SystemModstamp or what stands in for it.
    pub stamp: Option<usize>,
    /// IsDeleted, if the object has it.
    pub deleted: Option<usize>,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct Field {
    /// API name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Length of texts, digits of integers.
    pub length: u32,
    /// Digits of numbers.
    pub precision: u32,
    /// Digits behind the point.
    pub scale: u32,
    /// The object that a reference points to.
    pub target: Option<String>,
    /// Index of that object in the org.
    pub target_index: Option<usize>,
    /// Never null.
    pub required: bool,
    /// A formula.
    pub formula: bool,
    /// May stand in a WHERE.
    pub filterable: bool,
    /// May stand in an ORDER BY.
    pub sortable: bool,
    /// The compound field that it is a part of.
    pub part_of: Option<String>,
    /// Of a compound field: key and index of its parts.
    pub parts: Vec<(&'static str, usize)>,
    /// Distinguishes its values from those of other fields.
    pub salt: u64,
    /// What its value is made from.
    pub role: Role,
}

/// Fields whose value says something about the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Made from the seed alone.
    Plain,
    /// The row's id.
    Id,
    /// Whether it is in the recycle bin.
    Deleted,
    /// Whether it is archived.
    Archived,
    /// When it was changed last, by anybody.
    Stamp,
    /// When it was changed last, by a user.
    Modified,
    /// When it was created.
    Created,
    /// The winner of a merge that this row lost.
    Master,
}

const ADDRESS: [(&str, &str, &str); 8] = [
    ("street", "Street", "textarea 255"),
    ("city", "City", "string 40"),
    ("state", "State", "string 80"),
    ("postalCode", "PostalCode", "string 20"),
    ("country", "Country", "string 80"),
    ("latitude", "Latitude", "double 8,6"),
    ("longitude", "Longitude", "double 8,6"),
    ("geocodeAccuracy", "GeocodeAccuracy", "picklist 40"),
];

const SITE: [(&str, &str, &str); 8] = [
    ("street", "Street__s", "textarea 255"),
    ("city", "City__s", "string 40"),
    ("postalCode", "PostalCode__s", "string 20"),
    ("stateCode", "StateCode__s", "picklist 10"),
    ("countryCode", "CountryCode__s", "picklist 10"),
    ("latitude", "Latitude__s", "double 8,6"),
    ("longitude", "Longitude__s", "double 8,6"),
    ("geocodeAccuracy", "GeocodeAccuracy__s", "picklist 40"),
];

const GEO: [(&str, &str, &str); 2] =
    [("latitude", "Latitude__s", "double 8,6"), ("longitude", "Longitude__s", "double 8,6")];

impl Object {
    /// The index of a field; names are case-insensitive, as in SOQL.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.names.get(&name.to_ascii_lowercase()).copied()
    }

    /// Whether the name ends like that of a custom object.
    pub fn custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    fn new(name: &str, prefix: &str, rows: u64) -> Self {
        Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            rows,
            fields: Vec::new(),
            no_bulk: false,
            no_soql: false,
            queryable: true,
            needs: None,
            archives: false,
            salt: hash::text(name),
            names: HashMap::new(),
            stamp: None,
            deleted: None,
        }
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().ok_or("a field without a name")?;
        let group = words.clone().next().unwrap_or_default();
        match name {
            "@head" => return self.add_all(&["Id id required", "IsDeleted boolean required"]),
            "@audit" => {
                return self.add_all(&[
                    "CreatedDate datetime required",
                    "CreatedById reference >User required",
                    "LastModifiedDate datetime required",
                    "LastModifiedById reference >User required",
                    "SystemModstamp datetime required",
                ]);
            }
            "@address" => {
                return self.compound(group, &format!("{group}Address"), "address", &ADDRESS);
            }
            "@geo" => return self.compound(group, &format!("{group}c"), "location", &GEO),
            "@site" => return self.compound(group, &format!("{group}c"), "address", &SITE),
            _ => {}
        }
        let kind = words.next().and_then(Kind::of).ok_or_else(|| format!("no type: {line}"))?;
        let role = role(name, kind);
        let mut field = Field {
            name: name.to_owned(),
            kind,
            length: 0,
            precision: 0,
            scale: 0,
            target: None,
            target_index: None,
            required: false,
            formula: false,
            filterable: !kind.is_opaque(),
            sortable: !kind.is_opaque(),
            part_of: None,
            parts: Vec::new(),
            salt: hash::text(name),
            role,
        };
        for word in words {
            set(&mut field, word).ok_or_else(|| format!("{word:?} in {line:?}"))?;
        }
        self.names.insert(name.to_ascii_lowercase(), self.fields.len());
        self.fields.push(field);
        Ok(())
    }

    fn add_all(&mut self, lines: &[&str]) -> Result<(), String> {
        lines.iter().try_for_each(|line| self.add(line))
    }

    fn compound(
        &mut self,
        prefix: &str,
        name: &str,
        kind: &str,
        parts: &[(&'static str, &str, &str)],
    ) -> Result<(), String> {
        let mut found = Vec::new();
        for (key, suffix, rest) in parts {
            found.push((*key, self.fields.len()));
            self.add(&format!("{prefix}{suffix} {rest} part={name}"))?;
        }
        self.add(&format!("{name} {kind} unsortable"))?;
        if let Some(field) = self.fields.last_mut() {
            field.parts = found;
        }
        Ok(())
    }

    fn finish(&mut self) {
        let of = |role| self.fields.iter().position(|f| f.role == role);
        let login = self.field("LoginTime");
        self.stamp = of(Role::Stamp).or(of(Role::Modified)).or(of(Role::Created)).or(login);
        self.deleted = of(Role::Deleted);
        if let Some(stamp) = self.stamp {
            self.fields[stamp].role = Role::Stamp;
        }
    }
}

fn role(name: &str, kind: Kind) -> Role {
    match (name, kind) {
        ("Id", _) => Role::Id,
        ("IsDeleted", _) => Role::Deleted,
        ("IsArchived", _) => Role::Archived,
        ("SystemModstamp", _) => Role::Stamp,
        ("LastModifiedDate", _) => Role::Modified,
        ("CreatedDate", _) => Role::Created,
        ("MasterRecordId", _) => Role::Master,
        _ => Role::Plain,
    }
}

fn set(field: &mut Field, word: &str) -> Option<()> {
    match word {
        "required" => field.required = true,
        "formula" => field.formula = true,
        "unfilterable" => field.filterable = false,
        "unsortable" => field.sortable = false,
        _ => {
            if let Some(target) = word.strip_prefix('>') {
                field.target = Some(target.to_owned());
            } else if let Some(part) = word.strip_prefix("part=") {
                field.part_of = Some(part.to_owned());
            } else if let Some((precision, scale)) = word.split_once(',') {
                field.precision = precision.parse().ok()?;
                field.scale = scale.parse().ok()?;
            } else {
                field.length = word.parse().ok()?;
            }
        }
    }
    Some(())
}

/// All objects: the built-in ones, and custom ones up to `count`.
pub fn objects(rows: u64, data: &DataSettings) -> Result<Vec<Object>, String> {
    let (count, unknown_types) = (data.objects, data.unknown_types);
    let mut objects: Vec<Object> = Vec::new();
    for line in OBJECTS.lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix("object ") {
            Some(head) => objects.push(object(head, rows).ok_or_else(|| line.to_owned())?),
            None => objects.last_mut().ok_or("a field before any object")?.add(line)?,
        }
    }
    if unknown_types {
        let everything = objects.iter_mut().find(|o| o.name == "Everything__c");
        everything.ok_or("no Everything__c")?.add("Vector__c floatarray")?;
    }
    if data.huge {
        objects.push(huge(rows)?);
    }
    if data.unfilterable {
        objects.push(unfilterable(rows)?);
    }
    for number in 1..=count.saturating_sub(objects.len()) {
        objects.push(filler(number, rows)?);
    }
    let places: HashMap<String, usize> =
        objects.iter().enumerate().map(|(i, o)| (o.name.clone(), i)).collect();
    for object in &mut objects {
        object.finish();
        for field in &mut object.fields {
            field.target_index = field.target.as_ref().and_then(|t| places.get(t).copied());
            if field.target.is_some() && field.target_index.is_none() {
                return Err(format!("{}: no such target", field.name));
            }
        }
    }
    Ok(objects)
}

fn object(head: &str, n: u64) -> Option<Object> {
    let mut words = head.split_whitespace();
    let (name, prefix, rows) = (words.next()?, words.next()?, words.next()?);
    let rows = if rows == "n" {
        n
    } else if let Some(share) = rows.strip_prefix("n/") {
        (n / share.parse::<u64>().ok()?).max(1)
    } else {
        rows.parse().ok()?
    };
    let mut object = Object::new(name, prefix, rows);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("no_bulk", _) => object.no_bulk = true,
            ("no_soql", _) => object.no_soql = true,
            ("no_query", _) => object.queryable = false,
            ("archives", _) => object.archives = true,
            ("needs", field) => object.needs = Some(field.to_owned()),
            _ => return None,
        }
    }
    Some(object)
}

/// An object whose fields do not fit into an address all at once.
fn huge(rows: u64) -> Result<Object, String> {
    let mut object = Object::new("Huge__c", "a02", (rows / 20).max(1));
    object.add_all(&["@head", "Name string 80 required", "@audit"])?;
    for number in 0..HUGE_FIELDS {
        object.add(&format!("A_Name_As_Long_As_Names_May_Be_{number:03}__c string 40"))?;
    }
    Ok(object)
}

/// An object whose times queries cannot filter by.
fn unfilterable(rows: u64) -> Result<Object, String> {
    let mut object = Object::new("Unfilterable__c", "a03", (rows / 20).max(1));
    object.add_all(&[
        "@head",
        "CreatedDate datetime required unfilterable",
        "SystemModstamp datetime required unfilterable",
    ])?;
    Ok(object)
}

/// A custom object of 70 fields and a few rows.
fn filler(number: usize, rows: u64) -> Result<Object, String> {
    const KINDS: [&str; 8] = [
        "string 255",
        "double 18,2",
        "picklist 255",
        "datetime",
        "boolean required",
        "currency 18,2",
        "textarea 255",
        "date",
    ];
    const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let prefix: String = std::iter::once('b')
        .chain([number / 36 % 36, number % 36].map(|d| char::from(DIGITS[d])))
        .collect();
    let mut object =
        Object::new(&format!("Object{number:04}__c"), &prefix, (rows / 50).clamp(1, 20));
    object.add_all(&["@head", "OwnerId reference >User required", "Name string 80", "@audit"])?;
    for field in 0..FILLER_FIELDS {
        object.add(&format!("Field{:02}__c {}", field + 1, KINDS[field % KINDS.len()]))?;
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_objects_are_sound() {
        let data = DataSettings { objects: 50, unknown_types: true, ..DataSettings::default() };
        let objects = objects(1000, &data).expect("valid");
        assert_eq!(objects.len(), 50);
        let mut prefixes: Vec<&str> = objects.iter().map(|o| o.prefix.as_str()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), 50);
        let wide = objects.iter().find(|o| o.name == "Wide__c").expect("built in");
        assert_eq!((wide.fields.len(), wide.rows), (30, 1000));
        let filler = objects.last().expect("a filler");
        assert_eq!(filler.fields.len(), 70);
        let account = objects.iter().find(|o| o.name == "Account").expect("built in");
        let address = &account.fields[account.field("billingaddress").expect("a compound field")];
        assert_eq!((address.kind, address.parts.len()), (Kind::Address, 8));
    }
}
