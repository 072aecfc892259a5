//! The rows of a snapshot of a bucket: what is in the tables of a `RocksDB` checkpoint (`behaviour.md` §5.5).
//!
//! ```text
//! files *.sst ─▶ table: blocks, entries ─▶ rows: of each key what was written last
//! ```
//!
//! A checkpoint consists of tables and of what tells how the store had arranged them. The tables alone tell all rows: each
//! entry has the number of its write, so that of several entries of a key the newest is known wherever it stands. So
//! nothing else is read, and `RocksDB` is not needed. Tables are read as servers of 0.9 write them by default: block-based,
//! of versions 2 to 5, with CRC-32C checksums and blocks that are plain or compressed with LZ4 or Zstandard. Whatever is
//! different is refused by name.

mod block;
mod fault;
mod table;

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use bytes::Bytes;

use crate::error::DecodeError;
use fault::Fault;
use table::Cursor;

/// The rows of a snapshot, in the order of their encoded keys: each a stored value (`records.md` §3).
#[derive(Debug)]
pub struct Rows {
    ahead: BinaryHeap<Ahead>,
    /// The key whose newest entry was met last.
    key: Option<Vec<u8>>,
    is_done: bool,
}

impl Rows {
    /// The rows of these tables with their names, all that the snapshot has. They are read as they are asked for; the
    /// values share memory with each other, block by block.
    ///
    /// # Errors
    ///
    /// A file that is no such table, or is of a kind that is not read.
    pub fn read(tables: impl IntoIterator<Item = (String, Bytes)>) -> Result<Self, DecodeError> {
        let mut ahead = BinaryHeap::new();
        for (name, file) in tables {
            let begin = || -> Result<_, Fault> {
                let mut cursor = Cursor::open(file)?;
                Ok(cursor.advance()?.then_some(cursor))
            };
            match begin() {
                Ok(cursor) => ahead.extend(cursor.map(|cursor| Ahead { name, cursor })),
                Err(fault) => return Err(fault.of(&name)),
            }
        }
        Ok(Self {
            ahead,
            key: None,
            is_done: false,
        })
    }

    fn step(&mut self) -> Result<Option<Bytes>, DecodeError> {
        while let Some(mut top) = self.ahead.peek_mut() {
            let Ahead { name, cursor } = &mut *top;
            let is_newest = self.key.as_deref() != Some(cursor.key());
            if is_newest {
                let key = self.key.get_or_insert_default();
                key.clear();
                key.extend_from_slice(cursor.key());
            }
            let value = cursor.value.take().filter(|_| is_newest);
            if !cursor.advance().map_err(|fault| fault.of(name))? {
                PeekMut::pop(top);
            }
            if value.is_some() {
                return Ok(value);
            }
        }
        Ok(None)
    }
}

impl Iterator for Rows {
    type Item = Result<Bytes, DecodeError>;

    /// The next row. An error is the last item.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let row = self.step().transpose();
        self.is_done = !matches!(row, Some(Ok(_)));
        row
    }
}

/// A table at its next entry. The greatest is that of the smallest key, and of several that of the last write.
#[derive(Debug)]
struct Ahead {
    name: String,
    cursor: Cursor,
}

impl Ord for Ahead {
    fn cmp(&self, other: &Self) -> Ordering {
        let keys = other.cursor.key().cmp(self.cursor.key());
        keys.then(self.cursor.write.cmp(&other.cursor.write))
    }
}

impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ahead {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ahead {}

#[cfg(test)]
mod tests;
