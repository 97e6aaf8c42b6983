//! How objects belong together. Every relation is a function of the keys, and both ends use it:
//! charge `i` pays invoice `i` under payment intent `i`, every subscription has two invoices, and
//! what belongs to a customer lies within 64 keys of it.

use super::resource::{Key, Res};
use super::world::World;
use super::{counts, prices};
use crate::hash;

/// References stay inside blocks of that many keys, so that looking for them stays cheap.
pub const BLOCK: u64 = 64;

/// Status of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invoice {
    Draft,
    Open,
    Paid,
    Uncollectible,
    Void,
}

/// Status of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    Succeeded,
    Failed,
    Pending,
}

/// A number from 0 to 99 that belongs to the object.
pub fn percent(world: &World, res: Res, key: Key, salt: u64) -> u64 {
    hash::below(hash::join(world.luck(res, key), salt), 100)
}

/// A customer near row `near`, not younger than it.
pub fn customer_near(world: &World, near: u64, salt: u64) -> Key {
    let luck = hash::join(world.salt ^ salt, near);
    let (first, inside) = (near - near % BLOCK, near % BLOCK + 1);
    let found = first + hash::below(luck, inside);
    Key(if found < world.rows { found } else { hash::below(luck, world.rows) })
}

/// An object of a small collection.
pub fn some(world: &World, res: Res, near: u64, salt: u64) -> Option<Key> {
    let count = world.base_count(res);
    (count > 0).then(|| Key(hash::below(hash::join(world.salt ^ salt, near), count)))
}

pub fn customer_of_subscription(world: &World, subscription: Key) -> Key {
    if subscription.is_clocked() {
        return subscription;
    }
    customer_near(world, subscription.0 * 2, 31)
}

/// Seven invoices in ten belong to a subscription, two to each.
pub fn subscription_of_invoice(world: &World, invoice: Key) -> Option<Key> {
    let subscription = Key(invoice.0 / 2);
    let known = world.is_base(invoice) && subscription.0 < world.base_count(Res::Subscription);
    (known && invoice.0 % 20 < 14).then_some(subscription)
}

/// The newest invoice of a subscription.
pub fn latest_invoice(world: &World, subscription: Key) -> Option<Key> {
    [subscription.0 * 2 + 1, subscription.0 * 2].map(Key).into_iter().find(|i| {
        !subscription.is_clocked() && subscription_of_invoice(world, *i) == Some(subscription)
    })
}

pub fn customer_of_invoice(world: &World, invoice: Key) -> Key {
    match subscription_of_invoice(world, invoice) {
        Some(subscription) => customer_of_subscription(world, subscription),
        None => customer_near(world, invoice.0, 32),
    }
}

pub fn invoice_status(world: &World, invoice: Key) -> Invoice {
    if counts::invoice_lines(world, invoice) == 0 {
        return Invoice::Draft;
    }
    match percent(world, Res::Invoice, invoice, 33) {
        _ if invoice.0 % 512 == 7 => Invoice::Paid,
        0..75 => Invoice::Paid,
        75..85 => Invoice::Open,
        85..90 => Invoice::Draft,
        90..95 => Invoice::Void,
        _ => Invoice::Uncollectible,
    }
}

/// Whether the charge of the same key paid the invoice.
pub fn paid_by_charge(world: &World, invoice: Key) -> bool {
    world.is_base(invoice) && invoice_status(world, invoice) == Invoice::Paid
}

/// Charges that others hang on (disputes, fees, transfers, refunds) went through.
pub fn charge_status(world: &World, charge: Key) -> Charge {
    let i = charge.0;
    let wanted = matches!(i % 25, 1..=3) || matches!(i % 20, 0 | 5) || i % 512 == 7;
    if wanted || paid_by_charge(world, charge) {
        return Charge::Succeeded;
    }
    match percent(world, Res::Charge, charge, 34) {
        0..70 => Charge::Succeeded,
        70..90 => Charge::Failed,
        _ => Charge::Pending,
    }
}

/// A few old charges were made without a payment intent.
pub fn has_intent(world: &World, charge: Key) -> bool {
    world.is_base(charge) && (paid_by_charge(world, charge) || charge.0 % 17 != 3)
}

/// One standalone charge in five has no customer.
pub fn customer_of_charge(world: &World, charge: Key) -> Option<Key> {
    if paid_by_charge(world, charge) {
        return Some(customer_of_invoice(world, charge));
    }
    (percent(world, Res::Charge, charge, 35) >= 20).then(|| customer_near(world, charge.0, 36))
}

/// In the currency's minor unit. A few are beyond what a 64-bit float can hold exactly.
pub fn charge_amount(world: &World, charge: Key) -> i64 {
    if paid_by_charge(world, charge) {
        return invoice_sums(world, charge).total;
    }
    if charge.0 % 4096 == 77 {
        return 9_007_199_254_740_993;
    }
    100 + hash::below(hash::join(world.luck(Res::Charge, charge), 37), 90_000) as i64
}

