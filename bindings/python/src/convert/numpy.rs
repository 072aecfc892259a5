//! Values of `NumPy`, which are no Python values.

use pyo3::intern;
use pyo3::prelude::*;

/// Whether it is a `datetime64` or a `timedelta64`.
pub(super) fn is_time(value: &Bound<'_, PyAny>) -> bool {
    matches!(kind(value).as_deref(), Some("M" | "m"))
}

/// The kind of a scalar of `NumPy`, as its dtype has it.
pub(super) fn kind(value: &Bound<'_, PyAny>) -> Option<String> {
    let py = value.py();
    // Arrays have a dtype as well.
    let dtype = value.getattr_opt(intern!(py, "dtype")).ok()??;
    if value.getattr(intern!(py, "ndim")).ok()?.extract::<usize>().ok()? != 0 {
        return None;
    }
    dtype.getattr(intern!(py, "kind")).ok()?.extract().ok()
}

/// The Python value in a scalar of `NumPy`. Its times have none: of those in nanoseconds it would be a number.
pub(super) fn plain<'py>(value: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    if is_time(value) || !value.hasattr("dtype").unwrap_or(false) {
        return None;
    }
    let plain = value.call_method0("item").ok()?;
    (!plain.hasattr("dtype").unwrap_or(true)).then_some(plain)
}
