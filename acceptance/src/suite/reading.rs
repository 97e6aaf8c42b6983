//! Whole reads: R, and what must not make a difference to them (E01 to E03).

use std::collections::{BTreeMap, BTreeSet};

use airbyte_protocol::StreamDescriptor;
use serde_json::Value;

use super::lab::{Desk, Lab, Trial};
use super::sample;
use crate::checks::output::Expected;
use crate::checks::read::{self, Context, Demands};
use crate::checks::streams::{self, Asked, StreamInfo};
use crate::config::{BasicReadTest, IgnoredFields};
use crate::exec::{Call, Trouble};
use crate::rows::{self, Ignored, Rows};
use crate::rules::{self, Level, Rule};
use crate::sheet::Finding;
use crate::transcript::Transcript;

/// Streams that are read alone.
const ALONE: usize = 4;
/// Rules about other selections of streams.
const SELECTIONS: [&Rule; 2] = [&rules::E01, &rules::E02];
/// Missing records that a finding names.
const NAMED: usize = 3;

/// A read that others are compared with.
pub struct Read {
    /// The configured catalog.
    pub catalog: Value,
    /// The configured streams.
    pub streams: Vec<StreamInfo>,
    /// The output.
    pub run: Transcript,
    /// Its records.
    pub rows: Rows,
    /// Whether it went well enough to be compared with.
    pub is_good: bool,
}

/// What the reads of an entry have in common.
pub struct Reading<'a> {
    /// The streams that are read.
    pub streams: Vec<StreamInfo>,
    /// What is demanded of reads.
    pub demands: Demands,
    /// Fields that may differ between reads.
    pub ignored: Ignored,
    /// The entry of the file.
    pub test: &'a BasicReadTest,
}

impl<'a> Reading<'a> {
    /// The reads of an entry. Streams come from the configured catalog that it names, with the
    /// schemas that were discovered, else all that were discovered, without those declared empty.
    pub fn new(
        lab: &Lab<'_>,
        test: &'a BasicReadTest,
        ignored: &[&IgnoredFields],
        discovered: &[StreamInfo],
    ) -> Result<Self, Trouble> {
        let empty: BTreeSet<String> =
            test.empty_streams.iter().map(|stream| stream.name.clone()).collect();
        let named = lab.settings.configured_catalog(test.configured_catalog_path.as_deref());
        let streams = match named {
            Some(path) => chosen(path, discovered)?,
            None => discovered.to_vec(),
        };
        let demands = Demands {
            empty_streams: empty,
            may_be_empty: false,
            fail_on_extra_columns: test.fail_on_extra_columns == Some(true),
            validate_data_points: test.validate_data_points,
            skip_schema: !test.validate_schema,
            skip_key_types: !test.validate_primary_keys_data_type,
            statuses: test.validate_stream_statuses,
            states: (!test.validate_state_messages).then_some(false),
        };
        let mut all = Ignored::new();
        for fields in ignored.iter().copied().chain([&test.ignored_fields]) {
            for (stream, fields) in fields {
                let paths = fields.iter().map(|field| {
                    field.path().into_iter().map(str::to_owned).collect::<Vec<String>>()
                });
                all.entry(stream.clone()).or_default().extend(paths);
            }
        }
        Ok(Self { streams, demands, ignored: all, test })
    }

    /// The records of a transcript up to a line.
    pub fn rows(&self, run: &Transcript, up_to: usize) -> Rows {
        Rows::of(run, &self.streams, &self.ignored, up_to)
    }

    /// Reads, and looks at the output by all rules of reads.
    pub fn read(
        &self,
        desk: &mut Desk<'_>,
        title: &str,
        asked: Asked,
        state: Option<&Value>,
    ) -> Result<Read, Trouble> {
        let catalog = streams::configured(&self.streams, asked);
        let mut call = desk.call(title, "read").catalog(&catalog);
        if let Some(state) = state {
            call = call.state(state);
        }
        let run = desk.run(&call, Expected::Success)?;
        let full_refresh = read::full_refresh_streams(&catalog);
        let demands = Demands { may_be_empty: state.is_some(), ..self.demands.clone() };
        let context =
            Context { streams: &self.streams, full_refresh: &full_refresh, demands: &demands };
        read::check(&run, context, &mut desk.sheet);
        Ok(self.keep(catalog, run))
    }

