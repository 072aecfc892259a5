//! Values that say that there is none.

use fluss_client::types::Kind;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyFloat;

use super::moment::is_datetime;
use super::numpy;

/// Whether a value says that there is none: `pandas.NA`, `NaT` of pandas and `NumPy`, and a NaN where it is no number.
pub(super) fn is_missing(value: &Bound<'_, PyAny>, kind: &Kind) -> bool {
    if let Ok(float) = value.cast::<PyFloat>() {
        return float.value().is_nan() && !matches!(kind, Kind::Float | Kind::Double);
    }
    let is_time = is_datetime(value) || numpy::is_time(value);
    (is_time && value.ne(value).unwrap_or(false)) || is_pandas_na(value)
}

/// Whether it is pandas' `NA`, which is there only if pandas is.
fn is_pandas_na(value: &Bound<'_, PyAny>) -> bool {
    let py = value.py();
    let is_na = || -> PyResult<bool> {
        let class = value.get_type();
        if class.name()? != "NAType" {
            return Ok(false);
        }
        Ok(value.is(&py.import(intern!(py, "pandas"))?.getattr(intern!(py, "NA"))?))
    };
    is_na().unwrap_or(false)
}
