//! Replicas: opened, started, waited for and shut down.

mod columns;
mod many;
mod reads;
mod scan;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use fluss_client::StartOffset;
use fluss_client::id::{self, BucketId, Offset, TableId};
use fluss_client::types::Timestamp;
use fluss_replica::{self as replica, Error, ReplicaOptions};
use pyo3::prelude::*;
use tokio::time::{Instant, timeout};

pub(crate) use self::reads::ReplicaReads;
pub(crate) use self::scan::ReplicaScan;
use crate::bucket::TableBucket;
use crate::convert::predicate_from_python;
use crate::error::{self, Fault};
use crate::own::Own;
use crate::path::TablePath;
use crate::pending::{Limit, Pending};
use crate::positions::Positions;
use crate::table::{BucketArgument, ColumnArgument, Table};
use crate::writing::WriteHandle;
use crate::{exit, logging, metrics};

/// How far a bucket is behind: itself, what is applied, its end, and for how long.
type BehindParts = (TableBucket, Offset, Offset, Option<Duration>);

/// How far a copy is behind: since when, for how long, and its buckets.
type LagParts = (Option<i64>, Option<Duration>, Vec<BehindParts>);

/// What a copy is to have come to.
#[derive(FromPyObject)]
enum Until<'py> {
    Written(PyRef<'py, WriteHandle>),
    Positions(PyRef<'py, Positions>),
    Time(i64),
    Ends(Vec<(BucketArgument, Offset)>),
}

fn duration(limit: Option<Limit>) -> PyResult<Option<Duration>> {
    limit.map(Limit::duration).transpose()
}

/// A replica, and what follows into it.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct ReplicaCore(Own<replica::Replica>);

impl ReplicaCore {
    /// The number of the table, as far as it is known.
    fn table_id(&self) -> PyResult<Option<TableId>> {
        let lag = self.0.get()?.lag();
        Ok(lag
            .ok()
            .and_then(|lag| lag.buckets.first().map(|of| of.bucket.table)))
    }

    /// Waits until the changelog is applied up to these offsets.
    fn wait_until_ends(
        &self,
        ends: BTreeMap<id::TableBucket, Offset>,
        limit: Option<Duration>,
    ) -> PyResult<Pending> {
        let table = self.table_id()?;
        let is_other = |bucket: &&id::TableBucket| table.is_some_and(|table| table != bucket.table);
        if let Some(bucket) = ends.keys().find(is_other) {
            return Err(error::argument(format!(
                "the offsets are of the table of number {}, of which this is no replica",
                bucket.table
            )));
        }
        let replica = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            replica.wait_until_offsets(&ends, limit).await
        }))
    }

    /// Waits until a write is in the copy.
    fn wait_until_written(&self, handle: &WriteHandle, limit: Option<Duration>) -> PyResult<Pending> {
        let (replica, written) = (self.0.get()?.clone(), handle.written()?);
        let began = Instant::now();
        let left = move || limit.map(|limit| limit.saturating_sub(began.elapsed()));
        let waiting = async move {
            let written = match left() {
                None => written.await,
                Some(left) => timeout(left, written).await.map_err(|_| Error::TimedOut {
                    table: replica.table().clone(),
                    what: "as new as the write",
                    timeout: limit.unwrap_or_default(),
                })?,
            };
            for handle in written? {
                replica.wait_until_written(&handle, left()).await?;
            }
            Ok::<_, Error>(())
        };
        Ok(Pending::nothing(waiting))
    }
}

/// A bucket of a table whose number is known once there is a copy.
fn numbered(bucket: BucketArgument, table: Option<TableId>) -> PyResult<id::TableBucket> {
    match (bucket, table) {
        (BucketArgument::Bucket(bucket), _) => Ok(bucket.0),
        (BucketArgument::Number(number), Some(table)) => Ok(id::TableBucket::new(table, BucketId(number))),
        (BucketArgument::Number(number), None) => Err(error::argument(format!(
            "which bucket {number} is, is not known before there is a copy: give a TableBucket"
        ))),
    }
}

