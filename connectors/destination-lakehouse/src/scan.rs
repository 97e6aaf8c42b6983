//! Reading columns of Parquet files back.

use std::ops::Range;
use std::sync::Arc;

use airbyte_protocol::Result;
use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream};
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::error::parquet_error;
use crate::storage::Storage;

const BATCH_ROWS: usize = 8192;

/// The columns of a file with these field ids (all columns when `None`), batch by batch.
pub async fn read(
    storage: &Storage,
    location: &str,
    size: u64,
    fields: Option<&[i32]>,
) -> Result<ParquetRecordBatchStream<StoredFile>> {
    let file = StoredFile { storage: storage.clone(), path: storage.path(location)?, size };
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchStreamBuilder::new_with_options(file, options)
        .await
        .map_err(parquet_error)?;
    let mask = match fields {
        None => ProjectionMask::all(),
        Some(fields) => {
            let schema = builder.parquet_schema();
            let is_wanted = |root: &usize| {
                let info = schema.root_schema().get_fields()[*root].get_basic_info();
                info.has_id() && fields.contains(&info.id())
            };
            let roots: Vec<usize> =
                (0..schema.root_schema().get_fields().len()).filter(is_wanted).collect();
            ProjectionMask::roots(schema, roots)
        }
    };
    builder.with_projection(mask).with_batch_size(BATCH_ROWS).build().map_err(parquet_error)
}

/// Calls `take` with every batch, and the position of its first row in the file.
pub async fn each_batch(
    storage: &Storage,
    location: &str,
    size: u64,
    fields: Option<&[i32]>,
    mut take: impl FnMut(u64, RecordBatch) -> Result<()>,
) -> Result<()> {
    let mut batches = read(storage, location, size, fields).await?;
    let mut position = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(parquet_error)?;
        let rows = batch.num_rows() as u64;
        take(position, batch)?;
        position += rows;
    }
    Ok(())
}

/// A file that is read piece by piece.
pub struct StoredFile {
    storage: Storage,
    path: Path,
    size: u64,
}

impl AsyncFileReader for StoredFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        let read = self.storage.store().get_range(&self.path, range);
        read.map(|bytes| bytes.map_err(external)).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        let (store, path) = (Arc::clone(self.storage.store()), self.path.clone());
        async move {
            use object_store::ObjectStore;
            store.get_ranges(&path, &ranges).await.map_err(external)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new().with_prefetch_hint(Some(64 << 10));
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
