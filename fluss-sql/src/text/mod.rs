//! The text of statements, before it is parsed: tokens, where they end, what is too much, and the words that are ours.

mod bounds;
mod dialect;
mod refusals;
mod rewrite;
mod tokens;

#[cfg(test)]
mod tests;

use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Error, ErrorKind, Position, Result};

pub(crate) use dialect::FlussDialect;
pub(crate) use tokens::{end, is_symbol, is_word, split_text, tokenize, word};

/// How deeply the parser may nest. What is nested more deeply is refused before it is asked.
const PARSER_DEPTH: usize = 4 * bounds::MAX_DEPTH;

/// The tokens of one statement, with nothing between them, and what was taken out of them.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    tokens: Vec<TokenWithSpan>,
    /// Whether `EMIT CHANGES` was there.
    pub(crate) emit_changes: bool,
    /// The placeholders, as `$1` or `$name`, in the order in which they come for the first time.
    pub(crate) placeholders: Vec<String>,
}

impl Text {
    /// The statements of a text. Empty ones are left out.
    pub(crate) fn statements(text: &str, max_bytes: usize) -> Result<Vec<Self>> {
        if text.len() > max_bytes {
            let what = format!("a text of {} bytes (at most {max_bytes} may be)", text.len());
            return Err(Error::unsupported(what));
        }
        let statements = tokens::split(tokenize(text)?);
        statements.iter().map(|tokens| Self::new(tokens)).collect()
    }

    /// The only statement of a text.
    pub(crate) fn statement(text: &str, max_bytes: usize) -> Result<Self> {
        let mut statements = Self::statements(text, max_bytes)?;
        match (statements.pop(), statements.first()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Error::new(ErrorKind::Syntax, "there is no statement")),
            (Some(last), Some(_)) => {
                let reason = "there are several statements where one is taken";
                Err(Error::new(ErrorKind::Syntax, reason).at(last.start()))
            }
        }
    }

    fn new(tokens: &[TokenWithSpan]) -> Result<Self> {
        bounds::check(tokens)?;
        rewrite::rewrite(tokens)
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Option<Position> {
        Position::of(self.tokens.first()?.span.start)
    }

    /// The tokens, without whitespace and comments.
    pub(crate) fn tokens(&self) -> &[TokenWithSpan] {
        &self.tokens
    }

    /// The word at a position, in upper case; empty if there is none, or a quoted one.
    pub(crate) fn word(&self, index: usize) -> String {
        self.tokens.get(index).map(word).unwrap_or_default()
    }

    /// Whether these words begin the statement.
    pub(crate) fn begins_with(&self, words: &[&str]) -> bool {
        words
            .iter()
            .zip(&self.tokens)
            .all(|(own, token)| is_word(token, own))
            && words.len() <= self.tokens.len()
    }

    /// The same statement without its first words.
    pub(crate) fn without_first(&self, words: usize) -> Self {
        Self {
            tokens: self.tokens.iter().skip(words).cloned().collect(),
            ..self.clone()
        }
    }

    /// Whether it begins as queries do.
    pub(crate) fn is_query(&self) -> bool {
        let first = self.tokens.first();
        ["SELECT", "WITH", "VALUES", "FROM", "TABLE"].contains(&self.word(0).as_str())
            || first.is_some_and(|token| is_symbol(token, &Token::LParen))
    }

    /// A parser of the tokens.
    pub(crate) fn parser(&self) -> Parser<'static> {
        parser(self.tokens.clone())
    }

    /// Parses the whole as a query.
    pub(crate) fn query(&self) -> Result<Box<Query>> {
        self.parse(|parser| Ok(parser.parse_query()?))
    }

    /// Parses the whole, and names what is refused where the parser only cannot go on.
    pub(crate) fn parse<T>(&self, parse: impl FnOnce(&mut Parser<'static>) -> Result<T>) -> Result<T> {
        let mut parser = self.parser();
        let parsed = parse(&mut parser).and_then(|parsed| end(&parser).map(|()| parsed));
        parsed.map_err(|error| refusals::named(error, &self.tokens))
    }
}

/// A parser of tokens, in the dialect that statements are written in.
pub(crate) fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    let parser = Parser::new(&FlussDialect).with_recursion_limit(PARSER_DEPTH);
    parser.with_tokens_with_locations(tokens)
}
