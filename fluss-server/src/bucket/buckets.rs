//! The buckets of the node: each is opened when it is first asked for.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use fluss_core::id::{BucketId, PartitionId, TableBucket, TableId};
use fluss_rpc::guarded::Guarded;
use fluss_rpc::sync::{Mutex, RwLock, RwLockReadGuard};
use fluss_store::OpenError;
use fluss_store::disk::{Disk, Trust};
use fluss_store::log::{BucketLog, LogOptions, Sync};
use tracing::warn;

use super::keyed::Keyed;
use super::{Bucket, Error};
use crate::catalog::{Catalog, Gone, Remove, TableEntry, View};
use crate::clock::Clock;
use crate::kv::{self, Tablet};

/// The directory of all buckets.
const DIRECTORY: &str = "buckets";

/// The buckets of a node.
pub(crate) struct Buckets {
    disk: Arc<dyn Disk>,
    catalog: Arc<Catalog>,
    clock: Arc<dyn Clock>,
    log_options: LogOptions,
    /// Whether a write waits for the disk.
    waits: bool,
    slots: RwLock<HashMap<TableBucket, Arc<Slot>>>,
    trust: Trust,
    /// Whether everything was durable when this was opened.
    was_clean: bool,
    /// Whether what a power cut has left was put in order, so that the mark can be about what is written from now on.
    is_in_order: bool,
    /// Whether no more writes are taken.
    closed: Arc<AtomicBool>,
}

/// Holds a bucket once it is open.
#[derive(Default)]
struct Slot {
    bucket: OnceLock<Arc<Bucket>>,
    opening: Mutex<()>,
}

