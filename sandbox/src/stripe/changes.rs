//! Changes by admin calls: objects come, change and go, and events tell of it.

use std::sync::{PoisonError, RwLockWriteGuard};

use serde_json::{Map, Value, json};

use super::context::Ctx;
use super::diff;
use super::events::{self, Row};
use super::overlay::Overlay;
use super::pick;
use super::request::Request;
use super::resource::{Key, MAX_CHILDREN, Res};
use super::shape::Shapes;
use super::version::Era;
use super::walk::{self, Scope};
use super::world::World;
use super::{filter::Range, links};

/// One admin call at work.
pub struct Changes<'a> {
    world: &'a World,
    shapes: &'a Shapes,
    overlay: RwLockWriteGuard<'a, Overlay>,
    now: i64,
    ids: Vec<String>,
    events: Vec<String>,
}

impl<'a> Changes<'a> {
    /// Changes to an account's data at `now`.
    pub fn new(world: &'a World, shapes: &'a Shapes, now: i64) -> Self {
        let overlay = world.overlay.write().unwrap_or_else(PoisonError::into_inner);
        Self { world, shapes, overlay, now, ids: Vec::new(), events: Vec::new() }
    }

    /// Does what the request says; returns the ids of the objects and of the events.
    pub fn run(mut self, action: &str, request: &Request) -> Result<Value, String> {
        match action {
            "create" => self.create(request)?,
            "mutate" => self.mutate(request)?,
            "delete" => self.delete(request)?,
            "event" => self.event(request)?,
            other => return Err(format!("no action {other:?}")),
        }
        Ok(json!({"ids": self.ids, "events": self.events}))
    }

