//! The fuzz targets with bytes made at random, so that they run with every test.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use proptest::prelude::*;

const JSON: &[&str] = &[
    r#"{"data":[{"id":"a","n":1e400},{"id":2}],"meta":{"next":"x","more":true}}"#,
    r#"[{"id":null},{"id":{"id":"\u00e4"}}]"#,
    r#"{"data":{"id":-0.0},"data":[1,"2"]}"#,
];
const HEADERS: &[&str] = &[
    "120",
    "1.5",
    "Sun, 06 Nov 1994 08:50:07 GMT",
    r#"<https://h/a?p=1>; rel="prev", </a?p=3,4;x>; title="n"; rel="next last""#,
];
const FILES: &[&str] = &[
    "\u{3}Id,Name\r\n1,\"a \"\"b\"\"\n\"\r\n2,NA\n",
    "\u{1}{\"a\":1}\n\n{\"b\":[2]}\r\n",
    "\u{7}\u{feff}a,b,c,d,e,f\n1,2.0,3.0,TRUE,[1],x\n,,,,,\n",
];
const CURSORS: &[&str] = &[
    "2026-01-31T12:00:00.123+01:30",
    "2026-01-31",
    "1769860800000",
    "31.01.2026 12:00",
    "%Y-%m-%dT%H:%M:%S%.3f%z",
];
const STATES: &[&str] = &[
    r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"},"stream_state":{"updated_at":"2026-01-01"}}}]"#,
    r#"{"s":{"state_type":"date-range","slices":[{"start":"2026-01-01","end":"2026-02-01"}]}}"#,
    r#"[{"type":"GLOBAL","global":{"shared_state":{},"stream_states":[{"stream_descriptor":{"name":"s"},
        "stream_state":{"use_global_cursor":false,"states":[{"partition":{"id":1},"cursor":{"updated_at":"2026"}}],
        "state":{"updated_at":"2026-01-01"},"lookback_window":5}}]}}]"#,
];
const CATALOGS: &[&str] = &[
    r#"{"streams":[{"stream":{"name":"s","json_schema":{"properties":{}},"supported_sync_modes":["full_refresh"]},
        "sync_mode":"incremental","destination_sync_mode":"append","cursor_field":["a"],"primary_key":[["id"]],"generation_id":1}]}"#,
];
const MESSAGES: &[&str] = &[
    r#"{"type":"RECORD","record":{"stream":"s","data":{"id":1},"emitted_at":1700000000000}}"#,
    r#"{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"s"},"stream_state":{"a":1}},"sourceStats":{"recordCount":1.0}}}"#,
    r#"{"type":"TRACE","trace":{"type":"STREAM_STATUS","emitted_at":1.5,"stream_status":{"stream_descriptor":{"name":"s"},"status":"RUNNING","reasons":[{"type":"RATE_LIMITED","rate_limited":{"quota_reset":1}}]}}}"#,
    r#"{"type":"LOG","log":{"level":"INFO","message":"x"}}"#,
    r#"{"type":"CATALOG","catalog":{"streams":[{"name":"s","json_schema":{}}]}}"#,
    r#"{"type":"NEW","new":{"a":[1]}}"#,
];

/// Samples with bytes cut out, put in, repeated and replaced; sometimes nothing but noise.
fn mutants(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<usize>(), 0usize..24, proptest::collection::vec(any::<u8>(), 0..4));
    let sample = proptest::sample::select(samples).prop_map(|text| text.as_bytes().to_vec());
    let edits = (sample, proptest::collection::vec((edit, any::<bool>()), 0..5));
    let edited = edits.prop_map(|(mut bytes, edits)| {
        for ((at, length, new), repeats) in edits {
            let start = at % (bytes.len() + 1);
            let end = (start + length).min(bytes.len());
            let old = bytes[start..end].to_vec();
            let new = if repeats { old.repeat(2) } else { new };
            bytes.splice(start..end, new);
        }
        bytes
    });
    prop_oneof![9 => edited, 1 => proptest::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #[test]
    fn json(data in mutants(JSON)) { targets::json(&data); }

    #[test]
    fn headers(data in mutants(HEADERS)) { targets::headers(&data); }

    #[test]
    fn files(data in mutants(FILES)) { targets::files(&data); }

    #[test]
    fn cursors(data in mutants(CURSORS)) { targets::cursors(&data); }

    #[test]
    fn state(data in mutants(STATES)) { targets::state(&data); }

    #[test]
    fn catalog(data in mutants(CATALOGS)) { targets::catalog(&data); }

    #[test]
    fn message(data in mutants(MESSAGES)) { targets::message(&data); }
}
