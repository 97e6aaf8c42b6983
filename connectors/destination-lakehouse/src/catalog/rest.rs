//! Tables under a server of Iceberg's REST interface (the Iceberg project's "REST Catalog Open API").

use std::collections::HashMap;
use std::sync::Arc;

use airbyte_protocol::{Context, Edition, Error, Result};
use bytes::Bytes;
use cdk::auth::{Auth, ClientAuth, Grant, OAuth};
use cdk::clock::Clock;
use cdk::http::{Broken, Network, Request, Response, Transport};
use iceberg::spec::TableMetadata;
use iceberg::{TableCreation, TableRequirement, TableUpdate};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Outcome, TableName, Version};
use crate::catalog::signing::Signing;
use crate::cloud;
use crate::config::{RestAuth, RestConfig, Warehouse};
use crate::error::Classify;

/// What separates the levels of a namespace in a path.
const LEVELS: &str = "\u{1f}";
/// How often a request that changes nothing is tried.
const ATTEMPTS: u32 = 5;

/// A REST catalog.
pub struct Rest {
    transport: Arc<dyn Transport>,
    auth: Auth,
    /// The address up to and with `v1/` and the prefix that the server asked for.
    base: Url,
    /// Where tables go if the server has no opinion.
    root: Option<String>,
    warehouse: Warehouse,
    edition: Edition,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The answer to `GET /v1/config`.
#[derive(Deserialize)]
struct ServerConfig {
    #[serde(default)]
    defaults: HashMap<String, String>,
    #[serde(default)]
    overrides: HashMap<String, String>,
}

/// The answer that has a table in it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LoadedTable {
    #[serde(default)]
    metadata_location: Option<String>,
    metadata: TableMetadata,
    #[serde(default)]
    config: HashMap<String, String>,
    #[serde(default)]
    storage_credentials: Vec<StorageCredential>,
}

/// Credentials for locations with a prefix.
#[derive(Deserialize)]
struct StorageCredential {
    prefix: String,
    #[serde(default)]
    config: HashMap<String, String>,
}

