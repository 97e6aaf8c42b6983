//! Every request to Salesforce: where it goes, what its answers mean, what it costs.

use std::sync::Arc;
use std::time::Duration;

use airbyte_protocol::{Context, Error, FailureType, Result};
use cdk::auth::Auth;
use cdk::clock::Clock;
use cdk::http::{
    Action, Budget, Budgets, Client, ErrorTable, Failure, Incoming, Method, Network, Page, Request,
    Response, RetryPolicy, Rule, Scope, common_error,
};
use cdk::json::{Path, Select, integer, plain};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::config::{Config, OnQuota};
use crate::describe::{Describe, Object, Objects};
use crate::job::Job;
use crate::login;
use crate::quota::{Limits, Quota, USED_UP};

/// Queries longer than this, encoded, go into the body of a composite request: addresses may
/// have 16,384 bytes together with the headers (docs "Query", "Composite").
const LONGEST_QUERY: usize = 12_000;
/// Requests in one composite request (docs "Composite").
pub const COMPOSITE: usize = 25;
/// Queries at a time whose first answer may take long; an org allows 25 requests of more than
/// 20 seconds for all that use it (docs "API Request Limits and Allocations").
const LONG_QUERIES: usize = 10;
/// Pages of REST queries in memory at a time.
const PAGES: usize = 10;
/// Pages of Bulk results that are read at a time: while one comes in, Salesforce prepares the next.
/// Each takes about 1 MiB, and 2 keep one CPU busy.
const DOWNLOADS: usize = 2;

/// The API of one org. Clones share connections, login and quotas.
#[derive(Clone)]
pub struct Api {
    client: Client,
    version: Arc<str>,
    page_size: u32,
    /// What the org allows.
    pub quota: Arc<Quota>,
    /// A permit for each Bulk job that may run.
    pub jobs: Arc<Semaphore>,
    /// A permit for each page of Bulk results that may be read at a time.
    pub downloads: Arc<Semaphore>,
    long: Arc<Semaphore>,
    /// Asks for the Bulk jobs that are left only once.
    limits: Arc<tokio::sync::Mutex<()>>,
}

/// What Salesforce says of a Bulk job.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInfo {
    /// Its id.
    pub id: String,
    /// `UploadComplete`, `InProgress`, `JobComplete`, `Failed` or `Aborted`.
    pub state: String,
    /// Rows of all its pages.
    #[serde(default)]
    pub number_records_processed: Option<u64>,
    /// Why it failed.
    #[serde(default)]
    pub error_message: Option<String>,
}

/// The answer of Get Deleted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletions {
    /// Rows that were deleted in the time that was asked for.
    pub deleted_records: Vec<Deletion>,
    /// Up to when it is complete.
    #[serde(default)]
    pub latest_date_covered: Option<String>,
}

/// A deleted row.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// Its id.
    pub id: String,
    /// When it was deleted.
    pub deleted_date: String,
}

impl Api {
    /// Logs in and connects to the org's own address.
    ///
    /// # Errors
    /// Config: the login is refused, or an address cannot be used.
    pub async fn connect(config: &Config, context: &Context, policy: RetryPolicy) -> Result<Self> {
        config.validate()?;
        let policy =
            RetryPolicy { attempts: config.max_attempts.unwrap_or(policy.attempts), ..policy };
        let transport = Arc::new(Network::new(context.edition)?);
        let clock = Clock::system();
        let oauth = login::oauth(config, context, transport.clone(), clock.clone(), policy)?;
        oauth.token().await?;
        let instance = oauth.answer("instance_url");
        let instance = instance.as_ref().and_then(|url| url.as_str()).ok_or_else(|| {
            Error::system("Salesforce's answer to the login does not say where the org is.")
        })?;
        let quota = Arc::new(Quota::new(config));
        let client = Client::builder(login::address(instance)?, transport, context.clone())
            .auth(Auth::OAuth(oauth))
            .clock(clock)
            .errors(errors(config.on_quota))
            .budgets(Budgets::new(Budget::unlimited("Salesforce")))
            .gate(quota.clone())
            .policy(policy)
            .workers(config.workers().min(PAGES))
            .build();
        let jobs = config.max_concurrent_jobs.unwrap_or(20).max(1) as usize;
        let downloads =
            config.max_concurrent_pages.map_or(DOWNLOADS, |pages| pages.max(1) as usize);
        Ok(Api {
            client,
            version: config.version().into(),
            page_size: config.bulk_page_size.unwrap_or(50_000).max(1),
            quota,
            jobs: Arc::new(Semaphore::new(jobs)),
            downloads: Arc::new(Semaphore::new(downloads)),
            long: Arc::new(Semaphore::new(LONG_QUERIES)),
            limits: Arc::default(),
        })
    }

