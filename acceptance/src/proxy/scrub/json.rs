//! Replaces strings inside JSON text and leaves every other byte as it was: numbers keep their
//! digits, members their order, the text its layout.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Deeper values are left to the search for known secrets.
const DEEPEST: usize = 64;

/// What to put in a scalar's place: gets the member's name (of the nearest object) and the value as
/// JSON text, gives JSON text or None to leave it.
pub type Replace<'a> = dyn FnMut(&str, &str) -> Option<String> + 'a;

/// The text with scalars replaced; None if it is neither JSON nor JSON lines.
pub fn rewrite(text: &str, replace: &mut Replace<'_>) -> Option<String> {
    let mut edits = Vec::new();
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut found = false;
    for document in &mut documents {
        found = true;
        walk(text, document.ok()?.get(), "", 0, replace, &mut edits);
    }
    found.then(|| apply(text, edits))
}

type Edit = (Range<usize>, String);

fn apply(text: &str, edits: Vec<Edit>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (range, new) in edits {
        out.push_str(&text[at..range.start]);
        out.push_str(&new);
        at = range.end;
    }
    out.push_str(&text[at..]);
    out
}

fn walk(
    text: &str,
    value: &str,
    name: &str,
    depth: usize,
    replace: &mut Replace<'_>,
    edits: &mut Vec<Edit>,
) {
    if depth > DEEPEST {
        return;
    }
    match value.as_bytes().first() {
        Some(b'{') => {
            for (name, member) in serde_json::from_str::<Members<'_>>(value).unwrap_or_default().0 {
                walk(text, member.get(), &name, depth + 1, replace, edits);
            }
        }
        Some(b'[') => {
            for item in serde_json::from_str::<Vec<&RawValue>>(value).unwrap_or_default() {
                walk(text, item.get(), name, depth + 1, replace, edits);
            }
        }
        Some(_) => {
            if let Some(new) = replace(name, value) {
                // `value` is a slice of `text`: the difference of their addresses is its place.
                let start = value.as_ptr() as usize - text.as_ptr() as usize;
                edits.push((start..start + value.len(), new));
            }
        }
        None => {}
    }
}

/// The members of an object in their order, repeated names included.
#[derive(Default)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(All).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hide_a(text: &str) -> Option<String> {
        rewrite(text, &mut |name, _| (name == "a").then(|| "\"X\"".to_owned()))
    }

    #[test]
    fn only_the_value_changes() {
        let text = "{ \"n\": 1.00, \"a\" : \"s\\u0065cret\",\n \"b\": [{\"a\": 12345678901234567890123}], \"a\": [\"p\", \"q\"]}\n";
        let want =
            "{ \"n\": 1.00, \"a\" : \"X\",\n \"b\": [{\"a\": \"X\"}], \"a\": [\"X\", \"X\"]}\n";
        assert_eq!(hide_a(text).as_deref(), Some(want));
    }

    #[test]
    fn lines_of_json() {
        assert_eq!(hide_a("{\"a\":1}\n{\"b\":2}\n").as_deref(), Some("{\"a\":\"X\"}\n{\"b\":2}\n"));
        assert_eq!(hide_a("{\"a\":1}\n{\"b\":"), None);
        assert_eq!(hide_a("name,value\n"), None);
        assert_eq!(hide_a(""), None);
    }

    #[test]
    fn deep_nesting_is_survived() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        if let Some(text) = hide_a(&deep) {
            assert_eq!(text, deep);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\[\\]{}\":,a0-9 \\\\u\\n]{0,60}") {
            let _ = hide_a(&text);
        }

        #[test]
        fn nothing_replaced_is_nothing_changed(text in "[\\[\\]{}\":,a0-9 \\n]{0,40}") {
            if let Some(same) = rewrite(&text, &mut |_, _| None) {
                prop_assert_eq!(same, text);
            }
        }
    }
}
