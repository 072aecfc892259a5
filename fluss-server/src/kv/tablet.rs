//! The rows of one bucket, with the rules of its table.

use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::id::Offset;
use fluss_core::record::kv::KvBatch;
use fluss_core::record::log::LogBatch;
use fluss_core::types::PartitionName;
use fluss_rpc::sync::{Mutex, RwLock};
use fluss_store::OpenError;
use fluss_store::disk::Disk;
use fluss_store::state::{self, About, Checkpoints, Snapshot, State};

use super::draft::Draft;
use super::error::Error;
use super::error::ReplayError;
use super::insertion::insertion;
use super::mode::WriteMode;
use super::replay::Replay;
use super::table::Table;
use super::work::Reserve;
use super::{Take, VisitValue};

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
            state: state::open(disk, directory, &checkpoints, &log)?,
            table: RwLock::new(table),
            checkpoints,
            writing_checkpoint: Mutex::default(),
        })
    }

    /// The end of the changelog that has been applied.
    pub(crate) fn applied(&self) -> Result<Offset, Error> {
        self.about().map(|about| about.applied)
    }

    /// The table.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.read().clone()
    }

    /// Replaces the table, once it has another schema.
    pub(crate) fn set_table(&self, table: Arc<Table>) {
        *self.table.write() = table;
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
    pub(crate) fn draft(&self) -> Result<Draft, Error> {
        Ok(Draft::new(self.table(), self.about()?))
    }

    /// Merges a batch into a draft; see [`Draft::add`] for what is returned and refused.
    pub(crate) fn prepare(
        &self,
        draft: &mut Draft,
        batch: &KvBatch,
        mode: &WriteMode,
        helpers: (Reserve<'_>, Take<'_>),
    ) -> Result<Bytes, Error> {
        draft.add(&*self.state, batch, mode, helpers)
    }

    /// A batch that inserts rows for keys that were not found, and the mode to write it in (`behaviour.md` §5.2). Rows that
    /// others insert meanwhile are left alone.
    ///
    /// # Errors
    ///
    /// [`Error::BadRecord`] for keys that cannot be read, as those of Iceberg and Hudi tables cannot.
    pub(crate) fn insertion<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        partition: Option<&PartitionName>,
    ) -> Result<(KvBatch, WriteMode), Error> {
        insertion(&self.table(), keys, partition)
    }

    /// Stores what a draft has changed, once the log ends at `end` with the batches of its changelog.
    ///
    /// # Errors
    ///
    /// [`Error::State`]: nothing is stored, and the state is behind its changelog, which is to be replayed before
    /// anything else is written. [`Error::Moved`]: so too.
    pub(crate) fn commit(&self, draft: Draft, end: Offset) -> Result<(), Error> {
        let applied = self.applied()?;
        if applied != draft.base {
            let base = draft.base;
            return Err(Error::Moved { applied, base });
        }
        let about = About {
            applied: end,
            numbers: draft.numbers,
        };
        self.state.commit(&draft.changes, &about).map_err(Error::from)
    }

    /// The values of keys, in their order. `take` is asked for memory for each.
    pub(crate) fn lookup<K: AsRef<[u8]>>(
        &self,
        keys: &[K],
        take: Take<'_>,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        let snapshot = self.state.snapshot()?;
        let mut found = ValueBlocks::default();
        for key in keys {
            let value = snapshot.get(key.as_ref())?;
            take(ValueBlocks::cost(value))?;
            found.push(value);
        }
        Ok(found.finish())
    }

    /// The values of all keys that begin with these bytes, in the order of the keys. `take` is asked for memory for each.
    pub(crate) fn prefix(&self, prefix: &[u8], take: Take<'_>) -> Result<Vec<Bytes>, Error> {
        let mut found = ValueBlocks::default();
        let snapshot = self.state.snapshot()?;
        visit::<Error>(&*snapshot, prefix, usize::MAX, &mut |value| {
            take(ValueBlocks::cost(Some(value)))?;
            found.push(Some(value));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found.finish().into_iter().flatten().collect())
    }

    /// Visits the values of the first keys, as they are at one moment, and returns the end of the changelog that they are
    /// of. Nothing is visited if `count` is 0.
    pub(crate) fn visit<E: From<Error>>(
        &self,
        count: usize,
        visit_value: VisitValue<'_, E>,
    ) -> Result<Offset, E> {
        let snapshot = self.state.snapshot().map_err(Error::from)?;
        let applied = snapshot.about().map_err(Error::from)?.applied;
        visit(&*snapshot, &[], count, visit_value)?;
        Ok(applied)
    }

    /// The number of rows. A table whose changelog is `wal` does not tell (`behaviour.md` §3.2): that is for the caller
    /// to refuse.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        let count = || -> io::Result<_> { self.state.snapshot()?.count() };
        count().map_err(Error::from)
    }

    /// Writes a checkpoint, and returns the offset that it stands at: below it the changelog is not needed any more, as
    /// long as the checkpoint before this one is not. Others read and write meanwhile.
    pub(crate) fn checkpoint(&self) -> Result<Offset, Error> {
        let _alone = self.writing_checkpoint.lock();
        Ok(self.checkpoints.write(&*self.state.snapshot()?)?)
    }

    /// The offsets of the checkpoints that there are, in order. The changelog is kept from the first on.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Offset>, Error> {
        Ok(self.checkpoints.offsets()?)
    }

    /// Makes the rows durable, so that they are trusted when the machine has been restarted. The log is synced before.
    pub(crate) fn close(&self) -> Result<(), Error> {
        Ok(self.state.sync()?)
    }

    fn about(&self) -> Result<About, Error> {
        let about = || -> io::Result<_> { self.state.snapshot()?.about() };
        about().map_err(Error::from)
    }
}

