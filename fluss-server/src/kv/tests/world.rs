//! A table with one bucket: a tablet, and the changelog that a log would hold.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::BytesMut;
use fluss_core::arrow::{ArrowRows, arrow_schema};
use fluss_core::id::{BatchSequence, Offset, SchemaId, TableId, WriterId};
use fluss_core::record::kv::{KvBatch, KvBatchBuilder};
use fluss_core::record::log::{Append, ChangeType, LogBatch, LogBatches, decode_arrow, decode_rows};
use fluss_core::record::value::StoredValue;
use fluss_core::row::{KeyEncoder, RowFormat, pad};
use fluss_core::types::{
    Datum, LogFormat, OwnedRow, Row, Schema, TableDescriptor, TableInfo, TablePath, TableProperties,
};
use fluss_store::disk::Disk;
use tempfile::TempDir;

use super::disk;
use crate::Failure;
use crate::kv::draft::Draft;
use crate::kv::error::ReplayError;
use crate::kv::work::Reserve;
use crate::kv::{Error, Table, Tablet, WriteMode, free};

pub(super) const BUCKET: &str = "bucket/state";

/// The writer of all batches.
pub(super) const WRITER: WriterId = WriterId(7);

fn info(schemas: &[Schema], properties: &[(&str, &str)], partition: Option<&str>) -> TableInfo {
    let schema = schemas.last().unwrap().clone();
    let builder = TableDescriptor::builder(schema).partitioned_by(partition);
    let builder = properties
        .iter()
        .fold(builder, |builder, (key, value)| builder.property(*key, *value));
    let descriptor = builder.build().unwrap();
    TableInfo {
        path: TablePath::new("db", "t"),
        id: TableId(1),
        schema_id: SchemaId(schemas.len() as i16),
        properties: TableProperties::parse(descriptor.properties()).unwrap(),
        descriptor,
        bucket_count: 1,
        bucket_count_epoch: 0,
        created_time: 0,
        modified_time: 0,
    }
}

pub(super) fn table(schemas: &[Schema], properties: &[(&str, &str)]) -> Arc<Table> {
    let ids = (1..).map(SchemaId);
    let table = Table::new(
        Arc::new(info(schemas, properties, None)),
        ids.zip(schemas.iter().cloned()),
    );
    Arc::new(table.unwrap())
}

pub(super) fn partitioned(schema: Schema, partition: &str) -> Arc<Table> {
    let info = info(&[schema], &[], Some(partition));
    Arc::new(Table::new(Arc::new(info), []).unwrap())
}

/// A write of one key.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Upsert(OwnedRow),
    /// Deletes the key of this row.
    Delete(OwnedRow),
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) table: Arc<Table>,
    pub(super) tablet: Tablet,
    pub(super) log: Vec<LogBatch>,
    sequence: BatchSequence,
    next_number: i64,
    /// Where the disk is, if it is anywhere.
    pub(super) root: Option<TempDir>,
}

impl World {
    pub(super) fn new(table: &Arc<Table>, real: bool) -> Self {
        let (disk, root) = if real {
            let (disk, root) = disk::real();
            (disk, Some(root))
        } else {
            (disk::placeless(), None)
        };
        Self {
            tablet: Tablet::open(&disk, Path::new(BUCKET), table.clone(), 0..0).unwrap(),
            disk,
            table: table.clone(),
            log: Vec::new(),
            sequence: BatchSequence::FIRST,
            next_number: 1,
            root,
        }
    }

    pub(super) fn end(&self) -> Offset {
        self.log.last().map_or(0, LogBatch::next_offset)
    }

    /// A batch as a client sends it.
    pub(super) fn batch(&mut self, schema: SchemaId, writes: &[Write]) -> KvBatch {
        let shape = self.table.shape(schema).unwrap();
        let mut builder = KvBatchBuilder::new(schema);
        for write in writes {
            let (Write::Upsert(row) | Write::Delete(row)) = write;
            let (mut key, mut bytes) = (Vec::new(), Vec::new());
            shape.key.encode(row, &mut key).unwrap();
            if matches!(write, Write::Upsert(_)) {
                self.table
                    .format
                    .encode(&shape.row_type, row, &mut bytes)
                    .unwrap();
            }
            builder
                .append(&key, Some(&bytes).filter(|bytes| !bytes.is_empty()).map(|v| &**v))
                .unwrap();
        }
        let sealed = builder.finish().unwrap().seal(Some((WRITER, self.sequence)));
        self.sequence = self.sequence.next();
        KvBatch::new(sealed).unwrap()
    }

