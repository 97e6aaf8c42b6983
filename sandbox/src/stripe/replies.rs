//! Answers other than lists: one object, the balance, faults.

use serde_json::json;

use super::context::Ctx;
use super::error::Error;
use super::query::Query;
use super::resource::{Key, Res};
use super::{events, expand, list, stubs};
use crate::api::Reply;
use crate::faults::Fault;
use crate::hash;

/// One object by id; a deleted one as its stub where Stripe keeps one.
pub fn object(
    ctx: &Ctx<'_>,
    query: &Query,
    kinds: &[Res],
    parent: Option<&str>,
    id: &str,
) -> Result<Vec<u8>, Error> {
    if let Some(stranger) = query.0.iter().find(|p| p.name != "expand") {
        return Err(Error::unknown_param(&stranger.name));
    }
    let expand = expand::for_object(ctx, query, kinds)?;
    let mut out = Vec::with_capacity(4096);
    for res in kinds {
        let Some(key) = ctx.world.key(*res, id) else { continue };
        if !belongs(ctx, *res, key, parent)? {
            continue;
        }
        if ctx.exists(*res, key) && !is_gone(ctx, *res, key) {
            ctx.write_object(*res, key, &expand, &mut out);
            return Ok(out);
        }
        if ctx.was(*res, key) && res.def().stub {
            stubs::write(ctx, *res, key, &mut out);
            return Ok(out);
        }
    }
    Err(Error::missing(404, kinds[0].def().object, id, "id"))
}

fn belongs(ctx: &Ctx<'_>, res: Res, key: Key, parent: Option<&str>) -> Result<bool, Error> {
    let (Some(id), Some(of)) = (parent, res.parent()) else { return Ok(true) };
    let parent =
        list::living(ctx, of, id).ok_or_else(|| Error::missing(404, of.def().object, id, "id"))?;
    Ok(key.parent() == parent)
}

fn is_gone(ctx: &Ctx<'_>, res: Res, key: Key) -> bool {
    res == Res::Event
        && ctx.overlay.log.get(key).is_none_or(|row| row.created < ctx.now - events::RETENTION)
}

/// The account of the key.
pub fn account(ctx: &Ctx<'_>) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(4096);
    ctx.write_object(Res::Account, ctx.world.own, &[], &mut out);
    Ok(out)
}

/// The balance: what the account has now.
pub fn balance(ctx: &Ctx<'_>) -> Vec<u8> {
    let amount = |salt: u64| hash::below(hash::join(ctx.world.salt, salt), 10_000_000);
    let part = |amount: u64, currency: &str| json!({"amount": amount, "currency": currency, "source_types": {"card": amount}});
    json!({
        "object": "balance",
        "available": [part(amount(1), "usd"), part(amount(2), "eur")],
        "connect_reserved": [{"amount": 0, "currency": "usd"}],
        "instant_available": [part(amount(3) / 2, "usd")],
        "issuing": {"available": [{"amount": amount(4), "currency": "usd"}]},
        "livemode": ctx.live,
        "pending": [part(amount(5), "usd"), part(amount(6), "eur")],
        "refund_and_dispute_prefunding": {
            "available": [{"amount": 0, "currency": "usd"}],
            "pending": [{"amount": 0, "currency": "usd"}],
        },
    })
    .to_string()
    .into_bytes()
}

/// A fault in Stripe's words; None for one that Stripe's API does not know.
pub fn fault(fault: &Fault) -> Option<Reply> {
    let mut headers = Vec::new();
    let error = match fault {
        Fault::TooMany { retry_after, reason } => {
            if let Some(seconds) = retry_after {
                headers.push(("retry-after", seconds.to_string()));
            }
            if let Some(reason) = reason {
                headers.push(("stripe-rate-limited-reason", reason.clone()));
            }
            let message = "Request rate limit exceeded. Slow down and try again.";
            Error::invalid(429, message).code("rate_limit")
        }
        Fault::LockTimeout => {
            headers.push(("stripe-should-retry", "true".to_owned()));
            let message =
                "This object cannot be accessed right now because another request is using it.";
            Error::invalid(429, message).code("lock_timeout")
        }
        Fault::RateLimit400 => {
            Error::invalid(400, "Request rate limit exceeded. Slow down and try again.")
                .code("rate_limit")
        }
        Fault::Conflict => {
            Error::invalid(409, "The request conflicts with another request in progress.")
        }
        Fault::ServerError { status, should_retry } => {
            if let Some(flag) = should_retry {
                headers.push(("stripe-should-retry", flag.to_string()));
            }
            Error::api(*status, "Something went wrong on our side.")
        }
        Fault::Html => {
            headers.push(("content-type", "text/html".to_owned()));
            let body = b"<!doctype html><html><body><h1>Maintenance</h1></body></html>".to_vec();
            return Some(Reply { status: 200, headers, body: body.into(), delay: None });
        }
        Fault::Reply { status, body } => {
            let body = body.clone().into_bytes().into();
            return Some(Reply { status: *status, headers, body, delay: None });
        }
        Fault::ExpireToken | Fault::Reset | Fault::Truncate(_) | Fault::Slow(_) => return None,
    };
    Some(Reply { status: error.status, headers, body: error.body().into(), delay: None })
}
