//! Which event tells of an object's creation or change, given its state.

use super::facts;
use super::links::{self, Charge, Invoice};
use super::resource::{Key, Res};
use super::world::World;

/// The type of the event for a creation; `usual` is the one in the table.
pub fn creation(world: &World, res: Res, key: Key, usual: &'static str) -> &'static str {
    match res {
        Res::Charge => match links::charge_status(world, key) {
            Charge::Succeeded => "charge.succeeded",
            Charge::Failed => "charge.failed",
            Charge::Pending => "charge.pending",
        },
        _ => usual,
    }
}

/// The type of the event for a change that left the object in its present state, or None if no
/// event tells of it.
pub fn change(world: &World, res: Res, key: Key, usual: &'static str) -> Option<&'static str> {
    Some(match res {
        Res::Invoice => match links::invoice_status(world, key) {
            Invoice::Paid => "invoice.paid",
            Invoice::Void => "invoice.voided",
            Invoice::Uncollectible => "invoice.marked_uncollectible",
            Invoice::Draft | Invoice::Open => usual,
        },
        Res::PaymentIntent => match facts::payments::intent_status(world, key) {
            "succeeded" => "payment_intent.succeeded",
            "processing" => "payment_intent.processing",
            "canceled" => "payment_intent.canceled",
            _ => "payment_intent.payment_failed",
        },
        Res::Subscription if facts::subscriptions::status(world, key) == "canceled" => {
            "customer.subscription.deleted"
        }
        Res::CheckoutSession => match facts::checkout::status(world, key) {
            "complete" => "checkout.session.completed",
            "expired" => "checkout.session.expired",
            _ => return None,
        },
        Res::SetupIntent => match facts::setup::status(world, key) {
            "succeeded" => "setup_intent.succeeded",
            "canceled" => "setup_intent.canceled",
            _ => "setup_intent.setup_failed",
        },
        _ => usual,
    })
}
