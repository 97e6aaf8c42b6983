//! Parquet files of a table.
//!
//! Not `iceberg`'s own writer: that one cannot close a row group early, which the memory budget
//! needs, and knows no position deletes.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use airbyte_protocol::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef as ArrowSchemaRef, TimeUnit};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, PrimitiveType, Schema,
    Struct, Type,
};
use object_store::buffered::BufWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;

use crate::error::{Classify, parquet_error};
use crate::schema::RAW_ID;
use crate::storage::Storage;

/// What wrote the files.
pub const CREATED_BY: &str = concat!("tributary destination-lakehouse ", env!("CARGO_PKG_VERSION"));
/// Rows of a row group, at most.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// What an open row group takes for each column before its first page is full and besides what its
/// writer counts: the contexts of a compressor and a decompressor.
const OPEN_COLUMN_BYTES: usize = 128 << 10;

/// How a file is written whose first rows are these. `json` are the columns of JSON text.
pub fn properties(json: &HashSet<String>, rows: &RecordBatch) -> Result<WriterProperties> {
    let zstd = ZstdLevel::try_new(1).map_err(parquet_error)?;
    let raw_id = ColumnPath::from(RAW_ID);
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.into())
        .set_compression(Compression::ZSTD(zstd))
        // The bounds of pages would stay in memory until the file is finished.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Every id is another one, and begins like the one before.
        .set_column_encoding(raw_id, Encoding::DELTA_BYTE_ARRAY);
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        let path = ColumnPath::new(vec![field.name().clone()]);
        if json.contains(field.name()) {
            // Nobody looks for a whole JSON text.
            properties =
                properties.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
        }
        if json.contains(field.name()) || is_varied(column) {
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    Ok(properties.build())
}

/// Rows that are looked at to tell whether a column repeats itself.
const SAMPLE: usize = 1024;

/// Whether nearly every value of a column is another one. A dictionary of such a column only takes
/// time: the encoder would give it up after a megabyte, in each row group anew.
fn is_varied(column: &ArrayRef) -> bool {
    let rows = column.len().min(SAMPLE);
    let mut seen = HashSet::with_capacity(rows);
    let mut count = 0;
    let mut see = |value: &[u8]| {
        count += 1;
        seen.insert(twox_hash::XxHash3_64::oneshot(value));
    };
    match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_string::<i32>().iter();
            values.take(rows).flatten().for_each(|text| see(text.as_bytes()));
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>().iter();
            values.take(rows).flatten().for_each(|value| see(&value.to_le_bytes()));
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().iter();
            values.take(rows).flatten().for_each(|value| see(&value.to_le_bytes()));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().iter();
            values.take(rows).flatten().for_each(|value| see(&value.to_le_bytes()));
        }
        _ => return false,
    }
    count >= 64 && seen.len() * 3 > count * 2
}

/// A file that is being written.
///
/// Its rows wait as batches until they take more memory than a row group that is open, with a
/// compressor, a table of values and a page for each column. So a file among hundreds that get few
/// rows each has no encoders at all, but for the moment in which its rows become a row group.
pub struct FileWriter {
    storage: Storage,
    location: String,
    waiting: Vec<RecordBatch>,
    waiting_bytes: usize,
    /// What an open row group takes before its first row.
    open_bytes: usize,
    /// Both are only ever used by one task at a time; the locks, which are never taken, let several
    /// tasks look at the rest.
    writer: Exclusive<ArrowWriter<Vec<u8>>>,
    upload: Exclusive<BufWriter>,
    rows: u64,
    sent: u64,
    memory: usize,
    in_progress: u64,
}

/// Something that can only be used by its owner, and is therefore safe to share.
struct Exclusive<T>(Mutex<T>);

