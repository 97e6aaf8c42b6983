//! Customers, accounts and the cards that are issued.

use super::parts::*;
use super::{Changes, Children, Def, List, Parent, Rows, Topic};
use crate::links;

/// The streams.
pub static STREAMS: &[Def] = &[
    Def { relist_days: Some(1), ..followed!("accounts", ACCOUNTS, &["account.updated"]) },
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
        "transactions",
        List::of("/v1/issuing/transactions", "issuing.transaction"),
        &[
            "issuing_transaction.created",
            "issuing_transaction.purchase_details_receipt_updated",
            "issuing_transaction.updated"
        ]
    ),
];
