//! What goes wrong with a statement, and where in its text.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Location, TokenizerError};
use fluss_client::Outcome;

/// The result of whatever a session does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A place in the text of a statement. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl Position {
    /// The place of a token; nothing for what stands nowhere in the text.
    pub(crate) const fn of(location: Location) -> Option<Self> {
        if location.line == 0 {
            return None;
        }
        Some(Self {
            line: location.line,
            column: location.column,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What an [`Error`] means for whoever gets it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not SQL.
    Syntax,
    /// It is SQL that is not carried here.
    Unsupported,
    /// A database, table, column or function that there is not.
    NotFound,
    /// A row that a table must not have: a key that exists, a null in a column that takes none.
    Constraint,
    /// A value, or an expression, of a type that does not fit.
    Type,
    /// The user lacks a right.
    Denied,
    /// The user is not known, or the password is wrong.
    Unauthenticated,
    /// The server cannot be reached, or the connection is closed.
    Connection,
    /// A deadline has passed.
    Timeout,
    /// What is asked for was kept for some time, and is gone.
    Expired,
    /// The statement was stopped.
    Cancelled,
    /// The statement needs more memory than it may have.
    Memory,
    /// What is there stands against it: a table that exists, a state that must be another first.
    Conflict,
    /// Anything else.
    Other,
}

/// What went wrong with a statement.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What it means.
    pub kind: ErrorKind,
    /// What is wrong, as a sentence.
    pub message: String,
    /// Where in the text, as far as that is known.
    pub at: Option<Position>,
    /// The error of the client that it comes from.
    pub source: Option<fluss_client::Error>,
    /// Of a statement that writes, how many rows were written before, if that is known.
    pub written: Option<u64>,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            at: None,
            source: None,
            written: None,
        }
    }

    /// The refusal of what is SQL, but not carried here. `what` is what is not supported.
    pub(crate) fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} is not supported"))
    }

    /// The same error, which stands here in the text unless it is known to stand elsewhere.
    #[must_use]
    pub(crate) fn at(mut self, at: Option<Position>) -> Self {
        self.at = self.at.or(at);
        self
    }

    /// The same error of a statement that has written so many rows.
    #[must_use]
    pub(crate) const fn after_writing(mut self, rows: u64) -> Self {
        self.written = Some(rows);
        self
    }

    /// The end of a statement that was stopped.
    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "the statement was cancelled")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(at) = self.at {
            write!(f, " ({at})")?;
        }
        match self.written {
            Some(rows) => write!(f, "; {rows} rows were written before"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        let source = self.source.as_ref()?;
        Some(source)
    }
}

impl From<fluss_client::Error> for Error {
    fn from(error: fluss_client::Error) -> Self {
        let kind = match error.outcome() {
            Outcome::NotFound => ErrorKind::NotFound,
            Outcome::AlreadyExists | Outcome::Conflict => ErrorKind::Conflict,
            Outcome::Denied => ErrorKind::Denied,
            Outcome::Unauthenticated => ErrorKind::Unauthenticated,
            Outcome::InvalidData => ErrorKind::Type,
            Outcome::Unsupported => ErrorKind::Unsupported,
            Outcome::Timeout => ErrorKind::Timeout,
            Outcome::Unavailable | Outcome::Closed => ErrorKind::Connection,
            Outcome::Expired => ErrorKind::Expired,
            _ => ErrorKind::Other,
        };
        let message = error.to_string();
        Self {
            source: Some(error),
            ..Self::new(kind, message)
        }
    }
}

impl From<TokenizerError> for Error {
    fn from(error: TokenizerError) -> Self {
        Self::new(ErrorKind::Syntax, error.message).at(Position::of(error.location))
    }
}

impl From<ParserError> for Error {
    fn from(error: ParserError) -> Self {
        let text = match error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
            ParserError::RecursionLimitExceeded => {
                return Self::new(ErrorKind::Unsupported, "the statement is nested too deeply");
            }
        };
        let (text, at) = split_position(&text);
        Self::new(ErrorKind::Syntax, text).at(at)
    }
}

