//! `write`: records in, states back once they are durable, tables swapped at the end.

use std::io::BufRead;
use std::path::Path;

use airbyte_protocol::{Error, Result, StreamDescriptor};
use serde_json::{Map, Value, json};

use super::rows::{Identity, Typing, extracted_at, raw_id};
use super::table::{Area, Table};
use super::{print_text, storage};
use crate::stub::mutants::{Fault, Mutation};

/// A stream that is written.
struct Stream {
    descriptor: StreamDescriptor,
    typing: Typing,
    table: Table,
    /// Where its rows go.
    area: Area,
    /// What rows are deduplicated by.
    identity: Option<Identity>,
    generation: Option<i64>,
    /// Rows of older generations go once the refresh is complete.
    minimum: i64,
    sync_id: Value,
    buffer: Vec<Value>,
    /// Records since the last state, and how many of them were refused.
    count: usize,
    rejected: usize,
    total: usize,
    /// Whether the last line was a record that no state covers.
    is_open: bool,
    status: Option<String>,
}

/// Writes what comes on stdin into the tables of a folder.
pub fn write(folder: &Path, catalog: &Value, mutation: Mutation) -> Result<()> {
    let Some(entries) = catalog["streams"].as_array().filter(|entries| !entries.is_empty()) else {
        return Err(Error::config("The catalog has no streams."));
    };
    let streams = entries.iter().map(|entry| Stream::open(folder, entry, mutation));
    let mut writer =
        Writer { streams: streams.collect::<Result<_>>()?, held: Vec::new(), mutation };
    for line in std::io::stdin().lock().split(b'\n') {
        let line = line.map_err(|error| {
            Error::transient("The input broke off.").with_internal(error.to_string())
        })?;
        writer.take(&String::from_utf8_lossy(&line))?;
    }
    writer.finish()
}

impl Stream {
    fn open(folder: &Path, entry: &Value, mutation: Mutation) -> Result<Self> {
        let inner = &entry["stream"];
        let Some(descriptor) = descriptor(inner) else {
            return Err(Error::config("The catalog has a stream without a name."));
        };
        let mode = entry["destination_sync_mode"].as_str().unwrap_or("append");
        if !["append", "overwrite", "append_dedup"].contains(&mode) {
            let text =
                format!("{:?} has an unknown destination_sync_mode {mode:?}.", descriptor.name);
            return Err(Error::config(text));
        }
        let generation = entry["generation_id"].as_i64();
        let minimum = entry["minimum_generation_id"].as_i64().unwrap_or(0);
        if minimum != 0 && Some(minimum) != generation {
            let text = format!("{:?} has a minimum_generation_id of its own.", descriptor.name);
            return Err(Error::config(text));
        }
        let name = match &descriptor.namespace {
            Some(namespace) => format!("{namespace}.{}", descriptor.name),
            None => descriptor.name.clone(),
        };
        let mut table = Table::open(folder, &name).map_err(|error| storage(&error))?;
        let is_refresh = minimum > 0 || mode == "overwrite";
        if is_refresh {
            table.stage(generation, mutation.is(Fault::StagedRowsDropped));
            if mutation.is(Fault::OldRowsDroppedAtStart) {
                table.replace(Area::Live, &[]).map_err(|error| storage(&error))?;
            }
        }
        let key =
            paths(&entry["primary_key"]).or_else(|| paths(&inner["source_defined_primary_key"]));
        let cursor = path(&entry["cursor_field"]).or_else(|| path(&inner["default_cursor_field"]));
        let identity = (mode == "append_dedup")
            .then(|| Identity { key: key.unwrap_or_default(), cursor: cursor.unwrap_or_default() });
        if identity.as_ref().is_some_and(|identity| identity.key.is_empty()) {
            return Err(Error::config(format!("{:?} has no primary key.", descriptor.name)));
        }
        Ok(Self {
            typing: Typing::new(&inner["json_schema"], mutation),
            table,
            area: if is_refresh { Area::Staged } else { Area::Live },
            identity,
            generation,
            minimum,
            sync_id: entry["sync_id"].clone(),
            buffer: Vec::new(),
            count: 0,
            rejected: 0,
            total: 0,
            is_open: false,
            status: None,
            descriptor,
        })
    }

