//! How a client reaches a server.

use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

use super::ServerAddress;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The future of a stream to a server.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send + 'a>>;

/// What opens streams to servers, in place of TCP: to a server in the same process, for instance.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Opens a stream to a server.
    fn dial<'a>(&'a self, server: &'a ServerAddress) -> Dialing<'a>;
}
