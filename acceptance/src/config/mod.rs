//! `acceptance.yml`: what is run against which connector.
//!
//! The file is a superset of Airbyte's `acceptance-test-config.yml` (described on their page
//! "Acceptance Tests Reference"): every key that it has or once had is understood, and all of them
//! are optional. The keys of [`Config`] that Airbyte does not have stand at the root.
//!
//! Paths are relative to `base_path`, else to the folder of the file; after loading they are
//! joined with it. The doc comments of the structs are the reference: [`schema`] turns them into a
//! JSON schema, against which a file is read, so that an error names the place and what is wanted.

mod consistency;
mod entries;
mod expected;
mod legacy;
mod load;
mod overrides;
mod own;
mod schema;
mod sections;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use entries::common;

pub use consistency::{missing_expected_records, missing_future_states};
pub use expected::{ExpectedRecord, expected_records};
pub use load::find;
pub use overrides::Overrides;
pub use own::*;
pub use schema::schema;
pub use sections::*;
pub use settings::{InlineConfig, Outer, Outside, Setting};

/// The whole file.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The connector's image, such as `airbyte/source-x:dev`.
    pub connector_image: Option<String>,
    /// Another name of `connector_image`.
    pub image: Option<String>,
    /// The connector as a program with its arguments, such as `./source-x` or `python main.py`.
    /// Counts before an image. A program with a slash in its name is looked for from the base
    /// folder.
    pub executable: Option<CommandLine>,
    /// The folder from which paths count, instead of that of the file.
    pub base_path: Option<String>,
    /// `high` demands all sections, and a reason for all that is left out (rule A11). `low` by
    /// default.
    pub test_strictness_level: Strictness,
    /// Variables in the connector's environment, as they stand here.
    pub custom_environment_variables: BTreeMap<String, Setting>,
    /// What is tested, by section.
    pub acceptance_tests: AcceptanceTests,
    /// Airbyte's suite once kept the discovered catalog between tests. Without effect: outputs
    /// are shared between the checks anyway.
    pub cached_discovered_catalog: Option<bool>,
    /// Variables in the connector's environment. `$NAME`, `{env: NAME}` and `{command: …}` take
    /// the value from outside, so that credentials need not stand here.
    pub environment: BTreeMap<String, Setting>,
    /// The connector's configuration, a JSON file, for all entries that name none.
    #[schemars(extend("format" = "path"))]
    pub config_path: Option<PathBuf>,
    /// The connector's configuration itself, in place of a file. Values may come from outside as
    /// in `environment`.
    pub config: Option<InlineConfig>,
    /// The configured catalog for all entries that name none.
    #[schemars(extend("format" = "path"))]
    pub configured_catalog_path: Option<PathBuf>,
    /// The source changes while it is read, so rules that need equal data, such as R11 and I05,
    /// are only warned about.
    pub live: bool,
    /// Warnings fail, too.
    pub strict: bool,
    /// What takes minutes is tried as well: an API that stays broken, until the connector gives up.
    pub long: bool,
    /// Rules that are switched off.
    pub rules: Rules,
    /// What runs may use.
    pub limits: Limits,
    /// How many runs go on at once; the number of cores by default.
    pub parallel: Option<usize>,
    /// How many checkpoints are read from again: a number, or `all`.
    pub checkpoints: Option<Checkpoints>,
    /// How often a read is killed and resumed.
    pub kills: Option<usize>,
    /// Makes the suite choose the same places again: for kills, samples, broken values.
    pub seed: Option<u64>,
    /// The proxy between the connector and its API: faults, recording, replaying.
    pub proxy: Proxy,
    /// The same source with about ten times the data.
    pub growth: Option<Growth>,
    /// The version before.
    pub previous: Option<Previous>,
    /// `metadata.yaml`; by default the one in the base folder.
    #[schemars(extend("format" = "path"))]
    pub metadata_path: Option<PathBuf>,
    /// The page of documentation, in Markdown.
    #[schemars(extend("format" = "path"))]
    pub documentation_path: Option<PathBuf>,
    /// `manifest.yaml` of a declarative source; by default the one in the base folder.
    #[schemars(extend("format" = "path"))]
    pub manifest_path: Option<PathBuf>,
    /// What the suite needs to know of a destination.
    pub destination: Option<Destination>,
    /// The base folder: paths were joined with it, and commands run in it.
    #[serde(skip)]
    pub folder: PathBuf,
    /// What the report has to say about the file.
    #[serde(skip)]
    pub notes: Vec<Note>,
}

