//! Later reads: what events tell has changed is asked for again and written, oldest
//! change first.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cdk::http::{Failure, Page};
use cdk::json::{Select, fields, get, integer, plain};
use cdk::range::Span;
use cdk::read::Reading;
use futures::StreamExt;
use futures::future::BoxFuture;

use crate::api::{objects, paginator};
use crate::config::IncrementalMode;
use crate::events::Change;
use crate::rows::{Rows, Shape};
use crate::state::Phase;
use crate::stream::{MemberRead, OVERLAP};
use crate::streams::{Changes, Children, List, Parent, Rows as RowSource, Unreported};
use crate::walk::{Visit, is_after};

/// Changes that are handled between two states.
const CHUNK: usize = 200;
/// Objects that are asked for at the same time.
const REQUESTS: usize = 8;
/// Marks of handled events that are remembered, at most.
const MARKS: usize = 500;

/// Brings what has changed since `watermark`; events marked in `recent` were handled.
///
/// # Errors
/// The first failure; what was written before it is covered by the state.
pub async fn follow(
    read: &MemberRead<'_>,
    watermark: i64,
    recent: Vec<u32>,
) -> Result<(), Failure> {
    let follower = Follower { read, watermark };
    let mut changes = read.member.feed.take(read.run.def.name).await?;
    if read.config().lookback() == 0 {
        let known: HashSet<u32> = recent.iter().copied().collect();
        changes.retain(|change| !known.contains(&change.mark));
    }
    let mut handled: Vec<(i64, u32)> = recent.into_iter().map(|mark| (watermark, mark)).collect();
    let until = read.member.feed.until().max(watermark);
    let mut rest = changes.as_slice();
    while !rest.is_empty() {
        let (chunk, later) = rest.split_at(rest.len().min(CHUNK));
        read.run.reading.keep_going()?;
        follower.write(chunk).await?;
        handled.extend(chunk.iter().map(|change| (change.at, change.mark)));
        rest = later;
        // Never ahead of what is still to come, which may share the second.
        if let Some(next) = rest.first() {
            let newest = chunk.last().map(|change| change.at);
            read.progress(|saved| {
                saved.cursor = saved.cursor.max(newest);
                saved.phase = phase(next.at.max(watermark), &handled);
            })
            .await;
        }
    }
    follower.unreported(&changes, until).await?;
    let newest = changes.last().map(|change| change.at);
    read.progress(|saved| {
        saved.cursor = saved.cursor.max(newest).or(Some(until));
        saved.phase = phase(until, &handled);
    })
    .await;
    Ok(())
}

/// The state after everything before `watermark`; of the handled events those are
/// remembered that the next read will meet again.
fn phase(watermark: i64, handled: &[(i64, u32)]) -> Phase {
    let met_again = handled.iter().rev().filter(|(at, _)| *at >= watermark - OVERLAP);
    let mut recent: Vec<u32> = met_again.map(|(_, mark)| *mark).take(MARKS).collect();
    recent.reverse();
    Phase::Follow { watermark, recent }
}

struct Follower<'a> {
    read: &'a MemberRead<'a>,
    watermark: i64,
}

/// What became of a changed object.
enum Now {
    /// It is this.
    Object(Bytes),
    /// The event's copy of it stands for it.
    Payload(Bytes),
    /// It is gone; this is what is known of it.
    Gone(Bytes),
}

