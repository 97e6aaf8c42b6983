//! `acceptance_tests`: one section a topic, each with entries under `tests`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::InlineConfig;

/// The sections.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AcceptanceTests {
    /// What `spec` prints.
    pub spec: Option<Section<SpecTest>>,
    /// What `check` says.
    pub connection: Option<Section<ConnectionTest>>,
    /// What `discover` prints.
    pub discovery: Option<Section<DiscoveryTest>>,
    /// One read, looked at closely.
    pub basic_read: Option<Section<BasicReadTest>>,
    /// Reads in full-refresh mode, compared with each other.
    pub full_refresh: Option<Section<FullRefreshTest>>,
    /// Incremental reads and their states.
    pub incremental: Option<Section<IncrementalTest>>,
    /// Primary keys, allowed hosts, suggested streams.
    pub connector_attributes: Option<Section<AttributesTest>>,
    /// The page of documentation.
    pub connector_documentation: Option<Section<DocumentationTest>>,
    /// Commands for the very end: only `final_teardown_command` and what it needs count here.
    pub client_container_config: Option<ClientContainer>,
}

/// A section: its entries, or the reason why it is left out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct Section<T> {
    /// Why the section is left out; the report prints it. Excludes `tests`.
    #[serde(default)]
    pub bypass_reason: Option<String>,
    /// The entries: every check of the section is carried out for each.
    #[serde(default)]
    pub tests: Vec<T>,
}

/// What is to be done about a section.
#[derive(Debug, Clone)]
pub enum Plan<T> {
    /// It is left out, for this reason.
    Bypassed(String),
    /// Its entries; where the file has none, one with all defaults.
    Tests(Vec<T>),
}

impl<T: Default + Clone> Section<T> {
    /// What is to be done about a section of the file; an absent one is carried out with defaults.
    pub fn plan(section: Option<&Self>) -> Plan<T> {
        match section {
            Some(Self { bypass_reason: Some(reason), .. }) => Plan::Bypassed(reason.clone()),
            Some(Self { tests, .. }) if !tests.is_empty() => Plan::Tests(tests.clone()),
            _ => Plan::Tests(vec![T::default()]),
        }
    }
}

/// An entry of any section.
pub trait Entry {
    /// The seconds that a command may take where `timeout_seconds` says nothing.
    const TIMEOUT: u64;

    /// The keys that all entries have.
    fn common(&self) -> &Common;

    /// The keys that all entries have, to change them.
    fn common_mut(&mut self) -> &mut Common;

    /// How long a command may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.common().timeout_seconds.unwrap_or(Self::TIMEOUT))
    }
}

macro_rules! entries {
    ($($entry:ident $seconds:literal;)*) => {
        $(impl Entry for $entry {
            const TIMEOUT: u64 = $seconds;

            fn common(&self) -> &Common {
                &self.common
            }

            fn common_mut(&mut self) -> &mut Common {
                &mut self.common
            }
        })*
    };
}

entries! {
    SpecTest 60;
    ConnectionTest 60;
    DiscoveryTest 300;
    BasicReadTest 600;
    FullRefreshTest 1200;
    IncrementalTest 1200;
    AttributesTest 600;
    DocumentationTest 600;
}

/// The keys that all entries have.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Common {
    /// Seconds after which a command of this entry is ended and counts as failed.
    pub timeout_seconds: Option<u64>,
    /// The connector's configuration, a JSON file. Without it the one at the root counts, else
    /// `secrets/config.json`.
    #[schemars(extend("format" = "path"))]
    pub config_path: Option<PathBuf>,
    /// The connector's configuration itself, in place of a file. Strings of the form `$NAME`, and
    /// objects `{env: NAME}` or `{command: …}`, are replaced, so that credentials stay outside.
    pub config: Option<InlineConfig>,
    /// Sets DEPLOYMENT_MODE, in upper case, in the connector's environment.
    pub deployment_mode: Option<DeploymentMode>,
}

/// Where the connector is to believe that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentMode {
    /// Airbyte Cloud.
    Cloud,
    /// The open-source platform.
    Oss,
}

impl DeploymentMode {
    /// The value of the environment variable.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Cloud => "CLOUD",
            Self::Oss => "OSS",
        }
    }
}

/// A stream that is left out of something.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamReason {
    /// The stream.
    pub name: String,
    /// Why; demanded under `test_strictness_level: high`.
    #[serde(default)]
    pub bypass_reason: Option<String>,
}

/// A reason for leaving something out.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Bypass {
    /// Why it is left out.
    pub bypass_reason: Option<String>,
}

/// An entry of `spec`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SpecTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// A file with the expected specification: YAML, JSON, or a manifest whose `spec` counts.
    /// `secrets/spec.json` by default; nothing is compared when the file is not there.
    #[schemars(extend("format" = "path"))]
    pub spec_path: Option<PathBuf>,
    /// Comparing with the previous version.
    pub backward_compatibility_tests_config: BackwardCompatibility,
    /// Whether OAuth has to be the first choice of sign-in.
    pub auth_default_method: Option<AuthDefaultMethod>,
}

