//! API versions, as far as they change shapes.

/// The first version of today's billing shapes.
pub const BASIL: &str = "2025-03-31";

/// Which of the two families of shapes a version belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// Before 2025-03-31.basil.
    Legacy,
    /// From 2025-03-31.basil on.
    Basil,
}

impl Era {
    /// The era of a version such as `2022-11-15` or `2026-10-28.endive`; None if it is no version.
    pub fn of(version: &str) -> Option<Self> {
        let (date, name) = version.split_once('.').unwrap_or((version, ""));
        let well_formed = date.len() == 10
            && date.bytes().enumerate().all(|(i, b)| match i {
                4 | 7 => b == b'-',
                _ => b.is_ascii_digit(),
            })
            && name.bytes().all(|b| b.is_ascii_lowercase());
        well_formed.then_some(if date < BASIL { Self::Legacy } else { Self::Basil })
    }
}

#[cfg(test)]
mod tests {
    use super::Era;

    #[test]
    fn eras() {
        assert_eq!(Era::of("2022-11-15"), Some(Era::Legacy));
        assert_eq!(Era::of("2025-02-24.acacia"), Some(Era::Legacy));
        assert_eq!(Era::of("2025-03-31.basil"), Some(Era::Basil));
        assert_eq!(Era::of("2026-10-28.endive"), Some(Era::Basil));
        assert_eq!(Era::of("latest"), None);
        assert_eq!(Era::of("2025-3-31"), None);
    }
}
