//! The configuration. This struct is the connector's spec.

use airbyte_protocol::{Error, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::names;

/// Lakehouse Destination Spec
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[schemars(
    title = "Lakehouse Destination Spec",
    description = "Settings of the lakehouse destination, which writes Apache Iceberg tables."
)]
pub struct Config {
    /// Where the files of the tables go.
    pub warehouse: Warehouse,

    /// What keeps track of the tables.
    #[serde(default)]
    pub catalog: CatalogConfig,

    /// The namespace of streams that have none of their own.
    #[schemars(title = "Default namespace", extend("default" = "default"))]
    #[serde(default = "default_namespace")]
    pub namespace: String,

    /// The version of Iceberg's table format for new tables: 2 is read by every engine, 3 marks deleted rows in a more compact way.
    #[schemars(title = "Format version", extend("default" = 2, "enum" = [2, 3]))]
    #[serde(default = "default_format")]
    pub format_version: u8,

    /// How names become those of tables and columns: "normalized" makes them lower case, with _ for everything but letters and digits; "verbatim" leaves them.
    #[schemars(title = "Naming", extend("default" = "normalized"))]
    #[serde(default)]
    pub naming: NamingConfig,

    /// The type of columns for numbers that need not be whole: "double" as Airbyte's destinations have it, or "decimal" with 38 digits, 9 of them after the point, for exact amounts.
    #[schemars(title = "Number type", extend("default" = "double"))]
    #[serde(default)]
    pub number_type: NumberType,

    /// How new tables are partitioned, by stream name (or namespace.name): a list of column, year(column), month(column), day(column), hour(column), bucket(16, column), truncate(8, column).
    #[schemars(title = "Partitioning", extend("additionalProperties" = true, "examples" = [{"orders": ["month(created_at)"]}]))]
    #[serde(default)]
    pub partitioning: std::collections::BTreeMap<String, Vec<String>>,

    /// What a record of a source by change data capture does that says its row was deleted: "hard" removes the row, "soft" keeps it with the time of its deletion.
    #[schemars(title = "Deletions", extend("default" = "hard"))]
    #[serde(default)]
    pub deletions: Deletions,

    /// When an overwrite takes the place of the old rows if neither generations nor stream statuses come with the records: "if_final_state" when the stream's last line was a state, which ends each finished stream; "always" at the end of the input; "never".
    #[schemars(title = "Overwrite without status", extend("default" = "if_final_state"))]
    #[serde(default)]
    pub overwrite_without_status: OverwriteWithoutStatus,

    /// A stream is committed when so many megabytes of its files are written.
    #[schemars(title = "Commit after megabytes", range(min = 1, max = 10000), extend("default" = 256))]
    #[serde(default = "default_megabytes")]
    pub commit_megabytes: u32,

    /// A stream is committed when so many seconds have passed since its last commit. States are given back when they are committed.
    #[schemars(title = "Commit after seconds", range(min = 0, max = 86400), extend("default" = 300))]
    #[serde(default = "default_seconds")]
    pub commit_seconds: u32,

    /// Memory for open files of all streams together, in megabytes. Readers, queues and the program itself take some more.
    #[schemars(title = "Memory budget in megabytes", range(min = 8, max = 65536), extend("default" = 64))]
    #[serde(default = "default_budget")]
    pub memory_budget_megabytes: u32,
}

/// Where the files are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Warehouse {
    /// A folder of this machine.
    Local {
        /// The folder; it is made when it is not there.
        #[schemars(title = "Path", extend("examples" = ["/data/lake"]))]
        path: String,
    },
}

/// What keeps track of the tables.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CatalogConfig {
    /// The files themselves: no server and no database.
    #[default]
    Filesystem,
}

/// How names are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamingConfig {
    /// Lower case and `_`.
    #[default]
    Normalized,
    /// As they are.
    Verbatim,
}

impl From<NamingConfig> for names::Naming {
    fn from(config: NamingConfig) -> Self {
        match config {
            NamingConfig::Normalized => Self::Normalized,
            NamingConfig::Verbatim => Self::Verbatim,
        }
    }
}

/// The type of columns for numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberType {
    /// Floating point.
    #[default]
    Double,
    /// Exact.
    Decimal,
}

impl NumberType {
    /// What a column of numbers holds.
    pub fn kind(self) -> crate::schema::Kind {
        match self {
            Self::Double => crate::schema::Kind::Double,
            Self::Decimal => crate::schema::Kind::Decimal,
        }
    }
}

/// What a record of a deletion does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Deletions {
    /// Removes the row.
    #[default]
    Hard,
    /// Is a row like others.
    Soft,
}

/// When an overwrite counts as complete without anybody saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OverwriteWithoutStatus {
    /// When a state was the last line of the stream.
    #[default]
    IfFinalState,
    /// At the end of the input.
    Always,
    /// Not at all.
    Never,
}

fn default_namespace() -> String {
    "default".into()
}

fn default_format() -> u8 {
    2
}

fn default_megabytes() -> u32 {
    256
}

fn default_seconds() -> u32 {
    300
}

fn default_budget() -> u32 {
    64
}

impl Config {
    /// What the schema cannot say.
    ///
    /// # Errors
    /// Config: a value makes no sense.
    pub fn validate(&self) -> Result<()> {
        if !matches!(self.format_version, 2 | 3) {
            return Err(Error::config("format_version must be 2 or 3."));
        }
        Ok(())
    }
}
