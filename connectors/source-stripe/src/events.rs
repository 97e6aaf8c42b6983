//! Changes: one pass over `/v1/events` for all streams that follow them (docs "List all
//! events", "Types of events").
//!
//! Of each object only the newest event counts. What it tells is who changed and when;
//! rows are mostly made of the object as it is now.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cdk::http::{Failure, Page};
use cdk::json::{fields, get, integer, plain};
use cdk::range::Span;
use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::api::{Api, paginator};
use crate::streams::{Changes, Children, Def, Place, Rows, Topic};
use crate::walk::{Visit, Walk, fetch, is_after};

/// Event types in one request, at most.
const TYPES: usize = 20;
/// Event copies that are kept in place of asking for the object again, in bytes.
const KEPT: usize = 16 << 20;

/// What one stream wants to know.
#[derive(Clone)]
pub struct Interest {
    /// The stream.
    pub def: &'static Def,
    /// Events at this time (epoch seconds) or later.
    pub since: i64,
    /// Whether rows are made of the events' own copies.
    pub payload: bool,
}

/// An object, or a parent, that has changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its id.
    pub id: String,
    /// When the newest event about it happened, epoch seconds.
    pub at: i64,
    /// Place among the events of that second, newest first.
    order: u64,
    /// When it was created, as far as the event says.
    pub created: Option<i64>,
    /// Whether it is gone.
    pub deleted: bool,
    /// Marks the event for the next read.
    pub mark: u32,
    /// Where it can be asked for.
    pub path: Option<String>,
    /// The event's copy of it, where it is needed.
    pub payload: Option<Bytes>,
    /// Whether the copy has the shape that the list would give.
    pub same_shape: bool,
    /// Whether the copy is of an API version since 2025-03-31.basil.
    pub since_basil: bool,
    /// Ids of children that it had around that time.
    pub children: Vec<String>,
}

/// The changes of one account, found once for all streams.
pub struct Feed {
    api: Api,
    interests: Vec<Interest>,
    until: i64,
    version: String,
    window: i64,
    parallel: usize,
    found: OnceCell<Result<Found, Failure>>,
}

type Found = HashMap<&'static str, Mutex<Vec<Change>>>;

impl Feed {
    /// Will look for what `interests` want to know, up to `until` (epoch seconds, exclusive).
    pub fn new(
        api: Api,
        interests: Vec<Interest>,
        until: i64,
        version: String,
        parallel: usize,
        window: i64,
    ) -> Self {
        Feed { api, interests, until, version, window, parallel, found: OnceCell::new() }
    }

    /// The end of what is looked at, epoch seconds, exclusive.
    pub fn until(&self) -> i64 {
        self.until
    }

    /// The changes of a stream, oldest first. They can be taken once.
    ///
    /// # Errors
    /// The same failure for all streams when the events cannot be read.
    pub async fn take(&self, stream: &str) -> Result<Vec<Change>, Failure> {
        let found =
            self.found.get_or_init(|| self.collect()).await.as_ref().map_err(Failure::clone)?;
        let Some(changes) = found.get(stream) else { return Ok(Vec::new()) };
        let mut changes =
            std::mem::take(&mut *changes.lock().unwrap_or_else(PoisonError::into_inner));
        changes.sort_by(|a, b| a.at.cmp(&b.at).then(b.order.cmp(&a.order)));
        Ok(changes)
    }

    async fn collect(&self) -> Result<Found, Failure> {
        let fold = Fold::new(&self.interests, &self.version);
        let since =
            self.interests.iter().map(|interest| interest.since).min().unwrap_or(self.until);
        let window = Span::new(since, self.until);
        if !window.is_empty() && !self.interests.is_empty() {
            let probe = self.probe(window).await?;
            let quiet = probe.value(0) != Some("true");
            if quiet {
                fold.take(&probe);
            } else if fold.share(&probe) >= 0.5 {
                drop(probe);
                self.walk(window, &[], &fold).await?;
            } else {
                drop(probe);
                let batches = fold.batches();
                let mut walks = Vec::new();
                for batch in &batches {
                    walks.push(self.walk(window, batch, &fold));
                }
                futures::future::try_join_all(walks).await?;
            }
        }
        Ok(fold.into_found())
    }

    /// The newest events of any type: when that is all there are, one request was enough.
    async fn probe(&self, window: Span) -> Result<Page, Failure> {
        let request = self
            .api
            .list("/v1/events", "/v1/events")
            .query("created[gte]", window.start)
            .query("created[lt]", window.end);
        fetch(self.api.client(), &request, &paginator().pager(None), None).await
    }

