//! Clauses that the parser does not know: named, where it only finds that it cannot go on.

use datafusion::sql::sqlparser::tokenizer::TokenWithSpan;

use super::tokens::is_word;
use crate::error::{Error, ErrorKind, Position};

/// The words of clauses of queries that other databases have.
const CLAUSES: &[&[&str]] = &[
    &["TABLESAMPLE"],
    &["SAMPLE"],
    &["FOR", "VERSION"],
    &["VERSION", "AS", "OF"],
    &["TOP"],
    &["PREWHERE"],
    &["START", "WITH"],
    &["CONNECT", "BY"],
    &["CLUSTER", "BY"],
    &["DISTRIBUTE", "BY"],
    &["SORT", "BY"],
    &["WITH", "TOTALS"],
    &["WITH", "ROLLUP"],
    &["WITH", "CUBE"],
    &["WITH", "FILL"],
    &["WITH", "TIES"],
    &["WITH", "OFFSET"],
    &["WITH", "ORDINALITY"],
    &["SETTINGS"],
    &["FORMAT"],
    &["LATERAL", "VIEW"],
    &["CROSS", "APPLY"],
    &["OUTER", "APPLY"],
    &["ASOF"],
    &["GLOBAL"],
    &["STRAIGHT_JOIN"],
    &["SEMI", "JOIN"],
    &["ANTI", "JOIN"],
    &["MATCH_RECOGNIZE"],
    &["MATCH"],
    &["PIVOT"],
    &["UNPIVOT"],
    &["JSON_TABLE"],
    &["XMLTABLE"],
    &["OPENJSON"],
    &["REGEXP"],
    &["RLIKE"],
    &["SEPARATOR"],
    &["REPLACE"],
    &["RENAME"],
    &["AS", "STRUCT"],
    &["AS", "VALUE"],
    &["FOR", "UPDATE"],
    &["FOR", "SHARE"],
    &["FOR", "XML"],
    &["FOR", "JSON"],
    &["CONVERT"],
    &["COLLATE"],
    &["PARTITION"],
    &["INTO"],
    &["MATERIALIZED"],
];

/// Words before `INDEX` that give hints.
const INDEX: &[&[&str]] = &[&["USE", "INDEX"], &["FORCE", "INDEX"], &["IGNORE", "INDEX"]];

/// A syntax error of a statement as the refusal of a clause that it has, if it has one; or else as it is.
pub(super) fn named(error: Error, tokens: &[TokenWithSpan]) -> Error {
    if error.kind != ErrorKind::Syntax {
        return error;
    }
    let begins = |at: usize, words: &[&str]| {
        let mut next = tokens.iter().skip(at);
        words
            .iter()
            .all(|word| next.next().is_some_and(|token| is_word(token, word)))
    };
    let place = |at: usize| tokens.get(at).and_then(|token| Position::of(token.span.start));
    // The clause that is nearest before the place where the parser gave up, or just behind it.
    let until = error.at.map_or(tokens.len(), |end| {
        let behind = |token: &&TokenWithSpan| Position::of(token.span.start).is_some_and(|own| own <= end);
        tokens.iter().take_while(behind).count()
    });
    let reach = until.saturating_sub(4)..(until + 2).min(tokens.len());
    for at in reach.rev() {
        if INDEX.iter().any(|words| begins(at, words)) {
            return Error::unsupported("a hint for an index").at(place(at));
        }
        // INTO belongs to INSERT.
        let is_own = |words: &&[&str]| **words == ["INTO"] && at == 1;
        let found = CLAUSES.iter().find(|words| begins(at, words) && !is_own(words));
        if let Some(words) = found {
            return Error::unsupported(words.join(" ")).at(place(at));
        }
        if begins(at, &["WITH"])
            && tokens
                .get(at + 1)
                .is_some_and(|next| next.token == datafusion::sql::sqlparser::tokenizer::Token::LParen)
        {
            return Error::unsupported("a hint for a table (WITH)").at(place(at));
        }
    }
    error
}
