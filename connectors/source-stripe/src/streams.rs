//! The streams, as a table.
//!
//! A stream says where its rows are found at first ([`Rows`]) and how later changes are
//! learned ([`Changes`]). Everything else is the same for all of them.

use crate::legacy::{self, Fill};
use crate::links::{self, Link};

/// One stream.
pub struct Def {
    /// The stream's name.
    pub name: &'static str,
    /// Its JSON schema.
    pub schema: &'static str,
    /// The field that the primary key consists of, if it has one.
    pub key: Option<&'static str>,
    /// The cursor field, for streams that can be read incrementally.
    pub cursor: Option<&'static str>,
    /// Where rows are found.
    pub rows: Rows,
    /// How changes are learned.
    pub changes: Changes,
    /// After how many days all is listed anew, because changes are not reported reliably.
    pub relist_days: Option<u32>,
}

/// Where a stream's rows are found.
pub enum Rows {
    /// They are the objects of a list.
    List(List),
    /// They are inside or below the objects of lists.
    Children(&'static [Children]),
    /// There is one object, whose present state is the row.
    Snapshot(&'static str),
}

/// A list endpoint.
#[derive(Clone, Copy)]
pub struct List {
    /// The path.
    pub path: &'static str,
    /// What its objects call themselves; others are not this stream's.
    pub object: &'static str,
    /// Fixed parameters.
    pub params: &'static [(&'static str, &'static str)],
    /// What is expanded, without `data.`.
    pub expand: &'static [&'static str],
    /// The same for API versions before 2025-03-31.basil.
    pub expand_before_basil: &'static [&'static str],
    /// Where an object says when it was last changed, or made.
    pub time: Time,
    /// Whether the list can be narrowed by creation time.
    pub by_created: bool,
    /// Columns that Stripe has moved since 2022-11-15, filled from where they are now.
    pub fill: Option<Fill>,
    /// Bounds of the API versions that this list can be asked in.
    pub version: Version,
    /// Whether objects bound to test clocks are listed only by clock.
    pub by_clock: bool,
}

