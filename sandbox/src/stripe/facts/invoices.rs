//! Invoices, their lines and payments, invoice items, credit notes.

use super::catalog;
use crate::stripe::context::Ctx;
use crate::stripe::links::{self, Invoice};
use crate::stripe::prices;
use crate::stripe::resource::{Key, Res};
use crate::stripe::shape::{Val, Vars};
use crate::stripe::world::World;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The tax rate of a taxed invoice.
fn tax_rate(world: &World, invoice: Key) -> Key {
    Key(invoice.0 % world.base_count(Res::TaxRate))
}

/// The discounts of the invoice's subscription apply to the invoice and its lines.
fn discounts(ctx: &Ctx<'_>, invoice: Key, vars: &mut Vars) {
    let subscription = links::subscription_of_invoice(ctx.world, invoice);
    let all: Vec<(Res, Key)> = subscription.map_or_else(Vec::new, |s| {
        let count = ctx.world.child_count(Res::SubscriptionDiscount, s);
        (0..count).map(|k| (Res::SubscriptionDiscount, s.child(k))).collect()
    });
    vars.flag("discounted", !all.is_empty());
    vars.opt("discount", Res::SubscriptionDiscount, all.first().map(|(_, key)| *key));
    vars.set("discounts", Val::Refs(all));
    vars.set("tax_rate", Val::Ref(Res::TaxRate, tax_rate(ctx.world, invoice)));
}

pub fn invoice(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let world = ctx.world;
    let status = links::invoice_status(world, key);
    let created = ctx.created(Res::Invoice, key);
    vars.set("customer", Val::Ref(Res::Customer, links::customer_of_invoice(world, key)));
    let subscription = links::subscription_of_invoice(world, key);
    vars.opt("subscription", Res::Subscription, subscription);
    vars.str(
        "billing_reason",
        if subscription.is_some() { "subscription_cycle" } else { "manual" },
    );
    vars.str(
        "status",
        match status {
            Invoice::Draft => "draft",
            Invoice::Open => "open",
            Invoice::Paid => "paid",
            Invoice::Uncollectible => "uncollectible",
            Invoice::Void => "void",
        },
    );
    sums(world, key, status, vars);
    discounts(ctx, key, vars);
    let when = |is: bool, after: i64| Val::opt_int(is.then_some(created + after));
    vars.set("finalized_at", when(status != Invoice::Draft, HOUR));
    vars.set("paid_at", when(status == Invoice::Paid, HOUR + 60));
    vars.set("voided_at", when(status == Invoice::Void, 2 * HOUR));
    vars.set("uncollectible_at", when(status == Invoice::Uncollectible, 30 * DAY));
    vars.set("next_attempt", when(status == Invoice::Open, 3 * DAY));
    vars.set("due_date", when(key.0 % 4 == 1, 30 * DAY));
    vars.flag("open", status == Invoice::Open);
    let paid = status == Invoice::Paid;
    vars.flag("paid", paid);
    vars.flag("attempted", paid);
    vars.int("attempts", i64::from(paid));
    let has_payments = world.child_count(Res::InvoicePayment, key) > 0;
    vars.opt("charge", Res::Charge, links::paid_by_charge(world, key).then_some(key));
    vars.opt("payment_intent", Res::PaymentIntent, has_payments.then_some(key));
    let note = world.anchored(Res::CreditNote, key).filter(|n| !is_void(*n));
    vars.int("credited", note.map_or(0, |n| credit_note_amount(world, n)));
}

fn sums(world: &World, key: Key, status: Invoice, vars: &mut Vars) {
    let sums = links::invoice_sums(world, key);
    vars.int("subtotal", sums.subtotal);
    vars.int("discount_amount", sums.discount);
    vars.int("total_excluding_tax", sums.subtotal - sums.discount);
    vars.int("total", sums.total);
    let taxed = links::is_taxed(world, key);
    vars.flag("taxed", taxed);
    vars.set("tax", Val::opt_int(taxed.then_some(sums.tax)));
    let paid = if status == Invoice::Paid { sums.total } else { 0 };
    vars.int("amount_due", sums.total);
    vars.int("amount_paid", paid);
    vars.int("amount_remaining", sums.total - paid);
}

