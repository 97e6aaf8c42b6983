//! The source: spec, check, discover and read.

use std::collections::BTreeMap;
use std::sync::Arc;

use airbyte_protocol::{
    Catalog, ConfiguredCatalog, ConnectorSpecification, Context, Error, FailureType, InputState,
    Result, Source, SyncMode,
};
use bytes::Bytes;
use cdk::http::{Failure, RetryPolicy};
use cdk::json::{fields, plain};
use futures::StreamExt;
use tracing::{info, warn};

use crate::api::{Account, Api, paginator};
use crate::config::{Config, IncrementalMode};
use crate::events::{Feed, Interest};
use crate::stream::{Member, Shared, StripeStream, definition, follows_since, saved};
use crate::streams::{Def, Rows, STREAMS, Version};
use crate::walk::fetch;

/// The Stripe source.
pub struct SourceStripe;

impl Source for SourceStripe {
    type Config = Config;

    fn spec(&self) -> ConnectorSpecification {
        ConnectorSpecification::of::<Config>("https://docs.stripe.com/api").with_incremental()
    }

    async fn check(&self, config: Config, context: Context) -> Result<Option<String>> {
        config.start()?;
        let api = connect(&config, &context, RetryPolicy::brief()).await?;
        let mut missing = BTreeMap::new();
        let me = match api.whoami().await {
            Ok(me) => me,
            Err(failure) if failure.status == Some(403) && permission_in(&failure).is_some() => {
                missing.insert(
                    permission_in(&failure).unwrap_or_default(),
                    vec!["the account itself"],
                );
                serde_json::Value::Null
            }
            Err(failure) => return Err(account_error(failure, &config)),
        };
        missing.extend(probe(&api).await?);
        let text = |key: &str| me[key].as_str().unwrap_or("unknown").to_owned();
        let mode = if config.is_test() { "test" } else { "live" };
        let mut said =
            format!("Connected to account {} ({}, {mode} mode).", text("id"), text("country"));
        if !missing.is_empty() {
            let list: Vec<String> = missing
                .iter()
                .map(|(permission, streams)| format!("{permission} ({})", streams.join(", ")))
                .collect();
            said.push_str(&format!(" The key lacks permissions: {}.", list.join("; ")));
            let denied: usize = missing.values().map(Vec::len).sum();
            if denied == probes().count() {
                return Err(Error::config(said));
            }
            warn!("{said} These streams will fail if they are selected.");
        }
        Ok(Some(said))
    }

    async fn discover(&self, _: Config, _: Context) -> Result<Catalog> {
        Ok(Catalog::new(STREAMS.iter().map(|def| definition(def)).collect()))
    }

