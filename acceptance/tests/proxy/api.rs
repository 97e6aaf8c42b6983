//! A tiny API on loopback, plain or with TLS, made by hand so that it does exactly what a test says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A request as it reached the API.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Writes an answer.
type Handler = dyn Fn(&Request, &mut dyn Write) + Send + Sync;

pub struct Api {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    certificate: Option<tempfile::NamedTempFile>,
}

impl Api {
    pub fn start(handler: impl Fn(&Request, &mut dyn Write) + Send + Sync + 'static) -> Self {
        Self::serve(None, handler)
    }

    pub fn with_tls(handler: impl Fn(&Request, &mut dyn Write) + Send + Sync + 'static) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(made.cert.pem().as_bytes()).unwrap();
        let mut api = Self::serve(Some(Arc::new(config)), handler);
        api.certificate = Some(file);
        api
    }

    fn serve(
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: impl Fn(&Request, &mut dyn Write) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (handler, all): (Arc<Handler>, _) = (Arc::new(handler), seen.clone());
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (handler, seen, tls) = (handler.clone(), all.clone(), tls.clone());
                std::thread::spawn(move || connection(tcp, tls, &seen, &*handler));
            }
        });
        Self { url: format!("{scheme}://localhost:{port}"), seen, certificate: None }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn certificate(&self) -> &Path {
        self.certificate.as_ref().unwrap().path()
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn connection(
    tcp: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    seen: &Mutex<Vec<Request>>,
    handler: &Handler,
) {
    let mut stream: Box<dyn Stream> = match tls {
        None => Box::new(tcp),
        Some(config) => {
            let connection = rustls::ServerConnection::new(config).unwrap();
            Box::new(rustls::StreamOwned::new(connection, tcp))
        }
    };
    while let Some(request) = read(&mut stream) {
        seen.lock().unwrap().push(request.clone());
        let mut out = Vec::new();
        let mut writer = Writer { stream: &mut *stream, buffered: &mut out };
        handler(&request, &mut writer);
        if writer.flush().is_err() {
            return;
        }
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Collects writes until they are flushed.
struct Writer<'a> {
    stream: &'a mut dyn Stream,
    buffered: &'a mut Vec<u8>,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.buffered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.write_all(self.buffered)?;
        self.buffered.clear();
        self.stream.flush()
    }
}

fn read(stream: &mut dyn Stream) -> Option<Request> {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => {
                request.headers.push((name.to_ascii_lowercase(), value.to_owned()));
            }
            None => break,
        }
    }
    let length = request.header("content-length").map_or(0, |value| value.parse().unwrap());
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Writes an answer with a length.
pub fn answer(out: &mut dyn Write, status: u16, headers: &str, body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    write!(out, "HTTP/1.1 {status} OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).unwrap();
    out.write_all(body).unwrap();
}

/// Writes an answer of 200 with a JSON body.
pub fn json(out: &mut dyn Write, body: impl AsRef<[u8]>) {
    answer(out, 200, "Content-Type: application/json\r\n", body);
}
