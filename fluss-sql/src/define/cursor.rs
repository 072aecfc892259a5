//! Reads the tokens of a definition one after another.

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Position, Result};
use crate::text::{self, Text, is_word, word};

/// The tokens of a definition that are still to be read.
pub(super) struct Cursor {
    tokens: Vec<TokenWithSpan>,
    at: usize,
    /// Whether one `>` of a `>>` was read.
    half: bool,
}

impl Cursor {
    pub(super) fn new(text: &Text) -> Self {
        Self {
            tokens: text.tokens().to_vec(),
            at: 0,
            half: false,
        }
    }

    /// The next token.
    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|token| &token.token)
    }

    /// The next word in upper case; empty for anything else.
    pub(super) fn word(&self) -> String {
        self.tokens.get(self.at).map(word).unwrap_or_default()
    }

    /// Whether this symbol stands behind the next token.
    pub(super) fn is_followed_by(&self, symbol: &Token) -> bool {
        self.tokens
            .get(self.at + 1)
            .is_some_and(|token| token.token == *symbol)
    }

    /// Where the next token stands; behind the last, where that is.
    pub(super) fn place(&self) -> Option<Position> {
        let token = self.tokens.get(self.at).or_else(|| self.tokens.last())?;
        Position::of(token.span.start)
    }

    /// That something else should be next.
    pub(super) fn expected(&self, what: &str) -> Error {
        let found = self
            .peek()
            .map_or_else(|| "the end of the statement".to_owned(), ToString::to_string);
        let text = format!("Expected: {what}, found: {found}");
        Error::new(ErrorKind::Syntax, text).at(self.place())
    }

    /// The refusal of what is next.
    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        Error::unsupported(what).at(self.place())
    }

    /// Whether these words are next, which are read then.
    pub(super) fn take_words(&mut self, words: &[&str]) -> bool {
        let next = self.tokens.iter().skip(self.at);
        let are_next = words.len() <= next.len() && next.zip(words).all(|(token, word)| is_word(token, word));
        if are_next {
            self.at += words.len();
        }
        are_next
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<()> {
        if self.take_words(words) {
            return Ok(());
        }
        Err(self.expected(&words.join(" ")))
    }

    /// Whether a symbol is next, which is read then. Of `>>` each half is one.
    pub(super) fn take(&mut self, symbol: &Token) -> bool {
        match self.peek() {
            Some(Token::ShiftRight) if *symbol == Token::Gt => {
                self.at += usize::from(self.half);
                self.half = !self.half;
                true
            }
            Some(token) if token == symbol => {
                self.at += 1;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expect(&mut self, symbol: &Token) -> Result<()> {
        if self.take(symbol) {
            return Ok(());
        }
        Err(self.expected(&symbol.to_string()))
    }

    /// A name.
    pub(super) fn ident(&mut self) -> Result<Ident> {
        match self.tokens.get(self.at) {
            Some(TokenWithSpan {
                token: Token::Word(word),
                span,
            }) => {
                let ident = word.clone().into_ident(*span);
                self.at += 1;
                Ok(ident)
            }
            _ => Err(self.expected("a name")),
        }
    }

    /// A name of one or more parts.
    pub(super) fn name(&mut self) -> Result<ObjectName> {
        let mut parts = vec![self.ident()?];
        while self.take(&Token::Period) {
            parts.push(self.ident()?);
        }
        Ok(ObjectName::from(parts))
    }

    /// Names between brackets.
    pub(super) fn idents(&mut self) -> Result<Vec<Ident>> {
        self.listed(Self::ident)
    }

    /// What is between brackets, and between commas.
    pub(super) fn listed<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(&Token::LParen)?;
        let mut listed = Vec::new();
        loop {
            listed.push(read(self)?);
            if self.take(&Token::RParen) {
                return Ok(listed);
            }
            self.expect(&Token::Comma)?;
        }
    }

    /// A text between single quotes.
    pub(super) fn string(&mut self) -> Result<String> {
        match self.peek() {
            Some(Token::SingleQuotedString(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected("a text between single quotes")),
        }
    }

    /// A whole number.
    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Result<T> {
        let number = match self.peek() {
            Some(Token::Number(text, _)) => text.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                self.at += 1;
                Ok(number)
            }
            None => Err(self.expected("a whole number")),
        }
    }

    /// `'key' = 'value'`, or the same without quotes.
    pub(super) fn pair(&mut self) -> Result<(String, String)> {
        let key = self.key()?;
        self.expect(&Token::Eq)?;
        Ok((key, self.value()?))
    }

    /// The key of a property.
    pub(super) fn key(&mut self) -> Result<String> {
        if let Some(Token::SingleQuotedString(_)) = self.peek() {
            return self.string();
        }
        let name = self.name()?;
        let parts = name.0.iter().filter_map(|part| part.as_ident());
        Ok(parts
            .map(|part| part.value.as_str())
            .collect::<Vec<_>>()
            .join("."))
    }

    fn value(&mut self) -> Result<String> {
        let value = match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::Number(text, _)) => text.clone(),
            Some(Token::Word(word)) => word.value.clone(),
            Some(Token::Minus) => {
                self.at += 1;
                return Ok(format!("-{}", self.value()?));
            }
            _ => return Err(self.expected("a value")),
        };
        self.at += 1;
        Ok(value)
    }

    /// An expression, of which no more is read than may be a literal: what stands before the next comma, bracket or word of a
    /// column's definition.
    pub(super) fn literal(&mut self) -> Result<Expr> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(token) = self.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen | Token::Comma if depth == 0 => break,
                Token::RParen => depth -= 1,
                Token::Word(_) if depth == 0 && self.at > start && ends_default(&self.word()) => break,
                _ => {}
            }
            self.at += 1;
        }
        let tokens = self.tokens.get(start..self.at).unwrap_or_default().to_vec();
        let place = tokens.first().and_then(|token| Position::of(token.span.start));
        let mut parser = text::parser(tokens);
        let expr = parser
            .parse_expr()
            .map_err(|error| Error::from(error).at(place))?;
        text::end(&parser)?;
        Ok(expr)
    }

    /// All that is left, as a query.
    pub(super) fn query(&mut self) -> Result<Query> {
        let rest = self.tokens.get(self.at..).unwrap_or_default().to_vec();
        self.at = self.tokens.len();
        let mut parser = text::parser(rest);
        let query = parser.parse_query()?;
        text::end(&parser)?;
        Ok(*query)
    }

    /// Refuses what is left.
    pub(super) fn end(&self) -> Result<()> {
        if self.peek().is_none() {
            return Ok(());
        }
        Err(self.expected("the end of the statement"))
    }

    /// `IF NOT EXISTS`.
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.take_words(&["IF", "NOT", "EXISTS"])
    }

    /// `IF EXISTS`.
    pub(super) fn if_exists(&mut self) -> bool {
        self.take_words(&["IF", "EXISTS"])
    }
}

/// Whether a word stands behind a default in a column's definition.
fn ends_default(word: &str) -> bool {
    [
        "NOT",
        "NULL",
        "PRIMARY",
        "COMMENT",
        "CONSTRAINT",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "GENERATED",
        "COLLATE",
        "FIRST",
        "AFTER",
    ]
    .contains(&word)
}
