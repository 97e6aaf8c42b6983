//! The view of an account's data during one request.

use serde_json::{Map, Value};

use super::facts;
use super::overlay::{self, Overlay};
use super::resource::{self, Key, Res};
use super::shape::{self, Expand, Obj, Shape, Shapes, Vars};
use super::version::Era;
use super::world::World;
use super::{events, stubs};

/// Nested lists hold that many items; the rest is at the list's own url.
pub const NESTED: usize = 10;

/// An account's data as one request sees it.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    /// The account's data.
    pub world: &'a World,
    /// The changes made to it.
    pub overlay: &'a Overlay,
    /// The compiled shapes.
    pub shapes: &'a Shapes,
    /// The shapes that the request's version has.
    pub era: Era,
    /// Virtual time, unix seconds.
    pub now: i64,
    /// Whether the key is a live one.
    pub live: bool,
    /// Whether objects are shown as they were at the start, without changes.
    pub frozen: bool,
}

impl Ctx<'_> {
    /// The shape of a kind of object.
    pub fn shape(&self, res: Res) -> &Shape {
        self.shapes.get(res, self.era)
    }

    /// When the object was created, unix seconds.
    pub fn created(&self, res: Res, key: Key) -> i64 {
        match self.overlay.position(res, key) {
            Some(at) => self.overlay.extras(res)[at].created,
            None => match res.parent() {
                // Children that come with an added parent are as old as it is.
                Some(of) if self.overlay.position(of, key.parent()).is_some() => {
                    self.created(of, key.parent())
                }
                _ => self.world.base_created(res, key),
            },
        }
    }

    /// Whether there is such an object now.
    pub fn exists(&self, res: Res, key: Key) -> bool {
        self.was(res, key) && !self.is_deleted(res, key)
    }

    /// Whether there is or was such an object.
    pub fn was(&self, res: Res, key: Key) -> bool {
        if res == Res::Event {
            return self.overlay.log.get(key).is_some();
        }
        self.overlay.position(res, key).is_some()
            || self.world.is_original(res, key)
            || res.parent().is_some_and(|of| {
                key.position() < self.world.child_count(res, key.parent())
                    && self.was(of, key.parent())
            })
    }

    /// Whether the object, or the parent it is part of, was deleted.
    pub fn is_deleted(&self, res: Res, key: Key) -> bool {
        self.overlay.is_deleted(res, key)
            || res.parent().is_some_and(|of| self.is_deleted(of, key.parent()))
    }

    /// The living children of a parent, newest first.
    pub fn children(&self, res: Res, parent: Key) -> Vec<Key> {
        let original = (0..self.world.child_count(res, parent)).map(|k| parent.child(k));
        if self.frozen {
            return original.rev().collect();
        }
        let added = self.overlay.added_children(res, parent).iter().copied();
        original.chain(added).filter(|key| !self.overlay.is_deleted(res, *key)).rev().collect()
    }

    /// Writes an object; a deleted one as its stub.
    pub fn write_object(&self, res: Res, key: Key, expand: Expand<'_>, out: &mut Vec<u8>) {
        if !self.frozen && res != Res::Event && self.is_deleted(res, key) {
            return stubs::write(self, res, key, out);
        }
        self.write_present(res, key, expand, out);
    }

    /// Writes an object, whether it was deleted or not.
    pub fn write_present(&self, res: Res, key: Key, expand: Expand<'_>, out: &mut Vec<u8>) {
        if res == Res::Event {
            return events::write(self, key, out);
        }
        match self.overlay.patch(res, key).filter(|_| !self.frozen) {
            None => self.write_original(res, key, expand, out),
            Some(patch) => {
                let mut object = self.original(res, key, expand);
                overlay::merge(&mut object, patch);
                // Serializing a map of JSON values cannot fail.
                let _ = serde_json::to_writer(out, &object);
            }
        }
    }

    /// An object as a tree.
    pub fn object(&self, res: Res, key: Key, expand: Expand<'_>) -> Map<String, Value> {
        let mut bytes = Vec::with_capacity(2048);
        self.write_object(res, key, expand, &mut bytes);
        parse(&bytes)
    }

    fn original(&self, res: Res, key: Key, expand: Expand<'_>) -> Map<String, Value> {
        let mut bytes = Vec::with_capacity(2048);
        self.write_original(res, key, expand, &mut bytes);
        parse(&bytes)
    }

    fn write_original(&self, res: Res, key: Key, expand: Expand<'_>, out: &mut Vec<u8>) {
        let mut vars = Vars::default();
        facts::fill(self, res, key, &mut vars);
        let hash = self.world.luck(res, key);
        let obj = Obj { res, key, hash, created: self.created(res, key), vars };
        shape::run(self, &self.shape(res).steps, &obj, expand, out);
    }

    /// Writes the list of a parent's children as it stands inside the parent.
    pub fn write_nested(
        &self,
        kinds: &[Res],
        of: Res,
        parent: Key,
        expand: Expand<'_>,
        out: &mut Vec<u8>,
    ) {
        let children: Vec<(Res, Key)> = kinds
            .iter()
            .flat_map(|res| self.children(*res, parent).into_iter().map(|key| (*res, key)))
            .collect();
        out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
        for (i, (res, key)) in children.iter().take(NESTED).enumerate() {
            if i > 0 {
                out.push(b',');
            }
            self.write_object(*res, *key, expand, out);
        }
        let more = if children.len() > NESTED { "true" } else { "false" };
        let url = resource::nested_path(kinds, &self.world.id(of, parent));
        let tail =
            format!("],\"has_more\":{more},\"total_count\":{},\"url\":\"{url}\"}}", children.len());
        out.extend_from_slice(tail.as_bytes());
    }
}

fn parse(bytes: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(bytes).unwrap_or_default()
}