/// How strictly the file itself is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strictness {
    /// Everything may be left out.
    #[default]
    Low,
    /// All sections are demanded, and a reason for all that is left out.
    High,
}

/// Something that the report tells beside its findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is.
    pub kind: NoteKind,
    /// Where it stands, such as `acceptance_tests.basic_read.tests[0]`.
    pub path: String,
    /// The reason, or what to do.
    pub text: String,
}

/// The kinds of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Something is left out, and this is why.
    Bypass,
    /// A key that nobody knows.
    UnknownKey,
    /// An old form that was understood.
    Legacy,
    /// What became of recorded or replayed traffic.
    Traffic,
}

impl NoteKind {
    /// The words for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bypass => "left out",
            Self::UnknownKey => "unknown key",
            Self::Legacy => "old form",
            Self::Traffic => "traffic",
        }
    }
}

/// What is wrong with the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, for the message.
    pub file: Option<PathBuf>,
    /// Each place, and what is wanted there.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; empty for the whole file.
    pub path: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl ConfigError {
    /// One problem with the whole.
    pub fn new(text: impl Into<String>) -> Self {
        Self { file: None, problems: vec![Problem { path: String::new(), text: text.into() }] }
    }
}

impl fmt::Display for ConfigError {
    /// One problem a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Problem { path, text }) in self.problems.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            f.write_str(separator)?;
            if let Some(file) = &self.file {
                write!(f, "{}: ", file.display())?;
            }
            match path.as_str() {
                "" => f.write_str(text)?,
                path => write!(f, "{path}: {text}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The connector under test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A program and its arguments.
    Executable(Vec<String>),
    /// An image.
    Image(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executable(words) => f.write_str(&words.join(" ")),
            Self::Image(image) => f.write_str(image),
        }
    }
}

/// Where a connector's configuration comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum ConfigSource {
    /// A JSON file.
    File(PathBuf),
    /// Written into the file of the suite.
    Inline(InlineConfig),
}

/// The path that an entry without a configuration stands for.
const DEFAULT_CONFIG: &str = "secrets/config.json";

impl Config {
    /// The connector under test.
    ///
    /// # Errors
    /// Neither an executable nor an image is named, or the command makes no sense.
    pub fn target(&self) -> Result<Target, ConfigError> {
        self.target_of(self.executable.as_ref(), self.image())?.ok_or_else(|| {
            ConfigError::new(
                "no connector is named; give --executable \"COMMAND\" or --image NAME, or write \
                 `executable:` or `connector_image:` into acceptance.yml",
            )
        })
    }

    /// The version before, when it can be run.
    ///
    /// # Errors
    /// The command makes no sense.
    pub fn previous_target(&self) -> Result<Option<Target>, ConfigError> {
        let named = match &self.previous {
            Some(previous) => {
                self.target_of(previous.executable.as_ref(), previous.image.as_deref())?
            }
            None => None,
        };
        Ok(named.or_else(|| self.older_image()))
    }

    fn target_of(
        &self,
        executable: Option<&CommandLine>,
        image: Option<&str>,
    ) -> Result<Option<Target>, ConfigError> {
        match executable {
            Some(command) => {
                command.words(&self.folder).map(Target::Executable).map(Some).map_err(|text| {
                    let problem = Problem { path: "executable".to_owned(), text };
                    ConfigError { file: None, problems: vec![problem] }
                })
            }
            None => Ok(image.map(|image| Target::Image(image.to_owned()))),
        }
    }

