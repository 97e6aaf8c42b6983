//! The lines that the stub source prints. They are put together by hand, so that a mutant can
//! break anything about them.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use airbyte_protocol::{Error, Masker};
use serde_json::{Value, json};

use crate::stub::mutants::{Fault, Mutation};

/// Milliseconds since the epoch.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64)
}

/// Standard output, one line a message.
pub struct Output {
    mutation: Mutation,
    masker: RefCell<Masker>,
    is_debugging: bool,
    lines: Cell<usize>,
    last_was_record: Cell<bool>,
    queue: RefCell<Option<Queue>>,
}

/// A queue without a bound: what `queue-unbounded` does wrong.
struct Queue {
    lines: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<()>,
}

impl Output {
    /// The output of a connector with this mutation.
    pub fn new(mutation: Mutation, is_debugging: bool) -> Self {
        let queue = mutation.is(Fault::QueueUnbounded).then(|| {
            let (lines, queued) = mpsc::channel::<Vec<u8>>();
            let writer = std::thread::spawn(move || {
                queued.iter().for_each(|line| write(mutation, &line));
            });
            Queue { lines, writer }
        });
        Self {
            mutation,
            masker: RefCell::default(),
            is_debugging,
            lines: Cell::new(0),
            last_was_record: Cell::new(false),
            queue: RefCell::new(queue),
        }
    }

    /// Masks this from now on.
    pub fn hide(&self, secret: &str) {
        self.masker.borrow_mut().add(secret);
    }

    /// The text without secrets.
    fn masked(&self, text: &str) -> String {
        self.masker.borrow().mask(text).into_owned()
    }

    /// Prints a log message.
    pub fn log(&self, level: &str, text: &str) {
        self.log_as_it_is(level, &self.masked(text));
    }

    /// Prints a log message with whatever secrets it holds.
    pub fn log_as_it_is(&self, level: &str, text: &str) {
        let is_odd = self.mutation.is(Fault::LogLevelWarning);
        let level = if is_odd { "WARNING" } else { level };
        self.send(json!({"type": "LOG", "log": {"level": level, "message": text}}));
    }

    /// Prints what only people who look for an error want to know.
    pub fn debug(&self, text: &str) {
        if !self.is_debugging {
        } else if self.mutation.is(Fault::DebugTextOnStdout) {
            self.write_line(format!("DEBUG {}", self.masked(text)).into_bytes());
        } else {
            self.log("DEBUG", text);
        }
    }

    /// Prints an error.
    pub fn error(&self, error: &Error) {
        let mask = |text: &str| {
            if self.mutation.is(Fault::EchoPrinted) { text.to_owned() } else { self.masked(text) }
        };
        let mut body = json!({
            "message": mask(error.message()),
            "failure_type": error.kind().as_str(),
        });
        if self.mutation.is(Fault::ErrorWithoutMessage) {
            body = json!({"failure_type": error.kind().as_str()});
        }
        if self.mutation.is(Fault::ErrorWithoutFailureType) {
            body = json!({"message": mask(error.message())});
        }
        if let Some(internal) = error.internal() {
            body["internal_message"] = mask(internal).into();
        }
        if let Some(stream) = error.stream() {
            body["stream_descriptor"] = json!({"name": stream.name});
            if let Some(namespace) = &stream.namespace {
                body["stream_descriptor"]["namespace"] = namespace.as_str().into();
            }
        }
        self.trace("ERROR", "error", body);
    }

    /// Prints a trace.
    pub fn trace(&self, kind: &str, key: &str, body: Value) {
        self.send(json!({
            "type": "TRACE",
            "trace": {"type": kind, "emitted_at": now_ms() as f64, key: body},
        }));
    }

