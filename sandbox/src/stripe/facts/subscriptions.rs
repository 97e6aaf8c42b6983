//! Subscriptions.

use super::customers;
use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::Vars;
use crate::stripe::world::World;

/// Status of a subscription; one in seven is canceled.
pub fn status(world: &World, key: Key) -> &'static str {
    match links::percent(world, Res::Subscription, key, 91) {
        0..14 => "canceled",
        14..20 => "past_due",
        20..26 => "trialing",
        26..28 => "unpaid",
        _ => "active",
    }
}

pub fn discount(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    customers::subscription_discount(ctx, key, vars);
}
