//! Charges, payment intents, and what hangs on them.

use crate::hash;
use crate::stripe::context::Ctx;
use crate::stripe::links::{self, Charge};
use crate::stripe::resource::{Key, PLATFORM, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

const DAY: i64 = 86_400;

/// Invoices and what pays them are in dollars; the rest is in several currencies.
fn currency(world: &World, charge: Key) -> &'static str {
    if links::paid_by_charge(world, charge) {
        return "usd";
    }
    ["usd", "usd", "usd", "eur", "gbp", "jpy"]
        [links::percent(world, Res::Charge, charge, 61) as usize % 6]
}

/// A connected account, for the payments that go to one.
pub fn destination(world: &World, charge: Key) -> Option<Key> {
    let goes_on = world.anchored(Res::Transfer, charge).is_some();
    if goes_on { links::some(world, Res::Account, charge.0, 62) } else { None }
}

fn shared(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    vars.int("amount", links::charge_amount(world, key));
    vars.str("currency", currency(world, key));
    let customer = links::customer_of_charge(world, key);
    vars.opt("customer", Res::Customer, customer);
    vars.opt("payment_method", Res::PaymentMethod, links::default_method(world, customer));
    let by_invoice = links::paid_by_charge(world, key);
    vars.opt("invoice", Res::Invoice, by_invoice.then_some(key));
    vars.str("description", if by_invoice { "Payment for an invoice" } else { "Sandbox order" });
    vars.opt("review", Res::Review, world.anchored(Res::Review, key));
    let fee = world.anchored(Res::ApplicationFee, key);
    vars.opt("application_fee", Res::ApplicationFee, fee);
    vars.set("application_fee_amount", Val::opt_int(fee.map(|_| fee_amount(world, key))));
    vars.opt("destination", Res::Account, destination(world, key));
    let transfer = world.anchored(Res::Transfer, key);
    vars.opt("transfer", Res::Transfer, transfer);
    let group = transfer.map_or(Val::Null, |_| transfer_group(key));
    vars.set("transfer_group", group);
}

/// The group of a charge and the transfer that it pays for.
pub fn transfer_group(charge: Key) -> Val {
    Val::Text(format!("group_{}", charge.0))
}

/// The platform's share of a charge.
pub fn fee_amount(world: &World, charge: Key) -> i64 {
    links::charge_amount(world, charge) / 20
}

pub fn charge(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    shared(ctx, key, vars);
    let status = links::charge_status(world, key);
    let amount = links::charge_amount(world, key);
    let paid = status == Charge::Succeeded;
    let refunded = links::refunded(world, key);
    vars.int("captured_amount", if paid { amount } else { 0 });
    vars.int("amount_refunded", refunded);
    vars.flag("refunded", refunded > 0 && refunded == amount);
    vars.flag("paid", paid);
    vars.flag("captured", paid);
    let booked = paid && world.is_base(key);
    vars.opt("balance_transaction", Res::BalanceTransaction, booked.then_some(key));
    vars.opt("payment_intent", Res::PaymentIntent, links::has_intent(world, key).then_some(key));
    let dispute = world.anchored(Res::Dispute, key);
    vars.flag("disputed", dispute.is_some());
    vars.opt("dispute", Res::Dispute, dispute);
    let presented = key.0 % 50 == 11;
    vars.flag("presented", presented);
    vars.int("presentment_amount", amount / 2);
    outcome(status, vars);
}

fn outcome(status: Charge, vars: &mut Vars) {
    let [status, network, kind, message] = match status {
        Charge::Succeeded => {
            ["succeeded", "approved_by_network", "authorized", "Payment complete."]
        }
        Charge::Failed => [
            "failed",
            "declined_by_network",
            "issuer_declined",
            "The bank returned a decline code.",
        ],
        Charge::Pending => ["pending", "approved_by_network", "authorized", "Payment pending."],
    };
    vars.str("status", status);
    vars.str("network_status", network);
    vars.str("outcome_type", kind);
    vars.str("seller_message", message);
    let failed = |text| if status == "failed" { Val::Str(text) } else { Val::Null };
    vars.set("failure_code", failed("card_declined"));
    vars.set("failure_message", failed("Your card was declined."));
    vars.set("outcome_reason", failed("generic_decline"));
    vars.set("decline_code", failed("05"));
}

/// Status of a payment intent.
pub fn intent_status(world: &World, key: Key) -> &'static str {
    if links::has_intent(world, key) {
        return match links::charge_status(world, key) {
            Charge::Succeeded => "succeeded",
            Charge::Failed => "requires_payment_method",
            Charge::Pending => "processing",
        };
    }
    ["canceled", "requires_confirmation", "requires_action"]
        [links::percent(world, Res::PaymentIntent, key, 63) as usize % 3]
}

