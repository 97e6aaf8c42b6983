use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::checks::arbitrary_json;

fn found(check: impl FnOnce(&mut Sheet)) -> Vec<(&'static str, Level, String)> {
    let mut sheet = Sheet::new();
    check(&mut sheet);
    sheet.findings().map(|f| (f.rule.id, f.level, f.message.clone())).collect()
}

#[track_caller]
fn assert_one(found: Vec<(&'static str, Level, String)>, id: &str, level: Level, part: &str) {
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (id, level), "{found:?}");
    assert!(found[0].2.contains(part), "{found:?}");
}

fn good_metadata() -> Value {
    json!({"data": {"name": "Thing", "supportLevel": "certified", "dockerRepository": "example/source-thing",
        "dockerImageTag": "1.2.3", "allowedHosts": {"hosts": ["api.example.com"]},
        "suggestedStreams": {"streams": ["a"]}}})
}

fn catalog() -> Value {
    json!({"streams": [{"name": "a", "source_defined_primary_key": [["id"]]}]})
}

#[test]
fn a01_primary_keys() {
    assert_eq!(found(|sheet| primary_keys(&catalog(), &[], sheet)), []);
    let bare = json!({"streams": [{"name": "a"}, {"name": "b", "source_defined_primary_key": []}]});
    let exempt = ["a".to_owned()];
    assert_one(
        found(|sheet| primary_keys(&bare, &exempt, sheet)),
        "A01",
        Level::Error,
        "no primary key",
    );
}

#[test]
fn a02_a03_metadata() {
    let check = |value: &Value| found(|sheet| metadata(value, Some(&catalog()), sheet));
    assert_eq!(check(&good_metadata()), []);
    let mut wrong = good_metadata();
    wrong["data"]["allowedHosts"]["hosts"] = json!([]);
    assert_one(check(&wrong), "A02", Level::Error, "allowedHosts");
    wrong["data"]["supportLevel"] = json!("community");
    assert_one(check(&wrong), "A02", Level::Note, "allowedHosts");
    let mut wrong = good_metadata();
    wrong["data"]["suggestedStreams"] = Value::Null;
    assert_one(check(&wrong), "A03", Level::Error, "suggestedStreams");
    wrong["data"]["suggestedStreams"] = json!({"streams": ["a", "gone"]});
    assert_one(check(&wrong), "A03", Level::Error, "gone");
    assert!(is_certified(&json!({"data": {"ab_internal": {"ql": 400}}})));
    assert!(!is_certified(&json!({"data": {"ab_internal": {"ql": 300}}})));
}

#[test]
fn a04_a05_images() {
    let good = json!([{"Config": {"Labels": {"io.airbyte.name": "example/source-thing", "io.airbyte.version": "1.2.3"},
        "Env": ["PATH=/bin", "AIRBYTE_ENTRYPOINT=/airbyte/source-thing --x"], "Entrypoint": ["/airbyte/source-thing", "--x"]}}]);
    let check =
        |image_value: &Value| found(|sheet| image(image_value, Some(&good_metadata()), sheet));
    assert_eq!(check(&good), []);
    assert_eq!(check(&good[0]), []);
    let mut wrong = good.clone();
    wrong[0]["Config"]["Labels"]["io.airbyte.version"] = json!("dev");
    assert_one(check(&wrong), "A04", Level::Error, "dev");
    wrong[0]["Config"]["Labels"]["io.airbyte.version"] = Value::Null;
    assert_one(check(&wrong), "A04", Level::Error, "missing");
    let mut wrong = good.clone();
    wrong[0]["Config"]["Env"] = json!([]);
    assert_one(check(&wrong), "A05", Level::Error, "not set");
    wrong[0]["Config"]["Env"] = json!(["AIRBYTE_ENTRYPOINT=/other"]);
    assert_one(check(&wrong), "A05", Level::Error, "/other");
    wrong[0]["Config"]["Entrypoint"] = Value::Null;
    assert_one(check(&wrong), "A05", Level::Error, "no entrypoint");
}

const DOCUMENT: &str = "# Thing

## Prerequisites

- The **Start Date** of your data
- An account

## Setup guide

### Step 1: Set up Thing

