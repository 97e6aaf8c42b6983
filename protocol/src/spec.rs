//! The specification of a connector: what it can be configured with.

mod schema;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use schema::config_schema;

use crate::catalog::DestinationSyncMode;
use crate::names::null_as_empty;

/// The version of the protocol's models that this crate implements.
pub const PROTOCOL_VERSION: &str = "0.18.0";

/// The payload of a SPEC message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConnectorSpecification {
    /// Where the connector is documented.
    #[serde(rename = "documentationUrl", default, skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    /// Where its changes are listed.
    #[serde(rename = "changelogUrl", default, skip_serializing_if = "Option::is_none")]
    pub changelog_url: Option<String>,
    /// The JSON schema of the configuration; see [`config_schema`].
    #[serde(rename = "connectionSpecification")]
    pub connection_specification: Value,
    /// Whether a source can read incrementally; deprecated in the protocol, still read by some.
    #[serde(rename = "supportsIncremental", default, skip_serializing_if = "Option::is_none")]
    pub supports_incremental: Option<bool>,
    /// What a destination can do; empty for sources.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub supported_destination_sync_modes: Vec<DestinationSyncMode>,
    /// How the OAuth button of an interface works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advanced_auth: Option<AdvancedAuth>,
    /// The version of the protocol's models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// Fields this version does not know, such as the deprecated `authSpecification`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ConnectorSpecification {
    /// The specification of a connector whose configuration is `C`.
    pub fn of<C: JsonSchema>(documentation_url: impl Into<String>) -> Self {
        Self::new(config_schema::<C>(), documentation_url)
    }

    /// A specification from a JSON schema made by other means.
    pub fn new(connection_specification: Value, documentation_url: impl Into<String>) -> Self {
        Self {
            documentation_url: Some(documentation_url.into()),
            changelog_url: None,
            connection_specification,
            supports_incremental: None,
            supported_destination_sync_modes: Vec::new(),
            advanced_auth: None,
            protocol_version: Some(PROTOCOL_VERSION.into()),
            extra: Map::new(),
        }
    }

    /// Says that the source can read incrementally.
    pub fn with_incremental(mut self) -> Self {
        self.supports_incremental = Some(true);
        self
    }

    /// Sets where the changes are listed.
    pub fn with_changelog_url(mut self, url: impl Into<String>) -> Self {
        self.changelog_url = Some(url.into());
        self
    }

    /// Adds the description of the OAuth flow.
    pub fn with_advanced_auth(mut self, advanced_auth: AdvancedAuth) -> Self {
        self.advanced_auth = Some(advanced_auth);
        self
    }

    /// Says what the destination can do.
    pub fn with_destination_sync_modes(
        mut self,
        modes: impl IntoIterator<Item = DestinationSyncMode>,
    ) -> Self {
        self.supported_destination_sync_modes = modes.into_iter().collect();
        self
    }
}

/// How an interface obtains credentials by OAuth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AdvancedAuth {
    /// `oauth2.0` or `oauth1.0`.
    pub auth_flow_type: String,
    /// The path of the configuration field that turns the flow on.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub predicate_key: Vec<String>,
    /// The value of that field with which the flow is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_value: Option<String>,
    /// The flow's inputs and outputs.
    #[serde(default)]
    pub oauth_config_specification: OauthConfigSpecification,
}

/// The inputs and outputs of an OAuth flow, most of them JSON schemas whose properties carry
/// `path_in_connector_config`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OauthConfigSpecification {
    /// What the flow needs from the form before it starts, such as a subdomain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_user_input_from_connector_config_specification: Option<Value>,
    /// The flow itself, when it is described rather than programmed in the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth_connector_input_specification: Option<OauthInputSpecification>,
    /// What the flow returns and where it goes in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_oauth_output_specification: Option<Value>,
    /// What an administrator provides: client id and secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_oauth_server_input_specification: Option<Value>,
    /// Where the administrator's values go in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_oauth_server_output_specification: Option<Value>,
}

/// An OAuth flow described by its addresses; both are templates of the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OauthInputSpecification {
    /// Where the user consents.
    pub consent_url: String,
    /// Where the code is exchanged for tokens.
    pub access_token_url: String,
    /// The scopes, joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Headers of the token request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_headers: Option<Value>,
    /// Body of the token request, when it is not the usual form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_params: Option<Value>,
    /// What to take from the answer; the refresh token when empty.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub extract_output: Vec<String>,
    /// Names of parameters that differ from the usual ones, and other settings.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
