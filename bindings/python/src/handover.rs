//! What the runtime's threads hand over to the interpreter without waiting for it.

use std::time::Duration;

use fluss_rpc::sync::{Condvar, Mutex, MutexGuard};
use pyo3::prelude::*;

use crate::runtime::runtime;

/// How long the interpreter's exit waits for what is on its way, which needs an instant.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// Things on their way to the interpreter, and the thread that takes them there.
///
/// What comes while it waits for the interpreter goes with it. A thread that waits while the interpreter exits would be
/// ended in the middle of Rust code, which aborts the process: the exit waits for it.
pub(crate) struct Handover<T: 'static> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// What is done with them, with the interpreter attached.
    take: for<'py> fn(Python<'py>, Vec<T>),
}

struct State<T> {
    waiting: Vec<T>,
    /// Whether there is a thread that takes them.
    active: bool,
    ended: bool,
}

impl<T: Send + 'static> Handover<T> {
    pub(crate) const fn new(take: for<'py> fn(Python<'py>, Vec<T>)) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Vec::new(),
                active: false,
                ended: false,
            }),
            changed: Condvar::new(),
            take,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    /// Hands a thing over. It returns false, without it, if so many wait already, or nobody takes them any more.
    pub(crate) fn add(&'static self, thing: T, most: usize) -> bool {
        let mut state = self.lock();
        if state.ended || state.waiting.len() >= most {
            return false;
        }
        state.waiting.push(thing);
        if !state.active
            && let Ok(runtime) = runtime()
        {
            state.active = true;
            // Waiting for the interpreter must not hold up the runtime's threads.
            runtime.spawn_blocking(|| self.deliver());
        }
        true
    }

    /// What waits now, for whoever has the interpreter already.
    pub(crate) fn waiting(&self) -> Vec<T> {
        std::mem::take(&mut self.lock().waiting)
    }

    fn deliver(&self) {
        loop {
            // The interpreter may be busy: whatever waits by then is taken.
            if Python::try_attach(|py| (self.take)(py, self.waiting())).is_none() {
                // The interpreter ends, and takes nothing any more.
                drop(self.waiting());
            }
            let mut state = self.lock();
            if state.waiting.is_empty() {
                state.active = false;
                self.changed.notify_all();
                return;
            }
        }
    }

    /// Lets nothing come any more, and waits for what is on its way. The interpreter calls it when it exits.
    pub(crate) fn end(&self, py: Python<'_>) {
        py.detach(|| {
            let mut state = self.lock();
            state.ended = true;
            drop(
                self.changed
                    .wait_while_for(state, |state| state.active, EXIT_PATIENCE),
            );
        });
    }
}
