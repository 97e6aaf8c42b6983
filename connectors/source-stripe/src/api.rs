//! Every request to Stripe: where it goes, what its answers mean, what it costs.

use std::sync::Arc;

use airbyte_protocol::{Context, FailureType, Result};
use cdk::auth::Auth;
use cdk::http::{
    Action, Budget, Budgets, Client, ErrorTable, Failure, Network, Request, RetryPolicy, Rule,
    Scope, common_error,
};
use cdk::json::Select;
use cdk::page::{Paginator, Slot};

use crate::config::{Config, OnMissingPermission};

/// Objects per page, the most that lists give (docs "Pagination").
pub const PAGE: u32 = 100;

/// Whose data is read with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The key's own account.
    Own,
    /// Another account, by the header `Stripe-Account`.
    Connected(String),
    /// A path of accounts, by the header `Stripe-Context`.
    Context(String),
}

impl Account {
    /// What rows of this account are tagged with.
    pub fn tag(&self) -> Option<&str> {
        match self {
            Account::Own => None,
            Account::Connected(id) => Some(id),
            Account::Context(path) => path.rsplit('/').next(),
        }
    }
}

/// The API as one account sees it. Clones share connections and budgets.
#[derive(Clone)]
pub struct Api {
    client: Client,
    account: Account,
    /// The account that is read in place of the key's own, if the configuration names one.
    acting_for: Option<Arc<str>>,
    version: Arc<str>,
}

impl Api {
    /// Connects with the configuration's key.
    ///
    /// # Errors
    /// Config: an address that cannot be used.
    pub fn new(config: &Config, context: &Context, policy: RetryPolicy) -> Result<Self> {
        let policy =
            RetryPolicy { attempts: config.max_attempts.unwrap_or(policy.attempts), ..policy };
        let transport = Arc::new(Network::new(context.edition)?);
        let client = Client::builder(config.base()?, transport, context.clone())
            .auth(Auth::Bearer(config.client_secret.clone()))
            .errors(errors(config.on_missing_permission))
            .budgets(budgets(config.requests_per_second(), config.call_rate_limit.is_some()))
            .policy(policy)
            .workers(config.num_workers.0 as usize)
            .build();
        let account = Account::Own;
        Ok(Api { client, account, acting_for: None, version: config.api_version.as_str().into() })
    }

    /// The same API as `account` sees it.
    pub fn for_account(&self, account: Account) -> Self {
        Api { account, ..self.clone() }
    }

    /// The same API with another account in the place of the key's own.
    pub fn acting_for(&self, account: &str) -> Self {
        Api { acting_for: Some(account.into()), ..self.clone() }
    }

    /// Whose data this reads.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A request for a path, in this account and API version. `endpoint` is the path with
    /// placeholders, which the rate limits are kept by.
    pub fn get(&self, path: &str, endpoint: &'static str) -> Request {
        let request =
            self.client.get(path).endpoint(endpoint).header("stripe-version", &self.version);
        match &self.account {
            Account::Own => match &self.acting_for {
                Some(id) => request.header("stripe-account", id),
                None => request,
            },
            Account::Connected(id) => request.header("stripe-account", id),
            Account::Context(path) => request.header("stripe-context", path),
        }
    }

    /// A request for a list, with full pages.
    pub fn list(&self, path: &str, endpoint: &'static str) -> Request {
        self.get(path, endpoint).query("limit", PAGE)
    }

    /// Server time in epoch seconds: cursors compare with times that Stripe wrote.
    pub fn now(&self) -> i64 {
        self.client.clock().server_now().timestamp()
    }

    /// `GET /v1/account` (docs "Retrieve account"): the account that the key, or the
    /// header, stands for.
    ///
    /// # Errors
    /// Config: the key is wrong, or it may not act for the account.
    pub async fn whoami(&self) -> Result<serde_json::Value, Failure> {
        self.client.json(&self.get("/v1/account", "/v1/account")).await
    }
}

/// How lists are paged (docs "Pagination").
pub fn paginator() -> Paginator {
    Paginator::LastId {
        field: "id".into(),
        has_more: "has_more".into(),
        slot: Slot::query("starting_after"),
    }
}

/// Where a list's objects are.
pub fn objects() -> Select {
    Select::list("data")
}

