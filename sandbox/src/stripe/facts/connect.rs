//! Application fees and transfers: what moves between the platform and its accounts.

use super::payments;
use crate::stripe::context::Ctx;
use crate::stripe::links;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

/// Equal parts for all children that leave something for the parent.
fn part(world: &World, child: Res, parent: Key, amount: i64) -> i64 {
    amount / (world.child_count(child, parent) as i64 + 1)
}

fn fee_amount(world: &World, fee: Key) -> i64 {
    payments::fee_amount(world, world.anchor(Res::ApplicationFee, fee))
}

pub fn fee(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let charge = world.anchor(Res::ApplicationFee, key);
    vars.set("charge", Val::Ref(Res::Charge, charge));
    vars.opt("account", Res::Account, links::some(world, Res::Account, key.0, 131));
    let amount = fee_amount(world, key);
    let refunds = world.child_count(Res::FeeRefund, key) as i64;
    vars.int("amount", amount);
    vars.int("amount_refunded", part(world, Res::FeeRefund, key, amount) * refunds);
    vars.flag("refunded", false);
}

pub fn fee_refund(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let fee = key.parent();
    vars.int("amount", part(ctx.world, Res::FeeRefund, fee, fee_amount(ctx.world, fee)));
}

fn transfer_amount(world: &World, transfer: Key) -> i64 {
    links::charge_amount(world, world.anchor(Res::Transfer, transfer)) / 10 * 8
}

pub fn transfer(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let charge = world.anchor(Res::Transfer, key);
    vars.set("charge", Val::Ref(Res::Charge, charge));
    vars.opt("destination", Res::Account, payments::destination(world, charge));
    vars.set("transfer_group", payments::transfer_group(charge));
    let amount = transfer_amount(world, key);
    let reversals = world.child_count(Res::TransferReversal, key) as i64;
    vars.int("amount", amount);
    vars.int("amount_reversed", part(world, Res::TransferReversal, key, amount) * reversals);
    vars.flag("reversed", false);
}

pub fn reversal(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let transfer = key.parent();
    vars.int(
        "amount",
        part(ctx.world, Res::TransferReversal, transfer, transfer_amount(ctx.world, transfer)),
    );
}
