//! A stream's rows as a table: what a reader of the output would hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// What a column holds, as far as it has more than one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// JSON as text.
    Json,
    /// Numbers of 64 bits, with a floating point.
    Number,
    /// Moments.
    Time,
    /// Anything else.
    Plain,
}

/// How the rows of a stream are told apart and compared.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The paths of the primary key's fields; none where whole rows are compared.
    pub primary_key: Vec<Vec<String>>,
    /// Members of a row that are of no account, such as the time of a snapshot.
    pub ignored: Vec<&'static str>,
    /// The columns that a table of the stream has; without it rows are compared with all their
    /// members.
    pub columns: Option<BTreeMap<String, Content>>,
}

impl Shape {
    /// Brings a row into the form that it has as a row of a table and as an object alike: only
    /// declared members, none that are null, and one spelling of each value.
    fn level(&self, members: &mut Map<String, Value>) {
        let Some(columns) = &self.columns else { return };
        members.retain(|name, value| columns.contains_key(name) && !value.is_null());
        // A row without a primary key is its own key, in whatever order its members come.
        members.sort_keys();
        for (name, value) in members {
            let content = columns.get(name).copied().unwrap_or(Content::Plain);
            if let Some(levelled) = content.level(value) {
                *value = levelled;
            }
        }
    }
}

impl Content {
    /// The value in another spelling, if it has one.
    fn level(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Json, Value::String(text)) => serde_json::from_str(text).ok(),
            (Self::Time, Value::String(text)) => {
                let (moment, fraction) = text.strip_suffix('Z')?.split_once('.')?;
                let fraction = fraction.trim_end_matches('0');
                let dot = if fraction.is_empty() { "" } else { "." };
                Some(format!("{moment}{dot}{fraction}Z").into())
            }
            (Self::Number, Value::Number(number)) => number.as_f64().map(Value::from),
            (_, Value::Number(number)) => {
                let whole = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0);
                whole.map(|whole| Value::from(whole as i64))
            }
            _ => None,
        }
    }
}

/// The rows of a stream by primary key; the later row of a key wins, and one that is flagged as
/// deleted takes the key away.
#[derive(Debug, Default)]
pub struct Rows {
    /// The rows that are there, by [`key`].
    pub by_key: BTreeMap<String, Value>,
    /// All rows that came.
    pub received: u64,
    /// Rows whose key had come before.
    pub repeated: u64,
    /// Rows that took a key away.
    pub deleted: u64,
}

impl Rows {
    /// Reads rows from JSON lines.
    pub fn parse(text: &str, shape: &Shape) -> Result<Self> {
        let mut rows = Self::default();
        for line in text.lines() {
            rows.add(parse(line)?, shape);
        }
        Ok(rows)
    }

    /// Takes a row.
    pub fn add(&mut self, mut row: Value, shape: &Shape) {
        self.received += 1;
        let is_deleted = row.get("is_deleted") == Some(&Value::Bool(true));
        if let Some(members) = row.as_object_mut() {
            shape.level(members);
            members
                .retain(|name, _| name != "is_deleted" && !shape.ignored.contains(&name.as_str()));
        }
        let key = key(&row, &shape.primary_key);
        if is_deleted {
            self.deleted += 1;
            self.by_key.remove(&key);
        } else if self.by_key.insert(key, row).is_some() {
            self.repeated += 1;
        }
    }
}

fn parse(line: &str) -> Result<Value> {
    serde_json::from_str(line)
        .map_err(|error| Error::run(format!("a row is not valid JSON: {error}: {line}")))
}

/// What tells a row from others: the values at the paths of its primary key, or the whole row
/// where the stream has none.
pub fn key(row: &Value, primary_key: &[Vec<String>]) -> String {
    if primary_key.is_empty() {
        return row.to_string();
    }
    let part = |path: &Vec<String>| {
        path.iter().try_fold(row, |value, field| value.get(field)).map(Value::to_string)
    };
    let parts: Vec<String> =
        primary_key.iter().map(|path| part(path).unwrap_or_default()).collect();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id() -> Shape {
        Shape { primary_key: vec![vec!["id".to_owned()]], ignored: vec!["at"], columns: None }
    }

    #[test]
    fn the_later_row_wins_and_flagged_rows_take_away() {
        let text =
            "{\"id\":1,\"a\":1}\n{\"id\":2}\n{\"id\":1,\"a\":2}\n{\"id\":2,\"is_deleted\":true}\n";
        let rows = Rows::parse(text, &id()).unwrap();
        assert_eq!((rows.received, rows.repeated, rows.deleted), (4, 1, 1));
        assert_eq!(rows.by_key, BTreeMap::from([("1".to_owned(), json!({"id": 1, "a": 2}))]));
    }

    #[test]
    fn a_row_that_comes_back_is_there_again() {
        let text = "{\"id\":2,\"is_deleted\":true}\n{\"id\":2,\"is_deleted\":false}\n";
        assert_eq!(Rows::parse(text, &id()).unwrap().by_key.len(), 1);
    }

    #[test]
    fn ignored_members_are_left_out_of_rows_and_keys() {
        let rows = Rows::parse("{\"id\":1,\"at\":5,\"is_deleted\":false}\n", &id()).unwrap();
        assert_eq!(rows.by_key["1"], json!({"id": 1}));
        let whole = Shape { ignored: vec!["at"], ..Shape::default() };
        let rows = Rows::parse("{\"a\":1,\"at\":5}\n{\"a\":1,\"at\":6}\n", &whole).unwrap();
        assert_eq!((rows.by_key.len(), rows.repeated), (1, 1));
    }

    #[test]
    fn keys_have_as_many_parts_as_the_primary_key() {
        let row = json!({"id": "a", "deep": {"n": 7}});
        assert_eq!(key(&row, &id().primary_key), "\"a\"");
        assert_eq!(key(&row, &[vec!["deep".into(), "n".into()], vec!["id".into()]]), "7,\"a\"");
        assert_eq!(key(&row, &[vec!["none".into()]]), "");
        assert_eq!(key(&row, &[]), row.to_string());
    }

    #[test]
    fn rows_of_a_table_and_objects_become_alike() {
        let columns = [
            ("id", Content::Plain),
            ("n", Content::Plain),
            ("o", Content::Json),
            ("f", Content::Number),
            ("t", Content::Time),
        ];
        let columns = columns.map(|(name, content)| (name.to_owned(), content)).into();
        let shape = Shape { columns: Some(columns), ..id() };
        let object = r#"{"id":1,"n":5,"o":{"a":null},"f":123456789012345678,"t":"2026-01-01T00:00:00.500Z","undeclared":2,"none":null}"#;
        let row = r#"{"id":1,"n":5.0,"o":"{\"a\":null}","f":1.2345678901234568e17,"t":"2026-01-01T00:00:00.5Z"}"#;
        let parsed = |text| Rows::parse(text, &shape).unwrap().by_key;
        assert_eq!(parsed(object), parsed(row));
        assert_ne!(parsed(object), parsed(r#"{"id":1,"n":5.5,"o":"{}"}"#));
        let time = |text| Content::Time.level(&Value::from(text));
        assert_eq!(time("2026-01-01T00:00:10.000Z"), Some("2026-01-01T00:00:10Z".into()));
        assert_eq!(time("2026-01-01T00:00:10Z"), None);
    }

    #[test]
    fn broken_rows_are_reported() {
        assert!(Rows::parse("{\"id\":", &id()).unwrap_err().message().contains("not valid JSON"));
    }
}
