//! The statements of a text, and where in it each begins.

use fluss_sql::{Error, Position, Session};

use crate::Refused;

/// A statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) text: String,
    /// Where it begins.
    at: Position,
}

impl Statement {
    /// An error whose place is one in the whole text.
    pub(super) fn placed(&self, mut error: Error) -> Error {
        error.at = error.at.map(|at| Position {
            line: self.at.line + at.line - 1,
            column: if at.line == 1 {
                self.at.column + at.column - 1
            } else {
                at.column
            },
        });
        error
    }
}

/// The statements of a text.
pub(super) fn of(text: &str) -> Result<Vec<Statement>, Refused> {
    let (mut at, mut rest) = (Position { line: 1, column: 1 }, text);
    let mut statements = Vec::new();
    let split = Session::split(text).map_err(|error| Refused(error.to_string()))?;
    for statement in split {
        // Statements come as they are written.
        let begin = rest.find(&statement).unwrap_or_default();
        let start = behind(at, rest.get(..begin).unwrap_or_default());
        rest = rest.get(begin + statement.len()..).unwrap_or_default();
        at = behind(start, &statement);
        statements.push(Statement {
            text: statement,
            at: start,
        });
    }
    Ok(statements)
}

/// Where a text ends that begins there.
fn behind(begin: Position, text: &str) -> Position {
    text.chars().fold(begin, |at, letter| match letter {
        '\n' => Position {
            line: at.line + 1,
            column: 1,
        },
        _ => Position {
            column: at.column + 1,
            ..at
        },
    })
}

#[cfg(test)]
mod tests {
    use fluss_sql::ErrorKind;

    use super::*;

    #[test]
    fn an_error_has_its_place_in_the_whole_text() {
        let statements = of("SELECT 1;\n  SELECT\n 2 ; SELECT 3").unwrap();
        let begin: Vec<_> = statements
            .iter()
            .map(|statement| (statement.at.line, statement.at.column))
            .collect();
        let texts: Vec<_> = statements.iter().map(|statement| statement.text.trim()).collect();
        assert_eq!(texts, ["SELECT 1", "SELECT\n 2", "SELECT 3"]);
        let mut error = Error::new(ErrorKind::Syntax, "wrong");
        error.at = Some(Position { line: 2, column: 2 });
        let line = statements[1].at.line;
        assert_eq!(statements[1].placed(error).at.map(|at| at.line), Some(line + 1));
        assert_eq!(begin[0], (1, 1));
        assert!(begin[2].0 == 3 && begin[2].1 > 3);
    }
}
