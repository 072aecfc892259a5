//! Scanners of logs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use fluss_client::id::{BucketId, PartitionId, TableBucket};
use fluss_client::types::TableInfo;
use fluss_client::{self as client, Lease, ScanBatch, StartOffset};
use fluss_rpc::sync::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::to_schema_pycapsule;

use crate::admin::OffsetSpec;
use crate::arrow::ArrowTable;
use crate::batch::RecordBatch;
use crate::convert::RowShape;
use crate::error::{self, Fault};
use crate::own::Own;
use crate::pending::Pending;
use crate::positions::Positions;
use crate::records::{Iteration, ScanRecord, ScanRecords};

/// Reads the log of a table.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct LogScanner {
    scanner: Mutex<Option<Own<client::LogScanner>>>,
    shape: Arc<RowShape>,
    /// The records that an iteration is at.
    iteration: Mutex<Option<Iteration>>,
}

/// Where reading begins: an offset, or an [`OffsetSpec`].
#[derive(FromPyObject)]
pub(crate) enum StartArgument {
    At(i64),
    Spec(OffsetSpec),
}

impl From<StartArgument> for StartOffset {
    fn from(start: StartArgument) -> Self {
        match start {
            StartArgument::At(offset) => Self::At(offset),
            StartArgument::Spec(spec) => match spec.0 {
                client::OffsetSpec::Earliest => Self::Earliest,
                client::OffsetSpec::Latest => Self::Latest,
                client::OffsetSpec::Timestamp(millis) => Self::Timestamp(millis),
            },
        }
    }
}

impl LogScanner {
    /// `shape` is that of the columns that are read.
    pub(crate) fn new(scanner: client::LogScanner, shape: Arc<RowShape>) -> Self {
        Self {
            scanner: Mutex::new(Some(Own::new(scanner))),
            shape,
            iteration: Mutex::default(),
        }
    }

    fn open(&self) -> PyResult<client::LogScanner> {
        let scanner = self.scanner.lock();
        let scanner = scanner.as_ref().ok_or_else(|| error::closed("scanner"))?;
        scanner.get().cloned()
    }
}

#[pymethods]
impl LogScanner {
    /// Reads a bucket, or all of the table if none is named.
    #[pyo3(signature = (bucket, start))]
    fn subscribe(&self, bucket: Option<i32>, start: StartArgument) -> PyResult<Pending> {
        let scanner = self.open()?;
        Ok(Pending::nothing(async move {
            match bucket {
                Some(bucket) => scanner.subscribe(BucketId(bucket), start.into()).await,
                None => scanner.subscribe_all(start.into()).await,
            }
        }))
    }

    fn unsubscribe(&self, bucket: i32) -> PyResult<Pending> {
        let scanner = self.open()?;
        Ok(Pending::nothing(
            async move { scanner.unsubscribe(BucketId(bucket)) },
        ))
    }

    /// Reads a bucket of a partition, or all of it if none is named.
    #[pyo3(signature = (partition, bucket, start))]
    fn subscribe_partition(
        &self,
        partition: i64,
        bucket: Option<i32>,
        start: StartArgument,
    ) -> PyResult<Pending> {
        let Some(bucket) = bucket else {
            let (scanner, partition) = (self.open()?, PartitionId(partition));
            let subscribed = async move { scanner.subscribe_partition(partition, start.into()).await };
            return Ok(Pending::nothing(subscribed));
        };
        self.subscribe_partition_buckets(HashMap::from([((partition, bucket), start)]))
    }

    /// Reads buckets of partitions.
    fn subscribe_partition_buckets(&self, starts: HashMap<(i64, i32), StartArgument>) -> PyResult<Pending> {
        let scanner = self.open()?;
        let table = scanner.table().id;
        let bucket =
            |(partition, bucket)| TableBucket::in_partition(table, PartitionId(partition), BucketId(bucket));
        let starts = starts.into_iter().map(|(key, start)| (bucket(key), start.into()));
        let starts: Vec<_> = starts.collect();
        Ok(Pending::nothing(async move {
            scanner.subscribe_buckets(&starts).await
        }))
    }

    /// Reads a bucket of a partition no more, or all of it if none is named.
    #[pyo3(signature = (partition, bucket))]
    fn unsubscribe_partition(&self, partition: i64, bucket: Option<i32>) -> PyResult<Pending> {
        let (scanner, partition) = (self.open()?, PartitionId(partition));
        Ok(Pending::nothing(async move {
            match bucket {
                Some(bucket) => {
                    let bucket = TableBucket::in_partition(scanner.table().id, partition, BucketId(bucket));
                    scanner.unsubscribe_bucket(bucket)
                }
                None => scanner.unsubscribe_partition(partition),
            }
        }))
    }