impl Follower<'_> {
    async fn write(&self, chunk: &[Change]) -> Result<(), Failure> {
        match &self.read.run.def.rows {
            RowSource::List(list) => self.objects(chunk, Some(list), self.read.shape(None)).await,
            RowSource::Children(families) => {
                let [children, ..] = families else { return Ok(()) };
                let shape = self.read.shape(Some(children));
                match &self.read.run.def.changes {
                    Changes::Parents { new_only, .. } => {
                        self.parents(chunk, children, &shape, *new_only).await
                    }
                    _ => self.objects(chunk, None, shape).await,
                }
            }
            RowSource::Snapshot(_) => Ok(()),
        }
    }

    fn reading(&self) -> &Reading {
        self.read.run.reading
    }

    /// Rows of the changed objects themselves.
    async fn objects(
        &self,
        chunk: &[Change],
        list: Option<&List>,
        shape: Shape,
    ) -> Result<(), Failure> {
        let together = self.together(chunk, list).await?;
        let object = shape.object;
        let mut found = futures::stream::iter(0..chunk.len())
            .map(|index| {
                let change = &chunk[index];
                let listed = together.get(&change.id).cloned();
                async move {
                    match listed {
                        Some(object) => Ok(Now::Object(object)),
                        None => self.now(change, list, object).await,
                    }
                }
            })
            .buffered(REQUESTS);
        let mut rows = Rows::new(&shape, self.reading());
        let mut changes = chunk.iter();
        while let (Some(now), Some(change)) = (found.next().await, changes.next()) {
            let (at, is_child) = (change.at, list.is_none());
            match now? {
                Now::Gone(object) => rows.push_deleted(text(&object), at),
                Now::Object(object) if is_child => rows.push_child("{}", text(&object), Some(at)),
                Now::Payload(object) if is_child => rows.push_child("{}", text(&object), Some(at)),
                Now::Object(object) => rows.push(text(&object), Some(at)),
                Now::Payload(object) => rows.push_payload(text(&object), at, change.since_basil),
            }
        }
        self.reading().write(rows.into_batch()).await;
        Ok(())
    }

    /// Rows of the children of changed parents.
    async fn parents(
        &self,
        chunk: &[Change],
        children: &'static Children,
        shape: &Shape,
        new_only: bool,
    ) -> Result<(), Failure> {
        let family = self.read.family(children, shape);
        let list = match &children.parent {
            Parent::List(list) => Some(list),
            Parent::Account => None,
        };
        let since = self.watermark - OVERLAP;
        let is_new = |child: &str| {
            !new_only
                || fields(child, ["created"])[0]
                    .and_then(integer)
                    .is_none_or(|created| created >= since)
        };
        let family = &family;
        let mut found = futures::stream::iter(0..chunk.len())
            .map(|index| async move {
                let change = &chunk[index];
                let mut rows = Rows::new(shape, self.reading());
                match self.now(change, list, list.map_or("", |list| list.object)).await? {
                    Now::Gone(parent) => {
                        change
                            .children
                            .iter()
                            .for_each(|id| rows.push_vanished(text(&parent), id, change.at));
                    }
                    Now::Object(parent) | Now::Payload(parent) => {
                        family
                            .changed(&mut rows, text(&parent), change.at, &change.children, is_new)
                            .await?;
                    }
                }
                Ok::<_, Failure>(rows.into_batch())
            })
            .buffered(REQUESTS);
        while let Some(batch) = found.next().await {
            self.reading().write(batch?).await;
        }
        Ok(())
    }

    /// Whether the event's copy is as good as asking.
    fn payload_will_do(&self, change: &Change) -> bool {
        change.same_shape
            || self.read.config().incremental_mode == IncrementalMode::Payload
            || matches!(self.read.run.def.changes, Changes::Objects { retrieve: "payload", .. })
    }

    async fn now(
        &self,
        change: &Change,
        list: Option<&List>,
        object: &str,
    ) -> Result<Now, Failure> {
        let known = || serde_json::json!({ "id": change.id, "object": object }).to_string().into();
        if change.deleted {
            return Ok(Now::Gone(change.payload.clone().unwrap_or_else(known)));
        }
        if let Some(payload) = change.payload.as_ref().filter(|_| self.payload_will_do(change)) {
            return Ok(Now::Payload(payload.clone()));
        }
        let Some(path) = &change.path else {
            return Ok(change.payload.clone().map_or_else(|| Now::Object(known()), Now::Payload));
        };
        let request = self.read.one(list, path, endpoint(list));
        match self.read.member.api.client().page(&request, &Select::whole(), &[]).await {
            Ok(page) => {
                let found = page.share(0).unwrap_or_default();
                let gone = fields(text(&found), ["deleted"])[0] == Some("true");
                Ok(if gone { Now::Gone(found) } else { Now::Object(found) })
            }
            Err(failure) if failure.status == Some(404) => Ok(Now::Gone(known())),
            Err(failure) => Err(failure),
        }
    }

    /// Many new objects are cheaper to list than to ask for one by one: reads the list
    /// over their creation times, as far as that is worth it.
    async fn together(
        &self,
        chunk: &[Change],
        list: Option<&List>,
    ) -> Result<HashMap<String, Bytes>, Failure> {
        let mut found = HashMap::new();
        let Some(list) = list.filter(|list| list.by_created) else { return Ok(found) };
        let wanted: HashMap<&str, i64> = chunk
            .iter()
            .filter(|change| {
                !(change.deleted || change.payload.is_some() && self.payload_will_do(change))
            })
            .filter(|change| {
                change.created.is_some_and(|created| created >= self.watermark - OVERLAP)
            })
            .filter_map(|change| Some((change.id.as_str(), change.created?)))
            .collect();
        let (Some(first), Some(last)) = (wanted.values().min(), wanted.values().max()) else {
            return Ok(found);
        };
        let request =
            self.read.list(list).query("created[gte]", first).query("created[lt]", last + 1);
        let client = self.read.member.api.client();
        let mut pager = paginator().pager(None);
        // Half of the requests that it would take one by one is the most to spend on it.
        for _ in 0..wanted.len() / 2 {
            let page =
                client.page(&pager.request(&request, client)?, &objects(), &pager.wants()).await?;
            for index in 0..page.len() {
                let id = page.record(index).and_then(|object| plain(fields(object, ["id"])[0]?));
                if let (Some(id), Some(object)) = (id, page.share(index))
                    && wanted.contains_key(id.as_str())
                {
                    found.insert(id, object);
                }
            }
            if found.len() == wanted.len() || !pager.advance(&page)? {
                break;
            }
        }
        Ok(found)
    }

    /// Looks through the lists of what changes without an event.
    async fn unreported(&self, changes: &[Change], until: i64) -> Result<(), Failure> {
        let (RowSource::List(list), Changes::Objects { unreported, .. }) =
            (&self.read.run.def.rows, &self.read.run.def.changes)
        else {
            return Ok(());
        };
        let told: HashSet<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        for what in *unreported {
            let from = self.watermark - what.days * 86_400;
            if from >= until {
                continue;
            }
            let mut narrowed = *list;
            narrowed.params = what.params;
            let visit = UnreportedVisit {
                follower: self,
                what,
                shape: self.read.shape(None),
                window: Span::new(self.watermark, until),
                told: &told,
            };
            self.read
                .walk(&List { by_clock: false, ..narrowed }, vec![Span::new(from, until)], &visit)
                .await?;
        }
        Ok(())
    }
}

