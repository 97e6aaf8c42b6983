//! What passes through unharmed, and what the journal says of it.

use std::sync::mpsc;
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use acceptance::proxy::{Door, FaultPlan, Mode, Options, Outcome, Proxy};
use futures::StreamExt;

use crate::api::{Api, answer, json};
use crate::client::{Client, proxy, proxy_to, trusting};

#[test]
fn a_plain_request_arrives_as_it_was() {
    let api = Api::start(|_, out| {
        answer(out, 201, "X-Answer: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n", "done");
    });
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    let request = client.http.post(api.url("/v1/things?b=2&a=%20x")).header("X-Ask", "1");
    let got = client.send(request.header("Proxy-Connection", "keep-alive").body("hello")).unwrap();
    assert_eq!((got.status, got.text().as_str()), (201, "done"));
    assert_eq!(got.headers["x-answer"], "1");
    assert!(got.headers.get("x-hop").is_none());

    let seen = &api.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/things?b=2&a=%20x"));
    assert_eq!((seen.header("x-ask"), seen.body.as_slice()), (Some("1"), &b"hello"[..]));
    assert_eq!(seen.header("proxy-connection"), None);
    assert_eq!(seen.header("host"), Some(api.url("").trim_start_matches("http://")));

    let journal = proxy.finish().unwrap();
    let [exchange] = &journal.exchanges[..] else { panic!("{journal:?}") };
    assert_eq!(exchange.url, api.url("/v1/things?b=2&a=%20x"));
    assert_eq!((exchange.status, &exchange.outcome), (Some(201), &Outcome::Complete));
    assert_eq!((exchange.request_bytes, exchange.response_bytes, exchange.open), (5, 4, 1));
    assert!(exchange.fault.is_none() && journal.problems.is_empty());
}

#[test]
fn tls_ends_at_the_proxy_and_begins_again() {
    let api = Api::with_tls(|request, out| json(out, format!("{{\"at\":\"{}\"}}", request.target)));
    let proxy = proxy_to(&api, Mode::Live, FaultPlan::none());
    let client = Client::new(&proxy);
    for page in 0..3 {
        let got = client.get(&api.url(&format!("/list?page={page}&api_key=k1"))).unwrap();
        assert_eq!(got.text(), format!("{{\"at\":\"/list?page={page}&api_key=k1\"}}"));
    }
    let journal = proxy.finish().unwrap();
    assert_eq!(journal.exchanges.len(), 3);
    assert_eq!(journal.exchanges[2].url, api.url("/list?page=2&api_key=SCRUBBED_api_key_1"));
}

#[test]
fn who_does_not_trust_the_proxy_is_named() {
    let api = Api::with_tls(|_, out| json(out, "{}"));
    let proxy = proxy_to(&api, Mode::Live, FaultPlan::none());
    let client = Client::with(|builder| {
        let proxied = builder.proxy(reqwest::Proxy::all(proxy.url()).unwrap());
        proxied.tls_backend_preconfigured(trusting(&[]))
    });
    client.get(&api.url("/")).unwrap_err();
    // The client knows at once, the proxy when the client's alert has come.
    let deadline = Instant::now() + Duration::from_secs(10);
    while proxy.journal().problems.is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    let problem = proxy.finish().unwrap().problems.join("\n");
    assert!(problem.contains("localhost") && problem.contains("trust"), "{problem}");
}

#[test]
fn a_base_url_stands_for_an_api() {
    let api = Api::with_tls(|request, out| {
        let host = request.header("host").unwrap();
        let links =
            format!("Location: https://{host}/v1/next\r\nLink: <https://{host}/v1?p=2>\r\n");
        answer(out, 302, &links, "");
    });
    let proxy = proxy_to(&api, Mode::Live, FaultPlan::none());
    let base = proxy.base_url(&api.url("/v1")).unwrap();
    assert_eq!(proxy.base_url(&api.url("/v2/")).unwrap(), base.replace("/v1", "/v2/"));
    let got = Client::direct().get(&format!("{base}/list?x=1")).unwrap();
    assert_eq!(api.seen()[0].target, "/v1/list?x=1");
    assert_eq!(got.headers["location"], format!("{base}/next"));
    assert_eq!(got.headers["link"], format!("<{base}?p=2>"));
    // By the proxy to the base URL: one request, one line in the journal.
    Client::new(&proxy).get(&format!("{base}/other")).unwrap();
    assert_eq!(api.seen()[1].target, "/v1/other");
    let journal = proxy.finish().unwrap();
    assert_eq!(journal.exchanges.len(), 2);
    assert!(journal.exchanges.iter().all(|e| e.door == Door::BaseUrl));
    assert_eq!(journal.exchanges[0].url, api.url("/v1/list?x=1"));
}

