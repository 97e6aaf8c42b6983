//! `source-salesforce` against the sandbox: the acceptance cases of its design.

mod basics;
mod catalog;
mod changes;
mod ends;
mod jobs;
mod logins;
mod quotas;
mod reads;
mod states;

/// Reads by Bulk whatever the number of rows.
fn bulk() -> serde_json::Value {
    serde_json::json!({ "force_use_bulk_api": true })
}
