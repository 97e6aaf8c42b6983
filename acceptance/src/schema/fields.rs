//! Which fields a schema declares, and which of them occur in records.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::walk;

/// The fields of a schema as a tree; variants of `oneOf` and the like are laid over each other.
#[derive(Debug, Default)]
pub(super) struct Fields {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// The path as in [`super::RecordSchema::declared`].
    path: String,
    is_field: bool,
    /// Any member may stand here, none is declared.
    is_free: bool,
    properties: HashMap<String, usize>,
    items: Option<usize>,
    /// What members that are not named have to be.
    others: Option<usize>,
}

/// What a field had in the records so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    Null,
    Value,
}

impl Fields {
    pub(super) fn of(schema: &Value) -> Self {
        let mut fields = Self { nodes: vec![Node::default()] };
        fields.take(0, schema);
        fields
    }

    fn take(&mut self, at: usize, schema: &Value) {
        let Value::Object(schema) = schema else {
            self.nodes[at].is_free = true;
            return;
        };
        let mut has_parts = schema.contains_key("$ref");
        self.nodes[at].is_free |= has_parts || schema.contains_key("patternProperties");
        for keyword in ["oneOf", "anyOf", "allOf"] {
            for variant in walk::list(schema, keyword) {
                has_parts = true;
                self.take(at, variant);
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            has_parts = true;
            let child = self.property(at, name);
            self.take(child, property);
        }
        if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
            has_parts = true;
            let child = self.child(at, "*", |node| &mut node.others);
            self.take(child, others);
        }
        let items = match schema.get("items") {
            Some(Value::Array(items)) => items.as_slice(),
            Some(items) => std::slice::from_ref(items),
            None => &[],
        };
        for items in items {
            let child = self.child(at, "*", |node| &mut node.items);
            self.take(child, items);
        }
        self.nodes[at].is_free |= !has_parts && may_be_object(schema);
    }

    fn property(&mut self, at: usize, name: &str) -> usize {
        if let Some(child) = self.nodes[at].properties.get(name) {
            return *child;
        }
        let child = self.add(at, name, true);
        self.nodes[at].properties.insert(name.to_owned(), child);
        child
    }

    fn child(&mut self, at: usize, name: &str, slot: fn(&mut Node) -> &mut Option<usize>) -> usize {
        if let Some(child) = *slot(&mut self.nodes[at]) {
            return child;
        }
        let child = self.add(at, name, false);
        *slot(&mut self.nodes[at]) = Some(child);
        child
    }

    fn add(&mut self, at: usize, name: &str, is_field: bool) -> usize {
        let path = format!("{}/{name}", self.nodes[at].path);
        self.nodes.push(Node { path, is_field, ..Node::default() });
        self.nodes.len() - 1
    }

    pub(super) fn declared(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| node.is_field).map(|node| node.path.as_str())
    }

    pub(super) fn undeclared(&self, data: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.look(0, data, &mut |_, _| {}, &mut |node, name| {
            found.insert(format!("{}/{name}", node.path));
        });
        found
    }

    /// Goes through a value: `seen` for each declared place, `undeclared` for each member that
    /// is not.
    fn look(
        &self,
        at: usize,
        value: &Value,
        seen: &mut impl FnMut(usize, &Value),
        undeclared: &mut impl FnMut(&Node, &str),
    ) {
        seen(at, value);
        let node = &self.nodes[at];
        match value {
            Value::Object(members) => {
                let is_open = node.is_free || node.properties.is_empty();
                for (name, member) in members {
                    match node.properties.get(name).copied().or(node.others) {
                        Some(child) => self.look(child, member, seen, undeclared),
                        None if is_open => {}
                        None => undeclared(node, name),
                    }
                }
            }
            Value::Array(items) => {
                if let Some(child) = node.items {
                    items.iter().for_each(|item| self.look(child, item, seen, undeclared));
                }
            }
            _ => {}
        }
    }
}

/// Whether an object may stand for this schema.
fn may_be_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(_) => walk::types(schema).contains(&"object"),
        None => !["enum", "const", "items"].iter().any(|keyword| schema.contains_key(*keyword)),
    }
}

/// Which declared fields occur in the records that were shown to it.
#[derive(Debug, Clone)]
pub struct Coverage {
    seen: Vec<Seen>,
}

impl Coverage {
    pub(super) fn new(fields: &Fields) -> Self {
        Self { seen: vec![Seen::Nothing; fields.nodes.len()] }
    }

    /// Takes note of a record of the stream whose [`super::RecordSchema`] made this, and gives the
    /// paths that it has and the schema has not.
    pub fn observe(&mut self, schema: &super::RecordSchema, data: &Value) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let note = &mut |at: usize, value: &Value| {
            let Some(seen) = self.seen.get_mut(at) else { return };
            match value {
                Value::Null if *seen == Seen::Nothing => *seen = Seen::Null,
                Value::Null => {}
                _ => *seen = Seen::Value,
            }
        };
        schema.fields.look(0, data, note, &mut |node, name| {
            found.insert(format!("{}/{name}", node.path));
        });
        found
    }

    /// The declared fields that no record has.
    pub fn never_seen<'a>(&self, schema: &'a super::RecordSchema) -> Vec<&'a str> {
        self.of(schema, Seen::Nothing)
    }

    /// The declared fields that are null in every record that has them.
    pub fn always_null<'a>(&self, schema: &'a super::RecordSchema) -> Vec<&'a str> {
        self.of(schema, Seen::Null)
    }

    fn of<'a>(&self, schema: &'a super::RecordSchema, wanted: Seen) -> Vec<&'a str> {
        let nodes = schema.fields.nodes.iter().zip(&self.seen);
        nodes
            .filter(|(node, seen)| node.is_field && **seen == wanted)
            .map(|(node, _)| node.path.as_str())
            .collect()
    }
}
