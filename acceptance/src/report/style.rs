//! Text for terminals: colours, widths, and nothing that a terminal would obey.

use std::io::IsTerminal;

use console::{Style, Term, measure_text_width};

use super::Status;

/// How a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Columns of the terminal.
    pub width: usize,
    /// Whether to colour.
    pub colour: bool,
    /// Every rule and every finding instead of the short form.
    pub verbose: bool,
}

impl View {
    /// What fits stdout: its width, and colours only on a terminal and without NO_COLOR.
    pub fn of_stdout(verbose: bool) -> Self {
        let columns = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = std::io::stdout().is_terminal() && console::colors_enabled() && !is_plain;
        Self { width: columns.unwrap_or(100).clamp(30, 160), colour, verbose }
    }

    /// A text in a colour.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        style.force_styling(self.colour).apply_to(text).to_string()
    }

    /// The colour of a status.
    pub(super) fn of_status(&self, status: Status, text: &str) -> String {
        let style = match status {
            Status::Failed => Style::new().red().bold(),
            Status::Warned => Style::new().yellow().bold(),
            Status::Noted => Style::new().cyan(),
            Status::Skipped | Status::Off => Style::new().dim(),
            Status::Passed => Style::new().green(),
        };
        self.paint(style, text)
    }

    /// Less important text.
    pub(super) fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    /// A heading.
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Words wrapped to the width; the first line starts with `first`, the others with as many
    /// blanks. Plain text only.
    pub(super) fn wrap(&self, first: &str, text: &str) -> String {
        let indent = measure_text_width(first);
        let room = self.width.saturating_sub(indent).max(20);
        let mut lines = Vec::new();
        let mut line = String::new();
        for word in plain(text).split_whitespace() {
            let mut word = word;
            let fits = |line: &str, word: &str| {
                line.is_empty() || measure_text_width(line) + 1 + measure_text_width(word) <= room
            };
            if !fits(&line, word) {
                lines.push(std::mem::take(&mut line));
            }
            while measure_text_width(word) > room && line.is_empty() {
                let (head, tail) = word.split_at(fitting(word, room));
                lines.push(head.to_owned());
                word = tail;
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        let blanks = " ".repeat(indent);
        let lines = lines.iter().enumerate().filter(|(at, line)| *at == 0 || !line.is_empty());
        let lines = lines.map(|(at, line)| {
            let start = if at == 0 { first } else { &blanks };
            format!("{start}{line}").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// One line, cut to what is left of the width.
    pub(super) fn cut(&self, indent: usize, text: &str) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        console::truncate_str(&plain(text), room, "…").into_owned()
    }
}

/// The bytes of a text that fit into so many columns, at least one character.
fn fitting(text: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += measure_text_width(character.encode_utf8(&mut [0; 4]));
        if used > columns && at > 0 {
            return at;
        }
    }
    text.len()
}

/// Control characters made visible: what a connector prints must not move the cursor.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' | '\r' => plain.push(' '),
            character if is_unsafe(character) => plain.extend(character.escape_unicode()),
            character => plain.push(character),
        }
    }
    plain
}

/// Control characters, and those that turn the direction of writing.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: View = View { width: 40, colour: false, verbose: false };

    #[test]
    fn words_are_wrapped_under_each_other() {
        let text =
            NARROW.wrap("  Fix: ", "Write the newline with the object, and flush before the end.");
        assert_eq!(
            text,
            "  Fix: Write the newline with the\n       object, and flush before the end."
        );
        let long = NARROW.wrap("", &"x".repeat(95));
        assert_eq!(long.lines().map(str::len).collect::<Vec<_>>(), [40, 40, 15]);
        assert_eq!(NARROW.wrap("- ", ""), "-");
        let wide = NARROW.wrap("", &"漢".repeat(30));
        assert_eq!(wide.lines().map(measure_text_width).collect::<Vec<_>>(), [40, 20]);
    }

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\n"), "a\\u{1b}[2Jb\\u{202e}c ");
        let cut = NARROW.cut(4, &"ä".repeat(100));
        assert_eq!(measure_text_width(&cut), 36);
        assert!(cut.ends_with('…'));
    }
}
