//! The tables at the end of the demo.

use std::time::Duration;

use sandbox::counters::Counts;

use super::verify::Verdict;
use crate::process::Usage;
use crate::stats::Stats;
use crate::table::{self, Table};

/// What the demo found out about one stream.
#[derive(Debug, Default)]
pub struct StreamReport {
    /// The stream's name.
    pub name: String,
    /// Rows of the first read, and how many of them came twice.
    pub received: u64,
    /// Rows that came more than once.
    pub duplicates: u64,
    /// The first read against the truth.
    pub first: Verdict,
    /// Rows of the read after the changes.
    pub changed: u64,
    /// Everything against the truth after the changes.
    pub second: Verdict,
}

impl StreamReport {
    /// Whether both comparisons match.
    pub fn is_match(&self) -> bool {
        self.first.is_match() && self.second.is_match()
    }
}

/// Requests that the sandbox saw, and how they were answered.
#[derive(Debug, Clone, Copy, Default)]
pub struct Requests {
    /// All of them.
    pub total: u64,
    /// Refused because of a limit: 429, and what Salesforce says instead, 403 and 420.
    pub limited: u64,
    /// Answered 5xx.
    pub failed: u64,
    /// Ended by a connection that broke before an answer.
    pub reset: u64,
}

impl Requests {
    /// The requests among the counters.
    pub fn of(counts: &Counts) -> Self {
        let sum = |wanted: fn(&str) -> bool| {
            counts
                .all
                .by_status
                .iter()
                .filter(|(status, _)| wanted(status))
                .map(|(_, count)| count)
                .sum()
        };
        Self {
            total: counts.all.total,
            limited: sum(|status| matches!(status, "403" | "420" | "429")),
            failed: sum(|status| status.starts_with('5')),
            reset: sum(|status| status == "reset"),
        }
    }

    /// The sum of two.
    pub fn plus(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            limited: self.limited + other.limited,
            failed: self.failed + other.failed,
            reset: self.reset + other.reset,
        }
    }
}

/// What all runs of the connector took together.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort {
    records: u64,
    time: Duration,
    cpu: Duration,
    peak_rss_bytes: u64,
}

impl Effort {
    /// Adds a run.
    pub fn add(&mut self, stats: &Stats) {
        let Usage { peak_rss_bytes, cpu } = stats.source;
        self.records += stats.records();
        self.time += stats.elapsed;
        self.cpu += cpu;
        self.peak_rss_bytes = self.peak_rss_bytes.max(peak_rss_bytes);
    }
}

/// The table with a row per stream.
pub fn streams(reports: &[StreamReport]) -> String {
    let titles = [
        "stream",
        "expected",
        "received",
        "duplicates",
        "first read",
        "rows of the second",
        "after the changes",
    ];
    let mut table = Table::new(&titles, &[0, 4, 6]);
    for report in reports {
        table.row([
            report.name.clone(),
            table::count(report.first.expected),
            table::count(report.received),
            table::count(report.duplicates),
            report.first.summary(),
            table::count(report.changed),
            report.second.summary(),
        ]);
    }
    let sum = |of: fn(&StreamReport) -> u64| table::count(reports.iter().map(of).sum());
    table.row([
        "all".to_owned(),
        sum(|report| report.first.expected),
        sum(|report| report.received),
        sum(|report| report.duplicates),
        String::new(),
        sum(|report| report.changed),
        String::new(),
    ]);
    table.render()
}

/// The totals, a line each.
pub fn totals(requests: Requests, effort: Effort) -> String {
    let rate = table::per_second(effort.records, effort.time);
    let rows = [
        ("requests", table::count(requests.total)),
        ("limits ridden out", table::count(requests.limited)),
        ("5xx ridden out", table::count(requests.failed)),
        ("resets ridden out", table::count(requests.reset)),
        ("records/s, pauses included", table::count(rate)),
        ("connector CPU", format!("{:.2} s", effort.cpu.as_secs_f64())),
        ("connector peak memory", table::mebibytes(effort.peak_rss_bytes)),
    ];
    rows.iter().map(|(name, figure)| format!("{name:<27} {figure:>10}\n")).collect()
}

#[cfg(test)]
mod tests {
    use sandbox::counters::Counters;

    use super::*;

    #[test]
    fn requests_are_told_apart_by_status() {
        let counters = Counters::default();
        for status in [Some(200), Some(403), Some(429), Some(500), Some(503), None] {
            counters.add("stripe", "/stripe/v1/charges", status);
        }
        let requests = Requests::of(&counters.snapshot());
        let twice = requests.plus(requests);
        assert_eq!((twice.total, twice.limited, twice.failed, twice.reset), (12, 4, 4, 2));
    }

    #[test]
    fn the_table_ends_with_the_sums() {
        let report = |name: &str, received| StreamReport {
            name: name.into(),
            received,
            ..StreamReport::default()
        };
        let text = streams(&[report("a", 1200), report("b", 34)]);
        assert!(
            text.lines().last().unwrap().starts_with("all") && text.contains("1,234"),
            "{text}"
        );
    }
}
