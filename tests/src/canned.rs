//! A server whose answers a test writes itself, for what the sandbox would never say.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::Head;

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides length and type.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Reply {
    /// A body of JSON with status 200.
    pub fn json(body: impl ToString) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string() }
    }

    /// The same with another status.
    pub fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The same with another header.
    pub fn with_header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

type Answer = dyn Fn(&Head) -> Reply + Send + Sync;

/// A running server; it ends when dropped.
pub struct Canned {
    /// Where it listens.
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
    ended: Arc<AtomicBool>,
}

impl Canned {
    /// Starts a server that answers each request with what `answer` makes of it.
    pub fn start(answer: impl Fn(&Head) -> Reply + Send + Sync + 'static) -> Self {
        let answer: Arc<Answer> = Arc::new(answer);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let (addr, ended) = listen(move |connection| {
            let (answer, noted) = (answer.clone(), noted.clone());
            std::thread::spawn(move || serve(connection, &answer, &noted));
        });
        Self { addr, seen, ended }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Head> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        hang_up(self.addr, &self.ended);
    }
}

/// Listens on a free port; `accept` gets each connection until the flag is set.
pub(crate) fn listen(
    mut accept: impl FnMut(TcpStream) + Send + 'static,
) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("its number");
    let ended = Arc::new(AtomicBool::new(false));
    let is_ended = ended.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            if is_ended.load(Ordering::SeqCst) {
                return;
            }
            accept(connection);
        }
    });
    (addr, ended)
}

/// Ends the thread of [`listen`]: it waits for one more connection.
pub(crate) fn hang_up(addr: SocketAddr, ended: &AtomicBool) {
    ended.store(true, Ordering::SeqCst);
    drop(TcpStream::connect(addr));
}

fn serve(mut connection: TcpStream, answer: &Arc<Answer>, noted: &Mutex<Vec<Head>>) {
    let Ok(incoming) = connection.try_clone() else { return };
    let mut incoming = BufReader::new(incoming);
    while let Some(head) = Head::read(&mut incoming) {
        let reply = answer(&head);
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        let mut text = format!(
            "HTTP/1.1 {} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&reply.body);
        if connection.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}
