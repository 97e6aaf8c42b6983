//! Streams in parts.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_substream_by_the_records_of_a_parent() {
    let first = run(&notes, Plan::anew()).await;
    let ids: Vec<i64> = (1..=5).flat_map(|c| (0..3 * c).map(move |n| c * 100 + n)).collect();
    assert_eq!(first.ids(), ids);
    assert!(first.world.records("notes").iter().all(|note| {
        let customer = note["id"].as_i64().unwrap() / 100;
        note["customer_id"] == format!("c/{customer}")
    }));
    let end = first.finished();
    assert_eq!(
        (&end["state"], &end["use_global_cursor"]),
        (&json!({ "created": 14_000 }), &json!(false))
    );
    assert!(end["states"].as_array().unwrap().contains(&json!({
        "partition": { "parent_slice": {}, "customer_id": "c/2" }, "cursor": { "created": 5_000 },
    })));
    // Each customer goes on from its own last note.
    let next = run(&notes, Plan::from(state(end))).await;
    assert_eq!(next.ids(), [102, 205, 308, 411, 514]);
}

#[tokio::test(start_paused = true)]
async fn one_worker_is_enough_for_parents_and_children() {
    let plan = Plan { workers: 1, ..Plan::anew() };
    let outcome = tokio::time::timeout(seconds(60), run(&notes, plan)).await.expect("it hangs");
    assert_eq!(outcome.ids().len(), 45);
}

#[tokio::test(start_paused = true)]
async fn partitions_are_read_side_by_side_up_to_the_limit() {
    for (limit, time) in [(1, 15), (5, 3), (100, 3)] {
        let define = move |client: &Client| {
            RestStream::new(client, "s", schema(), client.get("/regions"))
                .select(Select::list("data"))
                .pages(Paginator::cursor("next", Slot::query("after")))
                .partitions(Partitions::values("region", 1..=5).slot(Slot::query("region")))
                .column("region", "region")
                .concurrency(limit)
        };
        let begin = tokio::time::Instant::now();
        let outcome = run_with(&define, Plan::anew(), |sent| {
            let region: i64 = sent.query("region").unwrap().parse().unwrap();
            let from: i64 = sent.query("after").map_or(0, |after| after.parse().unwrap());
            let next = (from < 2).then_some((from + 1).to_string());
            Answer::json(&json!({ "data": [{ "id": region * 10 + from }], "next": next }))
                .after(seconds(1))
        })
        .await;
        assert_eq!(begin.elapsed().as_secs(), time, "at most {limit}");
        assert_eq!(outcome.ids().len(), 15);
        assert_eq!(outcome.world.records("s")[0]["region"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn partitions_of_partitions() {
    let define = |client: &Client| {
        let list =
            |name: &str, path: &str| RestStream::new(client, name, schema(), client.get(path));
        let groups = list("groups", "/groups");
        let users = list("users", "/groups/{group}/users")
            .partitions(Partitions::parent("group", groups, "id"));
        list("mails", "/groups/{group}/users/{user}/mails")
            .partitions(Partitions::parent("user", users, "id"))
            .column("user_id", "user")
            .column("group_id", "parent_slice.group")
    };
    let outcome = run_with(&define, Plan::anew(), |sent| {
        let path = sent.request.url.path().trim_start_matches("/base/").to_owned();
        let parts: Vec<&str> = path.split('/').collect();
        let ids = |ids: &[i64]| {
            Answer::json(&ids.iter().map(|id| json!({ "id": id })).collect::<Value>())
        };
        match parts[..] {
            ["groups"] => ids(&[1, 2]),
            ["groups", group, "users"] => ids(&[group.parse::<i64>().unwrap() * 10]),
            ["groups", group, "users", user, "mails"] => {
                assert!(user.starts_with(group));
                ids(&[user.parse::<i64>().unwrap() * 10])
            }
            _ => Answer::status(500),
        }
    })
    .await;
    outcome.finished();
    let mut records = outcome.world.records("mails");
    records.sort_by_key(|record| record["id"].as_i64());
    assert_eq!(
        records,
        [
            json!({ "id": 100, "user_id": 10, "group_id": 1 }),
            json!({ "id": 200, "user_id": 20, "group_id": 2 })
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_partition_keeps_the_progress_of_the_others() {
    let define = |client: &Client| notes(client).concurrency(1);
    let failing = run_with(&define, Plan::anew(), |sent| {
        if sent.request.url.path().contains("c%2F3") { Answer::status(403) } else { answer(sent) }
    })
    .await;
    assert!(failing.end.as_ref().unwrap().is_err());
    assert_eq!(failing.ids(), [100, 101, 102, 200, 201, 202, 203, 204, 205]);
    let next = run(&notes, Plan::from(failing.state)).await;
    assert!(next.ids().starts_with(&[102, 205, 300]));
    next.finished();
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_gone_has_no_children() {
    let world = World::new();
    let server = Server::new(|sent| {
        if sent.request.url.path().contains("c%2F3") { Answer::status(404) } else { answer(sent) }
    });
    let table = cdk::http::ErrorTable::default()
        .with([cdk::http::Rule::new(cdk::http::Action::Empty).status([404])]);
    let stream = notes(&world.builder(&server).errors(table).build());
    let configured = serde_json::from_value(json!({ "stream": stream.definition() })).unwrap();
    let output = world.context.output.stream(stream.definition().descriptor());
    let reading =
        Reading::new(configured, None, output, CheckpointPolicy::default(), Default::default());
    stream.read(&reading).await.unwrap();
    assert_eq!(world.records("notes").len(), 45 - 9);
}
