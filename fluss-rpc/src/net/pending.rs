//! The requests of a connection that have no answer yet.

use std::collections::HashMap;

use crate::sync::{Mutex, MutexGuard};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{Disconnect, RequestError};
use crate::header::ResponseHeader;

/// A response, taken apart no further than its header; or why there is none.
pub(super) type Answer = Result<(ResponseHeader, Bytes), RequestError>;

/// Who waits for which request id. Once closed it stays so, and says why.
pub(super) struct Pending {
    state: Mutex<State>,
}

struct State {
    next_id: i32,
    waiting: HashMap<i32, oneshot::Sender<Answer>>,
    closed: Option<Disconnect>,
}

/// A place among those who wait.
pub(super) struct Registered {
    pub(super) request_id: i32,
    pub(super) answer: oneshot::Receiver<Answer>,
    /// Whether nobody else was waiting.
    pub(super) alone: bool,
}

impl Pending {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                next_id: 0,
                waiting: HashMap::new(),
                closed: None,
            }),
        }
    }

    /// Takes a request id that is not in use.
    pub(super) fn register(&self) -> Result<Registered, Disconnect> {
        let mut state = self.lock();
        if let Some(reason) = &state.closed {
            return Err(reason.clone());
        }
        let alone = state.waiting.is_empty();
        let request_id = state.free_id();
        let (sender, answer) = oneshot::channel();
        state.waiting.insert(request_id, sender);
        Ok(Registered {
            request_id,
            answer,
            alone,
        })
    }

    /// Hands an answer over; one to a request that nobody waits for any more is dropped.
    pub(super) fn complete(&self, request_id: i32, answer: Answer) {
        if let Some(sender) = self.forget(request_id) {
            // The caller may have gone away a moment ago.
            let _ = sender.send(answer);
        }
    }

    /// Gives a place back.
    pub(super) fn forget(&self, request_id: i32) -> Option<oneshot::Sender<Answer>> {
        self.lock().waiting.remove(&request_id)
    }

    /// Fails all who come later, and returns those who wait. Returns nothing when that has happened before: the first reason
    /// stays.
    pub(super) fn close(&self, reason: &Disconnect) -> Option<Waiters> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return None;
        }
        state.closed = Some(reason.clone());
        Some(Waiters(std::mem::take(&mut state.waiting)))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed.is_some()
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Those who have waited when a connection was closed.
#[must_use = "they are to be told"]
pub(super) struct Waiters(HashMap<i32, oneshot::Sender<Answer>>);

impl Waiters {
    pub(super) fn fail(self, reason: &Disconnect) {
        for sender in self.0.into_values() {
            // The caller may have gone away a moment ago.
            let _ = sender.send(Err(reason.in_flight()));
        }
    }
}

impl State {
    fn free_id(&mut self) -> i32 {
        loop {
            let id = self.next_id;
            self.next_id = id.wrapping_add(1);
            if !self.waiting.contains_key(&id) {
                return id;
            }
        }
    }
}
