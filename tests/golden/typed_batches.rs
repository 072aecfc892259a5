//! Batches of random types whose contents are typed too: columns and stretches of them, keys with rows, stored values.

use arrow::record_batch::RecordBatch;
use fluss_core::arrow::{ColumnsBuilder, arrow_schema};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::log::{decode_arrow, encode_arrow};
use fluss_core::record::value::{StoredValue, decode_values, encode_values};
use fluss_core::row::RowFormat;
use fluss_core::types::{Compression, Datum, OwnedRow, RowType, ZstdLevel};
use fluss_tests::arbitrary::{Options, rows};
use proptest::prelude::*;

use crate::batches::{SCHEMA, STAMP};
use crate::cases::cases;
use crate::log_batches::only_batch;

const NESTED: Options = Options {
    depth: 3,
    columns: 6,
    scalars: |_| true,
    nulls: true,
};
const FORMATS: [RowFormat; 2] = [RowFormat::Compacted, RowFormat::Indexed];

fn columns(row_type: &RowType, rows: &[OwnedRow]) -> RecordBatch {
    let mut columns = ColumnsBuilder::new(row_type, 0);
    for row in rows {
        columns.append(row).unwrap();
    }
    columns.finish().unwrap()
}

fn encoded(format: RowFormat, row_type: &RowType, row: &OwnedRow) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.encode(row_type, row, &mut bytes).unwrap();
    bytes
}

/// The key of a record by its position: keys need not come from the row.
fn key(position: usize) -> [u8; 8] {
    position.to_le_bytes()
}

/// Rows, each with whether it is written or its key deleted.
fn changes() -> impl Strategy<Value = ((RowType, Vec<OwnedRow>), Vec<bool>)> {
    (rows(NESTED, 1..20), prop::collection::vec(any::<bool>(), 20))
}

/// Writers cut batches by bucket and by size: what they send are stretches of larger columns.
#[test]
fn a_stretch_of_columns_comes_back_as_it_went() {
    let zstd = |level| Compression::Zstd(ZstdLevel::new(level).unwrap());
    let compression = prop::sample::select(vec![
        Compression::None,
        Compression::Lz4Frame,
        zstd(1),
        zstd(3),
        zstd(22),
    ]);
    let ends = any::<[prop::sample::Index; 2]>();
    cases(
        "stretches",
        &(rows(NESTED, 1..30), compression, ends),
        |((row_type, rows), compression, [from, count])| {
            let from = from.index(rows.len());
            let count = 1 + count.index(rows.len() - from);
            let stretch = columns(&row_type, &rows).slice(from, count);
            let sealed = encode_arrow(&stretch, None, compression, SCHEMA)
                .unwrap()
                .seal(STAMP);
            let batch = only_batch(sealed.to_vec());
            batch.verify_checksum().unwrap();
            let found = decode_arrow(&batch, &arrow_schema(&row_type)).unwrap();
            prop_assert_eq!(&found, &stretch);
            prop_assert_eq!(found, columns(&row_type, &rows[from..from + count]));
            Ok(())
        },
    );
}

#[test]
fn rows_and_deletes_of_a_kv_batch_come_back_as_they_went() {
    cases("KV batches", &changes(), |((row_type, rows), written)| {
        for format in FORMATS {
            let mut builder = KvBatchBuilder::new(SCHEMA);
            for (position, row) in rows.iter().enumerate() {
                let bytes = written[position].then(|| encoded(format, &row_type, row));
                builder.append(&key(position), bytes.as_deref()).unwrap();
            }
            let batch = KvBatch::new(builder.finish().unwrap().seal(STAMP)).unwrap();
            batch.verify_checksum().unwrap();
            let records: Vec<_> = batch.records().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(records.len(), rows.len());
            for (position, record) in records.iter().enumerate() {
                prop_assert_eq!(record.key, key(position));
                let found = record.row.map(|bytes| format.decode(&row_type, bytes).unwrap());
                let expected: Option<&Vec<Datum<'_>>> = written[position].then(|| &rows[position]);
                prop_assert_eq!(found.as_ref(), expected);
            }
        }
        Ok(())
    });
}

#[test]
fn the_rows_of_stored_values_come_back_as_they_went() {
    cases("stored values", &rows(NESTED, 0..20), |(row_type, rows)| {
        for format in FORMATS {
            let bytes: Vec<_> = rows.iter().map(|row| encoded(format, &row_type, row)).collect();
            let stored = bytes.iter().map(|row| StoredValue {
                schema_id: SCHEMA,
                row,
            });
            let batch = encode_values(&stored.collect::<Vec<_>>());
            let found = decode_values(&batch).unwrap();
            prop_assert_eq!(found.len(), rows.len());
            for (value, row) in found.iter().zip(&rows) {
                prop_assert_eq!(value.schema_id, SCHEMA);
                prop_assert_eq!(&format.decode(&row_type, value.row).unwrap(), row);
            }
        }
        Ok(())
    });
}
