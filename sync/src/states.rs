//! The state file: a JSON list of STREAM states, or of one GLOBAL state.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use airbyte_protocol::{InputState, StateLine, StateType, StreamDescriptor};
use serde_json::json;
use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// The states of a connection, each as the very text that the source wrote.
#[derive(Debug, Default)]
pub struct States {
    entries: Vec<Entry>,
    /// Whether this run's states are for all streams together; known from the first of them.
    together: Option<bool>,
}

#[derive(Debug)]
struct Entry {
    /// `None` for a state of all streams together.
    stream: Option<StreamDescriptor>,
    /// Whether there is a state at all; an entry can also say that there is none.
    is_set: bool,
    text: Box<RawValue>,
}

/// Reads the text of the state file; `None` when there is no file.
pub fn read_file(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::usage(format!("cannot read the state file {}: {error}", path.display())))
        }
    }
}

impl States {
    /// Reads states in any of the shapes that a state file can have. Shapes that are no list of
    /// states are turned into one, as far as they concern the streams of `catalog`.
    pub fn parse(text: &str, path: &Path, catalog: &[StreamDescriptor]) -> Result<Self> {
        let input = InputState::parse(text).map_err(|error| {
            Error::usage(format!(
                "the state file {} is broken: {}. Mend it, or move it away to read from the start",
                path.display(),
                error.message()
            ))
        })?;
        let entries = as_list(text).unwrap_or_else(|| from_input(&input, catalog));
        Ok(Self { entries, together: None })
    }

    /// Takes a state that came. Fails when states of single streams and of all streams together
    /// come in one run, since then neither tells the whole.
    pub fn set(&mut self, state: &StateLine) -> Result<()> {
        let entry = entry_of(state)?;
        let together = entry.stream.is_none();
        if *self.together.get_or_insert(together) != together {
            return Err(Error::run(
                "the source mixes STREAM with GLOBAL states, so that neither can be trusted",
            ));
        }
        if together {
            self.entries.clear();
        }
        match self.entries.iter_mut().find(|known| known.stream == entry.stream) {
            Some(known) => *known = entry,
            None => {
                self.entries.retain(|known| known.stream.is_some());
                self.entries.push(entry);
            }
        }
        Ok(())
    }

    /// Whether there is a state that the source would continue this stream from.
    pub fn has(&self, stream: &StreamDescriptor) -> bool {
        self.entries
            .iter()
            .any(|entry| entry.is_set && entry.stream.as_ref().is_none_or(|known| known == stream))
    }

    /// The states as the text of a file.
    pub fn text(&self) -> String {
        list(self.entries.iter())
    }

    /// The text of the file for the source: the states of the wanted streams. A state of all
    /// streams together is left out only if no stream is wanted.
    pub fn text_for(&self, wanted: &[StreamDescriptor]) -> String {
        list(self.entries.iter().filter(|entry| match &entry.stream {
            Some(stream) => wanted.contains(stream),
            None => !wanted.is_empty(),
        }))
    }
}

fn list<'a>(entries: impl Iterator<Item = &'a Entry>) -> String {
    let lines: Vec<String> = entries.map(|entry| format!("\n  {}", entry.text.get())).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[{}\n]\n", lines.join(",")) }
}