pub fn line(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let (world, invoice) = (ctx.world, key.parent());
    let sums = links::line_sums(world, key);
    vars.int("amount", sums.subtotal);
    vars.int("discount_amount", sums.discount);
    vars.int("tax", sums.tax);
    vars.int("taxable", sums.subtotal - sums.discount);
    vars.flag("taxed", links::is_taxed(world, invoice));
    discounts(ctx, invoice, vars);
    let quantity = links::line_quantity(world, key);
    vars.int("quantity", quantity);
    vars.set("quantity_decimal", Val::Text(quantity.to_string()));
    vars.flag("proration", links::percent(world, Res::InvoiceLine, key, 101) < 5);

    let subscription = links::subscription_of_invoice(world, invoice);
    vars.opt("subscription", Res::Subscription, subscription);
    // A subscription's invoice can have more lines than the subscription has items: prorations of
    // the first item.
    let item = subscription.map(|s| links::item_of_line(world, key).unwrap_or(s.child(0)));
    vars.opt("subscription_item", Res::SubscriptionItem, item);
    vars.opt("invoice_item", Res::InvoiceItem, links::invoice_item_of_line(world, key));
    let [parent, kind, text] = match subscription {
        Some(_) => ["subscription_item_details", "subscription", "1 × Sandbox plan"],
        None => ["invoice_item_details", "invoiceitem", "Sandbox goods"],
    };
    vars.str("parent_type", parent);
    vars.str("line_type", kind);
    vars.str("description", text);
    pricing(world, links::price_of_line(world, key), vars);
}

fn pricing(world: &World, price: Key, vars: &mut Vars) {
    vars.set("price", Val::Ref(Res::Price, price));
    vars.opt("plan", Res::Plan, prices::is_recurring(world, price).then_some(price));
    vars.set("product", Val::Ref(Res::Product, prices::product(world, price)));
    let amount = prices::unit_amount(world, price);
    vars.int("unit_amount", amount);
    vars.set("unit_amount_decimal", Val::Text(amount.to_string()));
}

/// The items behind an invoice's lines; one more may wait for the next invoice.
pub fn item(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let (world, invoice) = (ctx.world, key.parent());
    vars.set("customer", Val::Ref(Res::Customer, links::customer_of_invoice(world, invoice)));
    let attached = key.position() < world.child_count(Res::InvoiceLine, invoice);
    vars.opt("invoice", Res::Invoice, attached.then_some(invoice));
    vars.int("amount", links::line_sums(world, key).subtotal);
    let quantity = links::line_quantity(world, key);
    vars.int("quantity", quantity);
    vars.set("quantity_decimal", Val::Text(quantity.to_string()));
    pricing(world, links::price_of_line(world, key), vars);
}

/// The first payment of an invoice is the default one; a second one was given up.
pub fn payment(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let (world, invoice) = (ctx.world, key.parent());
    let created = ctx.created(Res::InvoicePayment, key);
    let first = key.position() == 0;
    let status = match (first, links::invoice_status(world, invoice)) {
        (true, Invoice::Paid) => "paid",
        (true, _) => "open",
        (false, _) => "canceled",
    };
    let total = links::invoice_sums(world, invoice).total;
    vars.int("amount", total);
    vars.set("amount_paid", Val::opt_int((status == "paid").then_some(total)));
    vars.flag("is_default", first);
    vars.str("status", status);
    vars.set("paid_at", Val::opt_int((status == "paid").then_some(created)));
    vars.set("canceled_at", Val::opt_int((status == "canceled").then_some(created)));
    // Some payments are booked as charges without a payment intent.
    let by_charge = status == "paid" && invoice.0 % 7 == 2;
    vars.str("type", if by_charge { "charge" } else { "payment_intent" });
    vars.opt("charge", Res::Charge, by_charge.then_some(invoice));
    vars.opt("payment_intent", Res::PaymentIntent, (!by_charge).then_some(invoice));
}

fn is_void(note: Key) -> bool {
    note.0 % 6 == 5
}

fn credit_note_line_amount(world: &World, line: Key) -> i64 {
    100 + links::percent(world, Res::CreditNoteLine, line, 102) as i64 * 10
}

fn credit_note_amount(world: &World, note: Key) -> i64 {
    let count = world.child_count(Res::CreditNoteLine, note);
    (0..count).map(|k| credit_note_line_amount(world, note.child(k))).sum()
}

pub fn credit_note(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let invoice = ctx.world.anchor(Res::CreditNote, key);
    vars.set("invoice", Val::Ref(Res::Invoice, invoice));
    vars.set("customer", Val::Ref(Res::Customer, links::customer_of_invoice(ctx.world, invoice)));
    vars.int("amount", credit_note_amount(ctx.world, key));
    vars.str("status", if is_void(key) { "void" } else { "issued" });
    let voided = ctx.created(Res::CreditNote, key) + HOUR;
    vars.set("voided_at", Val::opt_int(is_void(key).then_some(voided)));
}

pub fn credit_note_line(ctx: &Ctx<'_>, key: Key, vars: &mut Vars) {
    let amount = credit_note_line_amount(ctx.world, key);
    vars.int("amount", amount);
    vars.set("amount_decimal", catalog::decimal(amount));
}
