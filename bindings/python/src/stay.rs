//! Threads that are in Python code when the interpreter ends.
//!
//! The interpreter, up to 3.13, ends a thread that is in Python code once its exit has come so far, by unwinding the stack of the
//! thread. At the first frame of Rust that aborts the process. So the exit waits for those that Rust has sent there, and lets no others
//! go.

use std::thread::{self, ThreadId};
use std::time::Duration;

use fluss_rpc::sync::{Condvar, Mutex, PerProcess};
use pyo3::prelude::*;

/// How long the interpreter's exit waits, at most, for code that is the program's, such as the handler of a logger.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

static CALLS: PerProcess<Calls> = PerProcess::new(Calls::default);

/// The calls of Python code by Rust that are under way.
#[derive(Default)]
struct Calls {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inside: usize,
    /// The thread that ends the interpreter, once it does.
    ending: Option<ThreadId>,
}

/// Calls Python code, unless the interpreter ends: then the thread stays here, without the interpreter, until the process is gone.
pub(crate) fn call<T>(py: Python<'_>, python: impl FnOnce() -> T) -> T {
    let _inside = Inside::enter(py);
    python()
}

/// A call that is under way.
struct Inside(&'static Calls);

impl Inside {
    fn enter(py: Python<'_>) -> Self {
        let calls = CALLS.get();
        let mut state = calls.state.lock();
        let is_over = state
            .ending
            .is_some_and(|ending| ending != thread::current().id());
        if is_over {
            drop(state);
            py.detach(|| {
                loop {
                    thread::park();
                }
            });
        } else {
            state.inside += 1;
        }
        Self(calls)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.inside -= 1;
        self.0.changed.notify_all();
    }
}

/// Lets no thread but this into Python code any more, and waits for those that are there. The interpreter calls it when it exits.
#[pyfunction]
pub(crate) fn end_calls(py: Python<'_>) {
    py.detach(|| {
        let calls = CALLS.get();
        let mut state = calls.state.lock();
        state.ending = Some(thread::current().id());
        drop(
            calls
                .changed
                .wait_while_for(state, |state| state.inside > 0, EXIT_PATIENCE),
        );
    });
}
