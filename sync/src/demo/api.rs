//! The APIs that the demo reads, with what is particular to each.

use sandbox::Admin;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// An emulated API and the connector that reads it.
pub struct Api {
    /// The API, as the sandbox calls it, and the namespace of its tables.
    pub name: &'static str,
    /// The package and the executable of the connector.
    pub connector: &'static str,
    /// The objects in each large collection, for those that `--rows` asks for.
    pub rows: fn(u64) -> u64,
    /// The emulated Salesforce org, as the sandbox's TOML.
    pub org: &'static str,
    /// What the connector's configuration has beside what the sandbox says.
    pub config: fn() -> Value,
    /// The sandbox's faults, for people.
    pub faults: &'static str,
    /// Streams that the sandbox knows no truth of.
    pub untold: &'static [&'static str],
    /// Members of a stream's rows that differ from read to read.
    pub ignored: &'static [(&'static str, &'static str)],
    /// Members that say when an object changed last, which a first read cannot know, and neither
    /// can the truth.
    pub told_by_changes: &'static [&'static str],
    /// What changes between two reads: action and body as the sandbox's admin paths take them.
    pub changes: fn() -> Vec<(&'static str, Value)>,
    /// What has to happen before the read is killed.
    pub trial: fn(&Admin) -> Result<Trial>,
    /// A table, with what to select from it and what to group it by.
    pub example: (&'static str, &'static str),
}

/// What the API does to a read on purpose, beside the faults.
#[derive(Debug, PartialEq, Eq)]
pub enum Trial {
    /// Nothing.
    None,
    /// It has not been overcome yet.
    Open,
    /// It was overcome; in words.
    Over(String),
}

/// All of them, in the order of the demo.
pub const ALL: [&Api; 2] = [&STRIPE, &SALESFORCE];

const STRIPE: Api = Api {
    name: "stripe",
    connector: "source-stripe",
    rows: |rows| rows,
    org: "",
    config: || json!({}),
    faults: "429s, 5xx, resets and broken bodies",
    untold: &[],
    ignored: &[("balance", "snapshot_at")],
    told_by_changes: &["updated", "invoice_updated", "subscription_updated"],
    changes: stripe_changes,
    trial: |_| Ok(Trial::None),
    example: ("charges", "currency, count(*), sum(amount)"),
};

/// The object whose first Bulk job fails when those of all others are done.
const FAILING: &str = "Account";

const SALESFORCE: Api = Api {
    name: "salesforce",
    connector: "source-salesforce",
    // So many that large objects, and the halves of them, are read by Bulk.
    rows: |rows| (rows * 20).max(6_000),
    org: r#"
        data.days = 2480
        jobs.delay_ms = 300
        jobs.script = [{ object = "Account", action = "fail", after_ms = 3000, times = 1 }]
    "#,
    // Small enough for so small an org: jobs for what REST would do, with many pages.
    config: || json!({ "bulk_from_rows": 2_000, "bulk_page_size": 1_000 }),
    faults: "limits, 5xx, resets, broken bodies, a session that ends, and a Bulk job that fails late",
    // A row for each object, which says what the API says of it.
    untold: &["Describe"],
    ignored: &[],
    told_by_changes: &[],
    changes: salesforce_changes,
    trial: failed_job,
    example: ("Account", "Industry, count(*), sum(AnnualRevenue)"),
};

fn stripe_changes() -> Vec<(&'static str, Value)> {
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

fn salesforce_changes() -> Vec<(&'static str, Value)> {
    let described = json!({"Description": "changed between two reads"});
    vec![
        ("mutate", json!({"resource": "Account", "count": 40, "set": described})),
        ("mutate", json!({"resource": "Contact", "count": 7, "set": described})),
        ("mutate", json!({"resource": "Wide__c", "count": 2_500, "set": {"Title__c": "NA"}})),
        ("create", json!({"resource": "Opportunity", "count": 3})),
        ("create", json!({"resource": "ContentVersion", "count": 1})),
        ("delete", json!({"resource": "Lead", "count": 5})),
        ("delete", json!({"resource": "Task", "count": 2})),
    ]
}

/// Whether the job that had to fail did, and that for the second half of its time was made, which
/// comes when the rows of the first half are there.
fn failed_job(admin: &Admin) -> Result<Trial> {
    let told = admin
        .change("salesforce", "event", &json!({"type": "jobs"}))
        .map_err(|why| Error::run(format!("the sandbox does not tell of its Bulk jobs: {why}")))?;
    let jobs = told["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(overcome(jobs))
}

fn overcome(jobs: &[Value]) -> Trial {
    let mut theirs = jobs.iter().filter(|job| job["object"] == FAILING);
    let Some(first) = theirs.next() else { return Trial::None };
    let after = theirs.count();
    if first["state"] != "Failed" || after < 2 {
        return Trial::Open;
    }
    Trial::Over(format!(
        "{} Bulk jobs so far; that of {FAILING} failed late, its rows came by {after} for parts of its time",
        jobs.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_is_overcome_by_others() {
        let job = |object: &str, state: &str| json!({"object": object, "state": state});
        let mut jobs = vec![job("Contact", "JobComplete")];
        assert_eq!(overcome(&jobs), Trial::None);
        jobs.push(job(FAILING, "InProgress"));
        assert_eq!(overcome(&jobs), Trial::Open);
        jobs[1] = job(FAILING, "Failed");
        jobs.push(job(FAILING, "JobComplete"));
        assert_eq!(overcome(&jobs), Trial::Open);
        jobs.push(job(FAILING, "InProgress"));
        let Trial::Over(told) = overcome(&jobs) else { panic!("{jobs:?}") };
        assert!(told.starts_with("4 Bulk jobs"), "{told}");
    }

    #[test]
    fn the_org_is_one_that_the_sandbox_knows() {
        for api in ALL {
            sandbox::salesforce::Settings::load(api.org).unwrap();
        }
    }
}
