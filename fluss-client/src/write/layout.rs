//! How rows become the payload of batches.

use std::sync::Arc;

use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;

use fluss_core::ValueError;
use fluss_core::arrow::{ArrowRows, ColumnsBuilder};
use fluss_core::id::SchemaId;
use fluss_core::record::UnsealedBatch;
use fluss_core::record::kv::KvBatchBuilder;
use fluss_core::record::log::{
    ChangeType, RowsBuilder, StatisticsColumns, encode_arrow, encode_arrow_with_statistics,
};
use fluss_core::row::{KeyEncoder, RowFormat};
use fluss_core::types::{Compression, InvalidDefinition, LogFormat, Row, RowType, TableInfo};

use crate::shape::Shape;

/// What is done with a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Append,
    Upsert,
    Delete,
}

impl Change {
    /// The operation, as errors call it.
    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// How the rows of a table become the payload of its batches.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    row_type: Arc<RowType>,
    schema_id: SchemaId,
    payload: Payload,
}

#[derive(Clone, Debug)]
enum Payload {
    /// With the columns of which batches tell, if there are any.
    Columns(Compression, Option<Arc<StatisticsColumns>>),
    Records(RowFormat),
    /// Rows by key.
    Keyed(RowFormat, KeyEncoder),
}

impl Layout {
    /// That of a log table.
    pub(super) fn log(info: &TableInfo) -> Self {
        let payload = match info.properties.log_format {
            LogFormat::Arrow => Payload::Columns(info.properties.compression, statistics(info)),
            LogFormat::Indexed => Payload::Records(RowFormat::Indexed),
            LogFormat::Compacted => Payload::Records(RowFormat::Compacted),
        };
        Self::new(info, payload)
    }

    /// That of a primary-key table.
    pub(super) fn keyed(info: &TableInfo) -> Result<Self, InvalidDefinition> {
        let key = KeyEncoder::primary_key(info, info.row_type())?;
        Ok(Self::new(
            info,
            Payload::Keyed(info.properties.kv_format.into(), key),
        ))
    }

    fn new(info: &TableInfo, payload: Payload) -> Self {
        Self {
            row_type: Arc::new(info.row_type().clone()),
            schema_id: info.schema_id,
            payload,
        }
    }

    /// The type of the table's rows.
    pub(super) fn row_type(&self) -> &RowType {
        &self.row_type
    }

    /// How rows are laid out, and how they are found by their keys, where they do not go as columns.
    pub(super) const fn rows(&self) -> Option<(RowFormat, Option<&KeyEncoder>)> {
        match &self.payload {
            Payload::Columns(..) => None,
            Payload::Records(format) => Some((*format, None)),
            Payload::Keyed(format, key) => Some((*format, Some(key))),
        }
    }

    /// Whether rows go as Arrow columns. Others are only checked while they are encoded.
    pub(super) const fn is_columns(&self) -> bool {
        matches!(self.payload, Payload::Columns(..))
    }

    /// Rows that more rows may join.
    pub(super) fn open(&self) -> Rows {
        match &self.payload {
            Payload::Columns(..) => Rows::Columns(ColumnsBuilder::new(&self.row_type, 0)),
            Payload::Records(format) => Rows::Records(RowsBuilder::new(*format, self.schema_id, true)),
            Payload::Keyed(..) => Rows::Keyed(KvBatchBuilder::new(self.schema_id)),
        }
    }

    /// The bytes of a batch but for its stamp: the work worth a thread of its own.
    pub(super) fn encode(&self, rows: Rows) -> Result<UnsealedBatch, ValueError> {
        match rows {
            Rows::Columns(columns) => self.encode_columns(&columns.finish()?),
            Rows::Records(records) => records.finish(),
            Rows::Keyed(records) => records.finish(),
            Rows::Batch(batch) => self.encode_columns(&batch),
            Rows::Picked(picked) => self.encode_picked(&picked),
        }
    }

    fn encode_columns(&self, batch: &RecordBatch) -> Result<UnsealedBatch, ValueError> {
        match &self.payload {
            Payload::Columns(compression, Some(columns)) => {
                encode_arrow_with_statistics(batch, None, *compression, self.schema_id, columns)
            }
            Payload::Columns(compression, None) => encode_arrow(batch, None, *compression, self.schema_id),
            _ => encode_arrow(batch, None, Compression::None, self.schema_id),
        }
    }

