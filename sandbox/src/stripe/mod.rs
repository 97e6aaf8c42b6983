//! Stripe's API, emulated: `/stripe/v1/…`.

mod auth;
mod changes;
mod context;
mod counts;
mod diff;
mod error;
mod event_types;
mod events;
mod expand;
mod facts;
mod filter;
mod ids;
mod legacy;
mod links;
mod list;
mod overlay;
mod pick;
mod prices;
mod query;
mod replies;
mod request;
mod resource;
mod route;
mod shape;
mod stubs;
mod table;
mod truth;
mod version;
mod walk;
mod world;

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::api::{Api, Call, Reply};
use crate::faults::Fault;
use crate::hash;
use crate::options::Options;
use auth::Access;
use changes::Changes;
use context::Ctx;
use error::Error;
use query::Query;
use request::Request;
use resource::Res;
use route::Route;
use shape::Shapes;
use version::Era;
use world::World;

/// The emulated Stripe: a platform account and its connected accounts.
pub struct Stripe {
    shapes: Shapes,
    platform: Arc<World>,
    connected: Mutex<HashMap<String, Arc<World>>>,
}

/// The configuration of `source-stripe` for a sandbox at `base`, as JSON.
pub fn connector_config(base: &str) -> Value {
    let account = World::platform(&Options::default()).account_id;
    json!({
        "account_id": account,
        "client_secret": "sk_test_sandbox_0123456789abcdef",
        "start_date": "2020-01-01T00:00:00Z",
        "api_url": format!("{base}/stripe"),
        "call_rate_limit": 10000,
        "num_workers": 10,
    })
}

impl Stripe {
    /// The data of the options' seed, rows and clock start.
    pub fn new(options: &Options) -> Self {
        Self {
            // The templates are part of the program; a test compiles them all.
            shapes: Shapes::compile().expect("the built-in shapes compile"),
            platform: Arc::new(World::platform(options)),
            connected: Mutex::default(),
        }
    }

    /// The data of an account by id; None if there is no such account.
    fn account(&self, id: &str) -> Option<Arc<World>> {
        if id == self.platform.account_id {
            return Some(self.platform.clone());
        }
        let key = self.platform.key(Res::Account, id)?;
        if !self.platform.is_original(Res::Account, key) {
            return None;
        }
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(self.platform.connected(key));
        Some(connected.entry(id.to_owned()).or_insert_with(new).clone())
    }

    fn respond(&self, call: &Call<'_>, version: &str) -> Result<Vec<u8>, Error> {
        let access = Access::of(call)?;
        let era = Era::of(version)
            .ok_or_else(|| Error::invalid(400, format!("Invalid Stripe API version: {version}")))?;
        let world = match call.header("stripe-account") {
            None => self.platform.clone(),
            Some(id) => self.account(id).ok_or_else(|| no_access(id))?,
        };
        let route =
            route::find(call.path).filter(|route| call.method == "GET" && exists_in(route, era));
        let route = route.ok_or_else(|| Error::unknown_url(call.method, call.path))?;
        let overlay = world.overlay.read().unwrap_or_else(PoisonError::into_inner);
        let ctx = Ctx {
            world: &world,
            overlay: &overlay,
            shapes: &self.shapes,
            era,
            now: call.now,
            live: access.live,
            frozen: false,
        };
        let query = Query::parse(call.query);
        match route {
            Route::Account if !world.is_platform() => self.own_account(&ctx),
            Route::Account => replies::account(&ctx),
            Route::Balance => {
                access.may_read("balance", &world.account_id)?;
                Ok(replies::balance(&ctx))
            }
            Route::List { kinds, parent } => {
                access.may_read(kinds[0].def().permission, &world.account_id)?;
                list::answer(&ctx, call.path, &query, &kinds, parent)
            }
            Route::Get { kinds, parent, id } => {
                access.may_read(kinds[0].def().permission, &world.account_id)?;
                replies::object(&ctx, &query, &kinds, parent, id)
            }
        }
    }

    /// A connected account's own object is part of the platform's data.
    fn own_account(&self, ctx: &Ctx<'_>) -> Result<Vec<u8>, Error> {
        let overlay = self.platform.overlay.read().unwrap_or_else(PoisonError::into_inner);
        let own = ctx.world.own;
        let ctx = Ctx { world: &self.platform, overlay: &overlay, ..*ctx };
        let mut out = Vec::with_capacity(4096);
        ctx.write_object(Res::Account, own, &[], &mut out);
        Ok(out)
    }

    /// A view of the platform's data as of the newest version, for truth and changes.
    fn with_view<T>(
        &self,
        world: &World,
        now: i64,
        era: Era,
        view: impl FnOnce(&Ctx<'_>) -> T,
    ) -> T {
        let overlay = world.overlay.read().unwrap_or_else(PoisonError::into_inner);
        let shapes = &self.shapes;
        view(&Ctx { world, overlay: &overlay, shapes, era, now, live: false, frozen: false })
    }
}

/// Some endpoints came, others went with 2025-03-31.basil.
fn exists_in(route: &Route<'_>, era: Era) -> bool {
    let kinds = match route {
        Route::List { kinds, .. } | Route::Get { kinds, .. } => kinds,
        Route::Account | Route::Balance => return true,
    };
    kinds.iter().all(|res| res.def().basil.is_none_or(|basil| basil == (era == Era::Basil)))
}

fn no_access(account: &str) -> Error {
    let message = format!(
        "The provided key does not have access to account '{account}' (or that account does not exist)."
    );
    Error::invalid(403, message).code("account_invalid")
}

impl Api for Stripe {
    fn prefix(&self) -> &'static str {
        "stripe"
    }

    fn answer(&self, call: &Call<'_>) -> Reply {
        let version = call.header("stripe-version").unwrap_or(&self.platform.version).to_owned();
        let (status, body) = match self.respond(call, &version) {
            Ok(body) => (200, body),
            Err(error) => (error.status, error.body()),
        };
        let mut reply = Reply { status, body: body.into(), ..Reply::default() };
        reply.headers.push(("request-id", request_id(call)));
        reply.headers.push(("stripe-version", version));
        reply
    }

    fn fault(&self, call: &Call<'_>, fault: &Fault) -> Reply {
        let mut reply = replies::fault(fault).unwrap_or_else(|| self.answer(call));
        if !reply.headers.iter().any(|(name, _)| *name == "request-id") {
            reply.headers.push(("request-id", request_id(call)));
        }
        reply
    }

    fn route(&self, path: &str) -> String {
        route::template(path)
    }

    fn change(&self, action: &str, body: &Value, now: i64) -> Result<Value, String> {
        let request = Request::parse(body)?;
        let world = match body["account"].as_str() {
            None => self.platform.clone(),
            Some(id) => self.account(id).ok_or_else(|| format!("no account {id}"))?,
        };
        Changes::new(&world, &self.shapes, now).run(action, &request)
    }

    fn truth(&self, stream: &str, now: i64, out: &mut dyn Write) -> io::Result<()> {
        truth::write_lines(self, stream, now, out)
    }

    fn streams(&self) -> Vec<String> {
        truth::streams().into_iter().map(str::to_owned).collect()
    }
}

fn request_id(call: &Call<'_>) -> String {
    let mut id = b"req_".to_vec();
    shape::text::Kind::Alnum(14).write(hash::mix(call.number), &mut id);
    String::from_utf8(id).unwrap_or_default()
}
