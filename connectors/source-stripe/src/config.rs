//! The configuration. This struct is the connector's spec: names, texts, defaults and
//! limits are generated from it.

use std::collections::BTreeMap;

use airbyte_protocol::{Error, Result, Secret};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// The API version that rows have the shape of, unless the configuration says otherwise.
pub const DEFAULT_VERSION: &str = "2026-10-28.endive";

/// Stripe Source Spec
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Stripe Source Spec", description = "Settings of the Stripe source.")]
pub struct Config {
    /// The account to read, such as acct_1A2b3C. Leave it empty to read the account that the key belongs to.
    #[schemars(title = "Account ID", extend("always_show" = true))]
    #[serde(default)]
    pub account_id: String,

    /// A Stripe API key: a restricted key (rk_live_…) with read permissions for the streams you want, or a secret key (sk_live_…).
    #[schemars(title = "Secret Key")]
    pub client_secret: Secret,

    /// First reads bring objects created at this time (UTC) or later.
    #[schemars(
        title = "Replication start date",
        extend(
            "format" = "date-time",
            "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
            "examples" = ["2017-01-25T00:00:00Z"],
            "default" = "2017-01-25T00:00:00Z"
        )
    )]
    #[serde(default = "default_start_date")]
    pub start_date: String,

    /// Incremental reads go back by so many days and bring those changes once more. Changes are kept by Stripe for 30 days; longer windows have no further effect on them.
    #[schemars(title = "Lookback Window in days", range(min = 0), extend("default" = 0))]
    #[serde(default)]
    pub lookback_window_days: u32,

    /// The longest part, in days, of a stream's time range that is read in one go. Busy ranges are split further by themselves.
    #[schemars(title = "Data request time increment in days", range(min = 1), extend("default" = 365, "examples" = [1, 3, 10, 30, 180, 360]))]
    #[serde(default)]
    pub slice_range: SliceRange,

    /// How many pages are asked for and written at the same time.
    #[schemars(title = "Number of concurrent workers", range(min = 1, max = 100), extend("default" = 10, "examples" = [5, 10, 20]))]
    #[serde(default)]
    pub num_workers: Workers,

    /// How many requests per second may be sent. Without it: 100 with a live key and 25 with a test key, which are Stripe's own limits.
    #[schemars(title = "Max number of API calls per second", range(min = 1), extend("examples" = [25, 100]))]
    #[serde(default)]
    pub call_rate_limit: Option<u32>,

    /// Accepted so that saved configurations work. Every stream is listed again when its last read is older than Stripe keeps changes, so nothing needs to be chosen here.
    #[schemars(title = "Streams to list again after the retention period", extend("airbyte_hidden" = true))]
    #[serde(default)]
    pub api_retention_streams: Vec<String>,

    /// The Stripe API version that rows have the shape of. With 2022-11-15 rows equal those of connectors that are pinned to it.
    #[schemars(title = "API version", extend("default" = "2026-10-28.endive", "examples" = ["2026-10-28.endive", "2022-11-15"], "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(\\.[a-z_]+)?$"))]
    #[serde(default = "default_version")]
    pub api_version: String,

    /// How changed objects are brought: "reread" asks for each one again, so that rows of first and later reads have one shape; "payload" takes them from the event, which is cheaper but frozen in the account's default API version.
    #[schemars(title = "Incremental mode", extend("default" = "reread"))]
    #[serde(default)]
    pub incremental_mode: IncrementalMode,

    /// Changes younger than so many seconds are left for the next read, since Stripe's list of events is complete only after a while.
    #[schemars(title = "Event lag in seconds", range(min = 0, max = 86400), extend("default" = 60))]
    #[serde(default = "default_lag")]
    pub event_lag_seconds: u32,

    /// Connected accounts to read besides: their ids, or the one word "all". Rows carry connected_account_id.
    #[schemars(title = "Connected accounts", extend("examples" = [["all"], ["acct_1A2b3C"]]))]
    #[serde(default)]
    pub connected_accounts: Vec<String>,

    /// Accounts of an organization to read with an organization key, as values of the Stripe-Context header. Rows carry the last id of the path as connected_account_id.
    #[schemars(title = "Stripe contexts")]
    #[serde(default)]
    pub stripe_context: Vec<String>,

    /// Also read customers and subscriptions that are bound to test clocks (test keys only).
    #[schemars(title = "Include test clocks", extend("default" = false))]
    #[serde(default)]
    pub include_test_clocks: bool,

    /// What happens to a stream that the key may not read: "fail" makes it fail while the others are read, "skip" leaves it out with a warning.
    #[schemars(title = "On missing permission", extend("default" = "fail"))]
    #[serde(default)]
    pub on_missing_permission: OnMissingPermission,

    /// After how many days a stream is listed anew in full, by stream name. Accounts, persons and external accounts have 1 by default, since Stripe reports their changes unreliably; 0 switches it off.
    #[schemars(title = "Days between full lists", extend("additionalProperties" = true, "properties" = {"accounts": {"type": "integer", "title": "accounts", "minimum": 0}}))]
    #[serde(default)]
    pub relist_days: BTreeMap<String, u32>,

    /// The address of the API, for a proxy or gateway.
    #[schemars(title = "API URL", extend("airbyte_hidden" = true, "default" = "https://api.stripe.com"))]
    #[serde(default)]
    pub api_url: Option<String>,

    /// How often a failing request is tried before its stream fails.
    #[schemars(title = "Attempts per request", range(min = 1, max = 100), extend("airbyte_hidden" = true, "default" = 10))]
    #[serde(default)]
    pub max_attempts: Option<u32>,
}

