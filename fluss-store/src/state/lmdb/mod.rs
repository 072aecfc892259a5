//! A state in an LMDB environment: a tree in a memory map, one write transaction for each commit, snapshots without locks.
//!
//! It writes into the map and never syncs: [`Trust`] says whether what it left can be used. Two things are done ahead of
//! each commit: the map is made large enough for it, and room for it is taken on the disk.

mod ledger;
mod open;
mod read;
mod space;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluss_rpc::sync::{RwLock, RwLockReadGuard};
use heed::{MdbError, RwTxn};

use self::ledger::Ledger;
use self::open::Environment;
use self::read::View;
use self::space::Take;
use super::engine::{About, Change, Snapshot, State};
use crate::disk::{Kept, OpenFiles, Trust, with_room};
use crate::error::Unusable;
use crate::tree::{self, ABOUT, Tree, Writes, data_file, fault};

/// An LMDB environment of one bucket, open while it is used, and as long as others do not need its descriptors.
#[derive(Debug)]
pub(in crate::state) struct Lmdb {
    directory: PathBuf,
    environment: Kept<Environment>,
    /// Read for as long as a transaction lives; written to give the environment another map.
    map: RwLock<()>,
    take: Take,
    trust: Trust,
}

impl Lmdb {
    /// Whether the file in a directory, if there is one, can be what was left there, as far as its size and its first
    /// pages tell.
    pub(in crate::state) fn check(directory: &Path, files: Option<&OpenFiles>) -> Result<(), Unusable> {
        let path = data_file(directory);
        match with_room(files, || File::open(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            file => tree::check(&file?),
        }
    }

    /// Opens the environment in a directory that exists. What is in it must be trusted and checked, or nothing.
    pub(in crate::state) fn open(
        directory: &Path,
        trust: Trust,
        files: Option<Arc<OpenFiles>>,
    ) -> io::Result<Self> {
        Self::on(directory, trust, files, space::take)
    }

    pub(super) fn on(
        directory: &Path,
        trust: Trust,
        files: Option<Arc<OpenFiles>>,
        take: Take,
    ) -> io::Result<Self> {
        let environment = Kept::new(files, Environment::DESCRIPTORS);
        environment.get_or_open(|| Environment::open(directory, take).map(Arc::new))?;
        Ok(Self {
            directory: directory.to_owned(),
            environment,
            map: RwLock::default(),
            take,
            trust,
        })
    }

    /// The environment, opened again if need be.
    fn environment(&self) -> io::Result<Arc<Environment>> {
        self.environment
            .get_or_open(|| Environment::reopen(&self.directory, self.take).map(Arc::new))
    }

    /// Keeps the map where it is.
    fn map(&self) -> RwLockReadGuard<'_, ()> {
        self.map.read()
    }

    /// The entries of the tree.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.environment().unwrap().env.stat().entries
    }

    /// The bytes of the file up to its last page.
    #[cfg(test)]
    pub(super) fn used_bytes(&self) -> u64 {
        let env = &self.environment().unwrap().env;
        (env.info().last_page_number as u64 + 1) * u64::from(env.stat().page_size)
    }

    /// Whether all pages that were ever written were set aside on the disk before.
    #[cfg(test)]
    pub(super) fn kept_to_its_room(&self) -> bool {
        self.used_bytes() <= self.environment().unwrap().space.taken()
    }

    /// Makes the map large enough for so many pages, and takes room for them on the disk.
    fn make_room(&self, environment: &Environment, new_pages: u64) -> io::Result<()> {
        let map = self.map();
        let (info, page) = (
            environment.env.info(),
            u64::from(environment.env.stat().page_size),
        );
        drop(map);
        let needed = (info.last_page_number as u64 + 1 + new_pages) * page;
        let mut map_bytes = info.map_size as u64;
        if needed > map_bytes {
            map_bytes = needed.next_power_of_two();
            let mut alone = self.map.write();
            environment.resize(&mut alone, map_bytes)?;
        }
        environment.space.ensure(needed, map_bytes)
    }

    /// Runs a transaction that needs at most about so many new pages.
    fn write(
        &self,
        environment: &Environment,
        mut new_pages: u64,
        about: &About,
        body: impl Fn(&mut Writes<'_, '_>) -> heed::Result<()>,
    ) -> io::Result<()> {
        self.trust.mark_dirty()?;
        loop {
            self.make_room(environment, new_pages)?;
            let _map = self.map();
            let mut txn = environment.env.write_txn().map_err(fault)?;
            match write(&mut txn, environment.tree, about, &body) {
                Ok(()) => return txn.commit().map_err(fault),
                // More than was foreseen. What was written of it goes with the transaction.
                Err(heed::Error::Mdb(MdbError::MapFull)) => new_pages = new_pages.saturating_mul(2),
                Err(error) => return Err(fault(error)),
            }
        }
    }

    /// The most pages that changes write: those that they touch, which are copied, and those that they add.
    fn pages(&self, environment: &Environment, changes: &[Change]) -> u64 {
        let _map = self.map();
        let stat = environment.env.stat();
        let (depth, count) = (u64::from(stat.depth) + 1, changes.len() as u64);
        let tree = (stat.branch_pages + stat.leaf_pages) as u64;
        let added: u64 = changes.iter().map(pages).sum();
        let touched = (count * depth).min(tree);
        // Pages that become free are listed too.
        touched + added + (touched + added) / 256 + 4 * depth + 16
    }
}

impl State for Lmdb {
    fn snapshot(&self) -> io::Result<Box<dyn Snapshot + '_>> {
        Ok(Box::new(View::new(self.environment()?, self.map())?))
    }

    fn commit(&self, changes: &[Change], about: &About) -> io::Result<()> {
        let environment = self.environment()?;
        self.write(&environment, self.pages(&environment, changes), about, |writes| {
            for Change { key, value } in changes {
                match value {
                    Some(value) => writes.put(key, value)?,
                    None => writes.remove(key)?,
                }
            }
            Ok(())
        })
    }

    fn clear(&self) -> io::Result<()> {
        let environment = self.environment()?;
        let map = self.map();
        let pages = environment.env.info().last_page_number as u64;
        drop(map);
        self.write(&environment, pages / 256 + 64, &About::default(), |writes| {
            writes.clear()
        })
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(environment) = self.environment.get() {
            let _map = self.map();
            environment.env.force_sync().map_err(fault)?;
        } else {
            // What was written through a map is the system's, and goes to the disk with the file.
            let path = data_file(&self.directory);
            with_room(self.environment.files(), || File::open(&path))?.sync_all()?;
        }
        self.trust.mark_clean()
    }
}

/// Writes rows, and what stands beside them.
fn write(
    txn: &mut RwTxn<'_>,
    tree: Tree,
    about: &About,
    body: impl Fn(&mut Writes<'_, '_>) -> heed::Result<()>,
) -> heed::Result<()> {
    let stored = tree.get(txn, &ABOUT)?.map(Ledger::decode).unwrap_or_default();
    let mut writes = Writes::new(txn, tree, stored.links);
    body(&mut writes)?;
    let (about, links) = (about.clone(), writes.links);
    writes.put_about(&Ledger { about, links }.encode())
}

fn pages(change: &Change) -> u64 {
    let value = change.value.as_ref().map_or(0, bytes::Bytes::len);
    tree::pages(change.key.len(), value)
}