    fn take(&mut self, record: &Value, mutation: Mutation) -> Result<()> {
        let (mut row, mut changes) = self.typing.apply(&record["data"]).map_err(Error::system)?;
        let known = record.pointer("/meta/changes").and_then(Value::as_array);
        changes.splice(0..0, known.into_iter().flatten().cloned());
        let Some(extracted_at) = extracted_at(&record["emitted_at"], mutation) else {
            return Err(Error::system(format!("emitted_at is {}.", record["emitted_at"])));
        };
        let mut meta = Map::new();
        meta.insert("sync_id".to_owned(), self.sync_id.clone());
        meta.insert("changes".to_owned(), changes.into());
        row.insert("_airbyte_raw_id".to_owned(), raw_id(mutation).into());
        row.insert("_airbyte_extracted_at".to_owned(), extracted_at.into());
        row.insert("_airbyte_meta".to_owned(), meta.into());
        if !mutation.is(Fault::GenerationMissing) {
            let generation = self.generation.unwrap_or(0);
            row.insert("_airbyte_generation_id".to_owned(), generation.into());
        }
        if let Some(deleted) = record["data"].get("_ab_cdc_deleted_at") {
            row.insert("_ab_cdc_deleted_at".to_owned(), deleted.clone());
        }
        let row = Value::Object(row);
        let is_keyed =
            self.identity.as_ref().is_none_or(|identity| identity.key_of(&row).is_some());
        self.count += 1;
        self.total += 1;
        self.is_open = true;
        if is_keyed {
            self.buffer.push(row);
        } else {
            self.rejected += 1;
        }
        Ok(())
    }

    /// Makes durable what has come.
    fn flush(&mut self, mutation: Mutation) -> Result<()> {
        let rows = std::mem::take(&mut self.buffer);
        let written = match &self.identity {
            _ if rows.is_empty() && self.table.is_there() => Ok(()),
            None => self.table.append(self.area, &rows),
            Some(identity) => self.table.rows(self.area).and_then(|stored| {
                let all = if mutation.is(Fault::StoredRowsForgotten) {
                    let new = identity.deduplicate(rows, mutation);
                    let is_new = |row: &Value| {
                        new.iter().any(|other| identity.key_of(other) == identity.key_of(row))
                    };
                    stored
                        .into_iter()
                        .filter(|row| !is_new(row))
                        .chain(new.iter().cloned())
                        .collect()
                } else {
                    identity.deduplicate(stored.into_iter().chain(rows).collect(), mutation)
                };
                self.table.replace(self.area, &all)
            }),
        };
        written.map_err(|error| storage(&error))
    }

    /// Shows staged rows instead of those of older generations.
    fn swap(&mut self, mutation: Mutation) -> Result<()> {
        let is_kept = |row: &Value| {
            self.minimum > 0
                && row["_airbyte_generation_id"].as_i64().is_some_and(|of| of >= self.minimum)
        };
        let live = self.table.rows(Area::Live).map_err(|error| storage(&error))?;
        let staged = self.table.rows(Area::Staged).map_err(|error| storage(&error))?;
        let mut rows: Vec<Value> = live.into_iter().filter(is_kept).chain(staged).collect();
        if let Some(identity) = &self.identity {
            rows = identity.deduplicate(rows, mutation);
        }
        self.table.swap(&rows).map_err(|error| storage(&error))
    }
}

struct Writer {
    streams: Vec<Stream>,
    /// States that mutants print later than they should.
    held: Vec<String>,
    mutation: Mutation,
}

