//! What a destination has to answer.

use std::future::Future;

use serde::de::DeserializeOwned;

use crate::catalog::ConfiguredCatalog;
use crate::error::Result;
use crate::input::Input;
use crate::source::Context;
use crate::spec::ConnectorSpecification;

/// A destination connector: the three commands of its command line.
///
/// The configuration was validated against [`Destination::spec`] before a method sees it.
pub trait Destination: Send + Sync + 'static {
    /// The configuration, as a struct that [`Destination::spec`] is generated from.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// The specification; it must name the supported destination sync modes.
    fn spec(&self) -> ConnectorSpecification;

    /// Proves that the configuration works, by writing, reading and removing a probe. The results
    /// mean what they mean in [`crate::Source::check`].
    fn check(
        &self,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Option<String>>> + Send;

    /// Writes the lines of `input` until its end.
    ///
    /// A state is given back with [`crate::Output::echo_state`] once everything before it is
    /// durable. `Ok` means that all input was committed.
    fn write(
        &self,
        config: Self::Config,
        catalog: ConfiguredCatalog,
        input: Input,
        context: Context,
    ) -> impl Future<Output = Result<()>> + Send;
}
