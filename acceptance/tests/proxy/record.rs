//! Record, then replay without the API.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use acceptance::proxy::{Fault, FaultPlan, Mode, Options, Outcome, Proxy, Rule, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::{Api, answer, json};
use crate::client::{Client, proxy_to};

const CLIENT_SECRET: &str = "cs/Zq8+very=secret&é";
const TOKEN: &str = "at-7f3b9c21d4e5aa01";

/// Signs in by OAuth, then reads a list of three pages, of which the second is compressed, and polls
/// a job that is done the third time.
fn api() -> Api {
    let polls = AtomicUsize::new(0);
    Api::with_tls(move |request, out| {
        let host = request.header("host").unwrap();
        match request.target.split(['?', '&']).next().unwrap() {
            "/oauth/token" => {
                let token = format!("{{\"access_token\":\"{TOKEN}\",\"token_type\":\"bearer\"}}");
                answer(
                    out,
                    200,
                    "Content-Type: application/json\r\nSet-Cookie: sid=c00kie-1234\r\n",
                    token,
                );
            }
            "/list" if request.target.contains("page=2") => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(b"{\"data\": [{\"id\": 12345678901234567890, \"amount\": 1.50}]}")
                    .unwrap();
                let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
                answer(out, 200, headers, gzip.finish().unwrap());
            }
            "/list" => json(
                out,
                format!(
                    "{{\"next\": \"https://{host}/list?page=2&access_token={TOKEN}\", \"echo\": \"{TOKEN}\"}}"
                ),
            ),
            "/job" => {
                let done = polls.fetch_add(1, Ordering::SeqCst) >= 2;
                json(out, format!("{{\"done\":{done}}}"));
            }
            "/search" => json(out, &request.body),
            other => answer(out, 404, "", other),
        }
    })
}

/// A connector's work: what it got, as text.
fn connector(client: &Client, api: &Api, secret: &str, until: &str) -> Vec<String> {
    let form =
        [("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", secret)];
    let signed_in = client.send(client.http.post(api.url("/oauth/token")).form(&form)).unwrap();
    let token: serde_json::Value = serde_json::from_slice(&signed_in.body).unwrap();
    let token = token["access_token"].as_str().unwrap();
    let first = client
        .send(
            client
                .http
                .get(api.url(&format!("/list?until={until}&limit=10")))
                .bearer_auth(token)
                .header("Cookie", "sid=c00kie-1234"),
        )
        .unwrap();
    let next: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
    let second = client
        .send(client.http.get(next["next"].as_str().unwrap()).header("accept-encoding", "gzip, br"))
        .unwrap();
    let mut got = vec![format!("{}", first.status), plain(&second)];
    for _ in 0..3 {
        got.push(client.get(&api.url("/job")).unwrap().text());
    }
    for term in ["a", "b"] {
        let query = serde_json::json!({"term": term, "now": until});
        let request =
            client.http.post(api.url("/search")).json(&query).basic_auth("app", Some(secret));
        let found = client.send(request).unwrap();
        got.push(
            serde_json::from_slice::<serde_json::Value>(&found.body).unwrap()["term"].to_string(),
        );
    }
    got
}

fn plain(got: &crate::client::Got) -> String {
    if got.headers.get("content-encoding").is_none() {
        return got.text();
    }
    std::io::read_to_string(flate2::read::GzDecoder::new(&*got.body)).unwrap()
}

