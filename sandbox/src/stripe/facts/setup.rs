//! Setup intents and their attempts.

use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

/// Status of a setup intent.
pub fn status(world: &World, key: Key) -> &'static str {
    match links::percent(world, Res::SetupIntent, key, 71) {
        0..70 => "succeeded",
        70..90 => "requires_payment_method",
        _ => "canceled",
    }
}

/// One setup intent in five rows, for a customer nearby.
fn customer(world: &World, intent: Key) -> Option<Key> {
    let known = links::percent(world, Res::SetupIntent, intent, 72) >= 10;
    let row = (intent.0 * 5) % world.rows;
    known.then(|| links::customer_near(world, row, 73))
}

pub fn intent(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let status = status(world, key);
    vars.str("status", status);
    vars.flag("failed", status == "requires_payment_method");
    vars.flag("attach_to_self", key.0 % 30 == 4);
    vars.set(
        "cancellation_reason",
        if status == "canceled" { Val::Str("abandoned") } else { Val::Null },
    );
    let customer = customer(world, key);
    vars.opt("customer", Res::Customer, customer);
    vars.opt("payment_method", Res::PaymentMethod, links::default_method(world, customer));
    let attempts = world.child_count(Res::SetupAttempt, key);
    vars.opt("latest_attempt", Res::SetupAttempt, attempts.checked_sub(1).map(|k| key.child(k)));
}

pub fn attempt(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let (world, intent) = (ctx.world, key.parent());
    let customer = customer(world, intent);
    vars.set("setup_intent", Val::Ref(Res::SetupIntent, intent));
    vars.opt("customer", Res::Customer, customer);
    vars.opt("payment_method", Res::PaymentMethod, links::default_method(world, customer));
    let last = key.position() + 1 == world.child_count(Res::SetupAttempt, intent);
    let succeeded = last && status(world, intent) == "succeeded";
    vars.flag("failed", !succeeded);
    vars.str("status", if succeeded { "succeeded" } else { "failed" });
}
