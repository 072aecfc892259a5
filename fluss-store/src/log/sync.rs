use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use bytes::Bytes;
use fluss_rpc::sync::Mutex;

use fluss_core::id::Offset;

use super::{Error, checkpoint, storage};
use crate::disk::{Disk, File, is_exhausted};

/// How much of a log is durable, known to the log and to the syncs under way.
#[derive(Debug)]
pub(super) struct Durable {
    synced: AtomicI64,
    checkpoint: AtomicI64,
    failed: AtomicBool,
    /// Held by the sync under way: those that wait for it may find that it has done their work.
    turn: Mutex<()>,
}

impl Durable {
    pub(super) fn new(synced: Offset, checkpoint: Offset) -> Self {
        Self {
            synced: AtomicI64::new(synced),
            checkpoint: AtomicI64::new(checkpoint),
            failed: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// Everything before is durable.
    pub(super) fn synced(&self) -> Offset {
        self.synced.load(Ordering::Acquire)
    }

    /// Everything before need not be read at the next start.
    pub(super) fn checkpoint(&self) -> Offset {
        self.checkpoint.load(Ordering::Acquire)
    }

    /// Whether a sync has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

/// Makes durable what a log had when this was begun. It holds nothing that an append or a read waits for.
#[derive(Debug)]
#[must_use = "nothing is durable before `run`"]
pub struct Sync {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) directory: Arc<Path>,
    /// The segments that are not synced yet,
    pub(super) segments: Vec<PathBuf>,
    /// and the one that takes batches, if it is open.
    pub(super) active: Option<Arc<dyn File>>,
    /// The offset up to which that one is written by now.
    pub(super) written: Arc<AtomicI64>,
    /// Whether there are segments whose names are not durable.
    pub(super) names: bool,
    pub(super) end_offset: Offset,
    /// The contents of a checkpoint of the end.
    pub(super) checkpoint: Option<Bytes>,
    pub(super) durable: Arc<Durable>,
}

impl Sync {
    /// The end of the log when this was begun: what [`Self::run`] makes durable.
    pub const fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Waits until everything before [`Self::end_offset`] is durable. Syncs of one log take turns; each covers what has
    /// been appended by the time of its turn, so that those that wait share the next one.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`]. What the system could not write it may have dropped, and another sync would not tell:
    /// all of them fail and the log takes no appends from then on, until it is opened again. Not so if files could not be
    /// opened for want of descriptors.
    pub fn run(self) -> Result<(), Error> {
        self.take_turn()
            .map_err(|error| storage(&self.directory, error))?;
        if let Some(contents) = self.checkpoint {
            let written = checkpoint::write(&*self.disk, &self.directory, self.end_offset, contents);
            match written {
                Ok(()) => drop(
                    self.durable
                        .checkpoint
                        .fetch_max(self.end_offset, Ordering::AcqRel),
                ),
                // The log is durable: without it the next start only takes longer.
                Err(error) => {
                    tracing::warn!(target: crate::TARGET, log = %self.directory.display(), %error, "a checkpoint was not written");
                }
            }
        }
        Ok(())
    }

    fn take_turn(&self) -> io::Result<()> {
        let _turn = self.durable.turn.lock();
        if self.durable.has_failed() {
            return Err(has_failed());
        }
        if self.durable.synced() >= self.end_offset {
            return Ok(());
        }
        let end = self.written.load(Ordering::Acquire).max(self.end_offset);
        let synced = self.sync();
        match &synced {
            Ok(()) => drop(self.durable.synced.fetch_max(end, Ordering::AcqRel)),
            // It has not come to a sync that could fail: the next one makes up for it.
            Err(error) if is_exhausted(error) => {}
            Err(_) => self.durable.failed.store(true, Ordering::Release),
        }
        synced
    }

    fn sync(&self) -> io::Result<()> {
        for path in &self.segments {
            match self.disk.open_existing(path) {
                // It has expired in the meantime.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => file?.sync()?,
            }
        }
        if let Some(active) = &self.active {
            active.sync()?;
        }
        if self.names {
            let mut directories = self.directory.ancestors();
            directories.try_for_each(|directory| self.disk.sync_dir(directory))?;
        }
        Ok(())
    }
}

/// Nothing that was not synced before can be relied on.
pub(super) fn has_failed() -> io::Error {
    io::Error::other("a sync has failed")
}
