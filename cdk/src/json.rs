//! Raw access to JSON: records and values are found in a body's bytes and stay
//! slices of those bytes.
//!
//! A page is validated once, while its records are located; nothing is built into a
//! tree. Numbers, key order and unknown fields therefore leave as they came.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Where something sits inside a JSON document: object keys from the root down.
///
/// The empty path is the document itself. Written `a.b.c`; a key that holds a dot is
/// given with [`Path::of`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// The document itself.
    pub fn root() -> Self {
        Path(Vec::new())
    }

    /// A path from its keys.
    pub fn of<I: IntoIterator<Item = S>, S: Into<String>>(keys: I) -> Self {
        Path(keys.into_iter().map(Into::into).collect())
    }

    /// The keys, outermost first.
    pub fn keys(&self) -> &[String] {
        &self.0
    }
}

impl From<&str> for Path {
    fn from(dotted: &str) -> Self {
        if dotted.is_empty() { Path::root() } else { Path::of(dotted.split('.')) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// A response body with the places of its records and of some wanted values.
#[derive(Debug, Clone)]
pub struct Located {
    body: Bytes,
    records: Vec<Range<usize>>,
    values: Vec<Option<Range<usize>>>,
}

impl Located {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The JSON text of record `index`; `None` past the end.
    pub fn record(&self, index: usize) -> Option<&str> {
        text(&self.body, self.records.get(index)?)
    }

    /// The records' JSON texts in the order of the body.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.records.iter().filter_map(|range| text(&self.body, range))
    }

    /// Record `index` as a slice that shares the body's memory.
    pub fn share(&self, index: usize) -> Option<Bytes> {
        self.records.get(index).map(|range| self.body.slice(range.clone()))
    }

    /// The JSON text of the wanted value `index`, in the order of the request;
    /// `None` when it is absent or null.
    pub fn value(&self, index: usize) -> Option<&str> {
        text(&self.body, self.values.get(index)?.as_ref()?)
    }

    /// The whole body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

fn text<'a>(body: &'a Bytes, range: &Range<usize>) -> Option<&'a str> {
    std::str::from_utf8(body.get(range.clone())?).ok()
}

/// Which part of a body the records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Select {
    /// The elements of the array at this path; absent or null means no records.
    List(Path),
    /// The one value at this path; absent or null means no records.
    One(Path),
}

impl Select {
    /// The elements of the array at a dotted path.
    pub fn list(dotted: &str) -> Self {
        Select::List(dotted.into())
    }

    /// The whole body as one record.
    pub fn whole() -> Self {
        Select::One(Path::root())
    }
}

/// Finds the records at `select` and the values at `values` in one pass that also
/// validates the whole document.
///
/// # Errors
/// When the body is no complete JSON document, or something else than an array stands
/// where a list of records is expected.
pub fn locate(
    body: Bytes,
    select: &Select,
    values: &[&Path],
) -> Result<Located, serde_json::Error> {
    let mut wanted: Vec<_> = values.iter().map(|path| path.keys()).collect();
    let list = match select {
        Select::List(path) => Some(path.keys()),
        Select::One(path) => {
            wanted.push(path.keys());
            None
        }
    };
    let mut found = Found { records: Vec::new(), values: vec![None; wanted.len()] };
    {
        let text = std::str::from_utf8(&body).map_err(serde_json::Error::custom)?;
        let mut reader = serde_json::Deserializer::from_str(text);
        let wants = Wants {
            records: list,
            values: wanted.into_iter().enumerate().collect(),
            origin: body.as_ptr() as usize,
            found: &mut found,
        };
        wants.deserialize(&mut reader)?;
        reader.end()?;
    }
    if list.is_none() {
        found.records.extend(found.values.pop().flatten());
    }
    Ok(Located { body, records: found.records, values: found.values })
}

/// The raw values of some top-level keys of an object, `None` where absent or null.
///
/// Reading stops as soon as all keys were seen, so what follows is not looked at: use it
/// on text that has been validated already.
pub fn fields<'a, const N: usize>(object: &'a str, keys: [&str; N]) -> [Option<&'a str>; N] {
    let mut found = [None; N];
    let mut reader = serde_json::Deserializer::from_str(object);
    // The early end surfaces as an error that carries nothing: what was found counts.
    let _ = serde::Deserializer::deserialize_map(
        &mut reader,
        Fields { keys, found: &mut found, left: N },
    );
    found.map(|value: Option<&str>| value.filter(|text| *text != "null"))
}

