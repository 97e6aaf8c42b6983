//! What a source has to answer, and what it is given to answer with.

use std::future::Future;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, ConfiguredCatalog};
use crate::error::Result;
use crate::output::Output;
use crate::spec::ConnectorSpecification;
use crate::state::InputState;

/// A source connector: the four commands of its command line.
///
/// The configuration was validated against [`Source::spec`] before a method sees it.
pub trait Source: Send + Sync + 'static {
    /// The configuration, as a struct that [`Source::spec`] is generated from.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// The specification: printed by `spec`, and used to validate and to mask a configuration.
    fn spec(&self) -> ConnectorSpecification;

    /// Proves with real calls that the configuration works.
    ///
    /// `Ok` with an optional note is status SUCCEEDED. An error of kind config is status FAILED
    /// with exit code 0; any other error is a TRACE ERROR with exit code 1.
    fn check(
        &self,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Lists the streams that can be read.
    fn discover(
        &self,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Catalog>> + Send;

    /// Reads the configured streams from where `state` left off, through [`Context::output`].
    ///
    /// A stream that fails is told with [`crate::StreamOutput::incomplete`] and the others go on;
    /// the process then exits with code 1. An error returned from here becomes a TRACE ERROR too,
    /// unless the same one was reported already.
    fn read(
        &self,
        config: Self::Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// What a command gets besides its inputs. Clones share everything.
#[derive(Clone)]
pub struct Context {
    /// The writer of messages.
    pub output: Output,
    /// Cancelled when the process was asked to stop: ask for nothing more, write what is complete
    /// and the states that cover it, return. About eight seconds are left then.
    pub shutdown: CancellationToken,
    /// The whole configuration as it was given, for CONTROL messages, which must carry it all.
    pub config: serde_json::Value,
    /// Where the connector runs.
    pub edition: Edition,
}

/// Where the connector runs, by `DEPLOYMENT_MODE` and `AIRBYTE_EDITION`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// A shared cloud: plain HTTP and private addresses are forbidden to connectors.
    Cloud,
    /// Somebody's own machine or cluster.
    Oss,
}

impl Edition {
    /// Reads the two environment variables: either of them saying `cloud` (in any case) is enough.
    pub fn from_env() -> Self {
        Self::from_values(
            ["DEPLOYMENT_MODE", "AIRBYTE_EDITION"].map(|name| std::env::var(name).ok()),
        )
    }

    fn from_values(values: [Option<String>; 2]) -> Self {
        let is_cloud = |value: &String| value.trim().eq_ignore_ascii_case("cloud");
        if values.iter().flatten().any(is_cloud) { Self::Cloud } else { Self::Oss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_makes_it_the_cloud() {
        let edition = |a: Option<&str>, b: Option<&str>| {
            Edition::from_values([a, b].map(|v| v.map(str::to_owned)))
        };
        assert_eq!(edition(Some("CLOUD"), None), Edition::Cloud);
        assert_eq!(edition(Some("OSS"), Some("cloud")), Edition::Cloud);
        assert_eq!(edition(Some("OSS"), Some("community")), Edition::Oss);
        assert_eq!(edition(None, None), Edition::Oss);
    }
}
