//! A client of the emulated org without HTTP between.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use sandbox::Options;
use sandbox::api::{Api, Call, Reply};
use sandbox::salesforce::{Salesforce, Settings, connector_config};
use serde_json::{Value, json};

/// Where the client thinks the org is.
pub const BASE: &str = "http://127.0.0.1:1/salesforce";

/// The API version that the client uses.
pub const DATA: &str = "/services/data/v62.0";

/// Logged in to one org.
pub struct Client {
    pub org: Salesforce,
    pub options: Options,
    /// Milliseconds since the clock's start.
    pub clock: Cell<i64>,
    pub token: RefCell<String>,
    number: Cell<u64>,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<&'static str, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Status and code of an error.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.json()[0]["errorCode"].as_str().unwrap_or_default().to_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Client {
    /// An org with the given settings as TOML, not logged in.
    pub fn stranger(rows: u64, settings: &str) -> Self {
        let salesforce = Settings::load(settings).expect("valid settings");
        let options = Options { rows, salesforce, ..Options::default() };
        Self {
            org: Salesforce::new(&options),
            options,
            clock: Cell::new(0),
            token: RefCell::default(),
            number: Cell::new(0),
        }
    }

    /// The same, logged in.
    pub fn new(rows: u64, settings: &str) -> Self {
        let client = Self::stranger(rows, settings);
        let (status, body) = client.refresh(None);
        assert_eq!(status, 200, "{body}");
        client
    }

    pub fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let mut all = vec![("authorization".to_owned(), format!("Bearer {}", self.token.borrow()))];
        all.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        self.number.set(self.number.get() + 1);
        let now_ms = self.options.clock_start * 1000 + self.clock.get();
        let reply: Reply = self.org.answer(&Call {
            method,
            path,
            query,
            headers: &all,
            body,
            base: BASE,
            now: now_ms / 1000,
            now_ms,
            number: self.number.get(),
        });
        let (status, headers) = (reply.status, reply.headers.into_iter().collect());
        Answer { status, headers, body: reply.body.into_bytes() }
    }

    pub fn ask(&self, url: &str) -> Answer {
        self.send("GET", &format!("{DATA}{url}"), &[], b"")
    }

    /// The body of a request that must succeed.
    pub fn get(&self, url: &str) -> Value {
        let answer = self.ask(url);
        assert_eq!(answer.status, 200, "{url}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    pub fn post(&self, url: &str, body: &Value) -> Answer {
        self.send("POST", &format!("{DATA}{url}"), &[], body.to_string().as_bytes())
    }

    /// The first page of a query over all rows.
    pub fn query(&self, soql: &str) -> Answer {
        self.ask(&format!("/queryAll?q={}", encode(soql)))
    }

    /// All records of a query.
    pub fn records(&self, soql: &str) -> Vec<Value> {
        let mut body = self.query(soql).json();
        let mut records = Vec::new();
        loop {
            records.extend(body["records"].as_array().cloned().unwrap_or_default());
            let Some(next) = body["nextRecordsUrl"].as_str() else { break };
            body = self.send("GET", next, &[], b"").json();
        }
        records
    }

    pub fn token_call(&self, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let pairs: Vec<String> = form.iter().map(|(n, v)| format!("{n}={}", encode(v))).collect();
        let answer = self.send("POST", path, &[], pairs.join("&").as_bytes());
        (answer.status, answer.json())
    }

    /// Logs in by a refresh token, the one of the config if none is given.
    pub fn refresh(&self, token: Option<&str>) -> (u16, Value) {
        let config = connector_config("http://127.0.0.1:1");
        let field = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
        let (id, secret, first) =
            (field("client_id"), field("client_secret"), field("refresh_token"));
        let (status, body) = self.token_call(
            "/services/oauth2/token",
            &[
                ("grant_type", "refresh_token"),
                ("client_id", &id),
                ("client_secret", &secret),
                ("refresh_token", token.unwrap_or(&first)),
            ],
        );
        if let Some(token) = body["access_token"].as_str() {
            *self.token.borrow_mut() = token.to_owned();
        }
        (status, body)
    }

    pub fn change(&self, action: &str, body: &Value) -> Value {
        let now = self.options.clock_start + self.clock.get() / 1000;
        self.org.change(action, body, now).unwrap_or_else(|e| panic!("{action} {body}: {e}"))
    }

    /// The records of the truth.
    pub fn truth(&self, stream: &str) -> Vec<Value> {
        let now = self.options.clock_start + self.clock.get() / 1000;
        let mut lines = Vec::new();
        self.org.truth(stream, now, &mut lines).unwrap_or_else(|e| panic!("{stream}: {e}"));
        let lines = String::from_utf8(lines).expect("UTF-8");
        lines.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
    }

    /// Names and types of an object's fields.
    pub fn fields(&self, object: &str) -> Vec<(String, String)> {
        let body = self.get(&format!("/sobjects/{object}/describe"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let fields = body["fields"].as_array().expect("fields");
        fields.iter().map(|f| (text(&f["name"]), text(&f["type"]))).collect()
    }

    /// Creates a Bulk job for a query over all rows and returns its id.
    pub fn job(&self, soql: &str) -> String {
        let answer = self.post("/jobs/query", &json!({"operation": "queryAll", "query": soql}));
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()["id"].as_str().expect("an id").to_owned()
    }
}

pub fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
