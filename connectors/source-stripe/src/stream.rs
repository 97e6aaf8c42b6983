//! Reading one stream: first all that there is, then what has changed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airbyte_protocol::{Error, StreamState};
use bytes::Bytes;
use cdk::http::{Failure, Page, Request};
use cdk::json::{fields, integer, plain};
use cdk::range::{Span, SpanSet};
use cdk::read::Reading;
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tracing::warn;

use crate::api::{Account, Api, paginator};
use crate::changes;
use crate::children::{Family, shared};
use crate::config::Config;
use crate::events::Feed;
use crate::rows::{Rows as RowWriter, Shape};
use crate::state::{Phase, Saved};
use crate::streams::{Changes, Children, Def, List, Parent, Rows, Time, Version};
use crate::walk::{Visit, Walk, created, fetch, is_after};

/// Stripe keeps events for 30 days; a day is left for the read itself.
pub const RETENTION: i64 = 29 * 86_400;
/// How far a pass over events reaches back before the watermark: events may become
/// visible late.
pub const OVERLAP: i64 = 600;
/// Accounts that are read at the same time.
const ACCOUNTS: usize = 4;

/// One account with what all its streams share.
pub struct Member {
    /// The API as this account sees it.
    pub api: Api,
    /// The account object.
    pub account: Bytes,
    /// What has changed.
    pub feed: Feed,
}

/// What all streams share.
pub struct Shared {
    /// The configuration.
    pub config: Config,
    /// The start date, epoch seconds.
    pub start: i64,
    /// The accounts to read.
    pub members: Vec<Member>,
}

/// A stream that is being read.
pub struct StripeStream {
    /// Its row of the table.
    pub def: &'static Def,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
}

impl cdk::read::Stream for StripeStream {
    fn definition(&self) -> airbyte_protocol::Stream {
        definition(self.def)
    }

    fn read<'a>(&'a self, reading: &'a Reading) -> BoxFuture<'a, Result<StreamState, Failure>> {
        Box::pin(async move {
            let run = Run::new(self.def, &self.shared, reading)?;
            run.all().await?;
            Ok(run.state())
        })
    }
}

/// The catalog's entry of a stream.
pub fn definition(def: &Def) -> airbyte_protocol::Stream {
    // The files are compiled in and tested.
    let schema = cdk::schema::parse(def.name, def.schema).unwrap_or_default();
    let mut stream = airbyte_protocol::Stream::new(def.name, schema);
    if let Some(key) = def.key {
        stream = stream.with_primary_key([key]);
    }
    match def.cursor {
        Some(cursor) => stream.with_cursor([cursor]),
        None => stream,
    }
}

/// The state of a stream in an account, as the read should understand it.
///
/// # Errors
/// Config: it cannot be read.
pub fn saved(
    def: &Def,
    state: Option<&StreamState>,
    account: &Account,
    incremental: bool,
) -> Result<Saved, Error> {
    let mut saved = match account.tag() {
        None => Saved::parse(state, def.cursor)?,
        Some(tag) => Saved::parse_account(state, tag, def.cursor)?,
    };
    saved.phase = match (saved.phase, incremental) {
        // A full refresh starts anew, unless it is the rest of one that was interrupted.
        (Phase::Follow { .. }, false) => Phase::Start,
        (Phase::Complete, true) => match saved.listed_at {
            Some(watermark) => Phase::Follow { watermark, recent: Vec::new() },
            None => Phase::Start,
        },
        (phase, _) => phase,
    };
    Ok(saved)
}

/// From when on a stream wants to know of events; `None` when it is to be listed.
pub fn follows_since(def: &Def, saved: &Saved, config: &Config, now: i64) -> Option<i64> {
    let Phase::Follow { watermark, .. } = saved.phase else { return None };
    let reported = matches!(def.changes, Changes::Objects { .. } | Changes::Parents { .. });
    if !reported || now - watermark > RETENTION {
        return None;
    }
    if let Some(days) = config.relist_after(def.name, def.relist_days)
        && saved.listed_at.is_none_or(|at| now - at >= days)
    {
        return None;
    }
    Some((watermark - OVERLAP - config.lookback()).max(now - RETENTION - 86_400))
}

/// One stream's read over all accounts.
pub struct Run<'a> {
    /// The stream.
    pub def: &'static Def,
    /// What it shares with the others.
    pub shared: &'a Shared,
    /// Where rows and states go.
    pub reading: &'a Reading,
    saved: Vec<Mutex<Saved>>,
}

