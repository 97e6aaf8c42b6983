//! Walks through objects in the order of lists, from any place, without an index.

use super::context::Ctx;
use super::filter::Range;
use super::links;
use super::resource::{Key, Res};

/// An object in a list.
pub type Item = (Res, Key);

/// Which objects a list looks at.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All of a kind.
    All(Res),
    /// All of a kind whose original keys lie in this range (the end is left out), and what was added.
    Near(Res, u64, u64),
    /// These, newest first.
    These(Vec<Item>),
}

impl Scope {
    /// The children of a parent, newest first, kind after kind.
    pub fn children(ctx: &Ctx<'_>, kinds: &[Res], parent: Key) -> Self {
        Self::These(
            kinds
                .iter()
                .flat_map(|res| ctx.children(*res, parent).into_iter().map(|k| (*res, k)))
                .collect(),
        )
    }

    /// What may belong to a customer.
    pub fn of_customer(ctx: &Ctx<'_>, res: Res, customer: Key) -> Self {
        let first = customer.0 - customer.0 % links::BLOCK;
        let (from, to) = (first, first + links::BLOCK);
        match res {
            Res::Subscription | Res::Customer | Res::Quote if customer.is_clocked() => {
                Self::These(vec![(res, customer)])
            }
            _ if ctx.world.rows < 2 * links::BLOCK => Self::All(res),
            Res::Charge | Res::PaymentIntent | Res::Invoice => Self::Near(res, from, to),
            Res::Subscription => Self::Near(res, from / 2, to / 2),
            _ => Self::All(res),
        }
    }
}

/// Newest first, from the one after `after` on. Deleted objects may be among them.
pub fn newest_first<'a>(
    ctx: &'a Ctx<'a>,
    scope: Scope,
    after: Option<Item>,
    created: Range,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    match scope {
        Scope::These(items) => {
            let skip = after
                .map_or(0, |a| items.iter().position(|i| *i == a).map_or(items.len(), |p| p + 1));
            Box::new(items.into_iter().skip(skip))
        }
        Scope::All(Res::Event) => {
            let log = &ctx.overlay.log;
            let keys = log.oldest_first().rev();
            let found = after.is_none();
            Box::new(skip_past(keys, after.map(|(_, key)| key), found).map(|key| (Res::Event, key)))
        }
        Scope::All(res) => whole(ctx, res, 0, u64::MAX, after, created),
        Scope::Near(res, from, to) => whole(ctx, res, from, to, after, created),
    }
}

/// Oldest first, from the one before `before` (in list order) on.
pub fn oldest_first<'a>(
    ctx: &'a Ctx<'a>,
    scope: Scope,
    before: Item,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    match scope {
        Scope::These(items) => {
            let end = items.iter().position(|i| *i == before).unwrap_or(0);
            Box::new(items.into_iter().take(end).rev())
        }
        Scope::All(Res::Event) => {
            let keys = ctx.overlay.log.oldest_first();
            Box::new(skip_past(keys, Some(before.1), false).map(|key| (Res::Event, key)))
        }
        Scope::All(res) => whole_oldest_first(ctx, res, 0, u64::MAX, before.1),
        Scope::Near(res, from, to) => whole_oldest_first(ctx, res, from, to, before.1),
    }
}

/// What follows `mark`, or everything if it was found already.
fn skip_past(
    keys: impl Iterator<Item = Key>,
    mark: Option<Key>,
    mut found: bool,
) -> impl Iterator<Item = Key> {
    keys.filter(move |key| {
        let past = found;
        found |= Some(*key) == mark;
        past
    })
}

fn whole<'a>(
    ctx: &'a Ctx<'a>,
    res: Res,
    from: u64,
    to: u64,
    after: Option<Item>,
    created: Range,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    let extras = ctx.overlay.extras(res);
    let (extras, below) = match after.map(|(_, key)| key) {
        None => (extras, None),
        Some(key) => match ctx.overlay.position(res, key) {
            Some(at) => (&extras[..at], None),
            None => (&extras[..0], Some(key)),
        },
    };
    let extras = extras.iter().rev().map(move |extra| (res, extra.key));
    let (low, high) = bounds(ctx, res, from, to, created);
    Box::new(extras.chain(base(ctx, res, low, high, below).map(move |key| (res, key))))
}

fn whole_oldest_first<'a>(
    ctx: &'a Ctx<'a>,
    res: Res,
    from: u64,
    to: u64,
    above: Key,
) -> Box<dyn Iterator<Item = Item> + 'a> {
    let all = ctx.overlay.extras(res);
    let late = ctx.overlay.position(res, above);
    let extras = late.map_or(all, |at| &all[at + 1..]).iter().map(move |extra| (res, extra.key));
    let (low, high) = bounds(ctx, res, from, to, Range::ALL);
    let base = base_upwards(ctx, res, if late.is_some() { high } else { low }, high, above);
    Box::new(base.map(move |key| (res, key)).chain(extras))
}

/// The original keys (for children: of their parents) that `created` and the range leave.
fn bounds(ctx: &Ctx<'_>, res: Res, from: u64, to: u64, created: Range) -> (u64, u64) {
    let counted = res.parent().unwrap_or(res);
    let count = ctx.world.base_count(counted);
    let moment = |i: u64| match res.parent() {
        Some(_) => ctx.world.base_created(res, Key(i).child(0)),
        None => ctx.world.base_created(res, Key(i)),
    };
    let low = partition(count, |i| moment(i) < created.from);
    let high = partition(count, |i| moment(i) <= created.to);
    (low.max(from), high.min(to))
}

/// The first number below `count` for which the test fails; it holds for all before.
fn partition(count: u64, test: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if test(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn base<'a>(
    ctx: &'a Ctx<'a>,
    res: Res,
    low: u64,
    high: u64,
    below: Option<Key>,
) -> Box<dyn Iterator<Item = Key> + 'a> {
    if res.parent().is_none() {
        let high = below.map_or(high, |key| high.min(key.0));
        return Box::new((low..high.max(low)).rev().map(Key));
    }
    let high = below.map_or(high, |key| high.min(key.parent().0 + 1));
    let parents = (low..high.max(low)).rev().map(Key);
    let children = parents
        .flat_map(move |p| (0..ctx.world.child_count(res, p)).rev().map(move |k| p.child(k)));
    Box::new(children.skip_while(move |key| below.is_some_and(|b| *key >= b)))
}

fn base_upwards<'a>(
    ctx: &'a Ctx<'a>,
    res: Res,
    low: u64,
    high: u64,
    above: Key,
) -> Box<dyn Iterator<Item = Key> + 'a> {
    if low >= high {
        return Box::new(std::iter::empty());
    }
    if res.parent().is_none() {
        return Box::new((low.max(above.0 + 1)..high).map(Key));
    }
    let parents = (low.max(above.parent().0)..high).map(Key);
    let children =
        parents.flat_map(move |p| (0..ctx.world.child_count(res, p)).map(move |k| p.child(k)));
    Box::new(children.skip_while(move |key| *key <= above))
}