/// Comparing with an older image.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BackwardCompatibility {
    /// The tag of the older image; `latest` by default. Images are compared where this or
    /// `disable_for_version` is given; `previous` names anything else to compare with.
    pub previous_connector_version: Option<String>,
    /// Nothing is compared when the older image turns out to be this version.
    pub disable_for_version: Option<String>,
}

/// The first choice of sign-in.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AuthDefaultMethod {
    /// It has to be OAuth. True by default; false needs a reason.
    pub oauth: bool,
    /// Why it need not be OAuth.
    pub bypass_reason: Option<String>,
}

impl Default for AuthDefaultMethod {
    fn default() -> Self {
        Self { oauth: true, bypass_reason: None }
    }
}

/// An entry of `connection`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConnectionTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// How `check` has to end; `succeed` by default.
    pub status: CheckStatus,
}

/// How `check` has to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    /// SUCCEEDED.
    #[default]
    Succeed,
    /// FAILED.
    Failed,
    /// An error trace.
    Exception,
}

/// An entry of `discovery`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DiscoveryTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// Comparing with the previous version.
    pub backward_compatibility_tests_config: BackwardCompatibility,
    /// Primary keys have to be scalars. True by default.
    pub validate_primary_keys_data_type: bool,
}

impl Default for DiscoveryTest {
    fn default() -> Self {
        Self {
            common: Common::default(),
            backward_compatibility_tests_config: BackwardCompatibility::default(),
            validate_primary_keys_data_type: true,
        }
    }
}

/// Fields that may differ between reads, by stream.
pub type IgnoredFields = BTreeMap<String, Vec<IgnoredField>>;

/// A field that may differ.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct IgnoredField {
    /// The field; a path such as `address/city`. In each part `*` stands for any characters and
    /// `?` for one, as in `properties/hs_time_*`.
    pub name: String,
    /// Why; demanded under `test_strictness_level: high`.
    #[serde(default)]
    pub bypass_reason: Option<String>,
}

impl IgnoredField {
    /// The parts of the path; each is a pattern for [`name_matches`].
    pub fn path(&self) -> Vec<&str> {
        self.name.split('/').filter(|part| !part.is_empty()).collect()
    }
}

/// Whether the name of a field fits a pattern with `*` (any characters) and `?` (one).
pub fn name_matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let starts = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            let pattern = rest.as_str().trim_start_matches('*');
            starts.rev().any(|at| name_matches(pattern, &name[at..]))
        }
        Some(wanted) => {
            let mut found = name.chars();
            let is_same = found.next().is_some_and(|found| wanted == '?' || wanted == found);
            is_same && name_matches(rest.as_str(), found.as_str())
        }
    }
}

/// An entry of `basic_read`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BasicReadTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// The configured catalog to read; all discovered streams by default. Not under
    /// `test_strictness_level: high`.
    #[schemars(extend("format" = "path"))]
    pub configured_catalog_path: Option<PathBuf>,
    /// Streams that may be without records.
    pub empty_streams: Vec<StreamReason>,
    /// Records that have to come.
    pub expect_records: Option<ExpectRecords>,
    /// Records have to fit the schemas. True by default.
    pub validate_schema: bool,
    /// Each stream has to report its statuses. True by default.
    pub validate_stream_statuses: Option<bool>,
    /// Each stream needs states, with counts. True by default.
    pub validate_state_messages: bool,
    /// Primary keys have to be scalars that are not all null. True by default.
    pub validate_primary_keys_data_type: bool,
    /// Fields that the schema does not declare are a failure. Named in the file it fails, else
    /// they are a warning.
    pub fail_on_extra_columns: Option<bool>,
    /// Every declared field has to occur in some record. False by default.
    pub validate_data_points: bool,
    /// A read of a stream that does not exist has to end with an error trace. True by default.
    pub expect_trace_message_on_failure: bool,
    /// File sources: the types of files that have to be read.
    pub file_types: Option<FileTypes>,
    /// Commands around the test.
    pub client_container_config: Option<ClientContainer>,
    /// Fields that are left out when records are compared with expected ones.
    pub ignored_fields: IgnoredFields,
}

impl Default for BasicReadTest {
    fn default() -> Self {
        Self {
            common: Common::default(),
            configured_catalog_path: None,
            empty_streams: Vec::new(),
            expect_records: None,
            validate_schema: true,
            validate_stream_statuses: None,
            validate_state_messages: true,
            validate_primary_keys_data_type: true,
            fail_on_extra_columns: None,
            validate_data_points: false,
            expect_trace_message_on_failure: true,
            file_types: None,
            client_container_config: None,
            ignored_fields: IgnoredFields::new(),
        }
    }
}

