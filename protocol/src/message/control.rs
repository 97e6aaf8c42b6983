//! CONTROL messages.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::string_enum;

string_enum! {
    /// What a control message changes.
    ControlType {
        /// The connector's configuration.
        ConnectorConfig = "CONNECTOR_CONFIG",
    }
}

/// The payload of a CONTROL message: a new configuration that replaces the stored one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// What it changes.
    #[serde(rename = "type")]
    pub kind: ControlType,
    /// When, in milliseconds since the epoch, with decimals.
    pub emitted_at: f64,
    /// The envelope of the configuration: an object with the member `config`.
    #[serde(rename = "connectorConfig", default, skip_serializing_if = "Option::is_none")]
    pub connector_config: Option<Map<String, Value>>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Control {
    pub(crate) fn of_config(config: &Value, emitted_at: f64) -> Self {
        Self {
            kind: ControlType::ConnectorConfig,
            emitted_at,
            connector_config: Some(Map::from_iter([("config".to_owned(), config.clone())])),
            extra: Map::new(),
        }
    }

    /// The whole new configuration.
    pub fn config(&self) -> Option<&Value> {
        self.connector_config.as_ref()?.get("config").filter(|config| config.is_object())
    }
}