impl Rest {
    /// Asks the server for its configuration.
    pub(super) async fn connect(
        config: &RestConfig,
        warehouse: &Warehouse,
        context: &Context,
    ) -> Result<Self> {
        let address = format!("{}/v1/", config.uri.trim_end_matches('/').trim_end_matches("/v1"));
        let base = Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| {
            Error::config("catalog/uri must be an address like https://catalog.example.com.")
        })?;
        let mut transport: Arc<dyn Transport> = Arc::new(Network::new(context.edition)?);
        let auth = match &config.auth {
            RestAuth::None => Auth::None,
            RestAuth::Bearer { token } => Auth::Bearer(token.clone()),
            RestAuth::Oauth2 { client_id, client_secret, scope, token_uri } => {
                let token_url = match token_uri.as_deref().filter(|uri| !uri.is_empty()) {
                    Some(uri) => Url::parse(uri).ok(),
                    None => base.join("oauth/tokens").ok(),
                };
                let token_url = token_url
                    .ok_or_else(|| Error::config("catalog/auth/token_uri must be an address."))?;
                let oauth = OAuth::builder(token_url, Grant::ClientCredentials)
                    .client(client_id, client_secret.clone(), ClientAuth::Form)
                    .param("scope", scope)
                    .shutdown(context.shutdown.clone());
                let clock = Clock::system();
                let (output, config) = (context.output.clone(), context.config.clone());
                Auth::OAuth(oauth.build(Arc::clone(&transport), clock, output, config))
            }
            sigv4 @ RestAuth::Sigv4 { .. } => {
                transport = Arc::new(Signing::new(transport, sigv4));
                Auth::None
            }
        };
        let own = warehouse.storage(context)?;
        let mut rest = Self {
            transport,
            auth,
            base,
            root: own.map(|storage| storage.root().to_owned()),
            warehouse: warehouse.clone(),
            edition: context.edition,
        };
        rest.configure(config.warehouse.as_deref()).await?;
        Ok(rest)
    }

    async fn configure(&mut self, warehouse: Option<&str>) -> Result<()> {
        let mut request = self.request("GET", &["config"])?;
        if let Some(warehouse) = warehouse {
            request = request.query("warehouse", warehouse);
        }
        let answer = self.ask(request).await?;
        let config: ServerConfig = parse(&expect_success(&answer)?.body)?;
        let prefix = config.overrides.get("prefix").or(config.defaults.get("prefix"));
        if let Some(prefix) = prefix.filter(|prefix| !prefix.is_empty()) {
            // Some servers give it percent-encoded, with slashes as separators.
            let joined = self.base.join(&format!("{}/", prefix.trim_matches('/')));
            self.base =
                joined.classify("The catalog gave a prefix that is no part of an address")?;
        }
        Ok(())
    }

    /// A request to a place below the prefix.
    fn request(&self, method: &str, path: &[&str]) -> Result<Request> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let method = method.parse().classify("No such HTTP method")?;
        Ok(Request::new(method, url).header("x-iceberg-access-delegation", "vended-credentials"))
    }

    /// Sends a request once.
    async fn send(&self, mut request: Request) -> Result<Response, Broken> {
        let authorized = self.auth.authorize(&mut request).await;
        let version = authorized.map_err(|failure| Broken::Refused(failure.error.to_string()))?;
        let incoming = self.transport.send(request).await?;
        let response = incoming.complete().await?;
        if response.status == 401 {
            // For the next request; this one is told as it is.
            let _ = self.auth.renew(version).await;
        }
        Ok(response)
    }

    /// Sends a request that may be repeated until it has an answer.
    async fn ask(&self, request: Request) -> Result<Response> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.send(request.clone()).await {
                Ok(response) if !is_passing(response.status) || attempt == ATTEMPTS => {
                    return Ok(response);
                }
                Err(Broken::Refused(why)) => return Err(refused(&request, &why)),
                Err(Broken::Network(why)) if attempt == ATTEMPTS => {
                    return Err(unreachable(&request, &why));
                }
                _ => tokio::time::sleep(crate::table::backoff(attempt + 3)).await,
            }
        }
    }

    fn version(&self, loaded: LoadedTable) -> Result<Version> {
        let location = loaded.metadata.location().to_owned();
        let mut vended = loaded.config;
        let fitting = loaded.storage_credentials.into_iter();
        let fitting = fitting.filter(|credential| location.starts_with(&credential.prefix));
        if let Some(best) = fitting.max_by_key(|credential| credential.prefix.len()) {
            vended.extend(best.config);
        }
        let storage = cloud::storage_at(&location, &vended, &self.warehouse, self.edition)?;
        Ok(Version {
            metadata: loaded.metadata,
            location: loaded.metadata_location.unwrap_or_default(),
            storage,
        })
    }

    pub(super) async fn load(&self, table: &TableName) -> Result<Option<Version>> {
        let namespace = table.namespace.replace('.', LEVELS);
        let request = self.request("GET", &["namespaces", &namespace, "tables", &table.name])?;
        let answer = self.ask(request).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        self.version(parse(&expect_success(&answer)?.body)?).map(Some)
    }

    pub(super) async fn create(
        &self,
        table: &TableName,
        creation: TableCreation,
    ) -> Result<Outcome> {
        self.make_namespace(&table.namespace).await?;
        let namespace = table.namespace.replace('.', LEVELS);
        let mut properties = creation.properties;
        properties.insert("format-version".into(), (creation.format_version as u8).to_string());
        let mut body = json!({
            "name": table.name,
            "schema": creation.schema,
            "partition-spec": {"spec-id": 0, "fields": []},
            "write-order": {"order-id": 0, "fields": []},
            "properties": properties,
            "stage-create": false,
        });
        if let Some(spec) = creation.partition_spec {
            body["partition-spec"] = to_json(&spec)?;
        }
        if let Some(root) = &self.root {
            body["location"] = json!(format!("{root}/{}/{}", table.namespace, table.name));
        }
        let request = self.request("POST", &["namespaces", &namespace, "tables"])?.json(body);
        let answer = self.ask(request).await?;
        if answer.status == 409 {
            return Ok(Outcome::Conflict);
        }
        Ok(Outcome::Done(self.version(parse(&expect_success(&answer)?.body)?)?))
    }

    async fn make_namespace(&self, namespace: &str) -> Result<()> {
        let levels: Vec<&str> = namespace.split('.').collect();
        let path = levels.join(LEVELS);
        let found = self.ask(self.request("GET", &["namespaces", &path])?).await?;
        if found.status != 404 {
            return expect_success(&found).map(drop);
        }
        let body = json!({"namespace": levels, "properties": {}});
        let made = self.ask(self.request("POST", &["namespaces"])?.json(body)).await?;
        if made.status == 409 { Ok(()) } else { expect_success(&made).map(drop) }
    }

    pub(super) async fn commit(
        &self,
        table: &TableName,
        base: &Version,
        requirements: Vec<TableRequirement>,
        updates: Vec<TableUpdate>,
    ) -> Result<Outcome> {
        let namespace = table.namespace.replace('.', LEVELS);
        let snapshot = updates.iter().find_map(|update| match update {
            TableUpdate::AddSnapshot { snapshot } => Some(snapshot.snapshot_id()),
            _ => None,
        });
        let body = json!({
            "identifier": {"namespace": table.namespace.split('.').collect::<Vec<_>>(), "name": table.name},
            "requirements": to_json(&requirements)?,
            "updates": to_json(&updates)?,
        });
        let path = ["namespaces", &namespace, "tables", &table.name];
        let request = self.request("POST", &path)?.json(body);
        let why = match self.send(request.clone()).await {
            Ok(answer) if answer.status == 409 => return Ok(Outcome::Conflict),
            // A rate limit is told before anything is done; the caller comes again.
            Ok(answer) if answer.status == 429 => return Ok(Outcome::Conflict),
            Ok(answer) if answer.status < 500 => {
                let mut loaded: LoadedTable = parse(&expect_success(&answer)?.body)?;
                if loaded.config.is_empty() && loaded.storage_credentials.is_empty() {
                    // This answer has no credentials in it, so those of before go on.
                    let storage = base.storage.clone();
                    let location = loaded.metadata_location.take().unwrap_or_default();
                    return Ok(Outcome::Done(Version {
                        metadata: loaded.metadata,
                        location,
                        storage,
                    }));
                }
                return Ok(Outcome::Done(self.version(loaded)?));
            }
            Ok(answer) => format!("status {}: {}", answer.status, answer.excerpt()),
            Err(Broken::Refused(why)) => return Err(refused(&request, &why)),
            Err(Broken::Network(why)) => why,
        };
        // Nobody knows whether it was done; the table does.
        tracing::warn!("the answer to a commit to table {table} was lost ({why}); looking for it");
        let Some(version) = self.load(table).await? else {
            return Err(Error::transient(format!("Table {table} was dropped meanwhile.")));
        };
        match snapshot {
            Some(id) if version.metadata.snapshot_by_id(id).is_some() => Ok(Outcome::Done(version)),
            // A change without a snapshot is made again, or turns out to be made.
            _ => Ok(Outcome::Conflict),
        }
    }

    pub(super) async fn drop_table(&self, table: &TableName) -> Result<()> {
        let Some(version) = self.load(table).await? else { return Ok(()) };
        let namespace = table.namespace.replace('.', LEVELS);
        let request = self
            .request("DELETE", &["namespaces", &namespace, "tables", &table.name])?
            .query("purgeRequested", "true");
        let answer = self.ask(request).await?;
        if answer.status != 404 {
            expect_success(&answer)?;
        }
        // Not every server purges, and those that do may do it later.
        version.storage.delete_folder(version.metadata.location()).await
    }

    pub(super) async fn tables(&self) -> Result<Vec<TableName>> {
        let answer = self.ask(self.request("GET", &["namespaces"])?).await?;
        let listed: Value = parse(&expect_success(&answer)?.body)?;
        let mut tables = Vec::new();
        for levels in listed["namespaces"].as_array().into_iter().flatten() {
            let levels: Vec<&str> =
                levels.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let path = levels.join(LEVELS);
            let answer = self.ask(self.request("GET", &["namespaces", &path, "tables"])?).await?;
            let listed: Value = parse(&expect_success(&answer)?.body)?;
            let names = listed["identifiers"].as_array().into_iter().flatten();
            let names = names.filter_map(|identifier| identifier["name"].as_str());
            let namespace = levels.join(".");
            tables.extend(
                names.map(|name| TableName { namespace: namespace.clone(), name: name.into() }),
            );
        }
        Ok(tables)
    }
}

