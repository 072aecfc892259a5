//! What becomes of a row that was given to a writer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use fluss_client as client;
use fluss_rpc::sync::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// A row that was given to a writer.
#[derive(Clone)]
pub(super) enum Collected {
    Now(client::WriteHandle),
    Soon(Arc<Promise>),
}

/// What becomes of a row that waits for memory.
pub(super) struct Promise {
    outcome: OnceLock<client::Result<client::WriteHandle>>,
    told: Notify,
    bytes: usize,
    unawaited: Arc<AtomicUsize>,
    /// How many await it, while it waits.
    awaiting: Mutex<Option<usize>>,
}

/// Somebody who awaits a row. While it waits for memory for as long as it must, nobody is told that the queue is full.
pub(super) struct Awaited(Arc<Promise>);

impl Promise {
    /// The row of so many bytes, which nobody awaits yet.
    pub(super) fn new(bytes: usize, unawaited: &Arc<AtomicUsize>) -> Self {
        unawaited.fetch_add(bytes, Ordering::AcqRel);
        Self {
            outcome: OnceLock::new(),
            told: Notify::new(),
            bytes,
            unawaited: unawaited.clone(),
            awaiting: Mutex::new(Some(0)),
        }
    }

    /// Tells what has become of the row.
    pub(super) fn settle(&self, outcome: client::Result<client::WriteHandle>) {
        let waited = self.awaiting().take();
        if waited == Some(0) {
            self.unawaited.fetch_sub(self.bytes, Ordering::AcqRel);
        }
        if self.outcome.set(outcome).is_ok() {
            self.told.notify_waiters();
        }
    }

    fn awaiting(&self) -> MutexGuard<'_, Option<usize>> {
        self.awaiting.lock()
    }

    async fn collected(&self) -> client::Result<client::WriteHandle> {
        loop {
            let told = self.told.notified();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            told.await;
        }
    }
}

impl Awaited {
    fn new(promise: &Arc<Promise>) -> Self {
        if let Some(awaiting) = promise.awaiting().as_mut() {
            if *awaiting == 0 {
                promise.unawaited.fetch_sub(promise.bytes, Ordering::AcqRel);
            }
            *awaiting += 1;
        }
        Self(promise.clone())
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(awaiting) = self.0.awaiting().as_mut() {
            *awaiting -= 1;
            if *awaiting == 0 {
                self.0.unawaited.fetch_add(self.0.bytes, Ordering::AcqRel);
            }
        }
    }
}

impl Collected {
    /// Begins to await the row, if it waits for memory.
    pub(super) fn awaited(&self) -> Option<Awaited> {
        match self {
            Self::Now(_) => None,
            Self::Soon(promise) => Some(Awaited::new(promise)),
        }
    }

    /// Waits for the acknowledgement, and returns the offset of the row.
    pub(super) async fn settled(&self) -> client::Result<Option<i64>> {
        match self {
            Self::Now(handle) => handle.wait().await,
            Self::Soon(promise) => promise.collected().await?.wait().await,
        }
    }

    /// The write, once the writer has taken the row.
    pub(super) fn handle(&self) -> Option<&client::WriteHandle> {
        match self {
            Self::Now(handle) => Some(handle),
            Self::Soon(promise) => promise.outcome.get()?.as_ref().ok(),
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Now(handle) => handle.is_settled(),
            Self::Soon(promise) => match promise.outcome.get() {
                Some(Ok(handle)) => handle.is_settled(),
                Some(Err(_)) => true,
                None => false,
            },
        }
    }
}
