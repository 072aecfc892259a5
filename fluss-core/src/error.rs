//! The two errors of the data model: bytes that do not decode, and values that do not fit.

use std::fmt;

/// Bytes that are not what they should be. Trying again does not help, unless they are fetched again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed {what}: {}{reason}", column.as_ref().map(|column| format!("column '{column}': ")).unwrap_or_default())]
pub struct DecodeError {
    what: &'static str,
    column: Option<String>,
    reason: String,
}

impl DecodeError {
    /// `what` names the structure ("log batch header"), `reason` what is wrong with it.
    pub fn new(what: &'static str, reason: impl Into<String>) -> Self {
        Self {
            what,
            column: None,
            reason: reason.into(),
        }
    }

    /// A value that is not what its column holds.
    pub fn value(what: &'static str, error: ValueError) -> Self {
        Self {
            what,
            column: error.column,
            reason: error.reason,
        }
    }

    /// The structure ends before its last part.
    pub fn truncated(what: &'static str, needed: usize, found: usize) -> Self {
        Self::new(what, format!("{needed} bytes needed, {found} left"))
    }

    /// What is wrong with it.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The structure that did not decode.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// The column whose value did not decode, with a path into nested types, where it was one.
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// The same fault seen from one level further out: `outer` is put before the path.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let value = ValueError {
            column: self.column,
            ..ValueError::row(self.reason)
        };
        Self::value(self.what, value.within(outer))
    }

    /// The same with more to say.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.reason.push_str(more);
        self
    }
}

/// A value that its column, or a row that its table, cannot take.
///
/// Raised before anything is sent; the writer stays usable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ValueError {
    /// The column, with a path into nested types (`tags[2]`, `address.city`); absent when the whole row is at fault.
    pub column: Option<String>,
    /// Which of many rows, from 0, where there are many.
    pub row: Option<u64>,
    /// What is wrong: with the row, as what is said of it, where there are many.
    pub reason: String,
}

impl ValueError {
    /// A fault of a whole row.
    pub fn row(reason: impl Into<String>) -> Self {
        Self {
            column: None,
            row: None,
            reason: reason.into(),
        }
    }

    /// A fault of one of many rows, as what is said of the row: "is null".
    pub fn at(row: usize, reason: impl Into<String>) -> Self {
        Self {
            row: Some(row as u64),
            ..Self::row(reason)
        }
    }

    /// A fault of one column.
    pub fn column(column: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            column: Some(column.into()),
            ..Self::row(reason)
        }
    }

    /// The same fault as one of this row of many, unless it names one.
    #[must_use]
    pub fn at_row(self, row: usize) -> Self {
        match self.row {
            Some(_) => self,
            None => Self {
                row: Some(row as u64),
                reason: format!("has a wrong value: {}", self.reason),
                ..self
            },
        }
    }

    /// The same fault with so many rows before those that it counts.
    #[must_use]
    pub fn after_rows(mut self, rows: u64) -> Self {
        self.row = self.row.map(|row| row + rows);
        self
    }

    /// The same fault seen from one level further out: `outer` is put before the path.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let column = match self.column {
            None => outer.to_owned(),
            Some(inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            Some(inner) => format!("{outer}.{inner}"),
        };
        Self {
            column: Some(column),
            ..self
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(column) = &self.column {
            write!(f, "column '{column}': ")?;
        }
        if let Some(row) = self.row {
            write!(f, "row {row} ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ValueError {}
