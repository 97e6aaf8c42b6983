//! The part of SOQL that the org understands, as a syntax tree.
//!
//! `SELECT fields | COUNT() FROM object [WHERE c (AND c)*] [ORDER BY field [ASC|DESC]
//! [NULLS FIRST|LAST]] [LIMIT n] [OFFSET n]` with `c` = `field op literal`, `field [NOT] IN
//! (literals)`.

use super::error::Error;

/// Longest statement, from the vendor's page "SOQL and SOSL Limits for Search Queries".
const MAX_LENGTH: usize = 100_000;

/// Longest text literal in a WHERE.
const MAX_LITERAL: usize = 4000;

/// A parsed statement; names as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Selected fields; empty for `COUNT()`.
    pub fields: Vec<String>,
    /// The object.
    pub object: String,
    /// Conditions that all must hold.
    pub conditions: Vec<Condition>,
    /// Field and whether descending.
    pub order: Option<(String, bool)>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// Rows to leave out first.
    pub offset: u64,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The field.
    pub field: String,
    /// What must hold between the field and the literals.
    pub op: Op,
    /// One literal; several for `In` and `NotIn`.
    pub literals: Vec<Literal>,
}

/// How a field and a literal are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says what it is")]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// A literal.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "each name says what it is")]
pub enum Literal {
    Null,
    Bool(bool),
    Text(String),
    Number(f64),
    /// Unix milliseconds.
    DateTime(i64),
    /// As written, `2026-11-01`.
    Date(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 11] = ["<=", ">=", "!=", "<>", "=", "<", ">", "(", ")", ",", "%"];

/// Parses a statement.
pub fn parse(text: &str) -> Result<Statement, Error> {
    if text.chars().count() > MAX_LENGTH {
        return Err(Error::malformed("SOQL statements cannot be longer than 100000 characters."));
    }
    Parser { tokens: tokens(text)?, at: 0 }.statement()
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = if first == '\'' {
            let (value, used) = quoted(rest)?;
            tokens.push(Token::Text(value));
            used
        } else if let Some(sign) = SIGNS.iter().find(|s| rest.starts_with(**s)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            let is_word = |c: char| c.is_alphanumeric() || "_.:+-".contains(c);
            let used = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            if used == 0 {
                return Err(Error::malformed(format!("unexpected token: '{first}'")));
            }
            tokens.push(Token::Word(rest[..used].to_owned()));
            used
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

/// The text of a quoted literal at the start, and how many bytes it takes.
fn quoted(text: &str) -> Result<(String, usize), Error> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if value.chars().count() > MAX_LITERAL => {
                return Err(Error::malformed("a string literal is longer than 4000 characters"));
            }
            '\'' => return Ok((value, at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, c)) => value.push(c),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(Error::malformed("a string literal has no closing quote"))
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn statement(mut self) -> Result<Statement, Error> {
        self.expect("SELECT")?;
        let fields = self.selected()?;
        self.expect("FROM")?;
        let object = self.word()?;
        let mut conditions = Vec::new();
        if self.take("WHERE") {
            conditions.push(self.condition()?);
            while self.take("AND") {
                conditions.push(self.condition()?);
            }
        }
        let mut order = None;
        if self.take("ORDER") {
            self.expect("BY")?;
            let field = self.word()?;
            let descending = self.take("DESC");
            if !descending {
                self.take("ASC");
            }
            if self.take("NULLS") && !self.take("FIRST") {
                self.expect("LAST")?;
            }
            order = Some((field, descending));
        }
        let limit = if self.take("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.take("OFFSET") { self.count()? } else { 0 };
        match self.tokens.get(self.at) {
            None => Ok(Statement { fields, object, conditions, order, limit, offset }),
            Some(token) => Err(unexpected(token)),
        }
    }

    fn selected(&mut self) -> Result<Vec<String>, Error> {
        let mut fields = vec![self.word()?];
        if fields[0].eq_ignore_ascii_case("count") && self.sign("(") {
            return if self.sign(")") { Ok(Vec::new()) } else { Err(self.surprise()) };
        }
        while self.sign(",") {
            fields.push(self.word()?);
        }
        Ok(fields)
    }

    fn condition(&mut self) -> Result<Condition, Error> {
        let wrapped = self.sign("(");
        let field = self.word()?;
        let op = self.operator()?;
        let literals =
            if matches!(op, Op::In | Op::NotIn) { self.literals()? } else { vec![self.literal()?] };
        if wrapped && !self.sign(")") {
            return Err(self.surprise());
        }
        Ok(Condition { field, op, literals })
    }

    fn operator(&mut self) -> Result<Op, Error> {
        if self.take("IN") {
            return Ok(Op::In);
        }
        if self.take("NOT") {
            self.expect("IN")?;
            return Ok(Op::NotIn);
        }
        let op = match self.tokens.get(self.at) {
            Some(Token::Sign("=")) => Op::Equal,
            Some(Token::Sign("!=" | "<>")) => Op::NotEqual,
            Some(Token::Sign("<")) => Op::Less,
            Some(Token::Sign("<=")) => Op::LessOrEqual,
            Some(Token::Sign(">")) => Op::Greater,
            Some(Token::Sign(">=")) => Op::GreaterOrEqual,
            _ => return Err(self.surprise()),
        };
        self.at += 1;
        Ok(op)
    }

    fn literals(&mut self) -> Result<Vec<Literal>, Error> {
        if !self.sign("(") {
            return Err(self.surprise());
        }
        let mut literals = vec![self.literal()?];
        while self.sign(",") {
            literals.push(self.literal()?);
        }
        if self.sign(")") { Ok(literals) } else { Err(self.surprise()) }
    }

    fn literal(&mut self) -> Result<Literal, Error> {
        let literal = match self.tokens.get(self.at) {
            Some(Token::Text(text)) => Some(Literal::Text(text.clone())),
            Some(Token::Word(word)) => bare(word),
            _ => None,
        };
        let literal = literal.ok_or_else(|| self.surprise())?;
        self.at += 1;
        Ok(literal)
    }

    fn count(&mut self) -> Result<u64, Error> {
        let word = self.word()?;
        word.parse().map_err(|_| Error::malformed(format!("unexpected token: '{word}'")))
    }

    fn word(&mut self) -> Result<String, Error> {
        match self.tokens.get(self.at) {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(word.clone())
            }
            _ => Err(self.surprise()),
        }
    }

    fn take(&mut self, keyword: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Word(w)) if w.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), Error> {
        if self.take(keyword) { Ok(()) } else { Err(self.surprise()) }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.tokens.get(self.at), Some(Token::Sign(s)) if *s == sign);
        self.at += usize::from(found);
        found
    }

