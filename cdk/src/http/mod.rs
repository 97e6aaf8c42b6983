//! HTTP with everything an API asks of its clients: budgets, authorization, retries and
//! one table that says what an answer means.

mod attempt;
mod backoff;
mod budget;
mod classify;
mod client;
mod counts;
mod guard;
mod quota;
mod request;
mod tls;
mod transport;
mod wait;

pub use backoff::{RetryPolicy, http_date, retry_after};
pub use budget::{Budget, Budgets, Scope};
pub use classify::{
    Action, ApiError, ErrorTable, Failure, ParseError, Rule, Verdict, common_error,
};
pub use client::{Client, ClientBuilder, Page};
pub use counts::Counts;
pub use guard::{check as check_address, is_private};
pub use quota::{Admission, Gate};
pub use request::{Body, Request, Response, Unwrap};
pub use reqwest::Method;
pub use reqwest::header::HeaderMap;
pub use transport::{Broken, Incoming, Network, Transport};
pub(crate) use wait::stopped;