/// The entries of a list of states, or of one state; `None` for other shapes.
fn as_list(text: &str) -> Option<Vec<Entry>> {
    let texts: Vec<Box<RawValue>> = match text.trim_start().chars().next()? {
        '[' => serde_json::from_str(text).ok()?,
        _ => vec![serde_json::from_str(text).ok()?],
    };
    let states = texts
        .iter()
        .map(|text| StateLine::parse(format!(r#"{{"type":"STATE","state":{}}}"#, text.get())));
    states.map(|state| entry_of(&state.ok()?).ok()).collect()
}

fn entry_of(state: &StateLine) -> Result<Entry> {
    let text =
        std::str::from_utf8(state.state()).ok().and_then(|text| serde_json::from_str(text).ok());
    let text: Box<RawValue> = text.ok_or_else(|| Error::run("a state is not valid JSON"))?;
    let (stream, is_set) = match (state.kind(), state.streams()) {
        (StateType::Stream, [stream]) => (Some(stream.clone()), has_stream_state(&text)),
        (StateType::Global, _) => (None, true),
        (kind, _) => {
            return Err(Error::run(format!(
                "the source wrote a state of type {kind}, which says too little"
            )));
        }
    };
    Ok(Entry { stream, is_set, text })
}

fn has_stream_state(state: &RawValue) -> bool {
    let state: serde_json::Value = serde_json::from_str(state.get()).unwrap_or_default();
    state
        .pointer("/stream/stream_state")
        .is_some_and(|state| state.as_object().is_some_and(|state| !state.is_empty()))
}

fn from_input(input: &InputState, catalog: &[StreamDescriptor]) -> Vec<Entry> {
    let entry = |stream: &StreamDescriptor| {
        let state = input.stream(stream)?;
        let text = json!({"type": "STREAM", "stream": {"stream_descriptor": stream, "stream_state": state}});
        let text = RawValue::from_string(text.to_string()).ok()?;
        Some(Entry { stream: Some(stream.clone()), is_set: true, text })
    };
    catalog.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{"n":1.50}}}"#;
    const ORDERS: &str = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"orders","namespace":"crm"},"stream_state":{"n":2}}}"#;
    const GLOBAL: &str = r#"{"type":"GLOBAL","global":{"shared_state":{"lsn":12345678901234567890123},"stream_states":[]}}"#;

    fn parse(text: &str) -> States {
        States::parse(text, Path::new("state.json"), &[StreamDescriptor::new("users")]).unwrap()
    }

    fn line(state: &str) -> StateLine {
        StateLine::parse(format!(r#"{{"type":"STATE","state":{state}}}"#)).unwrap()
    }

    #[test]
    fn a_list_keeps_its_entries_to_the_letter() {
        let states = parse(&format!("[{USERS}, {ORDERS}]"));
        assert_eq!(states.text(), format!("[\n  {USERS},\n  {ORDERS}\n]\n"));
        assert_eq!(parse(&states.text()).text(), states.text());
        assert!(states.has(&StreamDescriptor::in_namespace("crm", "orders")));
        assert!(!states.has(&StreamDescriptor::new("orders")));
    }

    #[test]
    fn empty_shapes_are_no_state() {
        for text in ["", "[]", "{}", "null", " \n"] {
            assert_eq!(parse(text).text(), "[]\n", "{text:?}");
        }
    }

    #[test]
    fn other_shapes_become_a_list() {
        let users = r#"{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":{"n":1.5}}}"#;
        for text in [
            r#"{"users":{"n":1.5}}"#,
            r#"[{"type":"LEGACY","data":{"users":{"n":1.5}}}]"#,
            r#"{"stream_descriptor":{"name":"users"},"stream_state":{"n":1.5}}"#,
        ] {
            assert_eq!(parse(text).text(), format!("[\n  {users}\n]\n"), "{text}");
        }
        assert_eq!(parse(USERS).text(), format!("[\n  {USERS}\n]\n"));
    }

    #[test]
    fn a_state_replaces_that_of_its_stream() {
        let mut states = parse(&format!("[{USERS},{ORDERS}]"));
        let newer = USERS.replace("1.50", "9.0");
        states.set(&line(&newer)).unwrap();
        assert_eq!(states.text(), format!("[\n  {newer},\n  {ORDERS}\n]\n"));
    }

    #[test]
    fn a_global_state_replaces_all_and_does_not_mix() {
        let mut states = parse(&format!("[{USERS},{ORDERS}]"));
        states.set(&line(GLOBAL)).unwrap();
        assert_eq!(states.text(), format!("[\n  {GLOBAL}\n]\n"));
        assert!(states.has(&StreamDescriptor::new("anything")));
        assert!(states.set(&line(USERS)).unwrap_err().message().contains("mixes"));
        let mut later = parse(&states.text());
        later.set(&line(USERS)).unwrap();
        assert_eq!(later.text(), format!("[\n  {USERS}\n]\n"));
    }

    #[test]
    fn the_source_gets_the_wanted_streams_only() {
        let states = parse(&format!("[{USERS},{ORDERS}]"));
        assert_eq!(
            states.text_for(&[StreamDescriptor::new("users")]),
            format!("[\n  {USERS}\n]\n")
        );
        assert_eq!(states.text_for(&[]), "[]\n");
        let global = parse(&format!("[{GLOBAL}]"));
        assert_eq!(global.text_for(&[]), "[]\n");
        assert_eq!(global.text_for(&[StreamDescriptor::new("users")]), global.text());
    }

    #[test]
    fn an_entry_without_a_state_is_none() {
        let states = parse(
            r#"[{"type":"STREAM","stream":{"stream_descriptor":{"name":"users"},"stream_state":null}}]"#,
        );
        assert!(!states.has(&StreamDescriptor::new("users")));
    }

    #[test]
    fn a_broken_file_says_what_to_do() {
        let error = States::parse("[{", Path::new("s.json"), &[]).unwrap_err();
        assert!(
            error.exit_code() == 2
                && error.message().contains("s.json")
                && error.message().contains("move it away")
        );
    }
}
