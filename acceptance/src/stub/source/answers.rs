//! The spec and the catalog of the stub source, and what mutants make of them.

use serde_json::{Value, json};

use super::output::now_ms;
use crate::stub::mutants::{Fault, Mutation};

const INSTANT: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$";

/// The schema of the configuration.
pub fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Stub",
        "type": "object",
        "required": ["api_url", "credentials"],
        "properties": {
            "api_url": {
                "type": "string", "title": "Address of the API", "order": 0,
                "description": "Where the API listens.",
                "examples": ["http://127.0.0.1:8080"],
            },
            "credentials": {
                "type": "object", "title": "Authentication", "order": 1,
                "description": "How the connector authorizes itself.",
                "oneOf": [oauth(), api_token()],
            },
            "page_size": {
                "type": "integer", "title": "Page size", "order": 2,
                "description": "Rows per request.",
                "minimum": 1, "maximum": 1000, "default": 20,
            },
            "start_date": {
                "type": "string", "title": "Start date", "order": 3,
                "description": "Users that were changed before are not read.",
                "format": "date-time", "pattern": INSTANT,
                "examples": ["2024-01-01T00:00:00Z"],
            },
        },
    })
}

fn oauth() -> Value {
    let text = |title: &str, order: usize| {
        json!({
            "type": "string", "title": title, "order": order, "airbyte_secret": true,
            "description": "From the settings of your application.",
        })
    };
    json!({
        "type": "object", "title": "OAuth",
        "required": ["auth_type", "client_id", "client_secret", "refresh_token"],
        "properties": {
            "auth_type": {"type": "string", "title": "Kind", "description": "OAuth.",
                "const": "oauth2.0", "order": 0},
            "client_id": text("Client ID", 1),
            "client_secret": text("Client secret", 2),
            "refresh_token": text("Refresh token", 3),
        },
    })
}

fn api_token() -> Value {
    json!({
        "type": "object", "title": "API token",
        "required": ["auth_type", "api_token"],
        "properties": {
            "auth_type": {"type": "string", "title": "Kind", "description": "A token.",
                "const": "api_token", "order": 0},
            "api_token": {"type": "string", "title": "API token", "order": 1,
                "description": "From the settings of your account.", "airbyte_secret": true},
        },
    })
}

/// The payload of SPEC.
pub fn spec(mutation: Mutation) -> Value {
    let at =
        |name: &str| json!({"type": "string", "path_in_connector_config": ["credentials", name]});
    let mut spec = json!({
        "documentationUrl": "https://example.org/stub",
        "protocol_version": "0.18.0",
        "connectionSpecification": schema(),
        "advanced_auth": {
            "auth_flow_type": "oauth2.0",
            "predicate_key": ["credentials", "auth_type"],
            "predicate_value": "oauth2.0",
            "oauth_config_specification": {
                "complete_oauth_output_specification": {
                    "type": "object",
                    "properties": {"refresh_token": at("refresh_token")},
                },
                "complete_oauth_server_input_specification": {
                    "type": "object",
                    "properties": {
                        "client_id": {"type": "string"}, "client_secret": {"type": "string"},
                    },
                },
                "complete_oauth_server_output_specification": {
                    "type": "object",
                    "properties": {"client_id": at("client_id"), "client_secret": at("client_secret")},
                },
            },
        },
    });
    distort_spec(&mut spec, mutation);
    spec
}

