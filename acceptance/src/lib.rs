//! The acceptance suite for Airbyte connectors in any language.

pub mod proxy;