    async fn walk(&self, window: Span, types: &[&str], fold: &Fold<'_>) -> Result<(), Failure> {
        let mut request = self.api.list("/v1/events", "/v1/events");
        for kind in types {
            request = request.query("types[]", kind);
        }
        let walk = Walk {
            client: self.api.client(),
            request,
            by_created: true,
            width: self.window,
            parallel: self.parallel,
        };
        walk.run(vec![window], fold).await
    }
}

/// Keeps the newest event of each object, for each stream.
struct Fold<'i> {
    by_type: HashMap<&'static str, Vec<usize>>,
    streams: Vec<Stream<'i>>,
    version: &'i str,
    sequence: AtomicU64,
    kept: AtomicUsize,
}

struct Stream<'i> {
    interest: &'i Interest,
    topic: Topic,
    retrieve: Retrieve,
    nested: Option<&'static str>,
    expands: bool,
    changes: Mutex<HashMap<String, Change>>,
}

/// How a changed object is asked for.
#[derive(Clone, Copy)]
enum Retrieve {
    /// At this path, with fields of the event's object in it.
    At(&'static str),
    /// Below the list's path.
    Below(&'static str),
    /// Not at all: the event's copy is used.
    Payload,
}

impl<'i> Fold<'i> {
    fn new(interests: &'i [Interest], version: &'i str) -> Self {
        let mut by_type: HashMap<&'static str, Vec<usize>> = HashMap::new();
        let mut streams = Vec::new();
        for interest in interests {
            let Some(stream) = Stream::of(interest) else { continue };
            for kind in stream.topic.types {
                by_type.entry(kind).or_default().push(streams.len());
            }
            streams.push(stream);
        }
        Fold { by_type, streams, version, sequence: 0.into(), kept: 0.into() }
    }

    /// All types in as few requests as may be. The types of a topic stay together: the
    /// order of an object's events in one list tells which is the newest of a second.
    fn batches(&self) -> Vec<Vec<&'static str>> {
        let mut batches: Vec<Vec<&'static str>> = vec![Vec::new()];
        let mut known = BTreeSet::new();
        for stream in &self.streams {
            let new: Vec<_> =
                stream.topic.types.iter().copied().filter(|kind| known.insert(*kind)).collect();
            match batches.last_mut() {
                Some(batch) if batch.len() + new.len() <= TYPES => batch.extend(new),
                _ => batches.push(new),
            }
        }
        batches.retain(|batch| !batch.is_empty());
        batches
    }

    /// Which part of a page's events is of interest.
    fn share(&self, page: &Page) -> f64 {
        let of_interest = page.records().filter(|event| {
            let kind = fields(event, ["type"])[0].and_then(plain);
            kind.is_some_and(|kind| self.by_type.contains_key(kind.as_str()))
        });
        of_interest.count() as f64 / page.len().max(1) as f64
    }

    fn take(&self, page: &Page) {
        page.records().for_each(|event| self.event(event));
    }

    fn event(&self, event: &str) {
        let order = self.sequence.fetch_add(1, Ordering::Relaxed);
        let [kind, at, id, data, version] =
            fields(event, ["type", "created", "id", "data", "api_version"]);
        let (Some(kind), Some(at), Some(data)) = (kind.and_then(plain), at.and_then(integer), data)
        else {
            return;
        };
        let Some(streams) = self.by_type.get(kind.as_str()) else { return };
        let [object, previous] = fields(data, ["object", "previous_attributes"]);
        let Some(object) = object else { return };
        let version = version.and_then(plain).unwrap_or_default();
        let told = Told {
            at,
            order,
            deleted: kind.ends_with(".deleted") && kind != "customer.subscription.deleted",
            mark: id.map_or(0, mark),
            object,
            previous,
            same_version: version == self.version,
            since_basil: version.as_str() >= "2025-03-31",
        };
        for &index in streams {
            self.streams[index].take(&told, &self.kept);
        }
    }

    fn into_found(self) -> Found {
        self.streams
            .into_iter()
            .map(|stream| {
                let changes = stream.changes.into_inner().unwrap_or_else(PoisonError::into_inner);
                let mut changes: Vec<Change> = changes.into_values().collect();
                for change in &mut changes {
                    // Several events about one parent name the same children.
                    change.children.sort_unstable();
                    change.children.dedup();
                }
                (stream.interest.def.name, Mutex::new(changes))
            })
            .collect()
    }
}

impl Visit for Fold<'_> {
    fn page<'a>(&'a self, page: Page, after: i64) -> BoxFuture<'a, Result<(), Failure>> {
        for event in page.records() {
            if is_after(event, after) {
                self.event(event);
            }
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn covered(&self, _: Span) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// What one event says.
struct Told<'e> {
    at: i64,
    order: u64,
    deleted: bool,
    mark: u32,
    object: &'e str,
    previous: Option<&'e str>,
    same_version: bool,
    since_basil: bool,
}

