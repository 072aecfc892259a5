//! One connection of a client: frames in, answers out.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame::{self, FrameError};
use fluss_rpc::header::{RequestHeader, ResponseHeader};
use fluss_rpc::net::{Disconnect, Inbox, Outbox, Receive};
use fluss_rpc::proto;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::admin::{Address, Context};
use super::desk::Desk;
use super::dispatch;
use super::memory::{Held, Memory, Room};
use super::scans;
use super::writes::Put;
use crate::error::Failure;
use crate::node::Shared;
use crate::security::{Caller, Principal};
use crate::trouble::warn_of;

/// A client that does not read its answers gets no more of them than this, in bytes.
const BACKLOG_BYTES: usize = 16 << 20;

/// The largest frame of a client that has not logged in: what it may say before is small.
const LOGIN_FRAME_BYTES: usize = 64 << 10;

/// How much memory is taken for a frame of which no more than the length has arrived; beyond it, twice of what has.
const FIRST_BYTES: usize = 64 << 10;

/// A frame has some time, and a second more for so many bytes.
const SLOWEST_BYTES_A_SECOND: usize = 1 << 20;

/// A write of more than this many bytes takes long enough to be done on a thread of its own.
const LARGE_WRITE_BYTES: usize = 32 << 10;

/// A request that reads, of more than this many bytes, takes long enough to be done on a thread of its own.
const LARGE_READ_BYTES: usize = 16 << 10;

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

