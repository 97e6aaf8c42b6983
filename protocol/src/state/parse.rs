//! The shapes of the `--state` file.

use serde_json::{Map, Value};

use super::{InputState, StreamState};
use crate::catalog::StreamDescriptor;
use crate::error::{Error, Result};

impl InputState {
    /// Reads the text of a `--state` file in any of its shapes: nothing, `[]`, `{}`, a list of
    /// state entries, one entry, whole STATE messages (in a list or one a line, other messages
    /// between them being passed over), and the old object from stream names to states.
    ///
    /// `null` is absent, unknown and repeated keys are no error, of several states of one stream
    /// the last one counts. Fails with a config error that names the stream or the line.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let mut state = Self::default();
        for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            let document = document.map_err(|error| {
                Error::config(format!("The state file is not valid JSON: {error}"))
            })?;
            state.add_document(document)?;
        }
        Ok(state)
    }

    fn add_document(&mut self, document: Value) -> Result<()> {
        match document {
            Value::Null => Ok(()),
            Value::Array(entries) => {
                for (at, entry) in entries.into_iter().enumerate() {
                    let place = format!("Entry {at} of the state file");
                    match entry {
                        Value::Null => {}
                        Value::Object(entry) => self.add_entry(&place, entry, Rest::Refuse)?,
                        _ => return Err(Error::config(format!("{place} is not a JSON object"))),
                    }
                }
                Ok(())
            }
            Value::Object(entry) => self.add_entry("The state file", entry, Rest::Legacy),
            _ => Err(Error::config("The state file holds neither a JSON list nor an object")),
        }
    }

    /// One element of the list, or the file's only object.
    fn add_entry(&mut self, place: &str, mut entry: Map<String, Value>, rest: Rest) -> Result<()> {
        let kind = entry.get("type").and_then(Value::as_str).map(str::to_owned);
        match kind.as_deref() {
            Some("STREAM") => self.add_stream(place, take(&mut entry, "stream")),
            Some("GLOBAL") => self.add_global(place, take_global(&mut entry)),
            Some("LEGACY") => self.add_legacy(place, take(&mut entry, "data").unwrap_or_default()),
            Some("STATE") => match take(&mut entry, "state") {
                Some(Value::Object(state)) => self.add_entry(place, state, Rest::Refuse),
                _ => Err(Error::config(format!("{place} is a STATE message without a state"))),
            },
            Some(other) if is_message(other) => Ok(()),
            Some(other) => Err(Error::config(format!(
                "{place} has the type `{other}`; a state is of type STREAM, GLOBAL or LEGACY"
            ))),
            None => self.add_untyped(place, entry, rest),
        }
    }

    /// An entry without `type`: told by its members.
    fn add_untyped(
        &mut self,
        place: &str,
        mut entry: Map<String, Value>,
        rest: Rest,
    ) -> Result<()> {
        if entry.get("stream_descriptor").is_some_and(Value::is_object) {
            return self.add_stream(place, Some(Value::Object(entry)));
        }
        if entry.get("stream").is_some_and(|stream| stream.get("stream_descriptor").is_some()) {
            return self.add_stream(place, take(&mut entry, "stream"));
        }
        if ["global", "global_"].iter().any(|key| has_stream_states(entry.get(*key))) {
            return self.add_global(place, take_global(&mut entry));
        }
        if is_untyped_legacy(&entry) {
            return self.add_legacy(place, take(&mut entry, "data").unwrap_or_default());
        }
        match rest {
            Rest::Legacy => self.add_legacy(place, Value::Object(entry)),
            Rest::Refuse if entry.is_empty() => Ok(()),
            Rest::Refuse => Err(Error::config(format!("{place} is not a state: it has no `type`"))),
        }
    }

    fn add_stream(&mut self, place: &str, stream: Option<Value>) -> Result<()> {
        let Some(Value::Object(mut stream)) = stream else {
            return Err(Error::config(format!("{place} has no object `stream`")));
        };
        let descriptor = take(&mut stream, "stream_descriptor").unwrap_or_default();
        let Some(name) = descriptor.get("name").and_then(Value::as_str) else {
            return Err(Error::config(format!("{place} has no stream_descriptor with a name")));
        };
        let namespace = descriptor.get("namespace").and_then(Value::as_str).map(str::to_owned);
        let descriptor = StreamDescriptor { name: name.to_owned(), namespace };
        match stream_state(&descriptor.to_string(), take(&mut stream, "stream_state"))? {
            Some(state) => self.streams.insert(descriptor, state),
            None => self.streams.remove(&descriptor),
        };
        Ok(())
    }

    fn add_global(&mut self, place: &str, global: Option<Value>) -> Result<()> {
        let Some(Value::Object(mut global)) = global else {
            return Err(Error::config(format!("{place} has no object `global`")));
        };
        match take(&mut global, "stream_states") {
            None => {}
            Some(Value::Array(streams)) => {
                for stream in streams {
                    self.add_stream(place, Some(stream))?;
                }
            }
            Some(_) => {
                return Err(Error::config(format!("{place}: `stream_states` is not a list")));
            }
        }
        self.shared = match take(&mut global, "shared_state") {
            None => None,
            Some(Value::Object(shared)) => Some(shared),
            Some(_) => {
                return Err(Error::config(format!("{place}: `shared_state` is not an object")));
            }
        };
        Ok(())
    }

    fn add_legacy(&mut self, place: &str, data: Value) -> Result<()> {
        let streams = match data {
            Value::Null => return Ok(()),
            Value::Object(streams) => streams,
            _ => return Err(Error::config(format!("{place}: `data` is not an object"))),
        };
        for (name, state) in streams {
            match stream_state(&name, Some(state))? {
                Some(state) => self.by_name.insert(name, state),
                None => self.by_name.remove(&name),
            };
        }
        Ok(())
    }
}

