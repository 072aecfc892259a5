//! Rows that exist, by their keys: as the open transaction sees them.

use std::collections::HashSet;

use arrow::array::{Array, new_null_array};
use arrow::compute::interleave;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::target::Target;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::{Keys, Seen, is_there};

/// Rows that exist: all columns that writers give, null where there is no row.
pub(super) struct Existing {
    pub(super) rows: RecordBatch,
    pub(super) found: Vec<bool>,
}

impl Existing {
    /// Looks the rows of keys up: as the open transaction sees them.
    pub(super) async fn find(context: &Context, target: &Target, keys: &RecordBatch) -> Result<Self> {
        let table = &target.table;
        let looked = context.client(async { table.lookup().lookuper()?.lookup_arrow(keys).await });
        let looked = looked.await?;
        let overlay = {
            let mut state = context.shared.state.lock();
            let transaction = state.transaction.as_mut();
            transaction
                .map(|transaction| transaction.overlay(target.info().id))
                .transpose()?
                .flatten()
        };
        let columns = target.given();
        let Some(overlay) = overlay else {
            let values = columns
                .iter()
                .filter_map(|column| looked.columns().get(*column).cloned());
            let rows = target.batch(&columns, values.collect(), looked.num_rows())?;
            return Ok(Self::new(target, rows));
        };
        let place = |(row, seen): (usize, Seen)| match seen {
            Seen::Untouched => (0, row),
            Seen::Written(row) => (1, row),
            Seen::Deleted => (2, 0),
        };
        let places: Vec<_> = overlay.seen(keys)?.into_iter().enumerate().map(place).collect();
        let mut values = Vec::with_capacity(columns.len());
        for column in &columns {
            let (Some(stored), Some(written)) = (
                looked.columns().get(*column),
                overlay.rows().columns().get(*column),
            ) else {
                continue;
            };
            let none = new_null_array(stored.data_type(), 1);
            values.push(interleave(&[stored, written, &none], &places)?);
        }
        Ok(Self::new(
            target,
            target.batch(&columns, values, keys.num_rows())?,
        ))
    }

    fn new(target: &Target, rows: RecordBatch) -> Self {
        let key = target.key_names().first().map_or("", String::as_str);
        let found = is_there(&rows, key);
        Self { rows, found }
    }
}

/// Refuses keys that a statement has twice.
pub(super) struct Once {
    keys: Keys,
    seen: HashSet<Box<[u8]>>,
}

impl Once {
    pub(super) fn new(target: &Target) -> Result<Self> {
        Ok(Self {
            keys: Keys::new(&target.schema, target.key_names())?,
            seen: HashSet::new(),
        })
    }

    /// Of each row, whether its key comes for the first time.
    pub(super) fn is_first(&mut self, batch: &RecordBatch) -> Result<Vec<bool>> {
        let keys = self.keys.of(batch)?;
        Ok(keys.into_iter().map(|key| self.seen.insert(key)).collect())
    }

    /// Refuses a batch with a key that has come before.
    pub(super) fn check(&mut self, target: &Target, batch: &RecordBatch, reason: &str) -> Result<()> {
        let first = self.is_first(batch)?;
        match first.iter().position(|is_first| !is_first) {
            Some(row) => Err(violation(target, batch, row, reason)),
            None => Ok(()),
        }
    }
}

/// That a key must not be.
pub(super) fn violation(target: &Target, batch: &RecordBatch, row: usize, reason: &str) -> Error {
    let options = FormatOptions::default();
    let shown = |name: &String| {
        let column = batch.column_by_name(name)?;
        let value = ArrayFormatter::try_new(column, &options)
            .ok()?
            .value(row)
            .to_string();
        Some(format!("{name} = {value}"))
    };
    let key: Vec<_> = target.key_names().iter().filter_map(shown).collect();
    let text = format!("{}: the key ({}) {reason}", target.info().path, key.join(", "));
    Error::new(ErrorKind::Constraint, text)
}
