//! Paginators walking through an API.

use std::sync::Arc;

use cdk::http::{Body, Client, Failure, Request};
use cdk::json::Select;
use cdk::page::{PageToken, Paginator, Slot};
use serde_json::{Value, json};

use crate::support::{Answer, Sent, Server, World};

/// Ids of `count` records from `from` on, of `total`.
fn ids(from: u64, count: u64, total: u64) -> Vec<Value> {
    (from..(from + count).min(total)).map(|id| json!({ "id": id })).collect()
}

fn number(text: Option<String>) -> Option<u64> {
    text?.parse().ok()
}

/// Walks from `from` and stops after `limit` pages; gives the ids and the next page's token.
async fn walk(
    client: &Client,
    paginator: &Paginator,
    base: &Request,
    from: Option<PageToken>,
    limit: usize,
) -> Result<(Vec<u64>, Option<PageToken>), Failure> {
    let mut pager = paginator.pager(from);
    let mut seen = Vec::new();
    for _ in 0..limit {
        let request = pager.request(base, client)?;
        let page = client.page(&request, &Select::list("data"), &pager.wants()).await?;
        seen.extend(
            page.records()
                .map(|r| cdk::json::fields(r, ["id"])[0].unwrap().parse::<u64>().unwrap()),
        );
        if !pager.advance(&page)? {
            return Ok((seen, None));
        }
    }
    Ok((seen, pager.token().cloned()))
}

/// The whole walk must bring every record once, in one go and when it goes on after each page
/// from a token that went through a state.
async fn complete(
    server: Arc<Server>,
    paginator: Paginator,
    base: fn(&Client) -> Request,
    total: u64,
) {
    let world = World::new();
    let client = world.client(&server);
    let base = base(&client);
    let expected: Vec<u64> = (0..total).collect();
    let (seen, end) = walk(&client, &paginator, &base, None, usize::MAX).await.unwrap();
    assert_eq!((seen, end), (expected.clone(), None));
    let asked = server.sent().len();

    let (mut seen, mut token) = walk(&client, &paginator, &base, None, 1).await.unwrap();
    while let Some(next) = token {
        let kept: PageToken = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        let (more, next) = walk(&client, &paginator, &base, Some(kept), 1).await.unwrap();
        seen.extend(more);
        token = next;
    }
    assert_eq!(seen, expected);
    assert_eq!(server.sent().len(), 2 * asked);
}