/// A connection as its handlers see it.
pub(crate) struct Session {
    pub(super) node: Arc<Shared>,
    /// Where clients are told that the node is.
    address: Address,
    /// Who is asking, once that is known.
    caller: OnceLock<Caller>,
    host: String,
    pub(super) owner: Owner,
    outbox: Outbox,
    /// Whether the client is another process, so that answers take memory until it has read them.
    is_remote: bool,
    /// Held by an attempt to log in.
    login: Arc<Semaphore>,
    /// How many requests are under way.
    under_way: Arc<AtomicUsize>,
    /// Writes, which are done one after the other: the next number of a writer counts on the one before.
    writes: mpsc::UnboundedSender<Write>,
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

/// A write that waits for its turn.
pub(super) struct Write {
    bytes: usize,
    /// What is set aside for the answer.
    room: usize,
    run: Box<dyn FnMut(Room) -> Done + Send>,
}

/// What becomes of a write: nothing more, or it goes on once there is so much room.
type Done = Option<usize>;

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
    pub(crate) fn attend(node: Arc<Shared>, client: Arc<dyn Receive>, peer: Peer) -> Arc<dyn Receive> {
        let (session, writes) = Self::new(node, (Outbox::to(client), false), peer);
        let (desk, queue) = Desk::new(&session);
        let end = EndOnDrop(session.clone());
        tokio::spawn(async move { Self::run(end, queue.work_off(&session), writes).await });
        Arc::new(desk)
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
                debug!("connection closed, as the client takes nothing");
                Ok(())
            }
            () = do_in_turn(writes, &session.node.memory) => Ok(()),
            () = session.node.closing.cancelled() => Ok(()),
        };
        if let Err(reason) = ended {
            debug!(%reason, "connection closed");
        }
    }

    async fn read<R: AsyncRead + Unpin>(self: &Arc<Self>, mut inbox: Inbox<R>) -> Result<(), Disconnect> {
        let began = Instant::now();
        loop {
            self.outbox.has_room(BACKLOG_BYTES).await;
            // Who proves who it is does so in one attempt at a time.
            drop(self.login.acquire().await);
            let deadline = self.login_deadline(began);
            // Nobody holds a place without saying who it is.
            let frame = timeout_at(deadline, self.next_frame(&mut inbox)).await;
            let (frame, memory) = match frame.unwrap_or(Ok(None)) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(reason) => {
                    if self.blame(&reason) {
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
    pub(super) fn begin(
        self: &Arc<Self>,
        mut frame: Bytes,
        memory: Held,
        alone: bool,
    ) -> Result<(), Disconnect> {
        let header = RequestHeader::decode(&mut frame)?;
        let api = ApiKey::from_number(header.api_key);
        let call = Call {
            entries: api.map_or(0, |api| api.entries(&frame)),
            session: self.clone(),
            header,
            body: frame,
            alone,
            _under_way: UnderWay::new(&self.under_way),
            _memory: memory,
        };
        let most = self.node.limits.entries;
        if call.entries > most {
            let message = format!(
                "the request lists {} buckets, keys and the like; at most {most} are taken (max.request-entries)",
                call.entries
            );
            call.refuse(Failure::new(ErrorCode::RECORD_TOO_LARGE, message));
        } else {
            dispatch::dispatch(call);
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
                    debug!("connection closed, as it was idle");
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

    /// Tells why nothing more is read from this connection, if the client is to blame.
    pub(super) fn blame(&self, reason: &Disconnect) -> bool {
        let Disconnect::Frame(error @ FrameError::TooLarge { .. }) = reason else {
            return false;
        };
        self.give_up(Failure::new(ErrorCode::RECORD_TOO_LARGE, error.to_string()));
        true
    }

    /// Tells why the connection ends.
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
    fn send(&self, header: ResponseHeader, message: &impl Message, urgent: bool, room: Option<Room>) {
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
            debug!(reason, "connection closed");
            self.outbox.close();
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
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
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(tasks);
    }
}

/// Does writes in the order in which they came.
async fn do_in_turn(mut queue: mpsc::UnboundedReceiver<Write>, memory: &Memory) {
    while let Some(write) = queue.recv().await {
        let Write {
            bytes,
            mut room,
            mut run,
        } = write;
        loop {
            let taken = memory.room(room).await;
            let done = if bytes <= LARGE_WRITE_BYTES {
                run(taken)
            } else {
                let running = tokio::task::spawn_blocking(move || (run(taken), run));
                let Ok((done, again)) = running.await else {
                    return;
                };
                run = again;
                done
            };
            match done {
                Some(more) => room = more,
                None => break,
            }
        }
    }
}

/// A request, and all that is needed to answer it.
pub(super) struct Call {
    pub(super) session: Arc<Session>,
    pub(super) header: RequestHeader,
    pub(super) body: Bytes,
    /// How much it lists.
    entries: usize,
    /// Whether nothing came behind it, so that the answer need not wait for others.
    alone: bool,
    _under_way: UnderWay,
    /// Given back when the request is answered.
    _memory: Held,
}

/// Counts a request until it is answered.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A request whose answer has no room: how much to wait for, before it is handled again.
struct Short {
    call: Call,
    room: usize,
}

impl Call {
    pub(super) fn api(&self) -> Option<ApiKey> {
        ApiKey::from_number(self.header.api_key)
    }

    /// What is set aside for the answer to begin with.
    fn room(&self) -> usize {
        Memory::set_aside(self.entries)
    }

    /// Answers right here: for what takes microseconds, and changes nothing.
    pub(super) fn quick<R: Request>(
        self,
        handle: impl Fn(&Session, R) -> Result<R::Response, Failure> + Copy + Send + 'static,
    ) {
        self.read(move |session: &Session, request, _: &mut Room| handle(session, request));
    }

    /// As [`quick`](Self::quick), for what takes room for its answer as it finds out what it is. A request that asks for so
    /// much that it is worth a thread of its own gets one.
    pub(super) fn read<R: Request>(
        self,
        handle: impl Fn(&Session, R, &mut Room) -> Result<R::Response, Failure> + Copy + Send + 'static,
    ) {
        if self.body.len() > LARGE_READ_BYTES {
            return self.read_apart(handle);
        }
        let short = match self.session.node.memory.room_now(self.room()) {
            Some(room) => self.fill(room, handle),
            None => Err(Short {
                room: self.room(),
                call: self,
            }),
        };
        if let Err(short) = short {
            short.read(handle);
        }
    }

    /// As [`read`](Self::read), from a thread of its own: for what waits for a disk.
    pub(super) fn read_apart<R: Request>(
        self,
        handle: impl Fn(&Session, R, &mut Room) -> Result<R::Response, Failure> + Copy + Send + 'static,
    ) {
        let room = self.room();
        Short { call: self, room }.read(handle);
    }

    /// Answers from a thread of its own: for what waits for a disk or takes long on purpose, and has a small answer.
    pub(super) fn slow<R: Request>(
        self,
        handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        let room = self.room();
        self.slow_in(room, handle);
    }

    /// As [`slow`](Self::slow), with so much room for the answer.
    pub(super) fn slow_in<R: Request>(
        self,
        room: usize,
        handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        if let Some(room) = self.session.node.memory.room_now(room) {
            tokio::task::spawn_blocking(move || self.once(room, handle));
            return;
        }
        let session = self.session.clone();
        session.spawn(async move {
            let room = self.session.node.memory.room(room).await;
            tokio::task::spawn_blocking(move || self.once(room, handle));
        });
    }

    /// Answers from a thread of its own, with room for the batch that is asked for.
    pub(super) fn scan(
        self,
        handle: fn(&Session, proto::ScanKvRequest) -> Result<proto::ScanKvResponse, Failure>,
    ) {
        match self.request() {
            Ok(request) => {
                let room = self.room() + scans::room(&request);
                self.slow_in(room, handle);
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// As [`read`](Self::read), but in the order of the requests that write if it inserts.
    pub(super) fn look_up(
        self,
        handle: fn(&Session, proto::LookupRequest, &mut Room) -> Result<proto::LookupResponse, Failure>,
    ) {
        match self.request::<proto::LookupRequest>() {
            Ok(request) if request.insert_if_not_exists() => self.in_turn(move |call, room| {
                // The rows that it inserts are there when it is handled again.
                let short = call.fill(room, handle).err()?;
                let room = short.room;
                Some((short.call, room))
            }),
            Ok(_) => self.read(handle),
            Err(failure) => self.refuse(failure),
        }
    }

    /// Answers in the order of the requests that write.
    pub(super) fn write<R: Request>(
        self,
        handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        let mut handle = Some(handle);
        self.in_turn(move |call, room| {
            call.once(room, handle.take()?);
            None
        });
    }

    /// As [`write`](Self::write), for what goes on where it was when there was no room for what it changes.
    pub(super) fn put(self, begin: fn(&Session, proto::PutKvRequest) -> Result<Put, Failure>) {
        let mut put = match self.request().and_then(|request| begin(&self.session, request)) {
            Ok(put) => put,
            // In its turn too.
            Err(failure) => return self.write(move |_, _: proto::PutKvRequest| Err(failure)),
        };
        self.in_turn(move |call, mut room| match put.go_on(&call.session, &mut room) {
            Some(message) => {
                call.answer(Ok(message), room);
                None
            }
            None => Some((call, room.short()?)),
        });
    }

    /// Runs something in the order of the requests that write, and again with as much room as it says.
    fn in_turn(self, mut run: impl FnMut(Self, Room) -> Option<(Self, usize)> + Send + 'static) {
        let session = self.session.clone();
        let (bytes, room) = (self.body.len(), self.room());
        let mut call = Some(self);
        let write = Write {
            bytes: if session.node.writes_wait() {
                usize::MAX
            } else {
                bytes
            },
            room,
            run: Box::new(move |taken| {
                let (again, room) = run(call.take()?, taken)?;
                call = Some(again);
                Some(room)
            }),
        };
        // Nobody takes turns any more only when the connection has ended.
        let _ = session.writes.send(write);
    }

    /// Answers an attempt to log in, before anything else is read from the connection.
    pub(super) fn login<F>(
        self,
        handle: impl FnOnce(Arc<Session>, proto::AuthenticateRequest) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<proto::AuthenticateResponse, Failure>> + Send + 'static,
    {
        // Nobody else has it: it is waited for before a frame is read.
        let turn: Option<OwnedSemaphorePermit> = self.session.login.clone().try_acquire_owned().ok();
        let session = self.session.clone();
        let session_of_task = session.clone();
        session.spawn(async move {
            let _turn = turn;
            let result = match self.request() {
                Ok(request) => handle(session_of_task, request).await,
                Err(failure) => Err(failure),
            };
            self.send(result, None);
        });
    }

    /// Answers when there is something to say, while other requests are answered. The handler gives the room back with the
    /// answer.
    pub(super) fn wait<R, F>(self, handle: impl FnOnce(Arc<Session>, R, Room) -> F + Send + 'static)
    where
        R: Request,
        F: Future<Output = Result<(R::Response, Room), Failure>> + Send + 'static,
    {
        let session = self.session.clone();
        let session_of_task = session.clone();
        session.spawn(async move {
            let room = session_of_task.node.memory.room(self.room()).await;
            let answered = match self.request() {
                Ok(request) => handle(session_of_task, request, room).await,
                Err(failure) => Err(failure),
            };
            match answered {
                Ok((message, room)) => self.answer(Ok(message), room),
                Err(failure) => self.refuse(failure),
            }
        });
    }

    /// Refuses the request.
    pub(super) fn refuse(self, failure: Failure) {
        self.send(Err::<proto::ErrorResponse, _>(failure), None);
    }

    pub(super) fn request<R: Request>(&self) -> Result<R, Failure> {
        R::decode(self.body.clone()).map_err(|error| {
            let message = format!("{} cannot be read: {error}", R::API);
            Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, message)
        })
    }

    /// Handles the request, and answers it if there is room for that.
    fn fill<R: Request>(
        self,
        mut room: Room,
        handle: impl Fn(&Session, R, &mut Room) -> Result<R::Response, Failure>,
    ) -> Result<(), Short> {
        let result = self
            .request()
            .and_then(|request| handle(&self.session, request, &mut room));
        let bytes = result.as_ref().map_or(0, sent_bytes);
        if room.short().is_none() {
            room.covers(bytes);
        }
        if let Some(room) = room.short().filter(|_| !room.is_too_large(bytes)) {
            return Err(Short { call: self, room });
        }
        self.answer(result, room);
        Ok(())
    }

    /// Handles a request that is not to be handled twice, and answers it. What was set aside is enough, or nearly.
    fn once<R: Request>(self, room: Room, handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure>) {
        let result = self.request().and_then(|request| handle(&self.session, request));
        self.answer(result, room);
    }

    fn answer<M: Message>(self, result: Result<M, Failure>, room: Room) {
        let bytes = result.as_ref().map_or(0, sent_bytes);
        let result = if room.is_too_large(bytes) {
            Err(room.refusal())
        } else {
            result
        };
        self.send(result, Some(room));
    }

    fn send<M: Message>(self, result: Result<M, Failure>, room: Option<Room>) {
        let request_id = self.header.request_id;
        match result {
            Ok(message) => {
                let header = ResponseHeader::Success { request_id };
                self.session.send(header, &message, self.alone, room);
            }
            Err(failure) => {
                debug!(api = self.header.api_key, %failure, "request refused");
                warn_of(&failure);
                let header = ResponseHeader::Error { request_id };
                let message = proto::ErrorResponse::from(failure);
                self.session.send(header, &message, self.alone, room);
            }
        }
    }
}

impl Short {
    /// Handles the request again, on a thread of its own, once there is room; and again, as long as there was not enough.
    fn read<R: Request>(
        self,
        handle: impl Fn(&Session, R, &mut Room) -> Result<R::Response, Failure> + Copy + Send + 'static,
    ) {
        let session = self.call.session.clone();
        session.spawn(async move {
            let mut short = self;
            loop {
                let Self { call, room } = short;
                let room = call.session.node.memory.room(room).await;
                match tokio::task::spawn_blocking(move || call.fill(room, handle)).await {
                    Ok(Err(again)) => short = again,
                    _ => return,
                }
            }
        });
    }
}

/// The bytes of an answer on the wire.
fn sent_bytes(message: &impl Message) -> usize {
    const HEAD_BYTES: usize = 9;
    HEAD_BYTES + message.encoded_len()
}
