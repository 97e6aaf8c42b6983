//! The suite for destinations: experiments with `write`, from its input, its output, the points at
//! which it is stopped, and the rows that are read back.

mod ends;
mod feed;
mod inputs;
mod keys;
mod read_back;
mod refresh;
mod trials;
mod values;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

pub use self::read_back::TableCommand;
pub(super) use self::trials::trials;

use self::feed::{Feed, Target, catalog};
use crate::checks::destination::echoes;
use crate::exec::{Call, Connector, Running, Trouble};
use crate::rules::{self, Rule};
use crate::sheet::{Finding, Sheet};
use crate::transcript::Transcript;

/// How long a state may take to come back before the suite goes on without it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where an experiment is carried out.
pub struct Bench<'a> {
    /// The destination.
    pub connector: &'a Connector,
    /// Its configuration.
    pub config: &'a Value,
    /// How tables are read; without it only what stands on stdout is looked at.
    pub read_back: Option<&'a TableCommand>,
    /// A prefix for names of streams, so that runs do not meet each other's tables.
    pub prefix: &'a str,
    /// The namespace of all streams.
    pub namespace: Option<&'a str>,
    /// After which time a run is killed.
    pub timeout: Duration,
    /// The streams that were written to, for whoever cleans up.
    pub written: BTreeSet<String>,
    /// What is found.
    pub sheet: Sheet,
    /// Runs to which the rules of every output apply, and whether they were to succeed.
    pub runs: Vec<(Transcript, bool)>,
}

/// One experiment.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// What it is called.
    pub name: &'static str,
    /// The sync mode that the destination has to know for it.
    pub mode: &'static str,
    /// The rules that it looks at.
    pub rules: &'static [&'static Rule],
    /// What it does.
    pub work: fn(&mut Bench<'_>) -> Result<(), Trouble>,
}

/// All experiments. They are independent of each other.
pub static EXPERIMENTS: &[Experiment] = &[
    Experiment {
        name: "append without ids",
        mode: "append",
        rules: &[&rules::W01, &rules::W02, &rules::W03, &rules::W13],
        work: ends::append,
    },
    Experiment {
        name: "a crash after a state came back",
        mode: "append",
        rules: &[&rules::W01],
        work: ends::crash,
    },
    Experiment { name: "global states", mode: "append", rules: &[&rules::W11], work: ends::global },
    Experiment {
        name: "the end of stdout",
        mode: "overwrite",
        rules: &[&rules::W03, &rules::W14],
        work: ends::overwrite,
    },
    Experiment {
        name: "a cancelled sync",
        mode: "overwrite",
        rules: &[&rules::W15],
        work: ends::cancel,
    },
    Experiment {
        name: "a truncate refresh in two attempts",
        mode: "append",
        rules: &[&rules::W04, &rules::W05],
        work: refresh::two_attempts,
    },
    Experiment {
        name: "an overwrite whose source dies",
        mode: "overwrite",
        rules: &[&rules::W16],
        work: refresh::dead_source,
    },
    Experiment {
        name: "an overwrite without records",
        mode: "overwrite",
        rules: &[&rules::W10],
        work: refresh::without_records,
    },
    Experiment {
        name: "append_dedup",
        mode: "append_dedup",
        rules: &[&rules::W06],
        work: keys::cursors,
    },
    Experiment {
        name: "append_dedup by two columns",
        mode: "append_dedup",
        rules: &[&rules::W06],
        work: keys::composite,
    },
    Experiment {
        name: "values that do not fit",
        mode: "append",
        rules: &[&rules::W07],
        work: values::misfits,
    },
    Experiment { name: "types", mode: "append", rules: &[&rules::W17], work: values::types },
    Experiment { name: "names", mode: "append", rules: &[&rules::W17], work: values::names },
    Experiment {
        name: "a large batch",
        mode: "append",
        rules: &[&rules::W02, &rules::W17],
        work: values::batch,
    },
    Experiment {
        name: "other lines",
        mode: "append",
        rules: &[&rules::W08],
        work: inputs::other_lines,
    },
    Experiment {
        name: "an unknown stream",
        mode: "append",
        rules: &[&rules::W09],
        work: inputs::unknown_stream,
    },
    Experiment {
        name: "emitted_at in seconds and with decimals",
        mode: "append",
        rules: &[&rules::W12],
        work: inputs::times,
    },
];

impl<'a> Bench<'a> {
    /// A bench without findings.
    pub fn new(
        connector: &'a Connector,
        config: &'a Value,
        read_back: Option<&'a TableCommand>,
        prefix: &'a str,
    ) -> Self {
        Self {
            connector,
            config,
            read_back,
            prefix,
            namespace: None,
            timeout: Duration::from_secs(300),
            written: BTreeSet::new(),
            sheet: Sheet::new(),
            runs: Vec::new(),
        }
    }

