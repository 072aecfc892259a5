//! Connections of other processes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::frame;
use fluss_rpc::header::ResponseHeader;
use fluss_rpc::proto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::admin::Address;
use super::places::Full;
use super::session::{Peer, Session};
use super::shared::Shared;
use crate::disk::is_exhausted;
use crate::error::Failure;
use crate::security::{Caller, Principal};
use crate::told::Told;

/// How long nobody is accepted after that has failed, and at most after it has failed again and again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How many clients are told at a time why they are turned away; others just are.
const FAREWELLS: usize = 64;

/// How long a client may take to hear that.
const FAREWELL: Duration = Duration::from_secs(1);

/// Accepts connections until the node closes, and serves each.
pub(crate) async fn listen(node: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut sessions = JoinSet::new();
    let mut door = Door {
        address,
        farewells: Arc::new(Semaphore::new(FAREWELLS)),
        full: Told::default(),
    };
    let (mut obstacle, mut pause) = (Obstacle::default(), FIRST_PAUSE);
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
                door.admit(&node, stream, client, &mut sessions);
            }
            // A file that nobody uses makes way for somebody who comes.
            Err(error) if is_exhausted(&error) && close_one(&node) => {}
            Err(error) => {
                obstacle.tell(&error);
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

fn close_one(node: &Shared) -> bool {
    node.open_files.as_ref().is_some_and(|files| files.close_one())
}

/// Why connections are not accepted.
#[derive(Default)]
struct Obstacle {
    cause: Option<i32>,
    told: Told,
}

impl Obstacle {
    fn tell(&mut self, error: &io::Error) {
        if self.cause != error.raw_os_error() {
            *self = Self {
                cause: error.raw_os_error(),
                told: Told::default(),
            };
        }
        if let Some(times) = self.told.again(Instant::now()) {
            warn!(target: crate::TARGET, %error, times, "connections are not accepted");
        }
    }
}

/// Where clients come in.
struct Door {
    address: SocketAddr,
    farewells: Arc<Semaphore>,
    full: Told,
}

impl Door {
    fn admit(
        &mut self,
        node: &Arc<Shared>,
        stream: TcpStream,
        client: SocketAddr,
        sessions: &mut JoinSet<()>,
    ) {
        let place = match node.places.take(client.ip()) {
            Ok(place) => place,
            Err(full) => return self.turn_away(stream, client, full, sessions),
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!(target: crate::TARGET, %error, "connection closed");
            return;
        }
        let peer = self.peer(node, client);
        let node = node.clone();
        sessions.spawn(async move {
            Session::serve(node, stream, peer).await;
            drop(place);
        });
    }

    fn peer(&self, node: &Shared, client: SocketAddr) -> Peer {
        let address = match &node.advertised {
            Some(advertised) => Address {
                host: advertised.host.clone(),
                port: advertised.port,
            },
            None => Address {
                host: self.address.ip().to_string(),
                port: self.address.port(),
            },
        };
        let host = client.ip().to_string();
        Peer {
            address,
            caller: match node.users {
                Some(_) => None,
                None => Some(Caller::new(Principal::anonymous(), host.clone())),
            },
            host,
        }
    }

    fn turn_away(&mut self, stream: TcpStream, client: SocketAddr, full: Full, sessions: &mut JoinSet<()>) {
        if let Some(times) = self.full.again(Instant::now()) {
            warn!(target: crate::TARGET, client = %client.ip(), reason = %full, times, "a connection was turned away");
        }
        if let Ok(turn) = self.farewells.clone().try_acquire_owned() {
            sessions.spawn(async move {
                // Whoever does not listen is not waited for.
                let _ = timeout(FAREWELL, say_farewell(stream, full)).await;
                drop(turn);
            });
        }
    }
}

/// Tells a client why it is turned away, and reads what it has to say until it is gone: closed before, the connection would
/// lose what it was told.
async fn say_farewell(mut stream: TcpStream, full: Full) -> io::Result<()> {
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
