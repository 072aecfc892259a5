//! Requests of a client in the same process.
//!
//! A request is begun on the thread of whoever sends it, and answered there if that takes microseconds, so that a look-up
//! needs no other task. Only if there is no memory for it now does it wait, with those that come behind it, for the task of
//! the session.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use fluss_rpc::frame::check_length;
use fluss_rpc::net::{Disconnect, Receive};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::debug;

use super::dispatch;
use super::session::Session;

/// Takes the requests of a client in the same process.
pub(super) struct InProcess {
    /// Gone once it has ended, which the client has been notified of.
    session: Weak<Session>,
    /// Where what is begun goes on.
    runtime: Handle,
    queue: mpsc::UnboundedSender<Bytes>,
    /// How many requests are in the queue, or are taken from it.
    queued: Arc<AtomicUsize>,
}

/// The requests that wait.
pub(super) struct Queue {
    requests: mpsc::UnboundedReceiver<Bytes>,
    queued: Arc<AtomicUsize>,
}

impl InProcess {
    /// The requests of a session, and those that its task is to take from the queue. Called on the runtime of that task.
    pub(super) fn new(session: &Arc<Session>) -> (Self, Queue) {
        let (queue, requests) = mpsc::unbounded_channel();
        let queued = Arc::<AtomicUsize>::default();
        let in_process = Self {
            session: Arc::downgrade(session),
            runtime: Handle::current(),
            queue,
            queued: queued.clone(),
        };
        (in_process, Queue { requests, queued })
    }

    /// Begins a request, if nothing waits before it and there is memory.
    fn take(&self, session: &Arc<Session>, request: Bytes) -> Result<(), Disconnect> {
        let bytes = check_length(request.len(), session.node.limits.request_bytes)?;
        if self.queued.load(Ordering::Acquire) == 0
            && let Some(memory) = session.node.memory.now(bytes)
        {
            let _runtime = self.runtime.enter();
            return dispatch::begin(session, request, memory, true);
        }
        self.queued.fetch_add(1, Ordering::AcqRel);
        // Nobody takes it any more only when the session has ended.
        let _ = self.queue.send(request);
        Ok(())
    }
}

impl Receive for InProcess {
    fn receive(&self, request: Bytes) {
        let Some(session) = self.session.upgrade() else {
            return;
        };
        if let Err(reason) = self.take(&session, request) {
            debug!(target: crate::TARGET, %reason, "connection closed");
            session.send_reason(&reason);
            session.end();
        }
    }

    fn end(&self) {
        if let Some(session) = self.session.upgrade() {
            session.end();
        }
    }
}

impl Queue {
    /// Begins one request after the other, each once there is memory for it.
    pub(super) async fn run(mut self, session: &Arc<Session>) -> Result<(), Disconnect> {
        while let Some(request) = self.requests.recv().await {
            let memory = session.node.memory.wait(request.len()).await;
            dispatch::begin(session, request, memory, true)?;
            self.queued.fetch_sub(1, Ordering::AcqRel);
        }
        Ok(())
    }
}