/// Records that have to come: a file of them, or the reason why there is none.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExpectRecords {
    /// A file of JSON lines, each with `stream`, `data` and, ignored, `emitted_at`.
    #[schemars(extend("format" = "path"))]
    pub path: Option<PathBuf>,
    /// Why no records are expected.
    pub bypass_reason: Option<String>,
    /// The records of each stream start with the expected ones, in this order. False by default.
    pub exact_order: bool,
    /// Whether records may have fields beyond the expected ones: true compares the expected
    /// fields, false whole records. Without this key records are told by their primary keys, as
    /// Airbyte's suite does today, and contents that differ are only a warning.
    pub extra_fields: Option<bool>,
    /// Whether streams may have records beyond the expected ones. True by default.
    pub extra_records: bool,
}

impl Default for ExpectRecords {
    fn default() -> Self {
        Self {
            path: None,
            bypass_reason: None,
            exact_order: false,
            extra_fields: None,
            extra_records: true,
        }
    }
}

/// File sources: the types of files that have to be read.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FileTypes {
    /// Nothing is looked at.
    pub skip_test: bool,
    /// Why; only with `skip_test`.
    pub bypass_reason: Option<String>,
    /// Types that need not be read; only without `skip_test`.
    pub unsupported_types: Vec<FileType>,
}

/// A type of file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct FileType {
    /// The extension, with its dot: `.avro`.
    pub extension: String,
    /// Why it is not read.
    #[serde(default)]
    pub bypass_reason: Option<String>,
}

/// Commands that fill and empty the source around a test. They run on this machine, in the folder
/// of the configuration file; the keys about containers are for those who have them.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ClientContainer {
    /// The Dockerfile of a helper container; without Docker the commands run on this machine.
    #[schemars(extend("format" = "path"))]
    pub client_container_dockerfile_path: Option<PathBuf>,
    /// A file with the secrets that the helper container needs.
    #[schemars(extend("format" = "path"))]
    pub secrets_path: Option<PathBuf>,
    /// Before the test.
    pub setup_command: Vec<String>,
    /// After the test.
    pub teardown_command: Vec<String>,
    /// Between two reads, so that the second has something new.
    pub between_syncs_command: Vec<String>,
    /// After all tests.
    pub final_teardown_command: Vec<String>,
}

/// An entry of `full_refresh`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FullRefreshTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// The configured catalog to read; all discovered streams by default.
    #[schemars(extend("format" = "path"))]
    pub configured_catalog_path: Option<PathBuf>,
    /// Fields that may differ between two reads, by stream.
    pub ignored_fields: IgnoredFields,
    /// Commands around the test.
    pub client_container_config: Option<ClientContainer>,
}

/// An entry of `incremental`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct IncrementalTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// The configured catalog to read; all discovered streams by default.
    #[schemars(extend("format" = "path"))]
    pub configured_catalog_path: Option<PathBuf>,
    /// A state in the far future.
    pub future_state: Option<FutureState>,
    /// Checkpoints are not read from again. False by default.
    pub skip_comprehensive_incremental_tests: bool,
    /// Where the cursor stands in the state of a stream, when it cannot be told by its name.
    pub cursor_paths: BTreeMap<String, Vec<PathPart>>,
    /// Days that a cursor in the records may lie before that in the state: the lookback window.
    pub threshold_days: Option<u32>,
    /// Commands around the test.
    pub client_container_config: Option<ClientContainer>,
}

/// A part of a path: a member's name, or the place in a list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PathPart {
    /// A member's name.
    Name(String),
    /// A place in a list, from 0.
    Place(usize),
}

/// A state in the far future: reading from it brings no records, and a state of the same form.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FutureState {
    /// The state file.
    #[schemars(extend("format" = "path"))]
    pub future_state_path: Option<PathBuf>,
    /// Incremental streams that the file leaves out.
    pub missing_streams: Vec<StreamReason>,
    /// Why there is no such state.
    pub bypass_reason: Option<String>,
    /// What cursors look like.
    pub cursor_format: Option<CursorFormat>,
}

/// What cursors in states look like.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CursorFormat {
    /// A regular expression for all streams.
    pub format: Option<String>,
    /// Streams with expressions of their own.
    pub streams: Vec<StreamFormat>,
}

impl CursorFormat {
    /// The expression that counts for a stream.
    pub fn of(&self, stream: &str) -> Option<&str> {
        let own = self.streams.iter().find(|own| own.name == stream);
        own.and_then(|own| own.format.as_deref()).or(self.format.as_deref())
    }
}

/// What the cursor of one stream looks like.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StreamFormat {
    /// The stream.
    pub name: String,
    /// A regular expression; that for all streams when it is absent.
    #[serde(default)]
    pub format: Option<String>,
}

/// An entry of `connector_attributes`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AttributesTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
    /// Streams that may be without a primary key.
    pub streams_without_primary_key: Vec<StreamReason>,
    /// Why `metadata.yaml` names no allowed hosts.
    pub allowed_hosts: Bypass,
    /// Why `metadata.yaml` suggests no streams.
    pub suggested_streams: Bypass,
}

/// An entry of `connector_documentation`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DocumentationTest {
    /// Keys of all entries.
    #[serde(flatten)]
    pub common: Common,
}
