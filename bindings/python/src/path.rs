//! Names and buckets of tables.

use fluss_client::id;
use fluss_client::types;
use pyo3::prelude::*;

use crate::error::Fault;

/// A table's database and name.
#[pyclass(frozen, eq, ord, hash, module = "fluss.metadata")]
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TablePath(pub(crate) types::TablePath);

/// A table as an argument: a [`TablePath`] or `database.table`.
pub(crate) struct PathArgument(pub(crate) types::TablePath);

impl<'py> FromPyObject<'_, 'py> for PathArgument {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        if let Ok(path) = object.cast::<TablePath>() {
            return Ok(Self(path.get().0.clone()));
        }
        let text: String = object.extract()?;
        text.parse()
            .map(Self)
            .map_err(|error: types::InvalidDefinition| Fault::from(error).into())
    }
}

#[pymethods]
impl TablePath {
    #[new]
    fn new(database_name: String, table_name: String) -> Self {
        Self(types::TablePath::new(database_name, table_name))
    }

    #[staticmethod]
    fn of(path: PathArgument) -> Self {
        Self(path.0)
    }

    #[getter]
    fn database_name(&self) -> &str {
        self.0.database()
    }

    #[getter]
    fn table_name(&self) -> &str {
        self.0.table()
    }

    fn table_path_str(&self) -> String {
        self.0.to_string()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("TablePath('{}', '{}')", self.0.database(), self.0.table())
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> (Bound<'py, PyAny>, (&str, &str)) {
        (
            py.get_type::<Self>().into_any(),
            (self.0.database(), self.0.table()),
        )
    }
}

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
