//! The `fluss` program, which the package carries.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the `fluss` program with these arguments, the first of which is its name, and returns the code to exit with.
#[pyfunction]
pub(crate) fn run_program(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| fluss_cli::run(arguments))
}
