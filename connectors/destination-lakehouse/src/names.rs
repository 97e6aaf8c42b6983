//! Names of namespaces, tables and columns.

use std::collections::HashSet;

/// How the names of streams and fields become those of tables and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Naming {
    /// Lower case, with `_` for everything but letters and digits: readable by every engine.
    #[default]
    Normalized,
    /// As they are.
    Verbatim,
}

impl Naming {
    /// The name of a namespace or table.
    pub fn table(self, name: &str) -> String {
        let name = match self {
            Self::Normalized => normalized(name),
            Self::Verbatim => name.to_owned(),
        };
        if name.is_empty() { "_".into() } else { name }
    }

    /// The names of columns, in the order of the fields, no two of them alike in any case.
    pub fn columns<'a>(self, fields: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut taken = HashSet::new();
        let unique = |field: &str| {
            let wanted = match self {
                Self::Normalized => normalized(field),
                Self::Verbatim => field.to_owned(),
            };
            let wanted = if wanted.is_empty() { "_".to_owned() } else { wanted };
            if taken.insert(self.folded(&wanted)) {
                return wanted;
            }
            let marked = format!("{wanted}_{:08x}", short_hash(field));
            taken.insert(self.folded(&marked));
            marked
        };
        fields.into_iter().map(unique).collect()
    }

    fn folded(self, name: &str) -> String {
        match self {
            Self::Normalized => name.to_lowercase(),
            Self::Verbatim => name.to_owned(),
        }
    }
}

/// Lower case, with one `_` for each run of other characters than letters, digits and `_`.
fn normalized(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    for character in name.chars().flat_map(char::to_lowercase) {
        if character.is_alphanumeric() || character == '_' {
            result.push(character);
        } else if !result.ends_with('_') || result.is_empty() {
            result.push('_');
        }
    }
    result
}

/// A hash that stays the same in every version of this program.
fn short_hash(text: &str) -> u32 {
    twox_hash::XxHash3_128::oneshot(text.as_bytes()) as u32
}

/// A name as one part of a path.
pub fn path_part(name: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '=');
    let part: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    if part == name && !part.is_empty() && !part.starts_with('.') {
        return part;
    }
    format!("{}_{:08x}", part.trim_start_matches('.'), short_hash(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_lower_case_words() {
        let names = Naming::Normalized.columns(["id", "Created At", "a.b-c", "größe", "", "__x"]);
        assert_eq!(names, ["id", "created_at", "a_b_c", "größe", "_", "__x"]);
        assert_eq!(Naming::Verbatim.columns(["Created At"]), ["Created At"]);
        assert_eq!(Naming::Normalized.table("Public API"), "public_api");
    }

    #[test]
    fn names_that_fall_together_stay_apart_in_the_same_way_each_time() {
        let names = Naming::Normalized.columns(["a b", "a_b", "A-B"]);
        assert_eq!(names[0], "a_b");
        assert!(names[1].starts_with("a_b_") && names[2].starts_with("a_b_"));
        assert_ne!(names[1], names[2]);
        assert_eq!(names, Naming::Normalized.columns(["a b", "a_b", "A-B"]));
    }

    #[test]
    fn paths_do_not_leave_their_folder() {
        assert_eq!(path_part("users"), "users");
        for name in ["..", "a/b", "", "../../etc"] {
            let part = path_part(name);
            assert!(!part.contains('/') && !part.starts_with('.'), "{part}");
        }
    }
}