impl<'a> Run<'a> {
    fn new(def: &'static Def, shared: &'a Shared, reading: &'a Reading) -> Result<Self, Failure> {
        let of = |member: &Member| {
            saved(def, reading.state(), member.api.account(), reading.is_incremental())
                .map(Mutex::new)
        };
        let saved = shared.members.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Run { def, shared, reading, saved })
    }

    /// Reads all accounts; one that fails does not stop the others.
    async fn all(&self) -> Result<(), Failure> {
        let members = futures::stream::iter(0..self.shared.members.len());
        let results = members.map(|index| async move { (index, self.member(index).await) });
        let results: Vec<_> = results.buffer_unordered(ACCOUNTS).collect().await;
        let failed: Vec<_> = results
            .into_iter()
            .filter_map(|(index, result)| Some((index, result.err()?)))
            .collect();
        let total = self.shared.members.len();
        match failed.into_iter().min_by_key(|(index, _)| *index) {
            None => Ok(()),
            Some((_, failure)) if total == 1 => Err(failure),
            Some((index, mut failure)) => {
                let name = self.shared.members[index]
                    .api
                    .account()
                    .tag()
                    .unwrap_or("the own account")
                    .to_owned();
                failure.error = failure
                    .error
                    .context(format!("Account {name} could not be read (others were)"));
                Err(failure)
            }
        }
    }

    async fn member(&self, index: usize) -> Result<(), Failure> {
        let read = MemberRead {
            run: self,
            member: &self.shared.members[index],
            saved: &self.saved[index],
        };
        read.run().await
    }

    /// The stream's state at this moment.
    pub fn state(&self) -> StreamState {
        let Some(cursor) = self.def.cursor else { return StreamState::full_refresh_sentinel() };
        let mut state = Map::new();
        let mut accounts = Map::new();
        for (member, saved) in self.shared.members.iter().zip(&self.saved) {
            let fields = lock(saved).fields(cursor);
            match member.api.account().tag() {
                None => state.extend(fields),
                Some(tag) => drop(accounts.insert(tag.to_owned(), Value::Object(fields))),
            }
        }
        if !accounts.is_empty() {
            state.insert("accounts".into(), Value::Object(accounts));
        }
        StreamState(state)
    }
}

/// One stream's read of one account.
pub struct MemberRead<'a> {
    /// The read that this is part of.
    pub run: &'a Run<'a>,
    /// The account.
    pub member: &'a Member,
    saved: &'a Mutex<Saved>,
}

