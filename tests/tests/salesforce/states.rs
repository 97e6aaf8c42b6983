//! States: those of Airbyte's connector are understood, and ours are ones that it understands.

use e2e::{Salesforce, Tap, state};
use serde_json::{Value, json};

/// The queries that passed a tap, decoded.
fn queries(tap: &Tap) -> Vec<String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap_or_default();
    let decode = |query: &str| {
        let (mut out, mut rest) = (Vec::new(), query.bytes());
        while let Some(byte) = rest.next() {
            out.push(match byte {
                b'+' => b' ',
                b'%' => {
                    let digits = text(rest.by_ref().take(2).collect());
                    u8::from_str_radix(&digits, 16).unwrap_or(b'?')
                }
                other => other,
            });
        }
        text(out)
    };
    let seen = tap.seen();
    let asked = seen.iter().flat_map(|head| head.query("q"));
    let mut found: Vec<String> = asked.map(|query| decode(&query)).collect();
    found.sort();
    found
}

/// The conditions of the queries of a read of `Group` from a state.
fn conditions(org: &Salesforce, saved: Value, settings: Value) -> Vec<String> {
    let tap = org.tap();
    let job = org.read(&["Group"]).set(org.through(&tap)).set(settings);
    job.state(state::of_stream("Group", saved)).run().succeeded();
    let wheres = queries(&tap).into_iter();
    wheres.filter_map(|q| q.split_once(" WHERE ").map(|(_, end)| end.to_owned())).collect()
}

fn window(from: &str, to: &str) -> String {
    format!("SystemModstamp >= {from} AND SystemModstamp < {to}")
}

/// The conditions without the last bound, which is the present.
fn heads(conditions: &[String]) -> Vec<&str> {
    conditions.iter().map(|text| text.rsplit_once(" < ").map_or("", |(head, _)| head)).collect()
}

#[test]
fn case_12_states_of_every_shape_are_gone_on_from() {
    let org = Salesforce::of_rows(20);
    let start = json!({ "start_date": "2020-01-01T00:00:00Z" });
    let slice = |from: &str, to: &str| json!({ "start": from, "end": to });

    let legacy = json!({ "SystemModstamp": "2026-10-20T00:00:00.000+00:00" });
    let asked = conditions(&org, legacy, start.clone());
    assert_eq!(heads(&asked), ["SystemModstamp >= 2026-10-19T23:50:00.000Z AND SystemModstamp"]);

    let ranges = json!({ "state_type": "date-range",
        "slices": [slice("2020-01-01T00:00:00.000Z", "2026-10-20T00:00:00.000Z")] });
    let asked = conditions(&org, ranges.clone(), start.clone());
    assert_eq!(heads(&asked), ["SystemModstamp >= 2026-10-19T23:50:00.000Z AND SystemModstamp"]);

    let asked = conditions(
        &org,
        ranges.clone(),
        json!({ "start_date": "2019-01-01", "lookback_window": "PT1H" }),
    );
    assert_eq!(asked[0], window("2019-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z"));
    assert!(asked[1].starts_with("SystemModstamp >= 2026-10-19T23:00:00.000Z"), "{asked:?}");

    let gap = json!({ "state_type": "date-range", "slices": [
        slice("2020-01-01T00:00:00.000Z", "2022-01-01T00:00:00.000Z"),
        slice("2023-01-01T00:00:00.000Z", "2026-10-20T00:00:00.000Z"),
    ] });
    let asked = conditions(&org, gap, start.clone());
    assert_eq!(asked[0], window("2022-01-01T00:00:00.000Z", "2023-01-01T00:00:00.000Z"));
    assert!(asked[1].starts_with("SystemModstamp >= 2026-10-19T23:50:00.000Z"), "{asked:?}");

    let mut extra = ranges;
    extra["of_tomorrow"] = json!({ "a": 1 });
    assert_eq!(conditions(&org, extra, start).len(), 1);
}

#[test]
fn case_12_a_state_that_is_not_understood_is_an_error_and_no_new_start() {
    let org = Salesforce::of_rows(20);
    for saved in [json!({ "slices": [{ "start": "soon", "end": "late" }] }), json!({ "x": 1 })] {
        let job = org.read(&["Group"]).state(state::of_stream("Group", saved));
        let read = job.run().failed();
        let said = read.error_of("Group").message.clone();
        assert!(said.contains("saved state"), "{said}");
    }
}

#[test]
fn case_13_states_have_airbytes_shape_bit_for_bit() {
    let org = Salesforce::of_rows(20);
    let read = org.read(&["Group", "CaseStatus"]).run().succeeded();
    for stream in ["Group", "CaseStatus"] {
        let saved = read.last_state(stream);
        let members: Vec<&String> = saved.as_object().expect("a state").keys().collect();
        assert_eq!(members, ["slices", "state_type"]);
        assert_eq!(saved["state_type"], "date-range");
        let [slice] = saved["slices"].as_array().expect("slices").as_slice() else {
            panic!("{saved}")
        };
        assert_eq!(slice["start"], "2020-01-01T00:00:00.000Z");
        for time in ["end", "most_recent_cursor_value"] {
            let time = slice[time].as_str().expect("a time");
            assert!(time.len() == 24 && time.ends_with('Z') && &time[19..20] == ".", "{time}");
        }
        let newest = read.rows(stream).iter().map(|row| row["SystemModstamp"].to_string()).max();
        assert_eq!(newest, Some(slice["most_recent_cursor_value"].to_string()));
    }
    // A full refresh leaves nothing to go on from.
    let full = org.read(&["Group", "ActivityFieldHistory"]).full_refresh().run().succeeded();
    let done = json!({ "__ab_full_refresh_sync_complete": true });
    assert_eq!(full.last_state("Group"), done);
    let nothing = json!({ "__ab_no_cursor_state_message": true });
    assert_eq!(full.last_state("ActivityFieldHistory"), nothing);
    // It was read already in this job: nothing comes again.
    let again = org.read(&["Group"]).full_refresh().state(full.state_file()).run().succeeded();
    assert_eq!(again.rows("Group").len(), 0);
}
