//! The connector development kit: what a SaaS connector is built from.
//!
//! A stream is put together from plain values: a request ([`http::Request`]), where the
//! records are ([`json::Select`]), how pages follow ([`page::Paginator`]), what is done
//! and what is left ([`range::SpanSet`]), a schema. [`http::Client`] does what every API
//! asks of a client; [`read::read`] runs the streams. The kit knows no SaaS.

pub mod auth;
pub mod clock;
pub mod cursor;
pub mod decode;
pub mod http;
pub mod json;
pub mod page;
pub mod range;
pub mod read;
pub mod rest;
pub mod schema;
pub mod state;
