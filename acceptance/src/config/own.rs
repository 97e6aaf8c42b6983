//! The keys that Airbyte's file does not have.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::InlineConfig;
use crate::rules::{self, Rule};

/// A command with its arguments: one text, split as a shell does, or a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandLine {
    /// One text; quotes keep blanks together.
    Text(String),
    /// Program and arguments.
    Words(Vec<String>),
}

impl CommandLine {
    /// Program and arguments; a program with a slash in its name is looked for from this folder.
    ///
    /// # Errors
    /// A sentence: there is no program, or a quote is not closed.
    pub fn words(&self, folder: &Path) -> Result<Vec<String>, String> {
        let mut words = match self {
            Self::Text(text) => shlex::split(text)
                .ok_or_else(|| format!("a quote is not closed in `{text}`; close it"))?,
            Self::Words(words) => words.clone(),
        };
        let program = words.first_mut().filter(|program| !program.is_empty());
        let program = program.ok_or("the command is empty; name a program")?;
        if program.contains('/') && !program.starts_with('/') {
            *program = folder.join(program.trim_start_matches("./")).to_string_lossy().into_owned();
        }
        Ok(words)
    }
}

/// What runs may use.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Seconds for `spec`; 30 by default.
    pub spec_seconds: f64,
    /// Seconds for `check`; 60 by default.
    pub check_seconds: f64,
    /// Seconds for `discover`; 300 by default.
    pub discover_seconds: f64,
    /// Seconds for `read` and `write`; 1200 by default.
    pub read_seconds: f64,
    /// The peak of resident memory in MiB; 1024 by default.
    pub peak_rss_mib: f64,
    /// The bytes of one line of stdout; 20,000,000 by default, from where on the platform flags
    /// lines as too large.
    pub line_bytes: usize,
    /// How many times the memory of the small read the read with the data of `growth` may use;
    /// 2 by default.
    pub growth_factor: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spec_seconds: 30.0,
            check_seconds: 60.0,
            discover_seconds: 300.0,
            read_seconds: 1200.0,
            peak_rss_mib: 1024.0,
            line_bytes: 20_000_000,
            growth_factor: 2.0,
        }
    }
}

/// How many checkpoints are read from again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Checkpoints {
    /// As many of a read, spread over it.
    Sample(usize),
    /// Every one.
    All(All),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum All {
    /// Every one.
    All,
}

impl std::str::FromStr for Checkpoints {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All(All::All)),
            number => number.parse().map(Self::Sample).map_err(|_| "a number or `all`".to_owned()),
        }
    }
}

/// The proxy between the connector and its API.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Proxy {
    /// Where the connector's configuration names the address of the API, such as `api_url` or
    /// `server.base_url`; the proxy's address is put there. Without it the connector has to obey
    /// HTTP_PROXY and HTTPS_PROXY.
    pub base_url_key: Option<String>,
    /// The address of the API behind `base_url_key`; by default what the configuration says.
    pub upstream: Option<String>,
    /// The faults to inject, by name, or `off`; all of them by default.
    pub faults: Option<Faults>,
    /// A folder into which all traffic is recorded, scrubbed of secrets.
    #[schemars(extend("format" = "path"))]
    pub record: Option<PathBuf>,
    /// A folder from which recorded traffic is answered; the API is not asked.
    #[schemars(extend("format" = "path"))]
    pub replay: Option<PathBuf>,
}

/// Which faults are injected.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Faults {
    /// Those of these names.
    Only(Vec<String>),
    /// None.
    Off(Off),
}

/// The word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// None.
    Off,
}

/// The same source with about ten times the data: memory must not grow with it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Growth {
    /// The connector's configuration that leads to more data.
    #[schemars(extend("format" = "path"))]
    pub config_path: Option<PathBuf>,
    /// The same, written here.
    pub config: Option<InlineConfig>,
}

/// The version before: what users have stored from it has to go on working.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Previous {
    /// Its executable, with arguments.
    pub executable: Option<CommandLine>,
    /// Its image.
    pub image: Option<String>,
    /// Its specification, when it cannot be run: a SPEC message, or what `spec` holds.
    #[schemars(extend("format" = "path"))]
    pub spec_path: Option<PathBuf>,
    /// Its catalog: a CATALOG message, or what `catalog` holds.
    #[schemars(extend("format" = "path"))]
    pub catalog_path: Option<PathBuf>,
    /// A state that it wrote.
    #[schemars(extend("format" = "path"))]
    pub state_path: Option<PathBuf>,
}

/// What the suite needs to know of a destination.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Destination {
    /// A shell command that prints the rows of a table as JSON lines. It finds STREAM and
    /// NAMESPACE in its environment, and CONFIG, the path of the configuration. Without it only
    /// the messages of the destination are looked at.
    pub read_back: Option<String>,
    /// A shell command that removes what the tests wrote; the same variables are set.
    pub clean_up: Option<String>,
    /// The namespace to write to.
    pub namespace: Option<String>,
    /// The sync modes to try; those of the specification by default.
    pub sync_modes: Vec<String>,
}

/// Rules that are switched off.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rules {
    /// Each by name, with the reason.
    pub off: Vec<OffRule>,
}

/// A rule that is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct OffRule {
    /// Its id, such as `O10`.
    pub rule: String,
    /// Why; the report says so.
    pub reason: String,
    /// Only the findings about these streams; all of the rule when the list is empty.
    #[serde(default)]
    pub streams: Vec<String>,
}

impl OffRule {
    /// The rule that is meant.
    pub fn rule(&self) -> Option<&'static Rule> {
        rules::by_id(&self.rule)
    }
}

impl std::str::FromStr for OffRule {
    type Err = String;

    /// `O10=reason`, or `O10:stream=reason`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (rule, reason) = text
            .split_once('=')
            .filter(|(_, reason)| !reason.trim().is_empty())
            .ok_or("a reason is needed: `O10=why it does not matter here`")?;
        let (rule, streams) = match rule.split_once(':') {
            Some((rule, streams)) => (rule, streams.split(',').map(str::to_owned).collect()),
            None => (rule, Vec::new()),
        };
        let rule = rules::by_id(rule.trim())
            .ok_or_else(|| format!("there is no rule {rule}; `acceptance rules` lists them"))?;
        Ok(Self { rule: rule.id.to_owned(), reason: reason.trim().to_owned(), streams })
    }
}
