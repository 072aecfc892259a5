//! Changing a copy.

use std::io;

use heed::RwTxn;

use super::join;
use crate::tree::{Links, Tree, Writes, fault, last_key};

/// Changes that are made together.
pub struct Batch<'t, 'e> {
    writes: Writes<'t, 'e>,
    /// No key of a row is behind it.
    last: Vec<u8>,
}

impl<'t, 'e> Batch<'t, 'e> {
    pub(super) fn new(txn: &'t mut RwTxn<'e>, tree: Tree, links: Links) -> heed::Result<Self> {
        Ok(Self {
            last: last_key(tree, txn)?,
            writes: Writes::new(txn, tree, links),
        })
    }

    /// Gives a key a value. Keys that come in order, behind all that there are, are put in fastest.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let put = if key > self.last.as_slice() {
            self.last.clear();
            self.last.extend_from_slice(key);
            self.writes.append(key, value)
        } else {
            self.writes.put(key, value)
        };
        put.map_err(fault)
    }

    /// Removes a key, if it is there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn remove(&mut self, key: &[u8]) -> io::Result<()> {
        self.writes.remove(key).map_err(fault)
    }

    pub(super) fn finish(&mut self, about: &[u8]) -> heed::Result<()> {
        self.writes.put_about(&join(self.writes.links, about))
    }
}
