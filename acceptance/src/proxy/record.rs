//! Writes what comes by into a folder, scrubbed of secrets.
//!
//! A thread of its own decodes, scrubs and writes. At the end everything is scrubbed once more:
//! a token may be seen in one place before a name in another place gives it away.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use bytes::{Bytes, BytesMut};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use hyper::header::HeaderMap;

use super::body::Observer;
use super::error::{Error, Result};
use super::identity::scrubbed_headers;
use super::journal::Log;
use super::recording::{BODIES, Head, INDEX, Line, Request, Response};
use super::scrub::Scrubber;

/// Longer bodies are passed on but not recorded.
const LONGEST: usize = 256 << 20;

/// An exchange to be written down, as it was.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub method: String,
    pub url: String,
    pub request_headers: HeaderMap,
    pub request_body: Bytes,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

enum Order {
    Write(Box<Exchange>),
    Finish,
}

/// Takes exchanges and has them written.
#[derive(Debug)]
pub(super) struct Recorder {
    orders: mpsc::Sender<Order>,
    thread: Mutex<Option<JoinHandle<Result<()>>>>,
    log: Arc<Log>,
}

impl Recorder {
    /// Begins a recording in `folder`, which is made if need be.
    ///
    /// # Errors
    /// When there is a recording already, or nothing can be written there.
    pub(super) fn start(folder: &Path, scrubber: Arc<Scrubber>, log: Arc<Log>) -> Result<Self> {
        let mut writer = Writer::new(folder, scrubber, log.clone())?;
        let (orders, received) = mpsc::channel();
        let run = move || {
            // After an error the rest is taken and dropped: the traffic must go on.
            let mut result = Ok(());
            while let Ok(Order::Write(exchange)) = received.recv() {
                if result.is_ok() {
                    result = writer.write(*exchange);
                }
            }
            result.and_then(|()| writer.finish())
        };
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(run)
            .map_err(|e| Error::Setup(e.to_string()))?;
        Ok(Self { orders, thread: Mutex::new(Some(thread)), log })
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// When something could not be.
    pub(super) fn finish(&self) -> Result<()> {
        let _ = self.orders.send(Order::Finish);
        match self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(thread) => thread
                .join()
                .unwrap_or_else(|_| Err(Error::Setup("the recorder stopped early".to_owned()))),
            None => Ok(()),
        }
    }

    /// Sees the exchange's body go by and has it written when it is complete.
    pub(super) fn tape(&self, exchange: Exchange) -> Tape {
        Tape { exchange, body: BytesMut::new(), orders: self.orders.clone(), log: self.log.clone() }
    }
}

/// An exchange whose answer is coming in.
pub(super) struct Tape {
    exchange: Exchange,
    body: BytesMut,
    orders: mpsc::Sender<Order>,
    log: Arc<Log>,
}

impl Observer for Tape {
    fn piece(&mut self, piece: &Bytes) {
        if self.body.len() <= LONGEST {
            self.body.extend_from_slice(piece);
        }
    }

    fn complete(mut self) {
        if self.body.len() > LONGEST {
            self.log.problem("an answer of more than 256 MiB was not recorded".to_owned());
            return;
        }
        self.exchange.body = self.body.freeze();
        let _ = self.orders.send(Order::Write(Box::new(self.exchange)));
    }

    fn broken(self, _: &io::Error) {}
}

struct Writer {
    folder: PathBuf,
    scrubber: Arc<Scrubber>,
    log: Arc<Log>,
    head: Head,
    lines: Vec<Line>,
    index: File,
    /// Bodies by content, so that pages read again take no space.
    bodies: HashMap<Vec<u8>, String>,
}

