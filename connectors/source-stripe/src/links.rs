//! What children get from their parents: ids to join by, and the time of the change.
//!
//! On a first read that time is the parent's creation; later it is the event's.

use cdk::json::{fields, integer};

use crate::members::Members;

/// Adds a child's columns: from its parent, itself and the time of the event (epoch
/// seconds; `None` on a first read).
pub type Link = fn(parent: &str, child: &str, at: Option<i64>, columns: &mut Members);

/// Nothing is added.
pub fn nothing(_: &str, _: &str, _: Option<i64>, _: &mut Members) {}

/// `updated`, the child's own creation on a first read.
pub fn own_time(_: &str, child: &str, at: Option<i64>, columns: &mut Members) {
    time("updated", child, at, columns);
}

/// `updated`, the parent's creation on a first read: the child does not tell its own.
pub fn parent_time(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    time("updated", parent, at, columns);
}

/// The customer whose entitlement it is.
pub fn entitlement(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    let [id] = fields(parent, ["id"]);
    columns.raw_or_null("customer", id);
    time("updated", parent, at, columns);
}

/// A discount starts when it changes.
pub fn discount(_: &str, child: &str, at: Option<i64>, columns: &mut Members) {
    let [start] = fields(child, ["start"]);
    match at {
        Some(at) => columns.int("updated", at),
        None => columns.raw_or_null("updated", start),
    }
}

/// The payout that a balance transaction belongs to.
pub fn payout(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    let [id] = fields(parent, ["id"]);
    columns.raw_or_null("payout", id);
    time("updated", parent, at, columns);
}

/// The invoice of a line.
pub fn invoice(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    named(parent, at, ["invoice_id", "invoice_created", "invoice_updated"], columns);
}

/// The credit note of a line.
pub fn credit_note(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    named(parent, at, ["credit_note_id", "credit_note_created", "credit_note_updated"], columns);
}

/// The subscription of an item says when it changed; the item itself names it.
pub fn subscription(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    time("subscription_updated", parent, at, columns);
}

/// The checkout session of a line.
pub fn checkout_session(parent: &str, _: &str, at: Option<i64>, columns: &mut Members) {
    let keys = ["checkout_session_id", "checkout_session_created", "checkout_session_updated"];
    named(parent, at, keys, columns);
    let [expires] = fields(parent, ["expires_at"]);
    columns.raw_or_null("checkout_session_expires_at", expires);
}

fn named(
    parent: &str,
    at: Option<i64>,
    [id_key, created_key, updated_key]: [&str; 3],
    columns: &mut Members,
) {
    let [id, created] = fields(parent, ["id", "created"]);
    columns.raw_or_null(id_key, id);
    columns.raw_or_null(created_key, created);
    match at {
        Some(at) => columns.int(updated_key, at),
        None => columns.raw_or_null(updated_key, created),
    }
}

fn time(key: &str, made: &str, at: Option<i64>, columns: &mut Members) {
    let known = at.or_else(|| fields(made, ["created"])[0].and_then(integer));
    match known {
        Some(time) => columns.int(key, time),
        None => columns.raw(key, "null"),
    }
}
