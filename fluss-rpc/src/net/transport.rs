//! How a client reaches a server: by a stream of bytes, or in the same process.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::{Connector, ServerAddress, Tcp};

/// Takes the frames of one direction, each as it is: nothing is copied, and no task has to wake up for it.
pub trait Receive: Send + Sync {
    /// Takes a frame, without its length field, on the thread of whoever sends it. Frames that are sent at the same time
    /// come at the same time; those that are sent one after the other come in their order.
    fn receive(&self, frame: Bytes);

    /// Learns that nothing more comes. It may be told twice.
    fn end(&self);
}

/// Opens connections to a server in the same process.
pub trait InProcess: fmt::Debug + Send + Sync {
    /// Opens a connection to a server. It gives its answers to `client`; what takes the requests is returned. Called on a
    /// tokio runtime.
    fn dial(&self, server: &ServerAddress, client: Arc<dyn Receive>) -> Arc<dyn Receive>;
}

/// How servers are reached.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By a stream of bytes for each connection.
    Stream(Arc<dyn Connector>),
    /// In this process: frames are handed over as they are, and there is no stream.
    InProcess(Arc<dyn InProcess>),
}

impl Transport {
    /// Reaches servers by the streams that a connector opens.
    pub fn stream(connector: impl Connector + 'static) -> Self {
        Self::Stream(Arc::new(connector))
    }

    /// Reaches a server in this process.
    pub fn in_process(server: impl InProcess + 'static) -> Self {
        Self::InProcess(Arc::new(server))
    }
}

impl Default for Transport {
    /// TCP.
    fn default() -> Self {
        Self::stream(Tcp::default())
    }
}
