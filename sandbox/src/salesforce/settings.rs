//! How the emulated org behaves; TOML on the command line, JSON by the admin path `settings`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of the org. All have defaults, unknown keys are errors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What is in the org; fixed at the start.
    pub data: DataSettings,
    /// Objects (`Asset`) and fields (`Account.Fax`) that the user may not see.
    pub hidden: Vec<String>,
    /// Login and sessions.
    pub login: LoginSettings,
    /// Quotas of the org.
    pub limits: LimitSettings,
    /// Bulk query jobs.
    pub jobs: JobSettings,
    /// Calls that take long, and count against the limit of concurrent long calls.
    pub long: Vec<LongCalls>,
}

/// What is in the org.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// Objects in the global describe; custom ones of 70 fields fill up the built-in ones.
    pub objects: usize,
    /// Rows were changed last within so many days before the clock's start, evenly spread.
    pub days: u32,
    /// Whether `Everything__c` has fields of types that no client knows yet.
    pub unknown_types: bool,
    /// Whether there is `Huge__c`, whose fields do not fit into an address all at once.
    pub huge: bool,
    /// Whether there is `Unfilterable__c`, whose times queries cannot filter by.
    pub unfilterable: bool,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self { objects: 0, days: 1000, unknown_types: false, huge: false, unfilterable: false }
    }
}

/// Login and sessions.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginSettings {
    /// Refresh Token Rotation: each refresh token works once, using one again revokes all.
    pub rotate: bool,
    /// Idle seconds after which an opaque session ends.
    pub session_seconds: i64,
    /// Issue JWT access tokens that end after so many minutes; 0 for opaque tokens.
    pub jwt_minutes: i64,
    /// Milliseconds during which a second login with the same refresh token is "already being
    /// processed".
    pub busy_ms: i64,
    /// Whether the app has a user for the client credentials flow.
    pub run_as: bool,
    /// Whether username and password are accepted.
    pub password: bool,
}

impl Default for LoginSettings {
    fn default() -> Self {
        Self {
            rotate: false,
            session_seconds: 7200,
            jwt_minutes: 0,
            busy_ms: 0,
            run_as: true,
            password: true,
        }
    }
}

/// Quotas of the org; what others used counts within each of them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// API calls in 24 hours.
    pub api_max: u64,
    /// Of these, used by others.
    pub api_used: u64,
    /// Bulk query jobs in 24 hours.
    pub bulk_jobs_max: u64,
    /// Of these, used by others.
    pub bulk_jobs_used: u64,
    /// MB of Bulk query results in 24 hours.
    pub bulk_mb_max: u64,
    /// Of these, used by others.
    pub bulk_mb_used: u64,
    /// Long calls at the same time.
    pub long_max: usize,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            api_max: 100_000,
            api_used: 0,
            bulk_jobs_max: 10_000,
            bulk_jobs_used: 0,
            bulk_mb_max: 1_000_000,
            bulk_mb_used: 0,
            long_max: 25,
        }
    }
}

/// Bulk query jobs.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobSettings {
    /// Milliseconds from creation to JobComplete.
    pub delay_ms: i64,
    /// Rows of a result page without `maxRecords`.
    pub page_rows: u64,
    /// Send result pages with `Content-Length` instead of chunked.
    pub content_length: bool,
    /// Send nothing at all for an empty result, instead of a header row.
    pub empty_body: bool,
    /// What happens to chosen jobs and pages.
    pub script: Vec<JobScript>,
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            delay_ms: 0,
            page_rows: 250_000,
            content_length: false,
            empty_body: false,
            script: Vec::new(),
        }
    }
}

