//! TLS: connections that nobody else can read or change, to servers that prove who they are.
//!
//! ```text
//! Tls (client)  ──┐                       ┌── Secured, a stream that tells its faults
//!                 ├── Renewed ── files ───┤
//! Acceptor (node) ┘                       └── the common name of a client's certificate
//! ```
//!
//! What is asked for ([`TlsOptions`], [`TlsServerOptions`]) and what can be wrong ([`TlsFault`]) is always there. [`Tls`] and
//! [`Acceptor`] need the feature `tls`. They use rustls with ring, and leave the process's own choice of cryptography alone.

mod fault;
mod options;

#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod common_name;
#[cfg(feature = "tls")]
mod connector;
#[cfg(feature = "tls")]
mod meaning;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod renewed;
#[cfg(feature = "tls")]
mod secured;

#[cfg(feature = "tls")]
pub use self::acceptor::{Accepted, Acceptor};
#[cfg(feature = "tls")]
pub use self::connector::Tls;
pub use self::fault::TlsFault;
pub use self::options::{TlsOptions, TlsServerOptions};
#[cfg(feature = "tls")]
pub use self::secured::Secured;
