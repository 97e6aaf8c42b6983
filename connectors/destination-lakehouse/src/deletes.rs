//! Which rows of data files are deleted: position delete files (format 2) and deletion vectors
//! (format 3).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use airbyte_protocol::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema as ArrowSchema};
use iceberg::spec::{DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Struct};
use object_store::ObjectStoreExt;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use roaring::RoaringTreemap;

use crate::commit::LiveFile;
use crate::error::parquet_error;
use crate::file::{CREATED_BY, FileWriter, built};
use crate::scan;
use crate::storage::Storage;

/// Reserved field ids (Iceberg spec, "Reserved Field IDs").
const FILE_PATH: i32 = 2_147_483_546;
const POSITION: i32 = 2_147_483_545;
const ROW_POSITION: i32 = 2_147_483_645;

/// The deleted rows of a data file, on their way into a delete file.
pub struct Deleted<'a> {
    /// The data file.
    pub path: &'a str,
    /// Its partition.
    pub partition: &'a Struct,
    /// Its partition spec.
    pub spec: i32,
    /// The positions of the rows.
    pub rows: &'a RoaringTreemap,
}

/// Writes a position delete file for one data file.
pub async fn write_positions(
    storage: &Storage,
    location: String,
    deleted: &Deleted<'_>,
) -> Result<DataFile> {
    let field = |name: &str, kind, id: i32| {
        let id = (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string());
        Field::new(name, kind, false).with_metadata(HashMap::from([id]))
    };
    let schema = Arc::new(ArrowSchema::new(vec![
        field("file_path", DataType::Utf8, FILE_PATH),
        field("pos", DataType::Int64, POSITION),
    ]));
    let pos = ColumnPath::from("pos");
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(parquet_error)?))
        .set_column_dictionary_enabled(pos.clone(), false)
        .set_column_encoding(pos, Encoding::DELTA_BINARY_PACKED)
        // The path is looked for as a whole.
        .set_statistics_truncate_length(None)
        .build();
    let mut writer = FileWriter::create(storage, location, Arc::clone(&schema), properties)?;
    let mut rows = deleted.rows.iter().map(|row| row as i64).peekable();
    while rows.peek().is_some() {
        let positions: Vec<i64> = rows.by_ref().take(65_536).collect();
        let paths =
            StringArray::from_iter_values(std::iter::repeat_n(deleted.path, positions.len()));
        let columns = vec![Arc::new(paths) as _, Arc::new(Int64Array::from(positions)) as _];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        let batch = batch.map_err(|error| Error::system(error.to_string()))?;
        writer.write(batch).await?;
    }
    let nothing = iceberg::spec::Schema::builder().build();
    let nothing = nothing.map_err(|error| Error::system(error.to_string()))?;
    let path = Datum::string(deleted.path);
    let bounds = |pos: Option<u64>| {
        let pos = pos.map(|pos| (POSITION, Datum::long(pos as i64)));
        HashMap::from_iter([(FILE_PATH, path.clone())].into_iter().chain(pos))
    };
    let mut file = writer.finish(&nothing).await?;
    file.content(DataContentType::PositionDeletes)
        .partition(deleted.partition.clone())
        .partition_spec_id(deleted.spec)
        .lower_bounds(bounds(deleted.rows.min()))
        .upper_bounds(bounds(deleted.rows.max()))
        .referenced_data_file(Some(deleted.path.to_owned()));
    built(&file)
}

const PUFFIN: &[u8; 4] = b"PFA1";
const VECTOR: [u8; 4] = [0xd1, 0xd3, 0x39, 0x64];

