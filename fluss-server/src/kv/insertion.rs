//! Rows for keys that were looked up and are not there (`behaviour.md` §5.2).

use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::types::{Datum, OwnedRow, PartitionName};

use super::error::Error;
use super::mode::WriteMode;
use super::partition;
use super::table::Table;

/// A batch that inserts rows with nothing but these keys, and the mode to write it in: it leaves alone the rows of keys
/// that others have inserted meanwhile.
///
/// A key is the one that rows are stored under, without the partition keys; their values are those of the partition.
///
/// # Errors
///
/// [`Error::BadRecord`] for keys that cannot be read, as those of Iceberg and Hudi tables cannot.
pub(super) fn insertion<K: AsRef<[u8]>>(
    table: &Table,
    keys: &[K],
    partition: Option<&PartitionName>,
) -> Result<(KvBatch, WriteMode), Error> {
    let mut empty = vec![Datum::Null; table.row_type().len()];
    for (column, value) in partition_values(table, partition)? {
        if let Some(place) = empty.get_mut(column) {
            *place = value;
        }
    }
    let mut builder = KvBatchBuilder::new(table.latest());
    for key in keys {
        let row = row(table, key.as_ref(), empty.clone())?;
        let written = builder.append_with(key.as_ref(), |out| {
            table.format.encode(table.row_type(), &row, out)
        });
        written.map_err(refused)?;
    }
    let sealed = builder.finish().map_err(refused)?.seal(None);
    let mode = WriteMode {
        columns: Some(table.rules.key.clone()),
        overwrite: true,
    };
    Ok((KvBatch::new(sealed).map_err(refused)?, mode))
}

/// The row of a key. `row` has the values of the partition keys.
fn row(table: &Table, key: &[u8], mut row: OwnedRow) -> Result<OwnedRow, Error> {
    let unknown = || refused("the table has no latest schema");
    let encoder = &table.shape(table.latest()).ok_or_else(unknown)?.key;
    let values = encoder.decode(key).map_err(refused)?;
    for (name, value) in table.info.physical_primary_key().into_iter().zip(values) {
        if let Some(place) = table
            .row_type()
            .index_of(name)
            .and_then(|column| row.get_mut(column))
        {
            *place = value.into_owned();
        }
    }
    Ok(row)
}

/// The columns of the partition keys with their values.
fn partition_values(
    table: &Table,
    partition: Option<&PartitionName>,
) -> Result<Vec<(usize, Datum<'static>)>, Error> {
    let mut texts = partition.into_iter().flat_map(PartitionName::values);
    let keys = table.info.descriptor.partition_keys().iter();
    let value = |key: &String| {
        let column = table.row_type().index_of(key)?;
        let data_type = &table.row_type().field(column)?.data_type;
        Some((column, partition::parse(data_type, texts.next()?)?))
    };
    let values: Option<Vec<_>> = keys.map(value).collect();
    values.ok_or_else(|| refused("the partition's name does not say the values of its keys"))
}

#[expect(clippy::needless_pass_by_value, reason = "called by map_err")]
fn refused(reason: impl ToString) -> Error {
    Error::BadRecord(reason.to_string())
}
