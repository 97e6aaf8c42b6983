//! Products, prices, coupons, tax rates, features.

use super::customers;
use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::prices;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};

/// An amount as a decimal text.
pub fn decimal(amount: i64) -> Val {
    Val::Text(amount.to_string())
}

pub fn product(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let created = ctx.created(Res::Product, key);
    vars.int("updated", created + (ctx.world.clock_start - created).max(0) / 3);
    let has_price = key.0 < ctx.world.base_count(Res::Price) && key.0 % 5 != 4;
    vars.opt("default_price", Res::Price, has_price.then_some(key));
}

/// Prices, and the plans that the recurring ones are at the same time.
pub fn price(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let (tiered, metered) = (prices::is_tiered(key), links::is_metered(key));
    let recurring = prices::is_recurring(world, key);
    let amount = prices::unit_amount(world, key);
    vars.flag("tiered", tiered);
    vars.flag("recurring", recurring);
    vars.str("type", if recurring { "recurring" } else { "one_time" });
    vars.str("interval", prices::interval(key));
    vars.str("usage_type", if metered { "metered" } else { "licensed" });
    vars.set("aggregate_usage", if metered { Val::Str("sum") } else { Val::Null });
    vars.str("billing_scheme", if tiered { "tiered" } else { "per_unit" });
    vars.set("tiers_mode", if tiered { Val::Str("graduated") } else { Val::Null });
    vars.set("unit_amount", Val::opt_int((!tiered).then_some(amount)));
    vars.set("unit_amount_decimal", if tiered { Val::Null } else { decimal(amount) });
    let tier = |amount: i64, up_to: &str| {
        format!(
            "{{\"flat_amount\":null,\"flat_amount_decimal\":null,\"unit_amount\":{amount},\"unit_amount_decimal\":\"{amount}\",\"up_to\":{up_to}}}"
        )
    };
    vars.set("tiers", Val::Json(format!("[{},{}]", tier(amount, "10"), tier(amount / 2, "null"))));
    vars.set("product", Val::Ref(Res::Product, prices::product(world, key)));
    vars.set(
        "lookup_key",
        if key.0 % 3 == 1 { Val::Text(format!("price-{}", key.0)) } else { Val::Null },
    );
}

/// Half of the coupons take a percentage off, the others an amount.
pub fn coupon(key: Key, vars: &mut Vars) {
    let by_amount = key.0 % 2 == 1;
    let amount = 500 + 100 * key.0 as i64;
    vars.set("amount_off", Val::opt_int(by_amount.then_some(amount)));
    vars.set("currency", if by_amount { Val::Str("usd") } else { Val::Null });
    let percent = Val::Json(format!("{}.5", 5 + key.0 % 60));
    vars.set("percent_off", if by_amount { Val::Null } else { percent });
    let months = key.0 % 3 == 2;
    vars.str("duration", ["forever", "once", "repeating"][key.0 as usize % 3]);
    vars.set("months", Val::opt_int(months.then_some(3)));
}

pub fn promotion_code(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    vars.set("coupon", Val::Ref(Res::Coupon, customers::coupon_of_promotion(ctx, key)));
    let personal = key.0 % 10 == 3;
    vars.opt(
        "customer",
        Res::Customer,
        if personal { links::some(ctx.world, Res::Customer, key.0, 111) } else { None },
    );
}

pub fn tax_rate(key: Key, vars: &mut Vars) {
    vars.set(
        "percentage",
        Val::Json(["19.0", "20.0", "8.875", "23.0"][key.0 as usize % 4].to_owned()),
    );
}

pub fn feature(key: Key, vars: &mut Vars) {
    vars.flag("active", key.0 % 7 != 6);
    vars.set("lookup_key", Val::Text(customers::lookup_key(key)));
}
