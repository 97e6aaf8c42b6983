//! Tables and figures as text.

use std::time::Duration;

/// A table: names to the left, figures to the right.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    left: Vec<usize>,
}

impl Table {
    /// A table with its column titles. `left` are the columns that hold words, not figures.
    pub fn new(titles: &[&str], left: &[usize]) -> Self {
        Self {
            rows: vec![titles.iter().map(|&title| title.to_owned()).collect()],
            left: left.to_vec(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The lines of the table, with a rule under the titles.
    pub fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|at| {
                self.rows
                    .iter()
                    .filter_map(|row| row.get(at))
                    .map(|cell| cell.chars().count())
                    .max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for (at, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(at, (cell, &width))| self.pad(at, cell, width))
                .collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
            if at == 0 {
                let rule: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
                text.push_str(&rule.join("  "));
                text.push('\n');
            }
        }
        text
    }

    fn pad(&self, column: usize, cell: &str, width: usize) -> String {
        if self.left.contains(&column) {
            format!("{cell:<width$}")
        } else {
            format!("{cell:>width$}")
        }
    }
}

/// A number with a comma between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as megabytes (10^6) with two decimals.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1e6)
}

/// Bytes as mebibytes (2^20) with one decimal, as memory is usually told.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Things per second, rounded; zero when no time has passed.
pub fn per_second(things: u64, time: Duration) -> u64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 { (things as f64 / seconds).round() as u64 } else { 0 }
}

/// A time of the day in UTC, from epoch milliseconds.
pub fn utc_time(epoch_ms: i64) -> String {
    let seconds = epoch_ms.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["stream", "records", "status"], &[0, 2]);
        table.row(["a".into(), "12".into(), "complete".into()]);
        table.row(["long name".into(), "3".into(), "ok".into()]);
        let expected = "\
stream     records  status
---------  -------  --------
a               12  complete
long name        3  ok
";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn figures_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(megabytes(1_234_567), "1.23");
        assert_eq!(mebibytes(48 << 20), "48.0 MiB");
        assert_eq!(per_second(10, Duration::from_millis(500)), 20);
        assert_eq!(per_second(10, Duration::ZERO), 0);
        assert_eq!(utc_time(1_767_225_661_999), "00:01:01 UTC");
        assert_eq!(utc_time(-1000), "23:59:59 UTC");
    }
}
