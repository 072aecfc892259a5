//! Arrow data of Python: of another library as a whole, or part by part of an iterator.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{RecordBatch as Batch, RecordBatchReader};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::error::{self, Fault};
use crate::import;
use crate::stay;

pub(crate) type Reader = Box<dyn RecordBatchReader + Send>;

/// The batches of Arrow data.
pub(crate) fn reader(data: &Bound<'_, PyAny>) -> PyResult<Reader> {
    let Some(reader) = imported(|| import::reader(data))?? else {
        let kind = data.get_type().qualname()?;
        return Err(error::kind(format!(
            "Arrow data is expected, such as a pyarrow Table or a pandas or polars DataFrame: anything with \
             __arrow_c_stream__ or __arrow_c_array__, and not {kind}"
        )));
    };
    Ok(reader.map_err(unreadable)?)
}

/// What an import gives: of data that Arrow panics at, an error.
pub(crate) fn imported<T>(import: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(import)).map_err(|_| {
        let message = "the Arrow data cannot be read: it is not laid out as Arrow says";
        Fault::new("DataError", message)
    })
}

/// What a failed reader tells; what a Python iterator has raised, as it was raised.
pub(crate) fn unreadable(error: ArrowError) -> Fault {
    let error = match error {
        ArrowError::ExternalError(error) => match error.downcast() {
            Ok(raised) => return Fault::raised(*raised),
            Err(error) => ArrowError::ExternalError(error),
        },
        error => error,
    };
    Fault::new("DataError", error.to_string())
}

/// Arrow data for a writer that a Python iterator gives part by part, each of it Arrow data. What the iterator raises is
/// raised as it is.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct ArrowParts {
    parts: Py<PyIterator>,
    /// Whether all of it is in memory, whoever reads it.
    pub(crate) is_in_memory: bool,
}

impl ArrowParts {
    pub(crate) fn read(&self, py: Python<'_>) -> Parts {
        Parts {
            parts: self.parts.clone_ref(py),
            part: None,
        }
    }
}

#[pymethods]
impl ArrowParts {
    #[new]
    #[pyo3(signature = (parts, in_memory=false))]
    fn new(parts: &Bound<'_, PyIterator>, in_memory: bool) -> Self {
        Self {
            parts: parts.clone().unbind(),
            is_in_memory: in_memory,
        }
    }
}

/// The batches of [`ArrowParts`], of which only the writer knows what columns they should have.
pub(crate) struct Parts {
    parts: Py<PyIterator>,
    part: Option<Reader>,
}

impl Parts {
    /// The next part; nothing at the end.
    fn next_part(&self) -> PyResult<Option<Reader>> {
        Python::attach(|py| {
            let mut parts = self.parts.bind(py).clone();
            let next = stay::call(py, || parts.next()).transpose()?;
            next.map(|part| reader(&part)).transpose()
        })
    }
}

impl Iterator for Parts {
    type Item = Result<Batch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.part.as_mut().and_then(Iterator::next) {
                return Some(batch);
            }
            match self.next_part().transpose()? {
                Ok(part) => self.part = Some(part),
                Err(raised) => return Some(Err(ArrowError::ExternalError(Box::new(raised)))),
            }
        }
    }
}

impl RecordBatchReader for Parts {
    fn schema(&self) -> SchemaRef {
        Arc::new(Schema::empty())
    }
}
