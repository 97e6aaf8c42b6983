//! Each fault as a client sees it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use acceptance::proxy::{Fault, FaultPlan, Mode, Outcome, RetryAfter, Rule, Scope};

use crate::api::{Api, answer, json};
use crate::client::{Client, proxy, proxy_to};

/// Asks twice with a fault that strikes once; gives the first answer. The second must be right.
fn first_of_two(fault: Fault) -> (crate::client::Got, Outcome) {
    let api = Api::start(|_, out| json(out, "{\"ok\":true}"));
    let touches_the_api = matches!(fault, Fault::Cut | Fault::Slow { .. });
    let proxy = proxy(FaultPlan::one(Rule::once(fault.clone())));
    let client = Client::new(&proxy);
    let first = client.get(&api.url("/x")).unwrap();
    assert_eq!(api.seen().len(), usize::from(touches_the_api));
    assert_eq!(client.get(&api.url("/x")).unwrap().text(), "{\"ok\":true}");
    let journal = proxy.finish().unwrap();
    let [one, two] = &journal.exchanges[..] else { panic!("{journal:?}") };
    assert_eq!((one.fault.as_ref(), two.fault.as_ref()), (Some(&fault), None));
    assert_eq!(one.status, Some(first.status));
    assert_eq!(one.request, two.request);
    assert!(journal.unrecovered().is_empty());
    (first, one.outcome.clone())
}

#[test]
fn error_statuses() {
    for status in [401, 403, 429, 500, 502, 503] {
        let (got, outcome) = first_of_two(Fault::status(status));
        assert_eq!((got.status, outcome), (status, Outcome::Complete));
        assert!(got.headers.get("retry-after").is_none());
        assert!(got.text().starts_with('{'));
    }
}

#[test]
fn retry_after_in_both_formats() {
    let (got, _) = first_of_two(Fault::too_many_with(RetryAfter::Seconds(7)));
    assert_eq!(got.headers["retry-after"], "7");
    let (got, _) = first_of_two(Fault::too_many_with(RetryAfter::Date(7)));
    let date = got.headers["retry-after"].to_str().unwrap();
    let ahead = chrono::DateTime::parse_from_rfc2822(date).unwrap().to_utc() - chrono::Utc::now();
    assert!((4..=8).contains(&ahead.num_seconds()), "{date} is {ahead} ahead");
}

