//! The table of kinds: one row each, in the order of [`Res`].

use super::counts;
use super::resource::{DEF, Def, Res, Size};

const fn every(of: Res, step: u64, offset: u64) -> Size {
    Size::Every { of, step, offset }
}

const fn share(per: u64, least: u64) -> Size {
    Size::Share { per, least }
}

macro_rules! children {
    ($of:ident, $count:ident) => {
        Size::Children { of: Res::$of, count: counts::$count }
    };
}

macro_rules! table {
    ($($res:ident $name:literal $object:literal $prefix:literal $size:expr, { $($field:ident: $value:expr),* $(,)? })*) => {
        /// One row a kind.
        pub const TABLE: &[Def] = &[$(
            Def {
                res: Res::$res,
                name: $name,
                object: $object,
                prefix: $prefix,
                size: $size,
                $($field: $value,)*
                ..DEF
            },
        )*];
    };
}

table! {
Customer "customers" "customer" "cus_" Size::Rows, {
    lists: &["/v1/customers"], filters: &["created", "email", "test_clock"], permission: "customer",
    events: [Some("customer.created"), Some("customer.updated"), Some("customer.deleted")], stub: true,
}
Charge "charges" "charge" "ch_" Size::Rows, {
    lists: &["/v1/charges"], filters: &["created", "customer", "payment_intent", "transfer_group"],
    permission: "charge", events: [Some("charge.succeeded"), Some("charge.updated"), None],
}
PaymentIntent "payment_intents" "payment_intent" "pi_" Size::Rows, {
    lists: &["/v1/payment_intents"], filters: &["created", "customer", "customer_account"],
    permission: "payment_intent",
    events: [Some("payment_intent.created"), Some("payment_intent.succeeded"), None],
}
BalanceTransaction "balance_transactions" "balance_transaction" "txn_" Size::Rows, {
    lists: &["/v1/balance_transactions", "/v1/balance/history"],
    filters: &["created", "currency", "payout", "source", "type"], permission: "balance_transaction",
}
Invoice "invoices" "invoice" "in_" Size::Rows, {
    lists: &["/v1/invoices"],
    filters: &["collection_method", "created", "customer", "customer_account", "due_date", "status", "subscription"],
    permission: "invoice",
    events: [Some("invoice.created"), Some("invoice.updated"), Some("invoice.deleted")],
}
Subscription "subscriptions" "subscription" "sub_" share(2, 4), {
    lists: &["/v1/subscriptions"],
    filters: &["automatic_tax", "collection_method", "created", "current_period_end", "current_period_start", "customer", "customer_account", "price", "status", "test_clock"],
    permission: "subscription",
    events: [Some("customer.subscription.created"), Some("customer.subscription.updated"), Some("customer.subscription.deleted")],
}
Refund "refunds" "refund" "re_" children!(Charge, refunds), {
    lists: &["/v1/refunds", "/v1/charges/{}/refunds"], parent_param: Some("charge"),
    filters: &["charge", "created", "payment_intent"], permission: "charge",
    events: [Some("refund.created"), Some("refund.updated"), None],
    parent_event: Some("charge.refunded"),
}
Dispute "disputes" "dispute" "du_" every(Res::Charge, 25, 1), {
    lists: &["/v1/disputes"], filters: &["charge", "created", "payment_intent"], permission: "dispute",
    events: [Some("charge.dispute.created"), Some("charge.dispute.updated"), None],
}
Review "reviews" "review" "prv_" every(Res::Charge, 25, 2), {
    lists: &["/v1/reviews"], filters: &["created"], permission: "review",
    events: [Some("review.opened"), Some("review.closed"), None],
}
EarlyFraudWarning "early_fraud_warnings" "radar.early_fraud_warning" "issfr_" every(Res::Charge, 25, 3), {
    lists: &["/v1/radar/early_fraud_warnings"], filters: &["charge", "created", "payment_intent"],
    permission: "early_fraud_warning",
    events: [Some("radar.early_fraud_warning.created"), Some("radar.early_fraud_warning.updated"), None],
}
Payout "payouts" "payout" "po_" share(120, 4), {
    lists: &["/v1/payouts"], filters: &["arrival_date", "created", "destination", "status"],
    permission: "payout", events: [Some("payout.created"), Some("payout.updated"), None],
}
TopUp "top_ups" "topup" "tu_" share(50, 3), {
    lists: &["/v1/topups"], filters: &["amount", "created", "status"], permission: "topup",
    events: [Some("topup.created"), Some("topup.succeeded"), None],
}
SetupIntent "setup_intents" "setup_intent" "seti_" share(5, 5), {
    lists: &["/v1/setup_intents"],
    filters: &["attach_to_self", "created", "customer", "customer_account", "payment_method"],
    permission: "setup_intent",
    events: [Some("setup_intent.created"), Some("setup_intent.succeeded"), None],
}
SetupAttempt "setup_attempts" "setup_attempt" "setatt_" children!(SetupIntent, setup_attempts), {
    lists: &["/v1/setup_attempts"], parent_param: Some("setup_intent"), required: Some("setup_intent"),
    filters: &["created", "setup_intent"], permission: "setup_intent",
    parent_event: Some("setup_intent.setup_failed"),
}
PaymentMethod "payment_methods" "payment_method" "pm_" children!(Customer, payment_methods), {
    lists: &["/v1/payment_methods", "/v1/customers/{}/payment_methods"], parent_param: Some("customer"),
    filters: &["allow_redisplay", "customer", "customer_account", "type"], permission: "payment_method",
    events: [Some("payment_method.attached"), Some("payment_method.updated"), Some("payment_method.detached")],
}
File "files" "file" "file_" share(20, 6), {
    lists: &["/v1/files"], filters: &["created", "purpose"], permission: "file",
    events: [Some("file.created"), None, None],
}
FileLink "file_links" "file_link" "link_" children!(File, file_links), {
    lists: &["/v1/file_links"], parent_param: Some("file"), filters: &["created", "expired", "file"],
    permission: "file",
}
CheckoutSession "checkout_sessions" "checkout.session" "cs_test_" share(5, 8), {
    lists: &["/v1/checkout/sessions"],
    filters: &["created", "customer", "customer_account", "customer_details", "payment_intent", "payment_link", "status", "subscription"],
    permission: "checkout_session",
    events: [None, Some("checkout.session.completed"), None],
}
CheckoutLine "checkout_sessions_line_items" "item" "li_" children!(CheckoutSession, checkout_lines), {
    lists: &["/v1/checkout/sessions/{}/line_items"], permission: "checkout_session",
    parent_event: Some("checkout.session.completed"),
}
ShippingRate "shipping_rates" "shipping_rate" "shr_" Size::Fixed(12), {
    lists: &["/v1/shipping_rates"], filters: &["active", "created", "currency"], permission: "shipping_rate",
}
CustomerCard "customer_cards" "card" "card_" children!(Customer, customer_cards), {
    lists: &["/v1/customers/{}/cards", "/v1/customers/{}/sources"], filters: &["object"],
    shape: Some("customer_card"), permission: "customer", stub: true,
    events: [Some("customer.source.created"), Some("customer.source.updated"), Some("customer.source.deleted")],
    parent_event: Some("customer.updated"),
}
BankAccount "bank_accounts" "bank_account" "ba_" children!(Customer, bank_accounts), {
    lists: &["/v1/customers/{}/bank_accounts", "/v1/customers/{}/sources"], filters: &["object"],
    permission: "customer", stub: true,
    events: [Some("customer.source.created"), Some("customer.source.updated"), Some("customer.source.deleted")],
    parent_event: Some("customer.updated"),
}
CustomerBalanceTransaction "customer_balance_transactions" "customer_balance_transaction" "cbtxn_" children!(Customer, customer_balance_transactions), {
    lists: &["/v1/customers/{}/balance_transactions"], filters: &["created", "invoice"], permission: "customer",
    parent_event: Some("customer.updated"),
}
CustomerTaxId "customer_tax_ids" "tax_id" "txi_" children!(Customer, customer_tax_ids), {
    lists: &["/v1/customers/{}/tax_ids"], permission: "customer", stub: true,
    events: [Some("customer.tax_id.created"), Some("customer.tax_id.updated"), Some("customer.tax_id.deleted")],
}
CustomerDiscount "customer_discounts" "discount" "di_" children!(Customer, customer_discounts), {
    permission: "customer", shape: Some("customer_discount"),
    events: [Some("customer.discount.created"), Some("customer.discount.updated"), Some("customer.discount.deleted")],
    parent_event: Some("customer.updated"),
}
ActiveEntitlement "active_entitlements" "entitlements.active_entitlement" "ent_" children!(Customer, active_entitlements), {
    lists: &["/v1/entitlements/active_entitlements"], parent_param: Some("customer"), required: Some("customer"),
    filters: &["customer"], permission: "entitlement",
    parent_event: Some("entitlements.active_entitlement_summary.updated"),
}
TestClock "test_clocks" "test_helpers.test_clock" "clock_" Size::Fixed(3), {
    lists: &["/v1/test_helpers/test_clocks"], permission: "billing_clock", stub: true,
    events: [Some("test_helpers.test_clock.created"), Some("test_helpers.test_clock.ready"), Some("test_helpers.test_clock.deleted")],
}
InvoiceLine "invoice_line_items" "line_item" "il_" children!(Invoice, invoice_lines), {
    lists: &["/v1/invoices/{}/lines"], permission: "invoice",
    parent_event: Some("invoice.updated"),
}
InvoiceItem "invoice_items" "invoiceitem" "ii_" children!(Invoice, invoice_items), {
    lists: &["/v1/invoiceitems"], filters: &["created", "customer", "customer_account", "invoice", "pending"],
    permission: "invoice", stub: true,
    events: [Some("invoiceitem.created"), None, Some("invoiceitem.deleted")],
}
InvoicePayment "invoice_payments" "invoice_payment" "inpay_" children!(Invoice, invoice_payments), {
    lists: &["/v1/invoice_payments"], parent_param: Some("invoice"),
    filters: &["created", "invoice", "payment", "status"], permission: "invoice",
    events: [None, Some("invoice_payment.paid"), None], basil: Some(true),
    parent_event: Some("invoice.updated"),
}
CreditNote "credit_notes" "credit_note" "cn_" every(Res::Invoice, 20, 3), {
    lists: &["/v1/credit_notes"], filters: &["created", "customer", "customer_account", "invoice"],
    permission: "credit_note", events: [Some("credit_note.created"), Some("credit_note.updated"), None],
}
CreditNoteLine "credit_note_line_items" "credit_note_line_item" "cnli_" children!(CreditNote, credit_note_lines), {
    lists: &["/v1/credit_notes/{}/lines"], permission: "credit_note",
    parent_event: Some("credit_note.updated"),
}
SubscriptionItem "subscription_items" "subscription_item" "si_" children!(Subscription, subscription_items), {
    lists: &["/v1/subscription_items"], parent_param: Some("subscription"), required: Some("subscription"),
    filters: &["subscription"], permission: "subscription", stub: true,
    parent_event: Some("customer.subscription.updated"),
}
SubscriptionSchedule "subscription_schedule" "subscription_schedule" "sub_sched_" every(Res::Subscription, 10, 2), {
    lists: &["/v1/subscription_schedules"],
    filters: &["canceled_at", "completed_at", "created", "customer", "customer_account", "released_at", "scheduled"],
    permission: "subscription",
    events: [Some("subscription_schedule.created"), Some("subscription_schedule.updated"), None],
}
SubscriptionDiscount "subscription_discounts" "discount" "di_" children!(Subscription, subscription_discounts), {
    permission: "subscription", shape: Some("subscription_discount"),
    parent_event: Some("customer.subscription.updated"),
}
UsageRecord "usage_records" "usage_record_summary" "sis_" children!(SubscriptionItem, usage_records), {
    lists: &["/v1/subscription_items/{}/usage_record_summaries"], permission: "usage_record", basil: Some(false),
}
Quote "quotes" "quote" "qt_" share(50, 4), {
    lists: &["/v1/quotes"], filters: &["customer", "customer_account", "status", "test_clock"],
    permission: "quote", events: [Some("quote.created"), Some("quote.finalized"), None],
}
Product "products" "product" "prod_" Size::Fixed(24), {
    lists: &["/v1/products"], filters: &["active", "created", "ids", "shippable", "url"], permission: "product",
    events: [Some("product.created"), Some("product.updated"), Some("product.deleted")], stub: true,
}
Price "prices" "price" "price_" Size::Fixed(60), {
    lists: &["/v1/prices"],
    filters: &["active", "created", "currency", "lookup_keys", "product", "recurring", "type"],
    permission: "plan", events: [Some("price.created"), Some("price.updated"), Some("price.deleted")], stub: true,
}
Plan "plans" "plan" "price_" Size::Fixed(30), {
    lists: &["/v1/plans"], filters: &["active", "created", "product"], permission: "plan", id_as: Some(Res::Price),
    events: [Some("plan.created"), Some("plan.updated"), Some("plan.deleted")], stub: true,
}
Coupon "coupons" "coupon" "" Size::Fixed(20), {
    lists: &["/v1/coupons"], filters: &["created"], permission: "coupon",
    events: [Some("coupon.created"), Some("coupon.updated"), Some("coupon.deleted")], stub: true,
}
PromotionCode "promotion_codes" "promotion_code" "promo_" Size::Fixed(30), {
    lists: &["/v1/promotion_codes"],
    filters: &["active", "code", "coupon", "created", "customer", "customer_account"],
    permission: "promotion_code", events: [Some("promotion_code.created"), Some("promotion_code.updated"), None],
}
TaxRate "tax_rates" "tax_rate" "txr_" Size::Fixed(8), {
    lists: &["/v1/tax_rates"], filters: &["active", "created", "inclusive"], permission: "tax_rate",
    events: [Some("tax_rate.created"), Some("tax_rate.updated"), None],
}
Feature "entitlement_features" "entitlements.feature" "feat_" Size::Fixed(10), {
    lists: &["/v1/entitlements/features"], filters: &["archived", "lookup_key"], permission: "entitlement",
}
Account "accounts" "account" "acct_" Size::Accounts, {
    lists: &["/v1/accounts"], filters: &["created"], permission: "connected_account",
    events: [None, Some("account.updated"), None], stub: true,
}
Person "persons" "person" "person_" children!(Account, persons), {
    lists: &["/v1/accounts/{}/persons", "/v1/accounts/{}/people"], filters: &["relationship"],
    permission: "connected_account", stub: true,
    events: [Some("person.created"), Some("person.updated"), Some("person.deleted")],
}
ExternalCard "external_account_cards" "card" "card_" children!(Account, external_cards), {
    lists: &["/v1/accounts/{}/external_accounts"], filters: &["object"], shape: Some("external_card"),
    permission: "external_account", stub: true,
    events: [Some("account.external_account.created"), Some("account.external_account.updated"), Some("account.external_account.deleted")],
    parent_event: Some("account.updated"),
}
ExternalBankAccount "external_account_bank_accounts" "bank_account" "ba_" children!(Account, external_bank_accounts), {
    lists: &["/v1/accounts/{}/external_accounts"], filters: &["object"], shape: Some("external_bank_account"),
    permission: "external_account", stub: true,
    events: [Some("account.external_account.created"), Some("account.external_account.updated"), Some("account.external_account.deleted")],
    parent_event: Some("account.updated"),
}
ApplicationFee "application_fees" "application_fee" "fee_" every(Res::Charge, 20, 0), {
    lists: &["/v1/application_fees"], filters: &["charge", "created"], permission: "application_fee",
    events: [Some("application_fee.created"), Some("application_fee.refunded"), None],
}
FeeRefund "application_fees_refunds" "fee_refund" "fr_" children!(ApplicationFee, fee_refunds), {
    lists: &["/v1/application_fees/{}/refunds"], permission: "application_fee",
    events: [None, Some("application_fee.refund.updated"), None],
    parent_event: Some("application_fee.refunded"),
}
Transfer "transfers" "transfer" "tr_" every(Res::Charge, 20, 5), {
    lists: &["/v1/transfers"], filters: &["created", "destination", "transfer_group"], permission: "transfer",
    events: [Some("transfer.created"), Some("transfer.updated"), None],
}
TransferReversal "transfer_reversals" "transfer_reversal" "trr_" children!(Transfer, transfer_reversals), {
    lists: &["/v1/transfers/{}/reversals"], permission: "transfer",
    parent_event: Some("transfer.reversed"),
}
ValueList "radar_value_lists" "radar.value_list" "rsl_" Size::Fixed(5), {
    lists: &["/v1/radar/value_lists"], filters: &["alias", "contains", "created"], permission: "radar_value_list",
    stub: true,
}
ValueListItem "radar_value_list_items" "radar.value_list_item" "rsli_" children!(ValueList, value_list_items), {
    lists: &["/v1/radar/value_list_items"], parent_param: Some("value_list"), required: Some("value_list"),
    filters: &["created", "value", "value_list"], permission: "radar_value_list", stub: true,
}
ApplePayDomain "apple_pay_domains" "apple_pay_domain" "apwc_" Size::Fixed(6), {
    lists: &["/v1/apple_pay/domains"], filters: &["domain_name"], permission: "apple_pay_domain", stub: true,
}
Cardholder "cardholders" "issuing.cardholder" "ich_" share(50, 5), {
    lists: &["/v1/issuing/cardholders"], filters: &["created", "email", "phone_number", "status", "type"],
    permission: "issuing_cardholder",
    events: [Some("issuing_cardholder.created"), Some("issuing_cardholder.updated"), None],
}
IssuingCard "cards" "issuing.card" "ic_" share(25, 8), {
    lists: &["/v1/issuing/cards"],
    filters: &["cardholder", "created", "exp_month", "exp_year", "last4", "personalization_design", "status", "type"],
    permission: "issuing_card", events: [Some("issuing_card.created"), Some("issuing_card.updated"), None],
}
Authorization "authorizations" "issuing.authorization" "iauth_" share(10, 10), {
    lists: &["/v1/issuing/authorizations"], filters: &["card", "cardholder", "created", "status"],
    permission: "issuing_authorization",
    events: [Some("issuing_authorization.created"), Some("issuing_authorization.updated"), None],
}
IssuingTransaction "transactions" "issuing.transaction" "ipi_" share(10, 10), {
    lists: &["/v1/issuing/transactions"], filters: &["card", "cardholder", "created", "type"],
    permission: "issuing_transaction",
    events: [Some("issuing_transaction.created"), Some("issuing_transaction.updated"), None],
}
IssuingDispute "issuing_disputes" "issuing.dispute" "idp_" share(100, 3), {
    lists: &["/v1/issuing/disputes"], filters: &["created", "status", "transaction"], permission: "issuing_dispute",
    events: [Some("issuing_dispute.created"), Some("issuing_dispute.updated"), None],
}
Event "events" "event" "evt_" Size::Log, {
    lists: &["/v1/events"], filters: &["created", "delivery_success", "type", "types"], permission: "event",
}
}
