//! One connection of a client: frames in, answers out.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame::{self, FrameError};
use fluss_rpc::header::{RequestHeader, ResponseHeader};
use fluss_rpc::net::{Disconnect, Inbox, Outbox, Receive};
use fluss_rpc::proto;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::admin::{Address, Context};
use super::desk::Desk;
use super::dispatch;
use crate::error::Failure;
use crate::node::Shared;
use crate::security::{Caller, Principal};
use crate::trouble::warn_of;

/// A client that does not read its answers gets no more of them than this, in bytes.
const BACKLOG_BYTES: usize = 64 << 20;

/// A write of more than this many bytes takes long enough to be done on a thread of its own.
const LARGE_WRITE_BYTES: usize = 32 << 10;

/// A look-up of more than this many bytes of keys takes long enough to be done on a thread of its own.
const LARGE_LOOKUP_BYTES: usize = 16 << 10;

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
    outbox: Outbox,
    /// Writes, which are done one after the other: the next number of a writer counts on the one before.
    writes: mpsc::UnboundedSender<Write>,
    /// What goes on beside the reading of further requests, until the connection ends: nothing then.
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// A write that waits for its turn.
pub(super) struct Write {
    pub(super) bytes: usize,
    pub(super) run: Box<dyn FnOnce() + Send>,
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
        let (session, writing) = Self::new(node, Outbox::new(Box::new(writer)), peer);
        let inbox = Inbox::new(reader, session.node.limits.request_bytes);
        Self::run(EndOnDrop(session.clone()), session.read(inbox), writing).await;
    }

    /// Serves a client in the same process, and returns what takes its requests. Called on a tokio runtime.
    pub(crate) fn attend(node: Arc<Shared>, client: Arc<dyn Receive>, peer: Peer) -> Arc<dyn Receive> {
        let (session, writes) = Self::new(node, Outbox::to(client), peer);
        let (desk, queue) = Desk::new(&session);
        let end = EndOnDrop(session.clone());
        tokio::spawn(async move { Self::run(end, queue.work_off(&session), writes).await });
        Arc::new(desk)
    }

    fn new(node: Arc<Shared>, outbox: Outbox, peer: Peer) -> (Arc<Self>, mpsc::UnboundedReceiver<Write>) {
        let (sender, writes) = mpsc::unbounded_channel();
        let session = Self {
            caller: peer.caller.map_or_else(OnceLock::new, OnceLock::from),
            host: peer.host,
            address: peer.address,
            outbox,
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
            () = do_in_turn(writes) => Ok(()),
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
        memory: Option<OwnedSemaphorePermit>,
        alone: bool,
    ) -> Result<(), Disconnect> {
        let header = RequestHeader::decode(&mut frame)?;
        dispatch::dispatch(Call {
            session: self.clone(),
            header,
            body: frame,
            alone,
            _memory: memory,
        });
        Ok(())
    }

    fn login_deadline(&self, began: Instant) -> Instant {
        let allowed = match self.caller.get() {
            None => self.node.limits.login,
            Some(_) => FAR_FUTURE,
        };
        began + allowed
    }

    /// The next frame, and the memory that it may hold until it is answered.
    async fn next_frame<R: AsyncRead + Unpin>(
        &self,
        inbox: &mut Inbox<R>,
    ) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, Disconnect> {
        let Some(bytes) = inbox.next_bytes().await? else {
            return Ok(None);
        };
        let memory = self.node.memory_for(bytes).await;
        Ok(inbox.next().await?.map(|frame| (frame, memory)))
    }

    /// Tells why nothing more is read from this connection, if the client is to blame.
    pub(super) fn blame(&self, reason: &Disconnect) -> bool {
        let Disconnect::Frame(error @ FrameError::TooLarge { .. }) = reason else {
            return false;
        };
        let failure = Failure::new(ErrorCode::RECORD_TOO_LARGE, error.to_string());
        self.send(
            ResponseHeader::ServerFailure,
            &proto::ErrorResponse::from(failure),
            true,
        );
        true
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

    fn send(&self, header: ResponseHeader, message: &impl Message, urgent: bool) {
        let sent = frame::encode(&header, message, usize::MAX)
            .map_err(|error| error.to_string())
            .and_then(|frame| self.outbox.send(frame, urgent).map_err(|error| error.to_string()));
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
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(tasks);
    }
}

/// Does writes in the order in which they came.
async fn do_in_turn(mut queue: mpsc::UnboundedReceiver<Write>) {
    while let Some(write) = queue.recv().await {
        if write.bytes <= LARGE_WRITE_BYTES {
            (write.run)();
        } else if tokio::task::spawn_blocking(write.run).await.is_err() {
            return;
        }
    }
}

/// A request, and all that is needed to answer it.
pub(super) struct Call {
    pub(super) session: Arc<Session>,
    pub(super) header: RequestHeader,
    pub(super) body: Bytes,
    /// Whether nothing came behind it, so that the answer need not wait for others.
    alone: bool,
    /// Given back when the request is answered.
    _memory: Option<OwnedSemaphorePermit>,
}

impl Call {
    pub(super) fn api(&self) -> Option<ApiKey> {
        ApiKey::from_number(self.header.api_key)
    }

    /// Answers right here: for what takes microseconds.
    pub(super) fn quick<R: Request>(self, handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure>) {
        let result = self.request().and_then(|request| handle(&self.session, request));
        self.answer(result);
    }

    /// Answers from a thread of its own: for what waits for a disk or takes long on purpose.
    pub(super) fn slow<R: Request>(
        self,
        handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        tokio::task::spawn_blocking(move || self.quick(handle));
    }

    /// Answers right here, unless the request has so many keys that it is worth a thread of its own, or writes.
    pub(super) fn look_up(
        self,
        handle: fn(&Session, proto::LookupRequest) -> Result<proto::LookupResponse, Failure>,
    ) {
        match self.request::<proto::LookupRequest>() {
            Ok(request) if request.insert_if_not_exists() => self.write(handle),
            Ok(_) if self.body.len() > LARGE_LOOKUP_BYTES => self.slow(handle),
            Ok(request) => {
                let result = handle(&self.session, request);
                self.answer(result);
            }
            Err(failure) => self.refuse(failure),
        }
    }

    /// Answers in the order of the requests that write.
    pub(super) fn write<R: Request>(
        self,
        handle: impl FnOnce(&Session, R) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        let session = self.session.clone();
        let write = Write {
            bytes: if session.node.writes_wait() {
                usize::MAX
            } else {
                self.body.len()
            },
            run: Box::new(move || self.quick(handle)),
        };
        // Nobody takes turns any more only when the connection has ended.
        let _ = session.writes.send(write);
    }

    /// Answers when there is something to say, while other requests are answered.
    pub(super) fn wait<R, F>(self, handle: impl FnOnce(Arc<Session>, R) -> F + Send + 'static)
    where
        R: Request,
        F: Future<Output = Result<R::Response, Failure>> + Send + 'static,
    {
        let session = self.session.clone();
        let session_of_task = session.clone();
        session.spawn(async move {
            let result = match self.request() {
                Ok(request) => handle(session_of_task, request).await,
                Err(failure) => Err(failure),
            };
            self.answer(result);
        });
    }

    /// Refuses the request.
    pub(super) fn refuse(self, failure: Failure) {
        self.answer(Err::<proto::ErrorResponse, _>(failure));
    }

    fn request<R: Request>(&self) -> Result<R, Failure> {
        R::decode(self.body.clone()).map_err(|error| {
            let message = format!("{} cannot be read: {error}", R::API);
            Failure::new(ErrorCode::UNKNOWN_SERVER_ERROR, message)
        })
    }

    fn answer<M: Message>(self, result: Result<M, Failure>) {
        let request_id = self.header.request_id;
        match result {
            Ok(message) => {
                let header = ResponseHeader::Success { request_id };
                self.session.send(header, &message, self.alone);
            }
            Err(failure) => {
                debug!(api = self.header.api_key, %failure, "request refused");
                warn_of(&failure);
                let header = ResponseHeader::Error { request_id };
                let message = proto::ErrorResponse::from(failure);
                self.session.send(header, &message, self.alone);
            }
        }
    }
}