/// Something that happens to chosen jobs, or to chosen pages of their results.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JobScript {
    /// The job's number, counted from 1 since the start or the last change of scripts; any if not
    /// given.
    #[serde(default)]
    pub job: Option<u64>,
    /// Only jobs of this object.
    #[serde(default)]
    pub object: Option<String>,
    /// What happens.
    pub action: JobAction,
    /// Milliseconds after the job's creation (`fail`, `abort`, `delay`).
    #[serde(default)]
    pub after_ms: i64,
    /// The job's error message (`fail`).
    #[serde(default)]
    pub message: Option<String>,
    /// To how many jobs or pages it happens, 0 for all; if not given, to all jobs, and to one page
    /// (`miscount`, `lose_row`, `repeat_page`).
    #[serde(default)]
    pub times: Option<u64>,
}

impl JobScript {
    /// Whether it changes a page of results, not a job.
    pub fn is_of_pages(&self) -> bool {
        matches!(self.action, JobAction::Miscount | JobAction::LoseRow | JobAction::RepeatPage)
    }

    /// Whether it happens once more after so many times.
    pub fn is_left(&self, used: u64) -> bool {
        let times = self.times.unwrap_or(u64::from(self.is_of_pages()));
        times == 0 || used < times
    }
}

/// What a script does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// The job turns Failed after `after_ms`, and is InProgress until then.
    Fail,
    /// The job turns Aborted after `after_ms`, as if by an administrator.
    Abort,
    /// The job is complete after `after_ms` instead of the usual delay.
    Delay,
    /// The job stays InProgress.
    Stall,
    /// The job says that it processed one row more than its results have.
    MiscountTotal,
    /// A page's header says one row more than the page has.
    Miscount,
    /// A page lacks its last row, its header does not.
    LoseRow,
    /// The first page comes in place of the one that was asked for.
    RepeatPage,
}

/// Calls that take long.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LongCalls {
    /// The path below `/salesforce`, `*` for any text.
    pub path: String,
    /// Real milliseconds that such a call takes. It counts as one of more than 20 seconds.
    pub ms: u64,
}

impl Settings {
    /// A TOML text or the name of a TOML file.
    pub fn load(text: &str) -> Result<Self, String> {
        let path = std::path::Path::new(text);
        let toml = if path.extension().is_some_and(|e| e == "toml") {
            std::fs::read_to_string(path).map_err(|e| format!("cannot read {text}: {e}"))?
        } else {
            text.to_owned()
        };
        toml::from_str(&toml).map_err(|e| format!("not Salesforce settings: {e}"))
    }

    /// These settings with the given keys changed, objects level by level.
    pub fn changed(&self, keys: &Value) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|e| e.to_string())?;
        overwrite(&mut all, keys);
        let new: Self = serde_json::from_value(all).map_err(|e| format!("not settings: {e}"))?;
        if new.data == self.data { Ok(new) } else { Err("`data` is fixed at the start".to_owned()) }
    }

    /// Whether the user may not see the object (or the field, if given).
    pub fn hides(&self, object: &str, field: Option<&str>) -> bool {
        self.hidden.iter().any(|entry| match (entry.split_once('.'), field) {
            (Some((o, f)), Some(field)) => o == object && f == field,
            (None, None) => entry == object,
            _ => false,
        })
    }
}

fn overwrite(target: &mut Value, keys: &Value) {
    match (target, keys) {
        (Value::Object(target), Value::Object(keys)) => {
            for (name, value) in keys {
                overwrite(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, value) => *target = value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_read_and_changed() {
        let text = "hidden = ['Account.Fax', 'Case']\njobs.delay_ms = 500\ndata.days = 700";
        let settings = Settings::load(text).expect("valid");
        assert!(settings.hides("Account", Some("Fax")) && settings.hides("Case", None));
        assert!(!settings.hides("Account", None) && !settings.hides("Case", Some("Id")));
        let changed = settings.changed(&json!({"login": {"rotate": true}})).expect("valid");
        assert!(changed.login.rotate && changed.jobs.delay_ms == 500);
        assert!(settings.changed(&json!({"login": {"rotat": true}})).is_err());
        assert!(settings.changed(&json!({"data": {"days": 1}})).is_err());
        assert!(Settings::load("data.object = 3").is_err());
    }
}
