//! What a transaction has gathered, until it is committed.
//!
//! ```text
//! write ─▶ Gathered, one a table ─┬─▶ Overlay ─▶ scan: the table's rows without those of its keys, and its rows
//!                                 └─▶ commit
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use fluss_client::Table;
use fluss_client::id::TableId;

use crate::error::{Error, ErrorKind, Result};

/// An open transaction of a session: what was written, by table, in the order in which tables were written to first.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    tables: Vec<Gathered>,
}

impl Transaction {
    /// What was written to a table, for whoever reads it.
    pub(crate) fn overlay(&mut self, table: TableId) -> Result<Option<Arc<Overlay>>> {
        let mut tables = self.tables.iter_mut();
        let found = tables.find(|gathered| gathered.table.info().id == table);
        found.map(Gathered::overlay).transpose()
    }

    /// Adds what a statement writes to a table: rows, and keys of rows that are deleted, in this order.
    ///
    /// # Errors
    ///
    /// A table that was changed since the transaction wrote to it first.
    pub(crate) fn gather(
        &mut self,
        table: &Table,
        rows: Vec<RecordBatch>,
        deleted: Vec<RecordBatch>,
    ) -> Result<()> {
        let info = table.info();
        let known = |gathered: &Gathered| gathered.table.info().path == info.path;
        if !self.tables.iter().any(known) {
            self.tables.push(Gathered::new(table)?);
        }
        let Some(gathered) = self.tables.iter_mut().find(|gathered| known(gathered)) else {
            return Ok(());
        };
        let first = gathered.table.info();
        if (first.id, first.schema_id) != (info.id, info.schema_id) {
            let text = format!("{} was changed since the transaction wrote to it", info.path);
            return Err(Error::new(ErrorKind::Conflict, text));
        }
        for batch in rows {
            gathered.put(batch)?;
        }
        for batch in deleted {
            gathered.delete(batch)?;
        }
        Ok(())
    }

    /// What was written, by table.
    pub(crate) fn into_tables(self) -> Vec<Gathered> {
        self.tables
    }
}

/// What was written to a table.
pub(crate) struct Gathered {
    table: Table,
    /// How keys are told apart; nothing in a log table.
    keys: Option<Keys>,
    /// Whole rows, as scans show them.
    rows: Vec<RecordBatch>,
    /// Keys whose rows are deleted.
    deleted: Vec<RecordBatch>,
    /// What was done last to each key: the number of a batch, and of its row.
    last: HashMap<Box<[u8]>, Last>,
    /// What was made of it, until it changes.
    overlay: Option<Arc<Overlay>>,
}

#[derive(Clone, Copy, Debug)]
enum Last {
    Written(usize, usize),
    Deleted(usize, usize),
}

impl Gathered {
    fn new(table: &Table) -> Result<Self> {
        let info = table.info();
        let key = info.schema().primary_key();
        let keys = info
            .has_primary_key()
            .then(|| Keys::new(&table.arrow_schema(), key));
        Ok(Self {
            table: table.clone(),
            keys: keys.transpose()?,
            rows: Vec::new(),
            deleted: Vec::new(),
            last: HashMap::new(),
            overlay: None,
        })
    }

    /// The table.
    pub(crate) const fn table(&self) -> &Table {
        &self.table
    }

    fn put(&mut self, batch: RecordBatch) -> Result<()> {
        self.overlay = None;
        if let Some(keys) = &self.keys {
            for (row, key) in keys.of(&batch)?.into_iter().enumerate() {
                self.last.insert(key, Last::Written(self.rows.len(), row));
            }
        }
        self.rows.push(batch);
        Ok(())
    }

    fn delete(&mut self, batch: RecordBatch) -> Result<()> {
        self.overlay = None;
        if let Some(keys) = &self.keys {
            for (row, key) in keys.of(&batch)?.into_iter().enumerate() {
                self.last.insert(key, Last::Deleted(self.deleted.len(), row));
            }
        }
        self.deleted.push(batch);
        Ok(())
    }

    fn overlay(&mut self) -> Result<Arc<Overlay>> {
        if let Some(overlay) = &self.overlay {
            return Ok(overlay.clone());
        }
        let overlay = Arc::new(self.to_overlay()?);
        self.overlay = Some(overlay.clone());
        Ok(overlay)
    }

