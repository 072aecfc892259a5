//! Databases, tables, schemas, partitions, rights and counters: what there is, and what may be created.
//!
//! Readers take the whole catalog as it is at a moment, a [`View`]; they wait for nobody. Changes wait for each other:
//! each makes the next view, writes it to the disk, and only then shows it. All that changes the catalog blocks on the
//! disk.

mod auto;
mod checked;
mod counters;
mod databases;
mod document;
mod entry;
mod partitions;
mod producers;
mod rights;
mod rules;
mod settings;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod time_zone;
mod users;
mod view;

use std::fmt;
use std::io;
use std::sync::Arc;

use fluss_core::id::{PartitionId, TableId};
use fluss_core::types::{PartitionName, TablePath};
use fluss_rpc::code::ErrorCode;
use fluss_rpc::sync::{Mutex, RwLock};
use fluss_store::OpenError;
use fluss_store::disk::Disk;

pub use self::auto::{Plan, plan};
use self::counters::Given;
pub(crate) use self::databases::FIRST_DATABASE;
pub use self::entry::{Database, Partition, TableEntry};
pub use self::producers::ProducerOffsets;
pub use self::rules::{Limits, NewColumn, PropertyChange, check_table};
pub use self::settings::{AutoPartition, Settings};
use self::store::Store;
pub use self::tables::Alteration;
pub use self::time_zone::TimeZone;
pub use self::view::View;
use crate::Failure;

/// All that the node knows apart from the data.
#[derive(Debug)]
pub struct Catalog {
    store: Store,
    limits: Limits,
    view: RwLock<Arc<View>>,
    /// Held by whoever changes something.
    writing: Mutex<Given>,
}

/// Data that nothing refers to any more: the files of their buckets can go.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Gone {
    /// A table, with all its partitions.
    Table(TableId),
    /// One partition of a table.
    Partition(TableId, PartitionId),
}

/// Removes the data of what the catalog has dropped.
pub trait Remove: fmt::Debug + Send + Sync {
    /// Called when the catalog has dropped these, durably. Files may be removed at any time later, also by the next process:
    /// what is on the disk and not in the catalog is never served.
    fn remove(&self, gone: &[Gone]);
}

/// What a change has come to.
enum Outcome<T> {
    /// Nothing changed.
    Same(T),
    /// Something changed.
    New(T),
}

impl Catalog {
    /// Reads the catalog of a disk. On a disk without any, it creates one with the database `fluss`
    /// (`behaviour.md` §1.5).
    ///
    /// # Errors
    /// The document cannot be read or is damaged; nothing is served then.
    pub fn open(disk: Arc<dyn Disk>, limits: Limits, now_ms: i64) -> Result<Self, OpenError> {
        let store = Store::new(disk);
        let stored = store.read()?;
        let view = stored.as_deref().map(document::decode).transpose()?;
        let catalog = Self {
            store,
            limits,
            writing: Mutex::new(Given::after(view.as_ref().map(|view| &view.counters))),
            view: RwLock::default(),
        };
        match view {
            Some(view) => catalog.show(view),
            None => catalog.begin(now_ms)?,
        }
        Ok(catalog)
    }

    /// The catalog as it is now.
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// The table of this identity.
    pub fn table(&self, id: TableId) -> Option<Arc<TableEntry>> {
        self.view().table(id).cloned()
    }

    /// The table of this path.
    ///
    /// # Errors
    /// `TABLE_NOT_EXIST`.
    pub fn table_by_path(&self, path: &TablePath) -> Result<Arc<TableEntry>, Failure> {
        self.view().table_by_path(path).cloned()
    }

    /// The partition of this identity: its table and its name.
    pub fn partition(&self, id: PartitionId) -> Option<(Arc<TableEntry>, PartitionName)> {
        let view = self.view();
        let (table, name) = view.partition(id)?;
        Some((Arc::clone(table), name.clone()))
    }

    /// What the node allows.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    fn write(&self, view: &View) -> io::Result<()> {
        self.store.write(document::format(view), &document::encode(view))
    }

    fn show(&self, view: View) {
        *self.view.write() = Arc::new(view);
    }

    /// Makes the next view, writes it, and shows it. A change that fails changes nothing.
    fn change<T>(&self, change: impl FnOnce(&mut View) -> Result<Outcome<T>, Failure>) -> Result<T, Failure> {
        let _turn = self.writing.lock();
        self.change_in_turn(change)
    }

    /// [`change`](Self::change) for whoever holds `writing` already.
    fn change_in_turn<T>(
        &self,
        change: impl FnOnce(&mut View) -> Result<Outcome<T>, Failure>,
    ) -> Result<T, Failure> {
        let mut next = View::clone(&self.view());
        match change(&mut next)? {
            Outcome::Same(result) => Ok(result),
            Outcome::New(result) => {
                self.write(&next).map_err(|error| {
                    Failure::new(ErrorCode::STORAGE_EXCEPTION, format!("the catalog: {error}"))
                })?;
                self.show(next);
                Ok(result)
            }
        }
    }
}
