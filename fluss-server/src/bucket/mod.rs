//! A bucket: its log, the state that the log leads to if its rows have keys, and who waits for news of it.

mod buckets;
mod error;
mod keyed;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use fluss_core::id::{Offset, TableBucket};
use fluss_rpc::guarded::{Guard, Guarded};
use fluss_rpc::sync::Mutex;
use fluss_store::log::{Appended, BucketLog, ReadLimits, Slice, Sync};
use tokio::sync::Notify;
use tracing::warn;

pub(crate) use self::buckets::Buckets;
pub(crate) use self::error::Error;
use self::keyed::Keyed;
use crate::catalog::TableEntry;
use crate::clock::Clock;
use crate::kv::Take;

/// A fetch offset that stands for the start of the log.
const EARLIEST: Offset = -2;

/// The answer to an append that had nothing in it.
const NOTHING: Offset = -1;

/// A bucket that is open.
#[derive(Debug)]
pub(crate) struct Bucket {
    id: TableBucket,
    /// Whoever holds the log may write to the rows too. If that ends half-way, neither is used any more: the next start
    /// makes both good again.
    log: Guarded<BucketLog>,
    /// What the log leads to, if its rows have keys.
    rows: Option<Keyed>,
    /// Behind the last record that may be read: all before it is as durable as it is to be.
    high_watermark: AtomicI64,
    readers: Mutex<Vec<Weak<Notify>>>,
    /// Whether a write waits for the disk.
    waits: bool,
    /// Whether the node has closed.
    closed: Arc<AtomicBool>,
    clock: Arc<dyn Clock>,
}

impl Bucket {
    /// Appends batches of a writer, and returns the offset of their first record; -1 if there was none.
    pub(crate) fn append(&self, records: Bytes) -> Result<Offset, Error> {
        let mut log = self.log_to_write()?;
        let base = match log.append(records, self.clock.now_ms())? {
            Appended::Stored(span) | Appended::Duplicate(span) => span.base_offset,
            Appended::Nothing => NOTHING,
        };
        self.settle(log)?;
        Ok(base)
    }

    /// Makes what was written durable, if that is to be waited for, and lets it be read. Others append meanwhile.
    fn settle(&self, mut log: Guard<'_, BucketLog>) -> Result<(), Error> {
        let end = log.end_offset();
        let sync = if self.waits { log.begin_sync() } else { None };
        drop(log);
        if let Some(sync) = sync {
            sync.run()?;
        }
        self.advance(end);
        Ok(())
    }