    fn to_overlay(&self) -> Result<Overlay> {
        let schema = self.table.arrow_schema();
        let Some(keys) = &self.keys else {
            return Ok(Overlay {
                keys: None,
                rows: concat_batches(&schema, &self.rows)?,
                seen: HashMap::new(),
            });
        };
        let mut written = Vec::new();
        let mut seen = HashMap::with_capacity(self.last.len());
        for (key, last) in &self.last {
            let place = match last {
                Last::Written(batch, row) => {
                    written.push((*batch, *row));
                    Seen::Written(written.len() - 1)
                }
                Last::Deleted(..) => Seen::Deleted,
            };
            seen.insert(key.clone(), place);
        }
        Ok(Overlay {
            keys: Some(keys.clone()),
            rows: picked(&schema, &self.rows, &written)?,
            seen,
        })
    }

    /// The rows that there are to be, and the keys whose rows are to be deleted: of each key what was done to it last.
    pub(crate) fn outcome(&self) -> Result<(RecordBatch, Option<RecordBatch>)> {
        let schema = self.table.arrow_schema();
        if self.keys.is_none() {
            return Ok((concat_batches(&schema, &self.rows)?, None));
        }
        let (mut written, mut deleted) = (Vec::new(), Vec::new());
        for last in self.last.values() {
            match last {
                Last::Written(batch, row) => written.push((*batch, *row)),
                Last::Deleted(batch, row) => deleted.push((*batch, *row)),
            }
        }
        written.sort_unstable();
        deleted.sort_unstable();
        let rows = picked(&schema, &self.rows, &written)?;
        let deleted = match self.deleted.first() {
            Some(first) if !deleted.is_empty() => Some(picked(&first.schema(), &self.deleted, &deleted)?),
            _ => None,
        };
        Ok((rows, deleted))
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gathered")
            .field("table", &self.table.info().path.to_string())
            .finish_non_exhaustive()
    }
}

/// Some rows of batches, as one.
fn picked(schema: &SchemaRef, batches: &[RecordBatch], rows: &[(usize, usize)]) -> Result<RecordBatch> {
    if rows.is_empty() {
        return Ok(RecordBatch::new_empty(schema.clone()));
    }
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    Ok(interleave_record_batch(&batches, rows)?)
}

/// What a transaction has done to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Nothing.
    Untouched,
    /// It has written this row of [`Overlay::rows`].
    Written(usize),
    /// It has deleted the row.
    Deleted,
}

/// What an open transaction has written to a table, as whoever reads the table sees it: the rows of the table without those
/// that [`keeps`](Self::keeps) leaves out, and [`rows`](Self::rows).
pub(crate) struct Overlay {
    keys: Option<Keys>,
    rows: RecordBatch,
    seen: HashMap<Box<[u8]>, Seen>,
}

impl Overlay {
    /// The rows that the transaction has written: all columns of the table, as scans show them.
    pub(crate) const fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// Which rows of the table stand: those whose keys the transaction has not written. The batch has the columns of the
    /// primary key, as scans show them, among any others.
    pub(crate) fn keeps(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let seen = self.seen(batch)?;
        Ok(seen
            .into_iter()
            .map(|seen| Some(seen == Seen::Untouched))
            .collect())
    }

    /// What was done to each key of a batch, which has the columns of the primary key among others.
    pub(crate) fn seen(&self, batch: &RecordBatch) -> Result<Vec<Seen>> {
        let Some(keys) = &self.keys else {
            return Ok(vec![Seen::Untouched; batch.num_rows()]);
        };
        let seen = |key: Box<[u8]>| self.seen.get(&key).copied().unwrap_or(Seen::Untouched);
        Ok(keys.of(batch)?.into_iter().map(seen).collect())
    }
}

impl fmt::Debug for Overlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Overlay")
            .field("rows", &self.rows.num_rows())
            .field("keys", &self.seen.len())
            .finish_non_exhaustive()
    }
}

/// The keys of rows, as bytes that can be compared.
#[derive(Clone)]
pub(crate) struct Keys {
    names: Arc<[String]>,
    converter: Arc<RowConverter>,
}

