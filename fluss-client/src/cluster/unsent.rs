//! What has to be sent before a connection closes.

use std::fmt;
use std::sync::{Arc, Weak};

use fluss_rpc::sync::Mutex;
use futures::future::BoxFuture;

use crate::error::Result;

/// A writer that may have something to send.
pub(crate) trait Unsent: Send + Sync {
    /// Has everything sent that was collected. The future ends when it is acknowledged or has failed, with the first
    /// failure.
    fn send_all(&self) -> BoxFuture<'static, Result<()>>;
}

/// The writers of a connection, among them those that were dropped with rows on their way.
#[derive(Default)]
pub(crate) struct OpenWriters(Mutex<Vec<Weak<dyn Unsent>>>);

impl fmt::Debug for OpenWriters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWriters").finish_non_exhaustive()
    }
}

impl OpenWriters {
    pub(crate) fn add(&self, writer: Weak<dyn Unsent>) {
        let mut writers = self.0.lock();
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(writer);
    }

    /// Has all of them send what they have, and waits until it is acknowledged or has failed. Returns the first failure.
    pub(crate) async fn flush(&self) -> Result<()> {
        let writers = self.0.lock().clone();
        let writers: Vec<Arc<dyn Unsent>> = writers.iter().filter_map(Weak::upgrade).collect();
        let sent: Vec<_> = writers.iter().map(|writer| writer.send_all()).collect();
        let mut flushed = Ok(());
        for settled in sent {
            flushed = flushed.and(settled.await);
        }
        flushed
    }
}
