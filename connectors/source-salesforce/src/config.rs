//! The configuration. This struct is the connector's spec: names, texts, defaults and
//! limits are generated from it.

use std::time::Duration;

use airbyte_protocol::{Error, Result, Secret};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::duration;

/// The API version that is asked for unless the configuration says otherwise.
pub const DEFAULT_VERSION: &str = "62.0";

/// Salesforce Source Spec
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(title = "Salesforce Source Spec", description = "Settings of the Salesforce source.")]
pub struct Config {
    /// Whether the org is a sandbox, which logs in at test.salesforce.com.
    #[schemars(title = "Sandbox", extend("default" = false, "order" = 1))]
    #[serde(default)]
    pub is_sandbox: bool,

    /// How to log in. "Client" needs a refresh token; "JWT" a user name and a private key; "ClientCredentials" the client's id and secret and My Domain; "Password" a user name and a password with its security token.
    #[schemars(title = "Login", extend("default" = "Client", "order" = 0))]
    #[serde(default)]
    pub auth_type: AuthType,

    /// The consumer key of the connected app or external client app.
    #[schemars(title = "Client ID", extend("order" = 2))]
    pub client_id: String,

    /// The consumer secret of the app. Not needed with the login "JWT".
    #[schemars(title = "Client Secret", extend("order" = 3))]
    #[serde(default)]
    pub client_secret: Option<Secret>,

    /// The refresh token that the app's consent page gave. Needed with the login "Client". Where the app rotates refresh tokens, the new one is handed back to the platform after each login.
    #[schemars(title = "Refresh Token", extend("order" = 4))]
    #[serde(default)]
    pub refresh_token: Option<Secret>,

