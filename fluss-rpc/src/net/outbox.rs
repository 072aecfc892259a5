//! The way out of a connection, and the frames that wait for it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use crate::sync::{Mutex, MutexGuard};
use bytes::Buf;
use tokio::io::AsyncWrite;
use tokio::sync::Notify;

use super::Receive;
use super::connector::Writer;
use crate::frame::{LENGTH_BYTES, Segments};

/// How many pieces one vectored write takes.
const SLICES: usize = 64;

/// Frames on their way to a socket, in order, or to a receiver in the same process.
///
/// Writing never waits while the lock is held: whoever holds it writes what the socket takes at once, and leaves
/// the rest to the writer task, which joins all that has gathered in vectored writes. A receiver is handed each frame
/// without the lock, by whoever sends it.
pub struct Outbox {
    state: Mutex<State>,
    /// Told whenever nothing is queued any more.
    drained: Notify,
}

/// Where frames go.
enum Way {
    /// Nowhere yet: it is not known where.
    Unknown,
    Socket(Writer),
    Process(Arc<dyn Receive>),
    /// Nowhere any more.
    Closed,
}

struct State {
    way: Way,
    queue: Segments,
    /// Whether bytes may linger in a buffer of the writer.
    unflushed: bool,
    /// How many bytes the socket has taken.
    written: u64,
    /// Of the writer task.
    waker: Option<Waker>,
}

impl Outbox {
    /// An empty outbox in front of a socket.
    pub fn new(writer: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        Self::on(Way::Socket(writer))
    }

    /// An outbox that hands frames to a receiver.
    pub fn to(receiver: Arc<dyn Receive>) -> Self {
        Self::on(Way::Process(receiver))
    }

    /// An outbox whose receiver is still to be [set](Self::lead_to).
    pub(super) fn unknown() -> Self {
        Self::on(Way::Unknown)
    }

    fn on(way: Way) -> Self {
        let state = State {
            way,
            queue: Segments::default(),
            unflushed: false,
            written: 0,
            waker: None,
        };
        Self {
            state: Mutex::new(state),
            drained: Notify::new(),
        }
    }

    /// Sets the receiver of an outbox that has none yet. If the outbox has been closed meanwhile, the receiver is told.
    pub(super) fn lead_to(&self, receiver: Arc<dyn Receive>) {
        let mut state = self.lock();
        if matches!(state.way, Way::Unknown) {
            state.way = Way::Process(receiver);
        } else {
            drop(state);
            receiver.end();
        }
    }

    /// Queues a frame, or hands it to the receiver. If nothing is queued before it and it is `urgent`, it is written right
    /// here as far as the socket takes it, which saves a single request the way over the writer task.
    ///
    /// # Errors
    ///
    /// What the socket says. The stream cannot be used any more.
    pub fn send(&self, mut frame: Segments, urgent: bool) -> io::Result<()> {
        let mut state = self.lock();
        match &state.way {
            Way::Unknown | Way::Closed => return Ok(()),
            Way::Process(receiver) => {
                let receiver = receiver.clone();
                drop(state);
                frame.advance(LENGTH_BYTES);
                receiver.receive(frame.copy_to_bytes(frame.remaining()));
                return Ok(());
            }
            Way::Socket(_) => {}
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
        if matches!(state.way, Way::Closed) {
            return Poll::Ready(Ok(()));
        }
        if !state
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.waker = Some(cx.waker().clone());
        }
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

    /// Waits until the other side has taken nothing for so long of what is queued. It may take twice as long to notice.
    pub async fn stalled(&self, limit: Duration) {
        let mut before = (self.lock().written, false);
        loop {
            tokio::time::sleep(limit).await;
            let state = self.lock();
            let now = (state.written, state.queue.has_remaining());
            drop(state);
            if before == now && now.1 {
                return;
            }
            before = now;
        }
    }

    /// Gives the write half up, with what is still queued; or tells the receiver that nothing more comes.
    pub fn close(&self) {
        let mut state = self.lock();
        let way = std::mem::replace(&mut state.way, Way::Closed);
        state.queue = Segments::default();
        state.wake();
        drop(state);
        self.drained.notify_waiters();
        if let Way::Process(receiver) = way {
            receiver.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
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
        let Way::Socket(writer) = &mut self.way else {
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
            self.written += written as u64;
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
