//! What happens behind an emulated API between two reads.

use sandbox::Admin;

use super::api::Api;
use crate::error::{Error, Result};

/// Virtual seconds that pass after the changes: events are read only once they are a minute old, and
/// Salesforce's last ten minutes are read again each time.
pub const SECONDS_AFTER: u32 = 900;

/// Makes the changes and lets time pass. Returns what was done, for people.
pub fn make(api: &Api, admin: &Admin) -> Result<String> {
    let mut done: Vec<(&str, Vec<String>)> = Vec::new();
    for (action, body) in (api.changes)() {
        admin
            .change(api.name, action, &body)
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
