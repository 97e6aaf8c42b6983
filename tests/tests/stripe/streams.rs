//! All streams at once: values, schemas, order of messages, and what changes bring.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use airbyte_protocol::Stream;
use cdk::schema::Conformance;
use e2e::{Outcome, Stripe, rows};

/// The streams as they are discovered, once for all tests.
pub fn discovered() -> &'static BTreeMap<String, Stream> {
    static STREAMS: OnceLock<BTreeMap<String, Stream>> = OnceLock::new();
    STREAMS.get_or_init(|| {
        let discovered = Stripe::of_rows(1).job("discover").run().succeeded();
        let streams = discovered.catalog().streams.iter();
        streams.map(|stream| (stream.name.clone(), stream.clone())).collect()
    })
}

/// The names of all streams.
pub fn names() -> Vec<&'static str> {
    discovered().keys().map(String::as_str).collect()
}

/// The field that is the primary key of a stream.
pub fn key_of(stream: &str) -> Option<&'static str> {
    discovered()[stream].source_defined_primary_key.first()?.first().map(String::as_str)
}

/// Asserts that the rows of every stream are those of the sandbox, each once.
#[track_caller]
fn assert_truth(stripe: &Stripe, read: &Outcome) {
    for name in names() {
        let mut got = read.rows(name);
        let mut expected = stripe.truth(name);
        if name == "balance" {
            // Its key is the moment of the read.
            for row in got.iter_mut().chain(&mut expected) {
                row["snapshot_at"] = "now".into();
            }
        }
        assert!(!expected.is_empty(), "{name}: nothing to read");
        rows::assert_same(name, got, expected, key_of(name));
    }
}

#[test]
fn a_full_refresh_of_all_streams_is_the_truth_and_fits_the_schemas() {
    let stripe = Stripe::of_rows(60);
    let read = stripe.read(&names()).full_refresh().run().succeeded();
    assert_truth(&stripe, &read);
    for (name, stream) in discovered() {
        let check = Conformance::new(stream.json_schema.clone()).expect("a schema");
        for row in read.rows(name) {
            let found = check.findings(&row);
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }
}