    /// First reads bring rows changed at this day or time (UTC) or later. Without it: the last two years.
    #[schemars(
        title = "Start Date",
        extend(
            "order" = 5,
            "format" = "date-time",
            "pattern" = "^([0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?)?$",
            "pattern_descriptor" = "YYYY-MM-DD or YYYY-MM-DDTHH:mm:ssZ",
            "examples" = ["2021-07-25", "2021-07-25T00:00:00Z"]
        )
    )]
    #[serde(default)]
    pub start_date: Option<String>,

    /// Incremental reads bring rows changed before this day or time (UTC). Empty means up to the present. Full refreshes bring all rows.
    #[schemars(
        title = "End Date",
        extend(
            "order" = 6,
            "format" = "date-time",
            "pattern" = "^$|^([0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?)$",
            "pattern_descriptor" = "YYYY-MM-DD or YYYY-MM-DDTHH:mm:ssZ",
            "examples" = ["2021-07-26", "2021-07-26T00:00:00Z"]
        )
    )]
    #[serde(default)]
    pub end_date: Option<String>,

    /// Read by the Bulk API whatever the number of rows. Not needed: the API is chosen by the number of rows, and both give the same rows.
    #[schemars(title = "Force to use BULK API", extend("order" = 7, "default" = false))]
    #[serde(default)]
    pub force_use_bulk_api: bool,

    /// The longest time range, as an ISO 8601 duration, that is read in one go. The default P30D leaves it to the connector, which reads a range of any length with one job and splits it where Salesforce cannot manage.
    #[schemars(title = "Stream Slice Step for Incremental sync", extend("order" = 8, "default" = "P30D", "examples" = ["PT12H", "P7D", "P30D", "P1M", "P1Y"]))]
    #[serde(default)]
    pub stream_slice_step: Option<String>,

    /// Incremental reads go back by so much, as an ISO 8601 duration, and bring those changes once more, since rows become visible some time after the time that they are stamped with.
    #[schemars(title = "Lookback Window for Incremental sync", extend("order" = 9, "default" = "PT10M", "examples" = ["PT10M", "PT30M", "PT1H"]))]
    #[serde(default)]
    pub lookback_window: Option<String>,

    /// Which objects to discover: those that fit one of the positive criteria (all, if there is none) and none of the negative ones. Case does not matter.
    #[schemars(title = "Filter Salesforce Objects", extend("order" = 10))]
    #[serde(default)]
    pub streams_criteria: Vec<Criterion>,

    /// Accepted so that saved configurations work. Texts such as "NA" are always kept as they are; see legacy_na_as_null.
    #[schemars(title = "Preserve \"NA\" and similar string values", extend("order" = 11, "default" = false))]
    #[serde(default)]
    pub preserve_na_values: bool,

    /// The user to log in as, with the logins "JWT" and "Password".
    #[schemars(title = "User name", extend("order" = 12))]
    #[serde(default)]
    pub username: Option<String>,

    /// The RSA private key in PEM form whose certificate the app knows, with the login "JWT".
    #[schemars(title = "Private key", extend("order" = 13, "multiline" = true))]
    #[serde(default)]
    pub private_key: Option<Secret>,

    /// The user's password, with the login "Password".
    #[schemars(title = "Password", extend("order" = 14))]
    #[serde(default)]
    pub password: Option<Secret>,

    /// The user's security token, with the login "Password", unless the address of this machine is trusted by the org.
    #[schemars(title = "Security token", extend("order" = 15))]
    #[serde(default)]
    pub security_token: Option<Secret>,

    /// The org's own host, such as acme.my.salesforce.com. Needed with the login "ClientCredentials", and where the org forbids logins at login.salesforce.com.
    #[schemars(title = "My Domain", extend("order" = 16, "examples" = ["acme.my.salesforce.com", "acme--uat.sandbox.my.salesforce.com"]))]
    #[serde(default)]
    pub my_domain: Option<String>,

    /// How much of the org's daily API requests may be used up, by all that use it, before on_quota applies.
    #[schemars(title = "API quota in per cent", range(min = 1, max = 100), extend("order" = 17, "default" = 90))]
    #[serde(default)]
    pub api_quota_percent: Option<u32>,

    /// How much of the org's daily API requests one sync may use. Without it there is no such limit.
    #[schemars(title = "API quota per sync in per cent", range(min = 1, max = 100), extend("order" = 18))]
    #[serde(default)]
    pub api_quota_percent_per_sync: Option<u32>,

    /// How much of the org's daily Bulk jobs may be used up, by all that use it, before rows are read by REST instead.
    #[schemars(title = "Bulk job quota in per cent", range(min = 0, max = 100), extend("order" = 19, "default" = 50))]
    #[serde(default)]
    pub bulk_jobs_quota_percent: Option<u32>,

    /// What happens when the API quota is used up: "fail" makes what is unread fail, "stop" ends incremental streams orderly with the state of what was read, "wait" waits until there is quota again.
    #[schemars(title = "When the API quota is used up", extend("order" = 20, "default" = "fail"))]
    #[serde(default)]
    pub on_quota: OnQuota,

    /// After how long, as an ISO 8601 duration, objects with formula fields are read again in full, since Salesforce does not tell when the value of a formula changed. Empty means never.
    #[schemars(title = "Time between full reads for formulas", extend("order" = 21, "examples" = ["P1D", "P7D"]))]
    #[serde(default)]
    pub formula_refresh: Option<String>,

    /// Also bring rows that were deleted for good, which only Salesforce's list of deletions of the last 15 days tells of: rows with Id, IsDeleted and the cursor.
    #[schemars(title = "Capture hard deletes", extend("order" = 22, "default" = false))]
    #[serde(default)]
    pub capture_hard_deletes: bool,

    /// Objects to discover, by name; * stands for any text. Empty means all.
    #[schemars(title = "Objects to include", extend("order" = 23, "examples" = [["Account", "Acme__*"]]))]
    #[serde(default)]
    pub include_streams: Vec<String>,

    /// Objects not to discover, by name; * stands for any text.
    #[schemars(title = "Objects to exclude", extend("order" = 24, "examples" = [["*History", "*Share"]]))]
    #[serde(default)]
    pub exclude_streams: Vec<String>,

    /// Turn texts such as "NA", "N/A", "null", "None" and "nan", and texts of blanks, into nulls, as rows from Airbyte's connector have them.
    #[schemars(title = "Null for \"NA\" and similar", extend("order" = 25, "default" = false))]
    #[serde(default)]
    pub legacy_na_as_null: bool,

    /// Changes younger than so many seconds are left for the next read, since rows become visible only after the transaction that stamped them.
    #[schemars(title = "Safety lag in seconds", range(min = 0, max = 86400), extend("order" = 26, "default" = 60))]
    #[serde(default)]
    pub safety_lag_seconds: Option<u32>,

    /// The version of Salesforce's API.
    #[schemars(title = "API version", extend("order" = 27, "default" = "62.0", "pattern" = "^[0-9]{2}\\.0$"))]
    #[serde(default)]
    pub api_version: Option<String>,

    /// How many streams are read at the same time.
    #[schemars(title = "Number of concurrent workers", range(min = 1, max = 50), extend("airbyte_hidden" = true, "default" = 20))]
    #[serde(default)]
    pub num_workers: Option<u32>,

    /// How many Bulk jobs may run at the same time.
    #[schemars(title = "Concurrent Bulk jobs", range(min = 1, max = 100), extend("airbyte_hidden" = true, "default" = 20))]
    #[serde(default)]
    pub max_concurrent_jobs: Option<u32>,

    /// How many pages of Bulk results are read at the same time, over all streams.
    #[schemars(title = "Concurrent Bulk pages", range(min = 1, max = 20), extend("airbyte_hidden" = true, "default" = 2))]
    #[serde(default)]
    pub max_concurrent_pages: Option<u32>,

    /// Rows per page of a Bulk job's results.
    #[schemars(title = "Bulk page size", range(min = 1, max = 250000), extend("airbyte_hidden" = true, "default" = 50000))]
    #[serde(default)]
    pub bulk_page_size: Option<u32>,

    /// From how many rows on they are read by a Bulk job and not by REST.
    #[schemars(title = "Rows for Bulk", range(min = 0), extend("airbyte_hidden" = true, "default" = 20000))]
    #[serde(default)]
    pub bulk_from_rows: Option<u64>,

    /// Keep an object that fits any of streams_criteria, as Airbyte's connector does, so that several negative ones exclude nothing.
    #[schemars(title = "Union of criteria", extend("airbyte_hidden" = true, "default" = false))]
    #[serde(default)]
    pub streams_criteria_union: bool,

    /// How often the quota is looked at while waiting for it, in seconds.
    #[schemars(title = "Seconds between looks at the quota", range(min = 1), extend("airbyte_hidden" = true, "default" = 300))]
    #[serde(default)]
    pub quota_poll_seconds: Option<u32>,

    /// After how many minutes a Bulk job that has not ended is aborted and its range split.
    #[schemars(title = "Minutes for a Bulk job", range(min = 0), extend("airbyte_hidden" = true, "default" = 360))]
    #[serde(default)]
    pub job_timeout_minutes: Option<f64>,

    /// The address to log in at in place of login.salesforce.com, for a proxy, a gateway or the sandbox.
    #[schemars(title = "API URL", extend("airbyte_hidden" = true))]
    #[serde(default)]
    pub api_url: Option<String>,

    /// How often a failing request is tried before its stream fails.
    #[schemars(title = "Attempts per request", range(min = 1, max = 100), extend("airbyte_hidden" = true, "default" = 10))]
    #[serde(default)]
    pub max_attempts: Option<u32>,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum AuthType {
    /// With a refresh token.
    #[default]
    Client,
    /// With a signed assertion.
    #[serde(rename = "JWT")]
    Jwt,
    /// As the app itself.
    ClientCredentials,
    /// With a user's password.
    Password,
}