    /// The client below.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The API version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Server time in milliseconds since the epoch: cursors compare with times that
    /// Salesforce wrote.
    pub fn now(&self) -> i64 {
        self.client.clock().server_now().timestamp_millis()
    }

    fn request(&self, method: Method, tail: &str, endpoint: &'static str) -> Request {
        let path = format!("/services/data/v{}/{tail}", self.version);
        self.client.request(method, &path).endpoint(endpoint)
    }

    /// All objects that the user may see (docs "Describe Global").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn objects(&self) -> Result<Vec<Object>, Failure> {
        let request = self.request(Method::GET, "sobjects", "sobjects");
        Ok(self.client.json::<Objects>(&request).await?.sobjects)
    }

    fn describe_request(&self, object: &str) -> Request {
        self.request(Method::GET, &format!("sobjects/{object}/describe"), "describe")
    }

    /// What an object is made of (docs "sObject Describe").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn describe(&self, object: &str) -> Result<Describe, Failure> {
        let mut describe: Describe = self.client.json(&self.describe_request(object)).await?;
        describe.fields.shrink_to_fit();
        Ok(describe)
    }

    /// The same as Salesforce wrote it, as one record.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn describe_raw(&self, object: &str) -> Result<Page, Failure> {
        self.client.page(&self.describe_request(object), &Select::whole(), &[]).await
    }

    /// What up to [`COMPOSITE`] objects are made of, for the price of one request. An object
    /// that Salesforce gives no answer for has none here.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn describe_many(
        &self,
        objects: &[String],
    ) -> Result<Vec<Option<Describe>>, Failure> {
        let each = objects.iter().enumerate().map(|(number, object)| {
            let url = format!("/services/data/v{}/sobjects/{object}/describe", self.version);
            json!({ "method": "GET", "url": url, "referenceId": format!("r{number}") })
        });
        let request = self.composite(each.collect());
        let parse = |response: Response| {
            let outer: Composite<'_> =
                serde_json::from_slice(&response.body).map_err(|e| e.to_string())?;
            let parts = outer.responses.iter();
            Ok(parts.map(|part| serde_json::from_str(part.body.get()).ok()).collect())
        };
        self.client.send(&request, parse).await
    }

    fn composite(&self, requests: Vec<serde_json::Value>) -> Request {
        self.request(Method::POST, "composite", "composite")
            .json(json!({ "allOrNone": false, "compositeRequest": requests }))
    }

    /// The first page of a query's rows, deleted ones too (docs "QueryAll"). A long query goes
    /// in the body of a composite request.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn query(&self, soql: &str) -> Result<Rows, Failure> {
        let request = self.request(Method::GET, "queryAll", "query").query("q", soql);
        let full = request.full_url();
        let request = if full.as_str().len() <= LONGEST_QUERY {
            request
        } else {
            let url = format!(
                "/services/data/v{}/queryAll?{}",
                self.version,
                full.query().unwrap_or_default()
            );
            let one = json!({ "method": "GET", "url": url, "referenceId": "r0" });
            self.composite(vec![one]).unwrap_with(only_part)
        };
        // Never closed: an error cannot happen.
        let _permit = self.long.acquire().await.ok();
        self.rows(&request).await
    }

    /// The page of a query's rows that another one named.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn more(&self, next: &str) -> Result<Rows, Failure> {
        self.rows(&self.client.get(next).endpoint("query")).await
    }

    async fn rows(&self, request: &Request) -> Result<Rows, Failure> {
        let [total, next, done]: [Path; 3] =
            ["totalSize".into(), "nextRecordsUrl".into(), "done".into()];
        let page =
            self.client.page(request, &Select::list("records"), &[&total, &next, &done]).await?;
        let next = page.value(1).and_then(plain);
        if page.value(2) == Some("false") && next.is_none() {
            return Err(Error::system("Salesforce did not say where more rows are.").into());
        }
        let total = page.value(0).and_then(integer).and_then(|total| u64::try_from(total).ok());
        Ok(Rows { total: total.unwrap_or(page.len() as u64), next, page })
    }

    /// Makes a Bulk job for a query (docs "Create a Query Job").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn create_job(&self, soql: &str) -> Result<JobInfo, Failure> {
        let body = json!({
            "operation": "queryAll", "query": soql,
            "contentType": "CSV", "columnDelimiter": "COMMA", "lineEnding": "LF",
        });
        let request = self.request(Method::POST, "jobs/query", "jobs");
        self.client.json(&request.json(body)).await
    }

    fn job_request(&self, method: Method, job: &Job, tail: &str) -> Request {
        // A job's results are to be had only with the version that made it.
        let path = format!("/services/data/v{}/jobs/query/{}{tail}", job.api, job.id);
        self.client.request(method, &path).endpoint("jobs")
    }

    /// How a Bulk job is (docs "Get Information About a Query Job").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn job(&self, job: &Job) -> Result<JobInfo, Failure> {
        self.client.json(&self.job_request(Method::GET, job, "")).await
    }

    /// A page of a Bulk job's results (docs "Get Results for a Query Job").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn results(&self, job: &Job, locator: &str) -> Result<Incoming, Failure> {
        let mut request = self
            .job_request(Method::GET, job, "/results")
            .query("maxRecords", self.page_size)
            .header("accept", "text/csv");
        if !locator.is_empty() {
            request = request.query("locator", locator);
        }
        self.client.open(&request).await
    }

    /// Deletes a Bulk job that has ended (docs "Delete a Query Job").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn delete_job(&self, job: &Job) -> Result<(), Failure> {
        self.client.send(&self.job_request(Method::DELETE, job, ""), |_| Ok(())).await
    }

    /// Aborts a Bulk job (docs "Abort a Query Job").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn abort_job(&self, job: &Job) -> Result<(), Failure> {
        let request = self.job_request(Method::PATCH, job, "").json(json!({ "state": "Aborted" }));
        self.client.send(&request, |_| Ok(())).await
    }

    /// Takes one of the org's Bulk jobs; `false` when they are used up to the threshold.
    pub async fn take_bulk_job(&self) -> bool {
        let once = self.limits.lock().await;
        if !self.quota.knows_bulk_jobs() {
            let request = self.request(Method::GET, "limits", "limits");
            // Limits may be hidden from the user, which is no reason not to read.
            let limits = self.client.json::<Limits>(&request).await.ok();
            self.quota.set_bulk_jobs(limits.and_then(|limits| limits.bulk_jobs));
        }
        drop(once);
        self.quota.take_bulk_job()
    }

    /// Rows that were deleted between two times, each `YYYY-MM-DDThh:mm:ss+00:00` (docs
    /// "sObject Get Deleted").
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn deleted(&self, object: &str, from: &str, to: &str) -> Result<Deletions, Failure> {
        let request = self.request(Method::GET, &format!("sobjects/{object}/deleted/"), "deleted");
        self.client.json(&request.query("start", from).query("end", to)).await
    }

    /// Waits for the next look at a Bulk job.
    ///
    /// # Errors
    /// Transient, when the signal to stop comes.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Failure> {
        Ok(self.client.sleep(duration).await?)
    }
}

