//! Ids that carry their object's key, so that looking one up needs no index.
//!
//! An id is a prefix and sixteen characters: eleven for the scrambled key, five that must fit it.
//! So an unknown id is recognised as such, and `starting_after` costs no search.

use super::resource::Key;
use crate::hash;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_DIGITS: usize = 11;
const CHECK_DIGITS: usize = 5;

/// Writes the id's part behind the prefix.
pub fn write(salt: u64, key: Key, out: &mut Vec<u8>) {
    let scrambled = hash::mix(key.0 ^ salt);
    digits(scrambled, KEY_DIGITS, out);
    digits(hash::join(salt, scrambled), CHECK_DIGITS, out);
}

/// The key in an id's part behind the prefix, or None if the id was never given out.
pub fn read(salt: u64, body: &str) -> Option<Key> {
    let body = body.as_bytes();
    if body.len() != KEY_DIGITS + CHECK_DIGITS {
        return None;
    }
    let mut scrambled = 0_u64;
    for byte in body[..KEY_DIGITS].iter().rev() {
        let digit = ALPHABET.iter().position(|a| a == byte)? as u64;
        scrambled = scrambled.checked_mul(62)?.checked_add(digit)?;
    }
    let mut check = Vec::with_capacity(CHECK_DIGITS);
    digits(hash::join(salt, scrambled), CHECK_DIGITS, &mut check);
    (body[KEY_DIGITS..] == check).then(|| Key(hash::unmix(scrambled) ^ salt))
}

fn digits(mut x: u64, count: usize, out: &mut Vec<u8>) {
    for _ in 0..count {
        out.push(ALPHABET[(x % 62) as usize]);
        x /= 62;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn reads_what_it_writes(salt: u64, key: u64) {
            let mut id = Vec::new();
            write(salt, Key(key), &mut id);
            let id = String::from_utf8(id).unwrap_or_default();
            prop_assert_eq!(id.len(), 16);
            prop_assert_eq!(read(salt, &id), Some(Key(key)));
            prop_assert_eq!(read(salt ^ 1, &id), None);
        }

        #[test]
        fn strangers_are_unknown(salt: u64, text in "[0-9A-Za-z]{16}") {
            prop_assert_eq!(read(salt, &text), None);
        }
    }

    #[test]
    fn odd_texts_are_unknown() {
        assert_eq!(read(1, ""), None);
        assert_eq!(read(1, "zzzzzzzzzzzzzzzz"), None);
        assert_eq!(read(1, "ééééééééé"), None);
    }
}
