//! Tables: files of entries in the order of their keys.

use std::collections::HashMap;
use std::vec;

use bytes::Bytes;

use super::block::{Block, Entries, Handle};
use super::fault::{Fault, fault, varint};

/// The last bytes of a block-based table.
pub(super) const MAGIC: u64 = 0x88E2_41B7_85F4_CFF7;
/// A kind of checksum, two places with room for the longest, a version and the magic number.
pub(super) const FOOTER: usize = 1 + 40 + 4 + 8;
/// Checksums of this kind are CRC-32C.
pub(super) const CRC_32C: u8 = 1;

/// What the last eight bytes of a key say: the number of the write, and what it did.
const SUFFIX: usize = 8;
const DELETION: u8 = 0;
const VALUE: u8 = 1;
const SINGLE_DELETION: u8 = 7;

/// The entries of a table, one at a time.
#[derive(Debug)]
pub(super) struct Cursor {
    file: Bytes,
    blocks: vec::IntoIter<Handle>,
    entries: Option<Entries>,
    pub(super) write: u64,
    /// What the entry stores; nothing for one that deletes.
    pub(super) value: Option<Bytes>,
}

impl Cursor {
    /// Before the first entry.
    pub(super) fn open(file: Bytes) -> Result<Self, Fault> {
        let footer = file.last_chunk::<FOOTER>();
        let footer = footer.ok_or_else(|| fault(format!("{} bytes are no table", file.len())))?;
        let [
            checksum,
            places @ ..,
            v0,
            v1,
            v2,
            v3,
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
        ] = footer;
        if u64::from_le_bytes([*m0, *m1, *m2, *m3, *m4, *m5, *m6, *m7]) != MAGIC {
            return Err(fault("this is no block-based table"));
        }
        let version = u32::from_le_bytes([*v0, *v1, *v2, *v3]);
        if !(2..=5).contains(&version) {
            return Err(fault(format!("version {version} of tables is not read")));
        }
        if *checksum != CRC_32C {
            return Err(fault(format!("checksums of kind {checksum} are not read")));
        }
        let mut places: &[u8] = places;
        let listed = Handle::read(&mut places)?;
        let index = Handle::read(&mut places)?;
        let properties = Properties::find(&file, listed)?;
        properties.check()?;
        let blocks = Block::read(&file, index)?.handles(properties.has_deltas()?)?;
        Ok(Self {
            file,
            blocks: blocks.into_iter(),
            entries: None,
            write: 0,
            value: None,
        })
    }

    /// Steps to the next entry, if there is one.
    pub(super) fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            if let Some(entries) = &mut self.entries
                && let Some(value) = entries.advance()?
            {
                let suffix = entries.key().last_chunk::<SUFFIX>();
                let suffix = suffix.ok_or_else(|| fault("a key without a write"))?;
                let [kind, ..] = *suffix;
                self.write = u64::from_le_bytes(*suffix) >> 8;
                self.value = match kind {
                    VALUE => Some(value),
                    DELETION | SINGLE_DELETION => None,
                    other => return Err(fault(format!("entries of kind {other} are not read"))),
                };
                return Ok(true);
            }
            let Some(handle) = self.blocks.next() else {
                return Ok(false);
            };
            self.entries = Some(Block::read(&self.file, handle)?.entries());
        }
    }

    /// The key of the entry, without what it says of the write.
    pub(super) fn key(&self) -> &[u8] {
        let key = self.entries.as_ref().map_or(&[][..], Entries::key);
        key.get(..key.len().saturating_sub(SUFFIX)).unwrap_or_default()
    }
}

/// What a table says of itself.
struct Properties(HashMap<Vec<u8>, Bytes>);

impl Properties {
    fn find(file: &Bytes, listed: Handle) -> Result<Self, Fault> {
        let list = Self::read(file, listed)?;
        let place = list.0.get(&b"rocksdb.properties"[..]);
        let mut place: &[u8] = place.ok_or_else(|| fault("a table without properties"))?;
        Self::read(file, Handle::read(&mut place)?)
    }

    fn read(file: &Bytes, handle: Handle) -> Result<Self, Fault> {
        let mut entries = Block::read(file, handle)?.entries();
        let mut found = HashMap::new();
        while let Some(value) = entries.advance()? {
            found.insert(entries.key().to_vec(), value);
        }
        Ok(Self(found))
    }

    /// What would have to be read otherwise.
    fn check(&self) -> Result<(), Fault> {
        let index = self.0.get(&b"rocksdb.block.based.table.index.type"[..]);
        if let Some(index) = index.filter(|index| ***index != [0; 4] && ***index != [1, 0, 0, 0]) {
            return Err(fault(format!("indexes of kind {:02x?} are not read", &index[..])));
        }
        if self.number(b"rocksdb.num.range-deletions")? > 0 {
            return Err(fault("deletions of ranges are not read"));
        }
        let order = self.0.get(&b"rocksdb.comparator"[..]);
        if order.is_some_and(|order| **order != b"leveldb.BytewiseComparator"[..]) {
            return Err(fault("the keys are in another order than that of their bytes"));
        }
        Ok(())
    }

    fn has_deltas(&self) -> Result<bool, Fault> {
        Ok(self.number(b"rocksdb.index.value.is.delta.encoded")? > 0)
    }

    fn number(&self, name: &[u8]) -> Result<u64, Fault> {
        let value = self.0.get(name);
        value.map_or(Ok(0), |value| varint(&mut &value[..]))
    }
}
