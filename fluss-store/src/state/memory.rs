//! A state that ends with its process.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;

use bytes::Bytes;
use fluss_rpc::sync::{RwLock, RwLockReadGuard};

use super::engine::{About, Change, Snapshot, State, Visit};

/// An ordered map behind a lock that a snapshot holds: who looks on for long keeps writers waiting.
#[derive(Debug, Default)]
pub(super) struct Memory(RwLock<Contents>);

#[derive(Debug, Default)]
struct Contents {
    rows: BTreeMap<Bytes, Bytes>,
    about: About,
    /// Whether changes are under way: seen by who has it locked only when they have ended half-way.
    is_changing: bool,
}

impl Contents {
    fn check(&self) -> io::Result<()> {
        if self.is_changing {
            return Err(io::Error::other("changes of the rows have ended half-way"));
        }
        Ok(())
    }
}

impl State for Memory {
    fn snapshot(&self) -> io::Result<Box<dyn Snapshot + '_>> {
        let contents = self.0.read();
        contents.check()?;
        Ok(Box::new(contents))
    }

    fn commit(&self, changes: &[Change], about: &About) -> io::Result<()> {
        let mut contents = self.0.write();
        contents.check()?;
        contents.is_changing = true;
        for Change { key, value } in changes {
            // Copies: a slice would keep all of the request that it came with in memory.
            let Some(value) = value.as_deref().map(Bytes::copy_from_slice) else {
                contents.rows.remove(key);
                continue;
            };
            if let Some(place) = contents.rows.get_mut(key) {
                *place = value;
            } else {
                contents.rows.insert(Bytes::copy_from_slice(key), value);
            }
        }
        contents.about.clone_from(about);
        contents.is_changing = false;
        Ok(())
    }

    fn clear(&self) -> io::Result<()> {
        *self.0.write() = Contents::default();
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Snapshot for RwLockReadGuard<'_, Contents> {
    fn about(&self) -> io::Result<About> {
        Ok(self.about.clone())
    }

    fn count(&self) -> io::Result<u64> {
        Ok(self.rows.len() as u64)
    }

    fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        Ok(self.rows.get(key).map(|value| &**value))
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        for (key, value) in self.rows.range::<[u8], _>(from) {
            if !key.starts_with(prefix) || visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}
