//! What happens in the emulated account between two reads.

use sandbox::Admin;
use serde_json::{Value, json};

use super::API;
use crate::error::{Error, Result};

/// Virtual seconds that pass after the changes: events are read only once they are a minute old.
pub const SECONDS_AFTER: u32 = 300;

/// The changes: action and body as the sandbox's admin paths take them.
fn list() -> Vec<(&'static str, Value)> {
    let described = json!({"description": "changed between two reads"});
    vec![
        ("mutate", json!({"resource": "customers", "count": 7, "set": described})),
        ("mutate", json!({"resource": "charges", "count": 5, "set": described})),
        ("mutate", json!({"resource": "invoices", "count": 1, "set": described})),
        ("create", json!({"resource": "products", "count": 2})),
        ("create", json!({"resource": "refunds", "count": 2})),
        ("create", json!({"resource": "invoices", "count": 1})),
        ("delete", json!({"resource": "invoice_items", "count": 2})),
        ("delete", json!({"resource": "products", "count": 1})),
        ("delete", json!({"resource": "customer_tax_ids", "count": 1})),
        ("delete", json!({"resource": "subscription_items", "count": 1})),
    ]
}

/// Makes the changes and lets time pass. Returns what was done, for people.
pub fn make(admin: &Admin) -> Result<String> {
    let mut done: Vec<(&str, Vec<String>)> = Vec::new();
    for (action, body) in list() {
        admin
            .change(API, action, &body)
            .map_err(|why| Error::run(format!("the sandbox cannot {action} {body}: {why}")))?;
        let what = format!("{} {}", body["count"], body["resource"].as_str().unwrap_or_default());
        match done.iter_mut().find(|(known, _)| *known == action) {
            Some((_, whats)) => whats.push(what),
            None => done.push((action, vec![what])),
        }
    }
    admin.advance(SECONDS_AFTER);
    let parts: Vec<String> =
        done.iter().map(|(action, whats)| format!("{action} {}", whats.join(", "))).collect();
    Ok(parts.join("; "))
}
