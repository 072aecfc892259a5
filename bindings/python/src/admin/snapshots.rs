//! Snapshots, leases and producers' offsets, to and from the classes of `fluss.metadata`.

use std::collections::{BTreeMap, HashMap};

use fluss_client as client;
use fluss_client::id::{BucketId, PartitionId, SnapshotId};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::classes::{list, metadata};
use crate::bucket::TableBucket;
use crate::own::Own;
use crate::pending::Pending;

/// A lease on snapshots.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct KvSnapshotLease(pub(super) Own<client::KvSnapshotLease>);

#[pymethods]
impl KvSnapshotLease {
    #[getter]
    fn lease_id(&self) -> PyResult<&str> {
        Ok(self.0.get()?.id())
    }

    #[getter]
    fn lease_duration_ms(&self) -> PyResult<u128> {
        Ok(self.0.get()?.duration().as_millis())
    }

    fn acquire_snapshots(&self, snapshots: HashMap<TableBucket, i64>) -> PyResult<Pending> {
        let lease = self.0.get()?.clone();
        let wanted = snapshots.into_iter();
        let wanted: BTreeMap<_, _> = wanted
            .map(|(bucket, snapshot)| (bucket.0, SnapshotId(snapshot)))
            .collect();
        let acquired = async move { lease.acquire(&wanted).await };
        Ok(Pending::new(acquired, |py, unavailable| {
            let found = PyDict::new(py);
            for (bucket, snapshot) in unavailable {
                found.set_item(TableBucket(bucket), snapshot.get())?;
            }
            Ok(found.into_any())
        }))
    }

    fn renew(&self) -> PyResult<Pending> {
        let lease = self.0.get()?.clone();
        Ok(Pending::nothing(async move { lease.renew().await }))
    }

    fn release_snapshots(&self, buckets: Vec<TableBucket>) -> PyResult<Pending> {
        let lease = self.0.get()?.clone();
        let buckets: Vec<_> = buckets.into_iter().map(|bucket| bucket.0).collect();
        Ok(Pending::nothing(async move { lease.release(&buckets).await }))
    }

    fn drop_lease(&self) -> PyResult<Pending> {
        let lease = self.0.get()?.clone();
        Ok(Pending::nothing(async move { lease.drop_lease().await }))
    }
}

pub(super) fn latest(py: Python<'_>, found: client::KvSnapshots) -> PyResult<Bound<'_, PyAny>> {
    let snapshots = PyDict::new(py);
    for (bucket, latest) in found.buckets {
        let latest = latest.map(|latest| snapshot(py, latest)).transpose()?;
        snapshots.set_item(bucket.get(), latest)?;
    }
    let partition = found.partition.map(PartitionId::get);
    metadata(py, "KvSnapshots")?.call1((found.table.get(), partition, snapshots))
}

fn snapshot(py: Python<'_>, snapshot: client::KvSnapshot) -> PyResult<Bound<'_, PyAny>> {
    metadata(py, "KvSnapshot")?.call1((snapshot.id.get(), snapshot.log_offset))
}

pub(super) fn all(py: Python<'_>, found: Vec<(BucketId, SnapshotId)>) -> PyResult<Bound<'_, PyAny>> {
    let pair = |(bucket, snapshot): (BucketId, SnapshotId)| {
        Ok((bucket.get(), snapshot.get()).into_pyobject(py)?.into_any())
    };
    list(py, found.into_iter().map(pair))
}

pub(super) fn metadata_of(py: Python<'_>, found: client::KvSnapshotMetadata) -> PyResult<Bound<'_, PyAny>> {
    let class = metadata(py, "FsPathAndFileName")?;
    let file = |file: client::SnapshotFile| class.call1((file.remote_path, file.local_name));
    let files = list(py, found.files.into_iter().map(file))?;
    metadata(py, "KvSnapshotMetadata")?.call1((files, found.log_offset))
}

pub(super) fn manifests(py: Python<'_>, found: Vec<client::RemoteLogManifest>) -> PyResult<Bound<'_, PyAny>> {
    let class = metadata(py, "RemoteLogManifest")?;
    let manifest = |found: client::RemoteLogManifest| {
        class.call1((TableBucket(found.bucket), found.path, found.end_offset))
    };
    list(py, found.into_iter().map(manifest))
}

pub(super) fn of_lake(py: Python<'_>, found: client::LakeSnapshot) -> PyResult<Bound<'_, PyAny>> {
    let offsets = PyDict::new(py);
    for (bucket, offset) in found.log_offsets {
        offsets.set_item(TableBucket(bucket), offset)?;
    }
    metadata(py, "LakeSnapshot")?.call1((found.id.get(), offsets))
}

pub(super) fn registration(py: Python<'_>, result: client::Registration) -> PyResult<Bound<'_, PyAny>> {
    let name = match result {
        client::Registration::Created => "CREATED",
        client::Registration::AlreadyExists => "ALREADY_EXISTS",
    };
    metadata(py, "RegisterResult")?.getattr(name)
}

pub(super) fn producer_offsets<'py>(
    py: Python<'py>,
    producer: &str,
    found: Option<client::ProducerOffsets>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(found) = found else {
        return Ok(py.None().into_bound(py));
    };
    let mut tables: BTreeMap<i64, Bound<'_, PyDict>> = BTreeMap::new();
    for (bucket, offset) in found.offsets {
        let table = tables
            .entry(bucket.table.get())
            .or_insert_with(|| PyDict::new(py));
        table.set_item(TableBucket(bucket), offset)?;
    }
    metadata(py, "ProducerOffsetsResult")?.call1((producer, tables, found.expires_at))
}