impl Buckets {
    /// The buckets of a catalog's tables. What is on the disk of others is removed.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        catalog: Arc<Catalog>,
        clock: Arc<dyn Clock>,
        (segment_bytes, waits): (u64, bool),
    ) -> Result<Self, OpenError> {
        let directory = Path::new(DIRECTORY);
        let failed = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        disk.create_dir(directory).map_err(failed)?;
        let trust = Trust::open(&disk, directory).map_err(failed)?;
        let log_options = LogOptions {
            segment_bytes,
            after_power_cut: !trust.holds(),
            ..LogOptions::default()
        };
        let mut buckets = Self {
            disk,
            catalog,
            clock,
            log_options,
            waits,
            slots: RwLock::default(),
            was_clean: trust.is_clean(),
            trust,
            is_in_order: false,
            closed: Arc::default(),
        };
        buckets.remove_unknown().map_err(failed)?;
        buckets.is_in_order = buckets.trust.holds() || buckets.put_in_order().map_err(failed)?;
        if buckets.is_in_order {
            buckets.trust.mark_dirty().map_err(failed)?;
        }
        Ok(buckets)
    }

    /// The bucket of a table, opened if it is not yet.
    ///
    /// # Errors
    ///
    /// Its files cannot be read, or are damaged.
    pub(crate) fn get(&self, id: TableBucket, table: &TableEntry) -> Result<Arc<Bucket>, Error> {
        let slot = self.slot(id);
        if let Some(bucket) = slot.bucket.get() {
            bucket.follow(table)?;
            return Ok(bucket.clone());
        }
        let _alone = slot.opening.lock();
        if let Some(bucket) = slot.bucket.get() {
            bucket.follow(table)?;
            return Ok(bucket.clone());
        }
        self.check_is_there(id)?;
        let bucket = self.open_bucket(id, table);
        let bucket = bucket.map_err(|error| {
            let error = Box::new(error);
            Error::CannotOpen { id, error }
        })?;
        Ok(slot.bucket.get_or_init(|| Arc::new(bucket)).clone())
    }

    /// A bucket is not opened again once its table was dropped.
    fn check_is_there(&self, id: TableBucket) -> Result<(), Error> {
        let table = self.catalog.table(id.table);
        if table.is_some_and(|table| table.has_bucket(id.partition, id.bucket.get())) {
            return Ok(());
        }
        self.slots.write().remove(&id);
        Err(Error::Unknown(id))
    }

    /// Opens all buckets that are on the disk. After a power cut, because once the mark is renewed nobody can tell any more
    /// that they may have holes; before a clean end, because of what a process had written that was killed. Says whether
    /// all of them could be opened.
    fn put_in_order(&self) -> std::io::Result<bool> {
        let (view, mut is_in_order) = (self.catalog.view(), true);
        for name in self.disk.list(Path::new(DIRECTORY))? {
            let Some(any) = parse(&name) else { continue };
            let Some(table) = view.table(any.table) else {
                continue;
            };
            for bucket in self.disk.list(&Path::new(DIRECTORY).join(&name))? {
                let Ok(bucket) = bucket.parse().map(BucketId) else {
                    continue;
                };
                if let Err(failure) = self.get(TableBucket { bucket, ..any }, table) {
                    warn!(target: crate::TARGET, %failure, "a bucket was not put in order");
                    is_in_order = false;
                }
            }
        }
        Ok(is_in_order)
    }

    fn slot(&self, id: TableBucket) -> Arc<Slot> {
        let slots = self.slots();
        if let Some(slot) = slots.get(&id) {
            return slot.clone();
        }
        drop(slots);
        let mut slots = self.slots.write();
        slots.entry(id).or_default().clone()
    }

    fn open_bucket(&self, id: TableBucket, table: &TableEntry) -> Result<Bucket, OpenError> {
        let directory = directory(id.table, id.partition).join(id.bucket.to_string());
        let mut log = BucketLog::open(self.disk.clone(), directory.join("log"), self.log_options.clone())?;
        if self.waits {
            // What a killed process has left may not be durable yet, and is to be read from now on.
            let synced = log.begin_sync().map_or(Ok(()), Sync::run);
            synced.map_err(|failure| unusable(&directory, &failure))?;
        }
        for damage in log.damage() {
            warn!(target: crate::TARGET, bucket = %id, %damage, "a log is damaged");
        }
        let rows = if table.info().has_primary_key() {
            let rules = kv_table(table).map_err(|failure| unusable(&directory, &failure))?;
            let reach = log.start_offset()..log.end_offset();
            let rows = Keyed {
                tablet: Tablet::open(&self.disk, &directory.join("state"), rules, reach)?,
                catalog: self.catalog.clone(),
            };
            rows.catch_up(&log)
                .map_err(|failure| unusable(&directory, &failure))?;
            Some(rows)
        } else {
            None
        };
        Ok(Bucket {
            id,
            high_watermark: log.end_offset().into(),
            log: Guarded::new(log),
            rows,
            readers: Mutex::default(),
            waits: self.waits,
            closed: self.closed.clone(),
            clock: self.clock.clone(),
        })
    }

    fn slots(&self) -> RwLockReadGuard<'_, HashMap<TableBucket, Arc<Slot>>> {
        self.slots.read()
    }

    fn all(&self) -> Vec<Arc<Bucket>> {
        self.slots()
            .values()
            .filter_map(|slot| slot.bucket.get().cloned())
            .collect()
    }

    /// Makes durable what was written to any bucket.
    pub(crate) fn sync(&self) {
        self.each(Bucket::sync);
    }

    /// Makes durable what was written to buckets that would take long to open otherwise.
    pub(crate) fn sync_where_due(&self) {
        self.each(Bucket::sync_if_due);
    }

    fn each(&self, sync: fn(&Bucket) -> Result<(), Error>) {
        for bucket in self.all() {
            // The files of one that is dropped meanwhile are gone.
            if let Err(failure) = sync(&bucket)
                && self.slots().contains_key(&bucket.id)
            {
                warn!(target: crate::TARGET, bucket = %bucket.id, %failure, "a log was not synced");
            }
        }
    }

    /// Drops what is older than its table keeps it.
    pub(crate) fn expire(&self) {
        let now_ms = self.clock.now_ms();
        let view = self.catalog.view();
        for bucket in self.all() {
            let ttl = view
                .table(bucket.id.table)
                .and_then(|table| table.settings().log_ttl);
            let Some(ttl) = ttl.and_then(|ttl| i64::try_from(ttl.as_millis()).ok()) else {
                continue;
            };
            if let Err(failure) = bucket.expire(now_ms.saturating_sub(ttl)) {
                warn!(target: crate::TARGET, bucket = %bucket.id, %failure, "old data were not dropped");
            }
        }
    }

    /// Takes no more writes, makes everything durable, and notes that it is.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let mut is_clean = self.is_in_order && (self.was_clean || self.put_in_order().unwrap_or(false));
        for bucket in self.all() {
            is_clean &= bucket.close();
        }
        if is_clean && let Err(error) = self.trust.mark_clean() {
            warn!(target: crate::TARGET, %error, "a clean end was not noted");
        }
    }

    /// Removes what is on the disk and not in the catalog: a crash came between the two.
    fn remove_unknown(&self) -> std::io::Result<()> {
        let view = self.catalog.view();
        for name in self.disk.list(Path::new(DIRECTORY))? {
            if is_unknown(&view, &name) {
                self.disk.remove_dir(&Path::new(DIRECTORY).join(name))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buckets").finish_non_exhaustive()
    }
}

impl Remove for Buckets {
    fn remove(&self, gone: &[Gone]) {
        let is_gone = |id: &TableBucket| {
            gone.iter().any(|gone| match gone {
                Gone::Table(table) => id.table == *table,
                Gone::Partition(table, partition) => (id.table, id.partition) == (*table, Some(*partition)),
            })
        };
        self.slots.write().retain(|id, _| !is_gone(id));
        let removed = self.disk.list(Path::new(DIRECTORY)).and_then(|names| {
            let belongs = |name: &&String| parse(name).is_some_and(|id| is_gone(&id));
            let mut names = names.iter().filter(belongs);
            names.try_for_each(|name| self.disk.remove_dir(&Path::new(DIRECTORY).join(name)))
        });
        if let Err(error) = removed {
            warn!(target: crate::TARGET, %error, "data of dropped tables were not removed; they will be at the next start");
        }
    }
}

/// The rules and schemas of a primary-key table.
pub(super) fn kv_table(table: &TableEntry) -> Result<Arc<kv::Table>, kv::Error> {
    let schemas = table.schemas().iter();
    let schemas = schemas.map(|(id, schema)| (*id, (**schema).clone()));
    kv::Table::new(table.info().clone(), schemas).map(Arc::new)
}

/// The directory of a table's buckets, or of those of one partition.
fn directory(table: TableId, partition: Option<PartitionId>) -> PathBuf {
    let name = match partition {
        None => table.to_string(),
        Some(partition) => format!("{table}-{partition}"),
    };
    Path::new(DIRECTORY).join(name)
}

/// A bucket of the table or partition that a directory is of.
fn parse(name: &str) -> Option<TableBucket> {
    let (table, partition) = match name.split_once('-') {
        None => (name, None),
        Some((table, partition)) => (table, Some(PartitionId(partition.parse().ok()?))),
    };
    Some(TableBucket {
        table: TableId(table.parse().ok()?),
        partition,
        bucket: 0.into(),
    })
}

/// Whether a directory of the node's is of a table or partition that is not there any more.
fn is_unknown(view: &View, name: &str) -> bool {
    parse(name).is_some_and(|id| {
        let table = view.table(id.table);
        table.is_none_or(|table| !table.has_bucket(id.partition, 0))
    })
}

fn unusable(directory: &Path, failure: &dyn std::error::Error) -> OpenError {
    OpenError::Io {
        path: directory.to_owned(),
        source: std::io::Error::other(failure.to_string()),
    }
}