/// Visits the values of at most so many keys that begin with these bytes.
fn visit<E: From<Error>>(
    snapshot: &dyn Snapshot,
    prefix: &[u8],
    most: usize,
    visit_value: VisitValue<'_, E>,
) -> Result<(), E> {
    let (mut left, mut failed) = (most, None);
    if most == 0 {
        return Ok(());
    }
    let scanned = snapshot.scan(prefix, &mut |_, value| {
        left -= 1;
        let next = visit_value(value).unwrap_or_else(|failure| {
            failed = Some(failure);
            ControlFlow::Break(())
        });
        Ok(if left == 0 { ControlFlow::Break(()) } else { next })
    });
    scanned.map_err(Error::from)?;
    failed.map_or(Ok(()), Err)
}

/// Collects values in blocks of memory that they share: none is copied twice.
#[derive(Default)]
struct ValueBlocks {
    full: Vec<Bytes>,
    block: Vec<u8>,
    /// In which block each value is, and where there.
    places: Vec<Option<(usize, Range<usize>)>>,
}

impl ValueBlocks {
    const FIRST_BLOCK_BYTES: usize = 256;
    const BLOCK_BYTES: usize = 64 << 10;

    /// What a value takes, here and in an answer: a small one is copied there.
    fn cost(value: Option<&[u8]>) -> usize {
        const PLACE_BYTES: usize = 96;
        const COPIED_BYTES: usize = 4 << 10;
        let bytes = value.map_or(0, <[u8]>::len);
        PLACE_BYTES + bytes + if bytes < COPIED_BYTES { bytes } else { 0 }
    }

    fn push(&mut self, value: Option<&[u8]>) {
        let Some(value) = value else {
            return self.places.push(None);
        };
        let block = self.block.capacity();
        if block - self.block.len() < value.len() {
            let next = (2 * block).clamp(Self::FIRST_BLOCK_BYTES, Self::BLOCK_BYTES);
            let full = std::mem::replace(&mut self.block, Vec::with_capacity(next.max(value.len())));
            self.full.push(full.into());
        }
        let start = self.block.len();
        self.block.extend_from_slice(value);
        self.places.push(Some((self.full.len(), start..self.block.len())));
    }

    fn finish(mut self) -> Vec<Option<Bytes>> {
        self.full.push(self.block.into());
        let blocks = self.full;
        let value = |(block, place): (usize, Range<usize>)| blocks.get(block).map(|block| block.slice(place));
        self.places.into_iter().map(|place| value(place?)).collect()
    }
}