#[test]
fn bodies_that_are_not_what_they_should_be() {
    let (got, _) = first_of_two(Fault::Malformed);
    assert_eq!(
        (got.status, &got.headers["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    serde_json::from_slice::<serde_json::Value>(&got.body).unwrap_err();
    let (got, _) = first_of_two(Fault::Html);
    assert_eq!(got.status, 200);
    assert!(got.text().starts_with("<!DOCTYPE html>"));
}

#[test]
fn a_slow_body_is_right_but_late() {
    let began = Instant::now();
    let (got, outcome) = first_of_two(Fault::slow(Duration::from_millis(300)));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!((got.text().as_str(), outcome), ("{\"ok\":true}", Outcome::Complete));
}

/// Asks by hand and gives what came before the connection's end, and how it ended.
fn raw(proxy: &str, url: &str) -> (String, std::io::Result<usize>) {
    let mut tcp = TcpStream::connect(proxy.trim_start_matches("http://")).unwrap();
    write!(tcp, "GET {url} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let end = tcp.read_to_end(&mut bytes);
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

#[test]
fn a_reset_is_a_reset() {
    let api = Api::start(|_, out| json(out, "{}"));
    let proxy = proxy(FaultPlan::one(Rule::always(Fault::Reset)));
    let (text, end) = raw(&proxy.url(), &api.url("/x"));
    assert_eq!(text, "");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let journal = proxy.finish().unwrap();
    assert_eq!(
        (journal.exchanges[0].status, &journal.exchanges[0].outcome),
        (None, &Outcome::Reset)
    );
    assert!(api.seen().is_empty());
    assert_eq!(journal.unrecovered().len(), 1);
}

#[test]
fn a_cut_keeps_the_announced_length() {
    let api = Api::start(|request, out| match request.target.as_str() {
        "/known" => json(out, "0123456789"),
        "/chunked" => {
            write!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            write!(out, "a\r\n0123456789\r\n0\r\n\r\n").unwrap();
        }
        _ => json(out, ""),
    });
    let proxy = proxy(FaultPlan::one(Rule::always(Fault::Cut)));
    let (known, _) = raw(&proxy.url(), &api.url("/known"));
    assert!(
        known.contains("content-length: 10\r\n") && known.ends_with("\r\n\r\n01234"),
        "{known}"
    );
    let (chunked, _) = raw(&proxy.url(), &api.url("/chunked"));
    assert!(chunked.contains("01234") && !chunked.ends_with("0\r\n\r\n"), "{chunked}");
    raw(&proxy.url(), &api.url("/empty")).1.unwrap_err();
    let outcomes: Vec<_> =
        proxy.finish().unwrap().exchanges.into_iter().map(|e| e.outcome).collect();
    assert_eq!(outcomes, [Outcome::Cut, Outcome::Cut, Outcome::Reset]);
}

#[test]
fn the_same_through_tls() {
    let api = Api::with_tls(|_, out| json(out, "0123456789"));
    let plan = FaultPlan {
        seed: 1,
        rules: [Fault::Reset, Fault::Cut, Fault::status(503)].map(Rule::once).into(),
    };
    let proxy = proxy_to(&api, Mode::Live, plan);
    let client = Client::new(&proxy);
    let url = api.url("/x");
    client.get(&url).unwrap_err();
    client.get(&url).unwrap_err();
    assert_eq!(client.get(&url).unwrap().status, 503);
    assert_eq!(client.get(&url).unwrap().text(), "0123456789");
    let journal = proxy.finish().unwrap();
    let outcomes: Vec<_> = journal.exchanges.iter().map(|e| e.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::Reset, Outcome::Cut, Outcome::Complete, Outcome::Complete]);
    assert!(journal.unrecovered().is_empty());
    assert_eq!(journal.most_repeated().map(|(_, times)| times), Some(4));
}

#[test]
fn an_expired_token_in_the_middle() {
    let api = Api::start(|_, out| json(out, "{}"));
    let rule = Rule::nth(3, Fault::status(401)).except("*/oauth/*");
    let proxy = proxy(FaultPlan::one(rule));
    let client = Client::new(&proxy);
    let paths = ["/oauth/token", "/list?page=1", "/list?page=2", "/list?page=3", "/list?page=3"];
    let statuses = paths.map(|path| client.get(&api.url(path)).unwrap().status);
    assert_eq!(statuses, [200, 200, 200, 401, 200]);
    // Other faults in the next run.
    proxy.set_faults(FaultPlan::one(Rule::always(Fault::status(403))));
    assert_eq!(client.get(&api.url("/list?page=1")).unwrap().status, 403);
}

#[test]
fn who_does_not_wait_is_found() {
    let api = Api::start(|request, out| match request.target.as_str() {
        "/limited" => answer(out, 429, "Retry-After: 60\r\n", ""),
        _ => json(out, "{}"),
    });
    let proxy = proxy(FaultPlan::none());
    let client = Client::new(&proxy);
    client.get(&api.url("/limited")).unwrap();
    client.get(&api.url("/limited")).unwrap();
    client.get(&api.url("/other")).unwrap();
    let journal = proxy.finish().unwrap();
    assert_eq!(journal.too_early(Scope::Request, Duration::ZERO).len(), 1);
    let early = journal.too_early(Scope::Host, Duration::ZERO);
    assert_eq!(early.len(), 3);
    assert!(early[0].early > Duration::from_secs(50), "{:?}", early[0].early);
}
