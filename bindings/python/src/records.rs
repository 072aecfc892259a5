//! Records that a poll returned.

use std::sync::Arc;

use fluss_client as client;
use fluss_client::id;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList};

use crate::convert::RowShape;
use crate::error;
use crate::path::TableBucket;

/// What one poll returned, by bucket.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ScanRecords(Arc<Polled>);

struct Polled {
    records: client::ScanRecords,
    shape: Arc<RowShape>,
}

impl ScanRecords {
    pub(crate) fn new(records: client::ScanRecords, shape: Arc<RowShape>) -> Self {
        Self(Arc::new(Polled { records, shape }))
    }

    /// All records, bucket by bucket.
    fn all<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for (position, records) in self.0.records.buckets().iter().enumerate() {
            self.append_to(&list, position, records)?;
        }
        Ok(list)
    }

    fn append_to(
        &self,
        list: &Bound<'_, PyList>,
        position: usize,
        bucket: &client::BucketRecords,
    ) -> PyResult<()> {
        for index in 0..bucket.len() {
            let record = ScanRecord {
                polled: self.0.clone(),
                bucket: position,
                index,
            };
            list.append(Bound::new(list.py(), record)?)?;
        }
        Ok(())
    }
}

#[pymethods]
impl ScanRecords {
    fn buckets(&self) -> Vec<TableBucket> {
        self.0
            .records
            .buckets()
            .iter()
            .map(|records| TableBucket(records.bucket()))
            .collect()
    }

    fn records<'py>(&self, py: Python<'py>, bucket: TableBucket) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let mut buckets = self.0.records.buckets().iter().enumerate();
        if let Some((position, records)) = buckets.find(|(_, records)| records.bucket() == bucket.0) {
            self.append_to(&list, position, records)?;
        }
        Ok(list)
    }

    fn keys(&self) -> Vec<TableBucket> {
        self.buckets()
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let values = PyList::empty(py);
        for bucket in self.buckets() {
            values.append(self.records(py, bucket)?)?;
        }
        values.try_iter()
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let items = PyList::empty(py);
        for bucket in self.buckets() {
            items.append((bucket, self.records(py, bucket)?))?;
        }
        items.try_iter()
    }

    fn count(&self) -> usize {
        self.0.records.len()
    }

    fn is_empty(&self) -> bool {
        self.0.records.is_empty()
    }

    fn __len__(&self) -> usize {
        self.0.records.len()
    }

    fn __contains__(&self, bucket: TableBucket) -> bool {
        self.buckets().contains(&bucket)
    }

    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match key.extract::<TableBucket>() {
            Ok(bucket) => Ok(self.records(py, bucket)?.into_any()),
            Err(_) => self.all(py)?.into_any().get_item(key),
        }
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.all(py)?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!(
            "ScanRecords(count={}, buckets={})",
            self.0.records.len(),
            self.0.records.buckets().len()
        )
    }
}

/// A row, and where and when it was stored.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ScanRecord {
    polled: Arc<Polled>,
    bucket: usize,
    index: usize,
}

impl ScanRecord {
    fn find(&self) -> PyResult<(id::TableBucket, client::ScanRecord<'_>)> {
        let records = self.polled.records.buckets().get(self.bucket);
        records
            .and_then(|records| Some((records.bucket(), records.get(self.index)?)))
            .ok_or_else(|| error::defect("a record is not where it was"))
    }
}

#[pymethods]
impl ScanRecord {
    #[getter]
    fn bucket(&self) -> PyResult<TableBucket> {
        Ok(TableBucket(self.find()?.0))
    }

    #[getter]
    fn offset(&self) -> PyResult<i64> {
        Ok(self.find()?.1.offset)
    }

    #[getter]
    fn timestamp(&self) -> PyResult<i64> {
        Ok(self.find()?.1.timestamp)
    }

    #[getter]
    fn change_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let number = self.find()?.1.change_type as u8;
        py.import(intern!(py, "fluss.metadata"))?
            .getattr(intern!(py, "ChangeType"))?
            .call1((number,))
    }

    /// The values by column.
    #[pyo3(signature = (*, exact=false))]
    fn get_row<'py>(&self, py: Python<'py>, exact: bool) -> PyResult<Bound<'py, PyDict>> {
        self.polled.shape.dict(py, &self.find()?.1.row, exact)
    }

    #[getter(row)]
    fn plain_row<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.get_row(py, false)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (bucket, record) = self.find()?;
        let row = self.get_row(py, true)?;
        Ok(format!(
            "ScanRecord(bucket={}, offset={}, row={})",
            bucket.bucket,
            record.offset,
            row.repr()?
        ))
    }
}
