//! A state in an LMDB environment: a tree in a memory map, one write transaction for each commit, snapshots without locks.
//!
//! It writes into the map and never syncs: [`Trust`] says whether what it left can be used. Two things are done ahead of
//! each commit: the map is made large enough for it, and room for it is taken on the disk.

mod check;
mod keys;
mod open;
mod read;
mod space;
mod write;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use heed::{Env, MdbError, WithoutTls};

use self::open::Tree;
use self::read::View;
use self::space::{Space, Take};
use self::write::Writes;
use super::{About, Change, Snapshot, State, Unusable};
use crate::disk::{Trust, read_write};

/// The map to begin with, which costs addresses only.
const FIRST_MAP_BYTES: u64 = 256 << 20;
const DATA: &str = "data.mdb";

/// An LMDB environment of one bucket.
#[derive(Debug)]
pub(in crate::kv) struct Lmdb {
    /// Read for as long as a transaction lives; written to give the environment another map.
    env: RwLock<Env<WithoutTls>>,
    tree: Tree,
    space: Space,
    trust: Trust,
}

impl Lmdb {
    /// The file of the environment in a directory.
    pub(in crate::kv) fn file(directory: &Path) -> PathBuf {
        directory.join(DATA)
    }

    /// Whether the file in a directory, if there is one, can be what was left there, as far as its size and its first
    /// pages tell.
    pub(in crate::kv) fn check(directory: &Path) -> Result<(), Unusable> {
        match File::open(Self::file(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            file => check::check(&file?),
        }
    }

    /// Opens the environment in a directory that exists. What is in it must be trusted and checked, or nothing.
    pub(in crate::kv) fn open(directory: &Path, trust: Trust) -> io::Result<Self> {
        Self::on(directory, trust, space::take)
    }

    pub(super) fn on(directory: &Path, trust: Trust, take: Take) -> io::Result<Self> {
        let file = read_write()
            .create(true)
            .truncate(false)
            .open(Self::file(directory))?;
        let map = file.metadata()?.len().max(FIRST_MAP_BYTES);
        let (env, tree) = open::open(directory, map_bytes(map))?;
        Ok(Self {
            env: RwLock::new(env),
            tree,
            space: Space::new(file, take),
            trust,
        })
    }

    /// The entries of the tree.
    #[cfg(test)]
    pub(super) fn entries(&self) -> usize {
        self.env
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .stat()
            .entries
    }

    /// The bytes of the file up to its last page.
    #[cfg(test)]
    pub(super) fn used_bytes(&self) -> u64 {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        (env.info().last_page_number as u64 + 1) * u64::from(env.stat().page_size)
    }

    /// Whether all pages that were ever written were set aside on the disk before.
    #[cfg(test)]
    pub(super) fn kept_to_its_room(&self) -> bool {
        self.used_bytes() <= self.space.taken()
    }

    /// Makes the map large enough for so many pages, and takes room for them on the disk.
    fn make_room(&self, new_pages: u64) -> io::Result<()> {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        let (info, page) = (env.info(), u64::from(env.stat().page_size));
        drop(env);
        let needed = (info.last_page_number as u64 + 1 + new_pages) * page;
        let mut map = info.map_size as u64;
        if needed > map {
            map = needed.next_power_of_two();
            let mut env = self.env.write().unwrap_or_else(PoisonError::into_inner);
            open::resize(&mut env, map_bytes(map))?;
        }
        self.space.ensure(needed, map)
    }

    /// Runs a transaction that needs at most about so many new pages.
    fn write(
        &self,
        mut new_pages: u64,
        body: impl Fn(&mut Writes<'_, '_>) -> heed::Result<()>,
    ) -> io::Result<()> {
        self.trust.soil()?;
        loop {
            self.make_room(new_pages)?;
            let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
            let mut txn = env.write_txn().map_err(fault)?;
            match Writes::new(&mut txn, self.tree).and_then(|mut writes| body(&mut writes)) {
                Ok(()) => return txn.commit().map_err(fault),
                // More than was foreseen. What was written of it goes with the transaction.
                Err(heed::Error::Mdb(MdbError::MapFull)) => new_pages = new_pages.saturating_mul(2),
                Err(error) => return Err(fault(error)),
            }
        }
    }

    /// The most pages that changes write: those that they touch, which are copied, and those that they add.
    fn pages(&self, changes: &[Change]) -> u64 {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        let stat = env.stat();
        let (depth, count) = (u64::from(stat.depth) + 1, changes.len() as u64);
        let tree = (stat.branch_pages + stat.leaf_pages) as u64;
        let added: u64 = changes.iter().map(write::pages).sum();
        let touched = (count * depth).min(tree);
        // Pages that become free are listed too.
        touched + added + (touched + added) / 256 + 4 * depth + 16
    }
}

impl State for Lmdb {
    fn snapshot(&self) -> io::Result<Box<dyn Snapshot + '_>> {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(View::new(env, self.tree)?))
    }

    fn commit(&self, changes: &[Change], about: &About) -> io::Result<()> {
        self.write(self.pages(changes), |writes| {
            for Change { key, value } in changes {
                match value {
                    Some(value) => writes.put(key, value)?,
                    None => writes.remove(key)?,
                }
            }
            writes.finish(about)
        })
    }

    fn clear(&self) -> io::Result<()> {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        let pages = env.info().last_page_number as u64;
        drop(env);
        self.write(pages / 256 + 64, |writes| {
            writes.clear()?;
            writes.finish(&About::default())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let env = self.env.read().unwrap_or_else(PoisonError::into_inner);
        env.force_sync().map_err(fault)?;
        self.trust.clean()
    }
}

/// A map's size as LMDB takes it: whole pages of any size.
fn map_bytes(bytes: u64) -> usize {
    const LARGEST_PAGE: u64 = 64 << 10;
    usize::try_from(bytes.next_multiple_of(LARGEST_PAGE)).unwrap_or(usize::MAX)
}

fn fault(error: heed::Error) -> io::Error {
    match error {
        heed::Error::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}