/// The endpoint whose rate limit a single object counts against.
fn endpoint(list: Option<&List>) -> &'static str {
    match list {
        // Objects of one kind share a limit of their own, apart from their list.
        Some(list) => list.path.strip_prefix("/v1").unwrap_or(list.path),
        None => "objects",
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Writes objects whose time of change lies in the window and that no event told of.
struct UnreportedVisit<'a> {
    follower: &'a Follower<'a>,
    what: &'static Unreported,
    shape: Shape,
    window: Span,
    told: &'a HashSet<&'a str>,
}

impl Visit for UnreportedVisit<'_> {
    fn page<'a>(&'a self, page: Page, after: i64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let mut rows = Rows::new(&self.shape, self.follower.reading());
            for object in page.records() {
                let time = get(object, &self.what.field.into()).and_then(integer);
                let [id] = fields(object, ["id"]);
                let is_told = id.is_some_and(|id| self.told.contains(id.trim_matches('"')));
                let counts = is_after(object, after);
                if let Some(time) = time
                    && counts
                    && !is_told
                    && (self.window.start..self.window.end).contains(&time)
                {
                    rows.push(object, Some(time));
                }
            }
            self.follower.reading().write(rows.into_batch()).await;
            Ok(())
        })
    }

    fn covered(&self, _: Span) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
