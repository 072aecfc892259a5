//! The lock of a directory, which is its process's alone.

use std::fs;
use std::io;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

/// The file of a lock, as long as this process has it.
type Held = Mutex<Option<fs::File>>;

/// What this process holds, and what it has inherited from the one that it was forked from.
static HELD: Mutex<Vec<Weak<Held>>> = Mutex::new(Vec::new());

/// A file that is locked for as long as this lives, or its process.
#[derive(Debug)]
pub(super) struct Lock(Arc<Held>);

impl Lock {
    /// Locks a file; nothing if somebody else has it.
    pub(super) fn take(file: fs::File) -> io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let held = Arc::new(Mutex::new(Some(file)));
                let mut all = HELD.lock();
                all.retain(|held| held.strong_count() > 0);
                all.push(Arc::downgrade(&held));
                Ok(Some(Self(held)))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(file) = self.0.lock().take() {
            // A process that was forked meanwhile has the same lock: closing the file alone would leave it that.
            let _ = flock(&file, FlockOperation::Unlock);
        }
    }
}

/// Leaves the directories that were opened before this process was forked to the process that opened them: if that ends, others
/// may have them. It is called in the child, after the fork.
pub fn leave_directories_to_parent() {
    // Whoever had this locked in the parent is not here.
    let Some(mut all) = HELD.try_lock() else {
        return;
    };
    for held in std::mem::take(&mut *all).iter().filter_map(Weak::upgrade) {
        if let Some(mut file) = held.try_lock() {
            // It is closed, not unlocked: the parent has it still.
            drop(file.take());
        }
    }
}
