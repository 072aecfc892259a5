//! Where scanners stand.

use std::collections::HashMap;

use fluss_client::{self as client, StartOffset};
use pyo3::prelude::*;

use crate::bucket::TableBucket;
use crate::error::Fault;
use crate::path::TablePath;

/// Where a scanner stands in each bucket that it reads.
#[pyclass(frozen, eq, module = "fluss.client")]
#[derive(PartialEq, Eq)]
pub(crate) struct Positions(pub(crate) client::Positions);

#[pymethods]
impl Positions {
    #[staticmethod]
    fn from_json(json: &str) -> PyResult<Self> {
        let positions = client::Positions::from_json(json);
        Ok(Self(positions.map_err(|error| {
            Fault::new("ArgumentError", error.to_string())
        })?))
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    #[getter]
    fn table_path(&self) -> TablePath {
        TablePath(self.0.table().clone())
    }

    #[getter]
    fn table_id(&self) -> i64 {
        self.0.table_id().get()
    }

    #[getter]
    fn follows_partitions(&self) -> bool {
        self.0.follows_partitions()
    }

    /// The next offset of each bucket; None for the first record that is still there.
    #[getter]
    fn offsets(&self) -> HashMap<TableBucket, Option<i64>> {
        let next = |start| match start {
            StartOffset::At(offset) => Some(offset),
            _ => None,
        };
        let buckets = self.0.buckets();
        buckets
            .map(|(bucket, start)| (TableBucket(bucket), next(start)))
            .collect()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let from_json = py.get_type::<Self>().getattr("from_json")?;
        Ok((from_json, (self.0.to_json(),)))
    }

    fn __repr__(&self) -> String {
        format!("Positions.from_json('{}')", self.0.to_json())
    }
}
