//! Where statements are planned and queries run: threads of their own, so that whoever waits for servers is never kept waiting
//! by a computation.

use std::cell::Cell;
use std::future::{Future, ready};
use std::mem;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::thread;
use std::time::Duration;

use fluss_rpc::sync::PerProcess;
use futures::future::{BoxFuture, Either};
use futures::stream::{BoxStream, Stream, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};

/// What plans and parsers need for the deepest statements that are taken.
const STACK_BYTES: usize = 16 << 20;

static THREADS: PerProcess<Threads> = PerProcess::new(Threads::start);

/// The runtime of a process. It is never shut down: its threads sleep while there is no query.
struct Threads(Result<Runtime, String>);

impl Threads {
    fn start() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let runtime = Builder::new_multi_thread()
            .worker_threads(left_to_queries(processors))
            .thread_name("fluss-sql")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(step_back)
            .enable_time()
            .build();
        Self(runtime.map_err(|error| error.to_string()))
    }
}

/// How many of the processors queries may fill. One is left to others, if there are more than two: a thread that wakes where all
/// are taken waits for the kernel's next tick, some milliseconds, however far back these threads stand.
const fn left_to_queries(processors: usize) -> usize {
    if processors > 2 {
        processors - 1
    } else {
        processors
    }
}

/// How much later than others these threads have their turn where processors are few, as `nice` counts it.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets the threads that talk with servers, and the program's own, go first.
fn step_back() {
    // Elsewhere this would be asked of the whole process. Where it is refused, queries run as everybody.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// How long a thread for queries computes before it lets others go.
const TURN: Duration = Duration::from_micros(200);

thread_local! {
    /// When this thread last let others go.
    static GAVE_WAY: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has a thread that waits for this processor go first, where this one has computed for its turn.
///
/// A kernel lets a thread compute until its next tick, some milliseconds, though one that stands before it has woken: so what
/// computes for long calls this often, at best between pieces of less than a turn.
pub(crate) fn give_way() {
    let now = Instant::now();
    let since = GAVE_WAY.get();
    if since.is_none_or(|since| now.duration_since(since) >= TURN) {
        thread::yield_now();
        GAVE_WAY.set(Some(Instant::now()));
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Of two that are started at once, one is not wanted. Whoever asked for it may be a task, which must not wait.
        if let Ok(runtime) = mem::replace(&mut self.0, Err(String::new())) {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Result<&'static Runtime> {
    let runtime = THREADS.get().0.as_ref();
    runtime.map_err(|reason| Error::new(ErrorKind::Other, format!("no threads for queries: {reason}")))
}

/// Runs a future on the threads for queries: it begins now. Whoever drops what is returned stops it.
pub(crate) fn run<T, F>(future: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match spawn(future) {
        Ok(task) => Either::Left(task),
        Err(error) => Either::Right(ready(Err(error))),
    }
}

/// Begins to run a future on the threads for queries, until the task is dropped.
pub(crate) fn spawn<T, F>(future: F) -> Result<RunningTask<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    Ok(RunningTask(runtime()?.spawn(future)))
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct RunningTask<T>(JoinHandle<Result<T>>);

impl<T> Future for RunningTask<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(task).map(|ended| match ended {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => Err(Error::cancelled()),
            Err(_) => Err(Error::new(
                ErrorKind::Other,
                "the statement failed: a defect of the engine",
            )),
        })
    }
}

impl<T> Drop for RunningTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A future or a stream of the client, which is polled, and dropped, within the client's runtime: its timers and tasks are
/// there.
pub(crate) struct Entered<P> {
    handle: Handle,
    inner: Option<P>,
}

impl<'a, T> Entered<BoxFuture<'a, T>> {
    /// Polls a future within a runtime.
    pub(crate) fn future(handle: &Handle, future: impl Future<Output = T> + Send + 'a) -> Self {
        Self {
            handle: handle.clone(),
            inner: Some(Box::pin(future)),
        }
    }
}

impl<'a, T> Entered<BoxStream<'a, T>> {
    /// Polls a stream within a runtime.
    pub(crate) fn stream(handle: &Handle, stream: impl Stream<Item = T> + Send + 'a) -> Self {
        Self {
            handle: handle.clone(),
            inner: Some(stream.boxed()),
        }
    }
}

impl<T> Future for Entered<BoxFuture<'_, T>> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<T> {
        let this = &mut *self;
        let _entered = this.handle.enter();
        match &mut this.inner {
            Some(inner) => inner.as_mut().poll(task),
            None => Poll::Pending,
        }
    }
}

impl<T> Stream for Entered<BoxStream<'_, T>> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let _entered = this.handle.enter();
        match &mut this.inner {
            Some(inner) => inner.as_mut().poll_next(task),
            None => Poll::Ready(None),
        }
    }
}

impl<P> Drop for Entered<P> {
    fn drop(&mut self) {
        let _entered = self.handle.enter();
        self.inner = None;
    }
}