/// Bounds of API versions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Any version.
    Any,
    /// This one or a later one.
    AtLeast(&'static str),
    /// This one or an earlier one.
    AtMost(&'static str),
}

/// Where the value of `updated` comes from on a first read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// This field, in epoch seconds.
    Field(&'static str),
    /// The object has a field `updated` of its own, which stays.
    Own,
    /// Rows have no such column, or the link to the parent gives it.
    None,
}

/// Rows inside or below other objects.
pub struct Children {
    /// The parents.
    pub parent: Parent,
    /// Parents that are themselves inside the listed objects, by the field of their list.
    pub via: Option<&'static str>,
    /// Where a parent's rows are.
    pub at: Place,
    /// What the rows call themselves; others are not this stream's.
    pub object: &'static str,
    /// What a row gets from its parent.
    pub link: Link,
    /// Columns that Stripe has moved.
    pub fill: Option<Fill>,
}

/// Whose children they are.
pub enum Parent {
    /// The objects of a list.
    List(List),
    /// The account that is read.
    Account,
}

/// Where a parent's rows are.
#[derive(Clone, Copy)]
pub enum Place {
    /// In a list inside the parent that holds the first ten; its `url` has the rest.
    Inline(&'static str),
    /// In a field of the parent: an object, or an array of them.
    Field(&'static str),
    /// At an endpoint of their own. `{id}` stands for the parent's id, in the path and in
    /// parameters.
    Endpoint {
        /// The path.
        path: &'static str,
        /// Parameters.
        params: &'static [(&'static str, &'static str)],
    },
}

/// How changes are learned.
pub enum Changes {
    /// They are not: the stream is read in full each time.
    None,
    /// Objects never change; new ones are listed from the cursor on. With a field given,
    /// objects made earlier whose time in that field has come meanwhile are listed too.
    Created {
        /// The field and how many days back to look.
        ripens: Option<(&'static str, i64)>,
        /// Whether the newest objects are left for the next read, since the list is
        /// complete only after a while.
        settles: bool,
    },
    /// Events name changed objects, which are asked for again.
    Objects {
        /// The events.
        topic: Topic,
        /// The path of one object; `{field}` stands for a field of the event's object.
        /// Empty: the event's own copy is the row.
        retrieve: &'static str,
        /// What no event tells: further lists to look through on each read.
        unreported: &'static [Unreported],
    },
    /// Events name parents, all of whose rows are brought again.
    Parents {
        /// The events.
        topic: Topic,
        /// The path of one parent. Empty: its id is all that is needed of it.
        retrieve: &'static str,
        /// Only children made since the last read are rows: they never change.
        new_only: bool,
    },
}

/// A group of events.
#[derive(Clone, Copy)]
pub struct Topic {
    /// Event types (docs "Types of events").
    pub types: &'static [&'static str],
    /// What the events' objects call themselves, and which of their fields holds the id
    /// of what changed. Events about other objects are not meant.
    pub objects: &'static [(&'static str, &'static str)],
}

/// Objects that change without an event.
pub struct Unreported {
    /// Parameters that narrow the list to them.
    pub params: &'static [(&'static str, &'static str)],
    /// The dotted field with the time of the change.
    pub field: &'static str,
    /// How many days after its creation an object may change so.
    pub days: i64,
}

impl List {
    const fn of(path: &'static str, object: &'static str) -> Self {
        List {
            path,
            object,
            params: &[],
            expand: &[],
            expand_before_basil: &[],
            time: Time::Field("created"),
            by_created: true,
            fill: None,
            version: Version::Any,
            by_clock: false,
        }
    }

    const fn params(self, params: &'static [(&'static str, &'static str)]) -> Self {
        List { params, ..self }
    }

    const fn expand(self, expand: &'static [&'static str]) -> Self {
        List { expand, expand_before_basil: expand, ..self }
    }

    const fn expand_since_basil(
        self,
        expand: &'static [&'static str],
        before: &'static [&'static str],
    ) -> Self {
        List { expand, expand_before_basil: before, ..self }
    }

    const fn time(self, time: Time) -> Self {
        List { time, ..self }
    }

    const fn fill(self, fill: Fill) -> Self {
        List { fill: Some(fill), ..self }
    }

    const fn version(self, version: Version) -> Self {
        List { version, ..self }
    }

    const fn unfiltered(self) -> Self {
        List { by_created: false, ..self }
    }

    const fn by_clock(self) -> Self {
        List { by_clock: true, ..self }
    }
}

