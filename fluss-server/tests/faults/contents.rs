//! What is read of a node.

use fluss_core::id::Offset;

use crate::known::{Change, Ends, Rows};

/// The records of a log, one behind the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Log<T> {
    /// The offset of the first.
    pub(crate) start: Offset,
    pub(crate) records: Vec<T>,
}

/// All that a node has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Contents {
    pub(crate) events: Log<i64>,
    pub(crate) changes: Log<Change>,
    pub(crate) rows: Rows,
}

impl<T> Log<T> {
    /// The offset behind the last.
    pub(crate) fn end(&self) -> Offset {
        self.start + self.records.len() as Offset
    }

    /// Adds the record of an offset, which has to be the next.
    pub(crate) fn push(&mut self, offset: Offset, record: T) {
        assert_eq!(offset, self.end());
        self.records.push(record);
    }
}

impl Contents {
    pub(crate) fn ends(&self) -> Ends {
        Ends {
            events: self.events.end(),
            changes: self.changes.end(),
        }
    }
}
