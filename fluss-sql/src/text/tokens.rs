//! Tokens, and the statements that they make.

use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::FlussDialect;
use crate::error::{Error, ErrorKind, Position, Result};

/// The tokens of a text, without whitespace and comments.
pub(crate) fn tokenize(text: &str) -> Result<Vec<TokenWithSpan>> {
    let mut tokens = Tokenizer::new(&FlussDialect, text).tokenize_with_location()?;
    for token in &tokens {
        if let Token::Whitespace(Whitespace::MultiLineComment(comment)) = &token.token
            && comment.starts_with('+')
        {
            let place = Position::of(token.span.start);
            return Err(Error::unsupported("a hint in a comment (/*+ … */)").at(place));
        }
    }
    tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
    Ok(tokens)
}

/// The statements: what is between semicolons, if anything is.
pub(super) fn split(tokens: Vec<TokenWithSpan>) -> Vec<Vec<TokenWithSpan>> {
    let mut statements = vec![Vec::new()];
    for token in tokens {
        if token.token == Token::SemiColon {
            statements.push(Vec::new());
        } else if let Some(statement) = statements.last_mut() {
            statement.push(token);
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}

/// The texts of the statements of a text, each from its first token to its last.
pub(crate) fn split_text(text: &str) -> Result<Vec<String>> {
    let starts = line_starts(text);
    let place = |location: Location| byte_of(text, &starts, location);
    let statements = split(tokenize(text)?);
    let cut = |statement: &Vec<TokenWithSpan>| {
        let span = Span::union_iter(statement.iter().map(|token| token.span));
        text.get(place(span.start)..place(span.end)).map(str::to_owned)
    };
    Ok(statements.iter().filter_map(cut).collect())
}

/// Where each line begins, in bytes.
fn line_starts(text: &str) -> Vec<usize> {
    let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect()
}

/// The byte at a location.
fn byte_of(text: &str, starts: &[usize], location: Location) -> usize {
    let line = usize::try_from(location.line)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let Some(&start) = starts.get(line) else {
        return text.len();
    };
    let column = usize::try_from(location.column)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let rest = text.get(start..).unwrap_or_default();
    let within = rest
        .char_indices()
        .nth(column)
        .map_or(rest.len(), |(byte, _)| byte);
    start + within
}

/// A word in upper case; empty for what is none, or is quoted.
pub(crate) fn word(token: &TokenWithSpan) -> String {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => String::new(),
    }
}

/// Whether a token is a word, in whatever case, that is not quoted.
pub(crate) fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    match &token.token {
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    }
}

/// Whether a token is this symbol.
pub(crate) fn is_symbol(token: &TokenWithSpan, wanted: &Token) -> bool {
    token.token == *wanted
}

/// Refuses what is left behind a statement.
pub(crate) fn end(parser: &Parser<'_>) -> Result<()> {
    let next = parser.peek_token_ref();
    if next.token == Token::EOF {
        return Ok(());
    }
    let text = format!("Expected: end of statement, found: {}", next.token);
    Err(Error::new(ErrorKind::Syntax, text).at(Position::of(next.span.start)))
}
