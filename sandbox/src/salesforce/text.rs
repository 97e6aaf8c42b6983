//! Texts of plain values, made from a random word.

use chrono::DateTime;

use super::kind::Kind;
use super::schema::Field;
use crate::hash;

const WORDS: [&str; 32] = [
    "amber", "anchor", "birch", "bridge", "canyon", "cedar", "copper", "delta", "ember", "falcon",
    "garden", "harbor", "indigo", "jasper", "kernel", "lantern", "maple", "meadow", "north",
    "ocean", "pepper", "quartz", "river", "saffron", "summit", "timber", "umber", "valley",
    "willow", "yonder", "zephyr", "zinc",
];

/// Texts that careless readers change: words that mean null elsewhere, blanks, quotes, lines,
/// digits, four-byte characters.
const NASTY: [&str; 16] = [
    "NA",
    "N/A",
    "null",
    "None",
    "nan",
    "   ",
    "He said \"hi\", and left",
    "first line\nsecond line\r\nthird",
    "007",
    "1e5",
    "true",
    "Zo\u{eb} \u{4f60}\u{597d} \u{1f680}",
    "a;b,c\td",
    "\"",
    "\\N \\ /",
    " leading and trailing ",
];

/// Values of picklists.
pub const PICKLIST: [&str; 5] = ["New", "Open", "In Review", "Won", "Closed; lost"];

/// One text of so many is nasty.
const NASTY_SHARE: u64 = 64;

/// Appends a value of a field that means nothing to the rest of the row; false for null.
pub fn plain(field: &Field, index: u64, luck: u64, start: i64, out: &mut Vec<u8>) -> bool {
    match field.kind {
        Kind::Boolean => boolean(luck & 1 == 1, out),
        Kind::Date => date(start / 86_400 - (hash::below(luck, 3000)) as i64, out),
        Kind::Time => time(hash::below(luck, 86_400) as i64, out),
        Kind::Int => {
            number(hash::below(luck, 100_000), out);
            // The Bulk API has been seen to write integers with decimals.
            if luck.is_multiple_of(16) && field.name == "Int__c" {
                out.extend_from_slice(b".0");
            }
        }
        Kind::Long => number(luck >> 5, out),
        Kind::Double | Kind::Currency | Kind::Percent => decimal(field, luck, out),
        Kind::Picklist => out.extend_from_slice(PICKLIST[(luck % 5) as usize].as_bytes()),
        Kind::Multipicklist => {
            out.extend_from_slice(b"New");
            for value in PICKLIST[1..4].iter().enumerate().filter(|(at, _)| luck >> at & 1 == 1) {
                out.push(b';');
                out.extend_from_slice(value.1.as_bytes());
            }
        }
        Kind::Email => {
            words(1, luck, out);
            number(index, out);
            out.extend_from_slice(b"@example.com");
        }
        Kind::Phone => {
            out.extend_from_slice(b"+1 (555) ");
            number(1_000_000 + hash::below(luck, 9_000_000), out);
        }
        Kind::Url => {
            out.extend_from_slice(b"https://example.com/");
            words(1, luck, out);
        }
        Kind::Encrypted => out.extend_from_slice(b"***********"),
        Kind::Json => {
            out.extend_from_slice(b"{\"n\":");
            number(luck % 100, out);
            out.push(b'}');
        }
        Kind::FloatArray => {
            out.push(b'[');
            number(luck % 100, out);
            out.extend_from_slice(b".5,0.25]");
        }
        Kind::Base64 | Kind::Address | Kind::Location => return false,
        _ => return free_text(field, index, luck, out),
    }
    true
}

