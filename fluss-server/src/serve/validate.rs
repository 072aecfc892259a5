//! Validates a batch before it is stored: afterwards every reader has to get past it.

use bytes::Bytes;
use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::record::kv::KvBatch;
use fluss_core::record::log::{BatchShape, LogBatch, LogBatches, decode_arrow};
use fluss_core::row::{self, KeyEncoder, RowFormat, pad};
use fluss_core::types::{RowType, Schema};
use fluss_core::{DecodeError, ValueError};
use fluss_rpc::code::ErrorCode;

use crate::catalog::TableEntry;
use crate::error::Failure;
use crate::options::BatchCheck;

/// Checks the batches that are to be appended to a log. What is wrong with a header or a checksum is left to the append
/// to tell.
///
/// # Errors
///
/// `SCHEMA_NOT_EXIST`, or `CORRUPT_RECORD` for a batch that readers could not take apart.
pub(super) fn check_log(table: &TableEntry, records: &Bytes, how: BatchCheck) -> Result<(), Failure> {
    let batches = LogBatches::new(records.clone());
    for (index, batch) in batches.map_while(Result::ok).enumerate() {
        let Err(failure) = check_log_batch(table, &batch, how) else {
            continue;
        };
        if batch.verify_checksum().is_err() {
            return Ok(());
        }
        let message = format!("batch {index} for {}: {}", table.info().path, failure.message);
        return Err(Failure::new(failure.code, message));
    }
    Ok(())
}

fn check_log_batch(table: &TableEntry, batch: &LogBatch, how: BatchCheck) -> Result<(), Failure> {
    let id = batch.schema_id();
    let (Some(shape), Some(schema)) = (table.batch_shape(id), table.schema(id)) else {
        let reason = format!("the table has no schema {id}");
        return Err(Failure::new(ErrorCode::SCHEMA_NOT_EXIST, reason));
    };
    shape.check(batch).map_err(|error| unreadable(&error))?;
    match (how, shape) {
        (BatchCheck::All, BatchShape::Columns(_)) => check_columns(batch, schema.row_type()),
        (BatchCheck::All, BatchShape::Rows(format, row_type)) => check_rows(batch, *format, row_type),
        (BatchCheck::Shape, _) => Ok(()),
    }
}

fn check_columns(batch: &LogBatch, row_type: &RowType) -> Result<(), Failure> {
    let columns = decode_arrow(batch, &arrow_schema(row_type)).map_err(|error| unreadable(&error))?;
    let rows = ArrowRows::new(columns, row_type).map_err(|error| bad_row(0, &error))?;
    for index in 0..batch.record_count() {
        row::check(row_type, &rows.row(index)).map_err(|error| bad_row(index, &error))?;
    }
    Ok(())
}

fn check_rows(batch: &LogBatch, format: RowFormat, row_type: &RowType) -> Result<(), Failure> {
    let records = fluss_core::record::log::decode_rows(batch, format, row_type);
    for (index, record) in records.enumerate() {
        let (_, mut row) = record.map_err(|error| unreadable(&error))?;
        pad(row_type, &mut row);
        row::check(row_type, &row).map_err(|error| bad_row(index, &error))?;
    }
    Ok(())
}

/// Checks that the records of a batch have the keys of their rows. The rest is looked at when they are merged.
///
/// # Errors
///
/// `CORRUPT_RECORD`.
pub(super) fn check_keys(table: &TableEntry, batch: &KvBatch, how: BatchCheck) -> Result<(), Failure> {
    let schema = match how {
        BatchCheck::Shape => None,
        BatchCheck::All => table.schema(batch.schema_id),
    };
    // A wrong checksum, or schema, is reported by whoever merges it.
    match schema {
        Some(schema) if batch.verify_checksum().is_ok() => check_each_key(table, batch, schema),
        _ => Ok(()),
    }
}

fn check_each_key(table: &TableEntry, batch: &KvBatch, schema: &Schema) -> Result<(), Failure> {
    let row_type = schema.row_type();
    let format = RowFormat::from(table.info().properties.kv_format);
    let key_of = KeyEncoder::primary_key(table.info(), row_type);
    let key_of = key_of.map_err(|error| Failure::new(ErrorCode::INVALID_TABLE, error.to_string()))?;
    let mut key = Vec::new();
    for (index, record) in batch.records().enumerate() {
        let record = record.map_err(|error| unreadable(&error))?;
        let Some(bytes) = record.row else { continue };
        let mut row = format
            .decode(row_type, bytes)
            .map_err(|error| unreadable(&error))?;
        pad(row_type, &mut row);
        key.clear();
        key_of
            .encode(&row, &mut key)
            .map_err(|error| bad_row(index, &error))?;
        if key != record.key {
            return Err(bad_row(index, &ValueError::row("its key is that of another row")));
        }
    }
    Ok(())
}

fn unreadable(error: &DecodeError) -> Failure {
    Failure::new(ErrorCode::CORRUPT_RECORD, error.to_string())
}

fn bad_row(index: usize, error: &ValueError) -> Failure {
    Failure::new(ErrorCode::CORRUPT_RECORD, format!("record {index}: {error}"))
}
