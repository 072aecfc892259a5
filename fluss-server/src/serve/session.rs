//! A connection as its handlers see it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Buf;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame::{self, FrameError};
use fluss_rpc::header::ResponseHeader;
use fluss_rpc::net::{Disconnect, Outbox};
use fluss_rpc::proto;
use fluss_rpc::sync::Mutex;
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::debug;

use super::admin::{Address, Context};
use super::identity::Identity;
use super::memory::Room;
use super::owner::Owner;
use super::shared::Shared;
use super::turn::Write;
use crate::error::Failure;
use crate::security::{Caller, Hashed, Known, Principal};

/// What a connection came by.
pub(crate) struct Peer {
    /// Where clients that came this way find the node.
    pub(crate) address: Address,
    /// Who is asking; nobody yet, if they have to log in first.
    pub(crate) identity: Option<Identity>,
    /// The IP address of the client.
    pub(crate) host: String,
}

impl Peer {
    /// A client that has to log in, if the node asks for that. If not, it is the user that the common name of its certificate names, or
    /// nobody in particular.
    pub(crate) fn stranger(node: &Shared, address: Address, host: String, name: Option<String>) -> Self {
        Self {
            address,
            identity: (!node.admin.asks_for_login()).then(|| {
                let principal = name.map_or_else(Principal::anonymous, Principal::user);
                Identity::not_asked(Caller::new(principal, host.clone()))
            }),
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
    identity: OnceLock<Identity>,
    host: String,
    pub(super) owner: Owner,
    pub(super) outbox: Outbox,
    /// Whether the client is another process, so that answers take memory until it has read them.
    is_remote: bool,
    /// Held by an attempt to log in, or a change of a password.
    pub(super) first: Arc<Semaphore>,
    /// How many requests are under way.
    pub(super) under_way: Arc<AtomicUsize>,
    /// Writes, which are done one after the other: the next number of a writer counts on the one before.
    pub(super) writes: mpsc::UnboundedSender<Write>,
    /// What goes on beside the reading of further requests, until the connection ends: nothing then.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl Session {
    /// Takes note of what the client calls itself. One that was given a name is told of, by `connection-name`.
    pub(super) fn introduced(&self, software: &str) {
        const MOST_CHARS: usize = 200;
        let name = software
            .split_once(" (")
            .and_then(|(_, name)| name.strip_suffix(')'));
        let Some(name) = name else {
            return;
        };
        let name: String = name.chars().take(MOST_CHARS).collect();
        tracing::info!(target: crate::TARGET, client = %self.host, ?name, "connected");
    }

    /// A connection that sends to an outbox, and the writes that are to be done in turn.
    pub(super) fn new(
        node: Arc<Shared>,
        (outbox, is_remote): (Outbox, bool),
        peer: Peer,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Write>) {
        let (sender, writes) = mpsc::unbounded_channel();
        let session = Self {
            identity: peer.identity.map_or_else(OnceLock::new, OnceLock::from),
            host: peer.host,
            owner: Owner::new(node.sessions.fetch_add(1, Ordering::Relaxed)),
            address: peer.address,
            outbox,
            is_remote,
            first: Arc::new(Semaphore::new(1)),
            under_way: Arc::default(),
            writes: sender,
            tasks: Mutex::new(Some(JoinSet::new())),
            node,
        };
        (Arc::new(session), writes)
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
    pub(super) fn give_up(&self, failure: Failure) {
        let message = proto::ErrorResponse::from(failure);
        self.send(ResponseHeader::ServerFailure, &message, true, None);
    }

    /// Who is asking.
    ///
    /// # Errors
    ///
    /// Nobody has logged in yet, or the login does not hold any more.
    pub(super) fn caller(&self) -> Result<&Caller, Failure> {
        let identity = self.identity.get().ok_or_else(|| {
            let message = "the client has not logged in";
            Failure::new(ErrorCode::AUTHENTICATE_EXCEPTION, message)
        })?;
        identity.check(&self.node.admin)
    }

    /// Whether it was ever known who is asking.
    pub(super) fn is_known(&self) -> bool {
        self.identity.get().is_some()
    }

    /// Waits until it does not hold any more who was asking, and tells the client.
    pub(super) async fn disowned(&self) {
        let mut changes = self.node.admin.users_changed.subscribe();
        loop {
            if let Some(Err(failure)) = self.identity.get().map(|known| known.check(&self.node.admin)) {
                self.give_up(failure);
                self.outbox.has_room(1).await;
                return;
            }
            if changes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// The IP address of the client.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Notes who is asking. The first login stands.
    ///
    /// # Errors
    ///
    /// The user was dropped, or got another password, since the password was checked.
    pub(super) fn log_in(&self, known: Known) -> Result<(), Failure> {
        let _ = self.identity.set(Identity::logged_in(known, &self.host));
        self.caller().map(drop)
    }

    /// Lets the caller have this password, too, which it is about to give itself.
    pub(super) fn expect(&self, hash: &Hashed) {
        if let Some(identity) = self.identity.get() {
            identity.expect(hash, &self.node.admin);
        }
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
