//! What admin calls changed: patches, deletions, additions and the events that tell of them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::events::Log;
use super::resource::{Key, Res};
use super::world::World;

/// An object created by an admin call.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    /// Its key.
    pub key: Key,
    /// Its creation, unix seconds.
    pub created: i64,
}

/// All changes to one account's data.
#[derive(Debug, Default)]
pub struct Overlay {
    patches: HashMap<(Res, Key), Map<String, Value>>,
    deleted: HashSet<(Res, Key)>,
    extras: HashMap<Res, Vec<Extra>>,
    positions: HashMap<(Res, Key), usize>,
    children: HashMap<(Res, Key), Vec<Key>>,
    /// The account's events.
    pub log: Log,
}

impl Overlay {
    /// No changes yet; the log holds the events from before the start.
    pub fn new(world: &World) -> Self {
        Self { log: Log::base(world), ..Self::default() }
    }

    /// The fields that were set on an object.
    pub fn patch(&self, res: Res, key: Key) -> Option<&Map<String, Value>> {
        if self.patches.is_empty() { None } else { self.patches.get(&(res, key)) }
    }

    /// Sets fields of an object; objects inside are merged, everything else is replaced.
    pub fn set(&mut self, res: Res, key: Key, fields: &Map<String, Value>) {
        merge(self.patches.entry((res, key)).or_default(), fields);
    }

    /// Whether the object was deleted.
    pub fn is_deleted(&self, res: Res, key: Key) -> bool {
        !self.deleted.is_empty() && self.deleted.contains(&(res, key))
    }

    /// Deletes an object.
    pub fn delete(&mut self, res: Res, key: Key) {
        self.deleted.insert((res, key));
    }

    /// The objects of that kind that were added, oldest first.
    pub fn extras(&self, res: Res) -> &[Extra] {
        self.extras.get(&res).map_or(&[], Vec::as_slice)
    }

    /// Where an added object stands among the [`Overlay::extras`].
    pub fn position(&self, res: Res, key: Key) -> Option<usize> {
        if self.positions.is_empty() { None } else { self.positions.get(&(res, key)).copied() }
    }

    /// The children that were added to a parent, oldest first.
    pub fn added_children(&self, res: Res, parent: Key) -> &[Key] {
        if self.children.is_empty() {
            &[]
        } else {
            self.children.get(&(res, parent)).map_or(&[], Vec::as_slice)
        }
    }

    /// Adds an object.
    pub fn add(&mut self, res: Res, key: Key, created: i64) {
        let extras = self.extras.entry(res).or_default();
        self.positions.insert((res, key), extras.len());
        extras.push(Extra { key, created });
        if res.parent().is_some() {
            self.children.entry((res, key.parent())).or_default().push(key);
        }
    }
}

/// Merges `changes` into `target`, level by level.
pub fn merge(target: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, change) in changes {
        match (target.get_mut(name), change) {
            (Some(Value::Object(old)), Value::Object(new)) => merge(old, new),
            _ => {
                target.insert(name.clone(), change.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn merging_goes_into_objects_and_replaces_the_rest() {
        let mut target = json!({"a": 1, "m": {"x": "1", "y": "2"}, "l": [1, 2]});
        let changes = json!({"a": null, "m": {"y": "3", "z": "4"}, "l": [3]});
        if let (Value::Object(t), Value::Object(c)) = (&mut target, &changes) {
            merge(t, c);
        }
        assert_eq!(target, json!({"a": null, "m": {"x": "1", "y": "3", "z": "4"}, "l": [3]}));
    }
}
