//! Gzip.

use async_compression::tokio::bufread::GzipDecoder;
use futures::{StreamExt, TryStreamExt, stream};
use tokio_util::io::ReaderStream;

use super::{Body, begins_with, broken, reader};

/// How a gzip file begins (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Unpacked bytes at a time.
const PIECE: usize = 64 << 10;

/// Unpacks a gzip file, one of several members too. What does not begin like gzip passes as
/// it is, since the transport may have unpacked it already.
pub fn gunzip(body: Body) -> Body {
    let unpacked = async move {
        let (is_gzip, body) = begins_with(body, &MAGIC).await;
        if is_gzip { unpack(body) } else { body }
    };
    stream::once(unpacked).flatten().boxed()
}

fn unpack(body: Body) -> Body {
    let mut decoder = GzipDecoder::new(reader(body));
    decoder.multiple_members(true);
    ReaderStream::with_capacity(decoder, PIECE).map_err(|error| broken(&error)).boxed()
}