impl<T> Exclusive<T> {
    fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    fn get(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileWriter {
    /// Begins a file.
    pub fn create(
        storage: &Storage,
        location: String,
        schema: ArrowSchemaRef,
        properties: WriterProperties,
    ) -> Result<Self> {
        let options =
            ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let open_bytes = schema.flattened_fields().len() * OPEN_COLUMN_BYTES;
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)
            .map_err(parquet_error)?;
        let path = storage.path(&location)?;
        let store = std::sync::Arc::clone(storage.store());
        let upload =
            BufWriter::with_capacity(store, path, storage.part_bytes()).with_max_concurrency(2);
        Ok(Self {
            storage: storage.clone(),
            location,
            waiting: Vec::new(),
            waiting_bytes: 0,
            open_bytes,
            writer: Exclusive::new(writer),
            upload: Exclusive::new(upload),
            rows: 0,
            sent: 0,
            memory: 0,
            in_progress: 0,
        })
    }

    /// Where the file is going to be.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of memory that the open row group and the rows that wait for one take.
    pub fn memory(&self) -> usize {
        self.waiting_bytes + self.memory
    }

    /// The size of the file, if it were finished now.
    pub fn size(&self) -> u64 {
        // Rows become about an eighth of what they are in memory.
        self.sent + self.in_progress + self.waiting_bytes as u64 / 8
    }

    /// Adds rows.
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.waiting_bytes += batch.get_array_memory_size();
        self.waiting.push(batch);
        let is_open = self.writer.get().in_progress_rows() > 0;
        if is_open || self.waiting_bytes > 2 * self.open_bytes {
            self.encode()?;
            self.send().await?;
        }
        Ok(())
    }

    /// Ends the row group, to free its memory.
    pub async fn flush(&mut self) -> Result<()> {
        self.encode()?;
        self.writer.get().flush().map_err(parquet_error)?;
        self.send().await
    }