    fn positions(&self) -> PyResult<Pending> {
        let scanner = self.open()?;
        let positions = async move { scanner.positions() };
        Ok(Pending::object(positions, Positions))
    }

    fn subscribe_positions(&self, positions: &Positions) -> PyResult<Pending> {
        let (scanner, positions) = (self.open()?, positions.0.clone());
        Ok(Pending::nothing(async move {
            scanner.subscribe_positions(&positions).await
        }))
    }

    fn poll(&self, timeout_ms: u64) -> PyResult<Pending> {
        let scanner = self.open()?;
        let shape = self.shape.clone();
        let records = async move { scanner.lease_records(Duration::from_millis(timeout_ms)).await };
        Ok(Pending::object(records, |records| {
            ScanRecords::new(records.take(), shape)
        }))
    }

    fn poll_arrow(&self, timeout_ms: u64) -> PyResult<Pending> {
        let scanner = self.open()?;
        let schema = shown_schema(scanner.schema(), scanner.table());
        let batches = poll_columns(scanner, timeout_ms);
        Ok(Pending::object(batches, |batches| {
            let batches = batches.take().into_iter().map(|batch| batch.batch);
            ArrowTable::new(schema, batches.collect())
        }))
    }

    fn poll_record_batch(&self, timeout_ms: u64) -> PyResult<Pending> {
        let batches = poll_columns(self.open()?, timeout_ms);
        Ok(Pending::object(batches, |batches| {
            let batches = batches.take().into_iter();
            batches.map(RecordBatch::new).collect::<Vec<_>>()
        }))
    }

    /// The next batch; None if there is none in time.
    fn next_batch(&self, timeout_ms: u64) -> PyResult<Pending> {
        let scanner = self.open()?;
        let leased = async move {
            let leased = scanner.lease_batch(Duration::from_millis(timeout_ms)).await?;
            leased.try_map(|mut batch| {
                if let Some(batch) = &mut batch {
                    show_changes(batch, scanner.table())?;
                }
                Ok::<_, Fault>(batch)
            })
        };
        Ok(Pending::object(leased, |batch| {
            batch.take().map(RecordBatch::new)
        }))
    }

    /// The columns of its batches, as any Arrow library takes them.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        Ok(to_schema_pycapsule(py, self.open()?.schema().as_ref())?)
    }

    /// The next record, which is passed by that. Nothing if [`fetch`](Self::fetch) has to be waited for first.
    fn next_record(&self) -> PyResult<Option<ScanRecord>> {
        let mut iteration = self.iteration.lock();
        if let Some(record) = iteration.as_ref().and_then(Iteration::next) {
            return Ok(Some(record));
        }
        let ahead = self.open()?.ahead().map_err(Fault::from)?;
        *iteration = ahead.map(|ahead| Iteration::new(ahead, self.shape.clone()));
        Ok(iteration.as_ref().and_then(Iteration::next))
    }

    /// Waits until there is a next record, or so long.
    fn fetch(&self, timeout_ms: u64) -> PyResult<Pending> {
        let scanner = self.open()?;
        Ok(Pending::nothing(async move {
            scanner.fetch_ahead(Duration::from_millis(timeout_ms)).await
        }))
    }

    fn close(&self) {
        let mut slot = self.scanner.lock();
        let scanner = slot.take();
        drop(slot);
        if let Some(scanner) = scanner.as_ref().and_then(Own::here) {
            scanner.close();
        }
    }
}

/// The next batches; those of a primary-key table with the columns that tell changes apart.
async fn poll_columns(scanner: client::LogScanner, timeout_ms: u64) -> Result<Lease<Vec<ScanBatch>>, Fault> {
    let leased = scanner.lease_batches(Duration::from_millis(timeout_ms)).await?;
    leased.try_map(|mut batches| {
        for batch in &mut batches {
            show_changes(batch, scanner.table())?;
        }
        Ok(batches)
    })
}

/// Adds the columns that tell changes apart, where there are any.
pub(crate) fn show_changes(batch: &mut ScanBatch, table: &TableInfo) -> Result<(), Fault> {
    if table.has_primary_key() {
        let changes = batch.changelog();
        batch.batch = changes.map_err(|error| Fault::new("ProtocolError", error.to_string()))?;
    }
    Ok(())
}

/// The schema of the batches that are returned.
pub(crate) fn shown_schema(schema: &SchemaRef, table: &TableInfo) -> SchemaRef {
    if table.has_primary_key() {
        client::changelog_schema(schema)
    } else {
        schema.clone()
    }
}
