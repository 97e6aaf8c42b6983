//! How points in time are written.

use std::fmt::Write as _;

use airbyte_protocol::{Error, Result};
use chrono::format::{Fixed, Item, Numeric, StrftimeItems};
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::Value;

use super::{DAY, SECOND};
use crate::json;
use crate::range::Span;

/// How an API writes a cursor's values.
///
/// Reading is tolerant: dates with and without time, zone and fraction are understood in
/// every text format, numbers also as text. What has no zone is UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CursorFormat {
    /// `2026-01-31T12:00:00Z` (RFC 3339), with so many digits of fraction.
    Rfc3339(SecondsFormat),
    /// `2026-01-31`
    Date,
    /// Seconds since the epoch, as a number.
    EpochSeconds,
    /// Milliseconds since the epoch, as a number.
    EpochMillis,
    /// Text of the API's own form.
    Custom(Pattern),
}

impl CursorFormat {
    /// RFC 3339 with whole seconds.
    pub const RFC3339: Self = CursorFormat::Rfc3339(SecondsFormat::Secs);

    /// A format in the notation of `strftime`, such as `%Y%m%d`.
    ///
    /// # Errors
    /// System: the notation is not understood.
    pub fn custom(pattern: &str) -> Result<Self> {
        Pattern::new(pattern).map(CursorFormat::Custom)
    }

    /// A point in time in microseconds since the epoch; `None` for what is none.
    pub fn parse(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        match self {
            CursorFormat::EpochSeconds => decimal(text, 6).or_else(|| tolerant(text)),
            CursorFormat::EpochMillis => decimal(text, 3).or_else(|| tolerant(text)),
            CursorFormat::Rfc3339(_) | CursorFormat::Date => tolerant(text),
            CursorFormat::Custom(pattern) => pattern.parse(text).or_else(|| tolerant(text)),
        }
    }

    /// The same for a value's JSON text, a string or a number.
    pub fn parse_json(&self, json: &str) -> Option<i64> {
        self.parse(&json::plain(json)?)
    }

    /// The text for a point in time, cut down to the granularity.
    pub fn text(&self, at: i64) -> String {
        let date = DateTime::from_timestamp_micros(at).unwrap_or(if at < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        });
        match self {
            CursorFormat::Rfc3339(fraction) => date.to_rfc3339_opts(*fraction, true),
            CursorFormat::Date => date.format("%Y-%m-%d").to_string(),
            CursorFormat::EpochSeconds => at.div_euclid(SECOND).to_string(),
            CursorFormat::EpochMillis => at.div_euclid(1_000).to_string(),
            CursorFormat::Custom(pattern) => pattern.text(date),
        }
    }

    /// The value for a point in time, as it stands in records and states: a number for
    /// epochs, else a string.
    pub fn value(&self, at: i64) -> Value {
        match self {
            CursorFormat::EpochSeconds => at.div_euclid(SECOND).into(),
            CursorFormat::EpochMillis => at.div_euclid(1_000).into(),
            _ => self.text(at).into(),
        }
    }

    /// The last point in time inside a slice that a text can tell from its end.
    pub fn last(&self, slice: Span) -> i64 {
        slice.end.saturating_sub(self.granularity()).max(slice.start)
    }

    /// The text for [`CursorFormat::last`], for APIs whose end is inclusive.
    pub fn last_text(&self, slice: Span) -> String {
        self.text(self.last(slice))
    }

    /// The least difference that a text can tell, in microseconds.
    pub fn granularity(&self) -> i64 {
        match self {
            CursorFormat::Rfc3339(SecondsFormat::Secs) | CursorFormat::EpochSeconds => SECOND,
            CursorFormat::Rfc3339(SecondsFormat::Millis) | CursorFormat::EpochMillis => 1_000,
            CursorFormat::Rfc3339(_) => 1,
            CursorFormat::Date => DAY,
            CursorFormat::Custom(pattern) => pattern.granularity,
        }
    }

    /// The point in time that the text for `at` names: at most a granularity earlier.
    pub fn floor(&self, at: i64) -> i64 {
        at.saturating_sub(at.rem_euclid(self.granularity()))
    }

    /// The first point in time from `at` on that a text can name.
    pub fn ceil(&self, at: i64) -> i64 {
        let floor = self.floor(at);
        if floor == at { at } else { floor.saturating_add(self.granularity()) }
    }
}

/// A format in the notation of `strftime` that has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pattern: String,
    granularity: i64,
}

