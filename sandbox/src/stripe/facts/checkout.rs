//! Checkout sessions and what is sold in them.

use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::prices;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

/// Sessions live for a day; the youngest are open, of the others most were completed.
pub fn status(world: &World, key: Key) -> &'static str {
    let young = world.base_created(Res::CheckoutSession, key) + 86_400 > world.clock_start;
    match key.0 % 4 {
        _ if young => "open",
        3 => "expired",
        _ => "complete",
    }
}

/// Completed sessions belong to a payment; there is one session for five rows.
fn payment(world: &World, session: Key) -> Option<Key> {
    let row = Key(session.0 * 5 + 4);
    (world.is_base(row) && status(world, session) == "complete").then_some(row)
}

pub fn session(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let status = status(world, key);
    let complete = status == "complete";
    vars.str("status", status);
    vars.flag("complete", complete);
    vars.str("mode", "payment");
    vars.str("payment_status", if complete { "paid" } else { "unpaid" });
    let payment = payment(world, key);
    vars.opt("payment_intent", Res::PaymentIntent, payment);
    vars.opt("customer", Res::Customer, payment.and_then(|p| links::customer_of_charge(world, p)));
    let count = world.child_count(Res::CheckoutLine, key);
    vars.int("amount", (0..count).map(|k| total(world, key.child(k))).sum());
    let url = format!("https://checkout.example.com/c/pay/{}", world.id(Res::CheckoutSession, key));
    vars.set("url", if status == "open" { Val::Text(url) } else { Val::Null });
}

fn quantity(world: &World, line: Key) -> i64 {
    1 + links::percent(world, Res::CheckoutLine, line, 121) as i64 / 40
}

fn price(world: &World, line: Key) -> Key {
    prices::one_time(world, world.luck(Res::CheckoutLine, line))
}

fn is_taxed(line: Key) -> bool {
    line.parent().0 % 3 == 1
}

fn amount(world: &World, line: Key) -> i64 {
    prices::unit_amount(world, price(world, line)) * quantity(world, line)
}

fn total(world: &World, line: Key) -> i64 {
    let amount = amount(world, line);
    if is_taxed(line) { amount + amount / 10 } else { amount }
}

pub fn line(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let (amount, total) = (amount(world, key), total(world, key));
    vars.int("amount", amount);
    vars.int("total", total);
    vars.int("tax", total - amount);
    vars.int("quantity", quantity(world, key));
    vars.set("price", Val::Ref(Res::Price, price(world, key)));
    vars.flag("taxed", is_taxed(key));
    vars.set(
        "tax_rate",
        Val::Ref(Res::TaxRate, Key(key.parent().0 % world.base_count(Res::TaxRate))),
    );
}
