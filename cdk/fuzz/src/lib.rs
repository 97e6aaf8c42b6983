//! What must hold for any bytes that a server or a user sends: one function for each fuzz
//! target. The kit's tests call the same functions with bytes made at random.

use airbyte_protocol::{ConfiguredCatalog, InputState, Message, StreamDescriptor};
use bytes::Bytes;
use cdk::cursor::CursorFormat;
use cdk::decode::{Body, Csv, JsonLines, Member, RowWriter, column, gunzip};
use cdk::http::{Broken, http_date, retry_after};
use cdk::json::{self, Path, Select};
use cdk::page::next_link;
use cdk::state::{PartitionStates, Watermark};
use futures::StreamExt;

/// Records and values found in a body are JSON, and those that a tree would show.
pub fn json(data: &[u8]) {
    let paths = ["meta.next", "data", ""].map(Path::from);
    let wanted: Vec<&Path> = paths.iter().collect();
    let body = Bytes::copy_from_slice(data);
    for select in [Select::list("data"), Select::list(""), Select::One("data".into())] {
        let Ok(page) = json::locate(body.clone(), &select, &wanted) else { continue };
        assert_eq!(page.records().count(), page.len());
        for record in page.records() {
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(record).is_ok());
            let [id] = json::fields(record, ["id"]);
            assert!(id.is_none_or(|id| record.contains(id)));
            let more = json::append(record, "\"added\":1").concat();
            let is_object = record.starts_with('{');
            assert!(!is_object || serde_json::from_slice::<serde::de::IgnoredAny>(&more).is_ok());
        }
        let text = std::str::from_utf8(data).expect("a located body is text");
        assert_eq!(page.value(2).is_some(), text.trim() != "null");
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = (json::fields(text, ["a", "b"]), json::get(text, &paths[0]));
        let _ = (json::plain(text), json::integer(text));
    }
}

/// Waits are bounded, and an address is a part of its header.
pub fn headers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let now = http_date("Sun, 06 Nov 1994 08:49:37 GMT").expect("the date of RFC 9110");
    let day = std::time::Duration::from_secs(86_400);
    assert!(retry_after(&text, now).is_none_or(|wait| wait <= day));
    assert!(next_link(&text).is_none_or(|link| text.contains(&link)));
}

/// Rows are the same however their bytes are cut, and become JSON. The first byte says how
/// they are cut.
pub fn files(data: &[u8]) {
    let Some((size, file)) = data.split_first() else { return };
    let size = usize::from(*size % 32) + 1;
    let whole = |file: &[u8]| pieces(file, file.len().max(1));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        assert_eq!(rows(whole(file)).await, rows(pieces(file, size)).await);
        assert_eq!(lines(whole(file)).await, lines(pieces(file, size)).await);
        let packed = [&[0x1f, 0x8b, 8, 0], file].concat();
        assert_eq!(
            lines(gunzip(whole(&packed))).await.ok(),
            lines(gunzip(pieces(&packed, size))).await.ok()
        );
    });
}

fn pieces(file: &[u8], size: usize) -> Body {
    let pieces: Vec<_> = file.chunks(size).map(|p| Ok(Bytes::copy_from_slice(p))).collect();
    futures::stream::iter(pieces).boxed()
}

async fn rows(body: Body) -> Result<Vec<Vec<u8>>, String> {
    let text = |broken: Broken| broken.to_string();
    let mut csv = Csv::open(body, b',').await.map_err(text)?;
    let converts: [column::Convert; 6] = [
        column::text,
        column::number,
        column::integer,
        column::boolean,
        column::json,
        column::string,
    ];
    let columns = csv.headers().enumerate().zip(converts.into_iter().cycle());
    let members = columns.map(|((at, name), convert)| Member::cell(name, at, convert));
    let mut writer = RowWriter::new(members);
    let mut all = Vec::new();
    while let Some(row) = csv.next().await.map_err(text)? {
        let json = writer.json(row);
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(json).is_ok());
        all.push(json.to_vec());
    }
    Ok(all)
}

async fn lines(body: Body) -> Result<Vec<Bytes>, String> {
    let mut lines = JsonLines::new(body);
    let mut all = Vec::new();
    while let Some(line) = lines.next().await.map_err(|broken| broken.to_string())? {
        all.push(line);
    }
    Ok(all)
}

/// What parses is written as a text that means the same.
pub fn cursors(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let own = CursorFormat::custom("%d.%m.%Y %H:%M").expect("a pattern");
    let formats = [CursorFormat::RFC3339, CursorFormat::Date, CursorFormat::EpochMillis, own];
    for format in formats {
        let _ = format.parse_json(&text);
        let Some(at) = format.parse(&text) else { continue };
        // Years of more than four digits have no text in these forms.
        if CursorFormat::Date.text(at).len() == "2026-01-01".len() {
            assert_eq!(format.parse(&format.text(at)), Some(format.floor(at)), "{text}");
        }
    }
    if let Ok(own) = CursorFormat::custom(&text) {
        let _ = own.parse(&own.text(0));
    }
}

/// A state file is read or refused, and each view of a state can be taken.
pub fn state(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(state) = InputState::parse(&text) else { return };
    let watermark = Watermark { key: "updated_at".into(), format: CursorFormat::RFC3339 };
    for name in ["s", "orders", ""] {
        let Some(state) = state.stream(&StreamDescriptor::new(name)) else { continue };
        let _ = watermark.read(state);
        let partitions = PartitionStates::bounded(3).load(state);
        let again = PartitionStates::bounded(3).load(&partitions.state());
        assert_eq!(again.state(), partitions.state());
    }
}

/// A catalog that is accepted can be written and read again.
pub fn catalog(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(catalog) = ConfiguredCatalog::parse(&text) else { return };
    let again = serde_json::to_string(&catalog).expect("a catalog is JSON");
    assert_eq!(ConfiguredCatalog::parse(&again).ok(), Some(catalog));
}

/// A line that is a message stays one, of the same kind, when it is written again.
pub fn message(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(message) = Message::parse(&text) else { return };
    let line = message.to_line();
    assert!(!line.contains('\n'));
    let again = Message::parse(&line).expect("what was written can be read");
    assert_eq!(again.kind(), message.kind());
    assert_eq!(again.to_line(), line);
}
