//! Customers and what belongs to them.

use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};

pub fn customer(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let balance = match key.0 % 251 {
        // Beyond what a 64-bit float can hold exactly.
        5 => 9_007_199_254_740_993,
        n if n % 10 == 3 => -500 * n as i64,
        _ => 0,
    };
    vars.int("balance", balance);
    vars.opt("test_clock", Res::TestClock, world.clock_of(key));
    let first = |res: Res| ctx.children(res, key).last().map(|k| Val::Ref(res, *k));
    let source = first(Res::CustomerCard).or_else(|| first(Res::BankAccount));
    vars.set("default_source", source.unwrap_or(Val::Null));
    vars.set("discount", first(Res::CustomerDiscount).unwrap_or(Val::Null));
    vars.opt("default_payment_method", Res::PaymentMethod, links::default_method(world, Some(key)));
    let business = key.0 % 9 == 2;
    vars.set("business_name", if business { Val::Str("Sandbox Trading Ltd") } else { Val::Null });
    vars.set(
        "individual_name",
        if key.0 % 9 == 4 { Val::Str("Sandbox Person") } else { Val::Null },
    );
}

/// A coupon, with a promotion code of it or without.
fn coupon(ctx: &Ctx<'_>, res: Res, key: Key, vars: &mut Vars) {
    let promotion = links::some(ctx.world, Res::PromotionCode, key.0, 81)
        .filter(|_| links::percent(ctx.world, res, key, 82) < 30);
    let coupon = match promotion {
        Some(code) => Some(coupon_of_promotion(ctx, code)),
        None => links::some(ctx.world, Res::Coupon, key.0, 83),
    };
    vars.opt("promotion_code", Res::PromotionCode, promotion);
    vars.opt("coupon", Res::Coupon, coupon);
}

/// The coupon that a promotion code gives.
pub fn coupon_of_promotion(ctx: &Ctx<'_>, code: Key) -> Key {
    Key(code.0 % ctx.world.base_count(Res::Coupon))
}

pub fn discount(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    coupon(ctx, Res::CustomerDiscount, key, vars);
}

pub fn subscription_discount(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    coupon(ctx, Res::SubscriptionDiscount, key, vars);
    vars.set(
        "customer",
        Val::Ref(Res::Customer, links::customer_of_subscription(ctx.world, key.parent())),
    );
}

pub fn entitlement(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let features = ctx.world.base_count(Res::Feature);
    let feature = Key((key.parent().0 + key.position()) % features);
    vars.set("feature", Val::Ref(Res::Feature, feature));
    vars.set("lookup_key", Val::Text(lookup_key(feature)));
}

/// The lookup key of a feature.
pub fn lookup_key(feature: Key) -> String {
    format!("feature-{}", feature.0)
}

pub fn payment_method(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let card = links::percent(ctx.world, Res::PaymentMethod, key, 84) < 85;
    vars.flag("card", card);
    vars.flag("sepa_debit", !card);
    vars.str("type", if card { "card" } else { "sepa_debit" });
}
