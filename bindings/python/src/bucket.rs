//! Buckets of tables.

use fluss_client::id;
use pyo3::prelude::*;

/// What a bucket is made of: the numbers of its table, of its partition, and its own.
type BucketParts = (i64, Option<i64>, i32);

/// One bucket of a table, or of one partition of it.
#[pyclass(frozen, eq, ord, hash, from_py_object, module = "fluss.metadata")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TableBucket(pub(crate) id::TableBucket);

#[pymethods]
impl TableBucket {
    #[new]
    #[pyo3(signature = (table_id, bucket, *, partition_id=None))]
    fn new(table_id: i64, bucket: i32, partition_id: Option<i64>) -> Self {
        Self(id::TableBucket {
            table: table_id.into(),
            partition: partition_id.map(Into::into),
            bucket: bucket.into(),
        })
    }

    #[staticmethod]
    fn with_partition(table_id: i64, partition_id: i64, bucket: i32) -> Self {
        Self::new(table_id, bucket, Some(partition_id))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, BucketParts)> {
        let parts = (self.table_id(), self.partition_id(), self.bucket_id());
        Ok((py.get_type::<Self>().getattr("_restore")?, parts))
    }

    #[staticmethod]
    #[pyo3(signature = (table_id, partition_id, bucket))]
    fn _restore(table_id: i64, partition_id: Option<i64>, bucket: i32) -> Self {
        Self::new(table_id, bucket, partition_id)
    }

    #[getter]
    fn table_id(&self) -> i64 {
        self.0.table.get()
    }

    #[getter]
    fn partition_id(&self) -> Option<i64> {
        self.0.partition.map(id::PartitionId::get)
    }

    #[getter]
    fn bucket_id(&self) -> i32 {
        self.0.bucket.get()
    }

    fn __repr__(&self) -> String {
        let partition = self
            .0
            .partition
            .map_or_else(String::new, |partition| format!("partition_id={partition}, "));
        format!(
            "TableBucket(table_id={}, {partition}bucket={})",
            self.0.table, self.0.bucket
        )
    }
}