    async fn read(
        &self,
        config: Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> Result<()> {
        let api = connect(&config, &context, RetryPolicy::default()).await?;
        let shared = Arc::new(shared(&api, config, &catalog, &state).await?);
        let workers = shared.config.num_workers.0 as usize;
        let streams = STREAMS
            .iter()
            .copied()
            .map(|def| {
                Arc::new(StripeStream { def, shared: shared.clone() }) as Arc<dyn cdk::read::Stream>
            })
            .collect();
        cdk::read::read(streams, catalog, &state, &context, workers).await?;
        let counts = api.client().counts();
        info!(
            "Done: {} requests, {} of them repeated after failures, {} rate limits ridden out.",
            counts.requests(),
            counts.retries(),
            counts.rate_limits()
        );
        Ok(())
    }
}

/// The API as the configured account sees it.
async fn connect(config: &Config, context: &Context, policy: RetryPolicy) -> Result<Api> {
    let api = Api::new(config, context, policy)?;
    if let Some(path) = config.stripe_context.first() {
        return Ok(api.for_account(Account::Context(path.clone())));
    }
    if config.account_id.trim().is_empty() {
        return Ok(api);
    }
    let wanted = config.account_id.trim();
    match api.whoami().await {
        Ok(own) if own["id"].as_str() == Some(wanted) => Ok(api),
        Ok(_) => Ok(api.acting_for(wanted)),
        // A restricted key that may not see its own account is taken to be for this one.
        Err(failure) if failure.status == Some(403) => Ok(api),
        Err(failure) => Err(failure.error),
    }
}

fn account_error(failure: Failure, config: &Config) -> Error {
    if failure.status == Some(403) && !config.account_id.is_empty() {
        return failure
            .error
            .context(format!("account_id {} cannot be read with this key", config.account_id));
    }
    failure.error
}

/// What all streams share: the accounts, and what each of them has to look for in events.
async fn shared(
    api: &Api,
    config: Config,
    catalog: &ConfiguredCatalog,
    state: &InputState,
) -> Result<Shared> {
    let start = config.start()?;
    if !config.api_retention_streams.is_empty() {
        info!(
            "api_retention_streams has no effect: every stream is listed again when its last read is too old."
        );
    }
    let accounts = accounts(api, &config).await?;
    let mut members = Vec::new();
    for account in accounts {
        let api = if account == *api.account() { api.clone() } else { api.for_account(account) };
        let me = api.whoami().await;
        let me: serde_json::Value = match me {
            Ok(me) => me,
            // A restricted key may read streams without the right to see the account; if more
            // is wrong, the account's streams will tell.
            Err(failure)
                if api.account().tag().is_some() && failure.error.kind() == FailureType::Config =>
            {
                warn!("{}", failure.error.message());
                serde_json::json!({ "id": api.account().tag().unwrap_or(&config.account_id) })
            }
            Err(failure) => return Err(failure.error),
        };
        let until = api.now() - i64::from(config.event_lag_seconds);
        let interests = interests(&api, &config, catalog, state, until);
        let parallel = config.num_workers.0 as usize;
        let feed = Feed::new(
            api.clone(),
            interests,
            until,
            config.api_version.clone(),
            parallel,
            config.window(),
        );
        members.push(Member { api, account: Bytes::from(me.to_string()), feed });
    }
    Ok(Shared { config, start, members })
}

/// What the configured streams want to know. A state that cannot be read is reported by
/// its stream.
fn interests(
    api: &Api,
    config: &Config,
    catalog: &ConfiguredCatalog,
    state: &InputState,
    until: i64,
) -> Vec<Interest> {
    let configured =
        catalog.streams.iter().filter(|stream| stream.sync_mode == SyncMode::Incremental);
    let wanted = configured.filter_map(|stream| {
        let name = stream.descriptor();
        let def = STREAMS.iter().copied().find(|def| def.name == name.name)?;
        let saved = saved(def, state.stream(&name), api.account(), true).ok()?;
        let since = follows_since(def, &saved, config, until)?;
        Some(Interest { def, since, payload: config.incremental_mode == IncrementalMode::Payload })
    });
    wanted.collect()
}

/// The accounts to read.
async fn accounts(api: &Api, config: &Config) -> Result<Vec<Account>> {
    if !config.stripe_context.is_empty() {
        return Ok(config.stripe_context.iter().cloned().map(Account::Context).collect());
    }
    let mut accounts = vec![api.account().clone()];
    let all = config.connected_accounts.iter().any(|id| id.eq_ignore_ascii_case("all"));
    let ids = if all { connected(api).await? } else { config.connected_accounts.clone() };
    let named = ids.into_iter().filter(|id| !id.is_empty() && !id.eq_ignore_ascii_case("none"));
    accounts.extend(named.map(Account::Connected));
    Ok(accounts)
}

/// Ids of all connected accounts (docs "List all connected accounts").
async fn connected(api: &Api) -> Result<Vec<String>> {
    let request = api.list("/v1/accounts", "/v1/accounts");
    let (mut pager, mut ids) = (paginator().pager(None), Vec::new());
    loop {
        let page = fetch(api.client(), &request, &pager, None).await?;
        ids.extend(page.records().filter_map(|account| plain(fields(account, ["id"])[0]?)));
        if !pager.advance(&page)? {
            return Ok(ids);
        }
    }
}

/// The lists that `check` looks at, each with its streams.
fn probes() -> impl Iterator<Item = (&'static Def, &'static str)> {
    STREAMS.iter().copied().filter_map(|def| match &def.rows {
        Rows::List(list) if list.version == Version::Any => Some((def, list.path)),
        _ => None,
    })
}

/// Asks each list for one object: the permissions that the key lacks, with the streams
/// that need them.
async fn probe(api: &Api) -> Result<BTreeMap<String, Vec<&'static str>>> {
    let mut missing: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    let probes: Vec<_> = probes().collect();
    let mut answers = futures::stream::iter(0..probes.len())
        .map(|index| {
            let (def, path) = probes[index];
            async move {
                let request = api.get(path, path).query("limit", 1);
                (def.name, api.client().json::<serde::de::IgnoredAny>(&request).await)
            }
        })
        .buffer_unordered(10);
    while let Some((stream, answer)) = answers.next().await {
        match answer {
            Ok(_) => {}
            Err(failure) if failure.status == Some(403) => {
                let words = failure.api.message.clone().unwrap_or_default();
                missing.entry(permission(&words).unwrap_or(words)).or_default().push(stream);
            }
            Err(failure) if failure.error.kind() == FailureType::Config => {
                return Err(failure.error);
            }
            // A product that the account does not use: its stream says so when it is read.
            Err(failure) if failure.status.is_some_and(|status| status < 500) => {
                info!("Stream {stream}: {}", failure.error.message());
            }
            Err(failure) => return Err(failure.error),
        }
    }
    missing.values_mut().for_each(|streams| streams.sort_unstable());
    Ok(missing)
}

fn permission_in(failure: &Failure) -> Option<String> {
    failure.api.message.as_deref().and_then(permission)
}

/// The permission that Stripe's message names, such as `rak_charge_read`.
fn permission(message: &str) -> Option<String> {
    let words = message.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.into_iter().find(|word| word.starts_with("rak_")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_found_in_words() {
        let said = "The provided key does not have access. Having the 'rak_charge_read' permission would help.";
        assert_eq!(permission(said).as_deref(), Some("rak_charge_read"));
        assert_eq!(permission("nothing"), None);
    }
}
