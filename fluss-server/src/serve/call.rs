//! One request, from its frame to its answer: where it is handled, in which turn, and how it gets room for its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fluss_rpc::api::{ApiKey, Request};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::header::{HeaderError, RequestHeader, ResponseHeader};
use fluss_rpc::proto;
use prost::Message;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

use super::memory::{Held, Memory, Room};
use super::scans;
use super::session::Session;
use super::storage_warning::warn_of_storage;
use super::turn::Write;
use super::writes::{ApiVersion, Put};
use crate::error::Failure;

/// A request that reads, of more than this many bytes, takes long enough to be done on a thread of its own.
const LARGE_READ_BYTES: usize = 16 << 10;

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
    /// The request in a frame. `alone` says whether nothing came behind it; `memory` is what the frame holds.
    pub(super) fn read_from(
        mut frame: Bytes,
        session: Arc<Session>,
        memory: Held,
        alone: bool,
    ) -> Result<Self, HeaderError> {
        let header = RequestHeader::decode(&mut frame)?;
        let api = ApiKey::from_number(header.api_key);
        Ok(Self {
            entries: api.map_or(0, |api| api.entries(&frame)),
            header,
            body: frame,
            alone,
            _under_way: UnderWay::new(&session.under_way),
            _memory: memory,
            session,
        })
    }

    /// Why it lists more than is taken, if so.
    pub(super) fn excess(&self) -> Option<Failure> {
        let most = self.session.node.limits.entries;
        (self.entries > most).then(|| {
            let message = format!(
                "the request lists {} buckets, keys and the like; at most {most} are taken (max.request-entries)",
                self.entries
            );
            Failure::new(ErrorCode::RECORD_TOO_LARGE, message)
        })
    }

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
        handle: impl FnOnce(&Session, R, ApiVersion) -> Result<R::Response, Failure> + Send + 'static,
    ) {
        let (mut handle, version) = (Some(handle), self.header.api_version);
        self.in_turn(move |call, room| {
            let handle = handle.take()?;
            call.once(room, move |session, request| handle(session, request, version));
            None
        });
    }

    /// As [`write`](Self::write), for what goes on where it was when there was no room for what it changes.
    pub(super) fn put(self, begin: fn(&Session, proto::PutKvRequest, ApiVersion) -> Result<Put, Failure>) {
        let version = self.header.api_version;
        let begin = |request| begin(&self.session, request, version);
        let mut put = match self.request().and_then(begin) {
            Ok(put) => put,
            // In its turn too.
            Err(failure) => return self.write(move |_, _: proto::PutKvRequest, _| Err(failure)),
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
            bytes: if session.node.writes_wait {
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

    /// Answers before anything else is read from the connection: for what takes long on purpose, of which a client has one at a
    /// time.
    pub(super) fn first<R, F>(self, handle: impl FnOnce(Arc<Session>, R) -> F + Send + 'static)
    where
        R: Request,
        F: Future<Output = Result<R::Response, Failure>> + Send + 'static,
    {
        // Nobody else has it: it is waited for before a frame is read.
        let turn: Option<OwnedSemaphorePermit> = self.session.first.clone().try_acquire_owned().ok();
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
                debug!(target: crate::TARGET, api = self.header.api_key, %failure, "request refused");
                warn_of_storage(&failure);
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
