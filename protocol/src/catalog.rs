//! Streams, the catalog a source offers, and the configured catalog it is asked to read.

mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::{null_as_empty, string_enum};
use crate::schema::Schema;

/// What names a stream: its name and, where a source has them, its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamDescriptor {
    /// The name, exactly as in the catalog.
    pub name: String,
    /// The namespace; absent and `null` are the same, the empty string is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl StreamDescriptor {
    /// A stream without a namespace.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: None }
    }

    /// A stream in a namespace.
    pub fn in_namespace(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { name: name.into(), namespace: Some(namespace.into()) }
    }
}

impl fmt::Display for StreamDescriptor {
    /// `name`, or `namespace.name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

string_enum! {
    /// How a source reads a stream.
    SyncMode {
        /// All records each time.
        FullRefresh = "full_refresh",
        /// The records that are new or changed since the state.
        Incremental = "incremental",
    }
}

string_enum! {
    /// What a destination does with the records of a stream.
    DestinationSyncMode {
        /// Adds rows.
        Append = "append",
        /// Replaces all rows.
        Overwrite = "overwrite",
        /// Keeps the newest row of each primary key.
        AppendDedup = "append_dedup",
        /// Updates business objects.
        Update = "update",
        /// Marks business objects as deleted.
        SoftDelete = "soft_delete",
    }
}

/// A stream that a source offers (`AirbyteStream`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The name, unique together with the namespace.
    pub name: String,
    /// The JSON schema of its records: an object with `properties`.
    pub json_schema: Schema,
    /// How it can be read; `full_refresh` first, since that is what interfaces preselect.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub supported_sync_modes: Vec<SyncMode>,
    /// True when the user may not choose another cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_defined_cursor: Option<bool>,
    /// The path of the cursor field.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub default_cursor_field: Vec<String>,
    /// The paths of the fields that make the primary key.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub source_defined_primary_key: Vec<Vec<String>>,
    /// The namespace, for sources that have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// True when a read that broke off can go on from its last state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_resumable: Option<bool>,
    /// True for a stream of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_file_based: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Stream {
    /// A stream that only offers full refresh.
    pub fn new(name: impl Into<String>, json_schema: impl Into<Schema>) -> Self {
        Self {
            name: name.into(),
            json_schema: json_schema.into(),
            supported_sync_modes: vec![SyncMode::FullRefresh],
            source_defined_cursor: None,
            default_cursor_field: Vec::new(),
            source_defined_primary_key: Vec::new(),
            namespace: None,
            is_resumable: None,
            is_file_based: None,
            extra: Map::new(),
        }
    }

    /// Sets a primary key of top-level fields.
    pub fn with_primary_key<T: Into<String>>(
        mut self,
        fields: impl IntoIterator<Item = T>,
    ) -> Self {
        self.source_defined_primary_key =
            fields.into_iter().map(|field| vec![field.into()]).collect();
        self
    }

    /// Makes it incremental too, by a cursor that the source defines, and resumable.
    pub fn with_cursor<T: Into<String>>(mut self, path: impl IntoIterator<Item = T>) -> Self {
        self.default_cursor_field = path.into_iter().map(Into::into).collect();
        self.source_defined_cursor = Some(true);
        self.is_resumable = Some(true);
        if !self.supported_sync_modes.contains(&SyncMode::Incremental) {
            self.supported_sync_modes.push(SyncMode::Incremental);
        }
        self
    }

    /// Name and namespace.
    pub fn descriptor(&self) -> StreamDescriptor {
        StreamDescriptor { name: self.name.clone(), namespace: self.namespace.clone() }
    }
}

/// The streams that a source offers; the payload of a CATALOG message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// The streams, in an order that stays the same from run to run.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub streams: Vec<Stream>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Catalog {
    /// A catalog of these streams.
    pub fn new(streams: Vec<Stream>) -> Self {
        Self { streams, extra: Map::new() }
    }
}

/// A stream as the user configured it (`ConfiguredAirbyteStream`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfiguredStream {
    /// The stream, with its schema reduced to the selected fields.
    pub stream: Stream,
    /// How the source is to read it.
    #[serde(default = "full_refresh")]
    pub sync_mode: SyncMode,
    /// What the destination is to do with it.
    #[serde(default = "append")]
    pub destination_sync_mode: DestinationSyncMode,
    /// The path of the chosen cursor; of no account when the source defines it.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub cursor_field: Vec<String>,
    /// The paths of the primary key's fields.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<Vec<String>>,
    /// The business object that a data activation destination writes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_object_name: Option<String>,
    /// The generation that the records belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<i64>,
    /// The oldest generation to keep: 0, or the same as `generation_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_generation_id: Option<i64>,
    /// The job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_id: Option<i64>,
    /// Whether the files of a file stream are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_files: Option<bool>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl ConfiguredStream {
    /// Name and namespace.
    pub fn descriptor(&self) -> StreamDescriptor {
        self.stream.descriptor()
    }

    /// The path of the cursor field: the source's own, or the chosen one, or the default one.
    pub fn cursor_path(&self) -> &[String] {
        let source_defined = self.stream.source_defined_cursor == Some(true);
        if source_defined || self.cursor_field.is_empty() {
            &self.stream.default_cursor_field
        } else {
            &self.cursor_field
        }
    }
}

fn full_refresh() -> SyncMode {
    SyncMode::FullRefresh
}

fn append() -> DestinationSyncMode {
    DestinationSyncMode::Append
}

/// The content of the `--catalog` file: what to read, and how.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfiguredCatalog {
    /// The streams, in the user's order.
    pub streams: Vec<ConfiguredStream>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// What a destination can write to business objects; the payload of DESTINATION_CATALOG.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DestinationCatalog {
    /// The objects and what can be done with each.
    #[serde(default, deserialize_with = "null_as_empty")]
    pub operations: Vec<DestinationOperation>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One thing that a destination can do with one kind of business object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DestinationOperation {
    /// The object's name.
    pub object_name: String,
    /// What is done with it.
    pub sync_mode: DestinationSyncMode,
    /// The JSON schema of the object.
    pub json_schema: Value,
    /// The keys by which a record finds its object.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "Vec::is_empty")]
    pub matching_keys: Vec<Vec<String>>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