fn distort_spec(spec: &mut Value, mutation: Mutation) {
    let variants = "/connectionSpecification/properties/credentials/oneOf";
    let mut set = |pointer: &str, key: &str, value: Value| {
        if let Some(object) = spec.pointer_mut(pointer).and_then(Value::as_object_mut) {
            if value.is_null() {
                object.shift_remove(key);
            } else {
                object.insert(key.to_owned(), value);
            }
        }
    };
    let root = "/connectionSpecification";
    let page_size = "/connectionSpecification/properties/page_size";
    if mutation.is(Fault::SpecSchemaInvalid) {
        set(page_size, "type", "whole".into());
    } else if mutation.is(Fault::SpecRefusesConfig) {
        set("/connectionSpecification/properties/api_url", "pattern", "^https://".into());
    } else if mutation.is(Fault::SecretNotMarked) {
        set(&format!("{variants}/0/properties/client_secret"), "airbyte_secret", Value::Null);
    } else if mutation.is(Fault::OneOfWithoutConst) {
        for (variant, value) in [(0, "oauth2.0"), (1, "api_token")] {
            let kind = format!("{variants}/{variant}/properties/auth_type");
            set(&kind, "const", Value::Null);
            set(&kind, "default", value.into());
        }
    } else if mutation.is(Fault::SpecWithAllOf) {
        set(page_size, "allOf", json!([{"minimum": 1}]));
    } else if mutation.is(Fault::SpecWithTypeUnion) {
        set(page_size, "type", json!(["integer", "string"]));
    } else if mutation.is(Fault::OrderTwice) {
        set(page_size, "order", 1.into());
    } else if mutation.is(Fault::SpecClosed) {
        set(root, "additionalProperties", false.into());
    } else if mutation.is(Fault::OauthPathWrong) {
        let output = "/advanced_auth/oauth_config_specification/complete_oauth_output_specification\
                      /properties/refresh_token";
        set(output, "path_in_connector_config", json!(["credentials", "renewal_token"]));
    } else if mutation.is(Fault::OauthSecond) {
        set(&format!("{root}/properties/credentials"), "oneOf", json!([api_token(), oauth()]));
    } else if mutation.is(Fault::SpecWithTime) {
        set(root, "description", format!("Printed at {}.", now_ms()).into());
        std::thread::sleep(std::time::Duration::from_millis(2));
    } else if mutation.is(Fault::SpecChanged) {
        set(page_size, "description", "Rows per page.".into());
    } else if mutation.is(Fault::DefaultInvalid) {
        set(page_size, "default", "twenty".into());
    } else if mutation.is(Fault::PropertyRemoved) {
        set(&format!("{root}/properties"), "start_date", Value::Null);
    } else if mutation.is(Fault::SpecUntitled) {
        set("", "documentationUrl", Value::Null);
        set("", "protocol_version", Value::Null);
        strip(spec);
    }
}

/// Takes titles and descriptions away, wherever they are texts.
fn strip(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|key, value| {
                !(matches!(key.as_str(), "title" | "description") && value.is_string())
            });
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// The payload of CATALOG.
pub fn catalog(mutation: Mutation) -> Value {
    let mut streams = vec![users(), orders(), countries(), notes(), empty()];
    distort_streams(&mut streams, mutation);
    json!({"streams": streams})
}

fn nullable(kind: &str) -> Value {
    json!({"type": ["null", kind]})
}

fn object(properties: Value) -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": true,
        "properties": properties,
    })
}

fn users() -> Value {
    json!({
        "name": "users",
        "json_schema": object(json!({
            "id": {"type": "integer"},
            "name": nullable("string"),
            "email": nullable("string"),
            "active": nullable("boolean"),
            "score": nullable("number"),
            "address": {
                "type": ["null", "object"],
                "properties": {"city": nullable("string"), "zip": nullable("string")},
            },
            "tags": {"type": ["null", "array"], "items": {"type": "string"}},
            "updated_at": {
                "type": "string", "format": "date-time",
                "airbyte_type": "timestamp_with_timezone",
            },
        })),
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": true,
        "default_cursor_field": ["updated_at"],
        "source_defined_primary_key": [["id"]],
        "is_resumable": true,
    })
}

fn orders() -> Value {
    json!({
        "name": "orders",
        "json_schema": object(json!({
            "id": {"type": "integer"},
            "sequence": {"type": "integer"},
            "user_id": nullable("integer"),
            "amount": nullable("number"),
            "currency": nullable("string"),
            "placed_on": {"type": ["null", "string"], "format": "date"},
        })),
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": true,
        "default_cursor_field": ["sequence"],
        "source_defined_primary_key": [["id"]],
        "is_resumable": true,
    })
}

