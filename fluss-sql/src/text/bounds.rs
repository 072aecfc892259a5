//! What is too much for a parser and a planner that call themselves for whatever is nested.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tokens::word;
use crate::error::{Error, Position, Result};

/// How deeply brackets and CASE may be nested.
pub(super) const MAX_DEPTH: usize = 100;
/// How many operators one expression may have, with those of the expressions around it.
pub(super) const MAX_OPERATORS: usize = 2_000;

/// Refuses a statement that is nested too deeply, or has an expression with too many operators.
///
/// A chain of operators becomes a tree that is as deep as the chain is long. A comma begins a new expression; a bracket
/// begins one within another.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    // Of each open bracket, how many operators its expression has so far.
    let mut open = vec![0_usize];
    let mut operators = 0;
    for token in tokens {
        let refuse = |what: String| Err(Error::unsupported(what).at(Position::of(token.span.start)));
        match effect(token) {
            Effect::None => {}
            Effect::Opens => open.push(0),
            Effect::Closes => {
                // A bracket that closes nothing is the parser's to refuse.
                if open.len() > 1 {
                    operators -= open.pop().unwrap_or_default();
                }
            }
            Effect::Separates => {
                if let Some(last) = open.last_mut() {
                    operators -= std::mem::take(last);
                }
            }
            Effect::Operates => {
                operators += 1;
                if let Some(last) = open.last_mut() {
                    *last += 1;
                }
            }
        }
        if open.len() > MAX_DEPTH + 1 {
            return refuse(format!("nesting of more than {MAX_DEPTH} levels"));
        }
        if operators > MAX_OPERATORS {
            return refuse(format!("an expression with more than {MAX_OPERATORS} operators"));
        }
    }
    Ok(())
}

enum Effect {
    None,
    Opens,
    Closes,
    Separates,
    Operates,
}

fn effect(token: &TokenWithSpan) -> Effect {
    match &token.token {
        Token::LParen | Token::LBracket | Token::LBrace => Effect::Opens,
        Token::RParen | Token::RBracket | Token::RBrace => Effect::Closes,
        Token::Comma => Effect::Separates,
        Token::Word(_) => match word(token).as_str() {
            "CASE" => Effect::Opens,
            "END" => Effect::Closes,
            "AND" | "OR" | "NOT" | "XOR" | "IS" | "IN" | "LIKE" | "ILIKE" | "BETWEEN" | "DIV" | "UNION"
            | "INTERSECT" | "EXCEPT" | "MINUS" | "JOIN" | "COLLATE" | "AT" | "SIMILAR" | "RLIKE"
            | "REGEXP" | "INTERVAL" => Effect::Operates,
            _ => Effect::None,
        },
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::Period
        | Token::SemiColon
        | Token::Whitespace(_) => Effect::None,
        // Whatever else there is stands between values or before one.
        _ => Effect::Operates,
    }
}