fn is_passing(status: u16) -> bool {
    status == 429 || status >= 500
}

fn expect_success(answer: &Response) -> Result<&Response> {
    let detail = answer.excerpt();
    match answer.status {
        200..300 => return Ok(answer),
        401 | 403 => Err(Error::config(
            "The catalog refuses the credentials, or they lack a right. Check catalog/auth and what it may do.",
        )),
        400 | 404 | 422 => Err(Error::config(
            "The catalog does not understand what it was asked for. Check catalog/uri and catalog/warehouse.",
        )),
        status => Err(Error::transient(format!("The catalog answered with status {status}."))),
    }
    .map_err(|error| error.with_internal(detail))
}

fn refused(request: &Request, why: &str) -> Error {
    Error::config(
        "The catalog cannot be used: its address is not allowed, or no token could be had.",
    )
    .with_internal(format!("{}: {why}", request.display()))
}

fn unreachable(request: &Request, why: &str) -> Error {
    Error::transient("The catalog cannot be reached. Check catalog/uri and the network.")
        .with_internal(format!("{}: {why}", request.display()))
}

fn parse<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T> {
    serde_json::from_slice(body).classify("The catalog's answer is not what the interface says")
}

fn to_json<T: serde::Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).classify("A request to the catalog cannot be written")
}