/// A page of a query's rows.
pub struct Rows {
    /// Rows of all pages.
    pub total: u64,
    /// Where the next page is.
    pub next: Option<String>,
    /// The rows.
    pub page: Page,
}

#[derive(Deserialize)]
struct Composite<'a> {
    #[serde(borrow, rename = "compositeResponse")]
    responses: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    body: &'a RawValue,
    http_status_code: u16,
}

/// The one answer in a composite one.
fn only_part(outer: Response) -> Result<Response, String> {
    let parsed: Composite<'_> = serde_json::from_slice(&outer.body).map_err(|e| e.to_string())?;
    let [part] = parsed.responses.as_slice() else {
        return Err(format!("{} answers in place of one", parsed.responses.len()));
    };
    let body = outer.body.slice_ref(part.body.get().as_bytes());
    Ok(Response { status: part.http_status_code, headers: outer.headers.clone(), body })
}

/// Whether a query took longer than Salesforce allows, so that a smaller one may do.
pub fn is_timeout(failure: &Failure) -> bool {
    failure.is_code("QUERY_TIMEOUT")
}

/// Whether a selected field has gone, or is hidden from the user.
pub fn is_field_gone(failure: &Failure) -> bool {
    failure.is_code("INVALID_FIELD")
}

/// Whether a field cannot be filtered by, whatever the catalog says of it.
pub fn is_filter_refused(failure: &Failure) -> bool {
    let said = failure.api.message.as_deref().unwrap_or_default();
    is_field_gone(failure) && said.contains("can not be filtered")
}

