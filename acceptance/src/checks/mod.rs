//! What finds violations of the rules: functions from transcripts and catalogs to findings.

pub mod attributes;
pub mod catalog;
pub mod destination;
pub mod incremental;
pub mod output;
pub mod payload;
pub mod read;
pub mod spec;
pub mod streams;

/// JSON of any shape, rich in the keywords that the checks look for.
#[cfg(test)]
pub(crate) fn arbitrary_json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
    use proptest::prelude::*;
    use serde_json::Value;
    const KEYS: &[&str] = &[
        "type",
        "properties",
        "items",
        "oneOf",
        "anyOf",
        "allOf",
        "not",
        "const",
        "enum",
        "default",
        "examples",
        "required",
        "format",
        "pattern",
        "airbyte_type",
        "airbyte_secret",
        "order",
        "group",
        "additionalProperties",
        "connectionSpecification",
        "advanced_auth",
        "predicate_key",
        "streams",
        "name",
        "namespace",
        "json_schema",
        "supported_sync_modes",
        "default_cursor_field",
        "source_defined_primary_key",
        "minLength",
        "minimum",
        "data",
        "password",
        "$ref",
    ];
    const WORDS: &[&str] = &[
        "object",
        "string",
        "integer",
        "array",
        "null",
        "date-time",
        "^a+$",
        "incremental",
        "full_refresh",
        "2026-01-31",
        "a",
        "",
        "é\u{0}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let key = prop_oneof![
            4 => prop::sample::select(KEYS).prop_map(str::to_owned),
            1 => "\\PC{0,6}",
        ];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((key, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}
