//! Rows as bytes, keys, and the buckets and partitions that they choose.
//!
//! ```text
//! Row ── check ─┬─▶ RowFormat::encode ──▶ compacted · indexed · aligned ──▶ nested (arrays, maps, slots)
//!               ├─▶ KeyEncoder::encode ──▶ BucketFunction::bucket
//!               └─▶ partition_name
//! ```
//!
//! The formats share one view of a value, its *physical* form (`physical`): a format says only how it lays out a byte,
//! a word or a run of bytes, never what a DATE is.

mod aligned;
mod auto_partition;
mod bucket;
mod bytes;
mod check;
mod compacted;
mod indexed;
mod java;
mod key;
mod nested;
mod pad;
mod partition;
mod physical;

pub use auto_partition::{AutoPartitionUnit, TimeFormat};
pub use bucket::{BucketFunction, hash42, intmix, murmur3_32};
pub use check::{check, check_value};
pub use key::{KeyEncoder, KeyFormat};
pub use pad::{pad, pad_value};
pub use partition::{check_partition, is_partition_value, partition_datum, partition_name, partition_value};

use crate::types::{Datum, KvFormat, Row, RowType};
use crate::{DecodeError, ValueError};

/// A layout of rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RowFormat {
    /// The fewest bytes (`rows.md` §2): KV records and values, and the records of COMPACTED logs.
    Compacted,
    /// The lengths of variable fields up front (`rows.md` §3): the records of INDEXED logs and KV tables.
    Indexed,
    /// Slots of eight bytes (`rows.md` §4.4): statistics of batches, and the keys of Paimon tables.
    Aligned,
}

impl From<KvFormat> for RowFormat {
    fn from(format: KvFormat) -> Self {
        match format {
            KvFormat::Compacted => Self::Compacted,
            KvFormat::Indexed => Self::Indexed,
        }
    }
}

impl RowFormat {
    /// Appends a row to `out`.
    ///
    /// Rows that pass [`check()`] encode; what `check` finds is not looked for a second time.
    ///
    /// # Errors
    /// A value of another type than its column, or one that the format cannot hold, such as a CHAR of more bytes than
    /// its length in an indexed row. `out` is then as it was.
    pub fn encode(
        self,
        row_type: &RowType,
        row: &(impl Row + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let start = out.len();
        let written =
            check::arity(row_type, row, "the table", "columns").and_then(|()| self.write(row_type, row, out));
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    fn write(
        self,
        row_type: &RowType,
        row: &(impl Row + ?Sized),
        out: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        match self {
            Self::Compacted => compacted::write(row_type, row, out),
            Self::Indexed => indexed::write(row_type, row, out),
            Self::Aligned => aligned::write(row_type, row, out),
        }
    }

    /// Reads the row that `bytes` are, borrowing text and bytes from them.
    ///
    /// Compacted and indexed rows must use up all bytes. Memory is taken in proportion to `bytes`, whatever they say.
    /// Nulls are given as they are found, in NOT NULL columns too.
    pub fn decode<'a>(self, row_type: &RowType, bytes: &'a [u8]) -> Result<Vec<Datum<'a>>, DecodeError> {
        let mut row = Vec::with_capacity(row_type.len());
        self.decode_into(row_type, bytes, &mut row)?;
        Ok(row)
    }

    /// As [`decode`](Self::decode), into memory that is used again: what is in `row` makes way. After an error it holds
    /// any of the values.
    pub fn decode_into<'a>(
        self,
        row_type: &RowType,
        bytes: &'a [u8],
        row: &mut Vec<Datum<'a>>,
    ) -> Result<(), DecodeError> {
        row.clear();
        let take = |_, datum| {
            row.push(datum);
            Ok(())
        };
        self.visit(row_type, bytes, |_| true, take)
    }

    /// Hands over the values of the row that `bytes` are, in the order of their columns, if they are wanted. The others are
    /// passed over: of them only the length is checked.
    ///
    /// # Errors
    ///
    /// As of [`decode`](Self::decode), and the first that `take` returns.
    pub fn visit<'a>(
        self,
        row_type: &RowType,
        bytes: &'a [u8],
        is_wanted: impl Fn(usize) -> bool,
        take: impl FnMut(usize, Datum<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        match self {
            Self::Compacted => compacted::visit(row_type, bytes, is_wanted, take),
            Self::Indexed => indexed::visit(row_type, bytes, is_wanted, take),
            Self::Aligned => aligned::visit(row_type, bytes, is_wanted, take),
        }
    }
}