    fn surprise(&self) -> Error {
        self.tokens
            .get(self.at)
            .map_or_else(|| Error::malformed("unexpected token: '<EOF>'"), unexpected)
    }
}

fn unexpected(token: &Token) -> Error {
    let text = match token {
        Token::Word(text) | Token::Text(text) => text.as_str(),
        Token::Sign(sign) => sign,
    };
    Error::malformed(format!("unexpected token: '{text}'"))
}

/// A literal without quotes.
fn bare(word: &str) -> Option<Literal> {
    match word.to_ascii_lowercase().as_str() {
        "null" => return Some(Literal::Null),
        "true" => return Some(Literal::Bool(true)),
        "false" => return Some(Literal::Bool(false)),
        _ => {}
    }
    if let Some(millis) = super::text::parse_millis(word) {
        return Some(Literal::DateTime(millis));
    }
    if chrono::NaiveDate::parse_from_str(word, "%Y-%m-%d").is_ok() {
        return Some(Literal::Date(word.to_owned()));
    }
    word.parse().ok().map(Literal::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_are_read() {
        let statement = parse(
            "select Id, Name FROM Account WHERE SystemModstamp >= 2026-11-01T00:00:00.000+00:00 \
             AND Name != 'O\\'Hara' AND Id IN ('001', '002') ORDER BY Id DESC LIMIT 5 OFFSET 2",
        )
        .expect("valid");
        assert_eq!(statement.fields, ["Id", "Name"]);
        assert_eq!(statement.conditions.len(), 3);
        assert_eq!(statement.conditions[0].literals, [Literal::DateTime(1_793_491_200_000)]);
        assert_eq!(statement.conditions[1].literals, [Literal::Text("O'Hara".to_owned())]);
        assert_eq!(
            (statement.conditions[2].op, statement.conditions[2].literals.len()),
            (Op::In, 2)
        );
        assert_eq!(statement.order, Some(("Id".to_owned(), true)));
        assert_eq!((statement.limit, statement.offset), (Some(5), 2));
        assert_eq!(parse("SELECT COUNT() FROM Lead").map(|s| s.fields.len()), Ok(0));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "SELECT FROM Account",
            "SELECT Id FROM",
            "SELECT Id FROM Account WHERE",
            "SELECT Id FROM Account WHERE Name = 'x",
            "SELECT Id FROM Account WHERE Name LIKE 'x%'",
            "SELECT Id FROM Account GROUP BY Id",
            "SELECT Id FROM Account WHERE CreatedDate > 2026-11-01T00:00:00",
            "SELECT Id FROM Account LIMIT x",
        ] {
            assert_eq!(parse(text).expect_err(text).code, "MALFORMED_QUERY");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(SELECT |FROM |WHERE |[a-z'(),<>=0-9 \\\\é-]){0,20}") {
            let _ = parse(&text);
        }
    }
}