impl Writer {
    fn is(&self, fault: Fault) -> bool {
        self.mutation.is(fault)
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            if self.is(Fault::GarbageFatal) && !line.trim().is_empty() {
                return Err(Error::system("A line is no JSON."));
            }
            return Ok(());
        };
        match message["type"].as_str() {
            Some("RECORD") if message["record"]["data"].is_object() => {
                self.take_record(&message["record"])
            }
            Some("STATE") if message["state"].is_object() => {
                self.take_state(line, &message["state"])
            }
            Some("TRACE") if message["trace"]["stream_status"].is_object() => {
                self.take_status(&message["trace"]["stream_status"]);
                Ok(())
            }
            _ if self.is(Fault::LogFatal) => Err(Error::system("A message is unknown.")),
            _ => Ok(()),
        }
    }

    fn take_record(&mut self, record: &Value) -> Result<()> {
        let name = record["stream"].as_str().unwrap_or_default();
        let namespace = record["namespace"].as_str();
        let is_it = |stream: &&mut Stream| {
            stream.descriptor.name == name && stream.descriptor.namespace.as_deref() == namespace
        };
        let mutation = self.mutation;
        match self.streams.iter_mut().find(is_it) {
            Some(stream) => stream.take(record, mutation),
            None if mutation.is(Fault::UnknownStreamSkipped) => Ok(()),
            None => Err(Error::system(format!("The stream {name:?} is not in the catalog."))),
        }
    }

    fn take_status(&mut self, status: &Value) {
        let name = status["stream_descriptor"]["name"].as_str();
        let namespace = status["stream_descriptor"]["namespace"].as_str();
        let (Some(name), Some(status)) = (name, status["status"].as_str()) else { return };
        for stream in &mut self.streams {
            let is_space =
                namespace.is_none() || stream.descriptor.namespace.as_deref() == namespace;
            if stream.descriptor.name == name && is_space {
                stream.status = Some(status.to_owned());
            }
        }
    }

    /// Writes what the state covers, then prints it back.
    fn take_state(&mut self, line: &str, state: &Value) -> Result<()> {
        let is_global = state["type"] == "GLOBAL";
        let of = descriptor(&state["stream"]["stream_descriptor"]);
        let covered: Vec<usize> = (0..self.streams.len())
            .filter(|at| is_global || Some(&self.streams[*at].descriptor) == of.as_ref())
            .collect();
        let (mut count, mut rejected) = (0, 0);
        for at in &covered {
            let stream = &mut self.streams[*at];
            let is_lazy = self.mutation.is(Fault::StateBeforeCommit)
                || self.mutation.is(Fault::GlobalTooEarly) && is_global && *at > 0;
            if !is_lazy {
                stream.flush(self.mutation)?;
            }
            count += if self.mutation.is(Fault::WrittenCountSummed) {
                stream.total
            } else {
                stream.count
            };
            rejected += stream.rejected;
            (stream.count, stream.rejected, stream.is_open) = (0, 0, false);
        }
        count -= rejected.min(count);
        if self.is(Fault::WrittenCountWrong) {
            count += 1;
        }
        if is_global && self.is(Fault::GlobalSwallowed) {
            return Ok(());
        }
        let stats = json!({"recordCount": count as f64, "rejectedRecordCount": rejected as f64});
        self.acknowledge(answer(line, state, &stats, self.mutation))
    }

    fn acknowledge(&mut self, answer: String) -> Result<()> {
        if self.is(Fault::StatesReversed) {
            self.held.insert(0, answer);
            return Ok(());
        }
        if self.is(Fault::LastStateSwallowed) {
            self.held.push(answer);
            if self.held.len() < 2 {
                return Ok(());
            }
            let answer = self.held.remove(0);
            return self.say(&answer);
        }
        self.say(&answer)
    }

    /// Prints a line; that nobody reads it means that the sync was cancelled.
    fn say(&self, line: &str) -> Result<()> {
        if print_text(line) || self.is(Fault::CancelCommitted) {
            return Ok(());
        }
        Err(Error::transient("Nobody reads the output: the sync was cancelled."))
    }

    /// The end of the input.
    fn finish(mut self) -> Result<()> {
        if self.is(Fault::ClosesBeforeSwap) {
            close_stdout();
            std::thread::sleep(std::time::Duration::from_millis(700));
        } else {
            let log = json!({"level": "INFO", "message": "The input has ended."});
            self.say(&json!({"type": "LOG", "log": log}).to_string())?;
        }
        let mut failure = None;
        for stream in &mut self.streams {
            let finished = finish_stream(stream, self.mutation);
            failure = failure.or(finished.err().map(|e| e.for_stream(stream.descriptor.clone())));
        }
        if self.is(Fault::StatesReversed) {
            for answer in std::mem::take(&mut self.held) {
                self.say(&answer)?;
            }
        }
        if self.is(Fault::LingersAfterEnd) {
            close_stdout();
            std::thread::sleep(std::time::Duration::from_secs(15));
        }
        failure.map_or(Ok(()), Err)
    }
}

