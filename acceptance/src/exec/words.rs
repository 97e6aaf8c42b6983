//! A command line as words, without a shell.

/// Splits at white space; quotes hold words together, a backslash takes the next character as it
/// is (within single quotes it is an ordinary character).
pub fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => {
                let next = characters.next().ok_or("a backslash stands at the end")?;
                word.get_or_insert_default().push(next);
            }
            (_, Some(open)) if character == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(character),
            ('\'' | '"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, None) if character.is_whitespace() => words.extend(word.take()),
            (_, None) => word.get_or_insert_default().push(character),
        }
    }
    if let Some(quote) = quote {
        return Err(format!("a {quote} is not closed in `{text}`"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_in_a_shell() {
        assert_eq!(split("a  b").unwrap(), ["a", "b"]);
        assert_eq!(split(r#"python3 "my file.py" 'x y' a\ b "" "#).unwrap().len(), 5);
        assert_eq!(split(r#""a\"b" '\n'"#).unwrap(), ["a\"b", "\\n"]);
        assert!(split("'a").is_err() && split("a\\").is_err());
        assert!(split("  ").unwrap().is_empty());
    }
}
