//! The command line of a connector, from its arguments to its exit code.

mod cli;
mod commands;
mod logging;
mod panics;
mod signals;

use std::future::Future;
use std::process::ExitCode;

use cli::Command;

use crate::catalog::{Catalog, ConfiguredCatalog};
use crate::destination::Destination;
use crate::error::Result;
use crate::input::Input;
use crate::source::{Context, Source};
use crate::spec::ConnectorSpecification;
use crate::state::InputState;

/// Runs a source: `spec`, `check`, `discover` or `read`, as the arguments of the process say.
pub fn run<S: Source>(source: S) -> ExitCode {
    commands::run(SourceCommands(source))
}

/// Runs a destination: `spec`, `check` or `write`, as the arguments of the process say.
pub fn run_destination<D: Destination>(destination: D) -> ExitCode {
    commands::run(DestinationCommands(destination))
}

/// What sources and destinations have in common: the answers to commands.
trait Connector {
    type Config: serde::de::DeserializeOwned;
    /// The commands besides `spec` and `check`.
    const COMMANDS: &'static [Command];

    fn spec(&self) -> ConnectorSpecification;
    fn check(
        &self,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Option<String>>>;
    fn discover(
        &self,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<Catalog>>;
    fn transfer(
        &self,
        config: Self::Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> impl Future<Output = Result<()>>;
}

struct SourceCommands<S>(S);

impl<S: Source> Connector for SourceCommands<S> {
    type Config = S::Config;
    const COMMANDS: &'static [Command] = &[Command::Discover, Command::Read];

    fn spec(&self) -> ConnectorSpecification {
        self.0.spec()
    }

    async fn check(&self, config: Self::Config, context: Context) -> Result<Option<String>> {
        self.0.check(config, context).await
    }

    async fn discover(&self, config: Self::Config, context: Context) -> Result<Catalog> {
        self.0.discover(config, context).await
    }

    async fn transfer(
        &self,
        config: Self::Config,
        catalog: ConfiguredCatalog,
        state: InputState,
        context: Context,
    ) -> Result<()> {
        self.0.read(config, catalog, state, context).await
    }
}

struct DestinationCommands<D>(D);

impl<D: Destination> Connector for DestinationCommands<D> {
    type Config = D::Config;
    const COMMANDS: &'static [Command] = &[Command::Write];

    fn spec(&self) -> ConnectorSpecification {
        self.0.spec()
    }

    async fn check(&self, config: Self::Config, context: Context) -> Result<Option<String>> {
        self.0.check(config, context).await
    }

    async fn discover(&self, _: Self::Config, _: Context) -> Result<Catalog> {
        Ok(Catalog::default())
    }

    async fn transfer(
        &self,
        config: Self::Config,
        catalog: ConfiguredCatalog,
        _: InputState,
        context: Context,
    ) -> Result<()> {
        self.0.write(config, catalog, Input::stdin(), context).await
    }
}