    /// The image, under whichever name.
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref().or(self.connector_image.as_deref())
    }

    /// Where the configuration of an entry comes from: its own, the one at the root, or
    /// `secrets/config.json`.
    pub fn config_source(&self, entry: &Common) -> ConfigSource {
        source(entry.config.as_ref(), entry.config_path.as_deref())
            .unwrap_or_else(|| self.main_config())
    }

    /// The configuration for whatever is not an entry of the file: the one at the root, else that
    /// of the first entry that is to succeed, else `secrets/config.json`.
    pub fn main_config(&self) -> ConfigSource {
        let tests = &self.acceptance_tests;
        let of_entries =
            [
                common(tests.basic_read.as_ref()),
                tests.connection.iter().flat_map(|section| &section.tests).find_map(|entry| {
                    (entry.status == CheckStatus::Succeed).then_some(&entry.common)
                }),
                common(tests.discovery.as_ref()),
                common(tests.full_refresh.as_ref()),
                common(tests.incremental.as_ref()),
                common(tests.spec.as_ref()),
            ];
        source(self.config.as_ref(), self.config_path.as_deref())
            .or_else(|| {
                let mut entries = of_entries.into_iter().flatten();
                entries
                    .find_map(|entry| source(entry.config.as_ref(), entry.config_path.as_deref()))
            })
            .unwrap_or_else(|| ConfigSource::File(self.folder.join(DEFAULT_CONFIG)))
    }

    /// The configuration that leads to more data, when there is one.
    pub fn growth_config(&self) -> Option<ConfigSource> {
        let growth = self.growth.as_ref()?;
        source(growth.config.as_ref(), growth.config_path.as_deref())
    }

    /// Reads a connector's configuration; values from outside are fetched.
    ///
    /// # Errors
    /// The file cannot be read or is no JSON object, or a value is not to be had. Never holds
    /// parts of the configuration.
    pub fn read_config(&self, source: &ConfigSource) -> Result<Value, ConfigError> {
        match source {
            ConfigSource::File(path) => load::json_object(path),
            ConfigSource::Inline(config) => Outer::here(&self.folder)
                .config(config)
                .map_err(|error| ConfigError::new(format!("config: {error}"))),
        }
    }

    /// The variables of the connector's environment for an entry.
    ///
    /// # Errors
    /// A value is not to be had.
    pub fn environment_of(&self, entry: &Common) -> Result<BTreeMap<String, String>, ConfigError> {
        self.environment_from(entry, &Outer::here(&self.folder))
    }

    fn environment_from(
        &self,
        entry: &Common,
        outer: &Outer,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut variables = BTreeMap::new();
        let custom = ("custom_environment_variables", &self.custom_environment_variables);
        for (key, settings) in [custom, ("environment", &self.environment)] {
            for (name, setting) in settings {
                let text = match setting {
                    // Airbyte's key takes texts as they stand.
                    Setting::Text(text) if key == custom.0 => Ok(text.clone()),
                    setting => outer.text(setting),
                };
                let failed = |error| ConfigError::new(format!("{key}.{name}: {error}"));
                variables.insert(name.clone(), text.map_err(failed)?);
            }
        }
        if let Some(mode) = entry.deployment_mode {
            variables.insert("DEPLOYMENT_MODE".to_owned(), mode.variable().to_owned());
        }
        Ok(variables)
    }

    /// The configured catalog for an entry that names this one, or none.
    pub fn configured_catalog<'a>(&'a self, own: Option<&'a Path>) -> Option<&'a Path> {
        own.or(self.configured_catalog_path.as_deref())
    }

    /// `metadata.yaml`: the named one, or the one in the base folder if it is there.
    pub fn metadata(&self) -> Option<PathBuf> {
        self.named_or_there(self.metadata_path.as_deref(), "metadata.yaml")
    }

    /// `manifest.yaml`: the named one, or the one in the base folder if it is there.
    pub fn manifest(&self) -> Option<PathBuf> {
        self.named_or_there(self.manifest_path.as_deref(), "manifest.yaml")
    }

    fn named_or_there(&self, named: Option<&Path>, name: &str) -> Option<PathBuf> {
        let there = || Some(self.folder.join(name)).filter(|path| path.is_file());
        named.map(Path::to_owned).or_else(there)
    }

    /// Commands for the very end of all tests.
    pub fn final_teardown(&self) -> Vec<&[String]> {
        let tests = &self.acceptance_tests;
        let basic = tests.basic_read.iter().flat_map(|section| &section.tests);
        let full = tests.full_refresh.iter().flat_map(|section| &section.tests);
        let incremental = tests.incremental.iter().flat_map(|section| &section.tests);
        let containers = basic
            .map(|entry| &entry.client_container_config)
            .chain(full.map(|entry| &entry.client_container_config))
            .chain(incremental.map(|entry| &entry.client_container_config))
            .chain([&tests.client_container_config]);
        let mut commands: Vec<&[String]> = Vec::new();
        for container in containers.flatten() {
            let command = container.final_teardown_command.as_slice();
            if !command.is_empty() && !commands.contains(&command) {
                commands.push(command);
            }
        }
        commands
    }
}

fn source(inline: Option<&InlineConfig>, path: Option<&Path>) -> Option<ConfigSource> {
    let file = || path.map(|path| ConfigSource::File(path.to_owned()));
    inline.cloned().map(ConfigSource::Inline).or_else(file)
}

#[cfg(test)]
mod tests;
