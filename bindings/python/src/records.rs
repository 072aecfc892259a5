//! Records that a poll returned.

use std::fmt::Display;
use std::sync::Arc;

use fluss_client as client;
use fluss_client::ChangeType;
use fluss_client::id;
use fluss_client::types;
use fluss_core::arrow::user_schema;
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList};

use crate::arrow::{ArrowTable, pandas};
use crate::bucket::TableBucket;
use crate::convert::{Maps, RowShape};
use crate::error::{self, Fault};
use crate::pickle;
use crate::schema::hash_of;

/// What one poll returned, by bucket.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ScanRecords(Arc<Polled>);

struct Polled {
    records: client::ScanRecords,
    shape: Arc<RowShape>,
}

/// Records that are passed one by one.
pub(crate) struct Iteration {
    ahead: client::Ahead,
    polled: Arc<Polled>,
}

impl Iteration {
    pub(crate) fn new(ahead: client::Ahead, shape: Arc<RowShape>) -> Self {
        let records = ahead.records().clone();
        Self {
            polled: Arc::new(Polled { records, shape }),
            ahead,
        }
    }

    /// Passes the next record; nothing if there is none, or something else is next.
    pub(crate) fn next(&self) -> Option<ScanRecord> {
        let index = self.ahead.pass()?;
        Some(ScanRecord::new(self.polled.clone(), 0, index))
    }
}

impl ScanRecords {
    pub(crate) fn new(records: client::ScanRecords, shape: Arc<RowShape>) -> Self {
        Self(Arc::new(Polled { records, shape }))
    }

    /// The records of a batch, which may have columns that tell changes apart behind those of `shape`.
    pub(crate) fn of_batch(batch: &client::ScanBatch, shape: Arc<RowShape>) -> Result<Self, Fault> {
        let unreadable = |error: &dyn Display| Fault::new("ProtocolError", error.to_string());
        let values: Vec<_> = (0..shape.row_type().len()).collect();
        let mut batch = batch.clone();
        batch.batch = batch.batch.project(&values).map_err(|error| unreadable(&error))?;
        let records = client::ScanRecords::of_batch(batch, shape.row_type());
        Ok(Self::new(records.map_err(|error| unreadable(&error))?, shape))
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
            let record = ScanRecord::new(self.0.clone(), position, index);
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

    /// The records as columns, with those that tell changes apart.
    fn to_arrow(&self) -> Result<ArrowTable, Fault> {
        let schema = client::changelog_schema(&user_schema(self.0.shape.row_type()));
        let batches = self
            .0
            .records
            .buckets()
            .iter()
            .flat_map(client::BucketRecords::batches);
        let columns = batches.map(|batch| batch.changelog());
        Ok(ArrowTable::new(schema, columns.collect::<Result<_, _>>()?))
    }

    #[pyo3(signature = (*, dtype_backend=None, types_mapper=None))]
    fn to_pandas<'py>(
        &self,
        py: Python<'py>,
        dtype_backend: Option<Bound<'py, PyAny>>,
        types_mapper: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let columns = self.to_arrow()?.into_bound_py_any(py)?;
        pandas("table", columns, dtype_backend, types_mapper)
    }

    fn to_polars<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        ArrowTable::to_polars(Bound::new(py, self.to_arrow()?)?)
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

/// What a record is made of: its bucket; offset, time and change; the type and the look of its row; an Arrow IPC stream.
type Parts<'py> = (
    TableBucket,
    (i64, i64, Option<u8>),
    String,
    bool,
    Bound<'py, PyBytes>,
);

/// A row, and where and when it was stored.
#[pyclass(frozen, module = "fluss.client")]
pub(crate) struct ScanRecord {
    polled: Arc<Polled>,
    bucket: usize,
    index: usize,
    /// The row, once it was asked for.
    row: PyOnceLock<Py<PyDict>>,
}

