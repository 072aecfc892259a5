//! What the handles of a replica and the task that follows share.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fluss_client::types::TablePath;
use fluss_rpc::sync::{Mutex, RwLock};
use tokio::sync::watch;

use crate::clock;
use crate::error::{Error, Result};
use crate::freshness::{Behind, Freshness, behind};
use crate::held::Copy;
use crate::meters::Meters;
use crate::mount::{Fresh, FreshFile, Mount};

/// How often a reader looks for what another process has made of the directory, in milliseconds.
const LOOK_MILLIS: i64 = 5;

/// What becomes of a replica.
#[derive(Clone, Debug)]
pub(crate) enum Phase {
    /// It was not started, or is just being started.
    Idle,
    /// There is a copy, which is followed.
    Following,
    /// It has never come to have a copy.
    Failed(Error),
    /// It was shut down.
    Closed,
}

/// What the handles of a replica share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) mount: Mount,
    pub(crate) table: TablePath,
    pub(crate) max_staleness: Option<Duration>,
    /// What is read.
    current: RwLock<Option<Arc<Copy>>>,
    pub(crate) freshness: Freshness,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) meters: Meters,
    /// Of one that reads what another process follows.
    elsewhere: Option<Elsewhere>,
}

/// What is known of whoever follows, in another process or another replica.
#[derive(Default, Debug)]
struct Elsewhere {
    /// When it was last looked at, in milliseconds.
    looked_at: AtomicI64,
    file: Mutex<Option<FreshFile>>,
}

impl Shared {
    pub(crate) fn new(
        mount: Mount,
        table: TablePath,
        max_staleness: Option<Duration>,
        current: Option<Copy>,
        follows: bool,
    ) -> Self {
        Self {
            meters: Meters::of(&table),
            mount,
            table,
            max_staleness,
            current: RwLock::new(current.map(Arc::new)),
            freshness: Freshness::new(),
            phase: watch::Sender::new(Phase::Idle),
            elsewhere: (!follows).then(Elsewhere::default),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.mount.directory()
    }

    /// Whether it follows the table itself.
    pub(crate) const fn follows(&self) -> bool {
        self.elsewhere.is_none()
    }

    /// Reads what is current.
    pub(crate) fn with_current<T>(&self, body: impl FnOnce(&Copy) -> Result<T>) -> Result<T> {
        self.keep_up()?;
        if let Some(most) = self.max_staleness {
            let age = self.freshness.as_of().map(clock::since);
            if age.is_none_or(|age| age > most) {
                let table = self.table.clone();
                return Err(Error::Stale { table, age, most });
            }
        }
        // The lock is not held meanwhile: whoever waits for it may keep `body` from going on.
        match self.current() {
            Some(copy) => body(&copy),
            None => Err(self.no_copy()),
        }
    }

    /// What is current, for whoever reads it for long.
    pub(crate) fn current(&self) -> Option<Arc<Copy>> {
        self.current.read().clone()
    }

    pub(crate) fn set_current(&self, copy: Option<Arc<Copy>>) {
        let before = std::mem::replace(&mut *self.current.write(), copy);
        drop(before);
    }

    fn no_copy(&self) -> Error {
        match &*self.phase.borrow() {
            Phase::Closed => Error::Closed {
                table: self.table.clone(),
            },
            _ => Error::NoCopy {
                directory: self.directory().to_owned(),
                table: self.table.clone(),
            },
        }
    }

    /// Looks at what another process has made of the directory, if it is time.
    pub(crate) fn keep_up(&self) -> Result<()> {
        let Some(elsewhere) = &self.elsewhere else {
            return Ok(());
        };
        let now = clock::now();
        let before = elsewhere.looked_at.load(Ordering::Relaxed);
        // A clock that was set back does not keep it from looking.
        if (before..before.saturating_add(LOOK_MILLIS)).contains(&now) {
            return Ok(());
        }
        // Others read what there is, and one looks.
        let Some(mut file) = elsewhere.file.try_lock() else {
            return Ok(());
        };
        elsewhere.looked_at.store(now, Ordering::Relaxed);
        if matches!(*self.phase.borrow(), Phase::Closed) {
            return Ok(());
        }
        let told = self.told(&mut file)?;
        let current = self.current();
        let is_known = |copy: &Arc<Copy>| {
            copy.generation == told.generation && copy.shape.schema_id.get() == told.schema_id
        };
        if !current.as_ref().is_some_and(is_known) {
            self.read_current()?;
        }
        if self.current().is_some() {
            self.freshness.tell(told.as_of);
        }
        Ok(())
    }

    /// What whoever follows tells.
    fn told(&self, file: &mut Option<FreshFile>) -> Result<Fresh> {
        if file.is_none() {
            match self.mount.fresh(false) {
                Ok(opened) => *file = Some(opened),
                // Nobody has followed yet, or was able to tell.
                Err(Error::Storage { .. }) => return Ok(Fresh::default()),
                Err(error) => return Err(error),
            }
        }
        let told = file.as_ref().map(FreshFile::read).transpose();
        let told = told.map_err(Error::storage(self.directory()))?;
        Ok(told.flatten().unwrap_or_default())
    }

    /// Opens the copy that is current in the directory.
    pub(crate) fn read_current(&self) -> Result<()> {
        let Some(current) = self.mount.current()? else {
            return Ok(());
        };
        let directory = self.mount.copy(current.generation);
        let copy = Copy::open(&directory, current.generation, &self.table)?;
        self.set_current(Some(Arc::new(copy)));
        Ok(())
    }

    /// How far each bucket is applied, and where it ends.
    pub(crate) fn behind(&self) -> Result<Behind> {
        self.keep_up()?;
        let Some(copy) = self.current() else {
            return Err(self.no_copy());
        };
        let Some(elsewhere) = &self.elsewhere else {
            return Ok(self.freshness.behind());
        };
        let contents = copy.contents()?;
        let table = fluss_client::id::TableId(contents.table_id);
        let file = elsewhere.file.lock();
        let ends = file.as_ref().map(|file| file.ends(table)).transpose();
        let ends = ends.map_err(Error::storage(self.directory()))?;
        let applied = contents.buckets().collect();
        Ok(behind(&applied, &ends.flatten().unwrap_or_default()))
    }
}
