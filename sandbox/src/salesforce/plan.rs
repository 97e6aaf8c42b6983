//! A statement checked against the org: what a query will do.

use std::collections::HashSet;

use super::error::Error;
use super::kind::Kind;
use super::org::Org;
use super::schema::{Field, Object, Role};
use super::settings::Settings;
use super::soql::{Condition, Literal, Op, Statement};

/// A query that can be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The object.
    pub object: usize,
    /// Selected fields in order; empty for `COUNT()`.
    pub fields: Vec<usize>,
    /// Whether only the number of rows is asked for.
    pub is_count: bool,
    /// Conditions that all must hold.
    pub filters: Vec<Filter>,
    /// Field and whether descending.
    pub order: Option<(usize, bool)>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Rows to leave out first.
    pub offset: u64,
    /// Whether deleted and archived rows count (`queryAll`).
    pub all: bool,
}

/// A condition on a field.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The field.
    pub field: usize,
    /// The comparison.
    pub op: Op,
    /// What with.
    pub value: Value,
}

/// The right side of a condition, of the field's type.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`.
    Null,
    /// Text in the form of values, lower case.
    Text(String),
    /// A number.
    Number(f64),
    /// Unix milliseconds.
    Millis(i64),
    /// Several texts, lower case; ids in their 15 characters, as they are.
    Set(HashSet<String>),
}

/// Checks a statement: names, permissions, flags and types of literals.
pub fn check(
    org: &Org,
    settings: &Settings,
    statement: &Statement,
    all: bool,
) -> Result<Plan, Error> {
    let object =
        org.object(&statement.object).filter(|i| !settings.hides(&org.objects[*i].name, None));
    let object = object.ok_or_else(|| {
        Error::bad("INVALID_TYPE", format!("sObject type '{}' is not supported.", statement.object))
    })?;
    let checker = Checker { object: &org.objects[object], settings };
    checker.object()?;
    let fields = statement.fields.iter().map(|name| checker.field(name));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let mut filters = Vec::new();
    for condition in &statement.conditions {
        filters.push(checker.filter(condition)?);
    }
    checker.needs(&filters)?;
    let order = match &statement.order {
        Some((name, descending)) => Some((checker.sortable(name)?, *descending)),
        None => None,
    };
    let (is_count, limit, offset) = (fields.is_empty(), statement.limit, statement.offset);
    Ok(Plan { object, fields, is_count, filters, order, limit, offset, all })
}

/// What the Bulk API refuses besides.
pub fn check_bulk(org: &Org, plan: &Plan) -> Result<(), Error> {
    let object = &org.objects[plan.object];
    if object.no_bulk {
        let message = format!("Entity '{}' is not supported by the Bulk API.", object.name);
        return Err(Error::bad("INVALIDENTITY", message));
    }
    for field in plan.fields.iter().map(|f| &object.fields[*f]) {
        if field.kind.is_compound() {
            let message = "Selecting compound data not supported in Bulk Query";
            return Err(Error::bad("FEATURENOTENABLED", message));
        }
        if field.kind == Kind::Base64 {
            let message = format!("Binary fields not supported in Bulk Query: {}", field.name);
            return Err(Error::bad("FEATURENOTENABLED", message));
        }
    }
    if plan.is_count || plan.offset > 0 {
        let what = if plan.is_count { "Aggregate Relationships" } else { "OFFSET" };
        return Err(Error::bad("API_ERROR", format!("{what} not supported in Bulk Query")));
    }
    Ok(())
}

struct Checker<'a> {
    object: &'a Object,
    settings: &'a Settings,
}

impl Checker<'_> {
    fn object(&self) -> Result<(), Error> {
        let name = &self.object.name;
        if self.object.no_soql || !self.object.queryable {
            let message = format!("entity type {name} does not support query");
            return Err(Error::bad("INVALID_TYPE_FOR_OPERATION", message));
        }
        Ok(())
    }

    fn field(&self, name: &str) -> Result<usize, Error> {
        let found = self.object.field(name).filter(|i| {
            !self.settings.hides(&self.object.name, Some(&self.object.fields[*i].name))
        });
        found.ok_or_else(|| {
            let message = format!(
                "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.",
                self.object.name
            );
            Error::bad("INVALID_FIELD", message)
        })
    }

    fn sortable(&self, name: &str) -> Result<usize, Error> {
        let index = self.field(name)?;
        if self.object.fields[index].sortable {
            return Ok(index);
        }
        let message = format!("field '{name}' can not be sorted in a query call");
        Err(Error::bad("INVALID_FIELD", message))
    }

    fn filter(&self, condition: &Condition) -> Result<Filter, Error> {
        let index = self.field(&condition.field)?;
        let field = &self.object.fields[index];
        if !field.filterable {
            let message = format!("field '{}' can not be filtered in a query call", field.name);
            return Err(Error::bad("INVALID_FIELD", message));
        }
        let value = if matches!(condition.op, Op::In | Op::NotIn) {
            let texts = condition.literals.iter().map(|l| match value(field, l)? {
                Value::Text(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            });
            texts.collect::<Option<HashSet<_>>>().map(Value::Set)
        } else {
            value(field, &condition.literals[0])
        };
        let value = value.ok_or_else(|| wrong_type(field, condition))?;
        Ok(Filter { field: index, op: condition.op, value })
    }

    /// Some objects are queried by certain ids only.
    fn needs(&self, filters: &[Filter]) -> Result<(), Error> {
        let Some(needed) = &self.object.needs else { return Ok(()) };
        let by = |f: &Filter| {
            let field = &self.object.fields[f.field];
            (field.name == *needed || field.role == Role::Id) && matches!(f.op, Op::Equal | Op::In)
        };
        if filters.iter().any(by) {
            return Ok(());
        }
        let name = &self.object.name;
        Err(Error::malformed(format!(
            "Implementation restriction: {name} requires a filter by a single Id on {needed} or LinkedEntityId using the equals operator or multiple Id's using the IN operator."
        )))
    }
}

/// A literal for a field; None if it is of the wrong type.
fn value(field: &Field, literal: &Literal) -> Option<Value> {
    Some(match (field.kind, literal) {
        (_, Literal::Null) => Value::Null,
        (Kind::Datetime, Literal::DateTime(millis)) => Value::Millis(*millis),
        (Kind::Date, Literal::Date(date)) => Value::Text(date.clone()),
        (Kind::Datetime | Kind::Date, _) => return None,
        (Kind::Boolean, Literal::Bool(value)) => Value::Text(value.to_string()),
        (kind, Literal::Number(number)) if kind.is_number() => Value::Number(*number),
        (kind, Literal::Text(text)) if kind.is_id() => {
            Value::Text(text.get(..15).unwrap_or(text).to_owned())
        }
        (kind, Literal::Text(text)) if !kind.is_bare() => Value::Text(text.to_lowercase()),
        _ => return None,
    })
}

fn wrong_type(field: &Field, condition: &Condition) -> Error {
    let kind = match field.kind {
        Kind::Datetime => "dateTime and should not be enclosed in quotes",
        Kind::Date => "date and should not be enclosed in quotes",
        Kind::Boolean => "boolean and should not be enclosed in quotes",
        kind if kind.is_number() => "double and should not be enclosed in quotes",
        _ => "string and should be enclosed in quotes",
    };
    let message =
        format!("value of filter criterion for field '{}' must be of type {kind}", condition.field);
    Error::bad("INVALID_FIELD", message)
}