    /// Where to read from an offset on: the start of the log, the high watermark, and the batches between.
    pub(crate) fn find(
        &self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<(Offset, Offset, Slice), Error> {
        // Before the log is looked at: what is added since is for the next.
        let up_to = self.high_watermark();
        let log = self.log()?;
        let start = log.start_offset();
        let limits = ReadLimits {
            up_to,
            max_bytes,
            at_least_one,
        };
        let slice = log.read(if from == EARLIEST { start } else { from }, limits)?;
        Ok((start, up_to, slice))
    }

    /// The batches that hold the last so many records. `take` is asked for memory for them.
    fn last_records(&self, count: usize, take: Take<'_>) -> Result<Bytes, Error> {
        let count = Offset::try_from(count).unwrap_or(Offset::MAX);
        let mut next = self
            .high_watermark()
            .saturating_sub(count)
            .max(self.start_offset()?);
        let mut batches = Vec::new();
        // A slice ends with its segment.
        while next < self.high_watermark() && count > 0 {
            let (_, _, slice) = self.find(next, usize::MAX, true)?;
            // They are put together, which copies them.
            take(slice.bytes().saturating_mul(2))?;
            let bytes = slice.load()?;
            next = end_of(&bytes).unwrap_or(Offset::MAX);
            batches.push(bytes);
        }
        Ok(batches.concat().into())
    }

    /// Which bucket it is.
    pub(crate) const fn id(&self) -> TableBucket {
        self.id
    }

    /// Where the log begins.
    pub(crate) fn start_offset(&self) -> Result<Offset, Error> {
        Ok(self.log()?.start_offset())
    }

    /// Returns the offset after the last readable record.
    pub(crate) fn high_watermark(&self) -> Offset {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Returns the offset of the first batch with a timestamp at or after `time_ms`, or the high watermark if there is none.
    pub(crate) fn offset_at(&self, time_ms: i64) -> Result<Offset, Error> {
        let high_watermark = self.high_watermark();
        let offset = self.log()?.offset_for_time(time_ms)?;
        Ok(offset.map_or(high_watermark, |offset| offset.min(high_watermark)))
    }

    /// Notifies `reader` once, at the next append.
    pub(crate) fn watch(&self, reader: &Arc<Notify>) {
        let mut readers = self.readers.lock();
        // Those that are gone make way when there would be no room, so that each costs the same however many wait.
        if readers.len() == readers.capacity() {
            readers.retain(|reader| reader.strong_count() > 0);
            let waiting = readers.len();
            readers.reserve(waiting.max(1));
        }
        readers.push(Arc::downgrade(reader));
    }

    fn advance(&self, end: Offset) {
        self.high_watermark.fetch_max(end, Ordering::AcqRel);
        let readers = std::mem::take(&mut *self.readers.lock());
        for reader in readers.iter().filter_map(Weak::upgrade) {
            reader.notify_one();
        }
    }

    /// Takes over what has become of the table: a new column, for instance.
    fn follow(&self, table: &TableEntry) -> Result<(), Error> {
        match &self.rows {
            Some(rows) if rows.tablet.table().latest() < table.info().schema_id => {
                rows.tablet.set_table(buckets::kv_table(table)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Makes durable what was written, as far as it is not.
    fn sync(&self) -> Result<(), Error> {
        let sync = self.log()?.begin_sync();
        sync.map(Sync::run).transpose()?;
        Ok(())
    }

    /// As [`Self::sync`], where so much was written that the next start would read for long.
    fn sync_if_due(&self) -> Result<(), Error> {
        if self.log()?.is_checkpoint_due() {
            self.sync()?;
        }
        Ok(())
    }

    /// Drops records from before a time, in milliseconds since the epoch. The changes of rows stay until a checkpoint has
    /// the rows, and one before it is there to fall back on.
    fn expire(&self, older_than_ms: i64) -> Result<(), Error> {
        let mut log = self.log()?;
        let Some(rows) = &self.rows else {
            log.expire(older_than_ms, Offset::MAX)?;
            return Ok(());
        };
        let expired = log.expired_up_to(older_than_ms);
        if expired <= log.start_offset() {
            return Ok(());
        }
        drop(log);
        if rows.kept_from()? < expired {
            // The checkpoint that takes the place of an older one to fall back on must not be ahead of the log.
            self.sync()?;
            rows.checkpoint()?;
        }
        let kept_from = rows.kept_from()?;
        self.log()?.expire(older_than_ms, kept_from)?;
        Ok(())
    }

    /// Makes everything durable, and says whether it is.
    fn close(&self) -> bool {
        // The log first: rows that are ahead of their log could not be told from others.
        let closed = self.log().and_then(|mut log| Ok(log.close()?));
        let closed = closed.and_then(|()| match &self.rows {
            Some(rows) => Ok(rows.tablet.close()?),
            None => Ok(()),
        });
        if let Err(failure) = &closed {
            warn!(target: crate::TARGET, bucket = %self.id, %failure, "not all is durable");
        }
        closed.is_ok()
    }

    /// The log, while writes are taken.
    fn log_to_write(&self) -> Result<Guard<'_, BucketLog>, Error> {
        let log = self.log()?;
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(log)
    }

    fn log(&self) -> Result<Guard<'_, BucketLog>, Error> {
        self.log.lock().map_err(|_| Error::Poisoned(self.id))
    }
}

/// The offset behind the last batch.
fn end_of(batches: &Bytes) -> Option<Offset> {
    use fluss_core::record::log::LogBatches;
    let batches = LogBatches::new(batches.clone());
    batches
        .map_while(Result::ok)
        .last()
        .map(|batch| batch.next_offset())
}
