//! A tap between a connector and a server: everything goes through, requests are noted.

use std::io::{BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use crate::canned::{hang_up, listen};
use crate::http::Head;

/// A running tap; it ends when dropped.
pub struct Tap {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Head>>>,
    ended: Arc<AtomicBool>,
}

impl Tap {
    /// Starts a tap in front of `server`, which speaks HTTP without TLS.
    pub fn before(server: SocketAddr) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = seen.clone();
        let (addr, ended) = listen(move |connection| {
            let noted = noted.clone();
            std::thread::spawn(move || pass(connection, server, &noted));
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

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        hang_up(self.addr, &self.ended);
    }
}

fn pass(mut client: TcpStream, server: SocketAddr, noted: &Mutex<Vec<Head>>) {
    let (Ok(mut server), Ok(incoming)) = (TcpStream::connect(server), client.try_clone()) else {
        return;
    };
    let Ok(mut answers) = server.try_clone() else { return };
    let back = std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    let mut incoming = BufReader::new(incoming);
    while let Some(head) = Head::read(&mut incoming) {
        let is_passed = server.write_all(&head.bytes).is_ok();
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(head);
        if !is_passed {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = back.join();
}
