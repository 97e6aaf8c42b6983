//! The proxy between a client and a tiny API.

mod api;
mod client;
mod faults;
mod passing;
mod record;
