//! The event log: what happened before the start, and what admin calls did since.

use serde_json::{Map, Value};

use super::context::Ctx;
use super::resource::{Key, Res};
use super::version::Era;
use super::world::World;
use super::{event_types, shape};
use crate::hash;

const DAY: i64 = 86_400;
/// Events are kept that long.
pub const RETENTION: i64 = 30 * DAY;
/// The events from before the start lie in the days just before it.
const HISTORY: i64 = 20 * DAY;
/// There are at most that many of them.
const MOST: usize = 500;
/// At most that many creations of one kind among them.
const MOST_OF_A_KIND: usize = 40;
/// Nothing happens in the last minutes before the start.
const QUIET: i64 = 660;

/// One event.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its `created`, unix seconds.
    pub created: i64,
    /// When it was written; lists show it some time after that.
    pub written: i64,
    /// Its type, such as `customer.updated`.
    pub kind: String,
    /// The kind of its object.
    pub res: Res,
    /// Its object.
    pub key: Key,
    /// The values that an update replaced.
    pub previous: Option<Map<String, Value>>,
    /// The object as it was then; None for an object that never changed.
    pub payload: Option<Vec<u8>>,
}

/// All events of an account. An event's key is its place in the order of writing; lists are
/// ordered by `created` first.
#[derive(Debug, Default)]
pub struct Log {
    rows: Vec<Row>,
    order: Vec<u32>,
}

impl Log {
    /// The events of the last days before the start.
    pub fn base(world: &World) -> Self {
        let mut rows = creations(world);
        rows.extend(updates(world, rows.len()));
        rows.sort_by_key(|row| row.created);
        let mut log = Self::default();
        rows.into_iter().for_each(|row| {
            log.push(row);
        });
        log
    }

    /// Adds an event and returns its key.
    pub fn push(&mut self, row: Row) -> Key {
        let number = self.rows.len() as u32;
        let at = self.order.partition_point(|i| self.rows[*i as usize].created <= row.created);
        self.order.insert(at, number);
        self.rows.push(row);
        Key(u64::from(number))
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// An event.
    pub fn get(&self, key: Key) -> Option<&Row> {
        self.rows.get(usize::try_from(key.0).ok()?)
    }

    /// All events, oldest first.
    pub fn oldest_first(&self) -> impl DoubleEndedIterator<Item = Key> + '_ {
        self.order.iter().map(|i| Key(u64::from(*i)))
    }
}

/// Whether an event is listed at `now`: old enough to have arrived, young enough to be kept.
pub fn is_visible(world: &World, row: &Row, now: i64) -> bool {
    row.written + world.event_delay <= now && row.created >= now - RETENTION
}

/// Creations within the history, of every kind that has an event for it.
fn creations(world: &World) -> Vec<Row> {
    let since = world.clock_start - HISTORY;
    let mut rows = Vec::new();
    for res in Res::all() {
        let Some(kind) = res.def().events[0] else { continue };
        let recent = match res.parent() {
            Some(of) if res.listed_globally() => recent_keys(world, of, since)
                .flat_map(|parent| {
                    (0..world.child_count(res, parent)).map(move |k| parent.child(k))
                })
                .take(MOST_OF_A_KIND)
                .collect::<Vec<_>>(),
            Some(_) => Vec::new(),
            None => recent_keys(world, res, since).take(MOST_OF_A_KIND).collect(),
        };
        for key in recent {
            let kind = event_types::creation(world, res, key, kind);
            rows.push(row(world.base_created(res, key), kind.to_owned(), res, key, None));
        }
    }
    rows.truncate(most(world));
    rows
}

fn recent_keys(world: &World, res: Res, since: i64) -> impl Iterator<Item = Key> + use<'_> {
    (0..world.base_count(res))
        .rev()
        .map(Key)
        .take_while(move |key| world.base_created(res, *key) >= since)
}

/// Changes of older objects, as many as there is room for.
fn updates(world: &World, taken: usize) -> Vec<Row> {
    let kinds: Vec<Res> = Res::all()
        .filter(|res| {
            res.parent().is_none() && res.def().events[1].is_some() && world.base_count(*res) > 0
        })
        .collect();
    let since = world.clock_start - HISTORY;
    let room = most(world).saturating_sub(taken) as u64;
    (0..room)
        .filter_map(|i| {
            let luck = hash::join(world.salt ^ 0xe7e7, i);
            let res = kinds[(i % kinds.len() as u64) as usize];
            let key = Key(hash::below(luck, world.base_count(res)));
            let kind = event_types::change(world, res, key, res.def().events[1]?)?;
            let first = world.base_created(res, key).max(since);
            let span = (world.clock_start - QUIET - first).max(1) as u64;
            let created = first + hash::below(hash::mix(luck), span) as i64;
            let previous = kind.ends_with(".updated").then(|| {
                Map::from_iter([("metadata".to_owned(), serde_json::json!({"revision": null}))])
            });
            Some(row(created, kind.to_owned(), res, key, previous))
        })
        .collect()
}

fn most(world: &World) -> usize {
    usize::try_from(world.rows).unwrap_or(MOST).min(MOST)
}

fn row(
    created: i64,
    kind: String,
    res: Res,
    key: Key,
    previous: Option<Map<String, Value>>,
) -> Row {
    Row { created, written: created, kind, res, key, previous, payload: None }
}

/// Writes an event. Its object is in the account's default version, whatever the request's is.
pub fn write(ctx: &Ctx<'_>, key: Key, out: &mut Vec<u8>) {
    let Some(row) = ctx.overlay.log.get(key) else { return };
    let world = ctx.world;
    let head = format!(
        "{{\"id\":\"{}\",\"object\":\"event\",\"api_version\":\"{}\",\"created\":{},\"data\":{{\"object\":",
        world.id(Res::Event, key),
        world.version,
        row.created
    );
    out.extend_from_slice(head.as_bytes());
    match &row.payload {
        Some(payload) => out.extend_from_slice(payload),
        None => payload(ctx, row.res, row.key, true, out),
    }
    if let Some(previous) = &row.previous {
        out.extend_from_slice(b",\"previous_attributes\":");
        // Serializing a map of JSON values cannot fail.
        let _ = serde_json::to_writer(&mut *out, previous);
    }
    out.extend_from_slice(b"},\"livemode\":");
    out.extend_from_slice(if ctx.live { b"true" } else { b"false" });
    out.extend_from_slice(b",\"pending_webhooks\":0,\"request\":{\"id\":\"req_");
    let luck = world.luck(Res::Event, key);
    shape::text::Kind::Alnum(14).write(luck, out);
    out.extend_from_slice(b"\",\"idempotency_key\":null},\"type\":\"");
    out.extend_from_slice(row.kind.as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Writes an object as an event carries it: in the account's version, nothing expanded.
pub fn payload(ctx: &Ctx<'_>, res: Res, key: Key, frozen: bool, out: &mut Vec<u8>) {
    let era = Era::of(&ctx.world.version).unwrap_or(Era::Legacy);
    let ctx = Ctx { era, frozen, ..*ctx };
    ctx.write_object(res, key, &[], out);
}
