//! Where the files of tables are: one interface over a local folder and over object storage.

mod durable;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use airbyte_protocol::{Error, Result};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, StorageConfig,
    StorageFactory,
};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use serde::{Deserialize, Serialize};

use durable::Unsynced;

/// A place for files, addressed by whole locations such as `file:///lake/app/users/…`.
#[derive(Clone)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    /// Of a local folder: what has to reach the disk.
    unsynced: Option<Arc<Unsynced>>,
    /// What locations begin with before the path inside the store, such as `file://` or
    /// `s3://bucket`.
    origin: String,
    /// The folder of all tables, without a slash at the end.
    root: String,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Storage {
    /// A folder of this machine, which is made when it is not there. What is written has reached
    /// the disk after [`Storage::sync`].
    pub fn local(folder: &str) -> Result<Self> {
        let made = std::fs::create_dir_all(folder).and_then(|()| std::fs::canonicalize(folder));
        let path = made.map_err(|error| {
            Error::config(format!(
                "The folder {folder} of the warehouse cannot be made: {error}. Give a path that \
                 this program may write to."
            ))
        })?;
        let Some(path) = path.to_str() else {
            return Err(Error::config(format!("The path of {folder} is not valid Unicode.")));
        };
        Ok(Self {
            store: Arc::new(LocalFileSystem::new()),
            unsynced: Some(Arc::new(Unsynced::below(path))),
            origin: "file://".into(),
            root: format!("file://{path}"),
        })
    }

    /// Any object store: `origin` is what locations begin with, `prefix` the folder of all tables.
    #[cfg(feature = "cloud")]
    pub fn objects(store: Arc<dyn ObjectStore>, origin: &str, prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        Self {
            store,
            unsynced: None,
            origin: origin.into(),
            root: format!("{origin}{slash}{prefix}"),
        }
    }

    /// The folder of all tables, without a slash at the end.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Bytes that are sent to the store at a time, and held in memory until then by each open file.
    /// Object stores take no parts below 5 MiB.
    pub fn part_bytes(&self) -> usize {
        if self.origin == "file://" { 128 << 10 } else { 5 << 20 }
    }

    /// The underlying store.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The path inside the store.
    pub fn path(&self, location: &str) -> Result<Path> {
        let same_scheme = location
            .strip_prefix("s3a:")
            .filter(|_| self.origin.starts_with("s3:"))
            .map(|rest| format!("s3:{rest}"));
        let location = same_scheme.as_deref().unwrap_or(location);
        // Other writers put `file:/path` or the bare path of a local file.
        let inside = location.strip_prefix(&self.origin).or_else(|| {
            let bare = location.strip_prefix("file:").unwrap_or(location);
            (self.origin == "file://" && bare.starts_with('/')).then_some(bare)
        });
        let Some(inside) = inside else {
            return Err(Error::config(format!(
                "A table has the file {location}, which is not in the warehouse {}.",
                self.root
            )));
        };
        Path::parse(inside.trim_start_matches('/')).map_err(|error| {
            Error::system(format!("{location} is not a usable location"))
                .with_internal(error.to_string())
        })
    }

    /// The location of a path inside the store.
    pub fn location(&self, path: &Path) -> String {
        format!("{}/{path}", self.origin)
    }

    /// The whole file; `None` when there is none.
    pub async fn get(&self, location: &str) -> Result<Option<Bytes>> {
        let path = self.path(location)?;
        let read = async { self.store.get(&path).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", location, &error)),
        }
    }

    /// Notes that a file was written through [`Storage::store`].
    pub fn is_written(&self, location: &str) -> Result<()> {
        if let Some(unsynced) = &self.unsynced {
            unsynced.add(&self.path(location)?);
        }
        Ok(())
    }

    /// Waits until everything that was written is durable. Object stores always are; the files of a
    /// local folder are brought to the disk together, which takes a fraction of the time that it
    /// takes one by one.
    pub async fn sync(&self) -> Result<()> {
        match &self.unsynced {
            Some(unsynced) => unsynced.sync().await,
            None => Ok(()),
        }
    }

    /// Writes a file, whatever was there.
    pub async fn put(&self, location: &str, bytes: impl Into<Bytes>) -> Result<()> {
        self.put_hint(location, bytes).await?;
        self.is_written(location)
    }

    /// Writes a file that may be lost or empty after a crash.
    pub async fn put_hint(&self, location: &str, bytes: impl Into<Bytes>) -> Result<()> {
        let path = self.path(location)?;
        let payload = PutPayload::from_bytes(bytes.into());
        let written = self.store.put(&path, payload).await;
        written.map(drop).map_err(|error| failed("write", location, &error))
    }

    /// Writes a file if there is none of this name; tells whether it did. Of several writers
    /// exactly one succeeds. The file is durable before anybody sees it.
    pub async fn create(&self, location: &str, bytes: impl Into<Bytes>) -> Result<bool> {
        let path = self.path(location)?;
        let payload = PutPayload::from_bytes(bytes.into());
        let durable: &dyn ObjectStore = match &self.unsynced {
            Some(unsynced) => unsynced.durable(),
            None => &self.store,
        };
        match durable.put_opts(&path, payload, PutMode::Create.into()).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(failed("write", location, &error)),
        }
    }

    /// Whether there is a file of this name.
    pub async fn exists(&self, location: &str) -> Result<bool> {
        let path = self.path(location)?;
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look at", location, &error)),
        }
    }

    /// Removes a file; one that is gone already is none the worse.
    pub async fn delete(&self, location: &str) -> Result<()> {
        let path = self.path(location)?;
        match self.store.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", location, &error)),
        }
    }

    /// All files below a folder.
    pub async fn list(&self, folder: &str) -> Result<Vec<ObjectMeta>> {
        let path = self.path(folder)?;
        let mut found = Vec::new();
        let mut listing = self.store.list(Some(&path));
        while let Some(entry) = listing.next().await {
            match entry {
                Ok(entry) => found.push(entry),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("list", folder, &error)),
            }
        }
        Ok(found)
    }

    /// Removes a folder with everything in it.
    pub async fn delete_folder(&self, folder: &str) -> Result<()> {
        for entry in self.list(folder).await? {
            self.delete(&self.location(&entry.location)).await?;
        }
        if let Some(path) = folder.strip_prefix("file://") {
            let _ = std::fs::remove_dir_all(path);
        }
        Ok(())
    }

    /// The same storage as `iceberg` wants it, for manifests.
    pub fn file_io(&self) -> FileIO {
        FileIOBuilder::new(Arc::new(Adapter { storage: Some(self.clone()) })).build()
    }
}

