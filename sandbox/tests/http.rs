//! The server over real sockets: answers, faults, limits, TLS, admin paths, the command line.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use sandbox::faults::Profile;
use sandbox::{Options, Server};
use serde_json::{Value, json};

/// What came back: status, headers in lower case, body, and the error if the body broke off.
#[derive(Debug, Default)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    broken: bool,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn exchange(
    stream: impl Read + Write,
    method: &str,
    path: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut reader = BufReader::new(stream);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer sk_test_1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all(head.as_bytes())?;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut answer = Answer {
        status: line
            .split(' ')
            .nth(1)
            .and_then(|s| s.parse().ok())
            .ok_or(std::io::ErrorKind::ConnectionReset)?,
        ..Answer::default()
    };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        answer.headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = answer.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let read = reader.take(length).read_to_end(&mut answer.body);
    answer.broken = read.is_err() || (answer.body.len() as u64) < length;
    Ok(answer)
}

fn ask(addr: SocketAddr, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    exchange(TcpStream::connect(addr)?, method, path, body)
}

fn get(server: &Server, path: &str) -> Answer {
    ask(server.addr, "GET", path, "").unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn post(server: &Server, path: &str, body: Value) -> Answer {
    ask(server.addr, "POST", path, &body.to_string()).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn start(options: Options) -> Server {
    Server::start(Options { rows: 50, ..options }).expect("a free port on loopback")
}

fn faults(toml: &str) -> Options {
    Options { faults: Profile::parse(toml).expect("a profile"), ..Options::default() }
}

const CHARGES: &str = "/stripe/v1/charges?limit=5";

#[test]
fn answers_carry_the_virtual_date() {
    let server = start(Options::default());
    let answer = get(&server, CHARGES);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["data"].as_array().map(Vec::len), Some(5));
    assert!(answer.header("date").is_some_and(|d| d.starts_with("Sun, 01 Nov 2026 00:00:")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("stripe-version"), Some("2024-06-20"));
    assert_eq!(get(&server, "/nothing/x").status, 404);
}

#[test]
fn admin_paths() {
    let server = start(Options::default());
    get(&server, CHARGES);
    get(&server, "/stripe/v1/customers/cus_1/cards");
    let counters = get(&server, "/_admin/counters").json();
    assert_eq!((&counters["total"], &counters["by_status"]["404"]), (&json!(2), &json!(1)));
    assert_eq!(counters["by_path"]["/stripe/v1/customers/{id}/cards"]["total"], 1);
    assert_eq!(counters["by_api"]["stripe"]["total"], 2);
    let journal = get(&server, "/_admin/journal").json();
    assert_eq!((&journal[0]["path"], &journal[0]["status"]), (&json!(CHARGES), &json!(200)));
    post(&server, "/_admin/reset-counters", json!({}));
    assert_eq!(server.admin().counters().all.total, 0);
    assert!(server.admin().journal().is_empty());

    let clock = post(&server, "/_admin/advance", json!({"seconds": 3600})).json();
    assert!(clock["now"].as_i64() >= Some(server.admin().now() - 5));
    assert!(
        get(&server, "/_admin/clock").json()["date"]
            .as_str()
            .is_some_and(|d| d.starts_with("2026-11-01T01:00"))
    );

    let body = json!({"api": "stripe", "resource": "customers", "count": 2, "set": {"name": "x"}});
    let done = post(&server, "/_admin/create", body).json();
    assert_eq!(done["ids"].as_array().map(Vec::len), Some(2));
    let truth = get(&server, "/_admin/truth/source-stripe/customers");
    assert_eq!(truth.body.split(|b| *b == b'\n').filter(|l| !l.is_empty()).count(), 52);
    assert_eq!(get(&server, "/_admin/truth/source-stripe/nothing").status, 404);
    assert_eq!(post(&server, "/_admin/mutate", json!({"resource": "nothing"})).status, 400);
    assert_eq!(post(&server, "/_admin/advance", json!({"seconds": -1})).status, 400);
    assert_eq!(get(&server, "/_admin/nothing").status, 404);
}

#[test]
fn faults_of_every_kind() {
    let server = start(faults(
        r#"
        script = [
          { path = "/stripe/v1/charges*", nth = 1, action = "too_many", retry_after = 1, reason = "endpoint-rate" },
          { path = "/stripe/v1/charges*", nth = 2, action = "lock_timeout" },
          { path = "/stripe/v1/charges*", nth = 3, action = "rate_limit_400" },
          { path = "/stripe/v1/charges*", nth = 4, action = "conflict" },
          { path = "/stripe/v1/charges*", nth = 5, action = "server_error", status = 503, should_retry = false },
          { path = "/stripe/v1/charges*", nth = 6, action = "html" },
          { path = "/stripe/v1/charges*", nth = 7, action = "reply", status = 418, body = "{}" },
          { path = "/stripe/v1/charges*", nth = 8, action = "expire_token" },
        ]
        "#,
    ));
    let first = get(&server, CHARGES);
    assert_eq!((first.status, first.header("retry-after")), (429, Some("1")));
    assert_eq!(first.header("stripe-rate-limited-reason"), Some("endpoint-rate"));
    assert!(first.header("request-id").is_some());
    let second = get(&server, CHARGES);
    assert_eq!((second.status, &second.json()["error"]["code"]), (429, &json!("lock_timeout")));
    let third = get(&server, CHARGES);
    assert_eq!((third.status, &third.json()["error"]["code"]), (400, &json!("rate_limit")));
    assert_eq!(get(&server, CHARGES).status, 409);
    let fifth = get(&server, CHARGES);
    assert_eq!((fifth.status, fifth.header("stripe-should-retry")), (503, Some("false")));
    let sixth = get(&server, CHARGES);
    assert_eq!((sixth.status, sixth.header("content-type")), (200, Some("text/html")));
    assert_eq!(get(&server, CHARGES).status, 418);
    assert_eq!(get(&server, CHARGES).status, 200);
    assert_eq!(server.admin().counters().all.rate_limited, 2);
}

#[test]
fn broken_connections() {
    let server = start(faults(
        r#"
        script = [
          { path = "/stripe/v1/charges*", nth = 1, action = "reset" },
          { path = "/stripe/v1/charges*", nth = 2, action = "truncate" },
        ]
        "#,
    ));
    let reset = ask(server.addr, "GET", CHARGES, "").map(|a| a.status);
    assert_eq!(reset.map_err(|e| e.kind()), Err(std::io::ErrorKind::ConnectionReset));
    let cut = get(&server, CHARGES);
    assert!(cut.status == 200 && cut.broken && !cut.body.is_empty());
    let whole = get(&server, CHARGES);
    assert!(!whole.broken && whole.body.len() > cut.body.len());
    assert_eq!(server.admin().counters().all.by_status["reset"], 1);
}

#[test]
fn faults_can_be_replaced_and_never_hit_the_admin_paths() {
    let server = start(faults("server_error = 1.0"));
    assert!(get(&server, CHARGES).status >= 500);
    assert_eq!(get(&server, "/_admin/clock").status, 200);
    assert_eq!(post(&server, "/_admin/faults", json!({"conflict": 1.0})).status, 200);
    assert_eq!(get(&server, CHARGES).status, 409);
    assert_eq!(post(&server, "/_admin/faults", json!("none")).status, 200);
    assert_eq!(get(&server, CHARGES).status, 200);
    assert_eq!(post(&server, "/_admin/faults", json!({"conflct": 1.0})).status, 400);
    assert_eq!(
        ask(
            server.addr,
            "POST",
            "/_admin/faults",
            "too_many = 1.0\nretry_after_share = 0.0\nlock_timeout_share = 0.0"
        )
        .map(|a| a.status)
        .ok(),
        Some(200)
    );
    assert_eq!(get(&server, CHARGES).status, 429);
}

#[test]
fn rough_is_survived_by_retries() {
    let server = start(Options { faults: Profile::rough(), ..Options::default() });
    let (mut pages, mut tries) = (0, 0);
    for page in 0..400 {
        loop {
            tries += 1;
            let answer = ask(
                server.addr,
                "GET",
                &format!("/stripe/v1/products?limit=1&created[gte]={page}"),
                "",
            );
            if answer.is_ok_and(|a| a.status == 200 && !a.broken) {
                pages += 1;
                break;
            }
        }
    }
    assert_eq!(pages, 400);
    assert!((405..500).contains(&tries), "{tries} tries");
}

#[test]
fn the_rate_is_limited() {
    let server = start(Options { rate_limit: Some(3), ..Options::default() });
    let answers: Vec<Answer> = (0..12).map(|_| get(&server, CHARGES)).collect();
    let limited: Vec<&Answer> = answers.iter().filter(|a| a.status == 429).collect();
    assert!((5..=9).contains(&limited.len()), "{} limited", limited.len());
    assert_eq!(limited[0].header("stripe-rate-limited-reason"), Some("global-rate"));
    assert_eq!(limited[0].json()["error"]["code"], "rate_limit");
    assert_eq!(get(&server, "/_admin/clock").status, 200);
}

#[test]
fn pretty_bodies_mean_the_same() {
    let (plain, pretty) =
        (start(Options::default()), start(Options { pretty: true, ..Options::default() }));
    let (a, b) = (get(&plain, CHARGES), get(&pretty, CHARGES));
    assert!(b.body.starts_with(b"{\n  \"object\": \"list\",\n"));
    assert_eq!(a.json(), b.json());
}

#[test]
fn tls_with_the_certificate_it_gives() {
    use rustls::pki_types::pem::PemObject;
    let server = start(Options { tls: true, ..Options::default() });
    let pem = server.certificate().expect("a certificate with TLS");
    let certificate = rustls::pki_types::CertificateDer::from_pem_file(pem).expect("PEM");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").expect("a name");
    let client = rustls::ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream =
        rustls::StreamOwned::new(client, TcpStream::connect(server.addr).expect("a connection"));
    let answer = exchange(stream, "GET", CHARGES, "").expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(server.url().starts_with("https://127.0.0.1:"));
}

#[test]
fn a_stopped_server_is_gone() {
    let server = start(Options::default());
    let addr = server.addr;
    server.stop();
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn the_command_line() {
    let program = env!("CARGO_BIN_EXE_sandbox");
    let mut child = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--rows", "30", "--seed", "5"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("listening on http://").unwrap_or_default().to_owned();
    let addr: SocketAddr = url.parse().expect("an address");
    let served = ask(addr, "GET", "/_admin/truth/source-stripe/charges", "").expect("an answer");

    let run = |args: &[&str]| Command::new(program).args(args).output().expect("the program runs");
    let truth = run(&["truth", "source-stripe", "charges", "--rows", "30", "--seed", "5"]);
    assert!(truth.status.success() && truth.stdout == served.body && !truth.stdout.is_empty());

    let config = run(&["config", "source-stripe", "--listen", &url]);
    let config: Value = serde_json::from_slice(&config.stdout).expect("JSON");
    assert_eq!(config["api_url"], format!("http://{url}/stripe"));
    let account = ask(addr, "GET", "/stripe/v1/account", "").expect("an answer").json();
    assert_eq!(config["account_id"], account["id"]);
    assert!(config["client_secret"].as_str().is_some_and(|k| k.starts_with("sk_test_")));

    assert!(!run(&["truth", "source-stripe", "nothing"]).status.success());
    assert!(!run(&["serve", "--faults", "/no/such/file"]).status.success());
    child.kill().expect("the program is killed");
    child.wait().expect("the program ended");
}

#[test]
fn salesforce_streams_its_results_and_answers_at_the_root() {
    let server = start(Options::default());
    let config = sandbox::salesforce::connector_config(&server.url());
    let text = |name: &str| config[name].as_str().unwrap_or_default().to_owned();
    let form = format!(
        "grant_type=refresh_token&client_id={}&client_secret={}&refresh_token={}",
        text("client_id"),
        text("client_secret"),
        text("refresh_token")
    );
    let login = |path: &str| ask(server.addr, "POST", path, &form).expect("an answer").json();
    let by_prefix = login("/salesforce/services/oauth2/token");
    assert_eq!(by_prefix["instance_url"], "http://sandbox/salesforce");
    let by_root = login("/services/oauth2/token");
    assert_eq!(by_root["instance_url"], "http://sandbox");
    let token = by_root["access_token"].as_str().expect("a token");
    let ask = |method: &str, path: &str, body: &str| {
        let mut stream = TcpStream::connect(server.addr).expect("connects");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nauthorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("writes");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let order = r#"{"operation":"query","query":"SELECT Id FROM User"}"#;
    let job = ask("POST", "/services/data/v62.0/jobs/query", order);
    let id = job.split("\"id\":\"").nth(1).and_then(|rest| rest.get(..18)).expect("an id");
    let path = format!("/salesforce/services/data/v62.0/jobs/query/{id}/results");
    let page = ask("GET", &path, "");
    assert!(page.contains("Content-Type: text/csv\r\n"), "{page}");
    assert!(page.contains("Transfer-Encoding: chunked\r\n"), "{page}");
    assert!(page.ends_with("\r\n0\r\n\r\n"), "{page}");
    let script = "script = [{ path = '*/results', action = 'truncate', bytes = 30 }]";
    server.admin().set_faults(Profile::parse(script).expect("a profile"));
    let cut = ask("GET", &path, "");
    let body = cut.split("\r\n\r\n").nth(1).expect("a body");
    assert_eq!(body.len(), 30);
    let paths = server.admin().counters().by_path;
    assert_eq!(paths["/salesforce/services/data/v62.0/jobs/query/{id}/results"].total, 2);
}
