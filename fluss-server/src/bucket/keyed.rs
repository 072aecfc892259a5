//! Buckets of primary-key tables: each write is a change of the rows and, before that, a batch of the log.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::id::{BatchSequence, Offset, WriterId};
use fluss_core::record::kv::KvBatch;
use fluss_core::record::value::ValuesBuilder;
use fluss_store::log::{Appended, BucketLog, Sync};

use super::{Bucket, Error};
use crate::catalog::{Catalog, TableEntry};
use crate::error::Failure;
use crate::kv::{self, Tablet, Take, VisitValue, WriteMode};

/// The rows of a bucket.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) tablet: Tablet,
    /// What gives out the numbers of auto-increment columns.
    pub(super) catalog: Arc<Catalog>,
}

impl Bucket {
    /// Applies a batch of writes, and returns the offset behind the changes in the log. `take` is asked for memory for each
    /// of them; if it refuses, nothing has changed.
    pub(crate) fn put(&self, batch: &KvBatch, mode: &WriteMode, take: Take<'_>) -> Result<Offset, Error> {
        let rows = self.rows()?;
        let now_ms = self.clock.now_ms();
        let mut log = self.log_to_write()?;
        let (writer, sequence): (Option<WriterId>, Option<BatchSequence>) = batch.stamp.unzip();
        let stored = log.check_writer(writer, sequence, now_ms)?;
        // A write that has failed half-way may be in the log: neither durable, nor in the rows, nor seen.
        self.make_durable(&mut log)?;
        rows.catch_up(&log)?;
        if let Some(stored) = stored {
            self.advance(log.end_offset());
            return Ok(stored.next_offset);
        }
        let mut draft = rows.tablet.draft()?;
        let mut reserve = || rows.reserve(self);
        let changelog = rows
            .tablet
            .prepare(&mut draft, batch, mode, (&mut reserve, take))?;
        let end = match log.append(changelog, now_ms)? {
            Appended::Stored(span) | Appended::Duplicate(span) => span.next_offset,
            Appended::Nothing => log.end_offset(),
        };
        // Rows are seen only when their changes are as durable as they are to be.
        self.make_durable(&mut log)?;
        rows.tablet.commit(draft, end)?;
        drop(log);
        self.advance(end);
        Ok(end)
    }

    /// Makes all of the log durable, if writes wait for that.
    fn make_durable(&self, log: &mut BucketLog) -> Result<(), Error> {
        let sync = if self.waits { log.begin_sync() } else { None };
        sync.map(Sync::run).transpose()?;
        Ok(())
    }

    /// Inserts a row for each key that has none: of its key, and otherwise of nothing (`behaviour.md` §5.2).
    pub(crate) fn insert_missing(
        &self,
        table: &TableEntry,
        keys: &[Bytes],
        take: Take<'_>,
    ) -> Result<(), Error> {
        let tablet = &self.rows()?.tablet;
        let found = tablet.lookup(keys, take)?;
        let missing = keys.iter().zip(found).filter(|(_, found)| found.is_none());
        let missing: Vec<_> = missing.map(|(key, _)| key).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let partition = self
            .id
            .partition
            .and_then(|partition| table.partition_name(partition));
        let (batch, mode) = tablet.insertion(&missing, partition)?;
        self.put(&batch, &mode, take).map(drop)
    }

    /// The values of keys, nothing where there is none. `take` is asked for memory for each.
    pub(crate) fn look_up(&self, keys: &[Bytes], take: Take<'_>) -> Result<Vec<Option<Bytes>>, Error> {
        Ok(self.rows()?.tablet.lookup(keys, take)?)
    }

    /// The values of all keys that begin with these bytes, in the order of the keys. `take` is asked for memory for each.
    pub(crate) fn look_up_prefix(&self, prefix: &[u8], take: Take<'_>) -> Result<Vec<Bytes>, Error> {
        Ok(self.rows()?.tablet.prefix(prefix, take)?)
    }

    /// The values of the first so many keys, or the batches that hold the last so many records. `take` is asked for memory
    /// for all of them.
    pub(crate) fn scan(&self, limit: usize, take: Take<'_>) -> Result<Bytes, Error> {
        if self.rows.is_none() {
            return self.last_records(limit, take);
        }
        let rows = self.rows()?;
        let mut values = ValuesBuilder::default();
        rows.tablet.visit::<Error>(limit, &mut |value| {
            // The batch may have grown a moment ago, to twice of what is in it.
            take(2 * (size_of::<i32>() + value.len()))?;
            values.push(value);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(values.finish().into())
    }

    /// Visits the values of the first so many keys, as of one moment, and returns the end of the log that they have the
    /// changes of.
    pub(crate) fn visit_values<E: From<Error> + From<kv::Error>>(
        &self,
        limit: usize,
        visit: VisitValue<'_, E>,
    ) -> Result<Offset, E> {
        self.rows()?.tablet.visit(limit, visit)
    }

    /// The number of rows: those that are there by their keys, or those that are in the log.
    pub(crate) fn row_count(&self, table: &TableEntry) -> Result<i64, Error> {
        if self.rows.is_none() {
            return Ok(self.high_watermark() - self.start_offset()?);
        }
        let rows = self.rows()?;
        if !rows.tablet.table().counts_rows() {
            return Err(Error::NotCounted(table.info().path.clone()));
        }
        Ok(i64::try_from(rows.tablet.count()?).unwrap_or(i64::MAX))
    }

    /// The rows, while they are all that the log leads to.
    pub(super) fn rows(&self) -> Result<&Keyed, Error> {
        self.log.check().map_err(|_| Error::Poisoned(self.id))?;
        self.rows.as_ref().ok_or(Error::NoKeys(self.id))
    }
}

impl Keyed {
    /// Applies what is in the log and not yet in the rows: a crash, or a full disk, came between the two.
    pub(super) fn catch_up(&self, log: &BucketLog) -> Result<(), Error> {
        let applied = self.tablet.applied()?;
        if applied >= log.end_offset() {
            return Ok(());
        }
        for batch in log.batches(applied) {
            let batch = batch?;
            self.tablet.replay([&batch]).map_err(kv::Error::from)?;
        }
        Ok(())
    }

    /// The offset from which the changelog is needed to make the rows again.
    pub(super) fn kept_from(&self) -> Result<Offset, Error> {
        let checkpoints = self.tablet.checkpoints()?;
        // With one alone, all is kept: it may turn out to be damaged.
        Ok(match checkpoints[..] {
            [first, _, ..] => first,
            _ => 0,
        })
    }

    /// Writes a checkpoint, unless the last one has all rows as they are.
    pub(super) fn checkpoint(&self) -> Result<(), Error> {
        let checkpoints = self.tablet.checkpoints()?;
        if checkpoints.last() == Some(&self.tablet.applied()?) {
            return Ok(());
        }
        self.tablet.checkpoint()?;
        Ok(())
    }

    fn reserve(&self, bucket: &Bucket) -> Result<std::ops::Range<i64>, Failure> {
        let table = self.catalog.table(bucket.id.table);
        let cache = table.map_or(1, |table| table.settings().auto_increment_cache);
        self.catalog.reserve_ids(bucket.id.table, cache)
    }
}
