//! Changing a copy.

use std::io;

use heed::RwTxn;

use super::join;
use crate::tree::{Links, Place, Tree, Writes, fault};

/// Changes that are made together.
pub struct Batch<'t, 'e> {
    writes: Writes<'t, 'e>,
    /// No key of a row is behind it.
    last: Vec<u8>,
}

impl<'t, 'e> Batch<'t, 'e> {
    pub(super) fn new(txn: &'t mut RwTxn<'e>, tree: Tree, links: Links) -> heed::Result<Self> {
        let writes = Writes::new(txn, tree, links);
        Ok(Self {
            last: writes.last_key()?,
            writes,
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

    /// Puts many rows, each in any order, but fastest in that of their keys.
    ///
    /// # Errors
    ///
    /// Those of `body`, and of the system.
    pub fn load<E: From<io::Error>>(
        &mut self,
        body: impl FnOnce(&mut Load<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let long = {
            let mut load = Load {
                place: self.writes.place().map_err(fault)?,
                long: Vec::new(),
            };
            body(&mut load)?;
            load.long
        };
        for (key, value) in long {
            self.writes.put(&key, &value).map_err(fault)?;
        }
        self.last = self.writes.last_key().map_err(fault)?;
        Ok(())
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

/// Many rows on their way into a copy.
pub struct Load<'b> {
    place: Place<'b>,
    /// Those with long keys, which are put when the others are.
    long: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Load<'_> {
    /// Gives a key a value.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if !self.place.put(key, value).map_err(fault)? {
            self.long.push((key.to_vec(), value.to_vec()));
        }
        Ok(())
    }
}
