//! The source: spec, check, discover and read.

use std::sync::Arc;

use airbyte_protocol::{
    AdvancedAuth, Catalog, ConfiguredCatalog, ConnectorSpecification, Context, InputState,
    OauthConfigSpecification, OauthInputSpecification, Result, Source,
};
use cdk::http::RetryPolicy;
use cdk::read::Stream;
use serde_json::{Value, json};
use tracing::info;

use crate::api::Api;
use crate::config::{Config, text};
use crate::discover::{self, DESCRIBE, DescribeStream};
use crate::links::{self, LinkStream};
use crate::objects::{is_readable, is_wanted};
use crate::stream::{ObjectStream, Shared};
use crate::window::literal;

/// The Salesforce source.
pub struct SourceSalesforce;

impl Source for SourceSalesforce {
    type Config = Config;

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::of::<Config>(
            "https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest",
        )
        .with_incremental()
        .with_advanced_auth(advanced_auth())
    }

    async fn check(&self, config: Config, context: Context) -> Result<Option<String>> {
        let api = Api::connect(&config, &context, RetryPolicy::brief()).await?;
        let objects = api.objects().await?;
        let readable = objects.iter().filter(|o| o.queryable && is_readable(&o.name));
        let wanted = readable.filter(|object| is_wanted(&config, &object.name)).count();
        if wanted == 0 {
            return Err(discover::nothing_to_read());
        }
        Ok(Some(format!(
            "Connected: {wanted} objects can be read. {}",
            said_of_start(&config, config.start(api.now())?)
        )))
    }

    async fn discover(&self, config: Config, context: Context) -> Result<Catalog> {
        let policy = RetryPolicy { attempts: 5, ..RetryPolicy::default() };
        let api = Api::connect(&config, &context, policy).await?;
        discover::catalog(&api, &config).await
    }

    async fn read(
        &self,
        config: Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> Result<()> {
        let api = Api::connect(&config, &context, RetryPolicy::default()).await?;
        let start = config.start(api.now())?;
        info!("{}", said_of_start(&config, start));
        if !config.preserve_na_values && !config.legacy_na_as_null {
            info!("Texts such as \"NA\" are kept; legacy_na_as_null would make nulls of them.");
        }
        let shared = Arc::new(Shared {
            end: config.end(start)?,
            lookback: config.lookback()?,
            step: config.step()?,
            formulas: config.formulas()?,
            start,
            api,
            config,
        });
        let names: Vec<String> = catalog.streams.iter().map(|s| s.stream.name.clone()).collect();
        let stream = |name: &String| -> Arc<dyn Stream> {
            let shared = shared.clone();
            match name.as_str() {
                DESCRIBE => {
                    let objects = names.iter().filter(|name| *name != DESCRIBE).cloned().collect();
                    Arc::new(DescribeStream { shared, objects })
                }
                links::NAME => Arc::new(LinkStream { shared }),
                _ => Arc::new(ObjectStream { name: name.clone(), shared }),
            }
        };
        let streams = names.iter().map(stream).collect();
        let workers = shared.config.workers();
        cdk::read::read(streams, catalog, &state, &context, workers).await?;
        let counts = shared.api.client().counts();
        info!(
            "Done: {} requests, {} of them repeated after failures, {} limits ridden out.",
            counts.requests(),
            counts.retries(),
            counts.rate_limits()
        );
        Ok(())
    }
}

/// Which rows first reads leave out, which is easily taken for a loss.
fn said_of_start(config: &Config, start: i64) -> String {
    let why = match text(config.start_date.as_deref()) {
        Some(_) => "as configured",
        None => "two years back, since no start_date is configured",
    };
    format!("First incremental reads bring rows changed at {} or later ({why}).", literal(start))
}

/// The consent page of an interface: the authorization code flow with PKCE (docs "OAuth 2.0
/// Web Server Flow for Web App Integration"), whose verifier is the state.
fn advanced_auth() -> AdvancedAuth {
    let host =
        "https://{% if is_sandbox %}test{% else %}login{% endif %}.salesforce.com/services/oauth2";
    // Base64 of an address is another alphabet than that of a challenge (RFC 7636).
    let challenge = "{{ state_value | codechallengeS256 | replace('+', '-') | replace('/', '_') | replace('=', '') }}";
    let consent = [
        "{{ client_id_param }}",
        "{{ redirect_uri_param }}",
        "{{ scopes_param }}",
        "{{ state_param }}",
        "response_type=code",
        "code_challenge_method=S256",
    ];
    let flow = OauthInputSpecification {
        consent_url: format!("{host}/authorize?{}&code_challenge={challenge}", consent.join("&")),
        access_token_url: format!("{host}/token"),
        access_token_headers: Some(json!({ "Content-Type": "application/x-www-form-urlencoded" })),
        access_token_params: Some(json!({
            "grant_type": "authorization_code",
            "client_id": "{{ client_id_value }}",
            "client_secret": "{{ client_secret_value }}",
            "redirect_uri": "{{ redirect_uri_value }}",
            "code": "{{ auth_code_value }}",
            "code_verifier": "{{ state_value }}",
        })),
        extract_output: vec!["refresh_token".into()],
        extra: members(json!({
            "scopes": [
                { "scope": "api" }, { "scope": "web" },
                { "scope": "refresh_token" }, { "scope": "lightning" },
            ],
            "state": { "min": 43, "max": 128 },
        })),
        ..OauthInputSpecification::default()
    };
    let open = |properties: Value| json!({ "type": "object", "properties": properties });
    let closed = |properties: Value| json!({ "type": "object", "additionalProperties": false, "properties": properties });
    let at = |kind: &str, name: &str| json!({ "type": kind, "path_in_connector_config": [name] });
    AdvancedAuth {
        auth_flow_type: "oauth2.0".into(),
        predicate_key: vec!["auth_type".into()],
        predicate_value: Some("Client".into()),
        oauth_config_specification: OauthConfigSpecification {
            oauth_user_input_from_connector_config_specification: Some(closed(
                json!({ "is_sandbox": at("boolean", "is_sandbox") }),
            )),
            oauth_connector_input_specification: Some(flow),
            complete_oauth_output_specification: Some(closed(
                json!({ "refresh_token": at("string", "refresh_token") }),
            )),
            complete_oauth_server_input_specification: Some(open(json!({
                "client_id": { "type": "string" }, "client_secret": { "type": "string" },
            }))),
            complete_oauth_server_output_specification: Some(closed(json!({
                "client_id": at("string", "client_id"),
                "client_secret": at("string", "client_secret"),
            }))),
        },
    }
}

fn members(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}
