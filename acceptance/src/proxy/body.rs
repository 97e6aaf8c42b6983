//! Bodies on their way: watched, cut, slowed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, stream};
use hyper::header::HeaderMap;

/// A body's pieces; an error means that it broke off.
pub(super) type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// So much of a body is looked at before it goes on, where its length is not known.
const HEAD: usize = 256 * 1024;

/// An answer whose body is still coming.
pub(super) struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Pieces,
}

impl Answer {
    /// A whole answer.
    pub(super) fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", hyper::header::HeaderValue::from_static(content_type));
        headers.insert("content-length", body.len().into());
        Self { status, headers, body: whole(body) }
    }

    /// The bytes that will come, if they are known: none where HTTP has no body (RFC 9110, 6.4.1).
    pub(super) fn length(&self, method: &hyper::Method) -> Option<u64> {
        if method == hyper::Method::HEAD || matches!(self.status, 204 | 304) {
            return Some(0);
        }
        self.headers.get("content-length")?.to_str().ok()?.parse().ok()
    }
}

/// A body of one piece.
pub(super) fn whole(body: Bytes) -> Pieces {
    stream::iter((!body.is_empty()).then_some(Ok(body))).boxed()
}

/// Sees a body go by. Dropped without a last word: nobody wanted the rest.
pub(super) trait Observer: Send + Unpin + 'static {
    /// A piece has come.
    fn piece(&mut self, piece: &Bytes);
    /// The body is complete.
    fn complete(self);
    /// The body broke off.
    fn broken(self, error: &io::Error);
}

/// The body, seen by `observer`. A server does not ask for more once it has as many bytes as it
/// announced, so these are counted here.
pub(super) fn watched<O: Observer>(body: Pieces, length: Option<u64>, observer: O) -> Pieces {
    let mut watched = Watched { body, left: length, observer: Some(observer) };
    watched.complete_if(length == Some(0));
    watched.boxed()
}

struct Watched<O> {
    body: Pieces,
    left: Option<u64>,
    observer: Option<O>,
}

impl<O: Observer> Watched<O> {
    fn complete_if(&mut self, complete: bool) {
        if complete && let Some(observer) = self.observer.take() {
            observer.complete();
        }
    }
}

impl<O: Observer> Stream for Watched<O> {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let polled = std::task::ready!(this.body.poll_next_unpin(cx));
        match &polled {
            Some(Ok(piece)) => {
                if let Some(observer) = &mut this.observer {
                    observer.piece(piece);
                }
                this.left = this.left.map(|left| left.saturating_sub(piece.len() as u64));
                this.complete_if(this.left == Some(0));
            }
            Some(Err(error)) => {
                if let Some(observer) = this.observer.take() {
                    observer.broken(error);
                }
            }
            None => this.complete_if(true),
        }
        Poll::Ready(polled)
    }
}

/// The body up to its middle, then an error; None if there is no body to cut.
pub(super) async fn cut(body: Pieces, length: Option<u64>) -> Option<Pieces> {
    let (head, body) = match length {
        Some(_) => (Bytes::new(), body),
        None => head(body).await,
    };
    let keep = match length {
        Some(length) => length / 2,
        None => head.len() as u64 / 2,
    };
    if length == Some(0) || (length.is_none() && head.is_empty()) {
        return None;
    }
    let kept = stream::unfold((whole(head).chain(body), keep), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = match body.next().await? {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), (body, 0))),
        };
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - piece.len() as u64;
        Some((Ok(piece), (body, left)))
    });
    let end = stream::once(async {
        // Gives the server a chance to send what it has.
        tokio::task::yield_now().await;
        Err(io::Error::other("cut by a fault"))
    });
    Some(kept.chain(end).boxed())
}

/// The body: the first half of its beginning at once, everything else after `time`.
pub(super) async fn slow(body: Pieces, time: Duration) -> Pieces {
    let (head, body) = head(body).await;
    let pieces = [head.slice(..head.len() / 2), head.slice(head.len() / 2..)];
    let drops = stream::iter(pieces.into_iter().enumerate()).then(move |(at, piece)| async move {
        if at > 0 {
            tokio::time::sleep(time).await;
        }
        Ok(piece)
    });
    // An empty piece is no end: only the time counts.
    drops
        .chain(body)
        .filter(|piece| {
            let keep = !matches!(piece, Ok(piece) if piece.is_empty());
            async move { keep }
        })
        .boxed()
}

/// Up to [`HEAD`] bytes (or somewhat more), and what follows.
async fn head(mut body: Pieces) -> (Bytes, Pieces) {
    let mut head = BytesMut::new();
    while head.len() < HEAD {
        match body.next().await {
            Some(Ok(piece)) => head.extend_from_slice(&piece),
            Some(Err(error)) => {
                return (head.freeze(), stream::once(async { Err(error) }).boxed());
            }
            None => return (head.freeze(), stream::empty().boxed()),
        }
    }
    (head.freeze(), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    async fn cut_of(pieces: &[&'static str], length: Option<u64>) -> Option<String> {
        let pieces: Vec<_> = pieces.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
        let mut body = cut(stream::iter(pieces).boxed(), length).await?;
        let mut text = String::new();
        while let Some(Ok(piece)) = body.next().await {
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        Some(text)
    }

    #[tokio::test]
    async fn half_of_the_body() {
        assert_eq!(cut_of(&["0123", "4567"], Some(8)).await.as_deref(), Some("0123"));
        assert_eq!(cut_of(&["01234567"], Some(8)).await.as_deref(), Some("0123"));
        assert_eq!(cut_of(&["0", "1234567"], None).await.as_deref(), Some("0123"));
        assert_eq!(cut_of(&["x"], Some(1)).await.as_deref(), Some(""));
        assert_eq!(cut_of(&[], Some(0)).await, None);
        assert_eq!(cut_of(&[], None).await, None);
    }

    #[tokio::test]
    async fn slow_is_complete() {
        for text in ["", "abc", "0123456789abcdefghijk"] {
            let body = whole(Bytes::from(text));
            let pieces: Vec<Bytes> =
                slow(body, Duration::from_millis(10)).await.try_collect().await.unwrap();
            assert_eq!(pieces.concat(), text.as_bytes());
        }
    }
}
