//! The rows of the benchmark's table.

use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use crate::{Clock, Job};

/// 2024-01-01T00:00:00, in microseconds since the epoch.
pub const FIRST_MICROS: i64 = 1_704_067_200_000_000;

/// The positions of the columns.
pub mod column {
    #![allow(missing_docs, reason = "they have the names of the columns")]
    pub const ID: usize = 0;
    pub const NAME: usize = 1;
    pub const VALUE: usize = 2;
    pub const AT: usize = 3;
}

/// The name in row `i`.
pub fn name(i: i64) -> String {
    format!("name-{}", 10_000 + i % 90_000)
}

/// A number for each number, in no order: what keys are that nobody counts up.
pub fn scattered(i: i64) -> i64 {
    /// Odd, so that no two numbers share one; near the golden ratio, so that neighbours are far apart.
    const STEP: i64 = 0x1E37_79B9_7F4A_7C15;
    i.wrapping_mul(STEP)
}

/// The columns as Arrow.
pub fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
        Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

/// Rows `begin..end` as one batch, in a schema like [`schema`].
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

/// All rows of a job as batches.
pub fn batches(job: &Job, schema: &SchemaRef) -> Result<Vec<RecordBatch>, ArrowError> {
    let step = job.batch_rows.max(1);
    (0..job.rows)
        .step_by(step)
        .map(|begin| batch(begin, job.rows.min(begin + step as i64), schema.clone()))
        .collect()
}

/// The keys that a job looks up, as many as it has rows: all over the table, of which `stored` says the number.
pub fn keys(job: &Job) -> impl Iterator<Item = i64> {
    /// A prime, so that the keys of a table come in no order and none is left out.
    const STEP: i64 = 7_919;
    let stored = job.stored.max(1);
    (0..job.rows).map(move |index| index.wrapping_mul(STEP).rem_euclid(stored))
}

/// The same, until the time of the job is up.
pub fn keys_in_time(job: &Job, clock: &Clock) -> impl Iterator<Item = i64> {
    keys(job).take_while(|_| clock.seconds() < job.seconds)
}
