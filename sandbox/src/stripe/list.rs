//! List endpoints: scope, filters, paging.

use super::context::Ctx;
use super::error::Error;
use super::expand;
use super::filter::{self, Filter};
use super::links;
use super::query::Query;
use super::resource::{Key, Res};
use super::walk::{self, Item, Scope};

const DEFAULT_LIMIT: usize = 10;

/// Answers a list request.
pub fn answer(
    ctx: &Ctx<'_>,
    path: &str,
    query: &Query,
    kinds: &[Res],
    parent: Option<&str>,
) -> Result<Vec<u8>, Error> {
    let filter = filter::parse(query, kinds, parent.is_some(), path)?;
    let expand = expand::for_list(ctx, query, kinds)?;
    let limit = limit(query)?;
    let kinds = of_wanted_object(query, kinds);
    let scope = scope(ctx, query, &kinds, parent)?;
    let (items, more) = page(ctx, query, &kinds, scope, &filter, limit)?;

    let mut out = Vec::with_capacity(256 + items.len() * 1800);
    out.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
    for (i, (res, key)) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        ctx.write_object(*res, *key, &expand, &mut out);
    }
    out.extend_from_slice(format!("],\"has_more\":{more},\"url\":\"{path}\"}}").as_bytes());
    Ok(out)
}

fn limit(query: &Query) -> Result<usize, Error> {
    let Some(text) = query.get("limit") else { return Ok(DEFAULT_LIMIT) };
    match text.parse::<i64>() {
        Ok(number @ 1..=100) => Ok(number as usize),
        Ok(number) if number > 100 => Err(Error::bad_integer(
            "limit",
            "This value must be less than or equal to 100 (it currently is set to more).",
        )),
        Ok(_) => Err(Error::bad_integer("limit", "This value must be greater than or equal to 1.")),
        Err(_) => Err(Error::bad_integer("limit", format!("Invalid integer: {text}"))),
    }
}

/// Mixed lists can be asked for one kind by `object=card`.
fn of_wanted_object(query: &Query, kinds: &[Res]) -> Vec<Res> {
    let wanted = query.get("object");
    kinds.iter().copied().filter(|res| wanted.is_none_or(|w| res.def().object == w)).collect()
}

/// Which objects are looked at: those of a parent, of a test clock, of a payout, or all.
fn scope(
    ctx: &Ctx<'_>,
    query: &Query,
    kinds: &[Res],
    parent: Option<&str>,
) -> Result<Scope, Error> {
    let Some(res) = kinds.first().copied() else { return Ok(Scope::These(Vec::new())) };
    let def = res.def();
    if let (Some(id), Some(of)) = (parent, res.parent()) {
        let key =
            living(ctx, of, id).ok_or_else(|| Error::missing(404, of.def().object, id, "id"))?;
        return Ok(Scope::children(ctx, kinds, key));
    }
    if let (Some(param), Some(of)) = (def.parent_param, res.parent())
        && let Some(id) = query.get(param)
    {
        let key =
            living(ctx, of, id).ok_or_else(|| Error::missing(400, of.def().object, id, param))?;
        return Ok(Scope::children(ctx, kinds, key));
    }
    if let Some(id) = query.get("test_clock") {
        let clock = living(ctx, Res::TestClock, id)
            .ok_or_else(|| Error::missing(400, Res::TestClock.def().object, id, "test_clock"))?;
        return Ok(Scope::These(ctx.world.clocked(clock).rev().map(|key| (res, key)).collect()));
    }
    if let (Res::BalanceTransaction, Some(id)) = (res, query.get("payout")) {
        return of_payout(ctx, id);
    }
    match query.get("customer").and_then(|id| ctx.world.key(Res::Customer, id)) {
        Some(customer) => Ok(Scope::of_customer(ctx, res, customer)),
        None => Ok(Scope::All(res)),
    }
}

fn of_payout(ctx: &Ctx<'_>, id: &str) -> Result<Scope, Error> {
    let payout =
        living(ctx, Res::Payout, id).ok_or_else(|| Error::missing(400, "payout", id, "payout"))?;
    if !links::is_automatic(payout) {
        let message =
            "Balance transaction history can only be filtered on automatic transfers, not manual.";
        return Err(Error::invalid(400, message).param("payout"));
    }
    let transactions = links::transactions_of_payout(ctx.world, payout).rev();
    Ok(Scope::These(transactions.map(|key| (Res::BalanceTransaction, key)).collect()))
}

/// The key of an id whose object is there.
pub fn living(ctx: &Ctx<'_>, res: Res, id: &str) -> Option<Key> {
    ctx.world.key(res, id).filter(|key| ctx.exists(res, *key))
}

fn page(
    ctx: &Ctx<'_>,
    query: &Query,
    kinds: &[Res],
    scope: Scope,
    filter: &Filter,
    limit: usize,
) -> Result<(Vec<Item>, bool), Error> {
    let after = cursor(ctx, query, kinds, &scope, "starting_after")?;
    let before = cursor(ctx, query, kinds, &scope, "ending_before")?;
    let shown =
        |item: &Item| !ctx.is_deleted(item.0, item.1) && filter.lets_through(ctx, item.0, item.1);
    let mut items: Vec<Item> = match (after, before) {
        (Some(_), Some(_)) => {
            let message = "You cannot parameterize with both starting_after and ending_before.";
            return Err(Error::invalid(400, message));
        }
        (_, Some(before)) => {
            walk::oldest_first(ctx, scope, before).filter(shown).take(limit + 1).collect()
        }
        (after, None) => walk::newest_first(ctx, scope, after, filter.created)
            .filter(shown)
            .take(limit + 1)
            .collect(),
    };
    let more = items.len() > limit;
    items.truncate(limit);
    if before.is_some() {
        items.reverse();
    }
    Ok((items, more))
}

fn cursor(
    ctx: &Ctx<'_>,
    query: &Query,
    kinds: &[Res],
    scope: &Scope,
    name: &str,
) -> Result<Option<Item>, Error> {
    let Some(id) = query.get(name) else { return Ok(None) };
    let in_scope = |item: &Item| match scope {
        Scope::These(items) => items.contains(item),
        _ => true,
    };
    let found = kinds
        .iter()
        .filter_map(|res| Some((*res, living(ctx, *res, id)?)))
        .find(|item| in_scope(item) && is_kept(ctx, *item));
    match (found, kinds.first()) {
        (None, Some(Res::Event))
            if ctx.world.key(Res::Event, id).is_some_and(|key| ctx.was(Res::Event, key)) =>
        {
            let message =
                format!("No such event: '{id}'; it has aged out of the retention policy.");
            Err(Error::invalid(400, message).code("resource_missing").param(name))
        }
        (None, Some(res)) => Err(Error::missing(400, res.def().object, id, name)),
        (found, _) => Ok(found),
    }
}

/// Events past their retention cannot be paged from.
fn is_kept(ctx: &Ctx<'_>, (res, key): Item) -> bool {
    res != Res::Event
        || ctx
            .overlay
            .log
            .get(key)
            .is_some_and(|row| super::events::is_visible(ctx.world, row, ctx.now))
}
