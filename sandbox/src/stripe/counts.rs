//! How many children each parent has. Most have up to three, some none, a few more than a nested
//! list shows; which parents those are is fixed by their keys, so small data sets have them too.

use super::links;
use super::resource::{Key, PLATFORM};
use super::world::World;
use crate::hash;

/// `usual` picks from a list by luck; every 512th parent (the eighth and so on) has `many`.
fn pick(world: &World, parent: Key, salt: u64, usual: &[u64], many: u64) -> u64 {
    if parent.0 % 512 == 7 {
        return many;
    }
    let luck = hash::join(world.salt ^ salt, parent.0);
    usual[hash::below(luck, usual.len() as u64) as usize]
}

/// Only charges that went through can be refunded: on average one refund in ten charges.
pub fn refunds(world: &World, charge: Key) -> u64 {
    let usual =
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
    if is_refundable(world, charge) { pick(world, charge, 1, &usual, 12) } else { 0 }
}

/// Whether money came in that can go back.
pub fn is_refundable(world: &World, charge: Key) -> bool {
    links::charge_status(world, charge) == links::Charge::Succeeded
}

pub fn setup_attempts(world: &World, intent: Key) -> u64 {
    pick(world, intent, 2, &[0, 1, 1, 2, 3], 11)
}

pub fn payment_methods(world: &World, customer: Key) -> u64 {
    pick(world, customer, 3, &[0, 1, 1, 1, 2, 1, 3, 1], 12)
}

pub fn file_links(world: &World, file: Key) -> u64 {
    pick(world, file, 4, &[0, 0, 1, 2], 11)
}

pub fn checkout_lines(world: &World, session: Key) -> u64 {
    pick(world, session, 5, &[1, 1, 2, 3], 13)
}

pub fn customer_cards(world: &World, customer: Key) -> u64 {
    pick(world, customer, 6, &[0, 0, 0, 0, 1, 0, 0, 2], 11)
}

pub fn bank_accounts(world: &World, customer: Key) -> u64 {
    pick(world, customer, 7, &[0, 0, 0, 1, 0, 0, 2, 0], 12)
}

pub fn customer_balance_transactions(world: &World, customer: Key) -> u64 {
    pick(world, customer, 8, &[0, 0, 1, 0, 2, 0, 0, 3], 11)
}

pub fn customer_tax_ids(world: &World, customer: Key) -> u64 {
    pick(world, customer, 9, &[0, 0, 0, 1], 2)
}

pub fn customer_discounts(world: &World, customer: Key) -> u64 {
    pick(world, customer, 10, &[0, 0, 0, 0, 0, 0, 0, 1], 1)
}

pub fn active_entitlements(world: &World, customer: Key) -> u64 {
    pick(world, customer, 11, &[0, 0, 1, 2], 3)
}

pub fn invoice_lines(world: &World, invoice: Key) -> u64 {
    pick(world, invoice, 12, &[1, 1, 1, 2, 3, 1, 2, 1, 1, 3, 1, 2, 1, 1, 1, 0], 25)
}

/// The lines of an invoice without a subscription come from invoice items; some have one more
/// item, which waits for the next invoice.
pub fn invoice_items(world: &World, invoice: Key) -> u64 {
    if links::subscription_of_invoice(world, invoice).is_some() {
        return 0;
    }
    invoice_lines(world, invoice) + u64::from(invoice.0 % 3 == 1)
}

pub fn invoice_payments(world: &World, invoice: Key) -> u64 {
    match links::invoice_status(world, invoice) {
        links::Invoice::Paid if world.is_base(invoice) => 1 + u64::from(invoice.0 % 40 == 9),
        links::Invoice::Open if world.is_base(invoice) => 1,
        _ => 0,
    }
}

pub fn credit_note_lines(world: &World, note: Key) -> u64 {
    pick(world, note, 13, &[1, 1, 2, 3], 11)
}

pub fn subscription_items(world: &World, subscription: Key) -> u64 {
    pick(world, subscription, 14, &[1, 1, 1, 2, 3], 12)
}

pub fn subscription_discounts(world: &World, subscription: Key) -> u64 {
    pick(world, subscription, 15, &[0, 0, 0, 0, 1, 0, 0, 2], 1)
}

/// Summaries exist for items with a metered price.
pub fn usage_records(world: &World, item: Key) -> u64 {
    if links::is_metered(links::price_of_item(world, item)) { 3 } else { 0 }
}

pub fn persons(world: &World, account: Key) -> u64 {
    match account {
        PLATFORM => 0,
        // There are few accounts, so one of the first has many.
        Key(2) => 11,
        _ => pick(world, account, 16, &[0, 1, 2], 11),
    }
}

pub fn external_cards(world: &World, account: Key) -> u64 {
    if account == PLATFORM { 3 } else { pick(world, account, 17, &[0, 0, 1], 1) }
}

pub fn external_bank_accounts(world: &World, account: Key) -> u64 {
    if account == PLATFORM { 3 } else { pick(world, account, 18, &[1, 1, 2], 12) }
}

pub fn fee_refunds(world: &World, fee: Key) -> u64 {
    pick(world, fee, 19, &[0, 0, 0, 1, 0, 2, 0, 0], 11)
}

pub fn transfer_reversals(world: &World, transfer: Key) -> u64 {
    pick(world, transfer, 20, &[0, 0, 0, 1, 0, 2, 0, 0], 11)
}

pub fn value_list_items(_world: &World, list: Key) -> u64 {
    [0, 3, 12, 25, 1].get(list.0 as usize).copied().unwrap_or(2)
}
