//! Issued cards and what is bought with them.

use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

fn holder_of_card(world: &World, card: Key) -> Key {
    Key(card.0 % world.base_count(Res::Cardholder))
}

fn card_of_authorization(world: &World, authorization: Key) -> Key {
    links::some(world, Res::IssuingCard, authorization.0, 141).unwrap_or(Key(0))
}

fn amount(world: &World, authorization: Key) -> i64 {
    100 + 37 * links::percent(world, Res::Authorization, authorization, 142) as i64
}

pub fn card(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    vars.set("cardholder", Val::Ref(Res::Cardholder, holder_of_card(ctx.world, key)));
}

fn bought(ctx: &Ctx<'_>, authorization: Key, vars: &mut Vars) {
    let card = card_of_authorization(ctx.world, authorization);
    vars.set("card", Val::Ref(Res::IssuingCard, card));
    vars.set("cardholder", Val::Ref(Res::Cardholder, holder_of_card(ctx.world, card)));
}

pub fn authorization(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    bought(ctx, key, vars);
    vars.int("amount", amount(ctx.world, key));
}

/// There is one transaction for each authorization, under the same key.
pub fn transaction(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    bought(ctx, key, vars);
    vars.int("amount", -amount(world, key));
    let known = key.0 < world.base_count(Res::Authorization);
    vars.opt("authorization", Res::Authorization, known.then_some(key));
    let dispute = Key(key.0 / 3);
    let disputed =
        known && key.0.is_multiple_of(3) && dispute.0 < world.base_count(Res::IssuingDispute);
    vars.opt("dispute", Res::IssuingDispute, disputed.then_some(dispute));
}

/// The disputes are about every third transaction, from the first on.
pub fn dispute(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let transactions = ctx.world.base_count(Res::IssuingTransaction);
    vars.set("transaction", Val::Ref(Res::IssuingTransaction, Key(key.0 * 3 % transactions)));
}