impl Pattern {
    fn new(pattern: &str) -> Result<Self> {
        let items: Vec<Item<'_>> = StrftimeItems::new(pattern).collect();
        if items.contains(&Item::Error) {
            return Err(Error::system(format!("The date format '{pattern}' is not understood.")));
        }
        let granularity = items.iter().map(unit).min().unwrap_or(DAY);
        Ok(Pattern { pattern: pattern.to_owned(), granularity })
    }

    fn parse(&self, text: &str) -> Option<i64> {
        let zoned = || DateTime::parse_from_str(text, &self.pattern).ok().map(|d| d.to_utc());
        let local = || NaiveDateTime::parse_from_str(text, &self.pattern).ok().map(|d| d.and_utc());
        let day = || NaiveDate::parse_from_str(text, &self.pattern).ok().and_then(midnight);
        zoned().or_else(local).or_else(day).map(|date| date.timestamp_micros())
    }

    fn text(&self, date: DateTime<Utc>) -> String {
        let mut text = String::new();
        // The pattern was checked: only that could make it fail.
        let _ = write!(text, "{}", date.format(&self.pattern));
        text
    }
}

/// The unit that an item of a format tells, in microseconds.
fn unit(item: &Item<'_>) -> i64 {
    match item {
        Item::Numeric(Numeric::Nanosecond, _) => 1,
        Item::Numeric(Numeric::Second | Numeric::Timestamp, _) => SECOND,
        Item::Numeric(Numeric::Minute, _) => 60 * SECOND,
        Item::Numeric(Numeric::Hour | Numeric::Hour12, _) => 3_600 * SECOND,
        Item::Fixed(Fixed::RFC2822) => SECOND,
        Item::Fixed(Fixed::Nanosecond3) => 1_000,
        // Those for fractions without a point have no public names.
        Item::Fixed(
            Fixed::Nanosecond
            | Fixed::Nanosecond6
            | Fixed::Nanosecond9
            | Fixed::RFC3339
            | Fixed::Internal(_),
        ) => 1,
        _ => DAY,
    }
}

/// A decimal number, times ten to the power of `digits`; further digits are cut off.
fn decimal(text: &str, digits: usize) -> Option<i64> {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let fraction: String = fraction.chars().chain(std::iter::repeat('0')).take(digits).collect();
    format!("{whole}{fraction}").parse::<i64>().ok().map(|number| sign * number)
}

/// The usual forms of a date, with or without time, fraction and zone.
fn tolerant(text: &str) -> Option<i64> {
    if let Ok(date) = DateTime::parse_from_rfc3339(text) {
        return Some(date.timestamp_micros());
    }
    let zoned = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
    let zoned = zoned.iter().find_map(|form| DateTime::parse_from_str(text, form).ok());
    if let Some(date) = zoned {
        return Some(date.timestamp_micros());
    }
    let naive = text.strip_suffix('Z').unwrap_or(text);
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let local = local.iter().find_map(|form| NaiveDateTime::parse_from_str(naive, form).ok());
    let date = local
        .map(|date| date.and_utc())
        .or_else(|| NaiveDate::parse_from_str(naive, "%Y-%m-%d").ok().and_then(midnight));
    date.map(|date| date.timestamp_micros())
}

fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    day.and_hms_opt(0, 0, 0).map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: i64 = 1_769_860_800 * SECOND;

    #[test]
    fn one_instant_in_every_form() {
        for text in [
            "2026-01-31T12:00:00Z",
            "2026-01-31t12:00:00.000000z",
            "2026-01-31T12:00:00.000+0000",
            "2026-01-31T13:30:00+01:30",
            "2026-01-31T06:00:00-06",
            "2026-01-31 12:00:00 +00:00",
            "2026-01-31 12:00:00",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00Z",
            " 2026-01-31T12:00:00.000000000Z ",
        ] {
            assert_eq!(CursorFormat::RFC3339.parse(text), Some(NOON), "{text}");
        }
        let micros = CursorFormat::RFC3339.parse("2026-01-31T12:00:00.123456789Z").unwrap();
        assert_eq!(micros, NOON + 123_456);
        assert_eq!(CursorFormat::Date.parse("2026-01-31"), Some(NOON - DAY / 2));
        assert_eq!(CursorFormat::EpochSeconds.parse("1769860800"), Some(NOON));
        assert_eq!(CursorFormat::EpochSeconds.parse("1769860800.25"), Some(NOON + 250_000));
        assert_eq!(CursorFormat::EpochSeconds.parse("-1.5"), Some(-1_500_000));
        assert_eq!(CursorFormat::EpochMillis.parse_json("1769860800000"), Some(NOON));
        assert_eq!(CursorFormat::EpochMillis.parse_json("\"1769860800000\""), Some(NOON));
        assert_eq!(CursorFormat::EpochSeconds.parse("2026-01-31T12:00:00Z"), Some(NOON));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "soon", "2026-13-01", "12", "2026-01-31T25:00:00Z", "null"] {
            assert_eq!(CursorFormat::RFC3339.parse(text), None, "{text}");
        }
        for text in ["", "-", ".5", "1e9", "99999999999999999999", "NaN"] {
            assert_eq!(CursorFormat::EpochSeconds.parse(text), None, "{text}");
        }
        assert_eq!(CursorFormat::RFC3339.parse_json("null"), None);
        assert_eq!(CursorFormat::RFC3339.parse_json("{}"), None);
    }

    #[test]
    fn texts_and_values() {
        let millis = CursorFormat::Rfc3339(SecondsFormat::Millis);
        assert_eq!(CursorFormat::RFC3339.text(NOON + 999_999), "2026-01-31T12:00:00Z");
        assert_eq!(millis.text(NOON + 999_999), "2026-01-31T12:00:00.999Z");
        assert_eq!(CursorFormat::EpochSeconds.value(NOON), 1_769_860_800);
        assert_eq!(CursorFormat::EpochMillis.text(-1), "-1");
        assert_eq!(CursorFormat::Date.value(NOON), "2026-01-31");
        let slice = Span::new(NOON, NOON + 10 * SECOND);
        assert_eq!(CursorFormat::RFC3339.last_text(slice), "2026-01-31T12:00:09Z");
        assert_eq!(millis.last_text(slice), "2026-01-31T12:00:09.999Z");
        assert_eq!(CursorFormat::Date.ceil(NOON), NOON + DAY / 2);
        assert_eq!(CursorFormat::EpochSeconds.ceil(NOON), NOON);
    }

    #[test]
    fn forms_of_an_apis_own() {
        let day = CursorFormat::custom("%Y%m%d").unwrap();
        assert_eq!(day.parse("20260131"), Some(NOON - DAY / 2));
        assert_eq!((day.text(NOON), day.granularity()), ("20260131".into(), DAY));
        let filter = CursorFormat::custom("updated>'%d.%m.%Y %H:%M'").unwrap();
        assert_eq!(filter.parse("updated>'31.01.2026 12:00'"), Some(NOON));
        assert_eq!(filter.granularity(), 60 * SECOND);
        let zoned = CursorFormat::custom("%Y-%m-%dT%H:%M:%S%.3f%z").unwrap();
        assert_eq!(zoned.text(NOON), "2026-01-31T12:00:00.000+0000");
        assert_eq!(zoned.parse("2026-01-31T13:00:00.000+0100"), Some(NOON));
        assert_eq!(zoned.granularity(), 1_000);
        assert!(CursorFormat::custom("%Y-%Q").is_err());
        for (pattern, granularity) in
            [("%s", SECOND), ("%H", 3_600 * SECOND), ("%S%.f", 1), ("%S%6f", 1), ("%+", 1)]
        {
            assert_eq!(CursorFormat::custom(pattern).unwrap().granularity(), granularity);
        }
    }

    fn formats() -> Vec<CursorFormat> {
        let mut formats: Vec<_> =
            [SecondsFormat::Secs, SecondsFormat::Millis, SecondsFormat::Micros]
                .map(CursorFormat::Rfc3339)
                .into();
        formats.extend([
            CursorFormat::Date,
            CursorFormat::EpochSeconds,
            CursorFormat::EpochMillis,
            CursorFormat::custom("%d/%m/%Y %H:%M:%S%.6f").unwrap(),
            CursorFormat::custom("%Y%m%d").unwrap(),
        ]);
        formats
    }

    proptest! {
        #[test]
        fn a_text_names_the_instant_that_it_was_made_of(
            at in -60_000_000_000 * SECOND..250_000_000_000 * SECOND,
        ) {
            for format in formats() {
                let floor = format.floor(at);
                prop_assert_eq!(format.parse(&format.text(at)), Some(floor), "{:?}", format);
                prop_assert_eq!(format.parse_json(&format.value(at).to_string()), Some(floor));
                prop_assert!(floor <= at && at - floor < format.granularity());
                prop_assert!(format.ceil(at) >= at && format.ceil(at) - at < format.granularity());
            }
        }

        #[test]
        fn no_text_and_no_number_panics(text in ".*", at in any::<i64>()) {
            for format in formats() {
                let _ = format.parse(&text);
                let _ = format.parse_json(&text);
                prop_assert!(!format.text(at).is_empty());
                let _ = (format.floor(at), format.ceil(at), format.last_text(Span::new(at, i64::MAX)));
            }
        }
    }
}
