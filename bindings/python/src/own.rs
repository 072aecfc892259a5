//! What belongs to one process: a fork takes along memory, and none of the threads that work on it.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::PyResult;

use crate::error;

/// The process as it was seen last, once it was.
static SEEN: AtomicU32 = AtomicU32::new(0);

/// Sees which process this is, where it may be another.
pub(crate) fn see_process() {
    SEEN.store(std::process::id(), Ordering::Relaxed);
}

fn seen_process() -> u32 {
    if SEEN.load(Ordering::Relaxed) == 0 {
        see_process();
    }
    SEEN.load(Ordering::Relaxed)
}

/// Something of the client, for the process that it was made in. In another it raises `fluss.ForkError`, and is not
/// dropped: it may wait for threads that are not there.
pub(crate) struct Own<T> {
    process: u32,
    value: Option<T>,
}

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            process: std::process::id(),
            value: Some(value),
        }
    }

    /// The value, or an exception in a process that was forked since.
    pub(crate) fn get(&self) -> PyResult<&T> {
        self.here().ok_or_else(error::forked)
    }

    /// As [`get`](Self::get), without a call of the system: Python says when it has forked.
    pub(crate) fn get_at_once(&self) -> PyResult<&T> {
        let is_here = self.process == seen_process();
        self.value.as_ref().filter(|_| is_here).ok_or_else(error::forked)
    }

    /// The value, if this is its process.
    pub(crate) fn here(&self) -> Option<&T> {
        let is_here = self.process == std::process::id();
        self.value.as_ref().filter(|_| is_here)
    }

    /// The value in any process, for what it says of itself.
    pub(crate) const fn anywhere(&self) -> Option<&T> {
        self.value.as_ref()
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.value.take());
        }
    }
}
