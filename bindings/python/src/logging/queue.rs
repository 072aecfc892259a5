//! Records that wait for the interpreter.

use std::sync::atomic::{AtomicUsize, Ordering};

use fluss_rpc::sync::PerProcess;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;

use super::levels::read_levels;
use super::record::Record;
use crate::handover::Handover;
use crate::stay;

/// How many records may wait for the interpreter. Those that come then are counted and left out.
const MOST_WAITING: usize = 10_000;

static RECORDS: PerProcess<Handover<Record>> = PerProcess::new(|| Handover::new(tell));

/// How many records there was no room for.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Has a record wait for the interpreter.
pub(super) fn add(record: Record) {
    if !RECORDS.get().add(record, MOST_WAITING) {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Gives what waits to its loggers. Returns what is meant for the program rather than for a broken handler, such as an
/// interrupt.
pub(crate) fn hand_over(py: Python<'_>) -> PyResult<()> {
    let records = RECORDS.known().map(Handover::waiting).unwrap_or_default();
    if records.is_empty() {
        Ok(())
    } else {
        give(py, records)
    }
}

fn tell(py: Python<'_>, records: Vec<Record>) {
    if let Err(error) = read_levels(py).and_then(|()| give(py, records)) {
        error.write_unraisable(py, None);
    }
}

fn give(py: Python<'_>, records: Vec<Record>) -> PyResult<()> {
    let given = || {
        let records = records.into_iter().map(|record| record.into_python(py));
        let records: Vec<_> = records.collect::<PyResult<_>>()?;
        let lost = LOST.swap(0, Ordering::Relaxed);
        let loggers = py.import(intern!(py, "fluss._logging"))?;
        stay::call(py, || {
            loggers.call_method1(intern!(py, "handle"), (records, lost))
        })
        .map(drop)
    };
    given().or_else(|error: PyErr| {
        if error.is_instance_of::<PyException>(py) {
            error.write_unraisable(py, None);
            Ok(())
        } else {
            Err(error)
        }
    })
}

/// Lets no record come any more, after those that are there. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_logging(py: Python<'_>) -> PyResult<()> {
    RECORDS.get().end(py);
    hand_over(py)
}
