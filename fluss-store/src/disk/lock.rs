//! The lock of a directory, which is its process's alone.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Weak};

use fluss_rpc::sync::Mutex;
use rustix::fs::{FlockOperation, flock};

/// The file of a lock, as long as this process has it.
type Held = Mutex<Option<fs::File>>;

/// What this process holds, and what it has inherited from the one that it was forked from.
static HELD: Mutex<Vec<Weak<Held>>> = Mutex::new(Vec::new());

/// The files that were locked when this process was forked, by their device and number. LMDB takes what the parent had open for
/// open here too, for as long as the process lives, and must not have it opened twice.
static INHERITED: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// A file that is locked for as long as this lives, or its process.
#[derive(Debug)]
pub(super) struct Lock(Arc<Held>);

/// What comes of an attempt to lock a file.
pub(super) enum Taken {
    Locked(Lock),
    /// Somebody else has it.
    InUse,
    /// It was locked by the process that this one was forked from, when that was.
    Inherited,
}

impl Lock {
    /// Locks a file.
    pub(super) fn take(file: fs::File) -> io::Result<Taken> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if INHERITED.lock().contains(&identity(&file)?) => Ok(Taken::Inherited),
            Ok(()) => {
                let held = Arc::new(Mutex::new(Some(file)));
                let mut all = HELD.lock();
                all.retain(|held| held.strong_count() > 0);
                all.push(Arc::downgrade(&held));
                Ok(Taken::Locked(Self(held)))
            }
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Taken::InUse),
            Err(error) => Err(error.into()),
        }
    }
}

fn identity(file: &fs::File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
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
/// may have them. It is called in the child, after the fork. This process cannot open them any more.
pub fn leave_directories_to_parent() {
    // Whoever had this locked in the parent is not here.
    let Some(mut all) = HELD.try_lock() else {
        return;
    };
    for held in std::mem::take(&mut *all).iter().filter_map(Weak::upgrade) {
        // It is closed, not unlocked: the parent has it still.
        let file = held.try_lock().and_then(|mut file| file.take());
        if let Some(file) = file.and_then(|file| identity(&file).ok())
            && let Some(mut inherited) = INHERITED.try_lock()
        {
            inherited.push(file);
        }
    }
}
