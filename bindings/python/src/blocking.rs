//! Operations that a thread waits for.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use tokio::task::block_in_place;

use crate::error;
use crate::logging;
use crate::runtime::runtime;
use crate::stay;

/// How long a blocked call of the main thread goes without a look at signals: first so long, and twice as long each time,
const FIRST_TICK: Duration = Duration::from_millis(20);
/// up to what nobody notices who presses Ctrl-C.
const LAST_TICK: Duration = Duration::from_millis(100);

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
        stay::call(py, || py.check_signals())?;
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
    stay::call(py, || {
        let main = threading.call_method0(intern!(py, "main_thread"))?;
        let this = threading.call_method0(intern!(py, "get_ident"))?;
        main.getattr(intern!(py, "ident"))?.eq(this)
    })
}

/// A duration of this many seconds.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{seconds} seconds is no duration")))
}