macro_rules! def {
    ($name:literal, $cursor:expr, $rows:expr, $changes:expr) => {
        Def {
            name: $name,
            schema: include_str!(concat!("../schemas/", $name, ".json")),
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

const ACCOUNTS: List = List::of("/v1/accounts", "account");
const CHECKOUT_SESSIONS: List = List::of("/v1/checkout/sessions", "checkout.session");
const CREDIT_NOTES: List = List::of("/v1/credit_notes", "credit_note");
const CUSTOMERS: List = List::of("/v1/customers", "customer").by_clock();
const FEES: List = List::of("/v1/application_fees", "application_fee");
const INVOICES: List = List::of("/v1/invoices", "invoice");
const PAYOUTS: List = List::of("/v1/payouts", "payout");
const SETUP_INTENTS: List = List::of("/v1/setup_intents", "setup_intent");
const SUBSCRIPTIONS: List =
    List::of("/v1/subscriptions", "subscription").params(&[("status", "all")]).by_clock();
const TRANSFERS: List = List::of("/v1/transfers", "transfer");

const EXTERNAL: &[&str] = &[
    "account.external_account.created",
    "account.external_account.deleted",
    "account.external_account.updated",
];
const SOURCES: &[&str] = &[
    "customer.source.created",
    "customer.source.deleted",
    "customer.source.expiring",
    "customer.source.updated",
];
const TAX_IDS: &[&str] =
    &["customer.tax_id.created", "customer.tax_id.deleted", "customer.tax_id.updated"];
const INVOICE_TYPES: &[&str] = &[
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
const SUBSCRIPTION_TYPES: &[&str] = &[
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.resumed",
    "customer.subscription.trial_will_end",
    "customer.subscription.updated",
];

const fn topic(
    types: &'static [&'static str],
    objects: &'static [(&'static str, &'static str)],
) -> Topic {
    Topic { types, objects }
}

const fn inline(parent: List, field: &'static str, object: &'static str, link: Link) -> Children {
    Children {
        parent: Parent::List(parent),
        via: None,
        at: Place::Inline(field),
        object,
        link,
        fill: None,
    }
}

const fn endpoint(
    parent: Parent,
    path: &'static str,
    params: &'static [(&'static str, &'static str)],
    object: &'static str,
    link: Link,
) -> Children {
    Children { parent, via: None, at: Place::Endpoint { path, params }, object, link, fill: None }
}

const CREATED: Changes = Changes::Created { ripens: None, settles: false };

/// All streams, in the order of the catalog.
pub static STREAMS: &[Def] = &[
    Def { relist_days: Some(1), ..followed!("accounts", ACCOUNTS, &["account.updated"]) },
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
    def!(
        "apple_pay_domains",
        None,
        Rows::List(List::of("/v1/apple_pay/domains", "apple_pay_domain").unfiltered()),
        Changes::None
    ),
    followed!("application_fees", FEES, &["application_fee.created", "application_fee.refunded"]),
    below!(
        "application_fees_refunds",
        "updated",
        inline(FEES, "refunds", "fee_refund", links::own_time),
        topic(
            &["application_fee.refund.updated", "application_fee.refunded"],
            &[("application_fee", "id"), ("fee_refund", "fee")]
        ),
        "/v1/application_fees/{id}"
    ),
    followed!(
        "authorizations",
        List::of("/v1/issuing/authorizations", "issuing.authorization"),
        &[
            "issuing_authorization.created",
            "issuing_authorization.request",
            "issuing_authorization.updated"
        ]
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
    child!(
        "bank_accounts",
        inline(CUSTOMERS.expand(&["sources"]), "sources", "bank_account", links::parent_time),
        SOURCES,
        "/v1/customers/{customer}/bank_accounts/{id}"
    ),
    followed!(
        "cardholders",
        List::of("/v1/issuing/cardholders", "issuing.cardholder"),
        &["issuing_cardholder.created", "issuing_cardholder.updated"]
    ),
    followed!(
        "cards",
        List::of("/v1/issuing/cards", "issuing.card"),
        &["issuing_card.created", "issuing_card.updated"]
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
        &["checkout.session.async_payment_failed", "checkout.session.async_payment_succeeded", "checkout.session.completed", "checkout.session.expired"],
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
        topic(
            &[
                "checkout.session.async_payment_failed",
                "checkout.session.async_payment_succeeded",
                "checkout.session.completed",
                "checkout.session.expired"
            ],
            &[("checkout.session", "id")]
        ),
        "/v1/checkout/sessions/{id}"
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
        topic(
            &["credit_note.created", "credit_note.updated", "credit_note.voided"],
            &[("credit_note", "id")]
        ),
        "/v1/credit_notes/{id}"
    ),
    followed!(
        "credit_notes",
        CREDIT_NOTES,
        &["credit_note.created", "credit_note.updated", "credit_note.voided"]
    ),
    below!(
        "customer_balance_transactions",
        "created",
        endpoint(
            Parent::List(CUSTOMERS),
            "/v1/customers/{id}/balance_transactions",
            &[],
            "customer_balance_transaction",
            links::nothing
        ),
        topic(
            &[
                "customer.created",
                "customer.updated",
                "invoice.created",
                "invoice.finalized",
                "invoice.paid",
                "invoice.updated",
                "invoice.voided",
                "credit_note.created",
                "credit_note.voided"
            ],
            &[("customer", "id"), ("invoice", "customer"), ("credit_note", "customer")]
        ),
        "",
        true
    ),
    child!(
        "customer_cards",
        inline(CUSTOMERS.expand(&["sources"]), "sources", "card", links::parent_time),
        SOURCES,
        "/v1/customers/{customer}/cards/{id}"
    ),
    child!(
        "customer_tax_ids",
        endpoint(
            Parent::List(CUSTOMERS),
            "/v1/customers/{id}/tax_ids",
            &[],
            "tax_id",
            links::own_time
        ),
        TAX_IDS,
        "/v1/customers/{customer}/tax_ids/{id}"
    ),
    followed!(
        "customers",
        CUSTOMERS,
        &["customer.created", "customer.deleted", "customer.updated"]
    ),
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
        "entitlement_features",
        None,
        Rows::List(
            List::of("/v1/entitlements/features", "entitlements.feature")
                .unfiltered()
                .time(Time::None)
        ),
        Changes::None
    ),
    def!(
        "events",
        Some("created"),
        Rows::List(List::of("/v1/events", "event").time(Time::None)),
        Changes::Created { ripens: None, settles: true }
    ),
    Def {
        relist_days: Some(1),
        ..child!(
            "external_account_bank_accounts",
            endpoint(
                Parent::Account,
                "/v1/accounts/{id}/external_accounts",
                &[("object", "bank_account")],
                "bank_account",
                links::parent_time
            ),
            EXTERNAL,
            "/v1/accounts/{account}/external_accounts/{id}"
        )
    },
    Def {
        relist_days: Some(1),
        ..child!(
            "external_account_cards",
            endpoint(
                Parent::Account,
                "/v1/accounts/{id}/external_accounts",
                &[("object", "card")],
                "card",
                links::parent_time
            ),
            EXTERNAL,
            "/v1/accounts/{account}/external_accounts/{id}"
        )
    },
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
        "issuing_disputes",
        List::of("/v1/issuing/disputes", "issuing.dispute"),
        &[
            "issuing_dispute.closed",
            "issuing_dispute.created",
            "issuing_dispute.funds_reinstated",
            "issuing_dispute.funds_rescinded",
            "issuing_dispute.submitted",
            "issuing_dispute.updated"
        ]
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
        topic(
            &[
                "payout.canceled",
                "payout.created",
                "payout.failed",
                "payout.paid",
                "payout.reconciliation_completed",
                "payout.updated"
            ],
            &[("payout", "id")]
        ),
        ""
    ),
    followed!(
        "payouts",
        PAYOUTS,
        &[
            "payout.canceled",
            "payout.created",
            "payout.failed",
            "payout.paid",
            "payout.reconciliation_completed",
            "payout.updated"
        ]
    ),
    Def {
        relist_days: Some(1),
        ..child!(
            "persons",
            endpoint(
                Parent::List(ACCOUNTS),
                "/v1/accounts/{id}/persons",
                &[],
                "person",
                links::own_time
            ),
            &["person.created", "person.deleted", "person.updated"],
            "/v1/accounts/{account}/persons/{id}"
        )
    },
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
        topic(
            &[
                "setup_intent.canceled",
                "setup_intent.created",
                "setup_intent.requires_action",
                "setup_intent.setup_failed",
                "setup_intent.succeeded"
            ],
            &[("setup_intent", "id")]
        ),
        "",
        true
    ),
    followed!(
        "setup_intents",
        SETUP_INTENTS,
        &[
            "setup_intent.canceled",
            "setup_intent.created",
            "setup_intent.requires_action",
            "setup_intent.setup_failed",
            "setup_intent.succeeded"
        ]
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
    followed!(
        "top_ups",
        List::of("/v1/topups", "topup"),
        &["topup.canceled", "topup.created", "topup.failed", "topup.reversed", "topup.succeeded"]
    ),
    followed!(
        "transactions",
        List::of("/v1/issuing/transactions", "issuing.transaction"),
        &[
            "issuing_transaction.created",
            "issuing_transaction.purchase_details_receipt_updated",
            "issuing_transaction.updated"
        ]
    ),
    below!(
        "transfer_reversals",
        "created",
        inline(TRANSFERS, "reversals", "transfer_reversal", links::nothing),
        topic(
            &["transfer.created", "transfer.reversed", "transfer.updated"],
            &[("transfer", "id")]
        ),
        "/v1/transfers/{id}",
        true
    ),
    followed!(
        "transfers",
        TRANSFERS,
        &["transfer.created", "transfer.reversed", "transfer.updated"]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        assert_eq!(STREAMS.len(), 60);
        let names: Vec<_> = STREAMS.iter().map(|def| def.name).collect();
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(names.len(), unique.len());
        for def in STREAMS {
            let schema = cdk::schema::parse(def.name, def.schema).unwrap();
            for field in def.key.iter().chain(&def.cursor) {
                assert!(schema["properties"].get(*field).is_some(), "{}.{field}", def.name);
            }
            assert_eq!(def.cursor.is_none(), matches!(def.changes, Changes::None), "{}", def.name);
        }
    }
}