impl MemberRead<'_> {
    async fn run(&self) -> Result<(), Failure> {
        let def = self.run.def;
        let now = self.member.api.now();
        let saved = self.saved().clone();
        match saved.phase.clone() {
            Phase::Complete => Ok(()),
            Phase::Start => self.list_all(SpanSet::default(), now).await,
            Phase::Backfill { done, started_at } => self.list_all(done, started_at).await,
            Phase::Follow { watermark, .. } if matches!(def.changes, Changes::Created { .. }) => {
                self.list_new(watermark, now).await
            }
            Phase::Follow { watermark, recent } => {
                if follows_since(def, &saved, &self.run.shared.config, self.member.feed.until())
                    .is_some()
                {
                    return changes::follow(self, watermark, recent).await;
                }
                if now - watermark > RETENTION {
                    warn!(
                        "Stream {}: the last read was {} days ago and Stripe keeps changes for 30 days. All objects are listed again.",
                        def.name,
                        (now - watermark) / 86_400
                    );
                }
                self.list_all(SpanSet::default(), now).await
            }
        }
    }

    /// The stream's state in this account.
    pub fn saved(&self) -> MutexGuard<'_, Saved> {
        lock(self.saved)
    }

    /// Changes the state and writes it when one is due.
    pub async fn progress(&self, change: impl FnOnce(&mut Saved)) {
        self.run
            .reading
            .progress(|| {
                change(&mut self.saved());
                self.run.state()
            })
            .await;
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.run.shared.config
    }

    /// What rows look like.
    pub fn shape(&self, children: Option<&Children>) -> Shape {
        let before_basil = self.config().is_before_basil();
        let (object, time, fill) = match (&self.run.def.rows, children) {
            (_, Some(children)) => (children.object, Time::None, children.fill),
            (Rows::List(list), None) => (list.object, list.time, list.fill),
            _ => ("balance", Time::None, None),
        };
        Shape {
            object,
            time,
            fill: fill.filter(|_| !before_basil),
            link: children.map(|children| children.link),
            tag: self.member.api.account().tag().map(str::to_owned),
            has_updated: children.is_none() && Shape::wants_updated(self.run.def),
        }
    }

    /// The request for a list, with what is always asked for.
    pub fn list(&self, list: &List) -> Request {
        let mut request = self.member.api.list(list.path, list.path);
        for (name, value) in list.params {
            request = request.query(*name, *value);
        }
        for name in self.expands(list) {
            request = request.query("expand[]", format!("data.{name}"));
        }
        self.versioned(request, list)
    }

    /// The request for one object of a list.
    pub fn one(&self, list: Option<&List>, path: &str, endpoint: &'static str) -> Request {
        let mut request = self.member.api.get(path, endpoint);
        let Some(list) = list else { return request };
        for name in self.expands(list) {
            request = request.query("expand[]", *name);
        }
        self.versioned(request, list)
    }

    fn expands(&self, list: &List) -> &'static [&'static str] {
        if self.config().is_before_basil() { list.expand_before_basil } else { list.expand }
    }

    fn versioned(&self, request: Request, list: &List) -> Request {
        match self.version(list) {
            Some(version) => request.header("stripe-version", version),
            None => request,
        }
    }

    /// The API version for a list that cannot be asked in the configured one.
    fn version(&self, list: &List) -> Option<&'static str> {
        let own = self.config().api_version.as_str();
        match list.version {
            Version::AtLeast(bound) if own < bound => Some(bound),
            Version::AtMost(bound) if own > bound => Some(bound),
            _ => None,
        }
    }

    /// The children of this account's objects, with their rows' shape.
    pub fn family<'f>(&'f self, children: &'static Children, shape: &'f Shape) -> Family<'f> {
        let version = match &children.parent {
            Parent::List(list) => self.version(list),
            Parent::Account => None,
        };
        Family { api: &self.member.api, version, children, shape, reading: self.run.reading }
    }

    /// Reads everything; creation times in `done` were read before.
    async fn list_all(&self, done: SpanSet, started_at: i64) -> Result<(), Failure> {
        let end = match self.run.def.changes {
            Changes::Created { settles: true, .. } => started_at - self.lag(),
            _ => started_at + 1,
        };
        let windows = done.missing(Span::new(self.run.shared.start.min(end), end));
        self.saved().phase = Phase::Backfill { done, started_at };
        match &self.run.def.rows {
            Rows::Snapshot(path) => self.snapshot(path).await?,
            Rows::List(list) => {
                let visit = ListVisit { read: self, shape: self.shape(None), keep: Keep::All };
                self.walk(list, windows, &visit).await?;
            }
            Rows::Children(families) => {
                for children in *families {
                    // With several kinds of parents, one's progress is not the stream's.
                    let counts = families.len() == 1;
                    self.list_children(children, windows.clone(), counts).await?;
                }
            }
        }
        let incremental = self.run.reading.is_incremental();
        let watermark = started_at - self.lag();
        self.progress(|saved| {
            // A list without objects was read up to here, too.
            saved.cursor = saved.cursor.or(Some(watermark));
            saved.listed_at = Some(started_at);
            saved.phase = match incremental {
                true => Phase::Follow { watermark, recent: Vec::new() },
                false => Phase::Complete,
            };
        })
        .await;
        Ok(())
    }

    /// Seconds that Stripe's lists of events need to become complete.
    fn lag(&self) -> i64 {
        i64::from(self.config().event_lag_seconds)
    }

    async fn snapshot(&self, path: &'static str) -> Result<(), Failure> {
        let request = self.member.api.get(path, path);
        let page =
            self.member.api.client().page(&request, &cdk::json::Select::whole(), &[]).await?;
        let mut batch = self.run.reading.batch();
        let at = self.member.api.client().clock().server_now();
        let mut columns = crate::members::Members::default();
        columns.text("snapshot_at", &at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
        if let Some(tag) = self.member.api.account().tag() {
            columns.text("connected_account_id", tag);
        }
        for object in page.records() {
            batch.push(&cdk::json::append(object, columns.as_str()));
        }
        self.run.reading.write(batch).await;
        Ok(())
    }

    async fn list_children(
        &self,
        children: &'static Children,
        windows: Vec<Span>,
        counts: bool,
    ) -> Result<(), Failure> {
        let shape = self.shape(Some(children));
        let family = self.family(children, &shape);
        match &children.parent {
            Parent::Account => family.write(std::slice::from_ref(&self.member.account)).await,
            Parent::List(list) => {
                let visit = FamilyVisit { read: self, family, counts };
                self.walk(list, windows, &visit).await
            }
        }
    }

    /// Walks a list, and what test clocks hide from it.
    pub async fn walk(
        &self,
        list: &List,
        windows: Vec<Span>,
        visit: &dyn Visit,
    ) -> Result<(), Failure> {
        let walk = |request, by_created| Walk {
            client: self.member.api.client(),
            request,
            by_created,
            width: self.config().window(),
            parallel: self.config().num_workers.0 as usize,
        };
        if list.by_created {
            walk(self.list(list), true).run(windows, visit).await?;
        } else {
            walk(self.list(list), false).run(vec![Span::new(0, 0)], visit).await?;
        }
        if list.by_clock && self.config().include_test_clocks && self.config().is_test() {
            for clock in self.test_clocks().await? {
                let request = self.list(list).query("test_clock", clock);
                walk(request, false).run(vec![Span::new(0, 0)], visit).await?;
            }
        }
        Ok(())
    }

    async fn test_clocks(&self) -> Result<Vec<String>, Failure> {
        let api = &self.member.api;
        let request = api.list("/v1/test_helpers/test_clocks", "/v1/test_helpers/test_clocks");
        let (mut pager, mut clocks) = (paginator().pager(None), Vec::new());
        loop {
            let page = fetch(api.client(), &request, &pager, None).await?;
            clocks.extend(page.records().filter_map(|clock| plain(fields(clock, ["id"])[0]?)));
            if !pager.advance(&page)? {
                return Ok(clocks);
            }
        }
    }

    /// Lists what was created since the last read.
    async fn list_new(&self, watermark: i64, now: i64) -> Result<(), Failure> {
        let (Rows::List(list), Changes::Created { ripens, settles }) =
            (&self.run.def.rows, &self.run.def.changes)
        else {
            return Ok(());
        };
        let since = watermark - self.config().lookback();
        let until = if *settles { now - self.lag() } else { now + 1 };
        let (from, keep) = match ripens {
            None => (since, Keep::All),
            Some((field, days)) => (
                since - days * 86_400,
                Keep::NewOrRipe { since, field, ripe: Span::new(watermark, now + 1) },
            ),
        };
        let visit = ListVisit { read: self, shape: self.shape(None), keep };
        if from < until {
            // Progress inside this window is not kept: it is short, and read again if need be.
            self.walk(list, vec![Span::new(from, until)], &visit).await?;
        }
        self.progress(|saved| {
            let watermark = (now - self.lag()).max(watermark);
            saved.phase = Phase::Follow { watermark, recent: Vec::new() };
        })
        .await;
        Ok(())
    }
}

