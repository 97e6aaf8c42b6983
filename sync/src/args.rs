//! Splitting a command given as one text into program and arguments, without a shell.

use crate::error::{Error, Result};

/// Splits at blanks. Single quotes take everything as it stands; double quotes take everything
/// but `\"` and `\\`; outside quotes a backslash takes the next character as it stands. Nothing
/// else is special: no variables, no patterns, no pipes.
///
/// Fails when a quote stays open or when the text ends in a lone backslash.
pub fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_default();
        match char {
            '\'' => single_quoted(&mut chars, word)?,
            '"' => double_quoted(&mut chars, word)?,
            '\\' => word.push(chars.next().ok_or_else(|| {
                Error::usage(format!(
                    "the command `{text}` ends in a backslash that escapes nothing"
                ))
            })?),
            other => word.push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

fn single_quoted(chars: &mut impl Iterator<Item = char>, word: &mut String) -> Result<()> {
    for char in chars {
        if char == '\'' {
            return Ok(());
        }
        word.push(char);
    }
    Err(Error::usage("a single quote in the command is never closed"))
}

fn double_quoted(chars: &mut impl Iterator<Item = char>, word: &mut String) -> Result<()> {
    while let Some(char) = chars.next() {
        match char {
            '"' => return Ok(()),
            '\\' => match chars.next() {
                Some(escaped @ ('"' | '\\')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
                None => break,
            },
            other => word.push(other),
        }
    }
    Err(Error::usage("a double quote in the command is never closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap()
    }

    #[test]
    fn blanks_separate_words() {
        assert_eq!(words("  a  bc\td\n"), ["a", "bc", "d"]);
        assert!(words(" \t ").is_empty());
    }

    #[test]
    fn quotes_keep_blanks_and_join_what_they_touch() {
        assert_eq!(words(r#"run 'a b' "c d"e'f'"#), ["run", "a b", "c def"]);
        assert_eq!(words(r#"'' """#), ["", ""]);
    }

    #[test]
    fn backslashes_escape_outside_and_inside_double_quotes_only() {
        assert_eq!(words(r"a\ b \'c"), ["a b", "'c"]);
        assert_eq!(words(r#""\"q\" \\ \n""#), [r#""q" \ \n"#]);
        assert_eq!(words(r"'\n\'"), [r"\n\"]);
    }

    #[test]
    fn nothing_is_left_to_a_shell() {
        assert_eq!(words("a $HOME *.txt | b;c"), ["a", "$HOME", "*.txt", "|", "b;c"]);
    }

    #[test]
    fn open_quotes_and_lone_backslashes_are_refused() {
        for text in ["a 'b", "a \"b", "a\\", "\"a\\"] {
            assert_eq!(split(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
