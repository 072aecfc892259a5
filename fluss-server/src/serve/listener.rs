//! Connections of other processes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Buf;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame;
use fluss_rpc::header::ResponseHeader;
use fluss_rpc::proto;
use fluss_store::disk::is_exhausted;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::admin::Address;
use super::connections::Full;
use super::session::{Peer, Session};
use super::shared::Shared;
use super::tls::Door;
use crate::error::Failure;
use crate::throttle::Throttle;

/// How long nobody is accepted after that has failed, and at most after it has failed again and again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many refused clients are sent the reason at a time; the connections of others are just closed.
const REFUSALS: usize = 64;

/// How long a client may take to read the reason.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// Accepts connections until the node closes, by TLS if there is a door for that, and serves each.
pub(crate) async fn listen(
    node: Arc<Shared>,
    listener: TcpListener,
    address: SocketAddr,
    door: Option<Door>,
) {
    let mut sessions = JoinSet::new();
    let mut acceptor = Acceptor {
        address,
        door,
        refusals: Arc::new(Semaphore::new(REFUSALS)),
        full: Throttle::new(),
    };
    let (mut failure, mut pause) = (AcceptFailure::default(), FIRST_PAUSE);
    let closing = node.closing.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.cancelled() => break,
        };
        while sessions.try_join_next().is_some() {}
        match accepted {
            Ok((stream, client)) => {
                debug!(target: crate::TARGET, %client, "connection opened");
                pause = FIRST_PAUSE;
                acceptor.accept(&node, stream, client, &mut sessions);
            }
            // A file that nobody uses makes way for somebody who comes.
            Err(error) if is_exhausted(&error) && close_idle_file(&node) => {}
            Err(error) => {
                failure.log(&error);
                // Too many open files, for instance: room comes back when a connection ends.
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = closing.cancelled() => break,
                }
                pause = LONGEST_PAUSE.min(2 * pause);
            }
        }
    }
    while sessions.join_next().await.is_some() {}
}

fn close_idle_file(node: &Shared) -> bool {
    node.open_files.as_ref().is_some_and(|files| files.close_one())
}

/// Why connections are not accepted.
#[derive(Default)]
struct AcceptFailure {
    cause: Option<i32>,
    throttle: Throttle,
}

impl AcceptFailure {
    fn log(&mut self, error: &io::Error) {
        if self.cause != error.raw_os_error() {
            *self = Self {
                cause: error.raw_os_error(),
                throttle: Throttle::new(),
            };
        }
        if let Some(times) = self.throttle.count(Instant::now()) {
            warn!(target: crate::TARGET, %error, times, "connections are not accepted");
        }
    }
}

/// Begins to serve those who connect, as far as there is room.
struct Acceptor {
    address: SocketAddr,
    door: Option<Door>,
    refusals: Arc<Semaphore>,
    full: Throttle,
}

impl Acceptor {
    fn accept(
        &mut self,
        node: &Arc<Shared>,
        stream: TcpStream,
        client: SocketAddr,
        sessions: &mut JoinSet<()>,
    ) {
        let permit = match node.connections.admit(client.ip()) {
            Ok(permit) => permit,
            Err(full) => return self.turn_away(stream, client, full, sessions),
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(target: crate::TARGET, %error, "connection closed");
            return;
        }
        let (address, client) = (self.found_at(node), client.ip());
        let (node, door) = (node.clone(), self.door.clone());
        sessions.spawn(async move {
            match door {
                None => {
                    let peer = Peer::stranger(&node, address, client.to_string(), None);
                    Session::serve(node, stream, peer).await;
                }
                Some(door) => {
                    let accepted = tokio::select! {
                        accepted = door.let_in(stream, client, node.limits.login) => accepted,
                        () = node.closing.cancelled() => None,
                    };
                    if let Some(accepted) = accepted {
                        let peer = Peer::stranger(&node, address, client.to_string(), accepted.name);
                        Session::serve(node, accepted.stream, peer).await;
                    }
                }
            }
            drop(permit);
        });
    }

    /// The address at which clients find the node.
    fn found_at(&self, node: &Shared) -> Address {
        match &node.advertised {
            Some(advertised) => Address {
                host: advertised.host.clone(),
                port: advertised.port,
            },
            None => Address {
                host: self.address.ip().to_string(),
                port: self.address.port(),
            },
        }
    }

    fn turn_away(&mut self, stream: TcpStream, client: SocketAddr, full: Full, sessions: &mut JoinSet<()>) {
        if let Some(times) = self.full.count(Instant::now()) {
            warn!(target: crate::TARGET, client = %client.ip(), reason = %full, times, "a connection was turned away");
        }
        if let Ok(turn) = self.refusals.clone().try_acquire_owned() {
            let door = self.door.clone();
            sessions.spawn(async move {
                let refused = async {
                    match door {
                        None => refuse(stream, full).await,
                        Some(door) => refuse(door.answer(stream).await?.stream, full).await,
                    }
                };
                // A client that does not read is not waited for.
                let _ = timeout(REFUSAL_TIMEOUT, refused).await;
                drop(turn);
            });
        }
    }
}

/// Sends a client the reason why it is refused, and reads until it has closed: a connection that is closed with unread bytes
/// would lose the reason.
async fn refuse(mut stream: impl AsyncRead + AsyncWrite + Unpin, full: Full) -> io::Result<()> {
    let failure = Failure::new(ErrorCode::NETWORK_EXCEPTION, full.to_string());
    let message = proto::ErrorResponse::from(failure);
    let frame = frame::encode(&ResponseHeader::ServerFailure, &message, usize::MAX);
    let mut frame = frame.map_err(io::Error::other)?;
    stream.write_all(&frame.copy_to_bytes(frame.remaining())).await?;
    stream.shutdown().await?;
    let mut passed_over = [0; 1_024];
    while stream.read(&mut passed_over).await? > 0 {}
    Ok(())
}