fn finish_stream(stream: &mut Stream, mutation: Mutation) -> Result<()> {
    let is = |fault| mutation.is(fault);
    let is_untouched = stream.total == 0 && is(Fault::EmptyOverwriteSkipped);
    if is_untouched {
        return Ok(());
    }
    stream.flush(mutation)?;
    let is_complete = match (stream.generation, stream.status.as_deref()) {
        (_, Some("COMPLETE")) => true,
        (_, Some("INCOMPLETE")) => false,
        (Some(_), _) => is(Fault::SwapWithoutComplete),
        (None, _) if is(Fault::CompleteDemanded) => false,
        // Without status lines the last state tells a source that has finished from a dead one.
        (None, _) => stream.area == Area::Live || !stream.is_open || is(Fault::DeadSourceCommitted),
    };
    if !is_complete {
        return Err(Error::transient("The stream did not complete; what was there stays."));
    }
    if stream.area == Area::Staged { stream.swap(mutation) } else { Ok(()) }
}

/// The state as it came, with what was done about its records.
fn answer(line: &str, state: &Value, stats: &Value, mutation: Mutation) -> String {
    if mutation.is(Fault::StateReprinted) {
        let mut known = Map::new();
        for key in ["type", "stream", "global"] {
            known.extend(state.get(key).map(|value| (key.to_owned(), value.clone())));
        }
        known.insert("destinationStats".to_owned(), stats.clone());
        return json!({"type": "STATE", "state": known}).to_string();
    }
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        state: &'a serde_json::value::RawValue,
    }
    // The text itself is kept, so that nothing about it can change.
    if state.get("destinationStats").is_none()
        && let Ok(raw) = serde_json::from_str::<Raw<'_>>(line)
        && let Some(open) = raw.state.get().trim_end().strip_suffix('}')
    {
        return format!(r#"{{"type":"STATE","state":{open},"destinationStats":{stats}}}}}"#);
    }
    let mut state = state.clone();
    state["destinationStats"] = stats.clone();
    json!({"type": "STATE", "state": state}).to_string()
}

fn descriptor(value: &Value) -> Option<StreamDescriptor> {
    let name = value.get("name")?.as_str()?.to_owned();
    let namespace = value.get("namespace").and_then(Value::as_str).map(str::to_owned);
    Some(StreamDescriptor { name, namespace })
}

fn path(value: &Value) -> Option<Vec<String>> {
    let parts: Option<Vec<String>> =
        value.as_array()?.iter().map(|part| part.as_str().map(str::to_owned)).collect();
    parts.filter(|parts| !parts.is_empty())
}

fn paths(value: &Value) -> Option<Vec<Vec<String>>> {
    let paths: Option<Vec<_>> = value.as_array()?.iter().map(path).collect();
    paths.filter(|paths| !paths.is_empty())
}

/// Closes stdout early: what some mutants do.
fn close_stdout() {
    if let Ok(null) = std::fs::File::create("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(null);
    }
}
