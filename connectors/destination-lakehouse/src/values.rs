//! Dates, times and numbers from text.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

/// Days since the epoch, from `2026-01-31` and its like.
pub fn date(text: &str) -> Option<i32> {
    let day = day(text.trim()).or_else(|| moment(text).map(|(local, _)| local.date()))?;
    i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Microseconds since midnight, in UTC where the text has an offset.
pub fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    let (clock, offset) = split_offset(text);
    let clock = time_of_day(clock)?;
    let micros = micros_of_day(clock) - i64::from(offset.unwrap_or(0)) * 1_000_000;
    Some(micros.rem_euclid(86_400_000_000))
}

/// Microseconds since the epoch of the wall clock time, whatever the offset.
pub fn timestamp(text: &str) -> Option<i64> {
    moment(text).map(|(local, _)| local.and_utc().timestamp_micros())
}

/// Microseconds since the epoch; without an offset it is UTC.
pub fn timestamptz(text: &str) -> Option<i64> {
    if let Some(quick) = rfc3339_utc(text.as_bytes()) {
        return Some(quick);
    }
    let (local, offset) = moment(text)?;
    local.and_utc().timestamp_micros().checked_sub(i64::from(offset.unwrap_or(0)) * 1_000_000)
}

/// The form that nearly all sources write, `2026-01-31T10:00:00[.123456]Z`, without detours.
fn rfc3339_utc(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_at_checked(19)?;
    let digits = |range: std::ops::Range<usize>| {
        head[range].iter().try_fold(0u32, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'))
        })
    };
    let is_shaped = head[4] == b'-'
        && head[7] == b'-'
        && head[10] == b'T'
        && head[13] == b':'
        && head[16] == b':';
    if !is_shaped {
        return None;
    }
    let day = NaiveDate::from_ymd_opt(digits(0..4)? as i32, digits(5..7)?, digits(8..10)?)?;
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0;
    let rest = match tail {
        [b'.', fraction @ ..] => {
            let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let mut scale = 100_000;
            for byte in &fraction[..count.min(6)] {
                micros += i64::from(byte - b'0') * scale;
                scale /= 10;
            }
            &fraction[count..]
        }
        rest => rest,
    };
    if !matches!(rest, b"Z" | b"+00:00") {
        return None;
    }
    let days = day.signed_duration_since(NaiveDate::default()).num_days();
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some((days * 86_400 + seconds) * 1_000_000 + micros)
}

/// A local date and time, and the offset from UTC in seconds if there is one.
fn moment(text: &str) -> Option<(NaiveDateTime, Option<i32>)> {
    let text = text.trim();
    if let Ok(moment) = DateTime::<FixedOffset>::parse_from_rfc3339(text) {
        return Some((moment.naive_local(), Some(moment.offset().local_minus_utc())));
    }
    let Some(at) = text.find(['T', 't', ' ']) else {
        return Some((day(text)?.and_time(NaiveTime::MIN), None));
    };
    let day = day(&text[..at])?;
    let (clock, offset) = split_offset(text[at + 1..].trim());
    Some((day.and_time(time_of_day(clock)?), offset))
}

