//! ISO 8601 durations such as `P30D` and `PT10M`.

use airbyte_protocol::{Error, Result};

const SECOND: f64 = 1_000.0;
const DAY: f64 = 86_400.0 * SECOND;

/// A duration in milliseconds. A month counts as 30 days and a year as 365.
///
/// # Errors
/// Config: the text of the setting `name` is no duration.
pub fn parse(name: &str, text: &str) -> Result<i64> {
    millis(text).ok_or_else(|| {
        Error::config(format!("{name} must be an ISO 8601 duration, such as P30D, P1M or PT10M."))
    })
}

fn millis(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_uppercase();
    let mut rest = text.strip_prefix('P')?;
    let (mut total, mut is_time, mut is_empty) = (0.0, false, true);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T').filter(|_| !is_time) {
            (rest, is_time) = (time, true);
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        let unit = match (rest.as_bytes()[end], is_time) {
            (b'Y', false) => 365.0 * DAY,
            (b'M', false) => 30.0 * DAY,
            (b'W', false) => 7.0 * DAY,
            (b'D', false) => DAY,
            (b'H', true) => 3_600.0 * SECOND,
            (b'M', true) => 60.0 * SECOND,
            (b'S', true) => SECOND,
            _ => return None,
        };
        total += number * unit;
        rest = &rest[end + 1..];
        is_empty = false;
    }
    // Beyond some thousand years a duration is a mistake, and sums with it would overflow.
    (!is_empty && total <= 1e14).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("P30D", Some(2_592_000_000)),
            ("PT10M", Some(600_000)),
            ("P1M", Some(2_592_000_000)),
            ("P1Y2W", Some((365 + 14) * 86_400_000)),
            ("P1DT12H", Some(129_600_000)),
            ("PT0.5S", Some(500)),
            ("PT0S", Some(0)),
            ("P", None),
            ("PT", None),
            ("10M", None),
            ("P10", None),
            ("PT1D", None),
            ("P1é", None),
            ("P99999999999999999999Y", None),
        ] {
            assert_eq!(millis(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[PTYMWDHS0-9.é]{0,12}") {
            let _ = millis(&text);
        }
    }
}
