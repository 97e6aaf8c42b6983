//! Errors of the libraries, for users.

use airbyte_protocol::{Error, Result};

/// Turns the error of a library into ours.
pub trait Classify<T> {
    /// With a sentence that says what did not work.
    fn classify(self, message: &str) -> Result<T>;
}

impl<T, E: std::error::Error + 'static> Classify<T> for std::result::Result<T, E> {
    fn classify(self, message: &str) -> Result<T> {
        self.map_err(|error| {
            // An error of ours may have passed through a library.
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            while let Some(inner) = cause {
                if let Some(ours) = inner.downcast_ref::<Error>() {
                    return ours.clone();
                }
                cause = inner.source();
            }
            Error::system(message).with_internal(error.to_string())
        })
    }
}

/// A failure of the Parquet library.
pub fn parquet_error(error: parquet::errors::ParquetError) -> Error {
    Error::system("A Parquet file cannot be written or read").with_internal(error.to_string())
}