/// Stripe's limits (docs "Rate limits"): one for the account, 25 requests per second for
/// each endpoint, 20 for files. An explicit limit replaces them all: whoever sets it knows
/// better.
fn budgets(per_second: f64, explicit: bool) -> Budgets {
    let api = Budget::per_second("Stripe", per_second);
    if explicit {
        return Budgets::new(api);
    }
    Budgets::new(api).each_endpoint(25.0).endpoint("/v1/files", 20.0)
}

/// What Stripe's answers mean (docs "Errors", "Rate limits", "Error codes").
fn errors(missing: OnMissingPermission) -> ErrorTable {
    use FailureType::{Config, System};
    let forbidden = match missing {
        OnMissingPermission::Fail => Action::Fail(Config),
        OnMissingPermission::Skip => Action::Skip,
    };
    ErrorTable::new(common_error).request_id("request-id").with([
        Rule::new(Action::Retry).status([429]).code(["lock_timeout"]),
        Rule::new(Action::Pause(Scope::Endpoint)).status([429]).header(REASON, "endpoint-rate"),
        Rule::new(Action::Pause(Scope::Endpoint)).status([429]).header(REASON, "endpoint-concurrency"),
        Rule::new(Action::Pause(Scope::Endpoint)).status([429]).header(REASON, "resource-specific"),
        Rule::new(Action::Pause(Scope::Api)).status([429]),
        // The form that rate limits had in old API versions.
        Rule::new(Action::Pause(Scope::Api)).status([400]).code(["rate_limit"]),
        Rule::new(Action::Fail(System)).status(500..600).header(SHOULD_RETRY, "false"),
        Rule::new(Action::Retry).status(402..600).header(SHOULD_RETRY, "true"),
        Rule::new(Action::Fail(Config)).status([401]).code(["api_key_expired"])
            .advice("The API key has expired: create a new one in Stripe's dashboard and enter it as client_secret."),
        Rule::new(Action::Fail(Config)).code(["secret_key_required"])
            .advice("This is a publishable key. Enter a restricted (rk_…) or secret (sk_…) key as client_secret."),
        Rule::new(Action::Fail(Config)).status([401])
            .advice("The API key was not accepted: check client_secret in the configuration."),
        // What is told of children whose parent has gone, and of objects too old or too
        // new to have such children, means that there are none.
        Rule::new(Action::Empty).status([404]).contains("no such").endpoint("/v1/customers/{id}/balance_transactions"),
        Rule::new(Action::Empty).status([404]).contains("no such").endpoint("/v1/customers/{id}/payment_methods"),
        Rule::new(Action::Empty).status([404]).contains("no such").endpoint("/v1/checkout/sessions/{id}/line_items"),
        Rule::new(Action::Empty).status([404]).contains("no such").endpoint("/v1/accounts/{id}/persons"),
        Rule::new(Action::Empty).status([400]).contains("line items").endpoint("/v1/checkout/sessions/{id}/line_items"),
        Rule::new(Action::Empty).status([400]).endpoint("/v1/subscription_items/{id}/usage_record_summaries").contains("metered"),
        Rule::new(Action::Empty).status([400]).endpoint("/v1/subscription_items/{id}/usage_record_summaries").contains("usage"),
        Rule::new(Action::Empty)
            .status([400])
            .contains("automatic transfers")
            .endpoint("/v1/balance_transactions"),
        Rule::new(forbidden).status([403])
            .advice("Give the key this permission in Stripe's dashboard (Developers, API keys), leave the stream out, or set on_missing_permission to skip."),
        Rule::new(Action::Fail(System)).status([400]).code(["parameter_unknown"])
            .advice("Stripe does not know a parameter that this API version should have. Check api_version in the configuration."),
    ])
}

const REASON: &str = "stripe-rate-limited-reason";
const SHOULD_RETRY: &str = "stripe-should-retry";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        assert_eq!(Account::Own.tag(), None);
        assert_eq!(Account::Connected("acct_1".into()).tag(), Some("acct_1"));
        assert_eq!(Account::Context("acct_1/acct_2".into()).tag(), Some("acct_2"));
    }

    #[test]
    fn an_explicit_limit_is_the_only_one() {
        let endpoint = std::borrow::Cow::Borrowed("/v1/files");
        assert_eq!(budgets(100.0, false).of(&endpoint)[1].rate(), 20.0);
        assert!(budgets(100.0, true).of(&endpoint)[1].rate() > 1000.0);
    }
}