See [limits](#limitations--troubleshooting), [other](other.md#usage), [web](https://example.com/).

## Supported sync modes

## Supported Streams

## Limitations & Troubleshooting

## Changelog
";

fn spec() -> Value {
    json!({"connectionSpecification": {"required": ["start_date", "credentials"],
        "properties": {"start_date": {"title": "Start date"}, "credentials": {"title": "Login"}}}})
}

fn documented(text: &str, ask: Option<AskLink<'_>>) -> Vec<(&'static str, Level, String)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("other.md"), "# Other\n\n<a id=\"usage\"></a>\n").unwrap();
    let path = folder.path().join("thing.md");
    found(|sheet| {
        documentation(Document { text, path: &path, name: "Thing" }, Some(&spec()), ask, sheet)
    })
}

#[test]
fn a06_headings() {
    assert_eq!(documented(DOCUMENT, None), []);
    let text = DOCUMENT.replace("## Changelog", "## News");
    assert_one(documented(&text, None), "A06", Level::Error, "changelog");
    let text = DOCUMENT
        .replace("## Supported sync modes\n", "")
        .replace("## Changelog", "## Changelog\n\n## Supported sync modes");
    assert_one(documented(&text, None), "A06", Level::Error, "comes after");
}

#[test]
fn a07_prerequisites() {
    let text = DOCUMENT.replace("**Start Date** of", "beginning of");
    assert_one(documented(&text, None), "A07", Level::Error, "`Start date`");
    let text = DOCUMENT.replace("- An account\n", "");
    assert_one(documented(&text, None), "A07", Level::Error, "credentials");
}

#[test]
fn a08_links() {
    let text = DOCUMENT.replace("#limitations--troubleshooting", "#limits");
    assert_one(documented(&text, None), "A08", Level::Error, "#limits");
    let text = DOCUMENT.replace("other.md#usage", "gone.md");
    assert_one(documented(&text, None), "A08", Level::Error, "no such file");
    let text = DOCUMENT.replace("other.md#usage", "other.md#gone");
    assert_one(documented(&text, None), "A08", Level::Error, "that file");
    let ask = |url: &str| match url {
        "https://example.com/" => Err("404".to_owned()),
        _ => Ok(()),
    };
    assert_one(documented(DOCUMENT, Some(&ask)), "A08", Level::Error, "404");
    let mut sheet = Sheet::new();
    let document = Document {
        text: "[x](https://example.com)",
        path: std::path::Path::new("x.md"),
        name: "x",
    };
    documentation(document, None, None, &mut sheet);
    assert_eq!(sheet.tally(&rules::A08).unwrap().skipped.len(), 1);
}

#[test]
fn a09_interleaved_streams() {
    let manifest = json!({
        "definitions": {
            "router": {"type": "SubstreamPartitionRouter", "parent_stream_configs": [{"stream": {"$ref": "#/definitions/streams/parent"}}]},
            "streams": {
                "parent": {"name": "parents", "retriever": {}},
                "child": {"name": "children", "retriever": {"partition_router": {"$ref": "#/definitions/router"}}},
            },
        },
        "streams": [{"$ref": "#/definitions/streams/child"}],
    });
    let check = |metadata: Value| found(|sheet| interleaved(&manifest, &metadata, sheet));
    assert_one(check(json!({"data": {}})), "A09", Level::Warning, "parents");
    let declared =
        json!({"data": {"interleavedStreams": {"relationships": [["children", "parents"]]}}});
    assert_eq!(check(declared), []);
}

#[test]
fn a10_file_types() {
    let data: Vec<Value> =
        ["x/a.avro", "b.csv.gz", "https://h.example/c.JSONL?sig=1", "d.parquet", "e.pdf"]
            .iter()
            .map(|url| json!({"_ab_source_file_url": url}))
            .collect();
    assert_eq!(found(|sheet| file_types(&data, &[], sheet)), []);
    assert_one(found(|sheet| file_types(&data[1..], &[], sheet)), "A10", Level::Error, ".avro");
    assert_eq!(found(|sheet| file_types(&data[1..], &[".avro".to_owned()], sheet)), []);
    assert_one(found(|sheet| file_types(&data[..4], &[], sheet)), "A10", Level::Error, ".pdf");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(a in arbitrary_json(), b in arbitrary_json(), text in "[#\\[\\]()a-z \n{}<\"=:./-]{0,80}") {
        found(|sheet| {
            primary_keys(&a, &[], sheet);
            metadata(&a, Some(&b), sheet);
            image(&a, Some(&b), sheet);
            interleaved(&a, &b, sheet);
            file_types([&a, &b], &[], sheet);
            let document = Document { text: &text, path: std::path::Path::new("x.md"), name: "a" };
            documentation(document, Some(&a), None, sheet);
        });
    }
}