/// What happens when the API quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnQuota {
    /// What is unread fails.
    #[default]
    Fail,
    /// Incremental streams end with what they have.
    Stop,
    /// The sync waits.
    Wait,
}

/// A test of an object's name.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Criterion {
    /// How the name is compared.
    #[schemars(title = "Search criteria", extend("default" = "contains", "order" = 1))]
    #[serde(default)]
    pub criteria: Comparison,
    /// What it is compared with.
    #[schemars(title = "Search value", extend("order" = 2))]
    pub value: String,
}

/// How a name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    #[serde(rename = "starts with")]
    StartsWith,
    #[serde(rename = "ends with")]
    EndsWith,
    #[default]
    Contains,
    Exacts,
    #[serde(rename = "starts not with")]
    StartsNotWith,
    #[serde(rename = "ends not with")]
    EndsNotWith,
    #[serde(rename = "not contains")]
    NotContains,
    #[serde(rename = "not exacts")]
    NotExacts,
}

impl Config {
    /// Where first reads start, in milliseconds since the epoch; without a start date, two
    /// years before `now`.
    ///
    /// # Errors
    /// Config: it is no date.
    pub fn start(&self, now: i64) -> Result<i64> {
        match text(self.start_date.as_deref()) {
            Some(date) => point("start_date", date),
            None => Ok(now - TimeDelta::days(730).num_milliseconds()),
        }
    }

    /// Where incremental reads end at the latest, if anywhere.
    ///
    /// # Errors
    /// Config: it is no date, or not later than the start.
    pub fn end(&self, start: i64) -> Result<Option<i64>> {
        let Some(date) = text(self.end_date.as_deref()) else { return Ok(None) };
        let end = point("end_date", date)?;
        if end <= start {
            return Err(Error::config("end_date must be later than start_date."));
        }
        Ok(Some(end))
    }