    fn ctx(&self) -> Ctx<'_> {
        let era = Era::of(&self.world.version).unwrap_or(Era::Legacy);
        Ctx {
            world: self.world,
            overlay: &self.overlay,
            shapes: self.shapes,
            era,
            now: self.now,
            live: false,
            frozen: false,
        }
    }

    fn object(&self, res: Res, key: Key) -> Map<String, Value> {
        self.ctx().object(res, key, &[])
    }

    fn touched(&mut self, res: Res, key: Key) {
        let id = self.world.id(res, key);
        if !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    fn create(&mut self, request: &Request) -> Result<(), String> {
        let res = request.res;
        for _ in 0..request.count.unwrap_or(1) {
            let key = match res.parent() {
                Some(of) => self.next_child(res, of, request)?,
                None => Key(self.world.base_count(res) + self.overlay.extras(res).len() as u64),
            };
            let before = self.parent_before(res, key);
            self.overlay.add(res, key, self.now);
            if let Some(set) = &request.set {
                self.overlay.set(res, key, set);
            }
            self.touched(res, key);
            self.add_up(res, key);
            if let Some(kind) = request.own_event(res, 0) {
                self.tell(&kind, res, key, None);
            }
            self.tell_of_parent(request.parent_event(res, 0), res, key, before);
        }
        Ok(())
    }

    /// The key of the next child of the wanted parent, or of some parent.
    fn next_child(&self, res: Res, of: Res, request: &Request) -> Result<Key, String> {
        let ctx = self.ctx();
        let parent = match &request.parent {
            Some(id) => {
                super::list::living(&ctx, of, id).ok_or_else(|| format!("no parent {id}"))?
            }
            None => pick::parent(&ctx, res, of).ok_or("there is no object to be the parent")?,
        };
        let taken = self.world.child_count(res, parent)
            + self.overlay.added_children(res, parent).len() as u64;
        if taken >= MAX_CHILDREN {
            return Err(format!("a parent can have {MAX_CHILDREN} {} at most", res.def().name));
        }
        Ok(parent.child(taken))
    }

    /// A refund's or reversal's amount is added to its parent's sum.
    fn add_up(&mut self, res: Res, key: Key) {
        let field = match res {
            Res::Refund | Res::FeeRefund => "amount_refunded",
            Res::TransferReversal => "amount_reversed",
            _ => return,
        };
        let Some(of) = res.parent() else { return };
        let amount = self.object(res, key).get("amount").and_then(Value::as_i64).unwrap_or(0);
        let sum = self.object(of, key.parent()).get(field).and_then(Value::as_i64).unwrap_or(0);
        let set = Map::from_iter([(field.to_owned(), json!(sum + amount))]);
        self.overlay.set(of, key.parent(), &set);
    }

    fn mutate(&mut self, request: &Request) -> Result<(), String> {
        let res = request.res;
        for key in self.chosen(request)? {
            let before = self.object(res, key);
            let parent_before = self.parent_before(res, key);
            let mut set = request.set.clone().unwrap_or_else(|| {
                let revision = json!({"revision": self.now.to_string()});
                Map::from_iter([("metadata".to_owned(), revision)])
            });
            if before.contains_key("updated") && !set.contains_key("updated") {
                set.insert("updated".to_owned(), json!(self.now));
            }
            self.overlay.set(res, key, &set);
            self.touched(res, key);
            match request.own_event(res, 1) {
                Some(kind) => self.tell(&kind, res, key, Some(&before)),
                None => self.tell_of_parent(request.parent_event(res, 1), res, key, parent_before),
            }
        }
        Ok(())
    }

    fn delete(&mut self, request: &Request) -> Result<(), String> {
        for key in self.chosen(request)? {
            self.touched(request.res, key);
            if request.res == Res::Subscription {
                self.cancel(request, key);
            } else {
                self.delete_one(request, request.res, key);
            }
        }
        Ok(())
    }

    /// A deleted subscription is one that has ended; it stays.
    fn cancel(&mut self, request: &Request, key: Key) {
        let set = json!({"status": "canceled", "canceled_at": self.now, "ended_at": self.now});
        if let Value::Object(set) = set {
            self.overlay.set(Res::Subscription, key, &set);
        }
        if let Some(kind) = request.own_event(Res::Subscription, 2) {
            self.tell(&kind, Res::Subscription, key, None);
        }
    }

    /// Deletes an object and what cannot be without it.
    fn delete_one(&mut self, request: &Request, res: Res, key: Key) {
        self.delete_below(request, res, key);
        let payload = self.payload(res, key);
        let before = self.parent_before(res, key);
        self.overlay.delete(res, key);
        if let Some(kind) = request.own_event(res, 2) {
            self.push(kind, res, key, None, payload);
        }
        // What goes down with its parent needs no event about that parent.
        if res == request.res {
            self.tell_of_parent(request.parent_event(res, 2), res, key, before);
        }
    }

    fn delete_below(&mut self, request: &Request, res: Res, key: Key) {
        for child in Res::all().filter(|c| c.parent() == Some(res) && c.def().events[2].is_some()) {
            for child_key in self.ctx().children(child, key) {
                self.delete_one(request, child, child_key);
            }
        }
        if res == Res::Customer {
            for subscription in self.subscriptions_of(key) {
                self.cancel(request, subscription);
            }
        }
    }

    fn subscriptions_of(&self, customer: Key) -> Vec<Key> {
        let ctx = self.ctx();
        let scope = Scope::of_customer(&ctx, Res::Subscription, customer);
        walk::newest_first(&ctx, scope, None, Range::ALL)
            .map(|(_, key)| key)
            .filter(|key| links::customer_of_subscription(self.world, *key) == customer)
            .filter(|key| self.object(Res::Subscription, *key)["status"] != "canceled")
            .collect()
    }

    /// Writes an event about an object as it is, or with a payload of the caller's.
    fn event(&mut self, request: &Request) -> Result<(), String> {
        let kind = request.event.clone().ok_or("an event needs a `type`")?;
        let res = request.res;
        let (key, payload) = match &request.payload {
            Some(payload) => (Key(0), payload.to_string().into_bytes()),
            None => {
                let key =
                    *self.chosen(request)?.first().ok_or("an event needs an object: `ids`")?;
                self.touched(res, key);
                (key, self.payload(res, key))
            }
        };
        let created = request.created.unwrap_or(self.now);
        let row = Row {
            created,
            written: self.now,
            kind,
            res,
            key,
            previous: request.previous.clone(),
            payload: Some(payload),
        };
        self.write_row(row);
        Ok(())
    }

    fn chosen(&self, request: &Request) -> Result<Vec<Key>, String> {
        let ctx = self.ctx();
        if request.ids.is_empty() {
            let wanted = request.count.unwrap_or(1);
            return Ok(pick::some(&ctx, request.res, wanted, self.overlay.log.len()));
        }
        let key = |id: &String| {
            super::list::living(&ctx, request.res, id).ok_or_else(|| format!("no object {id}"))
        };
        request.ids.iter().map(key).collect()
    }

    fn parent_before(&self, res: Res, key: Key) -> Option<(Res, Key, Map<String, Value>)> {
        let of = res.parent().filter(|_| res.def().parent_event.is_some())?;
        Some((of, key.parent(), self.object(of, key.parent())))
    }

    /// Writes the event that tells of a child's parent.
    fn tell_of_parent(
        &mut self,
        kind: Option<String>,
        res: Res,
        key: Key,
        before: Option<(Res, Key, Map<String, Value>)>,
    ) {
        let (Some(kind), Some((of, parent, before))) = (kind, before) else { return };
        if res == Res::ActiveEntitlement {
            let payload = self.entitlements(key.parent());
            return self.push(kind, of, parent, None, payload);
        }
        self.tell(&kind, of, parent, Some(&before));
    }

    /// The summary of a customer's entitlements, which exists in events only.
    fn entitlements(&self, customer: Key) -> Vec<u8> {
        let id = self.world.id(Res::Customer, customer);
        let mut out =
            b"{\"object\":\"entitlements.active_entitlement_summary\",\"customer\":\"".to_vec();
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(b"\",\"entitlements\":");
        self.ctx().write_nested(&[Res::ActiveEntitlement], Res::Customer, customer, &[], &mut out);
        out.extend_from_slice(b",\"livemode\":false}");
        out
    }

    fn payload(&self, res: Res, key: Key) -> Vec<u8> {
        let mut payload = Vec::with_capacity(2048);
        events::payload(&self.ctx(), res, key, false, &mut payload);
        payload
    }

    /// Writes an event about an object as it is now; updates name what they replaced.
    fn tell(&mut self, kind: &str, res: Res, key: Key, before: Option<&Map<String, Value>>) {
        let previous = before
            .filter(|_| kind.ends_with(".updated"))
            .map(|before| diff::replaced(before, &self.object(res, key)));
        let payload = self.payload(res, key);
        self.push(kind.to_owned(), res, key, previous, payload);
    }

    fn push(
        &mut self,
        kind: String,
        res: Res,
        key: Key,
        previous: Option<Map<String, Value>>,
        payload: Vec<u8>,
    ) {
        let (created, written) = (self.now, self.now);
        self.write_row(Row { created, written, kind, res, key, previous, payload: Some(payload) });
    }

    fn write_row(&mut self, row: Row) {
        let key = self.overlay.log.push(row);
        self.events.push(self.world.id(Res::Event, key));
    }
}