pub fn intent(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    shared(ctx, key, vars);
    let status = intent_status(world, key);
    vars.str("status", status);
    vars.flag("failed", status == "requires_payment_method");
    vars.int("received", if status == "succeeded" { links::charge_amount(world, key) } else { 0 });
    vars.opt("latest_charge", Res::Charge, links::has_intent(world, key).then_some(key));
    let canceled = status == "canceled";
    vars.set(
        "canceled_at",
        Val::opt_int(canceled.then(|| ctx.created(Res::PaymentIntent, key) + 60)),
    );
    vars.set("cancellation_reason", if canceled { Val::Str("abandoned") } else { Val::Null });
}

/// A charge that went through is booked under its own key; the other rows are fees.
pub fn balance_transaction(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let booked = world.is_base(key) && links::charge_status(world, key) == Charge::Succeeded;
    let (amount, fee) = if booked {
        let amount = links::charge_amount(world, key);
        (amount, amount / 1000 * 29 + 30)
    } else {
        (-(100 + hash::below(world.luck(Res::BalanceTransaction, key), 900) as i64), 0)
    };
    vars.int("amount", amount);
    vars.int("fee", fee);
    vars.int("net", amount - fee);
    let details = format!(
        "[{{\"amount\":{fee},\"application\":null,\"currency\":\"usd\",\"description\":\"Processing fees\",\"type\":\"stripe_fee\"}}]"
    );
    vars.set("fee_details", Val::Json(if booked { details } else { "[]".to_owned() }));
    vars.opt("source", Res::Charge, booked.then_some(key));
    vars.str("type", if booked { "charge" } else { "stripe_fee" });
    vars.str("category", if booked { "charge" } else { "fee" });
    vars.str("description", if booked { "Sandbox order" } else { "Card payment fees" });
    let foreign = booked && currency(world, key) != "usd";
    vars.set("exchange_rate", if foreign { Val::Json("1.0825".to_owned()) } else { Val::Null });
    // Money becomes available at a midnight; the status follows the clock without any event.
    let created = ctx.created(Res::BalanceTransaction, key);
    let available = (created / DAY + 3) * DAY;
    vars.int("available_on", available);
    vars.str("status", if available <= ctx.now { "available" } else { "pending" });
}

pub fn refund(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let (world, charge) = (ctx.world, key.parent());
    vars.int("amount", links::refund_amount(world, key));
    vars.str("currency", currency(world, charge));
    vars.set("charge", Val::Ref(Res::Charge, charge));
    vars.opt(
        "payment_intent",
        Res::PaymentIntent,
        links::has_intent(world, charge).then_some(charge),
    );
}

/// Disputes, reviews and fraud warnings name the charge that they are about.
pub fn about_charge(ctx: &Ctx<'_>, res: Res, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let charge = world.anchor(res, key);
    vars.set("charge", Val::Ref(Res::Charge, charge));
    vars.opt(
        "payment_intent",
        Res::PaymentIntent,
        links::has_intent(world, charge).then_some(charge),
    );
    vars.int("amount", links::charge_amount(world, charge));
    vars.str("currency", currency(world, charge));
    let open = key.0.is_multiple_of(3);
    vars.flag("open", open);
    vars.str("reason", if open { "rule" } else { "approved" });
    vars.set("closed_reason", if open { Val::Null } else { Val::Str("approved") });
}

pub fn payout(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let automatic = links::is_automatic(key);
    let created = ctx.created(Res::Payout, key);
    vars.flag("automatic", automatic);
    vars.int("arrival_date", (created / DAY + 2) * DAY);
    let bank = (ctx.world.own == PLATFORM).then(|| PLATFORM.child(0));
    vars.opt("destination", Res::ExternalBankAccount, bank);
    let failed = links::percent(ctx.world, Res::Payout, key, 64) < 5;
    let status = match failed {
        true => "failed",
        false if created + 2 * DAY > ctx.world.clock_start => "pending",
        false => "paid",
    };
    vars.str("status", status);
    vars.set("failure_code", if failed { Val::Str("account_closed") } else { Val::Null });
    vars.set(
        "failure_message",
        if failed { Val::Str("The bank account has been closed.") } else { Val::Null },
    );
    vars.str("reconciliation_status", if automatic { "completed" } else { "not_applicable" });
}

pub fn file_link(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    vars.set("file", Val::Ref(Res::File, key.parent()));
    let expires = links::percent(ctx.world, Res::FileLink, key, 65) < 50;
    let at = ctx.created(Res::FileLink, key) + 30 * DAY;
    vars.set("expires_at", Val::opt_int(expires.then_some(at)));
    vars.flag("expired", expires && at <= ctx.world.clock_start);
}