fn free_text(field: &Field, index: u64, luck: u64, out: &mut Vec<u8>) -> bool {
    if field.name == "Blank__c" {
        return false;
    }
    if field.length >= 40 && luck.is_multiple_of(NASTY_SHARE) {
        out.extend_from_slice(NASTY[(luck >> 32) as usize % NASTY.len()].as_bytes());
        return true;
    }
    match field.kind {
        // The Bulk API has been seen to deliver NUL characters.
        Kind::Textarea if field.length > 100_000 && luck.is_multiple_of(8) => {
            out.extend_from_slice(b"zero\0byte");
        }
        Kind::Textarea => words(4 + (luck >> 20) % 6, luck, out),
        _ if field.length < 20 => words(1, luck, out),
        _ => {
            words(1 + (luck >> 20) % 2, luck, out);
            out.push(b' ');
            number(index, out);
        }
    }
    true
}

fn words(count: u64, luck: u64, out: &mut Vec<u8>) {
    for at in 0..count {
        if at > 0 {
            out.push(b' ');
        }
        let bits = luck.rotate_right(5 * at as u32) as usize % WORDS.len();
        out.extend_from_slice(WORDS[bits].as_bytes());
    }
}

fn decimal(field: &Field, luck: u64, out: &mut Vec<u8>) {
    if luck.is_multiple_of(3) {
        out.push(b'-');
    }
    let whole = field.precision.saturating_sub(field.scale);
    // One value of a hundred has as many digits as the field takes, more than a float can hold.
    let limit = if luck.is_multiple_of(100) { whole.min(18) } else { whole.min(5) };
    let fit = |digits: u32| 10_u64.pow(digits);
    number(hash::below(luck, fit(limit)), out);
    out.push(b'.');
    if field.scale == 0 {
        out.push(b'0');
        return;
    }
    let scale = field.scale.min(15);
    let fraction = hash::below(hash::mix(luck), fit(scale));
    for place in (0..scale).rev() {
        out.push(b'0' + (fraction / fit(place) % 10) as u8);
    }
}

/// Appends a whole number.
pub fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `true` or `false`.
pub fn boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn two(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
}

/// Appends the date of a day since 1970 (proleptic Gregorian, from year 1).
pub fn date(days: i64, out: &mut Vec<u8>) {
    // Days since 0000-03-01, so that leap days end the year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    two(year / 100, out);
    two(year, out);
    out.push(b'-');
    two(month, out);
    out.push(b'-');
    two(day, out);
}

fn time(seconds: i64, out: &mut Vec<u8>) {
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    out.extend_from_slice(b".000Z");
}

/// Appends `2026-11-01T00:00:00.000Z`.
pub fn datetime(seconds: i64, out: &mut Vec<u8>) {
    date(seconds.div_euclid(86_400), out);
    out.push(b'T');
    time(seconds.rem_euclid(86_400), out);
}

/// `2026-11-01T00:00:00.000Z` for unix seconds.
pub fn datetime_text(seconds: i64) -> String {
    let mut out = Vec::with_capacity(24);
    datetime(seconds, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// Unix seconds of a datetime with a zone.
pub fn parse_seconds(text: &str) -> Option<i64> {
    parse_millis(text).map(|ms| ms.div_euclid(1000))
}

/// Unix milliseconds of a datetime with a zone (`Z`, `+01:00` or `+0100`).
pub fn parse_millis(text: &str) -> Option<i64> {
    let zoned = DateTime::parse_from_rfc3339(text);
    let zoned = zoned.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    zoned.ok().map(|t| t.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn datetimes_are_right(seconds in -5_000_000_000_i64..10_000_000_000) {
            let text = datetime_text(seconds);
            prop_assert_eq!(parse_seconds(&text), Some(seconds), "{}", text);
        }
    }

    #[test]
    fn zones() {
        let noon = parse_millis("2026-11-01T12:00:00.500Z");
        assert!(noon.is_some());
        assert_eq!(parse_millis("2026-11-01T13:00:00.500+01:00"), noon);
        assert_eq!(parse_millis("2026-11-01T12:00:00.500+0000"), noon);
        assert_eq!(parse_millis("2026-11-01T12:00:00"), None);
    }
}