/// Takes the place off the end of what the parser says: ` at Line: 1, Column: 8`.
fn split_position(text: &str) -> (&str, Option<Position>) {
    let split = || {
        let (text, place) = text.rsplit_once(" at Line: ")?;
        let (line, column) = place.split_once(", Column: ")?;
        let at = Position {
            line: line.trim().parse().ok()?,
            column: column.trim().parse().ok()?,
        };
        (at.line > 0).then_some((text, Some(at)))
    };
    split().unwrap_or((text, None))
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::from(DataFusionError::from(error))
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let at = place(&error);
        if let Some(own) = own(&error) {
            return own.at(at);
        }
        let kind = kind(error.find_root());
        Self::new(kind, message(error.find_root())).at(at)
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

/// Where in the text a planner found it.
fn place(error: &DataFusionError) -> Option<Position> {
    let span = error.diagnostic()?.span?;
    Position::of(Location {
        line: span.start.line,
        column: span.start.column,
    })
}

/// An error of this crate, or of the client, that has come through a plan.
fn own(error: &DataFusionError) -> Option<Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own.clone());
        }
        if let Some(client) = error.downcast_ref::<fluss_client::Error>() {
            return Some(client.clone().into());
        }
        next = match error.downcast_ref::<DataFusionError>() {
            Some(DataFusionError::External(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Shared(inner)) => Some(inner.as_ref()),
            Some(DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner)) => {
                Some(inner.as_ref())
            }
            Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
            _ => match error.downcast_ref::<ArrowError>() {
                Some(ArrowError::ExternalError(inner)) => Some(inner.as_ref()),
                _ => error.source(),
            },
        };
    }
    None
}

fn kind(error: &DataFusionError) -> ErrorKind {
    match error {
        DataFusionError::NotImplemented(_) => ErrorKind::Unsupported,
        DataFusionError::SQL(..) => ErrorKind::Syntax,
        DataFusionError::SchemaError(error, _) => match **error {
            SchemaError::FieldNotFound { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Other,
        },
        DataFusionError::ResourcesExhausted(_) => ErrorKind::Memory,
        DataFusionError::ArrowError(..) | DataFusionError::Execution(_) => ErrorKind::Type,
        DataFusionError::Plan(text) => match text {
            text if text.starts_with("Invalid function") => ErrorKind::NotFound,
            text if text.contains("coerce") || text.contains("coercion") || text.contains("cast") => {
                ErrorKind::Type
            }
            _ => ErrorKind::Other,
        },
        _ => ErrorKind::Other,
    }
}

/// What is wrong, without where in the planner it was found.
fn message(error: &DataFusionError) -> String {
    let text = error.message();
    let text = text.split("\n\nbacktrace: ").next().unwrap_or_default();
    text.trim().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_at_the_end_of_what_the_parser_says_is_taken_off() {
        let error = Error::from(ParserError::ParserError(
            "Expected: an expression, found: FROM at Line: 2, Column: 8".to_owned(),
        ));
        assert_eq!(error.message, "Expected: an expression, found: FROM");
        assert_eq!(error.at, Some(Position { line: 2, column: 8 }));
        assert_eq!(
            error.to_string(),
            "Expected: an expression, found: FROM (line 2, column 8)"
        );
        let error = Error::from(ParserError::ParserError("nothing at all".to_owned()));
        assert_eq!((error.message.as_str(), error.at), ("nothing at all", None));
    }

    #[test]
    fn an_error_of_ours_comes_out_of_a_plan_as_it_was() {
        let own = Error::unsupported("TABLESAMPLE").at(Some(Position { line: 1, column: 5 }));
        let wrapped = DataFusionError::from(own).context("planning").context("more");
        let error = Error::from(DataFusionError::from(ArrowError::ExternalError(Box::new(
            wrapped,
        ))));
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert_eq!(error.message, "TABLESAMPLE is not supported");
        assert_eq!(error.at, Some(Position { line: 1, column: 5 }));
    }
}