#[tokio::test(start_paused = true)]
async fn a_single_page() {
    let server = Server::new(|_| Answer::json(&json!({ "data": ids(0, 5, 5) })));
    complete(server, Paginator::Single, |client| client.get("/things"), 5).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_body() {
    let server = Server::new(|sent| {
        let from = number(sent.query("after")).unwrap_or(0);
        let next = (from + 3 < 8).then(|| (from + 3).to_string());
        Answer::json(&json!({ "data": ids(from, 3, 8), "meta": { "next": next } }))
    });
    let paginator =
        Paginator::Cursor { token: "meta.next".into(), has_more: None, slot: Slot::query("after") };
    complete(server, paginator, |client| client.get("/things"), 8).await;
}

#[tokio::test(start_paused = true)]
async fn a_token_that_says_no_more_by_a_flag() {
    let server = Server::new(|sent| {
        let from = number(sent.query("page[after]")).unwrap_or(0);
        let meta = json!({ "after": from + 3, "has_more": from + 3 < 6 });
        Answer::json(&json!({ "data": ids(from, 3, 6), "meta": meta }))
    });
    let paginator = Paginator::Cursor {
        token: "meta.after".into(),
        has_more: Some("meta.has_more".into()),
        slot: Slot::query("page[after]"),
    };
    complete(server, paginator, |client| client.get("/things"), 6).await;
}

#[tokio::test(start_paused = true)]
async fn a_compound_token_in_a_post_body() {
    let server = Server::new(|sent| {
        let Body::Json(body) = &sent.request.body else { panic!("no JSON body") };
        assert_eq!(body["query"], "x");
        let from = body["search_after"][1].as_u64().unwrap_or(0);
        let next = if from + 2 < 7 { json!(["k", from + 2]) } else { Value::Null };
        Answer::json(&json!({ "data": ids(from, 2, 7), "sort": next }))
    });
    let paginator = Paginator::Cursor {
        token: "sort".into(),
        has_more: None,
        slot: Slot::Body("search_after".into()),
    };
    complete(server, paginator, |client| client.post("/search").json(json!({ "query": "x" })), 7)
        .await;
}

fn linked(sent: &Sent) -> (u64, Option<String>) {
    assert_eq!(sent.request.url.path(), "/base/things");
    assert_eq!(sent.query("limit").as_deref(), Some("2"));
    assert_eq!(sent.request.full_url().query().unwrap().matches("limit").count(), 1);
    let from = number(sent.query("from")).unwrap_or(0);
    let next = format!("https://api.example.com/base/things?limit=2&from={}", from + 2);
    (from, (from + 2 < 7).then_some(next))
}

#[tokio::test(start_paused = true)]
async fn a_link_in_the_body() {
    let server = Server::new(|sent| {
        let (from, next) = linked(sent);
        Answer::json(&json!({ "data": ids(from, 2, 7), "links": { "next": next } }))
    });
    let paginator = Paginator::NextLink { link: "links.next".into(), has_more: None };
    complete(server, paginator, |client| client.get("/things").query("limit", 2), 7).await;
}

#[tokio::test(start_paused = true)]
async fn a_relative_link_with_a_flag() {
    let server = Server::new(|sent| {
        let (from, _) = linked(sent);
        let next = format!("/base/things?limit=2&from={}", from + 2);
        Answer::json(
            &json!({ "data": ids(from, 2, 7), "next": next, "end": false, "more": from + 2 < 7 }),
        )
    });
    let paginator = Paginator::NextLink { link: "next".into(), has_more: Some("more".into()) };
    complete(server, paginator, |client| client.get("/things").query("limit", 2), 7).await;
}

#[tokio::test(start_paused = true)]
async fn a_link_header() {
    let server = Server::new(|sent| {
        let (from, next) = linked(sent);
        let answer = Answer::json(&json!({ "data": ids(from, 2, 7) }));
        match next {
            Some(next) => answer
                .header("link", &format!(r#"<https://x/>; rel="first", <{next}>; rel="next""#)),
            None => answer.header("link", r#"<https://x/>; rel="first""#),
        }
    });
    complete(server, Paginator::LinkHeader, |client| client.get("/things").query("limit", 2), 7)
        .await;
}

#[tokio::test(start_paused = true)]
async fn numbered_pages() {
    for (first, total) in [(0, 7), (1, 7), (1, 6), (1, 0)] {
        let server = Server::new(move |sent| {
            let page = number(sent.query("page")).expect("the first page has its number too");
            Answer::json(&json!({ "data": ids((page - first) * 3, 3, total) }))
        });
        let paginator = Paginator::PageNumber { first, size: 3, slot: Slot::query("page") };
        complete(server, paginator, |client| client.get("/things"), total).await;
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_in_a_query_and_in_a_body() {
    let server = Server::new(|sent| {
        let from = number(sent.query("offset")).unwrap_or(0);
        Answer::json(&json!({ "data": ids(from, 3, 7) }))
    });
    let paginator = Paginator::Offset { size: 3, slot: Slot::query("offset") };
    complete(server, paginator, |client| client.get("/things"), 7).await;

    let server = Server::new(|sent| {
        let Body::Json(body) = &sent.request.body else { panic!("no JSON body") };
        let from = body["page"]["offset"].as_u64().unwrap_or(0);
        Answer::json(&json!({ "data": ids(from, 3, 9) }))
    });
    let paginator = Paginator::Offset { size: 3, slot: Slot::Body("page.offset".into()) };
    complete(server, paginator, |client| client.post("/report").json(json!({})), 9).await;
}

fn after_last_id(total: u64) -> Arc<Server> {
    Server::new(move |sent| {
        let from = number(sent.query("starting_after")).map_or(0, |id| id + 1);
        Answer::json(&json!({ "data": ids(from, 2, total), "has_more": from + 2 < total }))
    })
}

fn last_id() -> Paginator {
    Paginator::LastId {
        field: "id".into(),
        has_more: "has_more".into(),
        slot: Slot::query("starting_after"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_records_id() {
    complete(after_last_id(7), last_id(), |client| client.get("/things"), 7).await;
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_pages_in_a_row_without_a_slip() {
    let world = World::new();
    let mut count = 0u32;
    let inner = after_last_id(20_000);
    // Now and then the server is limited, down or cut off.
    let server = Server::new(move |sent| {
        count += 1;
        match count % 100 {
            7 => Answer::status(429).header("retry-after", "1"),
            31 => Answer::status(503),
            59 => Answer::text(200, r#"{"data":[{"id":"#).cut(),
            _ => inner.answer(sent),
        }
    });
    let client = world.client(&server);
    let (seen, end) =
        walk(&client, &last_id(), &client.get("/things"), None, usize::MAX).await.unwrap();
    assert!(seen.iter().copied().eq(0..20_000) && end.is_none());
    assert!(server.sent().len() > 10_000);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_twice_is_an_error_and_no_endless_walk() {
    let world = World::new();
    let server = Server::new(|_| Answer::json(&json!({ "data": ids(0, 1, 1), "next": "same" })));
    let client = world.client(&server);
    let paginator =
        Paginator::Cursor { token: "next".into(), has_more: None, slot: Slot::query("after") };
    let base = client.get("/things");
    let failure = walk(&client, &paginator, &base, None, usize::MAX).await.unwrap_err();
    assert!(failure.error.message().contains("same page token twice"), "{}", failure.error);
    assert_eq!(server.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_pages_without_a_way_to_them_is_an_error() {
    let world = World::new();
    let server = Server::new(|_| Answer::json(&json!({ "data": [], "has_more": true })));
    let client = world.client(&server);
    let base = client.get("/things");
    let failure = walk(&client, &last_id(), &base, None, usize::MAX).await.unwrap_err();
    assert!(failure.error.message().contains("no id to go on from"), "{}", failure.error);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_no_object_takes_the_token_all_the_same() {
    let world = World::new();
    let server = Server::new(|sent| {
        let Body::Json(body) = &sent.request.body else { panic!("no JSON body") };
        let from = body["page"]["after"].as_u64().unwrap_or(0);
        let next = (from < 2).then_some(from + 1);
        Answer::json(&json!({ "data": ids(from, 1, 3), "next": next }))
    });
    let client = world.client(&server);
    let paginator = Paginator::Cursor {
        token: "next".into(),
        has_more: None,
        slot: Slot::Body("page.after".into()),
    };
    let base = client.post("/search").json(json!({ "page": "first" }));
    let (seen, _) = walk(&client, &paginator, &base, None, usize::MAX).await.unwrap();
    assert_eq!(seen, [0, 1, 2]);
}