#[pymethods]
impl ReplicaCore {
    /// Opens a replica of these columns of a table, by name or position, or of all; where a `fluss.predicate.Predicate` is
    /// given, of the rows that hold it.
    #[staticmethod]
    fn open(
        table: &Table,
        directory: PathBuf,
        columns: Option<Vec<ColumnArgument>>,
        predicate: Option<&Bound<'_, PyAny>>,
        max_staleness: Option<Limit>,
        freshness_interval: Option<Limit>,
    ) -> PyResult<Pending> {
        let mut options = ReplicaOptions::default();
        options.columns = table.named(columns)?;
        let table = table.open()?;
        let row_type = table.info().row_type();
        let filter = predicate.map(|predicate| predicate_from_python(predicate, row_type));
        options.filter = filter.transpose()?;
        options.max_staleness = duration(max_staleness)?;
        if let Some(interval) = duration(freshness_interval)? {
            options.freshness_interval = interval;
        }
        let (connection, path) = (table.connection(), table.info().path.clone());
        let opening = async move { replica::Replica::open(&connection, &path, &directory, options).await };
        Ok(Pending::object(opening, |replica| Self(Own::new(replica))))
    }

    /// Opens a copy that another replica follows.
    #[staticmethod]
    fn attach(py: Python<'_>, directory: PathBuf, max_staleness: Option<Limit>) -> PyResult<Self> {
        exit::watch(py)?;
        logging::start();
        metrics::start();
        let most = duration(max_staleness)?;
        let attached = py.detach(move || replica::Replica::attach(&directory, most));
        Ok(Self(Own::new(attached.map_err(Fault::from)?)))
    }

    fn start(&self, limit: Option<Limit>) -> PyResult<Pending> {
        let (replica, limit) = (self.0.get()?.clone(), duration(limit)?);
        Ok(Pending::nothing(async move { replica.start(limit).await }))
    }

    fn shut_down(&self) -> PyResult<Pending> {
        let replica = self.0.get()?.clone();
        Ok(Pending::nothing(async move {
            replica.shut_down().await;
            Ok::<_, Error>(())
        }))
    }

    fn wait_until(&self, what: Until<'_>, limit: Option<Limit>) -> PyResult<Pending> {
        let limit = duration(limit)?;
        match what {
            Until::Written(handle) => self.wait_until_written(&handle, limit),
            Until::Positions(positions) => {
                let ends = positions.0.buckets().filter_map(|(bucket, start)| match start {
                    StartOffset::At(offset) => Some((bucket, offset)),
                    // Nothing was read of it.
                    _ => None,
                });
                self.wait_until_ends(ends.collect(), limit)
            }
            Until::Time(millis) => {
                let (replica, time) = (self.0.get()?.clone(), Timestamp::from_millis(millis));
                Ok(Pending::nothing(async move {
                    replica.wait_until_time(time, limit).await
                }))
            }
            Until::Ends(ends) => {
                let table = self.table_id()?;
                let ends = ends
                    .into_iter()
                    .map(|(bucket, end)| Ok((numbered(bucket, table)?, end)));
                self.wait_until_ends(ends.collect::<PyResult<_>>()?, limit)
            }
        }
    }

    fn wait_until_caught_up(&self, limit: Option<Limit>) -> PyResult<Pending> {
        let (replica, limit) = (self.0.get()?.clone(), duration(limit)?);
        Ok(Pending::nothing(async move {
            replica.wait_until_caught_up(limit).await
        }))
    }

    fn is_caught_up(&self) -> PyResult<bool> {
        Ok(self.0.get()?.is_caught_up())
    }

    fn lag(&self) -> PyResult<LagParts> {
        let lag = self.0.get()?.lag().map_err(Fault::from)?;
        let buckets = lag.buckets.iter();
        let buckets = buckets.map(|of| (TableBucket(of.bucket), of.applied, of.end, of.behind));
        Ok((lag.as_of.map(Timestamp::millis), lag.age, buckets.collect()))
    }

    #[getter]
    fn table(&self) -> PyResult<TablePath> {
        let replica = self.0.anywhere().ok_or_else(error::forked)?;
        Ok(TablePath(replica.table().clone()))
    }

    #[getter]
    fn directory(&self) -> PyResult<PathBuf> {
        let replica = self.0.anywhere().ok_or_else(error::forked)?;
        Ok(replica.directory().to_owned())
    }

    #[getter]
    fn follows(&self) -> PyResult<bool> {
        Ok(self.0.anywhere().ok_or_else(error::forked)?.follows())
    }
}