impl Writer {
    fn new(folder: &Path, scrubber: Arc<Scrubber>, log: Arc<Log>) -> Result<Self> {
        let index = folder.join(INDEX);
        std::fs::create_dir_all(folder.join(BODIES)).map_err(|e| Error::recording(folder, e))?;
        let file = File::create_new(&index).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Error::recording(
                folder,
                "there is a recording already; remove the folder or give another one",
            ),
            _ => Error::recording(&index, e),
        })?;
        let mut writer = Self {
            folder: folder.to_owned(),
            scrubber,
            log,
            head: Head::now(),
            lines: Vec::new(),
            index: file,
            bodies: HashMap::new(),
        };
        let head = json(&writer.head);
        writer.append(&head)?;
        Ok(writer)
    }

    fn append(&mut self, line: &str) -> Result<()> {
        let text = format!("{line}\n");
        self.index
            .write_all(text.as_bytes())
            .map_err(|e| Error::recording(self.folder.join(INDEX), e))
    }

    fn write(&mut self, exchange: Exchange) -> Result<()> {
        let Some((body, plain)) = decoded(&exchange.headers, exchange.body) else {
            let url = self.scrubber.url(&exchange.url);
            self.log.problem(format!(
                "the answer of {url} was not recorded: its compression is unknown or broken"
            ));
            return Ok(());
        };
        let method = exchange.method;
        // The answer first: it may hand out the token that the headers show.
        let answer_type = text_of(&exchange.headers, "content-type");
        let body = self.scrubber.body(answer_type.as_deref(), &body);
        let request_type = text_of(&exchange.request_headers, "content-type");
        let request_body = self.scrubber.body(request_type.as_deref(), &exchange.request_body);
        let mut headers = scrubbed_headers(&self.scrubber, &exchange.headers);
        let head_only = method == "HEAD";
        headers.retain(|(name, _)| match name.as_str() {
            "content-length" => head_only,
            "content-encoding" => !plain,
            // They speak of other bytes than those that are kept.
            "content-md5" | "digest" | "repr-digest" | "content-digest" => false,
            _ => true,
        });
        let line = Line {
            request: Request {
                method,
                url: self.scrubber.url(&exchange.url),
                headers: scrubbed_headers(&self.scrubber, &exchange.request_headers),
                body: self.body("request", request_type.as_deref(), request_body)?,
            },
            response: Response {
                status: exchange.status,
                headers,
                body: self.body("response", answer_type.as_deref(), body)?,
            },
        };
        self.append(&json(&line))?;
        self.lines.push(line);
        Ok(())
    }

    /// The file of a body, relative to the folder.
    fn body(
        &mut self,
        of: &str,
        content_type: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Option<String>> {
        if body.is_empty() {
            return Ok(None);
        }
        let extension = extension(content_type, &body);
        let digest = fingerprint(extension, &body);
        if let Some(file) = self.bodies.get(&digest) {
            return Ok(Some(file.clone()));
        }
        let file = format!("{BODIES}/{:05}-{of}.{extension}", self.lines.len() + 1);
        let path = self.folder.join(&file);
        std::fs::write(&path, &body).map_err(|e| Error::recording(path, e))?;
        self.bodies.insert(digest, file.clone());
        Ok(Some(file))
    }

    /// Scrubs all again, with all that is known now.
    fn finish(mut self) -> Result<()> {
        for file in self.bodies.values() {
            let path = self.folder.join(file);
            let body = std::fs::read(&path).map_err(|e| Error::recording(&path, e))?;
            let scrubbed = self.scrubber.bytes(&body);
            if scrubbed != body {
                std::fs::write(&path, scrubbed).map_err(|e| Error::recording(path, e))?;
            }
        }
        let mut text = json(&self.head) + "\n";
        for line in &mut self.lines {
            let request = &mut line.request;
            request.url = self.scrubber.text(&request.url);
            for (_, value) in request.headers.iter_mut().chain(&mut line.response.headers) {
                *value = self.scrubber.text(value);
            }
            text.push_str(&json(line));
            text.push('\n');
        }
        // Beside the index and then over it: a recording is whole or as it was.
        let (new, index) = (self.folder.join("index.jsonl.new"), self.folder.join(INDEX));
        std::fs::write(&new, text).map_err(|e| Error::recording(&new, e))?;
        std::fs::rename(&new, &index).map_err(|e| Error::recording(&index, e))
    }
}

fn json(value: &impl serde::Serialize) -> String {
    // Texts, numbers and lists: nothing in it can fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned)
}

/// The body without its compression, and whether `Content-Encoding` is to go; None for a compression
/// that is unknown or broken, in which secrets could hide.
fn decoded(headers: &HeaderMap, body: Bytes) -> Option<(Bytes, bool)> {
    let encoding = text_of(headers, "content-encoding").unwrap_or_default().to_ascii_lowercase();
    if body.is_empty() {
        return Some((body, false));
    }
    match encoding.trim() {
        "" | "identity" => Some((body, true)),
        "gzip" | "x-gzip" => read_all(MultiGzDecoder::new(&*body)),
        "deflate" => read_all(ZlibDecoder::new(&*body)),
        _ => None,
    }
}

fn read_all(decoder: impl Read) -> Option<(Bytes, bool)> {
    let mut plain = Vec::new();
    decoder.take(LONGEST as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= LONGEST).then(|| (plain.into(), true))
}

fn extension(content_type: Option<&str>, body: &[u8]) -> &'static str {
    let kind = content_type.unwrap_or_default().to_ascii_lowercase();
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        "json"
    } else if kind.contains("json") && (kind.contains("lines") || kind.contains("nd")) {
        "jsonl"
    } else if kind.contains("xml") {
        "xml"
    } else if kind.contains("csv") {
        "csv"
    } else if kind.contains("html") {
        "html"
    } else if std::str::from_utf8(body).is_ok() {
        "txt"
    } else {
        "bin"
    }
}

/// Equal for equal bodies only, as far as SHA-256 is.
fn fingerprint(extension: &str, body: &[u8]) -> Vec<u8> {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(extension.as_bytes());
    context.update(body);
    context.finish().as_ref().to_vec()
}
