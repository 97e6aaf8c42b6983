//! Salesforce's REST API, Bulk API 2.0 queries and login, emulated: `/salesforce/services/…`.
//!
//! Answers link to paths from the root of the host, as Salesforce's do, so `/services/…` leads
//! here too. The facts are from the vendor's "REST API Developer Guide", "Bulk API 2.0 and Bulk
//! API Developer Guide", "SOQL and SOSL Reference" and "Object Reference".

mod auth;
mod changes;
mod composite;
mod csv;
mod cursors;
mod describe;
mod error;
mod faults;
mod ids;
mod jobs;
mod json;
mod kind;
mod org;
mod overlay;
mod plan;
mod query;
mod records;
mod results;
mod route;
mod row;
mod schema;
mod service;
pub mod settings;
mod soql;
mod text;
mod truth;
mod usage;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::{Value, json};

pub use settings::Settings;

use crate::api::{Api, Call, Reply};
use crate::faults::Fault;
use crate::options::Options;
use auth::Logins;
use cursors::Cursors;
use jobs::Jobs;
use org::Org;
use overlay::Overlay;
use usage::Usage;

/// The emulated org.
pub struct Salesforce {
    org: Arc<Org>,
    settings: RwLock<Arc<Settings>>,
    /// When the schema as the user sees it changed last, unix seconds.
    schema_changed: Mutex<i64>,
    overlay: RwLock<Arc<Overlay>>,
    logins: Logins,
    usage: Usage,
    cursors: Cursors,
    jobs: Jobs,
}

/// The configuration of `source-salesforce` for a sandbox at `base`, as JSON.
pub fn connector_config(base: &str) -> Value {
    json!({
        "auth_type": "Client",
        "client_id": auth::CLIENT_ID,
        "client_secret": auth::CLIENT_SECRET,
        "refresh_token": auth::REFRESH_TOKEN,
        "is_sandbox": false,
        "start_date": "2020-01-01T00:00:00Z",
        "api_url": format!("{base}/salesforce"),
    })
}

/// The same for another `auth_type`: `Client`, `ClientCredentials`, `JWT` or `Password`. None for
/// any other.
pub fn connector_config_for(base: &str, auth_type: &str) -> Option<Value> {
    let keys = match auth_type {
        "Client" => json!({}),
        "ClientCredentials" => json!({"refresh_token": null}),
        "JWT" => json!({
            "client_secret": null,
            "refresh_token": null,
            "username": auth::USERNAME,
            "private_key": auth::PRIVATE_KEY,
        }),
        "Password" => json!({
            "refresh_token": null,
            "username": auth::USERNAME,
            "password": auth::PASSWORD,
            "security_token": auth::SECURITY_TOKEN,
        }),
        _ => return None,
    };
    let mut config = connector_config(base);
    if let (Value::Object(config), Value::Object(keys)) = (&mut config, keys) {
        config.extend(keys);
        config.insert("auth_type".to_owned(), auth_type.into());
        config.retain(|_, value| !value.is_null());
    }
    Some(config)
}

impl Salesforce {
    /// The org of the options' seed, rows, clock start and Salesforce settings.
    pub fn new(options: &Options) -> Self {
        let org = Org::new(options);
        Self {
            logins: Logins::new(&org.id),
            schema_changed: Mutex::new(org.start - 86_400),
            org: Arc::new(org),
            settings: RwLock::new(Arc::new(options.salesforce.clone())),
            overlay: RwLock::default(),
            usage: Usage::default(),
            cursors: Cursors::default(),
            jobs: Jobs::default(),
        }
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn overlay(&self) -> Arc<Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the behaviour; the keys are those of [`Settings`].
    fn change_settings(&self, keys: &Value, now: i64) -> Result<Value, String> {
        let mut keys = keys.clone();
        if let Value::Object(keys) = &mut keys {
            keys.remove("api");
        }
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        let new = settings.changed(&keys)?;
        if new.hidden != settings.hidden {
            *self.schema_changed.lock().unwrap_or_else(PoisonError::into_inner) = now;
        }
        if keys["jobs"].get("script").is_some() {
            self.jobs.reset_scripts();
        }
        *settings = Arc::new(new);
        serde_json::to_value(&**settings).map_err(|e| e.to_string())
    }

    /// What happens to logins and sessions by a hand other than the client's, and what a test may
    /// want to know of them and of the jobs.
    fn event(&self, body: &Value, now: i64) -> Result<Value, String> {
        match body["type"].as_str() {
            Some("expire_sessions") => Ok(json!({"ended": self.logins.expire_all()})),
            Some("revoke") => {
                self.logins.revoke();
                Ok(json!({}))
            }
            Some("authorize") => Ok(json!({"refresh_token": self.logins.authorize()})),
            Some("refresh_token") => Ok(json!({"refresh_token": self.logins.refresh_token()})),
            // The clock of changes has whole seconds; jobs end between them.
            Some("jobs") => Ok(json!({"jobs": self.jobs.history(now * 1000 + 999)})),
            _ => Err("`type` must be expire_sessions, revoke, authorize, refresh_token or jobs"
                .to_owned()),
        }
    }
}

impl Api for Salesforce {
    fn prefix(&self) -> &'static str {
        "salesforce"
    }

    fn roots(&self) -> &'static [&'static str] {
        &["services"]
    }

    fn answer(&self, call: &Call<'_>) -> Reply {
        service::answer(self, call)
    }

    fn fault(&self, call: &Call<'_>, fault: &Fault) -> Reply {
        if *fault == Fault::ExpireToken {
            self.logins.expire(call);
        }
        faults::reply(fault).unwrap_or_else(|| self.answer(call))
    }

    fn route(&self, path: &str) -> String {
        route::template(path)
    }

    fn change(&self, action: &str, body: &Value, now: i64) -> Result<Value, String> {
        match action {
            "settings" => self.change_settings(body, now),
            "event" => self.event(body, now),
            _ => changes::run(self, action, body, now),
        }
    }

    fn truth(&self, stream: &str, now: i64, out: &mut dyn Write) -> io::Result<()> {
        truth::write_lines(self, stream, now, out)
    }

    fn streams(&self) -> Vec<String> {
        truth::streams(self)
    }
}