    /// How far incremental reads go back, in milliseconds.
    ///
    /// # Errors
    /// Config: it is no duration.
    pub fn lookback(&self) -> Result<i64> {
        duration::parse("lookback_window", text(self.lookback_window.as_deref()).unwrap_or("PT10M"))
    }

    /// The longest window in milliseconds; `None` leaves it to the connector.
    ///
    /// # Errors
    /// Config: it is no duration, or shorter than a second.
    pub fn step(&self) -> Result<Option<i64>> {
        let step = text(self.stream_slice_step.as_deref()).unwrap_or("P30D");
        let length = duration::parse("stream_slice_step", step)?;
        if length < 1_000 {
            return Err(Error::config(
                "stream_slice_step is too small: it must be PT1S or longer.",
            ));
        }
        Ok((step != "P30D").then_some(length))
    }

    /// The time between full reads for formulas, in milliseconds.
    ///
    /// # Errors
    /// Config: it is no duration.
    pub fn formulas(&self) -> Result<Option<i64>> {
        let every = text(self.formula_refresh.as_deref());
        every.map(|every| duration::parse("formula_refresh", every)).transpose()
    }

    /// Checks what can be checked without the API.
    ///
    /// # Errors
    /// Config: a value that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let now = Utc::now().timestamp_millis();
        self.end(self.start(now)?)?;
        self.lookback()?;
        self.step()?;
        self.formulas()?;
        Ok(())
    }

    /// The API version.
    pub fn version(&self) -> &str {
        text(self.api_version.as_deref()).unwrap_or(DEFAULT_VERSION)
    }

    /// How long changes are left to settle, in milliseconds.
    pub fn lag(&self) -> i64 {
        i64::from(self.safety_lag_seconds.unwrap_or(60)) * 1_000
    }

    /// How long a Bulk job may take.
    pub fn job_timeout(&self) -> Duration {
        let minutes = self.job_timeout_minutes.filter(|minutes| *minutes > 0.0).unwrap_or(360.0);
        Duration::try_from_secs_f64(60.0 * minutes).unwrap_or(Duration::MAX)
    }

    /// Streams read side by side.
    pub fn workers(&self) -> usize {
        self.num_workers.unwrap_or(20).clamp(1, 50) as usize
    }
}

/// A value that was left blank is none.
pub fn text(value: Option<&str>) -> Option<&str> {
    value.map(str::trim).filter(|text| !text.is_empty())
}

fn point(name: &str, date: &str) -> Result<i64> {
    let day = || NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    DateTime::parse_from_rfc3339(date)
        .map(|date| date.timestamp_millis())
        .ok()
        .or_else(|| day().map(|day| day.and_utc().timestamp_millis()))
        .ok_or_else(|| {
            Error::config(format!(
                "{name} must look like 2021-07-25 or 2021-07-25T00:00:00Z and name a day that exists."
            ))
        })
}

/// A configuration from JSON, for tests.
#[cfg(test)]
pub fn test_config(extra: serde_json::Value) -> Config {
    let mut config = serde_json::json!({ "client_id": "id", "client_secret": "sssssssss" });
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
    fn blank_means_the_default() {
        let config = test_config(json!({ "start_date": "", "end_date": "", "later": 1 }));
        let now = 1_800_000_000_000;
        assert_eq!(config.start(now).unwrap(), now - 730 * 86_400_000);
        assert_eq!(config.end(0).unwrap(), None);
        assert_eq!(config.lookback().unwrap(), 600_000);
        assert_eq!(config.step().unwrap(), None);
        assert_eq!(config.version(), DEFAULT_VERSION);
        assert_eq!(config.auth_type, AuthType::Client);
    }

    #[test]
    fn bad_values_are_config_errors() {
        for bad in [
            json!({ "start_date": "2021-02-30" }),
            json!({ "start_date": "2021-02-03", "end_date": "2021-02-03" }),
            json!({ "lookback_window": "ten minutes" }),
            json!({ "stream_slice_step": "PT0.5S" }),
            json!({ "formula_refresh": "1d" }),
        ] {
            assert!(test_config(bad.clone()).validate().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_step_of_ones_own_is_kept() {
        assert_eq!(
            test_config(json!({ "stream_slice_step": "P8D" })).step().unwrap(),
            Some(691_200_000)
        );
    }
}
