//! Dates and times as records carry them: RFC 3339 §5.6, with what destinations read besides.

use chrono::NaiveDate;

/// What stands behind a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// `Z` or an offset.
    Offset,
    /// Nothing.
    Absent,
}

/// Whether it is a date, such as `2026-01-31` or `0044-03-15 BC`.
pub fn is_date(text: &str) -> bool {
    date(without_era(text)).is_some_and(str::is_empty)
}

/// Takes a point in time apart: date, `T` or a blank, time, perhaps a zone, perhaps ` BC`.
/// `None` when it is none.
pub fn date_time(text: &str) -> Option<Zone> {
    let rest = date(without_era(text))?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    time(rest)
}

/// Takes a time of day apart. `None` when it is none.
pub fn time(text: &str) -> Option<Zone> {
    let rest = clock(text)?;
    let zone = rest.trim_start_matches(' ');
    match zone {
        "" => rest.is_empty().then_some(Zone::Absent),
        "Z" | "z" | "UTC" => Some(Zone::Offset),
        _ => offset(zone).map(|()| Zone::Offset),
    }
}

fn without_era(text: &str) -> &str {
    text.strip_suffix(" BC").unwrap_or(text)
}

/// Reads a date and gives the rest.
fn date(text: &str) -> Option<&str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if !(4..=6).contains(&digits) {
        return None;
    }
    let year: i32 = text[..digits].parse().ok()?;
    let rest = text[digits..].strip_prefix('-')?;
    let (month, rest) = two(rest)?;
    let (day, rest) = two(rest.strip_prefix('-')?)?;
    NaiveDate::from_ymd_opt(year, month, day).map(|_| rest)
}

/// Reads hours, minutes and perhaps seconds with a fraction, and gives the rest.
fn clock(text: &str) -> Option<&str> {
    let (hour, rest) = two(text)?;
    let (minute, rest) = two(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let Some(rest) = rest.strip_prefix(':') else { return Some(rest) };
    let (second, rest) = two(rest)?;
    if second > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| &fraction[digits..])
}

/// `+02:00`, `+0200` or `+02`.
fn offset(text: &str) -> Option<()> {
    let (hour, rest) = two(text.strip_prefix(['+', '-'])?)?;
    let minute = match rest.strip_prefix(':').unwrap_or(rest) {
        "" if rest.is_empty() => 0,
        rest => two(rest).filter(|(_, rest)| rest.is_empty())?.0,
    };
    (hour <= 23 && minute <= 59).then_some(())
}

/// Reads two digits.
fn two(text: &str) -> Option<(u32, &str)> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn points_in_time_are_told_from_other_text() {
        for text in [
            "2026-01-31T10:00:00.123456Z",
            "2026-01-31 10:00:00+02:00",
            "2026-01-31t10:00:00z",
            "2026-01-31T10:00:00+0200",
            "2026-01-31T10:00-05",
            "2026-01-31T23:59:60Z",
            "0044-03-15T10:00:00Z BC",
            "2026-01-31 10:00:00 UTC",
        ] {
            assert_eq!(date_time(text), Some(Zone::Offset), "{text}");
        }
        for text in ["2026-01-31T10:00:00", "2026-01-31 10:00", "2026-01-31T10:00:00.5"] {
            assert_eq!(date_time(text), Some(Zone::Absent), "{text}");
        }
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "2026-02-30T10:00:00Z",
            "2026-13-01T10:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T10:61:00Z",
            "2026-01-31T10:00:00.Z",
            "2026-01-31T10:00:00 ",
            "2026-01-31T10:00:00+2",
            "2026-01-31T10:00:00+02:",
            "20260131T100000Z",
            "1767225600",
            "31/01/2026 10:00",
        ] {
            assert_eq!(date_time(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_of_the_calendar() {
        for text in ["2026-01-31", "2024-02-29", "0044-03-15 BC", "10000-01-01"] {
            assert!(is_date(text), "{text}");
        }
        for text in ["2026-02-29", "2026-1-31", "26-01-31", "2026-01-31T00:00:00Z", "2026-01-3é"] {
            assert!(!is_date(text), "{text}");
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time("10:00:00Z"), Some(Zone::Offset));
        assert_eq!(time("10:00:00.5"), Some(Zone::Absent));
        assert_eq!(time("25:00:00"), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[0-9TZ:+. BC-]{0,30}") {
            let _ = (date_time(&text), is_date(&text), time(&text));
        }
    }
}
