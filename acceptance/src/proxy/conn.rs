//! A connection that can be ordered to end in a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Makes the end of a connection a TCP reset, also through a tunnel and TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    pub(super) fn pull(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn pulled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// An accepted connection.
pub(super) struct Conn {
    tcp: TcpStream,
    switch: ResetSwitch,
}

impl Conn {
    pub(super) fn new(tcp: TcpStream) -> Self {
        // Without this, small answers wait for the client's delayed ACK.
        let _ = tcp.set_nodelay(true);
        Self { tcp, switch: ResetSwitch::default() }
    }

    pub(super) fn switch(&self) -> ResetSwitch {
        self.switch.clone()
    }

    fn refuse_if_pulled(&self) -> io::Result<()> {
        if self.switch.pulled() { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if self.switch.pulled() {
            // A close without lingering is a reset.
            let _ = self.tcp.set_zero_linger();
        }
    }
}

impl AsyncRead for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.refuse_if_pulled()?;
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A shutdown would send an orderly end before the reset.
        self.refuse_if_pulled()?;
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
