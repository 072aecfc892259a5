//! The two errors of the data model: bytes that do not decode, and values that do not fit.

use std::fmt;

/// Bytes that are not what they should be. Trying again does not help, unless they are fetched again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed {what}: {reason}")]
pub struct DecodeError {
    what: &'static str,
    reason: String,
}

impl DecodeError {
    /// `what` names the structure ("log batch header"), `reason` what is wrong with it.
    pub fn new(what: &'static str, reason: impl Into<String>) -> Self {
        Self {
            what,
            reason: reason.into(),
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
}

/// A value that its column, or a row that its table, cannot take.
///
/// Raised before anything is sent; the writer stays usable.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ValueError {
    /// The column, with a path into nested types (`tags[2]`, `address.city`); absent when the whole row is at fault.
    pub column: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl ValueError {
    /// A fault of a whole row.
    pub fn row(reason: impl Into<String>) -> Self {
        Self {
            column: None,
            reason: reason.into(),
        }
    }

    /// A fault of one column.
    pub fn column(column: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            column: Some(column.into()),
            reason: reason.into(),
        }
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
            reason: self.reason,
        }
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column '{column}': {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for ValueError {}
