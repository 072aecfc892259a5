//! The writers of a connection, for whoever closes it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::sender::Shared;
use crate::error::Result;

/// The writers that may have something to send, among them those that were dropped with rows on their way.
#[derive(Default)]
pub(crate) struct OpenWriters(Mutex<Vec<Weak<Shared>>>);

impl fmt::Debug for OpenWriters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenWriters").finish_non_exhaustive()
    }
}

impl OpenWriters {
    pub(super) fn add(&self, writer: &Arc<Shared>) {
        let mut writers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writers.retain(|writer| writer.strong_count() > 0);
        writers.push(Arc::downgrade(writer));
    }

    /// Has everything sent that was collected, and waits until it is acknowledged or has failed. Returns the first
    /// failure.
    pub(crate) async fn flush(&self) -> Result<()> {
        let writers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let writers: Vec<_> = writers.iter().filter_map(Weak::upgrade).collect();
        let deliveries: Vec<_> = writers.iter().flat_map(|writer| writer.send_all()).collect();
        let mut flushed = Ok(());
        for delivery in deliveries {
            flushed = flushed.and(delivery.wait().await.map(drop));
        }
        flushed
    }
}
