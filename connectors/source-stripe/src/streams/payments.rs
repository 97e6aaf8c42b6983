//! Payments and what becomes of them: charges, refunds, disputes, payouts, balances.

use super::parts::*;
use super::{Changes, Children, Def, List, Parent, Place, Rows, Time, Topic, Unreported};
use crate::links;

/// The streams.
pub static STREAMS: &[Def] = &[
    def!(
        "apple_pay_domains",
        None,
        Rows::List(List::of("/v1/apple_pay/domains", "apple_pay_domain").unfiltered()),
        Changes::None
    ),
    Def {
        key: Some("snapshot_at"),
        ..def!("balance", None, Rows::Snapshot("/v1/balance"), Changes::None)
    },
    def!(
        "balance_transactions",
        Some("created"),
        Rows::List(List::of("/v1/balance_transactions", "balance_transaction").time(Time::None)),
        Changes::Created { ripens: Some(("available_on", 14)), settles: false }
    ),
    followed!(
        "charges",
        List::of("/v1/charges", "charge").expand(&["refunds"]),
        &[
            "charge.captured",
            "charge.expired",
            "charge.failed",
            "charge.pending",
            "charge.refunded",
            "charge.succeeded",
            "charge.updated"
        ]
    ),
    followed!("checkout_sessions", CHECKOUT_SESSIONS,
        CHECKOUT_TYPES,
        unreported: &[Unreported { params: &[], field: "created", days: 0 }]),
    below!(
        "checkout_sessions_line_items",
        "checkout_session_updated",
        Children {
            at: Place::Endpoint {
                path: "/v1/checkout/sessions/{id}/line_items",
                params: &[("expand[]", "data.discounts"), ("expand[]", "data.taxes")],
            },
            ..inline(CHECKOUT_SESSIONS, "", "item", links::checkout_session)
        },
        topic(CHECKOUT_TYPES, &[("checkout.session", "id")]),
        "/v1/checkout/sessions/{id}"
    ),
    followed!(
        "disputes",
        List::of("/v1/disputes", "dispute"),
        &[
            "charge.dispute.closed",
            "charge.dispute.created",
            "charge.dispute.funds_reinstated",
            "charge.dispute.funds_withdrawn",
            "charge.dispute.updated"
        ]
    ),
    followed!(
        "early_fraud_warnings",
        List::of("/v1/radar/early_fraud_warnings", "radar.early_fraud_warning"),
        &["radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"]
    ),
    def!(
        "events",
        Some("created"),
        Rows::List(List::of("/v1/events", "event").time(Time::None)),
        Changes::Created { ripens: None, settles: true }
    ),
    def!(
        "file_links",
        Some("created"),
        Rows::List(List::of("/v1/file_links", "file_link").time(Time::None)),
        CREATED
    ),
    def!(
        "files",
        Some("created"),
        Rows::List(List::of("/v1/files", "file").time(Time::None)),
        CREATED
    ),
    followed!(
        "payment_intents",
        List::of("/v1/payment_intents", "payment_intent"),
        &[
            "payment_intent.amount_capturable_updated",
            "payment_intent.canceled",
            "payment_intent.created",
            "payment_intent.partially_funded",
            "payment_intent.payment_failed",
            "payment_intent.processing",
            "payment_intent.requires_action",
            "payment_intent.succeeded"
        ]
    ),
    child!(
        "payment_methods",
        endpoint(
            Parent::List(CUSTOMERS),
            "/v1/customers/{id}/payment_methods",
            &[],
            "payment_method",
            links::own_time
        ),
        &[
            "payment_method.attached",
            "payment_method.automatically_updated",
            "payment_method.detached",
            "payment_method.updated"
        ],
        "/v1/payment_methods/{id}"
    ),
    below!(
        "payout_balance_transactions",
        "updated",
        endpoint(
            Parent::List(PAYOUTS),
            "/v1/balance_transactions",
            &[("payout", "{id}")],
            "balance_transaction",
            links::payout
        ),
        topic(PAYOUT_TYPES, &[("payout", "id")]),
        ""
    ),
    followed!("payouts", PAYOUTS, PAYOUT_TYPES),
    def!(
        "radar_value_list_items",
        None,
        Rows::Children(&[inline(
            List::of("/v1/radar/value_lists", "radar.value_list"),
            "list_items",
            "radar.value_list_item",
            links::nothing
        )]),
        Changes::None
    ),
    def!(
        "radar_value_lists",
        None,
        Rows::List(List::of("/v1/radar/value_lists", "radar.value_list").time(Time::None)),
        Changes::None
    ),
    followed!(
        "refunds",
        List::of("/v1/refunds", "refund"),
        &["charge.refund.updated", "refund.created", "refund.failed", "refund.updated"]
    ),
    followed!("reviews", List::of("/v1/reviews", "review"), &["review.closed", "review.opened"]),
    below!(
        "setup_attempts",
        "created",
        endpoint(
            Parent::List(SETUP_INTENTS),
            "/v1/setup_attempts",
            &[("setup_intent", "{id}")],
            "setup_attempt",
            links::nothing
        ),
        topic(SETUP_INTENT_TYPES, &[("setup_intent", "id")]),
        "",
        true
    ),
    followed!("setup_intents", SETUP_INTENTS, SETUP_INTENT_TYPES),
    followed!(
        "top_ups",
        List::of("/v1/topups", "topup"),
        &["topup.canceled", "topup.created", "topup.failed", "topup.reversed", "topup.succeeded"]
    ),
    below!(
        "transfer_reversals",
        "created",
        inline(TRANSFERS, "reversals", "transfer_reversal", links::nothing),
        topic(TRANSFER_TYPES, &[("transfer", "id")]),
        "/v1/transfers/{id}",
        true
    ),
    followed!("transfers", TRANSFERS, TRANSFER_TYPES),
];
