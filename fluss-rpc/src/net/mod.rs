//! Connections on tokio: those of a client, and the two halves that a server's are made of.
//!
//! ```text
//! send ──▶ Outbox ──(inline when idle, else the task)──▶ socket
//!   └─ registers in Pending ◀──(by request id)── the task ◀──┘
//! ```
//!
//! A [`Connection`] owns one task. Callers own only their place in the map of pending requests: going away gives
//! it back, and a frame that has begun is always finished. When the task fails, the connection is closed with
//! the reason, and everyone who waits or comes later learns it. Reconnecting is the caller's job.
//!
//! A [`Transport`] says how a server is reached. A [`Connector`] opens a stream of bytes for each connection: [`Tcp`],
//! [`tls::Tls`], or what a test puts in their place. A server in the same process ([`InProcess`]) has no socket, and its client no task: a frame is
//! [received](Receive) by the other side on the thread that sends it, the answer too.

mod address;
pub mod backoff;
mod connection;
mod connector;
mod error;
mod handshake;
mod inbox;
mod keep_alive;
mod link;
pub mod meter;
mod names;
mod options;
mod outbox;
mod pending;
mod random;
mod tcp;
pub mod tls;
mod transport;

pub use self::address::{InvalidAddress, ServerAddress, without_login};
pub use self::backoff::Backoff;
pub use self::connection::Connection;
pub use self::connector::{Addresses, ByteStream, Connecting, Connector};
pub use self::error::{ConnectError, Disconnect, MalformedMessage, RequestError};
pub use self::inbox::Inbox;
pub use self::keep_alive::KeepAlive;
pub use self::names::{Finding, Names};
pub use self::options::{ConnectOptions, OnLoss};
pub use self::outbox::Outbox;
pub use self::random::Random;
pub use self::tcp::Tcp;
pub use self::transport::{InProcess, Receive, Transport};
pub use crate::sasl::{Credentials, Mechanism};

#[cfg(test)]
mod tests;