    fn keep(&self, catalog: Value, run: Transcript) -> Read {
        let rows = self.rows(&run, usize::MAX);
        let is_good = run.exit.is_success();
        Read { catalog, streams: self.streams.clone(), rows, is_good, run }
    }
}

/// The discovered streams that a configured catalog names.
fn chosen(path: &std::path::Path, discovered: &[StreamInfo]) -> Result<Vec<StreamInfo>, Trouble> {
    let why = |error: &dyn std::fmt::Display| Trouble(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| why(&error))?;
    let catalog: Value = serde_json::from_str(&text).map_err(|error| why(&error))?;
    let named = streams::of_configured(&catalog);
    let find = |named: StreamInfo| {
        let found = discovered.iter().find(|info| info.descriptor == named.descriptor);
        found.cloned().ok_or_else(|| {
            why(&format!("the stream {} is not discovered by the connector", named.descriptor))
        })
    };
    named.into_iter().map(find).collect()
}

/// Compares a read with the one that it has to equal.
pub fn compare(desk: &mut Desk<'_>, rule: &'static Rule, run: &str, whole: &Rows, other: &Rows) {
    desk.sheet.check(rule);
    let mut note = |stream: &StreamDescriptor, message: String| {
        desk.sheet.find(Finding::new(rule, message).in_run(run).stream(stream));
    };
    for (stream, missing) in other.missing_of(whole) {
        note(stream, named(&missing, whole.count(stream), "missing"));
    }
    for (stream, more) in whole.missing_of(other) {
        note(stream, named(&more, other.count(stream), "not in the first read"));
    }
    let mut changed: BTreeMap<&StreamDescriptor, (usize, String)> = BTreeMap::new();
    for (stream, identity, one, two) in whole.changed(other) {
        let entry = changed
            .entry(stream)
            .or_insert_with(|| (0, format!("{}: {}", short(identity), rows::difference(one, two))));
        entry.0 += 1;
    }
    for (stream, (count, example)) in changed {
        let finding = Finding::new(rule, format!("{count} records differ, such as {example}"));
        let finding = if SELECTIONS.contains(&rule) {
            let reason = "the same records came, and no runner compares their values; users see \
                          them change with the selection of streams";
            finding.only(Level::Warning, reason)
        } else {
            finding.hint("name fields that change by themselves under ignored_fields")
        };
        desk.sheet.find(finding.in_run(run).stream(stream));
    }
}

/// `3 of 10 records are missing, such as …`.
pub fn named(identities: &BTreeSet<&String>, of: usize, what: &str) -> String {
    let examples: Vec<String> = identities.iter().take(NAMED).map(|text| short(text)).collect();
    let are = if identities.len() == 1 { "record is" } else { "records are" };
    format!("{} of {of} {are} {what}, such as {}", identities.len(), examples.join(", "))
}

fn short(text: &str) -> String {
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>())
    } else {
        text.to_owned()
    }
}

/// What whole reads are compared by.
pub fn trials<'a>(lab: &'a Lab<'a>, reading: &'a Reading<'a>, whole: &'a Read) -> Vec<Trial<'a>> {
    let mut trials = vec![
        Trial::new("read, a second time", &[&rules::R11], move |desk: &mut Desk<'_>| {
            let again = reading.read(desk, "read, a second time", Asked::FullRefresh, None)?;
            compare(desk, &rules::R11, &again.run.title, &whole.rows, &again.rows);
            for (stream, fields) in again.rows.read_times() {
                let fields = fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                let finding = Finding::new(&rules::R11, format!("{fields}: the time of the read"));
                let reason = "runners take it as it comes, and no comparison looks at it; a \
                              destination that keeps history sees every record change each time";
                let finding = finding.only(Level::Warning, reason);
                desk.find(finding.in_run(&again.run.title).stream(stream));
            }
            Ok(())
        }),
        Trial::new("expected records", &[&rules::R13], move |desk: &mut Desk<'_>| {
            super::expected::check(desk, reading, whole)
        }),
        Trial::new("read, streams in reverse", &[&rules::E02], move |desk: &mut Desk<'_>| {
            reversed(desk, reading, whole)
        }),
        Trial::new("read, two at once", &[&rules::E03], move |desk: &mut Desk<'_>| {
            two_at_once(desk, reading, whole)
        }),
    ];
    for info in sample(reading.streams.clone(), ALONE, lab.seed) {
        trials.push(Trial::new("read, one stream alone", &[&rules::E01], {
            move |desk: &mut Desk<'_>| alone(desk, reading, whole, &info)
        }));
    }
    trials
}

