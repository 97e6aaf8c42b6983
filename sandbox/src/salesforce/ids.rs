//! Record ids: 15 characters of base 62 in ascending order of rows, and three that guard case.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const GUARD: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
const POD: &[u8] = b"5g00";
const NUMBER: usize = 8;

/// Appends the 18 characters of row `index` of the object with that prefix.
pub fn write(prefix: &str, index: u64, out: &mut Vec<u8>) {
    let mut id = [b'0'; 15];
    id[..3].copy_from_slice(&prefix.as_bytes()[..3]);
    id[3..7].copy_from_slice(POD);
    let mut rest = index + 1;
    for place in id[15 - NUMBER..].iter_mut().rev() {
        *place = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    out.extend_from_slice(&id);
    out.extend_from_slice(&guard(&id));
}

/// The three characters that tell which of the 15 are capitals, five each.
fn guard(id: &[u8; 15]) -> [u8; 3] {
    [0, 5, 10].map(|from| {
        let capitals =
            id[from..from + 5].iter().enumerate().filter(|(_, c)| c.is_ascii_uppercase());
        GUARD[capitals.fold(0_usize, |bits, (at, _)| bits | 1 << at)]
    })
}

/// The id as a text.
pub fn id(prefix: &str, index: u64) -> String {
    let mut out = Vec::with_capacity(18);
    write(prefix, index, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The row of an id of 15 or 18 characters; None if it cannot be one of this object.
pub fn index(prefix: &str, id: &str) -> Option<u64> {
    let bytes = id.as_bytes();
    if !matches!(bytes.len(), 15 | 18) || !id.starts_with(prefix) || &bytes[3..7] != POD {
        return None;
    }
    let number = bytes[15 - NUMBER..15].iter().try_fold(0_u64, |number, c| {
        Some(number * 62 + DIGITS.iter().position(|d| d == c)? as u64)
    })?;
    number.checked_sub(1)
}

/// The first row whose id is not below `id` in the order of ids.
pub fn lower_bound(prefix: &str, id: &str) -> u64 {
    let below =
        |index: u64| self::id(prefix, index).as_bytes()[..15] < id.as_bytes()[..id.len().min(15)];
    let (mut low, mut high) = (0, 1 << 40);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_guard_is_salesforces() {
        assert_eq!(&guard(b"001A0000006Vm9r"), b"IAC");
        assert_eq!(id("001", 0), "0015g0000000001AAA");
    }

    proptest! {
        #[test]
        fn ids_lead_back_and_keep_the_order(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
            prop_assert_eq!(index("a0X", &id("a0X", a)), Some(a));
            prop_assert_eq!(a.cmp(&b), id("a0X", a)[..15].cmp(&id("a0X", b)[..15]));
            prop_assert_eq!(lower_bound("a0X", &id("a0X", a)), a);
        }
    }
}
