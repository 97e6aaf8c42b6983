//! What flags say: a run without a file, or in place of what the file says.

use std::path::{Path, PathBuf};

use clap::Args;

use super::own::{Checkpoints, CommandLine, Faults, Off, OffRule};
use super::{CheckStatus, Config, ConfigError, Entry, Section};

/// Settings by flags; each counts before the same key of the file.
#[derive(Debug, Clone, Default, Args)]
pub struct Overrides {
    /// The connector as a program with its arguments
    #[arg(long, value_name = "COMMAND", conflicts_with = "image")]
    pub executable: Option<String>,
    /// The connector's image
    #[arg(long, value_name = "NAME")]
    pub image: Option<String>,
    /// The connector's configuration, a JSON file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The configured catalog to read; all discovered streams by default
    #[arg(long, value_name = "FILE")]
    pub configured_catalog: Option<PathBuf>,
    /// A configuration that leads to about ten times the data
    #[arg(long, value_name = "FILE")]
    pub growth_config: Option<PathBuf>,
    /// The executable of the previous version
    #[arg(long, value_name = "COMMAND", conflicts_with = "previous_image")]
    pub previous_executable: Option<String>,
    /// The image of the previous version
    #[arg(long, value_name = "NAME")]
    pub previous_image: Option<String>,
    /// The source changes while it is read: what depends on equal data is only warned about
    #[arg(long)]
    pub live: bool,
    /// Warnings fail, too
    #[arg(long)]
    pub strict: bool,
    /// Try what takes minutes as well: an API that stays broken
    #[arg(long)]
    pub long: bool,
    /// Switch a rule off, with a reason: O10=why, or O10:stream=why
    #[arg(long, value_name = "RULE=REASON")]
    pub off: Vec<OffRule>,
    /// How many runs go on at once
    #[arg(long, value_name = "N")]
    pub parallel: Option<usize>,
    /// How many checkpoints are read from again: a number, or all
    #[arg(long, value_name = "N")]
    pub checkpoints: Option<Checkpoints>,
    /// How often a read is killed and resumed
    #[arg(long, value_name = "N")]
    pub kills: Option<usize>,
    /// Choose the same places again for kills and samples
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where the configuration names the address of the API, such as server.base_url
    #[arg(long, value_name = "KEY")]
    pub base_url_key: Option<String>,
    /// The address of the API
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// Inject no faults
    #[arg(long)]
    pub no_faults: bool,
    /// Record all traffic into a folder, scrubbed of secrets
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Answer with the traffic recorded in a folder
    #[arg(long, value_name = "DIR")]
    pub replay: Option<PathBuf>,
}

impl Config {
    /// A run without a file. Paths count from the current folder.
    ///
    /// # Errors
    /// A command cannot be taken apart.
    pub fn from_flags(overrides: &Overrides) -> Result<Self, ConfigError> {
        let folder = std::env::current_dir().map_err(|error| {
            ConfigError::new(format!("the current folder cannot be told: {error}"))
        })?;
        Self { folder, ..Self::default() }.merge(overrides)
    }

    /// Puts what flags say in place of what the file says. Paths count from the current folder.
    ///
    /// # Errors
    /// A command cannot be taken apart.
    pub fn merge(mut self, overrides: &Overrides) -> Result<Self, ConfigError> {
        if let Some(command) = &overrides.executable {
            self.executable = Some(here(command)?);
        }
        if let Some(image) = &overrides.image {
            (self.executable, self.image) = (None, Some(image.clone()));
        }
        self.merge_config(overrides);
        self.merge_previous(overrides)?;
        self.merge_proxy(overrides);
        self.live |= overrides.live;
        self.strict |= overrides.strict;
        self.long |= overrides.long;
        self.rules.off.extend(overrides.off.iter().cloned());
        self.parallel = overrides.parallel.or(self.parallel);
        self.checkpoints = overrides.checkpoints.or(self.checkpoints);
        self.kills = overrides.kills.or(self.kills);
        self.seed = overrides.seed.or(self.seed);
        Ok(self)
    }

    /// A configuration by flag takes the place of all that is to succeed in the file.
    fn merge_config(&mut self, overrides: &Overrides) {
        if let Some(path) = &overrides.configured_catalog {
            self.configured_catalog_path = Some(absolute(path));
        }
        if let Some(path) = &overrides.growth_config {
            self.growth.get_or_insert_default().config_path = Some(absolute(path));
        }
        let Some(path) = &overrides.config else { return };
        (self.config, self.config_path) = (None, Some(absolute(path)));
        let tests = &mut self.acceptance_tests;
        forget(&mut tests.spec, |_| true);
        forget(&mut tests.connection, |entry| entry.status == CheckStatus::Succeed);
        forget(&mut tests.discovery, |_| true);
        forget(&mut tests.basic_read, |_| true);
        forget(&mut tests.full_refresh, |_| true);
        forget(&mut tests.incremental, |_| true);
    }

    fn merge_previous(&mut self, overrides: &Overrides) -> Result<(), ConfigError> {
        if let Some(command) = &overrides.previous_executable {
            self.previous.get_or_insert_default().executable = Some(here(command)?);
        }
        if let Some(image) = &overrides.previous_image {
            let previous = self.previous.get_or_insert_default();
            (previous.executable, previous.image) = (None, Some(image.clone()));
        }
        Ok(())
    }

    fn merge_proxy(&mut self, overrides: &Overrides) {
        let proxy = &mut self.proxy;
        if let Some(key) = &overrides.base_url_key {
            proxy.base_url_key = Some(key.clone());
        }
        if let Some(upstream) = &overrides.upstream {
            proxy.upstream = Some(upstream.clone());
        }
        if overrides.no_faults {
            proxy.faults = Some(Faults::Off(Off::Off));
        }
        if let Some(folder) = &overrides.record {
            (proxy.record, proxy.replay) = (Some(absolute(folder)), None);
        }
        if let Some(folder) = &overrides.replay {
            (proxy.record, proxy.replay) = (None, Some(absolute(folder)));
        }
    }
}

/// Entries forget their own configuration, so that the one at the root counts.
fn forget<T: Entry>(section: &mut Option<Section<T>>, is_meant: impl Fn(&T) -> bool) {
    let entries = section.iter_mut().flat_map(|section| &mut section.tests);
    for entry in entries.filter(|entry| is_meant(entry)) {
        let common = entry.common_mut();
        (common.config, common.config_path) = (None, None);
    }
}

/// A command typed in the current folder.
fn here(command: &str) -> Result<CommandLine, ConfigError> {
    let folder = absolute(Path::new("."));
    let words = CommandLine::Text(command.to_owned()).words(&folder);
    words.map(CommandLine::Words).map_err(ConfigError::new)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
