//! From fetched batches to columns.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::records::{Run, ScanBatch};
use super::session::Fetched;
use crate::arrow::{ArrowRows, ColumnsBuilder, arrow_schema, user_schema};
use crate::error::DecodeError;
use crate::id::SchemaId;
use crate::record::log::{LogBatch, decode_arrow, decode_rows};
use crate::row::RowFormat;
use crate::types::{LogFormat, RowType, TableInfo};

/// Turns fetched batches into the columns that the consumer asked for.
#[derive(Debug)]
pub(super) struct Decoder {
    format: LogFormat,
    schema_id: SchemaId,
    /// What batches hold: the fetched columns in the order of the schema.
    fetched_type: RowType,
    wire_schema: SchemaRef,
    /// What the consumer sees, and the positions of these columns among the fetched ones.
    shown_type: RowType,
    shown_schema: SchemaRef,
    order: Vec<usize>,
    /// Whether batches can be checked: the server does not compute the checksum of a projected batch anew.
    check_crc: bool,
}

impl Decoder {
    /// `columns` are the positions that the consumer wants, in its order.
    pub(super) fn new(info: &TableInfo, columns: Option<&[usize]>, check_crc: bool) -> Self {
        let all: Vec<usize> = (0..info.row_type().len()).collect();
        let columns = columns.unwrap_or(&all);
        let fetched = fetched_columns(info, columns);
        let order = columns
            .iter()
            .filter_map(|column| fetched.iter().position(|other| other == column))
            .collect();
        let fetched_type = info.row_type().project(&fetched);
        let shown_type = info.row_type().project(columns);
        Self {
            format: info.properties.log_format,
            schema_id: info.schema_id,
            wire_schema: arrow_schema(&fetched_type),
            shown_schema: user_schema(&shown_type),
            check_crc: check_crc && fetched.len() == all.len(),
            fetched_type,
            shown_type,
            order,
        }
    }

    /// The Arrow schema of what the consumer sees.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.shown_schema
    }

    /// The wanted rows of a batch as columns.
    pub(super) fn batch(&self, fetched: &Fetched) -> Result<ScanBatch, DecodeError> {
        let batch = self.columns(&fetched.batch)?;
        let base = fetched.batch.base_offset();
        let skip = usize::try_from(fetched.from.saturating_sub(base))
            .unwrap_or(0)
            .min(batch.num_rows());
        let change_types = fetched
            .batch
            .change_types()?
            .map(|types| types.get(skip..).unwrap_or_default().into());
        Ok(ScanBatch {
            bucket: fetched.bucket,
            base_offset: base + skip as i64,
            timestamp: fetched.batch.commit_timestamp(),
            change_types,
            batch: batch.slice(skip, batch.num_rows() - skip),
        })
    }

    /// The wanted rows of a batch as rows.
    pub(super) fn run(&self, fetched: &Fetched) -> Result<Run, DecodeError> {
        let ScanBatch {
            base_offset,
            timestamp,
            change_types,
            batch,
            ..
        } = self.batch(fetched)?;
        let rows = ArrowRows::new(batch, &self.shown_type)
            .map_err(|error| DecodeError::new("record batch", error.to_string()))?;
        Ok(Run {
            range: 0..rows.len(),
            rows: Arc::new(rows),
            base_offset,
            timestamp,
            change_types,
        })
    }

    fn columns(&self, batch: &LogBatch) -> Result<RecordBatch, DecodeError> {
        if self.check_crc {
            batch.verify_checksum()?;
        }
        if batch.schema_id() != self.schema_id {
            let reason = format!(
                "written under schema {}, the table was opened under {}",
                batch.schema_id(),
                self.schema_id
            );
            return Err(DecodeError::new("log batch", reason));
        }
        let fetched = match self.format {
            LogFormat::Arrow => decode_arrow(batch, &self.wire_schema)?,
            LogFormat::Indexed => self.columns_of_rows(batch, RowFormat::Indexed)?,
            LogFormat::Compacted => self.columns_of_rows(batch, RowFormat::Compacted)?,
        };
        self.show(&fetched)
    }

    fn columns_of_rows(&self, batch: &LogBatch, format: RowFormat) -> Result<RecordBatch, DecodeError> {
        let fault = |error: crate::ValueError| DecodeError::new("log record", error.to_string());
        let mut columns = ColumnsBuilder::new(&self.fetched_type, batch.record_count());
        for record in decode_rows(batch, format, &self.fetched_type) {
            let (_, mut row) = record?;
            crate::row::pad(&self.fetched_type, &mut row);
            columns.append(&row).map_err(fault)?;
        }
        columns.finish().map_err(fault)
    }

    /// The columns in the consumer's order, under the schema that it sees. No bytes are copied.
    fn show(&self, fetched: &RecordBatch) -> Result<RecordBatch, DecodeError> {
        let fault = |error: arrow::error::ArrowError| DecodeError::new("record batch", error.to_string());
        let ordered = fetched.project(&self.order).map_err(fault)?;
        crate::arrow::with_schema(&ordered, &self.shown_schema)
            .map_err(|error| DecodeError::new("record batch", error.to_string()))
    }
}

/// The columns to fetch, ascending. Only columns of Arrow batches can be fetched by themselves.
pub(super) fn fetched_columns(info: &TableInfo, columns: &[usize]) -> Vec<usize> {
    if info.properties.log_format != LogFormat::Arrow {
        return (0..info.row_type().len()).collect();
    }
    let mut fetched = columns.to_vec();
    fetched.sort_unstable();
    fetched.dedup();
    fetched
}