/// Writes one Puffin file with a deletion vector for each data file (Puffin spec,
/// "deletion-vector-v1").
pub async fn write_vectors(
    storage: &Storage,
    location: &str,
    deleted: &[Deleted<'_>],
) -> Result<Vec<DataFile>> {
    let mut file = PUFFIN.to_vec();
    let mut blobs = Vec::new();
    let mut places = Vec::new();
    for deleted in deleted {
        let start = file.len();
        file.extend(encode_vector(deleted.rows)?);
        let length = file.len() - start;
        places.push((start as i64, length as i64));
        blobs.push(serde_json::json!({
            "type": "deletion-vector-v1",
            "fields": [ROW_POSITION],
            "snapshot-id": -1,
            "sequence-number": -1,
            "offset": start,
            "length": length,
            "properties": {
                "referenced-data-file": deleted.path,
                "cardinality": deleted.rows.len().to_string(),
            },
        }));
    }
    let footer = serde_json::json!({"blobs": blobs, "properties": {"created-by": CREATED_BY}});
    let footer = footer.to_string();
    file.extend(PUFFIN);
    file.extend(footer.as_bytes());
    file.extend((footer.len() as u32).to_le_bytes());
    file.extend([0; 4]);
    file.extend(PUFFIN);
    let size = file.len() as u64;
    storage.put(location, file).await?;
    let describe = |(deleted, (start, length)): (&Deleted<'_>, (i64, i64))| {
        let mut file = DataFileBuilder::default();
        file.content(DataContentType::PositionDeletes)
            .file_path(location.to_owned())
            .file_format(DataFileFormat::Puffin)
            .file_size_in_bytes(size)
            .record_count(deleted.rows.len())
            .partition(deleted.partition.clone())
            .partition_spec_id(deleted.spec)
            .referenced_data_file(Some(deleted.path.to_owned()))
            .content_offset(Some(start))
            .content_size_in_bytes(Some(length));
        built(&file)
    };
    deleted.iter().zip(places).map(describe).collect()
}

fn encode_vector(rows: &RoaringTreemap) -> Result<Vec<u8>> {
    let mut body = VECTOR.to_vec();
    rows.serialize_into(&mut body).map_err(|error| Error::system(error.to_string()))?;
    let mut blob = (body.len() as u32).to_be_bytes().to_vec();
    blob.extend(&body);
    blob.extend(crc32fast::hash(&body).to_be_bytes());
    Ok(blob)
}

fn decode_vector(blob: &[u8]) -> Option<RoaringTreemap> {
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
    let body = blob.get(4..4 + length)?;
    let checksum = u32::from_be_bytes(blob.get(4 + length..8 + length)?.try_into().ok()?);
    if crc32fast::hash(body) != checksum {
        return None;
    }
    RoaringTreemap::deserialize_from(body.strip_prefix(&VECTOR)?).ok()
}

/// The delete files of a snapshot, by data file.
#[derive(Default)]
pub struct DeleteFiles {
    by_data_file: HashMap<String, Vec<DataFile>>,
    /// Those that belong to several data files.
    shared: Vec<DataFile>,
    /// What the shared ones say, read at first need.
    shared_rows: Option<HashMap<String, RoaringTreemap>>,
    /// Whether there are equality deletes, which are left to the readers.
    pub has_equality_deletes: bool,
}

impl DeleteFiles {
    /// Sorts the delete files out of all files.
    pub fn of(files: &[LiveFile]) -> Self {
        let mut found = Self::default();
        for LiveFile { file, .. } in files {
            match (file.content_type(), file.referenced_data_file()) {
                (DataContentType::Data, _) => {}
                (DataContentType::EqualityDeletes, _) => found.has_equality_deletes = true,
                (DataContentType::PositionDeletes, Some(path)) => {
                    found.by_data_file.entry(path).or_default().push(file.clone());
                }
                (DataContentType::PositionDeletes, None) => found.shared.push(file.clone()),
            }
        }
        found
    }

    /// The delete files that belong to this data file only.
    pub fn own(&self, path: &str) -> &[DataFile] {
        self.by_data_file.get(path).map_or(&[], Vec::as_slice)
    }

    /// The rows of a data file that its own delete files delete.
    pub async fn own_rows(&self, storage: &Storage, path: &str) -> Result<RoaringTreemap> {
        let mut rows = RoaringTreemap::new();
        for file in self.own(path) {
            match file.file_format() {
                DataFileFormat::Puffin => rows |= read_vector(storage, file).await?,
                _ => {
                    if let Some(found) = read_positions(storage, file).await?.remove(path) {
                        rows |= found;
                    }
                }
            }
        }
        Ok(rows)
    }

    /// The rows of a data file that shared delete files delete.
    pub async fn shared_rows(&mut self, storage: &Storage, path: &str) -> Result<RoaringTreemap> {
        if self.shared_rows.is_none() {
            let mut all: HashMap<String, RoaringTreemap> = HashMap::new();
            for file in &self.shared {
                for (path, rows) in read_positions(storage, file).await? {
                    *all.entry(path).or_default() |= rows;
                }
            }
            self.shared_rows = Some(all);
        }
        Ok(self.shared_rows.as_ref().and_then(|all| all.get(path)).cloned().unwrap_or_default())
    }
}

async fn read_positions(
    storage: &Storage,
    file: &DataFile,
) -> Result<BTreeMap<String, RoaringTreemap>> {
    let mut found: BTreeMap<String, RoaringTreemap> = BTreeMap::new();
    let fields = [FILE_PATH, POSITION];
    let (location, size) = (file.file_path(), file.file_size_in_bytes());
    scan::each_batch(storage, location, size, Some(&fields), |_, batch| {
        let column = |name| batch.column_by_name(name);
        let (paths, positions) = (column("file_path"), column("pos"));
        let paths = paths.and_then(|paths| paths.as_string_opt::<i32>());
        let positions = positions.and_then(|positions| positions.as_primitive_opt::<Int64Type>());
        let (Some(paths), Some(positions)) = (paths, positions) else {
            return Err(Error::system(format!("{location} is no position delete file")));
        };
        for (path, position) in paths.iter().flatten().zip(positions.values()) {
            let position = *position as u64;
            match found.get_mut(path) {
                Some(rows) => drop(rows.insert(position)),
                None => drop(found.insert(path.to_owned(), [position].into_iter().collect())),
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

async fn read_vector(storage: &Storage, file: &DataFile) -> Result<RoaringTreemap> {
    let damaged =
        || Error::system(format!("The deletion vector in {} is damaged", file.file_path()));
    let (Some(start), Some(length)) = (file.content_offset(), file.content_size_in_bytes()) else {
        return Err(damaged());
    };
    let range = start as u64..(start + length) as u64;
    let blob = storage.store().get_range(&storage.path(file.file_path())?, range).await;
    let blob = blob.map_err(|error| {
        Error::transient(format!("Cannot read {}", file.file_path()))
            .with_internal(error.to_string())
    })?;
    decode_vector(&blob).ok_or_else(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_and_a_damaged_one_does_not() {
        let rows: RoaringTreemap = [0, 1, 70_000, 5_000_000_000].into_iter().collect();
        let mut blob = encode_vector(&rows).unwrap();
        assert_eq!(decode_vector(&blob), Some(rows));
        blob[10] ^= 1;
        assert_eq!(decode_vector(&blob), None);
        assert_eq!(decode_vector(&blob[..7]), None);
    }
}
