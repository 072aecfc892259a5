//! A stream with its task, or the client's end of a connection within the process, before anything is known about
//! the server.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use prost::Message;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::connector::{ByteStream, Reader};
use super::inbox::Inbox;
use super::meter::Traffic;
use super::outbox::Outbox;
use super::pending::{Pending, Registered};
use super::{ConnectOptions, Disconnect, InProcess, OnLoss, Receive, RequestError, ServerAddress};
use crate::api::Request;
use crate::frame::{self, FrameError, LENGTH_BYTES, check_length};
use crate::header::{RequestHeader, ResponseHeader};
use crate::proto::ErrorResponse;

/// The length field, the type and the request id of a response.
const RESPONSE_HEAD_BYTES: usize = LENGTH_BYTES + 5;

/// How long the beginning of a response that cannot be read may take to arrive.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// How long is read what a server has said before it hung up, once nothing can be written to it any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Link {
    pub(super) server: ServerAddress,
    pub(super) pending: Pending,
    pub(super) traffic: Traffic,
    /// Whether hands were shaken: from then on somebody relies on the connection.
    ready: AtomicBool,
    heard: Arc<Heard>,
    outbox: Outbox,
    max_request_bytes: usize,
    max_response_bytes: usize,
    /// Whether others can read what is sent, so that no password is.
    keeps_passwords: bool,
    closed: watch::Sender<bool>,
    on_loss: OnLoss,
}

impl Link {
    /// Starts the task. It runs until the link is closed.
    pub(super) fn start(
        stream: ByteStream,
        server: ServerAddress,
        options: &ConnectOptions,
        keeps_passwords: bool,
    ) -> Arc<Self> {
        let outbox = Outbox::new(stream.writer);
        let link = Self::new(outbox, Heard::far(), server, options, keeps_passwords);
        let reader: Reader = Box::new(Listener {
            reader: stream.reader,
            heard: link.heard.clone(),
        });
        tokio::spawn(run(link.clone(), Inbox::new(reader, options.max_response_bytes)));
        link
    }

    /// Leads to a server in this process. There is no task.
    pub(super) fn dial(
        process: &dyn InProcess,
        server: ServerAddress,
        options: &ConnectOptions,
    ) -> Arc<Self> {
        let link = Self::new(Outbox::unknown(), Heard::near(), server, options, false);
        link.outbox.lead_to(process.dial(&link.server, link.clone()));
        link
    }

    fn new(
        outbox: Outbox,
        heard: Heard,
        server: ServerAddress,
        options: &ConnectOptions,
        keeps_passwords: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            traffic: Traffic::of(&options.owner, &server),
            server,
            pending: Pending::new(),
            ready: AtomicBool::new(false),
            heard: Arc::new(heard),
            outbox,
            max_request_bytes: options.max_request_bytes,
            max_response_bytes: options.max_response_bytes,
            keeps_passwords,
            closed: watch::Sender::new(false),
            on_loss: options.on_loss.clone(),
        })
    }

    /// Queues a request at once, and returns the place at which to wait for its answer.
    pub(super) fn send<R: Request>(
        self: &Arc<Self>,
        api_version: i16,
        request: &R,
    ) -> Result<Waiting, RequestError> {
        if self.keeps_passwords && R::API.has_password() {
            return Err(RequestError::PasswordInClear { api: R::API });
        }
        let registered = self
            .pending
            .register()
            .map_err(|reason| RequestError::Disconnected { reason })?;
        let (request_id, alone) = (registered.request_id, registered.alone);
        let waiting = Waiting {
            link: self.clone(),
            registered,
        };
        let header = RequestHeader {
            api_key: R::API.number(),
            api_version,
            request_id,
        };
        let frame = frame::encode(&header, request, self.max_request_bytes)?;
        self.traffic.sent.increment(frame.remaining() as u64);
        if let Err(error) = self.outbox.send(frame, alone) {
            self.close(&error.into());
        }
        Ok(waiting)
    }

    /// Ends the task and fails all requests. The first reason stays.
    pub(super) fn close(&self, reason: &Disconnect) {
        let Some(waiting) = self.pending.close(reason) else {
            return;
        };
        self.tell(reason);
        self.outbox.close();
        self.closed.send_replace(true);
        waiting.fail(reason);
    }

    /// How often something has come from the server: if it is the same later, nothing has meanwhile.
    pub(super) fn heard(&self) -> u64 {
        self.heard.times.load(Ordering::Relaxed)
    }

    /// For how long nothing has come from the server, if nobody waits for it.
    pub(super) fn idle(&self) -> Duration {
        if self.pending.is_empty() {
            self.heard.silence()
        } else {
            Duration::ZERO
        }
    }

    /// Takes note that somebody relies on the connection.
    pub(super) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    fn tell(&self, reason: &Disconnect) {
        let wanted = matches!(reason, Disconnect::Closed | Disconnect::Stopped);
        if wanted || !self.ready.load(Ordering::Relaxed) {
            debug!(target: crate::TARGET, server = %self.server, %reason, "connection closed");
        } else {
            self.traffic.lost.increment(1);
            self.on_loss.tell(&self.server);
            warn!(target: crate::TARGET, server = %self.server, %reason, "connection lost");
        }
    }

    pub(super) async fn closed(&self) {
        // The sender lives as long as `self`.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Hands a frame to whom it is for.
    fn dispatch(&self, mut frame: Bytes) -> Result<(), Disconnect> {
        self.traffic
            .received
            .increment((LENGTH_BYTES + frame.len()) as u64);
        let header = ResponseHeader::decode(&mut frame)?;
        match header {
            ResponseHeader::Success { request_id } | ResponseHeader::Error { request_id } => {
                self.pending.complete(request_id, Ok((header, frame)));
                Ok(())
            }
            ResponseHeader::ServerFailure => Err(Disconnect::from_response(
                ErrorResponse::decode(frame).unwrap_or_else(|_| unexplained()),
            )),
        }
    }

    /// Tells the request whose response is too large that this is so: the others have only lost their connection. `head` is
    /// the beginning of the response.
    fn answer_with(&self, mut head: Bytes, error: &FrameError) {
        if let Ok(ResponseHeader::Success { request_id } | ResponseHeader::Error { request_id }) =
            ResponseHeader::decode(&mut head)
        {
            self.pending.complete(request_id, Err(error.clone().into()));
        }
    }
}

