//! Words that are ours, as words that the parser knows.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::Text;
use super::tokens::is_word;
use crate::error::{Error, ErrorKind, Position, Result};

/// Rewrites the tokens of a statement:
///
/// - `?` becomes `$1`, `$2` and so on; `:name` becomes `$name`;
/// - `EMIT CHANGES` is taken out, and remembered;
/// - `AS OF TIMESTAMP x` becomes `FOR SYSTEM_TIME AS OF x`;
/// - `E'…'` and `U&'…'` become the texts that they stand for.
pub(super) fn rewrite(tokens: &[TokenWithSpan]) -> Result<Text> {
    let mut text = Text {
        tokens: Vec::with_capacity(tokens.len()),
        emit_changes: false,
        placeholders: Vec::new(),
    };
    let mut marks = Marks::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let follows = |words: &[&str]| follows(tokens, at, words);
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let is_after = |word: &str| before.is_some_and(|before| is_word(before, word));
        if follows(&["EMIT", "CHANGES"]) {
            if text.emit_changes {
                return Err(syntax("EMIT CHANGES is there twice", token));
            }
            text.emit_changes = true;
            at += 2;
        } else if follows(&["AS", "OF", "TIMESTAMP"]) && !is_after("SYSTEM_TIME") && !is_after("TIMESTAMP") {
            for (keyword, value) in [
                (Keyword::FOR, "FOR"),
                (Keyword::SYSTEM_TIME, "SYSTEM_TIME"),
                (Keyword::AS, "AS"),
                (Keyword::OF, "OF"),
            ] {
                text.tokens.push(keyword_token(keyword, value, token));
            }
            at += 3;
        } else if let Some((name, length)) = marks.placeholder(tokens, at)? {
            if !text.placeholders.contains(&name) {
                text.placeholders.push(name.clone());
            }
            text.tokens
                .push(TokenWithSpan::new(Token::Placeholder(name), token.span));
            at += length;
        } else if let Token::EscapedStringLiteral(value) | Token::UnicodeStringLiteral(value) = &token.token {
            let plain = Token::SingleQuotedString(value.clone());
            text.tokens.push(TokenWithSpan::new(plain, token.span));
            at += 1;
        } else {
            text.tokens.push(token.clone());
            at += 1;
        }
    }
    Ok(text)
}

fn follows(tokens: &[TokenWithSpan], at: usize, words: &[&str]) -> bool {
    let mut next = tokens.iter().skip(at);
    words
        .iter()
        .all(|word| next.next().is_some_and(|token| is_word(token, word)))
}

fn keyword_token(keyword: Keyword, value: &str, place: &TokenWithSpan) -> TokenWithSpan {
    let word = Word {
        value: value.to_owned(),
        quote_style: None,
        keyword,
    };
    TokenWithSpan::new(Token::Word(word), place.span)
}

fn syntax(reason: &str, token: &TokenWithSpan) -> Error {
    Error::new(ErrorKind::Syntax, reason).at(Position::of(token.span.start))
}

/// How parameters are marked in a statement: one way or another, not both.
#[derive(Default)]
struct Marks {
    /// How many `?` there were.
    questions: usize,
    numbered: bool,
}

impl Marks {
    /// The placeholder at a position, and how many tokens it takes.
    fn placeholder(&mut self, tokens: &[TokenWithSpan], at: usize) -> Result<Option<(String, usize)>> {
        let Some(token) = tokens.get(at) else {
            return Ok(None);
        };
        let next = tokens.get(at + 1).map(|token| &token.token);
        let found = match &token.token {
            Token::Placeholder(name) if name == "?" => {
                self.questions += 1;
                Some((format!("${}", self.questions), 1))
            }
            Token::Question => {
                self.questions += 1;
                Some((format!("${}", self.questions), 1))
            }
            Token::Placeholder(name) if name.starts_with('$') && name.len() > 1 => {
                self.numbered = true;
                Some((name.clone(), 1))
            }
            Token::Placeholder(name) => {
                let reason = format!("'{name}' is no parameter: write ?, $1 or $name");
                return Err(syntax(&reason, token));
            }
            Token::Colon => match next {
                Some(Token::Word(word)) if word.quote_style.is_none() && is_start(tokens, at) => {
                    self.numbered = true;
                    Some((format!("${}", word.value), 2))
                }
                _ => None,
            },
            _ => None,
        };
        if found.is_some() && self.questions > 0 && self.numbered {
            return Err(syntax(
                "parameters are marked with ? or by name, not with both",
                token,
            ));
        }
        Ok(found)
    }
}

/// Whether an expression may begin here: `a:b` takes a field out of `a`, and `{a: b}` is a pair.
fn is_start(tokens: &[TokenWithSpan], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    before.is_some_and(|before| match &before.token {
        Token::Word(word) => word.quote_style.is_none() && word.keyword != Keyword::NoKeyword,
        Token::SingleQuotedString(_)
        | Token::Number(..)
        | Token::RParen
        | Token::RBracket
        | Token::RBrace
        | Token::Colon
        | Token::Placeholder(_) => false,
        _ => true,
    })
}
