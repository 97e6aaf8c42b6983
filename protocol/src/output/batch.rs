//! A buffer of RECORD lines.

use std::sync::Arc;

use crate::clock;

/// RECORD lines of one stream, made ready in memory to be written at once.
///
/// Made by [`crate::StreamOutput::batch`] and given to [`crate::StreamOutput::records`]. The
/// buffer is reused, and a record costs no allocation.
pub struct RecordBatch {
    bytes: Vec<u8>,
    records: usize,
    /// The line up to the data.
    prefix: Arc<[u8]>,
    /// The line after the data; made with the first record, whose time stamp all of them bear.
    suffix: String,
}

impl RecordBatch {
    pub(super) fn new(prefix: Arc<[u8]>, bytes: Vec<u8>) -> Self {
        Self { bytes, records: 0, prefix, suffix: String::new() }
    }

    /// Adds a record, whose JSON object is the concatenation of `parts`.
    ///
    /// Newlines in the parts are insignificant and dropped. What is not an object, or is an empty
    /// one, is not a record: it is left out, and the answer is `false`.
    pub fn push(&mut self, parts: &[&[u8]]) -> bool {
        if !is_record(parts) {
            return false;
        }
        if self.records == 0 {
            self.suffix = format!(",\"emitted_at\":{}}}}}\n", clock::now_ms());
        }
        let data: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes.reserve(self.prefix.len() + data + self.suffix.len());
        self.bytes.extend_from_slice(&self.prefix);
        for part in parts {
            push_without_newlines(&mut self.bytes, part);
        }
        self.bytes.extend_from_slice(self.suffix.as_bytes());
        self.records += 1;
        true
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.records
    }

    /// The number of bytes of all lines.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no record yet.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Whether the parts begin like an object with a member.
fn is_record(parts: &[&[u8]]) -> bool {
    let mut bytes =
        parts.iter().flat_map(|part| part.iter()).filter(|byte| !byte.is_ascii_whitespace());
    bytes.next() == Some(&b'{') && bytes.next() == Some(&b'"')
}

fn push_without_newlines(out: &mut Vec<u8>, mut part: &[u8]) {
    while let Some(at) = memchr::memchr2(b'\n', b'\r', part) {
        out.extend_from_slice(&part[..at]);
        part = &part[at + 1..];
    }
    out.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::message::Message;

    fn batch() -> RecordBatch {
        let prefix: &[u8] = b"{\"type\":\"RECORD\",\"record\":{\"stream\":\"s\",\"data\":";
        RecordBatch::new(prefix.into(), Vec::new())
    }

    #[test]
    fn newlines_between_tokens_are_dropped() {
        let mut batch = batch();
        assert!(batch.push(&[b"{\r\n  \"a\": \"x\\ny\",", b"\n\"b\":[1,\n2]\n}"]));
        let text = String::from_utf8(batch.into_bytes()).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(text.contains(r#""data":{  "a": "x\ny","b":[1,2]},"emitted_at":"#), "{text}");
    }

    #[test]
    fn what_is_no_record_is_left_out() {
        let mut batch = batch();
        for data in ["{}", " { \n } ", "", "[1]", "null", "4", "{"] {
            assert!(!batch.push(&[data.as_bytes()]), "{data}");
        }
        assert!(!batch.push(&[b"{", b"  ", b"}"]));
        assert!(batch.is_empty() && batch.bytes() == 0);
        assert!(batch.push(&[b"{", b"\"a\":1}"]));
        assert_eq!(batch.len(), 1);
    }
    proptest! {
        #[test]
        fn any_record_comes_out_as_it_went_in(
            records in prop::collection::vec(("[a-z\\n\"\\\\é]{0,9}", any::<f64>(), any::<i64>()), 0..6),
            is_pretty in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        ) {
            let mut batch = batch();
            let records: Vec<Value> =
                records.into_iter().map(|(s, f, i)| json!({s.clone(): [s, f, {"i": i}]})).collect();
            for record in &records {
                let text = if is_pretty { format!("\r\n{record:#}\n") } else { record.to_string() };
                let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
                at.sort_unstable();
                let mut parts = Vec::new();
                let mut from = 0;
                for to in at.into_iter().chain([text.len()]) {
                    parts.push(&text.as_bytes()[from..to]);
                    from = to;
                }
                prop_assert!(batch.push(&parts));
            }
            prop_assert_eq!(batch.len(), records.len());
            let text = String::from_utf8(batch.into_bytes()).unwrap();
            prop_assert_eq!(text.lines().count(), records.len());
            for (line, expected) in text.lines().zip(&records) {
                let Ok(Message::Record(record)) = Message::parse(line) else {
                    return Err(TestCaseError::fail(format!("not a record: {line}")));
                };
                let expected = expected.to_string();
                let value: Value = serde_json::from_str(record.data.get()).unwrap();
                prop_assert_eq!(value.to_string(), expected);
            }
        }
    }
}
