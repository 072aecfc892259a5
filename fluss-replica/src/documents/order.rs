//! The order of the writes to each key, over several writers.
//!
//! A writer keeps the order of what it is given for a key; two writers do not wait for each other. So it is noted of each key
//! which writer was given its last write. While that is under way, no other writer is given one: it waits for the
//! acknowledgement. Writes to other keys, and those of one writer, do not wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use fluss_client::WriteHandle;
use fluss_rpc::sync::Mutex;
use tokio::sync::MutexGuard;

use super::writers::WriterNumber;

/// Among so many locks keys are divided. A key that waits for another writer holds up those with the same lock.
const LOCKS: usize = 256;
/// So many writes are noted under a lock before those that are acknowledged are forgotten.
const NOTED: usize = 64;

/// The writes that may be under way.
#[derive(Debug)]
pub(super) struct Order {
    keys: [tokio::sync::Mutex<Noted>; LOCKS],
    many: Mutex<Vec<WriteHandle>>,
    has_many: AtomicBool,
}

/// The last write of each key.
#[derive(Debug)]
struct Noted {
    writes: HashMap<Vec<u8>, (WriterNumber, WriteHandle)>,
    /// With how many of them those that are acknowledged are forgotten.
    most: usize,
}

impl Default for Noted {
    fn default() -> Self {
        Self {
            writes: HashMap::new(),
            most: NOTED,
        }
    }
}

/// The turn of a write to a key: no other is given to a writer until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'o> {
    noted: MutexGuard<'o, Noted>,
    key: Vec<u8>,
}

impl Order {
    pub(super) fn new() -> Self {
        Self {
            keys: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            many: Mutex::default(),
            has_many: AtomicBool::new(false),
        }
    }

    /// Waits for the turn of a key, in the order of the calls.
    pub(super) async fn turn(&self, key: Vec<u8>) -> Turn<'_> {
        self.after_many().await;
        #[expect(clippy::indexing_slicing, reason = "the remainder is less than their number")]
        let lock = &self.keys[crc32c::crc32c(&key) as usize % LOCKS];
        let noted = lock.lock().await;
        Turn { noted, key }
    }

    /// Notes a write to many keys: single writes that come later wait for it.
    pub(super) fn note_many(&self, handle: WriteHandle) {
        let mut many = self.many.lock();
        many.retain(|handle| !handle.is_settled());
        many.push(handle);
        self.has_many.store(true, Ordering::Release);
    }

    async fn after_many(&self) {
        while self.has_many.load(Ordering::Acquire) {
            let first = {
                let mut many = self.many.lock();
                many.retain(|handle| !handle.is_settled());
                self.has_many.store(!many.is_empty(), Ordering::Release);
                many.first().cloned()
            };
            if let Some(handle) = first {
                settle(&handle).await;
            }
        }
    }
}

impl Turn<'_> {
    /// Waits until no write of another writer to the key is under way.
    pub(super) async fn after_others(&mut self, writer: WriterNumber) {
        if self
            .noted
            .writes
            .get(&self.key)
            .is_some_and(|(last, _)| *last != writer)
        {
            self.after_all().await;
        }
    }

    /// Waits until no write to the key is under way.
    pub(super) async fn after_all(&mut self) {
        if let Some((_, handle)) = self.noted.writes.get(&self.key) {
            settle(handle).await;
            self.noted.writes.remove(&self.key);
        }
    }

    /// Notes the write whose turn it was.
    pub(super) fn note(mut self, writer: WriterNumber, handle: &WriteHandle) {
        let noted = &mut *self.noted;
        if noted.writes.len() >= noted.most {
            noted.writes.retain(|_, (_, handle)| !handle.is_settled());
            noted.most = NOTED.max(2 * noted.writes.len());
        }
        noted.writes.insert(self.key, (writer, handle.clone()));
    }
}

/// Waits until a write has a fate, whatever it is: who has the handle is told it.
async fn settle(handle: &WriteHandle) {
    drop(handle.wait().await);
}
