//! Generated words: names, addresses, codes. All of it is JSON-safe without escaping.

use crate::hash;

const SYLLABLES: [&str; 32] = [
    "ka", "lo", "mi", "ren", "tu", "vas", "el", "dor", "ni", "sha", "bel", "or", "quin", "za",
    "pe", "lu", "har", "ost", "we", "jin", "fa", "ro", "und", "sk", "yl", "gra", "emo", "tha", "ö",
    "é", "ñi", "ši",
];
/// Parts outside Latin, so that readers meet characters of two, three and four bytes.
const FOREIGN: [&str; 6] = ["北川", "Ω-", "Ждано", "مينا", "𝒬", "한빛"];
const STREETS: [&str; 6] =
    ["Mill Lane", "High Street", "Station Road", "Rue du Lac", "Ringstraße", "Calle Ocho"];
const CITIES: [&str; 8] =
    ["Lisbon", "Porto", "Zürich", "Kraków", "Ōsaka", "Austin", "Dublin", "São Paulo"];

/// A kind of text; the number is its length in characters or words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Words(usize),
    Name,
    Email,
    City,
    Line,
    Zip,
    Hex(usize),
    Digits(usize),
    Alnum(usize),
}

impl Kind {
    /// The kind of that name in a template.
    pub fn parse(name: &str, count: usize) -> Option<Self> {
        Some(match name {
            "words" => Self::Words(count),
            "name" => Self::Name,
            "email" => Self::Email,
            "city" => Self::City,
            "line" => Self::Line,
            "zip" => Self::Zip,
            "hex" => Self::Hex(count),
            "digits" => Self::Digits(count),
            "alnum" => Self::Alnum(count),
            _ => return None,
        })
    }

    /// Writes the text that belongs to `x`.
    pub fn write(self, x: u64, out: &mut Vec<u8>) {
        match self {
            Self::Words(count) => {
                for i in 0..count {
                    if i > 0 {
                        out.push(b' ');
                    }
                    word(hash::mix(x ^ i as u64), out);
                }
            }
            Self::Name => name(x, out),
            Self::Email => {
                out.extend_from_slice(b"user.");
                codes(x, 10, b"0123456789abcdefghijklmnopqrstuv", out);
                out.extend_from_slice(b"@example.com");
            }
            Self::City => choose(x, &CITIES, out),
            Self::Line => {
                number(1 + x % 300, out);
                out.push(b' ');
                choose(hash::mix(x), &STREETS, out);
            }
            Self::Zip => codes(x, 5, b"0123456789", out),
            Self::Hex(count) => codes(x, count, b"0123456789abcdef", out),
            Self::Digits(count) => codes(x, count, b"0123456789", out),
            Self::Alnum(count) => {
                codes(
                    x,
                    count,
                    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                    out,
                );
            }
        }
    }
}

fn choose(x: u64, from: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(from[hash::below(x, from.len() as u64) as usize].as_bytes());
}

fn word(x: u64, out: &mut Vec<u8>) {
    for i in 0..2 + x % 2 {
        choose(hash::mix(x.wrapping_add(i)), &SYLLABLES, out);
    }
}

/// Two made-up words with capitals; one name in sixteen has a foreign part.
fn name(x: u64, out: &mut Vec<u8>) {
    if x.is_multiple_of(16) {
        choose(hash::mix(x ^ 1), &FOREIGN, out);
        out.push(b' ');
    }
    for i in 0..2 {
        if i > 0 {
            out.push(b' ');
        }
        let initial = b"ABCDEFGHKLMNPRSTVZ";
        out.push(initial[hash::below(hash::mix(x ^ (9 + i)), initial.len() as u64) as usize]);
        word(hash::mix(x ^ (77 + i)), out);
    }
}

fn codes(mut x: u64, count: usize, alphabet: &[u8], out: &mut Vec<u8>) {
    let base = alphabet.len() as u64;
    for i in 0..count {
        if i % 8 == 7 {
            x = hash::mix(x);
        }
        out.push(alphabet[(x % base) as usize]);
        x /= base;
    }
}

fn number(x: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(x.to_string().as_bytes());
}

/// A metadata object: mostly empty or small, rarely the largest that Stripe allows.
pub fn metadata(x: u64, out: &mut Vec<u8>) {
    let keys = match x % 1024 {
        0 => 50,
        n if n % 4 == 1 => 0,
        n => n % 3,
    };
    out.push(b'{');
    for i in 0..keys {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"\"key_");
        number(i, out);
        out.extend_from_slice(b"\":\"");
        let words = if keys == 50 { 24 } else { 2 };
        Kind::Words(words).write(hash::mix(x ^ (i << 8)), out);
        out.push(b'"');
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_need_no_escaping(x: u64) {
            for name in ["words", "name", "email", "city", "line", "zip", "hex", "digits", "alnum"] {
                let kind = Kind::parse(name, 9);
                prop_assert!(kind.is_some());
                let mut out = vec![b'"'];
                kind.unwrap_or(Kind::Name).write(x, &mut out);
                out.push(b'"');
                let parsed: Result<String, _> = serde_json::from_slice(&out);
                prop_assert!(parsed.is_ok_and(|t| !t.is_empty()));
            }
        }

        #[test]
        fn metadata_is_strings_only(x: u64) {
            let mut out = Vec::new();
            metadata(x, &mut out);
            let parsed: Result<std::collections::HashMap<String, String>, _> = serde_json::from_slice(&out);
            prop_assert!(parsed.is_ok_and(|m| m.len() <= 50));
        }
    }
}