impl Receive for Link {
    fn receive(&self, frame: Bytes) {
        self.heard.times.fetch_add(1, Ordering::Relaxed);
        let taken = match check_length(frame.len(), self.max_response_bytes) {
            Ok(_) => self.dispatch(frame),
            Err(error) => {
                self.answer_with(frame, &error);
                Err(error.into())
            }
        };
        if let Err(reason) = taken {
            self.close(&reason);
        }
    }

    fn end(&self) {
        self.close(&Disconnect::ClosedByServer);
    }
}

/// How often something has come from a server, be it only a part of a frame, and when it was the last time.
#[derive(Default)]
struct Heard {
    times: AtomicU64,
    /// When it began, of a server to which there is a way that can be lost.
    since: Option<Instant>,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Heard {
    /// Of a server in another process.
    fn far() -> Self {
        Self {
            since: Some(Instant::now()),
            ..Self::default()
        }
    }

    /// Of a server in this process.
    fn near() -> Self {
        Self::default()
    }

    fn elapsed(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn note(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.last
            .store(self.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.elapsed().saturating_sub(last)
    }
}

/// Takes note of what comes.
struct Listener {
    reader: Reader,
    heard: Arc<Heard>,
}

impl AsyncRead for Listener {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.reader).poll_read(cx, buf);
        if read.is_ready() {
            self.heard.note();
        }
        read
    }
}

/// A failure whose explanation cannot be read.
fn unexplained() -> ErrorResponse {
    ErrorResponse {
        error_code: -1,
        error_message: None,
    }
}

/// A request that was sent. Dropping it gives the place back; an answer that still comes is then passed over.
pub(super) struct Waiting {
    link: Arc<Link>,
    registered: Registered,
}

impl Waiting {
    pub(super) async fn answer<R: Request>(mut self) -> Result<R::Response, RequestError> {
        let stopped = |_| RequestError::Disconnected {
            reason: Disconnect::Stopped,
        };
        let (header, body) = (&mut self.registered.answer).await.map_err(stopped)??;
        let malformed = |error: prost::DecodeError| RequestError::Malformed {
            api: R::API,
            source: error.into(),
        };
        match header {
            ResponseHeader::Success { .. } => R::Response::decode(body).map_err(malformed),
            _ => Err(RequestError::from_response(
                ErrorResponse::decode(body).map_err(malformed)?,
            )),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.link.pending.forget(self.registered.request_id);
    }
}

/// Closes the link when its task ends, in whatever way.
struct CloseOnDrop(Arc<Link>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(&Disconnect::Stopped);
    }
}

/// Reads what comes, and writes what the senders have left. One task does both: each one more is a thread to be woken when
/// a connection begins, and there is little to write while much is read, or the other way round.
async fn run(link: Arc<Link>, inbox: Inbox<Reader>) {
    let guard = CloseOnDrop(link);
    let link = &guard.0;
    let mut reading = pin!(read(link, inbox));
    tokio::select! {
        reason = &mut reading => link.close(&reason),
        Err(error) = link.outbox.run() => {
            let said = timeout(LAST_WORDS, reading).await.ok().filter(Disconnect::says_why);
            link.close(&said.unwrap_or_else(|| error.into()));
        }
        () = link.closed() => {}
    }
}

/// Reads and dispatches frames until the stream ends or fails.
async fn read(link: &Link, mut inbox: Inbox<Reader>) -> Disconnect {
    let mut has_spoken = false;
    loop {
        let frame = match inbox.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Disconnect::ClosedByServer,
            Err(_) if !has_spoken && inbox.begins_with_tls_alert() => return Disconnect::SpeaksTls,
            Err(reason) => {
                if let Disconnect::Frame(error) = &reason
                    && let Ok(Some(head)) = timeout(HEAD_PATIENCE, inbox.head(RESPONSE_HEAD_BYTES)).await
                {
                    link.answer_with(head.slice(LENGTH_BYTES..), error);
                }
                return reason;
            }
        };
        has_spoken = true;
        if let Err(reason) = link.dispatch(frame) {
            return reason;
        }
    }
}
