//! The rows of the benchmark's table.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use fluss::row::{GenericRow, TimestampNtz};

/// 2024-01-01T00:00:00.
const FIRST_MICROS: i64 = 1_704_067_200_000_000;

fn name(i: i64) -> String {
    format!("name-{}", 10_000 + i % 90_000)
}

/// Row `i` for the row writer.
pub fn row(i: i64) -> Result<GenericRow<'static>, fluss::error::Error> {
    let micros = FIRST_MICROS + i;
    let nanos = (micros % 1000 * 1000) as i32;
    let mut row = GenericRow::new(4);
    row.set_field(0, i);
    row.set_field(1, name(i));
    row.set_field(2, i as f64 * 0.5);
    row.set_field(3, TimestampNtz::from_millis_nanos(micros / 1000, nanos)?);
    Ok(row)
}

/// Rows `begin..end` as one batch.
pub fn batch(begin: i64, end: i64, schema: SchemaRef) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(
        schema,
        vec![
            Arc::new(Int64Array::from_iter_values(begin..end)),
            Arc::new(StringArray::from_iter_values((begin..end).map(name))),
            Arc::new(Float64Array::from_iter_values(
                (begin..end).map(|i| i as f64 * 0.5),
            )),
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                (begin..end).map(|i| FIRST_MICROS + i),
            )),
        ],
    )
}