/// A day, with `-`, `/`, `.`, blanks or nothing between its parts.
fn day(text: &str) -> Option<NaiveDate> {
    let is_negative = text.starts_with('-');
    let digits = text.trim_start_matches(['-', '+']);
    let mut parts = digits.split(['-', '/', '.', ' ']);
    let (year, month, day) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (year, month, day) = match (month, day) {
        (Some(month), Some(day)) => (year, month, day),
        (None, None) if year.len() == 8 && year.is_ascii() => (&year[..4], &year[4..6], &year[6..]),
        _ => return None,
    };
    if year.len() < 4 {
        return None;
    }
    let year: i32 = year.parse().ok()?;
    let year = if is_negative { -year } else { year };
    NaiveDate::from_ymd_opt(year, month.parse().ok()?, day.parse().ok()?)
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    ["%H:%M:%S%.f", "%H:%M", "%H%M%S%.f", "%I:%M:%S %p", "%I:%M %p"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
}

fn micros_of_day(time: NaiveTime) -> i64 {
    time.signed_duration_since(NaiveTime::MIN).num_microseconds().unwrap_or(0)
}

/// The text before an offset, and the offset in seconds.
fn split_offset(text: &str) -> (&str, Option<i32>) {
    let text = text.trim();
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return (clock.trim_end(), Some(0));
    }
    if let Some(clock) = text.strip_suffix("UTC") {
        return (clock.trim_end(), Some(0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return (text, None) };
    let digits: String = text[at + 1..].chars().filter(|c| *c != ':').collect();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || !matches!(digits.len(), 2 | 4) {
        return (text, None);
    }
    let part = |range: &str| range.parse::<i32>().unwrap_or(0);
    let minutes = if digits.len() == 4 { part(&digits[2..]) } else { 0 };
    let seconds = part(&digits[..2]) * 3600 + minutes * 60;
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    (text[..at].trim_end(), Some(sign * seconds))
}

/// A decimal number with `scale` digits after the point, as a whole number of its last digit; `None`
/// when it is no number, too large, or has more digits after the point.
pub fn decimal(text: &str, precision: u32, scale: u32) -> Option<i128> {
    let text = text.trim();
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    let mut shift = i64::from(scale) + i64::from(exponent) - fraction.len() as i64;
    while shift > 0 && value != 0 {
        value = value.checked_mul(10)?;
        shift -= 1;
    }
    while shift < 0 {
        // A digit that would be lost makes the value unfit, unless it is a zero.
        if value % 10 != 0 {
            return None;
        }
        if value == 0 {
            break;
        }
        value /= 10;
        shift += 1;
    }
    let fits = value < 10i128.checked_pow(precision)?;
    fits.then_some(if is_negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_of_many_forms() {
        let at = 1_769_853_600_000_000;
        for text in [
            "2026-01-31T10:00:00Z",
            "2026-01-31T10:00:00.000000Z",
            "2026-01-31T10:00:00+00:00",
            "2026-01-31 10:00:00",
            "2026/01/31 10:00:00 UTC",
            "2026.01.31T10:00",
            "2026-01-31T12:00:00+02:00",
            "2026-01-31T12:00:00+0200",
            "2026-01-31T05:00:00-05",
            " 2026-01-31T10:00:00z ",
        ] {
            assert_eq!(timestamptz(text), Some(at), "{text}");
        }
        assert_eq!(timestamp("2026-01-31T12:00:00+02:00"), Some(at + 7_200_000_000));
        assert_eq!(timestamptz("2026-01-31"), Some(at - 36_000_000_000));
        assert_eq!(timestamptz("2026-01-31T10:00:00.1234567Z"), Some(at + 123_456));
        for text in ["", "tomorrow", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "1", "T"] {
            assert_eq!(timestamptz(text), None, "{text}");
        }
    }

    #[test]
    fn days_and_times() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1969/12/31"), Some(-1));
        assert_eq!(date("20260131"), date("2026-01-31"));
        assert_eq!(date("2026-01-31T10:00:00Z"), date("2026-01-31"));
        assert_eq!(date("2026-02-29"), None);
        assert_eq!(time("10:00:00"), Some(36_000_000_000));
        assert_eq!(time("10:00:00.5Z"), Some(36_000_500_000));
        assert_eq!(time("01:00:00+02:00"), Some(82_800_000_000));
        assert_eq!(time("25:00"), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal("12.5", 38, 9), Some(12_500_000_000));
        assert_eq!(decimal("-0.000000001", 38, 9), Some(-1));
        assert_eq!(decimal("1.25e3", 38, 9), Some(1_250_000_000_000));
        assert_eq!(decimal("0.0000000010", 38, 9), Some(1));
        assert_eq!(decimal("0e400000000", 38, 9), Some(0));
        for text in ["", "x", "1e40", "0.0000000001", "1e400000000", "--1", "1.2.3", "."] {
            assert_eq!(decimal(text, 38, 9), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,30}") {
            let _ = (date(&text), time(&text), timestamp(&text), timestamptz(&text));
            let _ = decimal(&text, 38, 9);
        }

        #[test]
        fn the_quick_way_agrees_with_the_long_one(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            let text = DateTime::from_timestamp_micros(micros).unwrap().format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
            prop_assert_eq!(rfc3339_utc(text.as_bytes()), Some(micros));
            let (local, offset) = moment(&text).unwrap();
            prop_assert_eq!((local.and_utc().timestamp_micros(), offset), (micros, Some(0)));
        }
    }
}