    /// The bytes of rows of several changes as one batch.
    pub(super) fn encode_together(&self, parts: Vec<Rows>) -> Result<UnsealedBatch, ValueError> {
        let (mut out, mut key, mut columns) = (self.open(), Vec::new(), Vec::new());
        for rows in parts {
            match rows {
                Rows::Picked(picked) => self.push_picked(&mut out, &picked, &mut key)?,
                Rows::Batch(batch) => columns.push(batch),
                Rows::Columns(_) | Rows::Records(_) | Rows::Keyed(_) => {
                    return Err(ValueError::row("rows that others may join are no part"));
                }
            }
        }
        match columns.first().map(RecordBatch::schema) {
            Some(schema) => {
                let columns = concat_batches(&schema, &columns);
                self.encode_columns(&columns.map_err(|error| ValueError::row(error.to_string()))?)
            }
            None => self.encode(out),
        }
    }

    fn encode_picked(&self, picked: &Picked) -> Result<UnsealedBatch, ValueError> {
        let mut out = self.open();
        self.push_picked(&mut out, picked, &mut Vec::new())?;
        self.encode(out)
    }

    fn push_picked(&self, out: &mut Rows, picked: &Picked, key: &mut Vec<u8>) -> Result<(), ValueError> {
        for index in &picked.indexes {
            let row = picked.rows.row(*index as usize);
            out.push(self, picked.change, &picked.shape.spread(&row), key)
                .map_err(|error| error.at_row(*index as usize))?;
        }
        Ok(())
    }
}

/// The columns of which the batches of a table tell (`v1_0.md` §7.1). A property that cannot be read tells of none.
fn statistics(info: &TableInfo) -> Option<Arc<StatisticsColumns>> {
    let columns = info.descriptor.properties().get("table.statistics.columns")?;
    let columns = StatisticsColumns::parse(columns, info.row_type()).ok();
    columns.filter(|columns| !columns.is_empty()).map(Arc::new)
}

/// Rows that are not encoded yet.
#[derive(Debug)]
pub(super) enum Rows {
    Columns(ColumnsBuilder),
    Records(RowsBuilder),
    Keyed(KvBatchBuilder),
    /// Rows that go as columns.
    Batch(RecordBatch),
    /// Rows that do not.
    Picked(Picked),
}

/// Some of the rows of an Arrow batch.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) rows: Arc<ArrowRows>,
    pub(super) shape: Arc<Shape>,
    pub(super) change: Change,
    pub(super) indexes: Vec<u32>,
}

impl Rows {
    /// Adds a row of the table's type, which is checked; or leaves the rows as they were. `key` is room for a key.
    pub(super) fn push(
        &mut self,
        layout: &Layout,
        change: Change,
        row: &(impl Row + ?Sized),
        key: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        match (self, &layout.payload) {
            (Self::Columns(columns), _) => {
                columns.append_checked(row);
                Ok(())
            }
            (Self::Records(records), _) => records.append(&layout.row_type, ChangeType::AppendOnly, row),
            (Self::Keyed(records), Payload::Keyed(format, encoder)) => {
                key.clear();
                encoder.encode(row, key)?;
                records.append_with(key, |out| match change {
                    Change::Delete => Ok(()),
                    Change::Append | Change::Upsert => format.encode(&layout.row_type, row, out),
                })
            }
            _ => Err(ValueError::row("no row joins a batch that is complete")),
        }
    }

    /// How many rows there are, where more cannot join.
    pub(super) fn count(&self) -> u32 {
        match self {
            Self::Batch(batch) => batch.num_rows() as u32,
            Self::Picked(picked) => picked.indexes.len() as u32,
            Self::Columns(_) | Self::Records(_) | Self::Keyed(_) => 0,
        }
    }

    /// About what the rows take, in bytes.
    pub(super) fn estimated_bytes(&self) -> usize {
        match self {
            Self::Columns(columns) => columns.estimated_bytes(),
            Self::Records(records) => records.estimated_bytes(),
            Self::Keyed(records) => records.estimated_bytes(),
            Self::Batch(_) | Self::Picked(_) => 0,
        }
    }
}
