//! Streams with and without a cursor.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_cursor_paginated_incremental_stream() {
    let first = run(&orders, Plan::anew()).await;
    assert_eq!(first.ids(), (0..ORDERS).collect::<Vec<_>>());
    assert!(first.records.values().all(|count| *count == 1));
    // 2023-01-01 + 63 * 5 days.
    assert_eq!(first.finished(), json!({ "updated_at": "2023-11-12T00:00:00Z" }));
    let asked: Vec<_> = first.sent.iter().filter_map(|sent| sent.query("since")).collect();
    assert_eq!(asked[0], "2023-01-01T00:00:00Z");
    assert!(asked.contains(&"2023-11-01T00:00:00Z".to_owned()));

    let next = run(&orders, Plan::from(state(first.finished()))).await;
    assert_eq!(next.ids(), [63], "the second of the last record is read again");
    assert_eq!(next.finished(), first.finished());
}

#[tokio::test(start_paused = true)]
async fn a_report_by_post_with_the_offset_in_the_body() {
    let first = run(&report, Plan::anew()).await;
    let days: Vec<i64> = (at("2023-10-01") / DAY..=at("2023-11-14") / DAY).collect();
    assert_eq!(first.ids(), days);
    assert!(first.records.values().all(|count| *count == 1));
    assert_eq!(first.finished(), json!({ "date": "20231114" }));
    let next = run(&report, Plan::from(state(json!({ "date": "2023-11-12" })))).await;
    assert_eq!(next.ids(), days[days.len() - 3..]);
}

