//! One request: login, version, quota, route, answer, compression.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};

use super::Salesforce;
use super::composite;
use super::csv;
use super::describe;
use super::error::Error;
use super::jobs::{Ask, Order};
use super::plan;
use super::query;
use super::records::View;
use super::results::Results;
use super::route::{self, Route, VERSIONS};
use super::settings::Settings;
use super::soql;
use crate::api::{Body, Call, Delay, Reply};
use crate::faults::glob;

/// The longest URI, and URI with headers.
const MAX_URI: usize = 16_384;

/// Bodies shorter than this are not worth compressing.
const MIN_GZIP: usize = 256;

/// Answers a call.
pub fn answer(api: &Salesforce, call: &Call<'_>) -> Reply {
    let settings = api.settings();
    let path = route::services(call.path);
    if path == "/services/oauth2/token" {
        return api.logins.token(&settings.login, call);
    }
    let mut reply = if path.trim_end_matches('/') == "/services/data" {
        json_reply(&versions())
    } else {
        match authorized(api, &settings, call, path) {
            Ok(reply) => reply,
            Err(error) => error.reply(),
        }
    };
    reply.headers.push(("sforce-limit-info", api.usage.header(&settings.limits, call.now)));
    compressed(call, reply)
}

fn authorized(
    api: &Salesforce,
    settings: &Arc<Settings>,
    call: &Call<'_>,
    path: &str,
) -> Result<Reply, Error> {
    api.logins.check(&settings.login, call)?;
    let request = Request::of(api, settings, call, path)?;
    api.usage.call(&settings.limits, call.now, composite::calls(&request))?;
    check_length(call)?;
    let long = settings.long.iter().find(|l| glob(&l.path, path));
    let place = long.map(|_| api.usage.long_call(&settings.limits)).transpose()?;
    let mut reply = request.answer()?;
    if let (Some(long), Some(place)) = (long, place) {
        reply.delay = Some(Delay { time: Duration::from_millis(long.ms), place: Box::new(place) });
    }
    Ok(reply)
}

fn check_length(call: &Call<'_>) -> Result<(), Error> {
    let uri = call.path.len() + call.query.len() + 1;
    let headers: usize = call.headers.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
    if uri > MAX_URI {
        return Err(Error::new(414, "URI_TOO_LONG", "The URI is longer than 16384 bytes"));
    }
    if uri + headers > MAX_URI {
        let message = "URI and headers are longer than 16384 bytes";
        return Err(Error::new(431, "REQUEST_HEADER_FIELDS_TOO_LARGE", message));
    }
    Ok(())
}

fn versions() -> Value {
    const SEASONS: [&str; 3] = ["Spring", "Summer", "Winter"];
    VERSIONS
        .map(|version| {
            // Version 60 is Spring '24; there are three a year, and Winter is named after the next.
            let season = SEASONS[(version % 3) as usize];
            let year = version / 3 + 4 + version % 3 / 2;
            json!({
                "label": format!("{season} '{year}"),
                "url": format!("/services/data/v{version}.0"),
                "version": format!("{version}.0"),
            })
        })
        .collect()
}

/// A JSON answer.
pub fn json_reply(body: &Value) -> Reply {
    bytes_reply(body.to_string().into_bytes())
}

fn bytes_reply(body: Vec<u8>) -> Reply {
    let headers = vec![("content-type", "application/json;charset=UTF-8".to_owned())];
    Reply { status: 200, headers, body: body.into(), delay: None }
}

fn takes_gzip(call: &Call<'_>) -> bool {
    call.header("accept-encoding").is_some_and(|codings| codings.contains("gzip"))
}

fn compressed(call: &Call<'_>, mut reply: Reply) -> Reply {
    let is_coded = reply.headers.iter().any(|(name, _)| *name == "content-encoding");
    if !takes_gzip(call) || is_coded {
        return reply;
    }
    reply.body = match reply.body {
        Body::Whole(bytes) if bytes.len() >= MIN_GZIP => {
            reply.headers.push(("content-encoding", "gzip".to_owned()));
            csv::gzip(&bytes).into()
        }
        body => body,
    };
    reply
}

