//! A batch on its way from its first row to its acknowledgement.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use tokio::time::Instant;

use super::handle::Delivery;
use super::sequences::Stamp;
use crate::arrow::{ArrowRows, ColumnsBuilder};
use crate::error::ValueError;
use crate::id::SchemaId;
use crate::record::log::{ChangeType, RowsBuilder, UnsealedBatch, encode_arrow};
use crate::row::RowFormat;
use crate::types::{Compression, LogFormat, Row, RowType, TableInfo};

/// How the rows of a table become the payload of its batches.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    row_type: Arc<RowType>,
    format: LogFormat,
    compression: Compression,
    schema_id: SchemaId,
}

impl Layout {
    pub(crate) fn of(info: &TableInfo) -> Self {
        Self {
            row_type: Arc::new(info.row_type().clone()),
            format: info.properties.log_format,
            compression: info.properties.compression,
            schema_id: info.schema_id,
        }
    }

    pub(crate) fn row_type(&self) -> &RowType {
        &self.row_type
    }

    fn open(&self) -> Rows {
        match self.row_format() {
            None => Rows::Columns(ColumnsBuilder::new(&self.row_type, 0)),
            Some(format) => Rows::Records(RowsBuilder::new(format, self.schema_id, true)),
        }
    }

    /// The format of a table of rows; nothing for a table of columns.
    const fn row_format(&self) -> Option<RowFormat> {
        match self.format {
            LogFormat::Arrow => None,
            LogFormat::Indexed => Some(RowFormat::Indexed),
            LogFormat::Compacted => Some(RowFormat::Compacted),
        }
    }

    /// The bytes of a batch but for its stamp: the work worth a thread of its own.
    pub(crate) fn encode(&self, rows: Rows) -> Result<UnsealedBatch, ValueError> {
        match rows {
            Rows::Columns(columns) => self.encode_columns(&columns.finish()?),
            Rows::Records(records) => records.finish(),
            Rows::Arrow(batch) => match self.row_format() {
                None => self.encode_columns(&batch),
                Some(format) => self.encode_as_rows(batch, format),
            },
        }
    }

    fn encode_columns(&self, batch: &RecordBatch) -> Result<UnsealedBatch, ValueError> {
        encode_arrow(batch, None, self.compression, self.schema_id)
    }

    fn encode_as_rows(&self, batch: RecordBatch, format: RowFormat) -> Result<UnsealedBatch, ValueError> {
        let mut records = RowsBuilder::new(format, self.schema_id, true);
        let rows = ArrowRows::new(batch, &self.row_type)?;
        for index in 0..rows.len() {
            records.append(&self.row_type, ChangeType::AppendOnly, &rows.row(index))?;
        }
        records.finish()
    }
}

/// Rows that are not encoded yet.
#[derive(Debug)]
pub(crate) enum Rows {
    Columns(ColumnsBuilder),
    Records(RowsBuilder),
    Arrow(RecordBatch),
}

/// Rows that more rows may join.
#[derive(Debug)]
pub(crate) struct OpenBatch {
    pub(crate) rows: Rows,
    pub(crate) count: u32,
    pub(crate) bytes: usize,
    pub(crate) opened: Instant,
    pub(crate) delivery: Arc<Delivery>,
}

impl OpenBatch {
    pub(crate) fn new(layout: &Layout, now: Instant) -> Self {
        Self {
            rows: layout.open(),
            count: 0,
            bytes: 0,
            opened: now,
            delivery: Arc::default(),
        }
    }

    /// Adds a row, or leaves the batch as it was. Returns by how much the batch has grown.
    pub(crate) fn append(&mut self, layout: &Layout, row: &(impl Row + ?Sized)) -> Result<usize, ValueError> {
        let bytes = match &mut self.rows {
            Rows::Columns(columns) => {
                columns.append(row)?;
                columns.estimated_bytes()
            }
            Rows::Records(records) => {
                crate::row::check(&layout.row_type, row)?;
                records.append(&layout.row_type, ChangeType::AppendOnly, row)?;
                records.estimated_bytes()
            }
            Rows::Arrow(batch) => batch.get_array_memory_size(),
        };
        self.count += 1;
        let growth = bytes.saturating_sub(self.bytes);
        self.bytes = self.bytes.max(bytes);
        Ok(growth)
    }
}

/// Rows that no more rows join.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The order of the batches of a writer.
    pub(crate) id: u64,
    pub(crate) stage: Stage,
    /// What the batch holds of the writer's memory.
    pub(crate) bytes: usize,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) created: Instant,
    /// How often the batch was sent.
    pub(crate) attempts: u32,
    /// Under which number the batch was sent last.
    pub(crate) stamp: Option<Stamp>,
    pub(crate) last_error: Option<crate::client::Error>,
}

/// What a batch waits for.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Somebody to encode it.
    Raw(Rows),
    /// Its encoding, which is under way.
    Encoding,
    /// Its turn to be sent, or its answer.
    Encoded(UnsealedBatch),
}

impl Batch {
    /// The bytes to send under the batch's stamp, with its number and age.
    pub(crate) fn sealed(&mut self) -> Option<(u64, Instant, Bytes)> {
        match &mut self.stage {
            Stage::Encoded(batch) => {
                let stamp = self.stamp.map(|stamp| (stamp.writer, stamp.sequence));
                Some((self.id, self.created, batch.seal(stamp)))
            }
            _ => None,
        }
    }
}
