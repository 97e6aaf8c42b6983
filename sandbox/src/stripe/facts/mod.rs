//! The facts of each kind of object: values that must fit those of other objects. Everything else
//! in an object is drawn by its template.

pub mod catalog;
pub mod checkout;
mod connect;
pub mod customers;
mod invoices;
mod issuing;
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
        Res::FileLink => payments::file_link(ctx, key, vars),
        Res::SetupIntent => setup::intent(ctx, key, vars),
        Res::SetupAttempt => setup::attempt(ctx, key, vars),
        Res::CheckoutSession => checkout::session(ctx, key, vars),
        Res::CheckoutLine => checkout::line(ctx, key, vars),
        Res::Customer => customers::customer(ctx, key, vars),
        Res::CustomerDiscount => customers::discount(ctx, key, vars),
        Res::ActiveEntitlement => customers::entitlement(ctx, key, vars),
        Res::PaymentMethod => customers::payment_method(ctx, key, vars),
        Res::Invoice => invoices::invoice(ctx, key, vars),
        Res::InvoiceLine => invoices::line(ctx, key, vars),
        Res::InvoiceItem => invoices::item(ctx, key, vars),
        Res::InvoicePayment => invoices::payment(ctx, key, vars),
        Res::CreditNote => invoices::credit_note(ctx, key, vars),
        Res::CreditNoteLine => invoices::credit_note_line(ctx, key, vars),
        Res::Subscription => subscriptions::subscription(ctx, key, vars),
        Res::SubscriptionItem => subscriptions::item(ctx, key, vars),
        Res::SubscriptionSchedule => subscriptions::schedule(ctx, key, vars),
        Res::SubscriptionDiscount => customers::subscription_discount(ctx, key, vars),
        Res::UsageRecord => subscriptions::usage(ctx, key, vars),
        Res::Quote => subscriptions::quote(ctx, key, vars),
        Res::Product => catalog::product(ctx, key, vars),
        Res::Price | Res::Plan => catalog::price(ctx, key, vars),
        Res::Coupon => catalog::coupon(key, vars),
        Res::PromotionCode => catalog::promotion_code(ctx, key, vars),
        Res::TaxRate => catalog::tax_rate(key, vars),
        Res::Feature => catalog::feature(key, vars),
        Res::ExternalCard | Res::ExternalBankAccount => vars.flag("first", key.position() == 0),
        Res::ApplicationFee => connect::fee(ctx, key, vars),
        Res::FeeRefund => connect::fee_refund(ctx, key, vars),
        Res::Transfer => connect::transfer(ctx, key, vars),
        Res::TransferReversal => connect::reversal(ctx, key, vars),
        Res::IssuingCard => issuing::card(ctx, key, vars),
        Res::Authorization => issuing::authorization(ctx, key, vars),
        Res::IssuingTransaction => issuing::transaction(ctx, key, vars),
        Res::IssuingDispute => issuing::dispute(ctx, key, vars),
        Res::CustomerCard
        | Res::BankAccount
        | Res::CustomerBalanceTransaction
        | Res::CustomerTaxId
        | Res::TestClock
        | Res::TopUp
        | Res::File
        | Res::ShippingRate
        | Res::Account
        | Res::Person
        | Res::ValueList
        | Res::ValueListItem
        | Res::ApplePayDomain
        | Res::Cardholder
        | Res::Event => {}
    }
}
