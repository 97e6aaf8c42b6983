//! The configuration. This struct is the connector's spec.

use airbyte_protocol::{Context, Error, Result, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::names;
use crate::storage::Storage;

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

    /// The command expire removes versions of tables that are older than so many days, with the files that only they have. The newest ten stay.
    #[schemars(title = "Expire after days", range(min = 0, max = 36500), extend("default" = 7))]
    #[serde(default = "default_expire")]
    pub expire_after_days: u32,

    /// The command sweep removes files that belong to no version of a table and are older than so many days, such as those of a process that died. Younger ones may be of a process that still runs.
    #[schemars(title = "Sweep after days", range(min = 0, max = 36500), extend("default" = 3))]
    #[serde(default = "default_sweep")]
    pub sweep_after_days: u32,

    /// The command compact puts files together that are smaller than so many megabytes, and writes those anew of which a third of the rows or more was deleted.
    #[schemars(title = "Compact below megabytes", range(min = 1, max = 256), extend("default" = 32))]
    #[serde(default = "default_compact")]
    pub compact_below_megabytes: u32,
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
    /// Amazon S3, or a service that speaks its language.
    S3(S3),
    /// Google Cloud Storage.
    Gcs {
        /// The bucket.
        #[schemars(title = "Bucket")]
        bucket: String,
        /// The folder of all tables.
        #[schemars(title = "Prefix")]
        #[serde(default)]
        prefix: String,
        /// The key file of a service account, as JSON. Without it the machine's own identity is used.
        #[schemars(title = "Service account key")]
        #[serde(default)]
        service_account_key: Option<Secret>,
    },
    /// Azure Blob Storage and Data Lake Storage.
    Azure {
        /// The storage account.
        #[schemars(title = "Account")]
        account: String,
        /// The container.
        #[schemars(title = "Container")]
        container: String,
        /// The folder of all tables.
        #[schemars(title = "Prefix")]
        #[serde(default)]
        prefix: String,
        /// The access key of the account. Without it the machine's own identity is used.
        #[schemars(title = "Access key")]
        #[serde(default)]
        access_key: Option<Secret>,
    },
    /// The REST catalog decides where the files go, and gives the credentials for it.
    FromCatalog {},
}

/// A bucket of S3.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct S3 {
    /// The bucket.
    #[schemars(title = "Bucket")]
    pub bucket: String,
    /// The folder of all tables.
    #[schemars(title = "Prefix")]
    #[serde(default)]
    pub prefix: String,
    /// The region.
    #[schemars(title = "Region", extend("examples" = ["eu-central-1"]))]
    #[serde(default)]
    pub region: Option<String>,
    /// The address of the service, if it is not Amazon's.
    #[schemars(title = "Endpoint")]
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The id of an access key. Without one the machine's own identity is used.
    #[schemars(title = "Access key ID")]
    #[serde(default)]
    pub access_key_id: Option<Secret>,
    /// The access key.
    #[schemars(title = "Secret access key")]
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
    /// The token that goes with a key for some hours.
    #[schemars(title = "Session token")]
    #[serde(default)]
    pub session_token: Option<Secret>,
}

/// What keeps track of the tables.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CatalogConfig {
    /// The files themselves: no server and no database.
    #[default]
    Filesystem,
    /// A database file of this machine, the same as pyiceberg's SqlCatalog has.
    Sqlite {
        /// The file; it is made when it is not there.
        #[schemars(title = "Path", extend("examples" = ["/data/lake/catalog.db"]))]
        path: String,
        /// The name of the catalog in the file.
        #[schemars(title = "Catalog name", extend("default" = "default"))]
        #[serde(default = "default_namespace")]
        name: String,
    },
    /// A server of Iceberg's REST interface: Polaris, Lakekeeper, Nessie, Unity, Glue, S3 Tables and others.
    Rest(RestConfig),
}

/// A REST catalog.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RestConfig {
    /// The address, without /v1.
    #[schemars(title = "URI", extend("examples" = ["https://catalog.example.com/api/catalog", "https://glue.eu-central-1.amazonaws.com/iceberg"]))]
    pub uri: String,
    /// The warehouse's name in the catalog; for Glue the account id, for S3 Tables the ARN of the bucket.
    #[schemars(title = "Warehouse")]
    #[serde(default)]
    pub warehouse: Option<String>,
    /// How requests prove who asks.
    #[schemars(title = "Authentication")]
    #[serde(default)]
    pub auth: RestAuth,
}

/// How requests to a REST catalog prove who asks.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RestAuth {
    /// They do not.
    #[default]
    None,
    /// A token that does not change.
    Bearer {
        /// The token.
        #[schemars(title = "Token")]
        token: Secret,
    },
    /// Tokens by OAuth 2.0 for a client id and secret.
    Oauth2 {
        /// The client's id.
        #[schemars(title = "Client ID")]
        client_id: String,
        /// The client's secret.
        #[schemars(title = "Client secret")]
        client_secret: Secret,
        /// The scope to ask for.
        #[schemars(title = "Scope", extend("default" = "PRINCIPAL_ROLE:ALL"))]
        #[serde(default = "default_scope")]
        scope: String,
        /// Where tokens are given out, if not by the catalog itself.
        #[schemars(title = "Token URI")]
        #[serde(default)]
        token_uri: Option<String>,
    },
    /// Signatures of Amazon, for Glue and S3 Tables.
    Sigv4 {
        /// The service: glue or s3tables.
        #[schemars(title = "Service", extend("default" = "glue"))]
        #[serde(default = "default_service")]
        service: String,
        /// The region.
        #[schemars(title = "Region")]
        region: String,
        /// The id of an access key.
        #[schemars(title = "Access key ID")]
        access_key_id: Secret,
        /// The access key.
        #[schemars(title = "Secret access key")]
        secret_access_key: Secret,
        /// The token that goes with a key for some hours.
        #[schemars(title = "Session token")]
        #[serde(default)]
        session_token: Option<Secret>,
    },
}

fn default_scope() -> String {
    "PRINCIPAL_ROLE:ALL".into()
}

fn default_service() -> String {
    "glue".into()
}

impl Warehouse {
    /// The storage; `None` when the catalog decides.
    ///
    /// # Errors
    /// Config: it cannot be used, or this program was built without it.
    pub fn storage(&self, context: &Context) -> Result<Option<Storage>> {
        match self {
            Self::Local { path } => Storage::local(path).map(Some),
            Self::FromCatalog {} => Ok(None),
            #[cfg(feature = "cloud")]
            cloud => crate::cloud::storage(cloud, context.edition).map(Some),
            #[cfg(not(feature = "cloud"))]
            _ => {
                let _ = context;
                Err(crate::catalog::not_built_in("object stores", "cloud"))
            }
        }
    }
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

fn default_expire() -> u32 {
    7
}

fn default_sweep() -> u32 {
    3
}

fn default_compact() -> u32 {
    32
}

impl Config {
    /// The memory for open files, in bytes.
    pub fn memory_budget(&self) -> usize {
        self.memory_budget_megabytes as usize * (1 << 20)
    }

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