impl Keys {
    /// The keys in columns of these names, of rows of this schema.
    pub(crate) fn new(schema: &SchemaRef, names: &[String]) -> Result<Self> {
        let field = |name: &String| Ok(SortField::new(schema.field_with_name(name)?.data_type().clone()));
        let fields = names.iter().map(field).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            names: names.into(),
            converter: Arc::new(RowConverter::new(fields)?),
        })
    }

    /// The key of each row.
    pub(crate) fn of(&self, batch: &RecordBatch) -> Result<Vec<Box<[u8]>>> {
        let column = |name: &String| -> Result<ArrayRef> {
            let missing = || Error::new(ErrorKind::Other, format!("the rows lack the key column '{name}'"));
            batch.column_by_name(name).cloned().ok_or_else(missing)
        };
        let columns = self.names.iter().map(column).collect::<Result<Vec<_>>>()?;
        let rows = self.converter.convert_columns(&columns)?;
        Ok(rows.iter().map(|row| row.as_ref().into()).collect())
    }
}

/// The rows of a batch at these positions.
pub(crate) fn rows_at(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch> {
    if rows.len() == batch.num_rows() && rows.iter().enumerate().all(|(at, row)| at == *row as usize) {
        return Ok(batch.clone());
    }
    Ok(take_record_batch(batch, &UInt32Array::from(rows.to_vec()))?)
}

/// Whether the first column of a key has a value in each row: that of a row that was found.
pub(crate) fn is_there(batch: &RecordBatch, key: &str) -> Vec<bool> {
    match batch.column_by_name(key) {
        Some(column) => (0..batch.num_rows()).map(|row| column.is_valid(row)).collect(),
        None => vec![false; batch.num_rows()],
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int32, false),
            Field::new("name", DataType::Utf8, true),
        ]))
    }

    fn batch(rows: &[(i32, &str)]) -> RecordBatch {
        let ids = Int32Array::from_iter_values(rows.iter().map(|(id, _)| *id));
        let names = StringArray::from_iter_values(rows.iter().map(|(_, name)| *name));
        RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(names)]).unwrap()
    }

    #[test]
    fn a_key_is_the_same_whatever_else_its_row_has() {
        let keys = Keys::new(&schema(), &["id".to_owned()]).unwrap();
        let (one, other) = (
            keys.of(&batch(&[(1, "a"), (2, "b")])),
            keys.of(&batch(&[(2, "c")])),
        );
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one[1], other[0]);
        assert_ne!(one[0], other[0]);
        assert!(Keys::new(&schema(), &["missing".to_owned()]).is_err());
    }

    #[test]
    fn rows_are_picked_by_their_places() {
        let rows = batch(&[(1, "a"), (2, "b"), (3, "c")]);
        assert_eq!(rows_at(&rows, &[0, 1, 2]).unwrap(), rows);
        assert_eq!(rows_at(&rows, &[2, 0]).unwrap(), batch(&[(3, "c"), (1, "a")]));
        let again = picked(&schema(), &[rows.clone(), batch(&[(9, "z")])], &[(1, 0), (0, 1)]).unwrap();
        assert_eq!(again, batch(&[(9, "z"), (2, "b")]));
        assert_eq!(picked(&schema(), &[], &[]).unwrap().num_rows(), 0);
    }

    #[test]
    fn rows_of_an_overlay_hide_those_of_their_keys() {
        let keys = Keys::new(&schema(), &["id".to_owned()]).unwrap();
        let rows = batch(&[(2, "new")]);
        let mut seen = HashMap::new();
        for (key, what) in keys
            .of(&batch(&[(2, ""), (3, "")]))
            .unwrap()
            .into_iter()
            .zip([Seen::Written(0), Seen::Deleted])
        {
            seen.insert(key, what);
        }
        let overlay = Overlay {
            keys: Some(keys),
            rows,
            seen,
        };
        let table = batch(&[(1, "old"), (2, "old"), (3, "old")]);
        let kept = overlay.keeps(&table).unwrap();
        assert_eq!(kept, BooleanArray::from(vec![true, false, false]));
        let expected = [Seen::Untouched, Seen::Written(0), Seen::Deleted];
        assert_eq!(overlay.seen(&table).unwrap(), expected);
    }
}
