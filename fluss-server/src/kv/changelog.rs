//! The batch that tells what a write has changed (`behaviour.md` §3.2), in the table's log format under its latest schema.

use bytes::Bytes;
use fluss_core::ValueError;
use fluss_core::arrow::ColumnsBuilder;
use fluss_core::id::{BatchSequence, WriterId};
use fluss_core::record::log::{ChangeType, RowsBuilder, empty_batch, encode_arrow};
use fluss_core::row::RowFormat;
use fluss_core::types::{Datum, LogFormat};

use super::table::Table;

/// Collects changes.
#[derive(Debug)]
pub(super) struct Changelog<'t> {
    table: &'t Table,
    rows: Rows,
    is_empty: bool,
}

#[derive(Debug)]
enum Rows {
    Columns(Box<ColumnsBuilder>, Vec<ChangeType>),
    Rows(RowsBuilder),
}

impl<'t> Changelog<'t> {
    /// A changelog with room for about so many changes.
    pub(super) fn new(table: &'t Table, capacity: usize) -> Self {
        let rows = |format| Rows::Rows(RowsBuilder::new(format, table.latest(), false));
        let rows = match table.info.properties.log_format {
            LogFormat::Arrow => {
                let columns = ColumnsBuilder::new(table.row_type(), capacity);
                Rows::Columns(Box::new(columns), Vec::with_capacity(capacity))
            }
            LogFormat::Indexed => rows(RowFormat::Indexed),
            LogFormat::Compacted => rows(RowFormat::Compacted),
        };
        Self {
            table,
            rows,
            is_empty: true,
        }
    }

    /// Adds a change. The row has been checked.
    pub(super) fn append(&mut self, change: ChangeType, row: &[Datum<'_>]) -> Result<(), ValueError> {
        self.is_empty = false;
        match &mut self.rows {
            Rows::Columns(columns, changes) => {
                columns.append_checked(row);
                changes.push(change);
                Ok(())
            }
            Rows::Rows(rows) => rows.append(self.table.row_type(), change, row),
        }
    }

    /// As [`append`](Self::append), taking the values out of the row.
    pub(super) fn append_values(
        &mut self,
        change: ChangeType,
        row: &mut Vec<Datum<'_>>,
    ) -> Result<(), ValueError> {
        if let Rows::Columns(columns, changes) = &mut self.rows {
            self.is_empty = false;
            columns.append_values(row.drain(..));
            changes.push(change);
            return Ok(());
        }
        self.append(change, row)
    }

    /// The batch, with the stamp of the write that it tells of. It has no records if nothing has changed.
    pub(super) fn finish(self, stamp: Option<(WriterId, BatchSequence)>) -> Result<Bytes, ValueError> {
        let latest = self.table.latest();
        let mut batch = match self.rows {
            _ if self.is_empty => empty_batch(latest),
            Rows::Columns(columns, changes) => {
                let compression = self.table.info.properties.compression;
                encode_arrow(&columns.finish()?, Some(&changes), compression, latest)?
            }
            Rows::Rows(rows) => rows.finish()?,
        };
        Ok(batch.seal(stamp))
    }
}