/// Whether a query's place is no longer known, so that it has to be asked anew.
pub fn is_place_lost(failure: &Failure) -> bool {
    failure.is_code("INVALID_QUERY_LOCATOR")
}

/// Whether the org's Bulk jobs are used up.
pub fn is_out_of_jobs(failure: &Failure) -> bool {
    failure.is_code("LIMIT_EXCEEDED")
}

/// Whether Salesforce will not read an object, or a column of it, by Bulk.
pub fn is_not_for_bulk(failure: &Failure) -> bool {
    let said = failure.api.message.as_deref().unwrap_or_default();
    let refusals = ["not supported by the Bulk API", "compound data", "does not support query"];
    failure.is_code("INVALIDENTITY")
        || failure.is_code("FEATURENOTENABLED")
        || refusals.iter().any(|words| said.contains(words))
}

/// What Salesforce's answers mean (docs "Status Codes and Error Responses", "API Fault
/// Element").
fn errors(on_quota: OnQuota) -> ErrorTable {
    use FailureType::{Config, System, Transient};
    let out_of_requests = match on_quota {
        OnQuota::Wait => Action::Pause(Scope::Api),
        OnQuota::Fail | OnQuota::Stop => Action::Fail(Transient),
    };
    let fail = |kind| Rule::new(Action::Fail(kind));
    ErrorTable::new(common_error).with([
        Rule::new(Action::Pause(Scope::Api)).code([USED_UP]).contains("concurrent"),
        Rule::new(out_of_requests).code([USED_UP])
            .advice("The org's API requests of 24 hours are used up: sync later, or set on_quota to wait."),
        fail(Config).code(["TXN_SECURITY_METERING_ERROR"])
            .advice("A transaction security policy of the org blocks this user. Give it the permission 'Exempt from Transaction Security'."),
        fail(Config).code(["API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"])
            .advice("The org, or the user's profile, has no access to the API. Enable 'API Enabled' for the user, or use an edition that has the API."),
        fail(Config).code(["INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"])
            .advice("Give the user the right to read this object, or leave the stream out."),
        fail(Config).code(["INVALID_TYPE", "INVALID_TYPE_FOR_OPERATION", "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION"])
            .advice("The object is not in the org any more, is hidden from this user, or cannot be queried. Refresh the connection's schema, or leave the stream out."),
        fail(Config).code(["INVALID_FIELD"])
            .advice("Refresh the connection's schema, or give the user the right to see the field."),
        fail(Config).code(["MALFORMED_QUERY"]).contains("filter")
            .advice("The object can only be read with a filter of a special kind: leave the stream out."),
        fail(Config).code(["MALFORMED_QUERY"]).contains("restriction")
            .advice("The object can only be read with a filter of a special kind: leave the stream out."),
        fail(Config).code(["API_ERROR", "UNKNOWN_EXCEPTION"]).contains("implementation restriction")
            .advice("Give the user the permission 'View All Data', or leave the stream out."),
        fail(Config).code(["OPERATION_TOO_LARGE"])
            .advice("Give the user the permission 'View All Data', or leave the stream out."),
        fail(Config).code(["QUERY_TOO_COMPLICATED"])
            .advice("Too many formula fields are selected: leave some out."),
        fail(Transient).code(["QUERY_TIMEOUT"]),
        fail(Transient).code(["LIMIT_EXCEEDED"]),
        // Seen at the edge of Salesforce's network, without a word of it in its documentation.
        Rule::new(Action::Retry).status([406, 420]),
        fail(Config).status([410]).advice("Salesforce no longer has this API version: set api_version to a newer one."),
        fail(System).status([404, 409, 412]),
        Rule::new(Action::RefreshToken).status([401])
            .advice("Salesforce does not accept the login: authenticate again, and see whether the app's policies allow this user."),
    ])
}
