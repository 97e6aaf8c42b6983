//! What rows of the table are put together from.

use super::{Changes, Children, List, Parent, Place, Topic};
use crate::links::Link;

macro_rules! def {
    ($name:literal, $cursor:expr, $rows:expr, $changes:expr) => {
        Def {
            name: $name,
            schema: include_str!(concat!("../../schemas/", $name, ".json")),
            key: Some("id"),
            cursor: $cursor,
            rows: $rows,
            changes: $changes,
            relist_days: None,
        }
    };
}

/// A stream whose objects are listed at first and followed by events afterwards. The last
/// argument lists the event types, their common prefix written once.
macro_rules! followed {
    ($name:literal, $list:expr, $types:expr) => {
        followed!($name, $list, $types, unreported: &[])
    };
    ($name:literal, $list:expr, $types:expr, unreported: $unreported:expr) => {{
        const LIST: List = $list;
        const TOPIC: Topic = Topic { types: $types, objects: &[(LIST.object, "id")] };
        def!(
            $name,
            Some("updated"),
            Rows::List(LIST),
            Changes::Objects { topic: TOPIC, retrieve: "", unreported: $unreported }
        )
    }};
}

/// A stream of children that have events of their own.
macro_rules! child {
    ($name:literal, $children:expr, $types:expr, $retrieve:literal) => {{
        const CHILDREN: &[Children] = &[$children];
        const TOPIC: Topic = Topic { types: $types, objects: &[(CHILDREN[0].object, "id")] };
        def!(
            $name,
            Some("updated"),
            Rows::Children(CHILDREN),
            Changes::Objects { topic: TOPIC, retrieve: $retrieve, unreported: &[] }
        )
    }};
}

/// A stream of children that change with their parents.
macro_rules! below {
    ($name:literal, $cursor:literal, $children:expr, $topic:expr, $retrieve:literal) => {
        below!($name, $cursor, $children, $topic, $retrieve, false)
    };
    ($name:literal, $cursor:literal, $children:expr, $topic:expr, $retrieve:literal, $new_only:expr) => {
        def!(
            $name,
            Some($cursor),
            Rows::Children(&[$children]),
            Changes::Parents { topic: $topic, retrieve: $retrieve, new_only: $new_only }
        )
    };
}

pub const ACCOUNTS: List = List::of("/v1/accounts", "account");
pub const CHECKOUT_SESSIONS: List = List::of("/v1/checkout/sessions", "checkout.session");
pub const CREDIT_NOTES: List = List::of("/v1/credit_notes", "credit_note");
pub const CUSTOMERS: List = List::of("/v1/customers", "customer").by_clock();
pub const FEES: List = List::of("/v1/application_fees", "application_fee");
pub const INVOICES: List = List::of("/v1/invoices", "invoice");
pub const PAYOUTS: List = List::of("/v1/payouts", "payout");
pub const SETUP_INTENTS: List = List::of("/v1/setup_intents", "setup_intent");
pub const SUBSCRIPTIONS: List =
    List::of("/v1/subscriptions", "subscription").params(&[("status", "all")]).by_clock();
pub const TRANSFERS: List = List::of("/v1/transfers", "transfer");

pub const EXTERNAL: &[&str] = &[
    "account.external_account.created",
    "account.external_account.deleted",
    "account.external_account.updated",
];
pub const SOURCES: &[&str] = &[
    "customer.source.created",
    "customer.source.deleted",
    "customer.source.expiring",
    "customer.source.updated",
];
pub const TAX_IDS: &[&str] =
    &["customer.tax_id.created", "customer.tax_id.deleted", "customer.tax_id.updated"];
pub const CHECKOUT_TYPES: &[&str] = &[
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
];
pub const PAYOUT_TYPES: &[&str] = &[
    "payout.canceled",
    "payout.created",
    "payout.failed",
    "payout.paid",
    "payout.reconciliation_completed",
    "payout.updated",
];
pub const SETUP_INTENT_TYPES: &[&str] = &[
    "setup_intent.canceled",
    "setup_intent.created",
    "setup_intent.requires_action",
    "setup_intent.setup_failed",
    "setup_intent.succeeded",
];
pub const CREDIT_NOTE_TYPES: &[&str] =
    &["credit_note.created", "credit_note.updated", "credit_note.voided"];
pub const TRANSFER_TYPES: &[&str] = &["transfer.created", "transfer.reversed", "transfer.updated"];
pub const INVOICE_TYPES: &[&str] = &[
    "invoice.created",
    "invoice.deleted",
    "invoice.finalization_failed",
    "invoice.finalized",
    "invoice.marked_uncollectible",
    "invoice.overdue",
    "invoice.overpaid",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_attempt_required",
    "invoice.payment_failed",
    "invoice.payment_succeeded",
    "invoice.sent",
    "invoice.updated",
    "invoice.voided",
    "invoice.will_be_due",
];
pub const SUBSCRIPTION_TYPES: &[&str] = &[
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
];

pub const fn topic(
    types: &'static [&'static str],
    objects: &'static [(&'static str, &'static str)],
) -> Topic {
    Topic { types, objects }
}

pub const fn inline(
    parent: List,
    field: &'static str,
    object: &'static str,
    link: Link,
) -> Children {
    Children {
        parent: Parent::List(parent),
        via: None,
        at: Place::Inline(field),
        object,
        link,
        fill: None,
    }
}

pub const fn endpoint(
    parent: Parent,
    path: &'static str,
    params: &'static [(&'static str, &'static str)],
    object: &'static str,
    link: Link,
) -> Children {
    Children { parent, via: None, at: Place::Endpoint { path, params }, object, link, fill: None }
}

pub const CREATED: Changes = Changes::Created { ripens: None, settles: false };