    fn encode(&mut self) -> Result<()> {
        self.waiting_bytes = 0;
        for batch in std::mem::take(&mut self.waiting) {
            self.writer.get().write(&batch).map_err(parquet_error)?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<()> {
        let writer = self.writer.get();
        let is_open = writer.in_progress_rows() > 0;
        self.memory = writer.memory_size() + if is_open { self.open_bytes } else { 0 };
        self.in_progress = writer.in_progress_size() as u64;
        let encoded = std::mem::take(writer.inner_mut());
        if encoded.is_empty() {
            return Ok(());
        }
        self.sent += encoded.len() as u64;
        let written = self.upload.get().write_all(&encoded).await;
        written.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::transient(format!("Cannot write {}", self.location)).with_internal(error.to_string())
    }

    /// Completes the file: what its manifest entry says, and the metadata.
    pub async fn finish(mut self, schema: &Schema) -> Result<DataFileBuilder> {
        self.encode()?;
        let metadata = self.writer.get().finish().map_err(parquet_error)?;
        self.send().await?;
        let ended = self.upload.get().shutdown().await;
        ended.map_err(|error| self.failed(&error))?;
        self.storage.is_written(&self.location)?;
        let mut file = describe(&metadata, schema);
        file.content(DataContentType::Data)
            .file_path(self.location)
            .file_format(DataFileFormat::Parquet)
            .record_count(self.rows)
            .file_size_in_bytes(self.sent)
            .partition(Struct::empty())
            .partition_spec_id(0);
        Ok(file)
    }

    /// Gives the file up.
    pub async fn abort(mut self) {
        // What remains is found by `sweep`.
        let _ = self.upload.get().abort().await;
    }
}

/// Ends a description.
pub fn built(builder: &DataFileBuilder) -> Result<DataFile> {
    builder.build().classify("A data file cannot be described")
}

/// Counts and bounds of the columns.
fn describe(metadata: &ParquetMetaData, schema: &Schema) -> DataFileBuilder {
    let mut sizes = HashMap::new();
    let mut counts = HashMap::new();
    let mut nulls: HashMap<i32, u64> = HashMap::new();
    let mut lower: HashMap<i32, Datum> = HashMap::new();
    let mut upper: HashMap<i32, Datum> = HashMap::new();
    for group in metadata.row_groups() {
        for chunk in group.columns() {
            let info = chunk.column_descr().self_type().get_basic_info();
            let Some(id) = info.has_id().then(|| info.id()) else { continue };
            *sizes.entry(id).or_insert(0) += chunk.compressed_size().max(0) as u64;
            *counts.entry(id).or_insert(0) += chunk.num_values().max(0) as u64;
            let Some(statistics) = chunk.statistics() else { continue };
            *nulls.entry(id).or_default() += statistics.null_count_opt().unwrap_or(0);
            let Some(Type::Primitive(kind)) =
                schema.field_by_id(id).map(|field| field.field_type.as_ref())
            else {
                continue;
            };
            let (low, high) = bounds(statistics, kind);
            keep(&mut lower, id, low, |new, old| new < old);
            keep(&mut upper, id, high, |new, old| new > old);
        }
    }
    // A row group without bounds makes those of the others void.
    let is_whole = |id: &i32| {
        metadata.row_groups().iter().all(|group| {
            group.columns().iter().any(|chunk| {
                let info = chunk.column_descr().self_type().get_basic_info();
                info.has_id()
                    && info.id() == *id
                    && chunk.statistics().is_some_and(|statistics| {
                        statistics.min_bytes_opt().is_some()
                            || statistics.null_count_opt() == Some(chunk.num_values().max(0) as u64)
                    })
            })
        })
    };
    lower.retain(|id, _| is_whole(id));
    upper.retain(|id, _| is_whole(id));
    let offsets = metadata.row_groups().iter().filter_map(|group| group.file_offset()).collect();
    let mut file = DataFileBuilder::default();
    file.column_sizes(sizes)
        .value_counts(counts)
        .null_value_counts(nulls)
        .lower_bounds(lower)
        .upper_bounds(upper)
        .split_offsets(Some(offsets));
    file
}

fn keep(
    bounds: &mut HashMap<i32, Datum>,
    id: i32,
    new: Option<Datum>,
    wins: impl Fn(&Datum, &Datum) -> bool,
) {
    let Some(new) = new else { return };
    if bounds.get(&id).is_none_or(|old| wins(&new, old)) {
        bounds.insert(id, new);
    }
}

/// The least and the greatest value; text may be cut, which makes the one smaller and the other
/// greater, as Iceberg allows.
fn bounds(statistics: &Statistics, kind: &PrimitiveType) -> (Option<Datum>, Option<Datum>) {
    match statistics {
        Statistics::Boolean(values) => {
            (values.min_opt().map(|v| Datum::bool(*v)), values.max_opt().map(|v| Datum::bool(*v)))
        }
        Statistics::Int32(values) => {
            let datum = |value: &i32| match kind {
                PrimitiveType::Int => Some(Datum::int(*value)),
                PrimitiveType::Date => Some(Datum::date(*value)),
                _ => None,
            };
            (values.min_opt().and_then(datum), values.max_opt().and_then(datum))
        }
        Statistics::Int64(values) => {
            let datum = |value: &i64| match kind {
                PrimitiveType::Long => Some(Datum::long(*value)),
                PrimitiveType::Time => Datum::time_micros(*value).ok(),
                PrimitiveType::Timestamp => Some(Datum::timestamp_micros(*value)),
                PrimitiveType::Timestamptz => Some(Datum::timestamptz_micros(*value)),
                _ => None,
            };
            (values.min_opt().and_then(datum), values.max_opt().and_then(datum))
        }
        Statistics::Double(values) => (
            values.min_opt().map(|v| Datum::double(*v)),
            values.max_opt().map(|v| Datum::double(*v)),
        ),
        Statistics::ByteArray(values) if *kind == PrimitiveType::String => {
            let datum = |value: &parquet::data_type::ByteArray| {
                std::str::from_utf8(value.data()).ok().map(Datum::string)
            };
            (values.min_opt().and_then(datum), values.max_opt().and_then(datum))
        }
        _ => (None, None),
    }
}
