//! Products, subscriptions, invoices and what reduces them.

use super::parts::*;
use super::{Changes, Children, Def, List, Parent, Place, Rows, Time, Topic, Unreported, Version};
use crate::{legacy, links};

/// The streams.
pub static STREAMS: &[Def] = &[
    below!(
        "active_entitlements",
        "updated",
        endpoint(
            Parent::List(CUSTOMERS),
            "/v1/entitlements/active_entitlements",
            &[("customer", "{id}")],
            "entitlements.active_entitlement",
            links::entitlement
        ),
        topic(
            &["entitlements.active_entitlement_summary.updated"],
            &[("entitlements.active_entitlement_summary", "customer")]
        ),
        ""
    ),
    followed!(
        "coupons",
        List::of("/v1/coupons", "coupon"),
        &["coupon.created", "coupon.deleted", "coupon.updated"]
    ),
    below!(
        "credit_note_line_items",
        "credit_note_updated",
        inline(CREDIT_NOTES, "lines", "credit_note_line_item", links::credit_note),
        topic(CREDIT_NOTE_TYPES, &[("credit_note", "id")]),
        "/v1/credit_notes/{id}"
    ),
    followed!("credit_notes", CREDIT_NOTES, CREDIT_NOTE_TYPES),
    def!(
        "discounts",
        Some("updated"),
        Rows::Children(&[
            Children {
                at: Place::Field("discount"),
                fill: Some(legacy::discount),
                ..inline(CUSTOMERS, "", "discount", links::discount)
            },
            Children {
                at: Place::Field("discounts"),
                fill: Some(legacy::discount),
                ..inline(SUBSCRIPTIONS.expand(&["discounts"]), "", "discount", links::discount)
            },
        ]),
        Changes::Objects {
            topic: topic(
                &[
                    "customer.discount.created",
                    "customer.discount.deleted",
                    "customer.discount.updated"
                ],
                &[("discount", "id")]
            ),
            retrieve: "payload",
            unreported: &[],
        }
    ),
    def!(
        "entitlement_features",
        None,
        Rows::List(
            List::of("/v1/entitlements/features", "entitlements.feature")
                .unfiltered()
                .time(Time::None)
        ),
        Changes::None
    ),
    followed!(
        "invoice_items",
        List::of("/v1/invoiceitems", "invoiceitem").time(Time::Field("date")),
        &["invoiceitem.created", "invoiceitem.deleted", "invoiceitem.updated"]
    ),
    below!(
        "invoice_line_items",
        "invoice_updated",
        Children {
            fill: Some(legacy::line_item),
            ..inline(INVOICES, "lines", "line_item", links::invoice)
        },
        topic(INVOICE_TYPES, &[("invoice", "id")]),
        "/v1/invoices/{id}"
    ),
    followed!("invoice_payments", List::of("/v1/invoice_payments", "invoice_payment").version(Version::AtLeast("2025-03-31.basil")),
    &["invoice_payment.paid"],
    unreported: &[
        Unreported { params: &[("status", "open")], field: "created", days: 0 },
        Unreported { params: &[("status", "canceled")], field: "status_transitions.canceled_at", days: 60 },
    ]),
    followed!(
        "invoices",
        INVOICES
            .expand_since_basil(
                &["discounts", "payments"],
                &["discounts", "total_tax_amounts.tax_rate"]
            )
            .fill(legacy::invoice),
        INVOICE_TYPES
    ),
    followed!(
        "plans",
        List::of("/v1/plans", "plan").expand(&["tiers"]),
        &["plan.created", "plan.deleted", "plan.updated"]
    ),
    followed!(
        "prices",
        List::of("/v1/prices", "price").expand(&["tiers", "currency_options"]),
        &["price.created", "price.deleted", "price.updated"]
    ),
    followed!(
        "products",
        List::of("/v1/products", "product").time(Time::Own),
        &["product.created", "product.deleted", "product.updated"]
    ),
    followed!(
        "promotion_codes",
        List::of("/v1/promotion_codes", "promotion_code")
            .expand_since_basil(&["promotion.coupon"], &[])
            .fill(legacy::promotion_code),
        &["promotion_code.created", "promotion_code.updated"]
    ),
    def!(
        "shipping_rates",
        Some("created"),
        Rows::List(List::of("/v1/shipping_rates", "shipping_rate").time(Time::None)),
        CREATED
    ),
    below!(
        "subscription_items",
        "subscription_updated",
        inline(SUBSCRIPTIONS, "items", "subscription_item", links::subscription),
        topic(SUBSCRIPTION_TYPES, &[("subscription", "id")]),
        "/v1/subscriptions/{id}"
    ),
    followed!(
        "subscription_schedule",
        List::of("/v1/subscription_schedules", "subscription_schedule"),
        &[
            "subscription_schedule.aborted",
            "subscription_schedule.canceled",
            "subscription_schedule.completed",
            "subscription_schedule.created",
            "subscription_schedule.expiring",
            "subscription_schedule.released",
            "subscription_schedule.updated"
        ]
    ),
    followed!("subscriptions", SUBSCRIPTIONS.fill(legacy::subscription), SUBSCRIPTION_TYPES),
    followed!(
        "tax_rates",
        List::of("/v1/tax_rates", "tax_rate"),
        &["tax_rate.created", "tax_rate.updated"]
    ),
    Def {
        key: None,
        ..def!(
            "usage_records",
            None,
            Rows::Children(&[Children {
                via: Some("items"),
                at: Place::Endpoint {
                    path: "/v1/subscription_items/{id}/usage_record_summaries",
                    params: &[]
                },
                ..inline(
                    SUBSCRIPTIONS.version(Version::AtMost("2025-02-24.acacia")),
                    "",
                    "usage_record_summary",
                    links::nothing
                )
            }]),
            Changes::None
        )
    },
];