/// An error of the store, for users.
fn failed(verb: &str, location: &str, error: &object_store::Error) -> Error {
    use object_store::Error as Store;
    let error_text = error.to_string();
    match error {
        Store::PermissionDenied { .. } | Store::Unauthenticated { .. } => Error::config(format!(
            "The warehouse does not let this program {verb} {location}. Check the credentials and \
             their rights."
        )),
        _ if error_text.contains("Permission denied") => Error::config(format!(
            "This program has no right to {verb} {location}. Check the owner and the mode of the folder."
        )),
        _ if error_text.contains("No space left") => Error::transient(format!(
            "The disk is full: cannot {verb} {location}."
        )),
        _ => Error::transient(format!("Cannot {verb} {location}")),
    }
    .with_internal(error_text)
}

/// What `iceberg` reads and writes manifests through. It wants storages to be serializable, to send
/// them to other processes; there are none here, so the storage itself is left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Adapter {
    #[serde(skip)]
    storage: Option<Storage>,
}

impl Adapter {
    fn storage(&self) -> iceberg::Result<&Storage> {
        self.storage.as_ref().ok_or_else(|| {
            iceberg::Error::new(iceberg::ErrorKind::Unexpected, "a storage outside its process")
        })
    }
}

#[typetag::serde]
impl StorageFactory for Adapter {
    fn build(&self, _: &StorageConfig) -> iceberg::Result<Arc<dyn iceberg::io::Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

fn foreign(error: Error) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::Unexpected, error.message().to_owned())
        .with_source(error)
}

fn absent(path: &str) -> iceberg::Error {
    iceberg::Error::new(iceberg::ErrorKind::DataInvalid, format!("{path} is missing"))
}

#[async_trait]
#[typetag::serde]
impl iceberg::io::Storage for Adapter {
    async fn exists(&self, path: &str) -> iceberg::Result<bool> {
        self.storage()?.exists(path).await.map_err(foreign)
    }

    async fn metadata(&self, path: &str) -> iceberg::Result<FileMetadata> {
        let storage = self.storage()?;
        let inside = storage.path(path).map_err(foreign)?;
        let found = storage.store.head(&inside).await;
        let found = found.map_err(|error| foreign(failed("look at", path, &error)))?;
        Ok(FileMetadata { size: found.size })
    }

    async fn read(&self, path: &str) -> iceberg::Result<Bytes> {
        self.storage()?.get(path).await.map_err(foreign)?.ok_or_else(|| absent(path))
    }

    async fn reader(&self, path: &str) -> iceberg::Result<Box<dyn FileRead>> {
        let storage = self.storage()?.clone();
        Ok(Box::new(Ranges { storage, location: path.to_owned() }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> iceberg::Result<()> {
        self.storage()?.put(path, bytes).await.map_err(foreign)
    }

    async fn writer(&self, path: &str) -> iceberg::Result<Box<dyn FileWrite>> {
        let storage = self.storage()?.clone();
        Ok(Box::new(Whole { storage, location: path.to_owned(), bytes: Vec::new() }))
    }

    async fn delete(&self, path: &str) -> iceberg::Result<()> {
        self.storage()?.delete(path).await.map_err(foreign)
    }

    async fn delete_prefix(&self, path: &str) -> iceberg::Result<()> {
        self.storage()?.delete_folder(path).await.map_err(foreign)
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> iceberg::Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> iceberg::Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> iceberg::Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct Ranges {
    storage: Storage,
    location: String,
}

#[async_trait]
impl FileRead for Ranges {
    async fn read(&self, range: Range<u64>) -> iceberg::Result<Bytes> {
        let path = self.storage.path(&self.location).map_err(foreign)?;
        let read = self.storage.store.get_range(&path, range).await;
        read.map_err(|error| foreign(failed("read", &self.location, &error)))
    }
}

/// A file that is written when it is whole: manifests are small.
struct Whole {
    storage: Storage,
    location: String,
    bytes: Vec<u8>,
}

#[async_trait]
impl FileWrite for Whole {
    async fn write(&mut self, bytes: Bytes) -> iceberg::Result<()> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn close(&mut self) -> iceberg::Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        self.storage.put(&self.location, bytes).await.map_err(foreign)
    }
}