/// The raw value at a path inside a JSON text; `None` where absent or null.
pub fn get<'a>(json: &'a str, path: &Path) -> Option<&'a str> {
    path.keys().iter().try_fold(json, |at, key| fields(at, [key.as_str()])[0])
}

/// A JSON scalar as plain text: strings without quotes and escapes, numbers and booleans
/// as they stand; `None` for null, objects and arrays.
pub fn plain(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.to_owned()),
    }
}

/// A JSON number as a whole number; also one given as a string of digits.
pub fn integer(json: &str) -> Option<i64> {
    json.trim_matches('"').parse().ok()
}

/// Sets a value at a path of keys. What stands in the way of the path gives way to objects.
pub fn set(tree: &mut Value, path: &[String], value: Value) {
    let mut at = tree;
    for key in path {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(object) = at.as_object_mut() else { return };
        at = object.entry(key.as_str()).or_insert(Value::Null);
    }
    *at = value;
}

/// The pieces of an object with further members put at its end, to be written one after
/// the other. `members` is the JSON text of the members, without braces and without a
/// leading comma; empty means none.
pub fn append<'a>(object: &'a str, members: &'a str) -> [&'a [u8]; 4] {
    let open = object.trim_end().strip_suffix('}').map(str::trim_end);
    match open {
        Some(open) if !members.is_empty() => {
            let comma: &[u8] = if open.ends_with('{') { b"" } else { b"," };
            [open.as_bytes(), comma, members.as_bytes(), b"}"]
        }
        _ => [object.as_bytes(), b"", b"", b""],
    }
}

struct Fields<'k, 'f, 'a, const N: usize> {
    keys: [&'k str; N],
    found: &'f mut [Option<&'a str>; N],
    left: usize,
}

impl<'a, const N: usize> Visitor<'a> for Fields<'_, '_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(which) = map.next_key_seed(Which(&self.keys))? {
            let Some(which) = which else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw: &'a RawValue = map.next_value()?;
            if self.found[which].replace(raw.get()).is_none() {
                self.left -= 1;
            }
            if self.left == 0 {
                return Err(A::Error::custom("all found"));
            }
        }
        Ok(())
    }
}

/// Tells which of the wanted keys a key is, without allocating.
struct Which<'k, 'n>(&'n [&'k str]);

impl<'de> DeserializeSeed<'de> for Which<'_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Which<'_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|wanted| *wanted == key))
    }
}

struct Found {
    records: Vec<Range<usize>>,
    values: Vec<Option<Range<usize>>>,
}

/// What is still wanted below the current place.
struct Wants<'p, 'f> {
    records: Option<&'p [String]>,
    values: Vec<(usize, &'p [String])>,
    origin: usize,
    found: &'f mut Found,
}

impl Wants<'_, '_> {
    fn range(&self, raw: &RawValue) -> Range<usize> {
        let start = raw.get().as_ptr() as usize - self.origin;
        start..start + raw.get().len()
    }
}

impl<'de> DeserializeSeed<'de> for Wants<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(mut self, reader: D) -> Result<(), D::Error> {
        let here: Vec<usize> =
            self.values.iter().filter(|(_, rest)| rest.is_empty()).map(|(i, _)| *i).collect();
        if here.is_empty() {
            return reader.deserialize_any(self);
        }
        // A value is wanted whole: take it raw, then look inside it for the rest.
        let raw: &'de RawValue = serde::Deserialize::deserialize(reader)?;
        let range = self.range(raw);
        for index in here {
            self.found.values[index] = (raw.get() != "null").then(|| range.clone());
        }
        self.values.retain(|(_, rest)| !rest.is_empty());
        if self.records.is_some() || !self.values.is_empty() {
            let mut inner = serde_json::Deserializer::from_str(raw.get());
            serde::Deserializer::deserialize_any(&mut inner, self).map_err(D::Error::custom)?;
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Wants<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of records")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.records.is_some_and(<[_]>::is_empty) {
            return Err(A::Error::custom("expected an array of records, found an object"));
        }
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let records = self.records.and_then(|keys| below(keys, &key));
            let values: Vec<_> = self
                .values
                .iter()
                .filter_map(|(i, keys)| below(keys, &key).map(|rest| (*i, rest)))
                .collect();
            if records.is_none() && values.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Wants {
                    records,
                    values,
                    origin: self.origin,
                    found: &mut *self.found,
                })?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if self.records.is_some_and(<[_]>::is_empty) {
            while let Some(raw) = seq.next_element::<&'de RawValue>()? {
                let range = self.range(raw);
                self.found.records.push(range);
            }
        } else {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
}

