//! The emulated Salesforce org: login, describe, queries, Bulk jobs, quotas, changes, truth.

mod bulk;
mod changes;
mod client;
mod login;
mod quotas;
mod rest;