/// What to make of an object that is no entry by its members.
#[derive(Clone, Copy)]
enum Rest {
    /// The old object from stream names to states.
    Legacy,
    /// An error.
    Refuse,
}

/// The member `key`, unless it is absent or `null`.
fn take(object: &mut Map<String, Value>, key: &str) -> Option<Value> {
    object.remove(key).filter(|value| !value.is_null())
}

/// The global part. PyAirbyte writes it as `global_`, beside a `null` of that name.
fn take_global(entry: &mut Map<String, Value>) -> Option<Value> {
    take(entry, "global").or_else(|| take(entry, "global_"))
}

fn has_stream_states(global: Option<&Value>) -> bool {
    global.is_some_and(|global| global.get("stream_states").is_some())
}

/// `{"data": {stream: state, …}}` without a type, and not the state of a stream called `data`,
/// whose members would be cursors.
fn is_untyped_legacy(entry: &Map<String, Value>) -> bool {
    let Some(Value::Object(data)) = entry.get("data") else { return false };
    let others_are_null = entry.iter().all(|(key, value)| key == "data" || value.is_null());
    others_are_null && !data.is_empty() && data.values().all(Value::is_object)
}

/// Whether it is the type of a message that may stand between states in a saved output.
fn is_message(kind: &str) -> bool {
    matches!(
        kind,
        "RECORD"
            | "LOG"
            | "TRACE"
            | "CONTROL"
            | "SPEC"
            | "CATALOG"
            | "CONNECTION_STATUS"
            | "DESTINATION_CATALOG"
    )
}

fn stream_state(stream: &str, state: Option<Value>) -> Result<Option<StreamState>> {
    match state {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(state)) if state.is_empty() => Ok(None),
        Some(Value::Object(state)) => Ok(Some(StreamState(state))),
        Some(_) => Err(Error::config(format!(
            "The state of stream `{stream}` is not a JSON object. Mend the state file, or remove that \
             stream from it to read it from the start"
        ))),
    }
}

#[cfg(test)]
mod tests;