    /// Writes batches with one commit, and gives the changes that each made.
    pub(super) fn write_all(
        &mut self,
        batches: &[(KvBatch, WriteMode)],
    ) -> Result<Vec<Vec<(ChangeType, OwnedRow)>>, Failure> {
        let mut draft: Draft = self.tablet.draft()?;
        let (mut changes, mut logs) = (Vec::new(), Vec::new());
        for (batch, mode) in batches {
            let mut reserve = || {
                let from = self.next_number;
                self.next_number += 5;
                Ok(from..self.next_number)
            };
            let reserve: Reserve<'_> = &mut reserve;
            let log = self
                .tablet
                .prepare(&mut draft, batch, mode, (reserve, &mut free))?;
            logs.push(log);
        }
        for log in logs {
            let batch = self.append(&log);
            changes.push(self.changes(&batch));
        }
        self.tablet.commit(draft, self.end())?;
        Ok(changes)
    }

    pub(super) fn write(
        &mut self,
        writes: &[Write],
        mode: &WriteMode,
    ) -> Result<Vec<(ChangeType, OwnedRow)>, Failure> {
        let batch = self.batch(self.table.latest(), writes);
        Ok(self.write_all(&[(batch, mode.clone())])?.remove(0))
    }

    fn append(&mut self, sealed: &[u8]) -> LogBatch {
        let append = Append {
            next_offset: self.end(),
            commit_timestamp: 0,
            leader_epoch: None,
        };
        let placed = append.place(BytesMut::from(sealed).freeze()).unwrap();
        let mut batches = LogBatches::new(placed.bytes);
        self.log.push(batches.next().unwrap().unwrap());
        assert!(batches.next().is_none());
        self.log.last().unwrap().clone()
    }

    /// What a batch of the changelog tells.
    pub(super) fn changes(&self, batch: &LogBatch) -> Vec<(ChangeType, OwnedRow)> {
        let row_type = &self.table.shape(batch.schema_id()).unwrap().row_type;
        if batch.record_count() == 0 {
            assert_eq!(batch.len(), 48);
            return Vec::new();
        }
        let format = match self.table.info.properties.log_format {
            LogFormat::Arrow => {
                let columns = decode_arrow(batch, &arrow_schema(row_type)).unwrap();
                let rows = ArrowRows::new(columns, row_type).unwrap();
                let types = batch.change_types().unwrap().unwrap();
                let row = |(index, change): (usize, &ChangeType)| (*change, rows.row(index).to_owned_row());
                return types.iter().enumerate().map(row).collect();
            }
            LogFormat::Indexed => RowFormat::Indexed,
            LogFormat::Compacted => RowFormat::Compacted,
        };
        let records = decode_rows(batch, format, row_type).map(Result::unwrap);
        let padded = records.map(|(change, mut row)| {
            pad(row_type, &mut row);
            (change, row)
        });
        padded.collect()
    }

    /// A stored value as a row.
    pub(super) fn row(&self, value: &[u8]) -> OwnedRow {
        let mut row = Vec::new();
        let value = StoredValue::decode(value).unwrap();
        self.table.read_into(value, &mut row).unwrap();
        row.into_iter().map(Datum::into_owned).collect()
    }

    pub(super) fn key(&self, row: &[Datum<'static>]) -> Vec<u8> {
        let encoder = KeyEncoder::primary_key(&self.table.info, self.table.row_type()).unwrap();
        let mut key = Vec::new();
        encoder.encode(row, &mut key).unwrap();
        key
    }

    /// All rows in the order of their keys.
    pub(super) fn rows(&self) -> Vec<OwnedRow> {
        let values = values(&self.tablet);
        assert_eq!(self.tablet.count().unwrap(), values.len() as u64);
        values.iter().map(|value| self.row(value)).collect()
    }

    /// Closes the tablet, and opens it again with the same log.
    pub(super) fn reopen(self) -> Self {
        let Self {
            disk,
            table,
            tablet,
            log,
            sequence,
            next_number,
            root,
        } = self;
        drop(tablet);
        let end = log.last().map_or(0, LogBatch::next_offset);
        let tablet = Tablet::open(&disk, Path::new(BUCKET), table.clone(), 0..end).unwrap();
        let replayed: Result<(), ReplayError> = tablet.replay(&log);
        replayed.unwrap();
        assert_eq!(tablet.applied().unwrap(), end);
        Self {
            disk,
            table,
            tablet,
            log,
            sequence,
            next_number,
            root,
        }
    }
}

/// The values of all rows, in the order of their keys.
pub(super) fn values(tablet: &Tablet) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut keep = |value: &[u8]| {
        values.push(value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    tablet.visit::<Error>(usize::MAX, &mut keep).unwrap();
    values
}
