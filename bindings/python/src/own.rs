//! What belongs to one process: a fork takes along memory, and none of the threads that work on it.

use std::sync::OnceLock;

use pyo3::PyResult;

use crate::error;

/// A value that every process makes for itself when it first asks for it.
pub(crate) struct PerProcess<T: 'static> {
    first: OnceLock<Box<Generation<T>>>,
    make: fn() -> T,
}

/// The value of one process; those that were forked from it have the next ones.
struct Generation<T> {
    process: u32,
    value: T,
    next: OnceLock<Box<Generation<T>>>,
}

impl<T> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> Self {
        Self {
            first: OnceLock::new(),
            make,
        }
    }

    /// The value of this process. Those of the processes that it was forked from are kept and never touched.
    pub(crate) fn get(&self) -> &T {
        let process = std::process::id();
        let mut slot = &self.first;
        loop {
            let Some(generation) = slot.get() else {
                // Made before the slot is filled: a process that is forked while somebody makes one would wait for them for
                // ever. Of two that are made at once, one is dropped.
                let value = (self.make)();
                let next = OnceLock::new();
                drop(slot.set(Box::new(Generation { process, value, next })));
                continue;
            };
            if generation.process == process {
                return &generation.value;
            }
            slot = &generation.next;
        }
    }

    /// The value, if this process has made one.
    pub(crate) fn known(&self) -> Option<&T> {
        let process = std::process::id();
        let mut slot = &self.first;
        loop {
            let generation = slot.get()?;
            if generation.process == process {
                return Some(&generation.value);
            }
            slot = &generation.next;
        }
    }
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
