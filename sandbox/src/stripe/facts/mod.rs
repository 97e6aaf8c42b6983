//! The facts of each kind of object: values that must fit those of other objects. Everything else
//! in an object is drawn by its template.

pub mod checkout;
pub mod customers;
pub mod payments;
pub mod setup;
pub mod subscriptions;

use super::context::Ctx;
use super::resource::{Key, Res};
use super::shape::{Val, Vars};

/// Collects the facts of an object.
pub fn fill(ctx: &Ctx<'_>, res: Res, key: Key, vars: &mut Vars) {
    if let Some(of) = res.parent() {
        vars.set("parent", Val::Ref(of, key.parent()));
    }
    match res {
        Res::Charge => payments::charge(ctx, key, vars),
        Res::PaymentIntent => payments::intent(ctx, key, vars),
        Res::BalanceTransaction => payments::balance_transaction(ctx, key, vars),
        Res::Refund => payments::refund(ctx, key, vars),
        Res::Dispute | Res::Review | Res::EarlyFraudWarning => {
            payments::about_charge(ctx, res, key, vars)
        }
        Res::Payout => payments::payout(ctx, key, vars),
        Res::SetupIntent => setup::intent(ctx, key, vars),
        Res::SetupAttempt => setup::attempt(ctx, key, vars),
        Res::FileLink => payments::file_link(ctx, key, vars),
        Res::Customer => customers::customer(ctx, key, vars),
        Res::CustomerDiscount => customers::discount(ctx, key, vars),
        Res::ActiveEntitlement => customers::entitlement(ctx, key, vars),
        Res::PaymentMethod => customers::payment_method(ctx, key, vars),
        Res::SubscriptionDiscount => subscriptions::discount(ctx, key, vars),
        _ => {}
    }
}
