//! Objects for admin calls that do not name any: spread over the data, the same in every run.

use super::context::Ctx;
use super::counts;
use super::filter::Range;
use super::resource::{Key, Res, Size};
use super::walk::{self, Scope};
use crate::hash;

/// `wanted` living objects of a kind, or all there are. `turn` makes later calls pick others.
pub fn some(ctx: &Ctx<'_>, res: Res, wanted: u64, turn: usize) -> Vec<Key> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let mut found: Vec<Key> = Vec::new();
    let luck = hash::join(ctx.world.salt ^ 0x91c4, turn as u64);
    for i in 0..(wanted as u64).saturating_mul(20).min(1_000_000) {
        if found.len() == wanted {
            return found;
        }
        let candidate = at_random(ctx, res, hash::join(luck, i));
        found.extend(candidate.filter(|key| is_there(ctx, res, *key) && !found.contains(key)));
    }
    let rest = every(ctx, res).into_iter().filter(|key| is_there(ctx, res, *key));
    for key in rest {
        if found.len() >= wanted {
            break;
        }
        if !found.contains(&key) {
            found.push(key);
        }
    }
    found
}

fn is_there(ctx: &Ctx<'_>, res: Res, key: Key) -> bool {
    let ended = res == Res::Subscription
        && ctx.object(res, key, &[]).get("status").is_some_and(|s| s == "canceled");
    ctx.exists(res, key) && !ended
}

fn at_random(ctx: &Ctx<'_>, res: Res, luck: u64) -> Option<Key> {
    let Some(of) = res.parent() else {
        let count = ctx.world.base_count(res);
        return (count > 0).then(|| Key(hash::below(luck, count)));
    };
    let parent = at_random(ctx, of, hash::mix(luck))?;
    let children = ctx.children(res, parent);
    if children.is_empty() {
        None
    } else {
        Some(children[hash::below(luck, children.len() as u64) as usize])
    }
}

fn every(ctx: &Ctx<'_>, res: Res) -> Vec<Key> {
    match res.parent() {
        Some(of) => {
            every(ctx, of).into_iter().flat_map(|parent| ctx.children(res, parent)).collect()
        }
        None => {
            walk::newest_first(ctx, Scope::All(res), None, Range::ALL).map(|(_, key)| key).collect()
        }
    }
}

/// A parent for a new child: one that can have such children.
pub fn parent(ctx: &Ctx<'_>, res: Res, of: Res) -> Option<Key> {
    let turn = ctx.overlay.log.len() + ctx.overlay.extras(res).len();
    let fits = |key: &Key| res != Res::Refund || counts::is_refundable(ctx.world, *key);
    // Nested kinds only: a parent of a parent is picked like any object.
    let candidates = match of.def().size {
        Size::Children { .. } => some(ctx, of, 1, turn),
        _ => some(ctx, of, 20, turn),
    };
    candidates.into_iter().find(fits)
}