    /// The name of a stream of this run.
    fn stream(&mut self, name: &str) -> String {
        let stream = format!("{}{name}", self.prefix);
        self.written.insert(stream.clone());
        stream
    }

    fn call(&self, title: &str, targets: &[&Target]) -> Call {
        Call::new(format!("write ({title})"), "write")
            .config(self.config)
            .catalog(&catalog(targets, self.namespace))
            .with_input()
            .timeout(self.timeout)
    }

    fn start(&self, title: &str, targets: &[&Target]) -> Result<Running, Trouble> {
        self.connector.start(&self.call(title, targets))
    }

    /// Feeds all lines, ends the input and waits for the end.
    fn feed(&self, title: &str, targets: &[&Target], feed: &Feed) -> Result<Transcript, Trouble> {
        let mut running = self.start(title, targets)?;
        running.write(feed.placed(self.namespace).text.as_bytes());
        running.close_input();
        Ok(running.finish())
    }

    /// Feeds lines that have to be written without fault. False, with a finding of the rule, when
    /// they are not.
    fn write(
        &mut self,
        rule: &'static Rule,
        title: &str,
        targets: &[&Target],
        feed: &Feed,
    ) -> Result<bool, Trouble> {
        let run = self.feed(title, targets, feed)?;
        let is_well = run.exit.is_success();
        if is_well {
            self.echoes(&run, feed, true);
        } else {
            let message = format!("{}, {}: {}", run.title, run.exit, run.error_text());
            self.sheet.find(Finding::new(rule, message));
        }
        self.runs.push((run, true));
        Ok(is_well)
    }

    /// Compares the states that came back with those of the feed.
    fn echoes(&mut self, run: &Transcript, feed: &Feed, is_whole: bool) {
        echoes(run, &feed.placed(self.namespace).sent, is_whole, &mut self.sheet);
    }

    /// The rows of a stream; `None`, with a note for the rule, when they cannot be read at all.
    /// A missing table is a finding of the rule.
    fn rows(&mut self, rule: &'static Rule, stream: &str) -> Result<Option<Vec<Value>>, Trouble> {
        let Some(read_back) = self.read_back else {
            self.sheet.skip(rule, "no command that reads tables back: set destination.read_back");
            return Ok(None);
        };
        let rows = read_back.rows(self.config, stream)?;
        if rows.is_none() {
            let finding = Finding::new(rule, "there is no table that read_back could read");
            self.sheet.find(finding.stream(stream));
        }
        Ok(rows)
    }

    /// Expects rows with exactly these values in a column, in any order.
    fn expect(
        &mut self,
        rule: &'static Rule,
        stream: &str,
        column: &str,
        expected: &[i64],
        when: &str,
    ) -> Result<(), Trouble> {
        let Some(rows) = self.rows(rule, stream)? else { return Ok(()) };
        self.sheet.check(rule);
        let mut found = whole_numbers(&rows, column);
        let mut expected = expected.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        if found != expected {
            let message = format!(
                "{when}, the table has {} rows with {column} {}, and should have {} with {}",
                rows.len(),
                short(&found),
                expected.len(),
                short(&expected),
            );
            self.sheet.find(Finding::new(rule, message).stream(stream));
        }
        Ok(())
    }
}

/// Whole numbers in a column, however they are stored.
fn whole_numbers(rows: &[Value], column: &str) -> Vec<i64> {
    rows.iter()
        .filter_map(|row| match crate::checks::destination::Row(row).value(column) {
            Value::Number(number) => number.as_i64().or(number.as_f64().map(|n| n as i64)),
            Value::String(text) => text.parse::<f64>().ok().map(|n| n as i64),
            _ => None,
        })
        .collect()
}

fn short(numbers: &[i64]) -> String {
    const SHOWN: usize = 12;
    let mut text: Vec<String> = numbers.iter().take(SHOWN).map(i64::to_string).collect();
    if numbers.len() > SHOWN {
        text.push("…".to_owned());
    }
    format!("[{}]", text.join(", "))
}

/// Reads output until so many states came back. False when they do not come in time: many
/// destinations hold them back until a batch is full or the input ends.
fn wait_for_states(running: &mut Running, count: usize) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let states = running.lines().iter().filter(|line| line.kind() == Some("STATE")).count();
        if states >= count {
            return true;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || !matches!(running.line_within(left), Ok(Some(_))) {
            return false;
        }
    }
}
