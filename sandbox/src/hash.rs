//! Deterministic mixing of 64-bit words: the only source of "randomness" in the sandbox.

const A: u64 = 0xbf58_476d_1ce4_e5b9;
const B: u64 = 0x94d0_49bb_1331_11eb;
const A_INVERSE: u64 = 0x96de_1b17_3f11_9089;
const B_INVERSE: u64 = 0x3196_42b2_d24d_8ec3;

/// A bijection on 64-bit words whose output bits all depend on all input bits (splitmix64).
pub fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(A);
    x ^= x >> 27;
    x = x.wrapping_mul(B);
    x ^ (x >> 31)
}

/// The inverse of [`mix`].
pub fn unmix(mut x: u64) -> u64 {
    x ^= (x >> 31) ^ (x >> 62);
    x = x.wrapping_mul(B_INVERSE);
    x ^= (x >> 27) ^ (x >> 54);
    x = x.wrapping_mul(A_INVERSE);
    x ^ (x >> 30) ^ (x >> 60)
}

/// Two words into one; order matters.
pub fn join(a: u64, b: u64) -> u64 {
    mix(a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b).wrapping_add(0x632b_e59b_d9b4_e019))
}

/// A text into one word (FNV-1a, then mixed).
pub fn text(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    mix(fnv)
}

/// A word as a fraction in `[0, 1)`.
pub fn fraction(x: u64) -> f64 {
    (x >> 11) as f64 / (1_u64 << 53) as f64
}

/// A word as a number in `0..n` (`n` > 0), without the bias of `%` mattering for our sizes.
pub fn below(x: u64, n: u64) -> u64 {
    ((u128::from(x) * u128::from(n)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn mix_is_a_bijection(x: u64) {
            prop_assert_eq!(unmix(mix(x)), x);
        }

        #[test]
        fn below_stays_below(x: u64, n in 1_u64..1_000_000) {
            prop_assert!(below(x, n) < n);
        }

        #[test]
        fn fraction_is_a_fraction(x: u64) {
            prop_assert!((0.0..1.0).contains(&fraction(x)));
        }
    }
}
