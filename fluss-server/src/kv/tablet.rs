//! The rows of one bucket, with the rules of its table.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use fluss_core::id::Offset;
use fluss_core::record::kv::KvBatch;
use fluss_core::record::log::LogBatch;
use fluss_core::types::PartitionName;
use fluss_rpc::code::ErrorCode;

use super::draft::{Draft, Reserve};
use super::insertion::insertion;
use super::mode::WriteMode;
use super::open::open;
use super::replay::{Replay, ReplayError};
use super::state::{About, Checkpoints, Snapshot, State};
use super::table::Table;
use crate::disk::Disk;
use crate::{Failure, OpenError};

/// The rows of a bucket of a primary-key table: an index over its changelog.
///
/// Everything takes `&self`, so that look-ups go on while a write is merged. Writes are for the caller to put in order:
/// from the draft to its commit, and while the changelog is replayed, nobody else writes.
#[derive(Debug)]
pub(crate) struct Tablet {
    table: RwLock<Arc<Table>>,
    state: Box<dyn State>,
    checkpoints: Checkpoints,
    /// Held while a checkpoint is written.
    writing_checkpoint: Mutex<()>,
}

impl Tablet {
    /// Opens the rows in a directory, which is made if it is not there. What cannot be trusted is made again from the
    /// last checkpoint; then the changelog from [`applied`](Self::applied) on is to be replayed. `log` is what there is
    /// of the changelog.
    ///
    /// # Errors
    ///
    /// Files that cannot be read or written; checkpoints that are all damaged, where the changelog does not reach back
    /// to its beginning.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        directory: &Path,
        table: Arc<Table>,
        log: Range<Offset>,
    ) -> Result<Self, OpenError> {
        let checkpoints = Checkpoints::new(disk, directory);
        Ok(Self {
            state: open(disk, directory, &checkpoints, &log)?,
            table: RwLock::new(table),
            checkpoints,
            writing_checkpoint: Mutex::default(),
        })
    }

    /// The end of the changelog that has been applied.
    pub(crate) fn applied(&self) -> Result<Offset, Failure> {
        self.about().map(|about| about.applied)
    }

    /// The table.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the table, once it has another schema.
    pub(crate) fn set_table(&self, table: Arc<Table>) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
    }

    /// Applies the next batches of the changelog, all or none of them. Those that were applied are passed over.
    ///
    /// # Errors
    ///
    /// A gap, a batch that is none of the table's, a state that cannot be written.
    pub(crate) fn replay<'b>(
        &self,
        batches: impl IntoIterator<Item = &'b LogBatch>,
    ) -> Result<(), ReplayError> {
        let about = self.state.snapshot()?.about()?;
        let (table, from) = (self.table(), about.applied);
        let mut replay = Replay::new(&table, about);
        for batch in batches {
            replay.add(batch)?;
        }
        let (changes, about) = replay.finish();
        if about.applied > from {
            self.state.commit(&changes, &about)?;
        }
        Ok(())
    }

    /// Begins to write. The draft may take several batches.
    pub(crate) fn draft(&self) -> Result<Draft, Failure> {
        Ok(Draft::new(self.table(), self.about()?))
    }

    /// Merges a batch into a draft; see [`Draft::add`] for what is returned and refused.
    pub(crate) fn prepare(
        &self,
        draft: &mut Draft,
        batch: &KvBatch,
        mode: &WriteMode,
        reserve: Reserve<'_>,
    ) -> Result<Bytes, Failure> {
        draft.add(&*self.state, batch, mode, reserve)
    }

    /// A batch that inserts rows for keys that were not found, and the mode to write it in (`behaviour.md` §5.2). Rows that
    /// others insert meanwhile are left alone.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SERVER_ERROR` for keys that cannot be read, as those of Iceberg and Hudi tables cannot.
    pub(crate) fn insertion<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        partition: Option<&PartitionName>,
    ) -> Result<(KvBatch, WriteMode), Failure> {
        insertion(&self.table(), keys, partition)
    }

    /// Stores what a draft has changed, once the log ends at `end` with the batches of its changelog.
    ///
    /// # Errors
    ///
    /// `KV_STORAGE_EXCEPTION`: nothing is stored, and the state is behind its changelog, which is to be replayed before
    /// anything else is written. The state has moved on since the draft was begun: so too.
    pub(crate) fn commit(&self, draft: Draft, end: Offset) -> Result<(), Failure> {
        let applied = self.applied()?;
        if applied != draft.base {
            let reason = format!(
                "the state stands at offset {applied}, the draft at {}",
                draft.base
            );
            return Err(Failure::new(ErrorCode::KV_STORAGE_EXCEPTION, reason));
        }
        let about = About {
            applied: end,
            numbers: draft.numbers,
        };
        self.state
            .commit(&draft.changes, &about)
            .map_err(Failure::kv_storage)
    }

    /// The values of keys, in their order.
    pub(crate) fn lookup<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Bytes>>, Failure> {
        let find = || -> io::Result<_> {
            let snapshot = self.state.snapshot()?;
            let mut found = Pile::default();
            for key in keys {
                found.push(snapshot.get(key.as_ref())?);
            }
            Ok(found.finish())
        };
        find().map_err(Failure::kv_storage)
    }

    /// The values of all keys that begin with these bytes, in the order of the keys.
    pub(crate) fn prefix(&self, prefix: &[u8]) -> Result<Vec<Bytes>, Failure> {
        let find = || values(&*self.state.snapshot()?, prefix, usize::MAX);
        find().map_err(Failure::kv_storage)
    }

    /// The values of the first keys.
    pub(crate) fn first(&self, count: usize) -> Result<Vec<Bytes>, Failure> {
        self.all(count).map(|(_, values)| values)
    }

    /// The values of the first keys, and the end of the changelog that they are of.
    pub(crate) fn all(&self, count: usize) -> Result<(Offset, Vec<Bytes>), Failure> {
        let find = || -> io::Result<_> {
            let snapshot = self.state.snapshot()?;
            Ok((snapshot.about()?.applied, values(&*snapshot, &[], count)?))
        };
        find().map_err(Failure::kv_storage)
    }

    /// The number of rows. A table whose changelog is `wal` does not tell (`behaviour.md` §3.2): that is for the caller
    /// to refuse.
    pub(crate) fn count(&self) -> Result<u64, Failure> {
        let count = || -> io::Result<_> { self.state.snapshot()?.len() };
        count().map_err(Failure::kv_storage)
    }

    /// Writes a checkpoint, and returns the offset that it stands at: below it the changelog is not needed any more, as
    /// long as the checkpoint before this one is not. Others read and write meanwhile.
    pub(crate) fn checkpoint(&self) -> io::Result<Offset> {
        let _alone = self
            .writing_checkpoint
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.checkpoints.write(&*self.state.snapshot()?)
    }

    /// The offsets of the checkpoints that there are, in order. The changelog is kept from the first on.
    pub(crate) fn checkpoints(&self) -> io::Result<Vec<Offset>> {
        self.checkpoints.offsets()
    }

    /// Makes the rows durable, so that they are trusted when the machine has been restarted. The log is synced before.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.state.sync()
    }

    fn about(&self) -> Result<About, Failure> {
        let about = || -> io::Result<_> { self.state.snapshot()?.about() };
        about().map_err(Failure::kv_storage)
    }
}

/// The values of at most so many keys that begin with these bytes.
fn values(snapshot: &dyn Snapshot, prefix: &[u8], most: usize) -> io::Result<Vec<Bytes>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    let mut found = Pile::default();
    snapshot.scan(prefix, &mut |_, value| {
        found.push(Some(value));
        let is_full = found.len() == most;
        Ok(if is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok(found.finish().into_iter().flatten().collect())
}

/// Values that share one allocation.
#[derive(Default)]
struct Pile {
    bytes: Vec<u8>,
    /// Where each value is.
    places: Vec<Option<Range<usize>>>,
}

impl Pile {
    fn push(&mut self, value: Option<&[u8]>) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        self.places.push(value.map(|_| start..self.bytes.len()));
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn finish(self) -> Vec<Option<Bytes>> {
        let bytes = Bytes::from(self.bytes);
        let places = self.places.into_iter();
        places
            .map(|place| place.map(|place| bytes.slice(place)))
            .collect()
    }
}