fn reversed(desk: &mut Desk<'_>, reading: &Reading<'_>, whole: &Read) -> Result<(), Trouble> {
    let catalog = streams::configured(reading.streams.iter().rev(), Asked::FullRefresh);
    let call = desk.call("read, streams in reverse", "read").catalog(&catalog);
    let run = desk.run(&call, Expected::Success)?;
    compare(desk, &rules::E02, &run.title, &whole.rows, &reading.rows(&run, usize::MAX));
    Ok(())
}

fn alone(
    desk: &mut Desk<'_>,
    reading: &Reading<'_>,
    whole: &Read,
    info: &StreamInfo,
) -> Result<(), Trouble> {
    let catalog = streams::configured([info], Asked::FullRefresh);
    let title = format!("read, {} alone", info.descriptor);
    let call = desk.call(title, "read").catalog(&catalog);
    let run = desk.run(&call, Expected::Success)?;
    let expected = whole.rows.only(|stream| *stream == info.descriptor);
    compare(desk, &rules::E01, &run.title, &expected, &reading.rows(&run, usize::MAX));
    Ok(())
}

fn two_at_once(desk: &mut Desk<'_>, reading: &Reading<'_>, whole: &Read) -> Result<(), Trouble> {
    let call = |title: &str| -> Call { desk.call(title, "read").catalog(&whole.catalog) };
    let (one, other) = (call("read, one of two at once"), call("read, the other of two at once"));
    let connector = &desk.lab.connector;
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| connector.run(&other));
        (connector.run(&one), second.join())
    });
    let second = second.map_err(|_| Trouble("the second of two reads could not be run".into()))?;
    for (call, run) in [(&one, first?), (&other, second?)] {
        desk.look_at(&run, Expected::Success, call);
        compare(desk, &rules::E03, &run.title, &whole.rows, &reading.rows(&run, usize::MAX));
    }
    Ok(())
}

/// The incremental read that others go on from; the streams that know no cursor are read in full.
pub fn incremental(
    lab: &Lab<'_>,
    reading: &Reading<'_>,
    cursors: &crate::checks::incremental::CursorRules,
) -> Result<Read, Trouble> {
    let mut desk = Desk::new(lab);
    if !reading.streams.iter().any(|info| info.is_incremental || info.is_resumable) {
        for rule in [&rules::I02, &rules::I03, &rules::I04, &rules::I08] {
            desk.sheet.skip(rule, "no stream can be read incrementally");
        }
    }
    let read = reading.read(&mut desk, "read (incremental)", Asked::Incremental, None)?;
    let none = |_: &StreamDescriptor| None;
    crate::checks::incremental::check(&read.run, &read.streams, none, cursors, &mut desk.sheet);
    desk.clear();
    Ok(read)
}

/// The full refresh that others are compared with.
pub fn full(lab: &Lab<'_>, reading: &Reading<'_>) -> Result<Read, Trouble> {
    let mut desk = Desk::new(lab);
    let read = reading.read(&mut desk, "read (full refresh)", Asked::FullRefresh, None)?;
    if read.run.records().next().is_none() && read.is_good {
        let finding = Finding::new(&rules::R01, "no stream has records");
        desk.find(finding.only(Level::Error, "the read is empty").in_run(&read.run.title));
    }
    desk.clear();
    Ok(read)
}