#[tokio::test(start_paused = true)]
async fn a_full_refresh_without_cursor_resumes_and_ends_with_the_platforms_sentinels() {
    let done = json!({ "__ab_full_refresh_sync_complete": true });
    let none = json!({ "__ab_no_cursor_state_message": true });
    let full = |from| Plan { mode: "full_refresh", ..Plan::from(from) };
    let whole = run(&plain_orders, full(None)).await;
    assert_eq!((whole.finished(), whole.ids().len()), (done.clone(), 64));
    assert_eq!(whole.world.states()[0], json!({ "_resume": { "page": { "value": "4" } } }));
    assert_eq!(whole.world.records("plain").len(), 64);

    let again = run(&plain_orders, full(state(done.clone()))).await;
    assert_eq!((again.finished(), again.sent.len()), (done.clone(), 0));
    // Platforms that ask every stream for increments keep the sentinel for ever.
    let every_time = run(&plain_orders, Plan::from(state(done))).await;
    assert_eq!((every_time.finished(), every_time.ids().len()), (none, 64));

    let definition = plain_orders(&whole.world.client(&Server::new(answer))).definition();
    assert_eq!(
        (definition.is_resumable, definition.source_defined_cursor),
        (Some(true), Some(true))
    );
    assert_eq!(
        serde_json::to_value(&definition.supported_sync_modes).unwrap(),
        json!(["full_refresh"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_token_that_has_expired_begins_the_slice_again() {
    let from = state(json!({ "_resume": { "page": { "value": "expired" } } }));
    let outcome = run_with(&plain_orders, Plan::from(from), |sent| {
        if sent.query("after").as_deref() == Some("expired") {
            Answer::status(400)
        } else {
            answer(sent)
        }
    })
    .await;
    outcome.finished();
    assert_eq!(outcome.ids().len(), 64);
}

#[tokio::test(start_paused = true)]
async fn states_of_other_connectors_are_taken_over() {
    for from in [
        json!({ "updated_at": "2023-10-01T00:00:00+0000" }),
        json!({ "state_type": "date-range", "slices": [
            { "start": "2023-01-01T00:00:00.000Z", "end": "2023-10-01T00:00:00.000Z" }] }),
        json!({ "use_global_cursor": true, "state": { "updated_at": "2023-10-01T00:00:00Z" } }),
    ] {
        let outcome = run(&orders, Plan::from(state(from.clone()))).await;
        assert_eq!(outcome.ids(), [55, 56, 57, 58, 59, 60, 61, 62, 63], "{from}");
        assert_eq!(outcome.finished(), json!({ "updated_at": "2023-11-12T00:00:00Z" }));
    }
    let kept = state(json!({ "updated_at": "2023-10-20T00:00:00Z", "version": 2 }));
    let kept = run(&orders, Plan::from(kept)).await;
    assert_eq!(kept.finished(), json!({ "version": 2, "updated_at": "2023-11-12T00:00:00Z" }));
    let broken = run(&orders, Plan::from(state(json!({ "updated_at": "soon" })))).await;
    let failure = broken.end.unwrap().unwrap_err();
    assert!(failure.error.message().contains("'updated_at'") && broken.sent.is_empty());
    // A simple state of a stream that has partitions now counts for all of them.
    let simple = run(&notes, Plan::from(state(json!({ "created": 11_000 })))).await;
    assert_eq!(simple.ids(), [411, 511, 512, 513, 514]);
}

#[tokio::test(start_paused = true)]
async fn lookback_goes_back_and_leaves_the_watermark() {
    let define =
        |client: &Client| with_cursor(client, |cursor| cursor.lookback(TimeDelta::days(11)));
    let from = state(json!({ "updated_at": "2023-11-12T00:00:00Z" }));
    let outcome = run(&define, Plan::from(from)).await;
    assert_eq!(outcome.ids(), [61, 62, 63]);
    assert_eq!(outcome.sent[0].query("since").as_deref(), Some("2023-11-01T00:00:00Z"));
    assert!(outcome.world.states().iter().all(|s| s["updated_at"] == "2023-11-12T00:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_state_in_the_future_asks_for_nothing_and_stays() {
    let from = json!({ "updated_at": "2030-01-01T00:00:00Z" });
    let outcome = run(&orders, Plan::from(state(from.clone()))).await;
    assert_eq!((outcome.finished(), outcome.sent.len()), (from, 0));
}

#[tokio::test(start_paused = true)]
async fn a_start_in_the_future_is_the_state() {
    let define = |client: &Client| with_cursor(client, |cursor| cursor.from(at("2031-01-01")));
    let outcome = run(&define, Plan::anew()).await;
    assert_eq!(outcome.finished(), json!({ "updated_at": "2031-01-01T00:00:00Z" }));
    assert!(outcome.sent.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_place_in_the_middle_is_kept_unless_it_is_a_number_that_may_move() {
    let resumes = |outcome: &Outcome| {
        outcome.world.states().iter().any(|state| state.get("_resume").is_some())
    };
    assert!(resumes(&run(&orders, Plan::anew()).await));
    assert!(!resumes(&run(&report, Plan::anew()).await));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_records_keeps_its_start() {
    let outcome =
        run_with(&orders, Plan::anew(), |_| Answer::json(&json!({ "data": [], "next": null })))
            .await;
    assert_eq!(outcome.finished(), json!({ "updated_at": "2023-11-01T00:00:00Z" }));
    assert_eq!(outcome.sent.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_beyond_the_present_does_not_move_the_watermark_there() {
    let outcome = run_with(&orders, Plan::anew(), |_| {
        Answer::json(&json!({ "data": [{ "id": 1, "updated_at": "2031-01-01T00:00:00Z" }] }))
    })
    .await;
    assert_eq!(outcome.finished(), json!({ "updated_at": "2023-11-14T22:13:20Z" }));
}

#[tokio::test(start_paused = true)]
async fn records_older_than_the_watermark_are_left_out_where_the_api_cannot() {
    let define = |client: &Client| {
        let cursor = Cursor::new("updated_at", CursorFormat::RFC3339).client_side();
        plain_orders(client).cursor(cursor)
    };
    let from = state(json!({ "updated_at": "2023-10-01T00:00:00Z" }));
    let outcome = run(&define, Plan::from(from)).await;
    assert_eq!(outcome.ids(), [55, 56, 57, 58, 59, 60, 61, 62, 63]);
    assert_eq!(outcome.finished(), json!({ "updated_at": "2023-11-12T00:00:00Z" }));
}

#[tokio::test(start_paused = true)]
async fn with_records_in_order_the_watermark_moves_with_each_page() {
    let define = |client: &Client| {
        let created = Cursor::new("created", CursorFormat::EpochSeconds).ordered();
        RestStream::new(client, "s", schema(), client.get("/customers/c%2F4/notes"))
            .select(Select::list("data"))
            .pages(Paginator::next_link("next"))
            .cursor(created.since(Slot::query("created[gte]")))
    };
    let outcome = run(&define, Plan::anew()).await;
    let marks: Vec<_> = outcome.world.states().iter().map(|s| s["created"].clone()).collect();
    assert_eq!(marks[..6], [1_000, 3_000, 5_000, 7_000, 9_000, 11_000]);
    assert_eq!(outcome.finished(), json!({ "created": 11_000 }));
}

#[tokio::test(start_paused = true)]
async fn slices_side_by_side_move_the_watermark_up_to_the_first_gap() {
    let define = |client: &Client| with_cursor(client, |cursor| cursor.concurrent_slices(4));
    // January hangs, the others go on; then the process dies.
    let outcome = run_with(&define, Plan { dies_at: Some(12), ..Plan::anew() }, |sent| {
        let slow = sent.query("since").unwrap().starts_with("2023-01");
        answer(sent).after(if slow { seconds(60) } else { seconds(1) })
    })
    .await;
    let state_then = Value::Object(outcome.state.clone().unwrap().0);
    assert_eq!(state_then["updated_at"], "2023-01-01T00:00:00Z");
    let month = |text: &str| at(text);
    assert_eq!(state_then["_done"][0][0], month("2023-02-01"), "{state_then}");
    let second = run(&define, Plan::from(outcome.state)).await;
    assert!(!second.sent.iter().any(|sent| sent.query("since").unwrap().starts_with("2023-02")));
    assert_eq!(second.finished(), json!({ "updated_at": "2023-11-12T00:00:00Z" }));
    let mut all = outcome.records;
    all.extend(second.records);
    assert_eq!(all.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn the_next_page_is_asked_for_while_one_is_written() {
    let world = World::new();
    let captured = world.captured.clone();
    let mut written = Vec::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = Server::new(move |sent| {
        written.push(captured.messages().iter().filter(|m| m.kind() == "RECORD").count());
        let _ = sender.send(written.clone());
        answer(sent).after(seconds(1))
    });
    let stream = plain_orders(&world.client(&server));
    let configured = serde_json::from_value(json!({ "stream": stream.definition() })).unwrap();
    let output = world.context.output.stream(stream.definition().descriptor());
    let reading =
        Reading::new(configured, None, output, CheckpointPolicy::default(), Default::default());
    stream.read(&reading).await.unwrap();
    let written = receiver.try_iter().last().unwrap();
    // When page n is asked for, page n - 1 is not written yet.
    assert_eq!(written[..4], [0, 0, 4, 8]);
}