    /// Prints a record.
    pub fn record(&self, stream: &str, namespace: Option<&str>, data: Value) {
        let mut record = json!({"stream": stream, "data": data, "emitted_at": now_ms()});
        if let Some(namespace) = namespace {
            record["namespace"] = namespace.into();
        }
        let now = now_ms();
        if self.mutation.is(Fault::EmittedAtInSeconds) {
            record["emitted_at"] = (now / 1000).into();
        } else if self.mutation.is(Fault::EmittedAtWithDecimals) {
            record["emitted_at"] = json!(now as f64 + 0.5);
        } else if self.mutation.is(Fault::EmittedAtOfBuild) {
            record["emitted_at"] = 1_600_000_000_000_u64.into();
        } else if self.mutation.is(Fault::RecordWithoutEmittedAt)
            && let Some(record) = record.as_object_mut()
        {
            record.shift_remove("emitted_at");
        }
        if self.mutation.is(Fault::NamespaceInvented) {
            record["namespace"] = "public".into();
        }
        self.send(json!({"type": "RECORD", "record": record}));
    }

    /// Prints a message.
    pub fn send(&self, mut message: Value) {
        if self.mutation.is(Fault::MemberBesidePayload) {
            message["version"] = 1.into();
        }
        let kind = message["type"].as_str().unwrap_or_default().to_owned();
        if kind == "CATALOG" && self.mutation.is(Fault::PrettyCatalog) {
            return self.write_line(format!("{message:#}").into_bytes());
        }
        let mut line = message.to_string();
        if self.mutation.is(Fault::KeyDuplicatedInLine) {
            line =
                line.replacen(r#"{"stream":"users","#, r#"{"stream":"users","stream":"users","#, 1);
        }
        if kind == "RECORD" && self.mutation.is(Fault::NanInRecord) {
            line = line.replacen(r#""score":1.0,"#, r#""score":NaN,"#, 1);
        }
        let is_record = kind == "RECORD";
        let is_joined = self.last_was_record.replace(is_record) && kind == "STATE";
        self.separate(is_joined);
        let mut bytes = line.into_bytes();
        if self.mutation.is(Fault::InvalidUtf8) {
            bytes = in_latin_1(&bytes);
        }
        self.write_line(bytes);
        if kind == "STATE" && self.mutation.is(Fault::BlankLines) {
            self.write_line(Vec::new());
        }
    }

    /// Whether newlines are written before lines instead of after them.
    fn is_newline_late(&self) -> bool {
        self.mutation.is(Fault::NewlineMissingAtEnd) || self.mutation.is(Fault::TwoMessagesOnALine)
    }

    fn separate(&self, is_joined: bool) {
        let is_joined = is_joined && self.mutation.is(Fault::TwoMessagesOnALine);
        if self.is_newline_late() && self.lines.get() > 0 && !is_joined {
            self.write(b"\n".to_vec());
        }
    }

    /// Prints a line, whatever is in it.
    pub fn write_line(&self, mut line: Vec<u8>) {
        let is_first = self.lines.replace(self.lines.get() + 1) == 0;
        if is_first && self.mutation.is(Fault::ByteOrderMark) {
            line.splice(0..0, [0xef, 0xbb, 0xbf]);
        }
        if !self.is_newline_late() {
            line.push(b'\n');
        }
        self.write(line);
    }

    /// Prints bytes.
    pub fn write(&self, bytes: Vec<u8>) {
        match &*self.queue.borrow() {
            Some(queue) => {
                // As much memory as large records would take.
                let mut large = vec![b' '; 128 * 1024];
                large.splice(.., bytes);
                let _ = queue.lines.send(large);
            }
            None => write(self.mutation, &bytes),
        }
    }

    /// Ends the output: what is queued is written.
    pub fn end(&self) {
        if self.mutation.is(Fault::TwoMessagesOnALine) && self.lines.get() > 0 {
            self.write(b"\n".to_vec());
        }
        if let Some(queue) = self.queue.take() {
            drop(queue.lines);
            let _ = queue.writer.join();
        }
    }
}

/// Writes bytes at once. A closed pipe is the end of the work.
fn write(mutation: Mutation, bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    let Err(error) = written else { return };
    if mutation.is(Fault::GoesOnAfterEpipe) {
        std::thread::sleep(Duration::from_millis(200));
    } else if mutation.is(Fault::PanicsOnEpipe) {
        panic!("failed printing to stdout: {error}");
    } else {
        std::process::exit(1);
    }
}

/// The text with what is outside of ASCII in Latin-1.
fn in_latin_1(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}