/// The refund's share of its charge: all of it for a single refund now and then, else equal parts
/// that leave something.
pub fn refund_amount(world: &World, refund: Key) -> i64 {
    let charge = refund.parent();
    let count = counts::refunds(world, charge).max(refund.position() + 1) as i64;
    let amount = charge_amount(world, charge);
    if count == 1 && charge.0.is_multiple_of(2) { amount } else { amount / (count + 1) }
}

pub fn refunded(world: &World, charge: Key) -> i64 {
    (0..counts::refunds(world, charge)).map(|k| refund_amount(world, charge.child(k))).sum()
}

/// The first payment method of a customer.
pub fn default_method(world: &World, customer: Option<Key>) -> Option<Key> {
    let customer = customer?;
    (world.child_count(Res::PaymentMethod, customer) > 0).then(|| customer.child(0))
}

/// The recurring price of a subscription item.
pub fn price_of_item(world: &World, item: Key) -> Key {
    Key(hash::below(world.luck(Res::SubscriptionItem, item), world.base_count(Res::Plan)))
}

/// Every fifth recurring price is metered.
pub fn is_metered(price: Key) -> bool {
    price.0 % 5 == 4
}

pub fn item_quantity(world: &World, item: Key) -> i64 {
    1 + percent(world, Res::SubscriptionItem, item, 38) as i64 / 20
}

/// The sums of an invoice or of one of its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub subtotal: i64,
    pub discount: i64,
    pub tax: i64,
    pub total: i64,
}

/// The subscription item that a line of a subscription's invoice charges for.
pub fn item_of_line(world: &World, line: Key) -> Option<Key> {
    let subscription = subscription_of_invoice(world, line.parent())?;
    let items = counts::subscription_items(world, subscription);
    (line.position() < items).then(|| subscription.child(line.position()))
}

/// The invoice item that a line comes from, if it is not a subscription's.
pub fn invoice_item_of_line(world: &World, line: Key) -> Option<Key> {
    let items = world.child_count(Res::InvoiceItem, line.parent());
    (line.position() < items).then_some(line)
}

pub fn line_quantity(world: &World, line: Key) -> i64 {
    match item_of_line(world, line) {
        Some(item) => item_quantity(world, item),
        None => 1 + percent(world, Res::InvoiceLine, line, 39) as i64 / 30,
    }
}

/// The price that a line shows; what is not a subscription's has a one-time price.
pub fn price_of_line(world: &World, line: Key) -> Key {
    match item_of_line(world, line) {
        Some(item) => price_of_item(world, item),
        None => prices::one_time(world, world.luck(Res::InvoiceLine, line)),
    }
}

/// Four invoices in ten are taxed, at ten percent.
pub fn is_taxed(world: &World, invoice: Key) -> bool {
    percent(world, Res::Invoice, invoice, 40) < 40
}

pub fn line_sums(world: &World, line: Key) -> Sums {
    let invoice = line.parent();
    let amount =
        prices::unit_amount(world, price_of_line(world, line)) * line_quantity(world, line);
    let discounts = subscription_of_invoice(world, invoice)
        .map_or(0, |s| world.child_count(Res::SubscriptionDiscount, s)) as i64;
    let discount = amount / 10 * discounts;
    let tax = if is_taxed(world, invoice) { (amount - discount) / 10 } else { 0 };
    Sums { subtotal: amount, discount, tax, total: amount - discount + tax }
}

pub fn invoice_sums(world: &World, invoice: Key) -> Sums {
    let mut sums = Sums::default();
    for k in 0..counts::invoice_lines(world, invoice) {
        let line = line_sums(world, invoice.child(k));
        sums.subtotal += line.subtotal;
        sums.discount += line.discount;
        sums.tax += line.tax;
        sums.total += line.total;
    }
    sums
}

/// Balance transactions of a payout: the `i`-th payout pays out the `i`-th run of them.
fn transactions_a_payout(world: &World) -> u64 {
    world.rows.div_ceil(world.base_count(Res::Payout).max(1)).max(1)
}

/// The balance transactions of a payout, oldest first.
pub fn transactions_of_payout(
    world: &World,
    payout: Key,
) -> impl DoubleEndedIterator<Item = Key> + use<> {
    let (each, count) = (transactions_a_payout(world), world.rows);
    (payout.0.saturating_mul(each).min(count)..(payout.0 + 1).saturating_mul(each).min(count))
        .map(Key)
}

/// Every eighth payout was made by hand and has no list of transactions.
pub fn is_automatic(payout: Key) -> bool {
    payout.0 % 8 != 3
}
