//! A running sandbox: started and stopped by the program or by a test in the same process.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::admin::Admin;
use crate::listener::{self, Acceptor};
use crate::options::Options;
use crate::service::{self, Shared};

/// A running server. It has its own thread and runtime, so it can be started from plain and from
/// asynchronous code; dropping it stops it.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    certificate: Option<tempfile::NamedTempFile>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds and starts; returns once connections are accepted. Errors: the address is taken or
    /// not local, or no certificate can be made.
    pub fn start(options: Options) -> io::Result<Self> {
        let socket = std::net::TcpListener::bind(options.listen)?;
        socket.set_nonblocking(true)?;
        let addr = socket.local_addr()?;
        let (acceptor, certificate) = if options.tls { tls()? } else { (None, None) };
        let shared = Arc::new(Shared::new(options));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sandbox")
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let router = service::router(shared.clone());
        let thread = std::thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            runtime.block_on(async move {
                if let Err(error) = serve(socket, acceptor, router, stopped).await {
                    eprintln!("sandbox: {error}");
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { addr, shared, certificate, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`, or `https` with TLS.
    pub fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The PEM file of the self-signed certificate, with TLS only. It lives as long as the server.
    pub fn certificate(&self) -> Option<&Path> {
        self.certificate.as_ref().map(tempfile::NamedTempFile::path)
    }

    /// What the admin paths can do, without HTTP.
    pub fn admin(&self) -> Admin {
        Admin::new(self.shared.clone())
    }

    /// Waits until the server ends, which it does only on an error: for the program.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Stops the server and closes its connections.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Accepts and serves until told to stop.
async fn serve(
    socket: std::net::TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let mut acceptor = Acceptor::new(TcpListener::from_std(socket)?, tls);
    let accepting = async {
        loop {
            let conn = acceptor.accept().await;
            let router = router.clone().layer(Extension(conn.switch()));
            // Names as the emulated APIs write them over HTTP/1.1: Airbyte's Bulk reader for
            // Salesforce takes a lower-case `content-type` for something else.
            let connection = http1::Builder::new()
                .title_case_headers(true)
                .serve_connection(TokioIo::new(conn), TowerToHyperService::new(router));
            // A connection that breaks is the client's affair.
            tokio::spawn(async { connection.await.unwrap_or_default() });
        }
    };
    tokio::select! {
        () = accepting => Ok(()),
        _ = stopped => Ok(()),
    }
}

type Tls = (Option<TlsAcceptor>, Option<tempfile::NamedTempFile>);

fn tls() -> io::Result<Tls> {
    let (acceptor, pem) = listener::self_signed()?;
    let mut file = tempfile::Builder::new().prefix("sandbox-").suffix(".pem").tempfile()?;
    file.write_all(pem.as_bytes())?;
    file.flush()?;
    Ok((Some(acceptor), Some(file)))
}
