//! One connection of a client: frames in, answers out.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Buf, Bytes};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame::{self, FrameError};
use fluss_rpc::header::ResponseHeader;
use fluss_rpc::net::{Disconnect, Inbox, Outbox, Receive};
use fluss_rpc::proto;
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::admin::{Address, Context};
use super::call::{Call, Write, do_in_turn};
use super::dispatch;
use super::in_process::InProcess;
use super::memory::{Held, Room};
use super::shared::Shared;
use crate::error::Failure;
use crate::security::{Caller, Principal};

/// A client that does not read its answers gets no more of them than this, in bytes.
const BACKLOG_BYTES: usize = 16 << 20;

/// The largest frame of a client that has not logged in: what it may say before is small.
const LOGIN_FRAME_BYTES: usize = 64 << 10;

/// How much memory is taken for a frame of which no more than the length has arrived; beyond it, twice of what has.
const FIRST_BYTES: usize = 64 << 10;

/// A frame has some time, and a second more for so many bytes.
const SLOWEST_BYTES_A_SECOND: usize = 1 << 20;

/// Stands for "never" where an instant is needed.
const FAR_FUTURE: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 30);

/// What a connection came by.
pub(crate) struct Peer {
    /// Where clients that came this way find the node.
    pub(crate) address: Address,
    /// Who is asking; nobody yet, if they have to log in first.
    pub(crate) caller: Option<Caller>,
    /// The IP address of the client.
    pub(crate) host: String,
}

impl Peer {
    /// A client that has to log in, if there are users.
    pub(crate) fn stranger(node: &Shared, address: Address, host: String) -> Self {
        Self {
            address,
            caller: match node.users {
                Some(_) => None,
                None => Some(Caller::new(Principal::anonymous(), host.clone())),
            },
            host,
        }
    }
}

/// A connection as its handlers see it.
pub(crate) struct Session {
    pub(super) node: Arc<Shared>,
    /// The address of the node that is sent to clients.
    address: Address,
    /// Who is asking, once that is known.
    caller: OnceLock<Caller>,
    host: String,
    pub(super) owner: Owner,
    outbox: Outbox,
    /// Whether the client is another process, so that answers take memory until it has read them.
    is_remote: bool,
    /// Held by an attempt to log in.
    pub(super) login: Arc<Semaphore>,
    /// How many requests are under way.
    pub(super) under_way: Arc<AtomicUsize>,
    /// Writes, which are done one after the other: the next number of a writer counts on the one before.
    pub(super) writes: mpsc::UnboundedSender<Write>,
    /// What goes on beside the reading of further requests, until the connection ends: nothing then.
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// A connection as what belongs to it knows it.
#[derive(Debug)]
pub(super) struct Owner {
    id: u64,
    ended: AtomicBool,
}

impl Owner {
    pub(super) const fn new(id: u64) -> Self {
        Self {
            id,
            ended: AtomicBool::new(false),
        }
    }

    /// A number that no other connection of the node has.
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

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

    fn new(
        node: Arc<Shared>,
        (outbox, is_remote): (Outbox, bool),
        peer: Peer,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Write>) {
        let (sender, writes) = mpsc::unbounded_channel();
        let session = Self {
            caller: peer.caller.map_or_else(OnceLock::new, OnceLock::from),
            host: peer.host,
            owner: Owner::new(node.sessions.fetch_add(1, Ordering::Relaxed)),
            address: peer.address,
            outbox,
            is_remote,
            login: Arc::new(Semaphore::new(1)),
            under_way: Arc::default(),
            writes: sender,
            tasks: Mutex::new(Some(JoinSet::new())),
            node,
        };
        (Arc::new(session), writes)
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
            // Who proves who it is does so in one attempt at a time.
            drop(self.login.acquire().await);
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
            self.begin(frame, memory, inbox.is_drained())?;
        }
    }

    /// Answers a request, or has it answered. `alone` says whether nothing came behind it, so that the answer need not wait
    /// for others; `memory` is given back when it is answered.
    pub(super) fn begin(self: &Arc<Self>, frame: Bytes, memory: Held, alone: bool) -> Result<(), Disconnect> {
        let call = Call::read_from(frame, self.clone(), memory, alone)?;
        match call.excess() {
            Some(failure) => call.refuse(failure),
            None => dispatch::dispatch(call),
        }
        Ok(())
    }

    fn login_deadline(&self, began: Instant) -> Instant {
        let allowed = match self.caller.get() {
            None => self.node.limits.login,
            Some(_) => FAR_FUTURE,
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
        if bytes > LOGIN_FRAME_BYTES && self.caller.get().is_none() {
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

    /// Sends the client the reason why nothing more is read from this connection, if its frame is the reason. Returns whether
    /// it is.
    pub(super) fn send_reason(&self, reason: &Disconnect) -> bool {
        let Disconnect::Frame(error @ FrameError::TooLarge { .. }) = reason else {
            return false;
        };
        self.give_up(Failure::new(ErrorCode::RECORD_TOO_LARGE, error.to_string()));
        true
    }

    /// Sends the client the reason why the connection ends.
    fn give_up(&self, failure: Failure) {
        let message = proto::ErrorResponse::from(failure);
        self.send(ResponseHeader::ServerFailure, &message, true, None);
    }

    /// Who is asking.
    ///
    /// # Errors
    ///
    /// Nobody has logged in yet.
    pub(super) fn caller(&self) -> Result<&Caller, Failure> {
        self.caller.get().ok_or_else(|| {
            let message = "the client has not logged in";
            Failure::new(ErrorCode::AUTHENTICATE_EXCEPTION, message)
        })
    }

    /// The IP address of the client.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Notes who is asking. The first login stands.
    pub(super) fn log_in(&self, principal: Principal) {
        let _ = self.caller.set(Caller::new(principal, self.host.clone()));
    }

    /// What a handler needs to know.
    pub(super) fn context(&self) -> Result<Context<'_>, Failure> {
        Ok(Context {
            node: &self.node.admin,
            caller: self.caller()?,
            address: &self.address,
        })
    }

    /// Sends an answer. The memory of its room is given back once the client has taken it.
    pub(super) fn send(
        &self,
        header: ResponseHeader,
        message: &impl Message,
        urgent: bool,
        room: Option<Room>,
    ) {
        let sent = frame::encode(&header, message, usize::MAX)
            .map_err(|error| error.to_string())
            .and_then(|mut frame| {
                if let Some(mut room) = room
                    && self.is_remote
                {
                    room.shrink(frame.remaining());
                    frame.hold(room);
                }
                self.outbox.send(frame, urgent).map_err(|error| error.to_string())
            });
        if let Err(reason) = sent {
            debug!(target: crate::TARGET, reason, "connection closed");
            self.outbox.close();
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        if let Some(tasks) = &mut *tasks {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// Takes no more requests, and gives up what goes on beside.
    pub(super) fn end(&self) {
        self.outbox.close();
        self.owner.end();
        self.node.scans.end_of(self.owner.id());
        let tasks = self.tasks.lock().take();
        drop(tasks);
    }
}