macro_rules! number_with_default {
    ($name:ident, $default:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl Default for $name {
            fn default() -> Self {
                $name($default)
            }
        }
    };
}

number_with_default!(SliceRange, 365, "Days.");
number_with_default!(Workers, 10, "Pages in flight.");

/// How changed objects are brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncrementalMode {
    /// Ask for each one again.
    #[default]
    Reread,
    /// Take the event's copy.
    Payload,
}

/// What a refused permission does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnMissingPermission {
    /// The stream fails.
    #[default]
    Fail,
    /// The stream is left out.
    Skip,
}

fn default_start_date() -> String {
    "2017-01-25T00:00:00Z".into()
}

fn default_version() -> String {
    DEFAULT_VERSION.into()
}

fn default_lag() -> u32 {
    60
}

impl Config {
    /// The start date in epoch seconds.
    ///
    /// # Errors
    /// Config: it is no date.
    pub fn start(&self) -> Result<i64> {
        DateTime::parse_from_rfc3339(&self.start_date)
            .map(|date| date.with_timezone(&Utc).timestamp())
            .map_err(|_| {
                Error::config(
                    "start_date must look like 2017-01-25T00:00:00Z and name a day that exists.",
                )
            })
    }

    /// The address of the API.
    ///
    /// # Errors
    /// Config: it is no http(s) address.
    pub fn base(&self) -> Result<Url> {
        let text = self
            .api_url
            .as_deref()
            .filter(|url| !url.is_empty())
            .unwrap_or("https://api.stripe.com");
        Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
            .ok_or_else(|| Error::config("api_url must be an address like https://api.stripe.com."))
    }

    /// Whether the key is for test data. Stripe marks the mode inside the prefix of every
    /// kind of key (`sk_test_`, `rk_test_`, `rkcs_test_`).
    pub fn is_test(&self) -> bool {
        let mut words = self.client_secret.expose().split('_').skip(1);
        words.find(|word| matches!(*word, "test" | "live")) == Some("test")
    }

    /// Requests per second: as configured, else Stripe's limits (docs "Rate limits").
    pub fn requests_per_second(&self) -> f64 {
        let own = if self.is_test() { 25 } else { 100 };
        f64::from(self.call_rate_limit.filter(|limit| *limit > 0).unwrap_or(own))
    }

    /// The lookback window in seconds.
    pub fn lookback(&self) -> i64 {
        i64::from(self.lookback_window_days) * 86_400
    }

    /// The longest window in seconds.
    pub fn window(&self) -> i64 {
        i64::from(self.slice_range.0.max(1)) * 86_400
    }

    /// Whether rows have the shape of an API version before 2025-03-31.basil, which moved
    /// many fields of the billing objects.
    pub fn is_before_basil(&self) -> bool {
        self.api_version.as_str() < "2025-03-31"
    }

    /// After how many days a stream is listed anew; `None` means never.
    pub fn relist_after(&self, stream: &str, default: Option<u32>) -> Option<i64> {
        let days = self.relist_days.get(stream).copied().or(default).filter(|days| *days > 0)?;
        Some(i64::from(days) * 86_400)
    }
}

/// A configuration from JSON, for tests.
#[cfg(test)]
pub fn test_config(extra: serde_json::Value) -> Config {
    let mut config = serde_json::json!({ "client_secret": "sk_test_0123456789" });
    if let (Some(config), Some(extra)) = (config.as_object_mut(), extra.as_object()) {
        config.extend(extra.clone());
    }
    serde_json::from_value(config).expect("a valid configuration")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_hold_and_unknown_keys_are_tolerated() {
        let config = test_config(json!({ "later": {"a": 1} }));
        assert_eq!(config.start().unwrap(), 1_485_302_400);
        assert_eq!(config.window(), 365 * 86_400);
        assert_eq!(config.api_version, DEFAULT_VERSION);
        assert!(!config.is_before_basil());
    }

    #[test]
    fn the_mode_is_told_by_the_key() {
        for (key, rate) in [
            ("sk_test_1", 25.0),
            ("rk_test_1", 25.0),
            ("rkcs_test_1", 25.0),
            ("rk_live_x_test_x", 100.0),
            ("sk_live_1", 100.0),
        ] {
            assert_eq!(
                test_config(json!({ "client_secret": key })).requests_per_second(),
                rate,
                "{key}"
            );
        }
        assert_eq!(test_config(json!({ "call_rate_limit": 7 })).requests_per_second(), 7.0);
    }

    #[test]
    fn bad_values_are_config_errors() {
        assert!(test_config(json!({ "start_date": "2017-02-30T00:00:00Z" })).start().is_err());
        assert!(test_config(json!({ "api_url": "stripe" })).base().is_err());
    }
}
