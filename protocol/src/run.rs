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
use crate::error::{Error, Result};
use crate::input::Input;
use crate::source::{Context, Source};
use crate::spec::ConnectorSpecification;
use crate::state::InputState;

/// Runs a source: `spec`, `check`, `discover` or `read`, as the arguments of the process say.
pub fn run<S: Source>(source: S) -> ExitCode {
    commands::run(SourceCommands(source))
}

/// Runs a destination: `spec`, `check`, `write` or one of its own commands, as the arguments of the
/// process say.
pub fn run_destination<D: Destination>(destination: D) -> ExitCode {
    commands::run(DestinationCommands(destination))
}

/// What sources and destinations have in common: the answers to commands.
trait Connector {
    type Config: serde::de::DeserializeOwned;
    /// The commands besides `spec` and `check`.
    fn commands() -> Vec<Command>;

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
    fn task(
        &self,
        name: &str,
        config: Self::Config,
        context: Context,
    ) -> impl Future<Output = Result<()>>;
}

struct SourceCommands<S>(S);

impl<S: Source> Connector for SourceCommands<S> {
    type Config = S::Config;

    fn commands() -> Vec<Command> {
        vec![Command::Discover, Command::Read]
    }

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

    async fn task(&self, name: &str, _: Self::Config, _: Context) -> Result<()> {
        Err(Error::system(format!("A source has no command `{name}`")))
    }
}

struct DestinationCommands<D>(D);

impl<D: Destination> Connector for DestinationCommands<D> {
    type Config = D::Config;

    fn commands() -> Vec<Command> {
        let task = |(name, about): &(&'static str, &'static str)| Command::Task(name, about);
        std::iter::once(Command::Write).chain(D::TASKS.iter().map(task)).collect()
    }

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

    async fn task(&self, name: &str, config: Self::Config, context: Context) -> Result<()> {
        self.0.task(name, config, context).await
    }
}
