//! How a client reaches a server in the same process.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::ServerAddress;

/// Takes the frames of one direction, each as it is: nothing is copied, and no task has to wake up for it.
pub trait Receive: Send + Sync {
    /// Takes a frame, without its length field, on the thread of whoever sends it. Frames that are sent at the same time
    /// come at the same time; those that are sent one after the other come in their order.
    fn receive(&self, frame: Bytes);

    /// Learns that nothing more comes. It may be told twice.
    fn end(&self);
}

/// What opens connections in place of TCP.
pub trait Transport: fmt::Debug + Send + Sync {
    /// Opens a connection to a server. It gives its answers to `client`; what takes the requests is returned. Called on a
    /// tokio runtime.
    fn dial(&self, server: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive>;
}
