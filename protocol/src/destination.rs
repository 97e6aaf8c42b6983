//! What a destination has to answer.

use std::future::Future;

use serde::de::DeserializeOwned;

use crate::catalog::ConfiguredCatalog;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::source::Context;
use crate::spec::ConnectorSpecification;

/// A destination connector: the three commands of its command line.
///
/// The configuration was validated against [`Destination::spec`] before a method sees it.
pub trait Destination: Send + Sync + 'static {
    /// The configuration, as a struct that [`Destination::spec`] is generated from.
    type Config: DeserializeOwned + Send + Sync + 'static;

    /// Commands of its own besides those of the protocol, such as maintenance of what it wrote: the
    /// name and what it does, for [`Destination::task`].
    const TASKS: &'static [(&'static str, &'static str)] = &[];

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

    /// Does one of [`Destination::TASKS`].
    fn task(
        &self,
        name: &str,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<()>> + Send {
        let _ = (config, context);
        let error = Error::system(format!("There is no command `{name}`"));
        std::future::ready(Err(error))
    }
}