#[test]
fn what_is_no_api_is_refused() {
    let proxy = proxy(FaultPlan::none());
    for url in ["ftp://example.com", "example.com/v1", ""] {
        assert!(proxy.base_url(url).unwrap_err().to_string().contains("http"), "{url}");
    }
    let got = Client::direct().get(&format!("{}/v1", proxy.url())).unwrap();
    assert_eq!(got.status, 400);
    assert!(got.text().contains("HTTP_PROXY"));
}

#[test]
fn an_api_that_is_not_there() {
    let proxy = proxy(FaultPlan::none());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let got = Client::new(&proxy).get(&format!("http://{free}/x")).unwrap();
    assert_eq!(got.status, 502);
    let journal = proxy.finish().unwrap();
    assert!(
        matches!(&journal.exchanges[0].outcome, Outcome::Failed(why) if why.contains("connect"))
    );
}

#[test]
fn answers_stream() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let api = Api::start(move |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").unwrap();
        out.flush().unwrap();
        wait.lock().unwrap().recv().unwrap();
        write!(out, "4\r\nlast\r\n0\r\n\r\n").unwrap();
    });
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    client.runtime.block_on(async {
        let mut body = client.http.get(api.url("/")).send().await.unwrap().bytes_stream();
        assert_eq!(body.next().await.unwrap().unwrap(), "first");
        go.send(()).unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), "last");
        assert!(body.next().await.is_none());
    });
}

#[test]
fn a_long_request_arrives_whole() {
    let api = Api::start(|request, out| json(out, request.body.len().to_string()));
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    let got = client.send(client.http.put(api.url("/file")).body(vec![7; 3_000_000])).unwrap();
    assert_eq!(got.text(), "3000000");
    assert!(api.seen()[0].body.iter().all(|byte| *byte == 7));
}

#[test]
fn answers_without_a_body() {
    let api = Api::start(|request, out| match request.method.as_str() {
        "HEAD" => write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n").unwrap(),
        _ => write!(out, "HTTP/1.1 204 No Content\r\n\r\n").unwrap(),
    });
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    let got = client.send(client.http.head(api.url("/"))).unwrap();
    assert_eq!(got.headers["content-length"], "1234");
    assert_eq!(client.send(client.http.delete(api.url("/"))).unwrap().status, 204);
    let journal = proxy.finish().unwrap();
    assert!(journal.exchanges.iter().all(|e| e.outcome == Outcome::Complete), "{journal:?}");
}

#[test]
fn open_requests_are_counted() {
    static ALL: Barrier = Barrier::new(8);
    let api = Api::start(|_, out| {
        ALL.wait();
        json(out, "{}");
    });
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    client.runtime.block_on(async {
        let all = (0..8).map(|n| client.http.get(api.url(&format!("/{n}"))).send());
        for got in futures::future::join_all(all).await {
            assert_eq!(got.unwrap().status(), 200);
        }
    });
    let journal = proxy.take_journal();
    assert_eq!((journal.exchanges.len(), journal.max_open()), (8, 8));
    assert!(proxy.journal().exchanges.is_empty());
}

#[tokio::test]
async fn a_proxy_ends_in_asynchronous_code_too() {
    drop(proxy(FaultPlan::none()));
}

#[test]
fn the_environment_names_proxy_and_certificates() {
    let proxy = Proxy::start(Options::default()).unwrap();
    let environment = proxy.environment();
    assert_eq!(environment["https_proxy"], proxy.url());
    assert_eq!(environment["NO_PROXY"], "");
    let bundle = std::fs::read_to_string(&environment["SSL_CERT_FILE"]).unwrap();
    assert!(bundle.contains("BEGIN CERTIFICATE"));
}