/// A request of a known version with a valid session; also one inside a composite.
pub struct Request<'a> {
    /// The org.
    pub api: &'a Salesforce,
    /// Its settings during the call.
    pub settings: &'a Settings,
    /// The call, or the one that the request is inside of.
    pub call: &'a Call<'a>,
    /// Method, query and body of its own.
    pub method: &'a str,
    /// Percent-encoded.
    pub query: &'a str,
    /// Empty if there is none.
    pub body: &'a [u8],
    /// Such as `62.0`.
    pub version: &'a str,
    /// What it asks for.
    pub route: Option<Route<'a>>,
}

impl<'a> Request<'a> {
    fn of(
        api: &'a Salesforce,
        settings: &'a Settings,
        call: &'a Call<'a>,
        path: &'a str,
    ) -> Result<Self, Error> {
        let (version, rest) = route::versioned(path).ok_or_else(Error::not_found)?;
        check_version(version)?;
        let route = route::find(rest);
        let (method, query, body) = (call.method, call.query, call.body);
        Ok(Self { api, settings, call, method, query, body, version, route })
    }

    /// A request for another address under the same session.
    pub fn inner(&self, method: &'a str, url: &'a str) -> Result<Request<'a>, Error> {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let inner = Request::of(self.api, self.settings, self.call, path)?;
        Ok(Request { method, query, body: b"", ..inner })
    }

    /// Answers it.
    pub fn answer(&self) -> Result<Reply, Error> {
        let route = self.route.ok_or_else(Error::not_found)?;
        match (self.method, route) {
            ("GET", Route::Query { all }) => self.query(all),
            ("GET", Route::Page(locator)) => {
                self.api.cursors.page(locator, self.version, self.call.now).map(bytes_reply)
            }
            ("GET", Route::Objects) => {
                Ok(json_reply(&describe::global(&self.api.org, self.settings, self.version)))
            }
            ("GET", Route::Describe(name)) => self.describe(name),
            ("GET", Route::Limits) => {
                Ok(json_reply(&self.api.usage.limits(&self.settings.limits, self.call.now)))
            }
            ("GET", Route::Resources) => Ok(json_reply(&self.resources())),
            ("POST", Route::Composite) => composite::composite(self),
            ("POST", Route::Batch) => composite::batch(self),
            (_, Route::Jobs | Route::Job(_) | Route::Results(_) | Route::ResultPages(_)) => {
                self.job(route)
            }
            ("GET", route) => self.record(route),
            _ => Err(self.wrong_method()),
        }
    }

    fn wrong_method(&self) -> Error {
        let message = format!("HTTP Method '{}' not allowed", self.method);
        Error::new(405, "METHOD_NOT_ALLOWED", message)
    }

    fn resources(&self) -> Value {
        let base = format!("/services/data/v{}", self.version);
        let names = ["sobjects", "query", "queryAll", "limits", "composite", "jobs"];
        names.iter().map(|name| ((*name).to_owned(), format!("{base}/{name}"))).collect()
    }

    fn results(&self, statement: &str, all: bool, bulk: bool) -> Result<Results, Error> {
        let api = self.api;
        let statement = soql::parse(statement)?;
        let plan = plan::check(&api.org, self.settings, &statement, all)?;
        if bulk {
            plan::check_bulk(&api.org, &plan)?;
        }
        Ok(Results::of(api.org.clone(), api.overlay(), plan, self.call.now))
    }

    fn query(&self, all: bool) -> Result<Reply, Error> {
        let statement = query::get(self.query, "q")
            .ok_or_else(|| Error::malformed("A query string has to be specified"))?;
        let results = self.results(&statement, all, false)?;
        let options = self.call.header("sforce-query-options").unwrap_or_default();
        let batch = options.split([',', ';']).find_map(|o| o.trim().strip_prefix("batchSize="));
        let batch = batch.and_then(|size| size.trim().parse().ok());
        let (call, cursors) = (self.call, &self.api.cursors);
        Ok(bytes_reply(cursors.open(results, batch, self.version, call.number, call.now)))
    }

    fn object(&self, name: &str) -> Result<usize, Error> {
        let org = &self.api.org;
        let object = org.object(name).filter(|i| !self.settings.hides(&org.objects[*i].name, None));
        object.ok_or_else(Error::not_found)
    }

    fn describe(&self, name: &str) -> Result<Reply, Error> {
        let index = self.object(name)?;
        let changed = *self.api.schema_changed.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.call.header("if-modified-since");
        let since = since.and_then(|text| DateTime::parse_from_rfc2822(text).ok());
        if since.is_some_and(|since| since.timestamp() >= changed) {
            return Ok(Reply { status: 304, ..Reply::default() });
        }
        let object = &self.api.org.objects[index];
        let mut reply = bytes_reply(describe::object(object, self.settings, self.version));
        reply.headers.push(("last-modified", crate::clock::http_date(changed)));
        Ok(reply)
    }

    fn record(&self, route: Route<'_>) -> Result<Reply, Error> {
        let overlay = self.api.overlay();
        let view = View {
            org: &self.api.org,
            overlay: &overlay,
            settings: self.settings,
            version: self.version,
            now: self.call.now,
        };
        match route {
            Route::Object(name) => {
                let object = &self.api.org.objects[self.object(name)?];
                Ok(json_reply(&describe::basic(object, self.version)))
            }
            Route::Deleted(name) => {
                view.deleted(self.object(name)?, self.query).map(|body| json_reply(&body))
            }
            Route::Updated(name) => {
                view.updated(self.object(name)?, self.query).map(|body| json_reply(&body))
            }
            Route::Record(name, id) => view.record(self.object(name)?, id).map(bytes_reply),
            Route::Blob(name, id, field) => {
                let bytes = view.blob(self.object(name)?, id, field)?;
                let headers = vec![("content-type", "application/octetstream".to_owned())];
                Ok(Reply { status: 200, headers, body: bytes.into(), delay: None })
            }
            Route::RecordCount => Ok(json_reply(&view.counts(self.query))),
            _ => Err(self.wrong_method()),
        }
    }

    fn job(&self, route: Route<'_>) -> Result<Reply, Error> {
        let (jobs, settings, now) = (&self.api.jobs, &self.settings.jobs, self.call.now_ms);
        let ask = |id| Ask {
            id,
            query: self.query,
            version: self.version,
            gzip: takes_gzip(self.call),
            now_ms: now,
        };
        match (self.method, route) {
            ("POST", Route::Jobs) => self.create_job(),
            ("GET", Route::Jobs) => Ok(json_reply(&jobs.list(now))),
            ("GET", Route::Job(id)) => jobs.get(id, now).map(|body| json_reply(&body)),
            ("PATCH", Route::Job(id)) => {
                jobs.abort(id, self.body, now).map(|body| json_reply(&body))
            }
            ("DELETE", Route::Job(id)) => {
                jobs.delete(id, now).map(|()| Reply { status: 204, ..Reply::default() })
            }
            ("GET", Route::Results(id)) => jobs.results(settings, &self.api.usage, &ask(id)),
            ("GET", Route::ResultPages(id)) if self.major() >= 58 => {
                jobs.pages(settings, &ask(id)).map(|body| json_reply(&body))
            }
            ("GET", _) => Err(Error::not_found()),
            _ => Err(self.wrong_method()),
        }
    }

    fn create_job(&self) -> Result<Reply, Error> {
        let order = Order::parse(self.body)?;
        let results = self.results(&order.query, order.operation == "queryAll", true)?;
        self.api.usage.job(&self.settings.limits, self.call.now)?;
        let (jobs, settings) = (&self.api.jobs, &self.settings.jobs);
        let body = jobs.create(settings, order, results, self.version, self.call.now_ms);
        Ok(json_reply(&body))
    }

    fn major(&self) -> u32 {
        self.version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default()
    }
}

fn check_version(version: &str) -> Result<(), Error> {
    let major: u32 = version
        .strip_suffix(".0")
        .and_then(|major| major.parse().ok())
        .ok_or_else(Error::not_found)?;
    if major < *VERSIONS.start() {
        let message = format!("API version {version} is retired");
        return Err(Error::new(410, "UNSUPPORTED_API_VERSION", message));
    }
    if major > *VERSIONS.end() { Err(Error::not_found()) } else { Ok(()) }
}
