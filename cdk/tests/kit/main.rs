//! The kit against a server that stands in memory, in time that passes at once.

mod client;
mod fuzz;
mod jwt;
mod oauth;
mod pages;
mod reading;
mod rest;
mod support;
mod waits;
