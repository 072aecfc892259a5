//! One connection of a client: frames in, answers out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame::FrameError;
use fluss_rpc::net::{Disconnect, Inbox, Outbox, Receive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::dispatch;
use super::in_process::InProcess;
use super::memory::Held;
use super::session::{Peer, Session};
use super::shared::Shared;
use super::turn::{Write, do_in_turn};
use crate::error::Failure;

/// A client that does not read its answers gets no more of them than this, in bytes.
const BACKLOG_BYTES: usize = 16 << 20;

/// The largest frame of a client that has not logged in: what it may say before is small.
const LOGIN_FRAME_BYTES: usize = 64 << 10;

/// How much memory is taken for a frame of which no more than the length has arrived; beyond it, twice of what has.
const FIRST_BYTES: usize = 64 << 10;

/// A frame has some time, and a second more for so many bytes.
const SLOWEST_BYTES_A_SECOND: usize = 1 << 20;

/// Stands for "never" where an instant is needed.
const FAR_FUTURE: Duration = Duration::from_hours(24 * 365 * 30);

/// Ends a session when its task ends, in whatever way, even before it has begun.
struct EndOnDrop(Arc<Session>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Session {
    /// Serves a client until it goes away, or breaks the protocol.
    pub(crate) async fn serve(
        node: Arc<Shared>,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: Peer,
    ) {
        let (reader, writer) = tokio::io::split(stream);
        let (session, writing) = Self::new(node, (Outbox::new(Box::new(writer)), true), peer);
        let inbox = Inbox::new(reader, session.node.limits.request_bytes);
        Self::run(EndOnDrop(session.clone()), session.read(inbox), writing).await;
    }

    /// Serves a client in the same process, and returns what takes its requests. Called on a tokio runtime.
    pub(crate) fn serve_in_process(
        node: Arc<Shared>,
        client: Arc<dyn Receive>,
        peer: Peer,
    ) -> Arc<dyn Receive> {
        let (session, writes) = Self::new(node, (Outbox::to(client), false), peer);
        let (in_process, queue) = InProcess::new(&session);
        let end = EndOnDrop(session.clone());
        tokio::spawn(async move { Self::run(end, queue.run(&session), writes).await });
        Arc::new(in_process)
    }

    /// Goes on until there are no more requests, the client is gone, or the node closes.
    async fn run(
        end: EndOnDrop,
        requests: impl Future<Output = Result<(), Disconnect>>,
        writes: mpsc::UnboundedReceiver<Write>,
    ) {
        let session = &end.0;
        let ended = tokio::select! {
            ended = requests => ended,
            written = session.outbox.run() => written.map_err(Disconnect::from),
            () = session.outbox.stalled(session.node.limits.frame) => {
                debug!(target: crate::TARGET, "connection closed, as the client takes nothing");
                Ok(())
            }
            () = do_in_turn(writes, &session.node.memory) => Ok(()),
            () = session.disowned() => {
                debug!(target: crate::TARGET, "connection closed, as its login does not hold any more");
                Ok(())
            }
            () = session.node.closing.cancelled() => Ok(()),
        };
        if let Err(reason) = ended {
            debug!(target: crate::TARGET, %reason, "connection closed");
        }
    }

    async fn read<R: AsyncRead + Unpin>(self: &Arc<Self>, mut inbox: Inbox<R>) -> Result<(), Disconnect> {
        let began = Instant::now();
        loop {
            self.outbox.has_room(BACKLOG_BYTES).await;
            // Who proves who it is does so in one attempt at a time, and so is a password changed.
            drop(self.first.acquire().await);
            let deadline = self.login_deadline(began);
            // A client that does not log in does not hold a connection for long.
            let frame = timeout_at(deadline, self.next_frame(&mut inbox)).await;
            let (frame, memory) = match frame.unwrap_or(Ok(None)) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(reason) => {
                    if self.send_reason(&reason) {
                        self.outbox.has_room(1).await;
                    }
                    return Err(reason);
                }
            };
            dispatch::begin(self, frame, memory, inbox.is_drained())?;
        }
    }

    fn login_deadline(&self, began: Instant) -> Instant {
        let allowed = if self.is_known() {
            FAR_FUTURE
        } else {
            self.node.limits.login
        };
        began + allowed
    }

    /// The next frame, and the memory that it holds until it is answered. Nothing when no more comes: the client has gone,
    /// says nothing for long, or takes too long for what it has begun to say.
    async fn next_frame<R: AsyncRead + Unpin>(
        &self,
        inbox: &mut Inbox<R>,
    ) -> Result<Option<(Bytes, Held)>, Disconnect> {
        let Some(bytes) = self.next_bytes(inbox).await? else {
            return Ok(None);
        };
        if bytes > LOGIN_FRAME_BYTES && !self.is_known() {
            return Err(Disconnect::Frame(FrameError::TooLarge {
                bytes: bytes as u64,
                limit: LOGIN_FRAME_BYTES,
            }));
        }
        let Some(memory) = self.all_of(bytes, inbox).await? else {
            let message = format!("a request of {bytes} bytes did not arrive in time (frame.timeout)");
            self.give_up(Failure::new(ErrorCode::REQUEST_TIME_OUT, message));
            self.outbox.has_room(1).await;
            return Ok(None);
        };
        Ok(inbox.next().await?.map(|frame| (frame, memory)))
    }

    /// The size of the next frame. A client for which nothing is done may be silent for a while, and no longer.
    async fn next_bytes<R: AsyncRead + Unpin>(
        &self,
        inbox: &mut Inbox<R>,
    ) -> Result<Option<usize>, Disconnect> {
        loop {
            match timeout(self.node.limits.idle, inbox.next_bytes()).await {
                Ok(bytes) => return bytes,
                Err(_) if self.under_way.load(Ordering::Acquire) == 0 => {
                    debug!(target: crate::TARGET, "connection closed, as it was idle");
                    return Ok(None);
                }
                Err(_) => {}
            }
        }
    }

    /// Waits until all of a frame has arrived, and returns its memory, which is taken as its bytes arrive. Nothing if that
    /// takes the client too long.
    async fn all_of<R: AsyncRead + Unpin>(
        &self,
        bytes: usize,
        inbox: &mut Inbox<R>,
    ) -> Result<Option<Held>, Disconnect> {
        let memory = &self.node.memory;
        // Time that passes until there is memory is not the client's.
        let mut left = self.node.limits.frame + Duration::from_secs((bytes / SLOWEST_BYTES_A_SECOND) as u64);
        let mut there = bytes.min(FIRST_BYTES);
        let mut held = memory.wait(there).await;
        loop {
            let began = Instant::now();
            match timeout(left, inbox.arrived(there)).await {
                Ok(arrived) => arrived?,
                Err(_) => return Ok(None),
            }
            if there == bytes {
                return Ok(Some(held));
            }
            left = left.saturating_sub(began.elapsed());
            let next = bytes.min(2 * there);
            memory.grow(&mut held, next - there).await;
            there = next;
        }
    }
}