impl<'i> Stream<'i> {
    fn of(interest: &'i Interest) -> Option<Self> {
        let (topic, retrieve) = match &interest.def.changes {
            Changes::Objects { topic, retrieve: "payload", .. } => (*topic, Retrieve::Payload),
            Changes::Objects { topic, retrieve: "", .. } => match &interest.def.rows {
                Rows::List(list) => (*topic, Retrieve::Below(list.path)),
                _ => return None,
            },
            Changes::Objects { topic, retrieve, .. } | Changes::Parents { topic, retrieve, .. } => {
                (*topic, Retrieve::At(retrieve))
            }
            Changes::None | Changes::Created { .. } => return None,
        };
        let nested = match (&interest.def.rows, &interest.def.changes) {
            (
                Rows::Children([Children { at: Place::Inline(field), .. }, ..]),
                Changes::Parents { .. },
            ) => Some(*field),
            _ => None,
        };
        let expands = match &interest.def.rows {
            Rows::List(list) => {
                !list.expand.is_empty() || list.version != crate::streams::Version::Any
            }
            _ => true,
        };
        Some(Stream { interest, topic, retrieve, nested, expands, changes: Mutex::default() })
    }

    fn take(&self, told: &Told<'_>, kept: &AtomicUsize) {
        if told.at < self.interest.since {
            return;
        }
        let [kind] = fields(told.object, ["object"]);
        let kind = kind.map(|kind| kind.trim_matches('"')).unwrap_or_default();
        let Some((_, id_field)) = self.topic.objects.iter().find(|(object, _)| *object == kind)
        else {
            return;
        };
        let Some(id) = fields(told.object, [*id_field])[0].and_then(id_of) else { return };
        let is_object = *id_field == "id";
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut children = self.children(told);
        if let Some(known) = changes.get_mut(&id) {
            known.children.append(&mut children);
            let newer = (told.at, std::cmp::Reverse(told.order))
                > (known.at, std::cmp::Reverse(known.order));
            if !newer {
                return;
            }
        }
        let deleted = told.deleted && is_object;
        let same_shape = self.same_shape(told);
        let mut keep =
            deleted || self.interest.payload || matches!(self.retrieve, Retrieve::Payload);
        if !keep && same_shape {
            let size = kept.fetch_add(told.object.len(), Ordering::Relaxed);
            keep = size + told.object.len() <= KEPT;
        }
        let known_children = changes.remove(&id).map(|known| known.children);
        let change = Change {
            path: self.path(told.object, &id),
            at: told.at,
            order: told.order,
            created: fields(told.object, ["created"])[0].and_then(integer).filter(|_| is_object),
            deleted,
            mark: told.mark,
            // A copy of its own: a slice would keep the whole page of events alive.
            payload: keep.then(|| Bytes::copy_from_slice(told.object.as_bytes())),
            same_shape,
            since_basil: told.since_basil,
            children: known_children.unwrap_or(children),
            id: id.clone(),
        };
        changes.insert(id, change);
    }

    /// Whether the event's copy equals what the list would give: the same API version,
    /// nothing to expand, no nested list cut short.
    fn same_shape(&self, told: &Told<'_>) -> bool {
        told.same_version
            && !self.expands
            && !told.object.contains("\"has_more\":true")
            && !told.object.contains("\"has_more\": true")
    }

    fn children(&self, told: &Told<'_>) -> Vec<String> {
        let Some(field) = self.nested else { return Vec::new() };
        let lists = [Some(told.object), told.previous].into_iter().flatten();
        let lists = lists.filter_map(|holder| get(holder, &cdk::json::Path::of([field, "data"])));
        let items = lists.flat_map(|list| {
            serde_json::from_str::<Vec<&serde_json::value::RawValue>>(list).unwrap_or_default()
        });
        items.filter_map(|item| fields(item.get(), ["id"])[0].and_then(plain)).collect()
    }

    /// Where the object can be asked for; `None` when the event lacks a part of the path.
    fn path(&self, object: &str, id: &str) -> Option<String> {
        let template = match self.retrieve {
            Retrieve::Payload => return None,
            Retrieve::Below(path) => return Some(format!("{path}/{id}")),
            Retrieve::At("") => return None,
            Retrieve::At(template) => template,
        };
        let mut path = String::new();
        for (index, part) in template.split(['{', '}']).enumerate() {
            match (index % 2, part) {
                (0, fixed) => path.push_str(fixed),
                (_, "id") => path.push_str(id),
                (_, field) => path.push_str(&fields(object, [field])[0].and_then(id_of)?),
            }
        }
        Some(path)
    }
}

/// An id, also of an object that stands expanded in its place.
fn id_of(json: &str) -> Option<String> {
    if json.starts_with('{') { fields(json, ["id"])[0].and_then(plain) } else { plain(json) }
}

/// A short mark of an event id (FNV-1a): enough to know it again among a few hundred.
fn mark(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