fn lock(saved: &Mutex<Saved>) -> MutexGuard<'_, Saved> {
    saved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which objects of a list are rows.
pub enum Keep {
    /// All.
    All,
    /// Those created since then, and those whose time in a field has come meanwhile.
    NewOrRipe {
        /// Creation, epoch seconds.
        since: i64,
        /// The field.
        field: &'static str,
        /// The meanwhile.
        ripe: Span,
    },
}

impl Keep {
    fn wants(&self, object: &str) -> bool {
        let Keep::NewOrRipe { since, field, ripe } = self else { return true };
        let [created, time] =
            fields(object, ["created", field]).map(|value| value.and_then(integer));
        created.is_none_or(|created| created >= *since)
            || time.is_some_and(|time| (ripe.start..ripe.end).contains(&time))
    }
}

/// Takes note of the newest creation time on a page and of the windows that are done.
async fn covered(read: &MemberRead<'_>, span: Span) {
    read.progress(|saved| {
        if let Phase::Backfill { done, .. } = &mut saved.phase {
            done.insert(span);
        }
    })
    .await;
}

fn note_newest(read: &MemberRead<'_>, page: &Page) {
    if let Some(newest) = created(page, false) {
        read.saved().saw(newest);
    }
}

/// Writes the objects of a list as rows.
struct ListVisit<'a> {
    read: &'a MemberRead<'a>,
    shape: Shape,
    keep: Keep,
}

impl Visit for ListVisit<'_> {
    fn page<'a>(&'a self, page: Page, after: i64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            note_newest(self.read, &page);
            let reading = self.read.run.reading;
            let mut rows = RowWriter::new(&self.shape, reading);
            for object in page.records() {
                if is_after(object, after) && self.keep.wants(object) {
                    rows.push(object, None);
                }
                if let Some(batch) = rows.full(reading) {
                    reading.write(batch).await;
                }
            }
            reading.write(rows.into_batch()).await;
            Ok(())
        })
    }

    fn covered(&self, span: Span) -> BoxFuture<'_, ()> {
        Box::pin(covered(self.read, span))
    }
}

/// Writes the children of a list's objects.
struct FamilyVisit<'a> {
    read: &'a MemberRead<'a>,
    family: Family<'a>,
    counts: bool,
}

impl Visit for FamilyVisit<'_> {
    fn page<'a>(&'a self, page: Page, after: i64) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            note_newest(self.read, &page);
            // The page must not count as in flight while its children are asked for: they
            // need places of their own.
            let page = page.into_located();
            let mut parents = shared(&page);
            parents
                .retain(|parent| is_after(std::str::from_utf8(parent).unwrap_or_default(), after));
            self.family.write(&parents).await
        })
    }

    fn covered(&self, span: Span) -> BoxFuture<'_, ()> {
        if self.counts {
            Box::pin(covered(self.read, span))
        } else {
            Box::pin(std::future::ready(()))
        }
    }
}