impl ScanRecord {
    const fn new(polled: Arc<Polled>, bucket: usize, index: usize) -> Self {
        Self {
            polled,
            bucket,
            index,
            row: PyOnceLock::new(),
        }
    }

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
        Ok(self.find()?.1.timestamp.millis())
    }

    #[getter]
    fn change_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let number = self.find()?.1.change_type as u8;
        change_types(py)?
            .bind(py)
            .get_item(number)?
            .ok_or_else(|| error::defect("a kind of change has no name"))
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        let ((bucket, this), (other_bucket, that)) = (self.find()?, other.find()?);
        let place = |bucket, record: &client::ScanRecord<'_>| {
            (
                bucket,
                record.offset,
                record.timestamp.millis(),
                record.change_type,
            )
        };
        if place(bucket, &this) != place(other_bucket, &that) {
            return Ok(false);
        }
        self.get_row(py, true)?.eq(other.get_row(py, true)?)
    }

    fn __hash__(&self) -> PyResult<u64> {
        let (bucket, record) = self.find()?;
        Ok(hash_of(&(bucket, record.offset)))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Parts<'py>)> {
        let records = self.polled.records.buckets().get(self.bucket);
        let batch = records.and_then(|records| records.batch(self.index));
        let batch = batch.ok_or_else(|| error::defect("a record is not where it was"))?;
        let bytes = pickle::to_bytes(batch.batch.schema_ref(), std::slice::from_ref(&batch.batch))?;
        let change = batch
            .change_types
            .as_ref()
            .and_then(|types| types.first().copied());
        let parts = (
            TableBucket(batch.bucket),
            (
                batch.offset(0),
                batch.timestamp.millis(),
                change.map(ChangeType::code),
            ),
            types::DataType::row(self.polled.shape.row_type().clone()).to_string(),
            self.polled.shape.has_pairs(),
            PyBytes::new(py, &bytes),
        );
        Ok((py.get_type::<Self>().getattr("_restore")?, parts))
    }

    #[staticmethod]
    fn _restore(
        py: Python<'_>,
        bucket: TableBucket,
        place: (i64, i64, Option<u8>),
        row_type: &str,
        map_pairs: bool,
        bytes: &[u8],
    ) -> Result<Self, Fault> {
        let (offset, timestamp, change) = place;
        let invalid = || Fault::new("DataError", "this is no record");
        let row_type: types::DataType = row_type.parse()?;
        let types::Kind::Row(row_type) = row_type.kind() else {
            return Err(invalid());
        };
        let change = change
            .map(ChangeType::from_code)
            .transpose()
            .map_err(|_| invalid())?;
        let (_, batches) = pickle::from_bytes(bytes)?;
        let batch = client::ScanBatch {
            bucket: bucket.0,
            base_offset: offset,
            kept: None,
            timestamp: types::Timestamp::from_millis(timestamp),
            schema_id: None,
            change_types: change.map(|change| [change].into()),
            batch: batches.into_iter().next().ok_or_else(invalid)?,
        };
        let records = client::ScanRecords::of_batch(batch, row_type).map_err(|_| invalid())?;
        let shape = RowShape::new(py, row_type.clone(), Maps::of(map_pairs));
        Ok(Self::new(Arc::new(Polled { records, shape }), 0, 0))
    }

    /// The values by column.
    #[pyo3(signature = (*, exact=false))]
    fn get_row<'py>(&self, py: Python<'py>, exact: bool) -> PyResult<Bound<'py, PyDict>> {
        self.polled.shape.dict(py, &self.find()?.1.row, exact)
    }

    /// The values by column, made when they are first asked for.
    #[getter(row)]
    fn plain_row<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let row = self
            .row
            .get_or_try_init(py, || self.get_row(py, false).map(Bound::unbind))?;
        Ok(row.bind(py).clone())
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        Ok(self.plain_row(py)?.keys())
    }

    fn __getitem__<'py>(&self, py: Python<'py>, column: &str) -> PyResult<Bound<'py, PyAny>> {
        let row = self.plain_row(py)?;
        row.as_any().get_item(column)
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

/// The kinds of changes by their numbers.
fn change_types(py: Python<'_>) -> PyResult<&Py<PyDict>> {
    static TYPES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    TYPES.get_or_try_init(py, || {
        let types = PyDict::new(py);
        let class = py.import(intern!(py, "fluss.metadata"))?;
        for member in class.getattr(intern!(py, "ChangeType"))?.try_iter()? {
            let member = member?;
            types.set_item(member.getattr(intern!(py, "value"))?, member)?;
        }
        Ok(types.unbind())
    })
}
