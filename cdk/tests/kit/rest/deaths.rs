//! Reads that are broken off, and resumed from the last state.

use super::*;

/// Kills a read at each of its requests in turn and resumes it. Nothing may be missing, and
/// what comes twice is bounded.
async fn survives_death_anywhere(
    define: &dyn Fn(&Client) -> RestStream,
    mode: &'static str,
    truth: &[i64],
    most_doubles: usize,
) {
    let plan = |from, dies_at| Plan { mode, dies_at, ..Plan::from(from) };
    for death in 1.. {
        let first = run(define, plan(None, Some(death))).await;
        if first.end.is_some() {
            assert!(death > 5, "died at {death} requests only");
            assert_eq!(first.ids(), truth);
            return;
        }
        let second = run(define, plan(first.state.clone(), None)).await;
        let mut records = first.records.clone();
        second.records.iter().for_each(|(id, count)| *records.entry(*id).or_insert(0) += count);
        let (ids, doubles): (Vec<i64>, usize) =
            (records.keys().copied().collect(), records.values().map(|count| count - 1).sum());
        assert_eq!(ids, truth, "death at request {death}, state {:?}", first.state);
        assert!(doubles <= most_doubles, "{doubles} doubles after death at request {death}");
        second.finished();
    }
}

#[tokio::test(start_paused = true)]
async fn death_at_any_page_of_slices_loses_nothing() {
    let truth: Vec<i64> = (0..ORDERS).collect();
    survives_death_anywhere(&orders, "incremental", &truth, 4).await;
    survives_death_anywhere(&orders, "full_refresh", &truth, 4).await;
    let together = |client: &Client| with_cursor(client, |cursor| cursor.concurrent_slices(3));
    survives_death_anywhere(&together, "incremental", &truth, 3 * 7).await;
    let days: Vec<i64> = (at("2023-10-01") / DAY..=at("2023-11-14") / DAY).collect();
    // Offsets are not gone on from: a slice of ten days begins again.
    survives_death_anywhere(&report, "incremental", &days, 10).await;
}

#[tokio::test(start_paused = true)]
async fn death_at_any_page_of_partitions_loses_nothing() {
    // Each finished customer's last note comes again, and up to a page of each unfinished one.
    let truth: Vec<i64> = (1..=5).flat_map(|c| (0..3 * c).map(move |n| c * 100 + n)).collect();
    survives_death_anywhere(&notes, "incremental", &truth, 10).await;
    let one_by_one = |client: &Client| notes(client).concurrency(1);
    survives_death_anywhere(&one_by_one, "incremental", &truth, 7).await;
    survives_death_anywhere(&plain_notes, "full_refresh", &truth, 20).await;
}

#[tokio::test(start_paused = true)]
async fn death_at_any_page_of_a_full_refresh_loses_nothing() {
    let truth: Vec<i64> = (0..ORDERS).collect();
    survives_death_anywhere(&plain_orders, "full_refresh", &truth, 4).await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_leaves_a_state_to_go_on_from() {
    let world = World::new();
    let server = Server::new(|sent| answer(sent).after(seconds(1)));
    let stream: Arc<dyn Stream> = Arc::new(orders(&world.client(&server)));
    let configured: ConfiguredStream = serde_json::from_value(
        json!({ "stream": stream.definition(), "sync_mode": "incremental" }),
    )
    .unwrap();
    let catalog =
        airbyte_protocol::ConfiguredCatalog { streams: vec![configured], extra: Map::new() };
    let none = airbyte_protocol::InputState::default();
    let stop = tokio::time::sleep(std::time::Duration::from_millis(5500))
        .map(|()| world.context.shutdown.cancel());
    let (ended, ()) =
        tokio::join!(cdk::read::read(vec![stream], catalog, &none, &world.context, 1), stop);
    ended.unwrap();
    let story = world.story();
    assert_eq!(story[story.len() - 3..], ["state", "error", "INCOMPLETE"]);
    let first: Vec<i64> =
        world.records("orders").iter().map(|o| o["id"].as_i64().unwrap()).collect();
    let rest = run(&orders, Plan::from(state(world.states().pop().unwrap()))).await;
    let all: std::collections::BTreeSet<i64> = first.into_iter().chain(rest.ids()).collect();
    assert_eq!(all.len(), 64);
}

#[tokio::test(start_paused = true)]
async fn random_apis_lose_nothing_wherever_they_stop() {
    // Records with cursors anywhere, ties included, and deaths anywhere, several in a row.
    for seed in 0..40u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = random.i64(0..40);
        let records: Arc<Vec<(i64, i64)>> = Arc::new(
            (0..count).map(|id| (id, at("2023-09-01") + random.i64(0..75) * DAY)).collect(),
        );
        let (days, lookback, together) = (random.u32(1..40), random.i64(0..5), random.usize(1..4));
        let define = move |client: &Client| {
            let cursor = Cursor::new("day", CursorFormat::Date)
                .from(at("2023-09-01"))
                .since(Slot::query("since"))
                .until(Slot::query("until"))
                .step(Step::days(days))
                .lookback(TimeDelta::days(lookback))
                .concurrent_slices(together);
            RestStream::new(client, "s", schema(), client.get("/s"))
                .select(Select::list("data"))
                .pages(Paginator::Offset { size: 3, slot: Slot::query("offset") })
                .cursor(cursor)
        };
        let mut found = BTreeMap::new();
        let mut from = None;
        loop {
            let data = records.clone();
            let dies_at = random.bool().then(|| random.usize(1..12));
            let outcome =
                run_with(&define, Plan { dies_at, ..Plan::from(from.clone()) }, move |sent| {
                    let day = |name| CursorFormat::Date.parse(&sent.query(name).unwrap()).unwrap();
                    let range = day("since")..=day("until");
                    let inside = data.iter().filter(|(_, at)| range.contains(at));
                    let found = inside
                        .map(|(id, at)| json!({ "id": id, "day": CursorFormat::Date.text(*at) }));
                    let offset = sent.query("offset").map_or(0, |offset| offset.parse().unwrap());
                    Answer::json(&json!({ "data": page(found.collect(), offset, 3).0 }))
                })
                .await;
            found.extend(outcome.records);
            if let Some(end) = outcome.end {
                end.unwrap();
                break;
            }
            from = outcome.state.or(from);
        }
        let expected: Vec<i64> = (0..count).collect();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), expected, "seed {seed}");
    }
}
