//! The write half of a connection, and the frames that wait for it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

use crate::frame::Segments;

pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// How many pieces one vectored write takes.
const SLICES: usize = 64;

/// Frames on their way to the socket, in order.
///
/// Writing never waits while the lock is held: whoever holds it writes what the socket takes at once, and leaves
/// the rest to the writer task, which joins all that has gathered in vectored writes.
pub struct Outbox {
    state: Mutex<State>,
    /// Told whenever nothing is queued any more.
    drained: Notify,
}

struct State {
    /// `None` once the outbox is closed.
    writer: Option<Writer>,
    queue: Segments,
    /// Whether bytes may linger in a buffer of the writer.
    unflushed: bool,
    /// Of the writer task.
    waker: Option<Waker>,
}

impl Outbox {
    /// An empty outbox in front of a socket.
    pub fn new(writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let state = State {
            writer: Some(writer),
            queue: Segments::default(),
            unflushed: false,
            waker: None,
        };
        Self {
            state: Mutex::new(state),
            drained: Notify::new(),
        }
    }

    /// Queues a frame. If nothing is queued before it and it is `urgent`, it is written right here as far as the
    /// socket takes it, which saves a single request the way over the writer task.
    ///
    /// # Errors
    ///
    /// What the socket says. The stream cannot be used any more.
    pub fn send(&self, frame: Segments, urgent: bool) -> io::Result<()> {
        let mut state = self.lock();
        if state.writer.is_none() {
            return Ok(());
        }
        let idle = state.is_drained();
        state.queue.append(frame);
        if !idle {
            // The writer task is awake, or waits for the socket.
            return Ok(());
        }
        if urgent && let Poll::Ready(result) = state.poll_drain(&mut Context::from_waker(Waker::noop())) {
            return result;
        }
        state.wake();
        Ok(())
    }

    /// Writes what is queued until the outbox is closed; this is the writer task.
    ///
    /// # Errors
    ///
    /// What the socket says. The stream cannot be used any more.
    pub async fn run(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_run(cx)).await
    }

    fn poll_run(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.lock();
        if state.writer.is_none() {
            return Poll::Ready(Ok(()));
        }
        state.waker = Some(cx.waker().clone());
        ready!(state.poll_drain(cx))?;
        self.drained.notify_waiters();
        Poll::Pending
    }

    /// Waits until less than so many bytes are queued, or the outbox is closed.
    pub async fn has_room(&self, bytes: usize) {
        loop {
            let drained = self.drained.notified();
            if self.lock().queue.remaining() < bytes {
                return;
            }
            drained.await;
        }
    }

    /// Gives the write half up, with what is still queued.
    pub fn close(&self) {
        let mut state = self.lock();
        let writer = state.writer.take();
        state.queue = Segments::default();
        state.wake();
        drop(state);
        self.drained.notify_waiters();
        drop(writer);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_drained(&self) -> bool {
        !self.queue.has_remaining() && !self.unflushed
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Ok(()));
        };
        while self.queue.has_remaining() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.queue.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            let written = ready!(Pin::new(&mut *writer).poll_write_vectored(cx, slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.queue.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