fn record(api: &Api, folder: &Path, faults: FaultPlan) -> Vec<String> {
    let proxy = Proxy::start(Options {
        mode: Mode::Record(folder.to_owned()),
        faults,
        secrets: vec![Secret::new("client_secret", CLIENT_SECRET)],
        authorities: vec![api.certificate().to_owned()],
    })
    .unwrap();
    let got = connector(&Client::new(&proxy), api, CLIENT_SECRET, "2026-01-01T00:00:00Z");
    let journal = proxy.finish().unwrap();
    assert!(journal.problems.is_empty(), "{:?}", journal.problems);
    got
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn a_recording_has_no_secret_and_answers_without_the_api() {
    let (api, folder) = (api(), tempfile::tempdir().unwrap());
    let recorded = record(&api, folder.path(), FaultPlan::none());
    assert_eq!(recorded[1], "{\"data\": [{\"id\": 12345678901234567890, \"amount\": 1.50}]}");
    assert_eq!(recorded[2..5], ["{\"done\":false}", "{\"done\":false}", "{\"done\":true}"]);

    let pair = STANDARD.encode(format!("app:{CLIENT_SECRET}"));
    let secrets =
        [CLIENT_SECRET, "very%3Dsecret", "very=secret", TOKEN, "c00kie-1234", pair.as_str()];
    let files = files(folder.path());
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
        for secret in secrets {
            assert!(!text.contains(secret), "{} has {secret}: {text}", file.display());
        }
    }
    let index = std::fs::read_to_string(folder.path().join("index.jsonl")).unwrap();
    assert!(index.contains("Bearer SCRUBBED_") && index.contains("sid=SCRUBBED_"), "{index}");
    let form = std::fs::read_to_string(folder.path().join("bodies/00001-request.txt")).unwrap();
    assert!(form.ends_with("client_secret=SCRUBBED_client_secret"), "{form}");

    // Another day, other credentials, and nobody asks the API.
    let asked = api.seen().len();
    let proxy = proxy_to(&api, Mode::Replay(folder.path().to_owned()), FaultPlan::none());
    assert!(proxy.recorded_at().is_some());
    let client = Client::new(&proxy);
    assert_eq!(connector(&client, &api, "made up", "2026-11-30T12:34:56.789Z"), recorded);
    // The last answer comes again and again.
    assert_eq!(client.get(&api.url("/job")).unwrap().text(), "{\"done\":true}");
    assert_eq!(api.seen().len(), asked);

    let missing = client.get(&api.url("/list?until=2026-01-01&limit=10&page=3")).unwrap();
    assert_eq!(missing.status, 599);
    assert!(missing.text().contains("nearest recorded"), "{}", missing.text());
    let journal = proxy.finish().unwrap();
    let unmatched: Vec<_> = journal.unmatched().collect();
    assert_eq!(unmatched.len(), 1);
    assert_eq!((unmatched[0].status, &unmatched[0].outcome), (Some(599), &Outcome::Unmatched));
}

#[test]
fn a_replay_can_have_faults_and_a_recording_keeps_none() {
    let (api, folder) = (api(), tempfile::tempdir().unwrap());
    let recorded = record(&api, folder.path(), FaultPlan::none());
    let replay = || Mode::Replay(folder.path().to_owned());
    let proxy = proxy_to(&api, replay(), FaultPlan::one(Rule::nth(2, Fault::status(503))));
    let client = Client::new(&proxy);
    assert_eq!(client.get(&api.url("/job")).unwrap().text(), "{\"done\":false}");
    assert_eq!(client.get(&api.url("/job")).unwrap().status, 503);
    assert_eq!(client.get(&api.url("/job")).unwrap().text(), "{\"done\":false}");
    assert_eq!(client.get(&api.url("/job")).unwrap().text(), "{\"done\":true}");

    let second = tempfile::tempdir().unwrap();
    let proxy = proxy_to(
        &api,
        Mode::Record(second.path().join("new")),
        FaultPlan::one(Rule::once(Fault::Cut)),
    );
    let client = Client::new(&proxy);
    client.get(&api.url("/job")).unwrap_err();
    assert_eq!(client.get(&api.url("/job")).unwrap().text(), "{\"done\":true}");
    proxy.finish().unwrap();
    let index = std::fs::read_to_string(second.path().join("new/index.jsonl")).unwrap();
    assert_eq!(index.lines().count(), 2, "{index}");
    assert_eq!(recorded.len(), 7);
}

#[test]
fn a_second_recording_does_not_overwrite_and_a_damaged_one_is_refused() {
    let (api, folder) = (api(), tempfile::tempdir().unwrap());
    record(&api, folder.path(), FaultPlan::none());
    let start = |mode| Proxy::start(Options { mode, ..Options::default() });
    let again = start(Mode::Record(folder.path().to_owned())).unwrap_err().to_string();
    assert!(again.contains("already"), "{again}");
    let index = folder.path().join("index.jsonl");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, &text[..text.len() - 9]).unwrap();
    let damaged = start(Mode::Replay(folder.path().to_owned())).unwrap_err().to_string();
    assert!(damaged.contains("index.jsonl:9: is not an exchange"), "{damaged}");
    std::fs::remove_dir_all(folder.path().join("bodies")).unwrap();
    std::fs::write(&index, text).unwrap();
    let missing = start(Mode::Replay(folder.path().to_owned())).unwrap_err().to_string();
    assert!(missing.contains("cannot be read"), "{missing}");
}
