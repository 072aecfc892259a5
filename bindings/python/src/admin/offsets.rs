//! Which offsets are wanted, and those that are found.

use std::collections::BTreeMap;

use fluss_client as client;
use fluss_client::id::Offset;
use fluss_client::types::Timestamp;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// Which offset of a bucket is wanted.
#[pyclass(frozen, eq, hash, from_py_object, module = "fluss.client.admin")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct OffsetSpec(pub(crate) client::OffsetSpec);

#[pymethods]
impl OffsetSpec {
    #[staticmethod]
    fn earliest() -> Self {
        Self(client::OffsetSpec::Earliest)
    }

    #[staticmethod]
    fn latest() -> Self {
        Self(client::OffsetSpec::Latest)
    }

    #[staticmethod]
    fn timestamp(ts: &Bound<'_, PyAny>) -> PyResult<Self> {
        let millis = millis_of(ts)?;
        Ok(Self(client::OffsetSpec::Timestamp(Timestamp::from_millis(
            millis,
        ))))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let (name, arguments) = match self.0 {
            client::OffsetSpec::Earliest => ("earliest", vec![]),
            client::OffsetSpec::Latest => ("latest", vec![]),
            client::OffsetSpec::Timestamp(time) => ("timestamp", vec![time.millis()]),
        };
        Ok((py.get_type::<Self>().getattr(name)?, PyTuple::new(py, arguments)?))
    }

    fn __repr__(&self) -> String {
        match self.0 {
            client::OffsetSpec::Earliest => "OffsetSpec.earliest()".to_owned(),
            client::OffsetSpec::Latest => "OffsetSpec.latest()".to_owned(),
            client::OffsetSpec::Timestamp(time) => format!("OffsetSpec.timestamp({})", time.millis()),
        }
    }
}

/// The milliseconds since 1970 of a time: those themselves, or a `datetime`.
fn millis_of(time: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = time.py();
    let reads = py.import(intern!(py, "fluss._read"))?;
    reads.call_method1(intern!(py, "moment"), (time,))?.extract()
}

pub(super) fn by_number(offsets: client::ByBucket<Offset>) -> BTreeMap<i32, Offset> {
    offsets
        .into_iter()
        .map(|(bucket, offset)| (bucket.get(), offset))
        .collect()
}