impl Wants<'_, '_> {
    fn scalar<E: serde::de::Error>(self) -> Result<(), E> {
        match self.records {
            Some([]) => Err(E::custom("expected records, found a single value")),
            _ => Ok(()),
        }
    }
}

fn below<'p>(keys: &'p [String], key: &str) -> Option<&'p [String]> {
    match keys.split_first() {
        Some((first, rest)) if first == key => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn located(body: &str, select: &Select, values: &[&str]) -> Located {
        let paths: Vec<Path> = values.iter().map(|v| Path::from(*v)).collect();
        locate(Bytes::from(body.to_owned()), select, &paths.iter().collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn records_and_values_are_slices_of_the_body() {
        let page = located(
            r#"{"object":"list","data":[{"id":"a","n":12345678901234567890123},{"id":"b"}],"has_more":true,"next":null}"#,
            &Select::list("data"),
            &["has_more", "next", "missing"],
        );
        assert_eq!(
            page.records().collect::<Vec<_>>(),
            [r#"{"id":"a","n":12345678901234567890123}"#, r#"{"id":"b"}"#]
        );
        assert_eq!((page.value(0), page.value(1), page.value(2)), (Some("true"), None, None));
        assert_eq!(page.share(1).unwrap(), r#"{"id":"b"}"#);
    }

    #[test]
    fn nested_paths_and_values_around_records() {
        let page = located(
            r#"{"meta":{"page":{"next":"x"}},"result":{"rows":[1,2]}}"#,
            &Select::list("result.rows"),
            &["meta.page.next", "result"],
        );
        assert_eq!(page.len(), 2);
        assert_eq!(page.value(0), Some(r#""x""#));
        assert_eq!(page.value(1), Some(r#"{"rows":[1,2]}"#));
    }

    #[test]
    fn one_record_and_none() {
        assert_eq!(located(r#"{"id":1}"#, &Select::whole(), &[]).record(0), Some(r#"{"id":1}"#));
        assert!(located(r#"{"data":null}"#, &Select::list("data"), &[]).is_empty());
        assert!(located(r#"{"other":1}"#, &Select::list("data"), &[]).is_empty());
    }

    #[test]
    fn broken_or_odd_bodies_are_errors() {
        for body in
            [r#"{"data":[{"a":1}"#, "<html>", r#"{"data":{}}"#, r#"{"data":3}"#, "{} {}", ""]
        {
            let result = locate(Bytes::from(body), &Select::list("data"), &[]);
            assert!(result.is_err(), "{body}");
        }
    }

    #[test]
    fn fields_stop_early_and_treat_null_as_absent() {
        let object = r#"{"id":"x","gone":null,"created":7, broken"#;
        assert_eq!(fields(object, ["created", "id", "gone"]), [Some("7"), Some("\"x\""), None]);
        assert_eq!(get(r#"{"a":{"b":[1]}}"#, &"a.b".into()), Some("[1]"));
    }

    #[test]
    fn values_are_set_whatever_stands_in_the_way() {
        let mut tree = serde_json::json!({ "a": "text", "z": 1 });
        set(&mut tree, &["a".into(), "b".into()], 2.into());
        assert_eq!(tree, serde_json::json!({ "a": { "b": 2 }, "z": 1 }));
        set(&mut tree, &[], Value::Null);
        assert_eq!(tree, Value::Null);
    }

    #[test]
    fn members_are_appended() {
        let joined = |object, members| append(object, members).concat();
        assert_eq!(joined("{\"a\":1 }", "\"b\":2"), b"{\"a\":1,\"b\":2}");
        assert_eq!(joined("{}", "\"b\":2"), b"{\"b\":2}");
        assert_eq!(joined("{\"a\":1}", ""), b"{\"a\":1}");
    }

    proptest! {
        #[test]
        fn any_record_survives_byte_for_byte(strings in proptest::collection::vec(".*", 0..8)) {
            let records: Vec<String> =
                strings.iter().map(|s| serde_json::json!({ "v": s }).to_string()).collect();
            let body = format!("{{\"has_more\":false,\"data\":[{}]}}", records.join(","));
            let page = located(&body, &Select::list("data"), &["has_more"]);
            prop_assert_eq!(page.records().map(str::to_owned).collect::<Vec<_>>(), records);
        }

        #[test]
        fn no_input_panics(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = locate(Bytes::from(body.clone()), &Select::list("a.b"), &[&Path::from("a")]);
            let _ = fields(&String::from_utf8_lossy(&body), ["a"]);
        }
    }
}