fn countries() -> Value {
    json!({
        "name": "countries",
        "json_schema": object(json!({"code": {"type": "string"}, "name": nullable("string")})),
        "supported_sync_modes": ["full_refresh"],
        "source_defined_primary_key": [["code"]],
    })
}

fn notes() -> Value {
    json!({
        "name": "notes",
        "json_schema": object(json!({
            "user_id": {"type": "integer"},
            "number": {"type": "integer"},
            "body": nullable("string"),
        })),
        "supported_sync_modes": ["full_refresh"],
        "source_defined_cursor": true,
        "source_defined_primary_key": [["user_id"], ["number"]],
        "is_resumable": true,
    })
}

fn empty() -> Value {
    json!({
        "name": "empty",
        "json_schema": object(json!({"id": {"type": "integer"}})),
        "supported_sync_modes": ["full_refresh"],
        "source_defined_primary_key": [["id"]],
    })
}

fn distort_streams(streams: &mut Vec<Value>, mutation: Mutation) {
    let [users, orders, countries, notes, ..] = streams.as_mut_slice() else { return };
    let users_fields = &mut users["json_schema"]["properties"];
    if mutation.is(Fault::CursorUndeclared) {
        let drop = |stream: &mut Value, key: &str| {
            stream.as_object_mut().and_then(|stream| stream.shift_remove(key))
        };
        drop(orders, "default_cursor_field");
        orders["source_defined_cursor"] = true.into();
    } else if mutation.is(Fault::SchemaWithoutProperties) {
        countries["json_schema"] = json!({"type": "object"});
    } else if mutation.is(Fault::SchemaWithRef) {
        countries["json_schema"]["properties"]["name"] = json!({"$ref": "#/definitions/text"});
        countries["json_schema"]["definitions"] = json!({"text": nullable("string")});
    } else if mutation.is(Fault::KeyNotInSchema) {
        countries["source_defined_primary_key"] = json!([["iso_code"]]);
    } else if mutation.is(Fault::KeyIsObject) {
        users["source_defined_primary_key"] = json!([["address"]]);
    } else if mutation.is(Fault::FormatUnknown) {
        orders["json_schema"]["properties"]["placed_on"]["format"] = "day".into();
    } else if mutation.is(Fault::StreamClosed) {
        notes["json_schema"]["additionalProperties"] = false.into();
    } else if mutation.is(Fault::FieldsDifferInCase) {
        users_fields["Name"] = nullable("string");
    } else if mutation.is(Fault::StreamWithoutKey)
        && let Some(stream) = countries.as_object_mut()
    {
        stream.shift_remove("source_defined_primary_key");
    } else if mutation.is(Fault::FieldRetyped) {
        orders["json_schema"]["properties"]["amount"] = nullable("string");
    } else if mutation.is(Fault::FieldMisspelt)
        && let Some(fields) = users_fields.as_object_mut()
    {
        fields.shift_remove("email");
        fields.insert("e_mail".to_owned(), nullable("string"));
    } else if mutation.is(Fault::StreamTwice) {
        let copy = orders.clone();
        streams.push(copy);
    } else if mutation.is(Fault::StreamRemoved) {
        streams.remove(2);
    } else if mutation.is(Fault::CatalogShuffled) {
        fastrand::shuffle(streams);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_accepts_both_configurations() {
        use crate::stub::{Auth, source_config};
        let validator = jsonschema::draft7::new(&schema()).unwrap();
        for auth in [Auth::OAuth, Auth::ApiToken] {
            assert!(validator.is_valid(&source_config("http://127.0.0.1:1", auth)));
        }
    }

    #[test]
    fn mutants_of_answers_change_them() {
        use crate::stub::mutants::{ALL, Connector};
        let sound = Mutation::default();
        let groups = ["S03", "S04", "S05", "S06", "S07", "S08", "S09", "S11", "S12", "S13"];
        for mutant in ALL.iter().filter(|mutant| groups.contains(&mutant.rule.id)) {
            let mutation = Mutation::named(Some(&mutant.name()), Connector::Source).unwrap();
            assert_ne!(spec(mutation), spec(sound), "{}", mutant.name());
        }
    }
}
