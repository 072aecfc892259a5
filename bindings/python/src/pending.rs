//! An operation that was begun and can be finished in two ways: waited for or awaited.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use tokio::task::block_in_place;

use crate::awaited;
use crate::error::{self, Fault};
use crate::logging;
use crate::own::Own;
use crate::runtime::runtime;

/// How long a blocked call of the main thread goes without a look at signals: first so long, and twice as long each time,
const FIRST_TICK: Duration = Duration::from_millis(20);
/// up to what nobody notices who presses Ctrl-C.
const LAST_TICK: Duration = Duration::from_millis(100);

/// Turns an outcome into a Python object, and hands over what it stands for; called with the interpreter attached, by
/// whoever gets the object. What is not handed over goes back when this is dropped.
pub(crate) type Finish = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;
pub(crate) type Task = Pin<Box<dyn Future<Output = Result<Finish, Fault>> + Send>>;

/// An operation of the client. Nothing happens until it is waited for or awaited, once.
///
/// Dropping it, a `KeyboardInterrupt` while waiting and the cancellation of the awaiting task drop the operation.
#[pyclass(frozen, module = "fluss._fluss")]
pub(crate) struct Pending(Own<Mutex<Option<Task>>>);

impl Pending {
    /// The operation `task`, whose outcome becomes a Python object through `convert`.
    pub(crate) fn new<T, E, C>(task: impl Future<Output = Result<T, E>> + Send + 'static, convert: C) -> Self
    where
        T: Send + 'static,
        E: Into<Fault>,
        C: for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
    {
        let task: Task = Box::pin(async move {
            let outcome = task.await.map_err(Into::into)?;
            let finish: Finish = Box::new(move |py| convert(py, outcome).map(Bound::unbind));
            Ok(finish)
        });
        Self(Own::new(Mutex::new(Some(task))))
    }

    /// An operation without a result.
    pub(crate) fn nothing<E: Into<Fault>>(
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Self {
        Self::new(task, |py, ()| Ok(py.None().into_bound(py)))
    }

    fn take(&self) -> PyResult<Task> {
        let mut slot = self.0.get()?.lock();
        slot.take()
            .ok_or_else(|| PyRuntimeError::new_err("the operation was already waited for"))
    }
}

#[pymethods]
impl Pending {
    /// Blocks until the operation has ended, at most `timeout` seconds.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let limit = timeout.map(seconds).transpose()?;
        let outcome = block_on(py, self.take()?, limit)?;
        // An interrupt that has come meanwhile would be raised on the way to the caller, who would not get the outcome.
        py.check_signals()?;
        outcome?(py)
    }

    pub(crate) fn __await__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        awaited::begin(py, self.take()?)
    }
}

thread_local! {
    /// Whether this thread is in a call of Python's that blocks.
    static BLOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether a task that runs on this thread may block it, because a call of Python's does so already.
pub(crate) fn may_block() -> bool {
    BLOCKS.get()
}

/// Wakes the thread that waits for a task.
struct Waiter {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Waiter {
    /// Runs a task on this thread, until it has ended or the time has come.
    fn run<T>(
        self: &Arc<Self>,
        mut task: Pin<&mut impl Future<Output = T>>,
        until: Option<Instant>,
    ) -> Option<T> {
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            if self.woken.swap(false, Ordering::Acquire)
                && let Poll::Ready(outcome) = task.as_mut().poll(&mut context)
            {
                return Some(outcome);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match left {
                Some(Duration::ZERO) => return None,
                _ if self.woken.load(Ordering::Acquire) => {}
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

/// Waits for `task` without the interpreter, at most `limit`, and in the main thread looks at signals at every tick.
/// Whatever ends the wait before the task drops the task.
///
/// It is the only way in which the client blocks a thread, and any thread may: one that works for the runtime leaves its
/// work to another before it does, and a call within another call that blocks is one more wait of the same thread.
pub(crate) fn block_on<T: Send>(
    py: Python<'_>,
    task: impl Future<Output = T> + Send,
    limit: Option<Duration>,
) -> PyResult<T> {
    let runtime = runtime()?;
    let mut task = std::pin::pin!(task);
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let waiter = Arc::new(Waiter {
        thread: thread::current(),
        woken: AtomicBool::new(true),
    });
    let (mut ticks, mut tick) = (true, FIRST_TICK);
    loop {
        logging::read_levels(py)?;
        let next = ticks.then(|| Instant::now() + tick);
        let until = [next, end].into_iter().flatten().min();
        let polled = py.detach(|| {
            let _context = runtime.enter();
            let outside = BLOCKS.replace(true);
            let polled = block_in_place(|| waiter.run(task.as_mut(), until));
            BLOCKS.set(outside);
            polled
        });
        logging::hand_over(py)?;
        if let Some(outcome) = polled {
            return Ok(outcome);
        }
        py.check_signals()?;
        if let (Some(end), Some(limit)) = (end, limit)
            && Instant::now() >= end
        {
            return Err(error::timeout(limit));
        }
        ticks = ticks && gets_signals(py)?;
        tick = (tick * 2).min(LAST_TICK);
    }
}

/// Whether this thread is the one that the interpreter runs signal handlers in.
fn gets_signals(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    let this = threading.call_method0(intern!(py, "get_ident"))?;
    main.getattr(intern!(py, "ident"))?.eq(this)
}

/// A duration of this many seconds.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("{seconds} seconds is no duration")))
}
