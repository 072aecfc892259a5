//! Blocks: what a table is made of.

use bytes::Bytes;

use super::fault::{Fault, fault, varint};
use crate::record::log::compression::{LZ4_EXPANSION, ZSTD_EXPANSION, unzstd};

/// Behind each block: how it is compressed, and a checksum of that and the block.
pub(super) const TRAILER: usize = 5;
/// No block is larger: a value came to the server in a request, and a block ends with the value that fills it.
const MAX_BYTES: usize = 256 << 20;
/// Bit of the number of restarts that says that a hash index stands before them.
const HASHED: u32 = 1 << 31;

/// Where a block is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Handle {
    pub(super) offset: u64,
    pub(super) size: u64,
}

impl Handle {
    pub(super) fn read(bytes: &mut &[u8]) -> Result<Self, Fault> {
        Ok(Self {
            offset: varint(bytes)?,
            size: varint(bytes)?,
        })
    }
}

/// The entries of a block, without their restarts.
#[derive(Clone, Debug)]
pub(super) struct Block {
    entries: Bytes,
}

impl Block {
    /// Reads a block of a file and checks it.
    pub(super) fn read(file: &Bytes, handle: Handle) -> Result<Self, Fault> {
        let outside = || fault(format!("there is no block at {handle:?}"));
        let start = usize::try_from(handle.offset).map_err(|_| outside())?;
        let size = usize::try_from(handle.size).map_err(|_| outside())?;
        let end = start.checked_add(size).ok_or_else(outside)?;
        let trailer = end.checked_add(TRAILER).and_then(|after| file.get(end..after));
        let [compression, checksum @ ..] = trailer.ok_or_else(outside)? else {
            return Err(outside());
        };
        let sealed = file.get(start..=end).ok_or_else(outside)?;
        let stored = checksum.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        if stored != Some(mask(crc32c::crc32c(sealed))) {
            return Err(fault(format!("wrong checksum of the block at {start}")));
        }
        let raw = decompress(*compression, file.slice(start..end))?;
        let entries =
            entries_end(&raw).ok_or_else(|| fault(format!("no entries in the block at {start}")))?;
        Ok(Self {
            entries: raw.slice(..entries),
        })
    }

    pub(super) fn entries(self) -> Entries {
        Entries {
            bytes: self.entries,
            at: 0,
            key: Vec::new(),
        }
    }

    /// The blocks that an index lists. Where `deltas` is set, a place is told by the size that it has more than the one
    /// before, unless its key is whole.
    pub(super) fn handles(&self, deltas: bool) -> Result<Vec<Handle>, Fault> {
        let mut handles: Vec<Handle> = Vec::new();
        let mut rest: &[u8] = &self.entries;
        while !rest.is_empty() {
            let shared = varint(&mut rest)?;
            let unshared = varint(&mut rest)?;
            if !deltas {
                varint(&mut rest)?;
            }
            take(&mut rest, unshared)?;
            let handle = match handles.last() {
                Some(last) if deltas && shared > 0 => follow(*last, varint(&mut rest)?)?,
                _ => Handle::read(&mut rest)?,
            };
            handles.push(handle);
        }
        Ok(handles)
    }
}

/// The place right behind another, whose size differs by a number in zigzag encoding.
fn follow(last: Handle, zigzag: u64) -> Result<Handle, Fault> {
    let more = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
    let offset = last.offset.checked_add(last.size);
    let offset = offset.and_then(|end| end.checked_add(TRAILER as u64));
    let handle = offset.zip(last.size.checked_add_signed(more));
    handle
        .map(|(offset, size)| Handle { offset, size })
        .ok_or_else(|| fault("an index points nowhere"))
}

/// Entries in their order. A key is told by how much it shares with the one before.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    bytes: Bytes,
    at: usize,
    key: Vec<u8>,
}

impl Entries {
    /// Steps to the next entry, and returns its value.
    pub(super) fn advance(&mut self) -> Result<Option<Bytes>, Fault> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let shared = varint(&mut rest)?;
        let unshared = varint(&mut rest)?;
        let length = varint(&mut rest)?;
        let shared = usize::try_from(shared)
            .ok()
            .filter(|shared| *shared <= self.key.len());
        self.key
            .truncate(shared.ok_or_else(|| fault("a key shares more than there is"))?);
        self.key.extend_from_slice(take(&mut rest, unshared)?);
        let value = self.bytes.slice_ref(take(&mut rest, length)?);
        self.at = self.bytes.len() - rest.len();
        Ok(Some(value))
    }

    /// The key of the entry that was stepped to last.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: u64) -> Result<&'a [u8], Fault> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let split = bytes.split_at_checked(count);
    let (front, rest) = split.ok_or_else(|| fault(format!("{count} bytes needed, {} left", bytes.len())))?;
    *bytes = rest;
    Ok(front)
}

/// Where the restarts begin, which stand at the end, with their number behind them.
fn entries_end(block: &[u8]) -> Option<usize> {
    let count = u32::from_le_bytes(*block.last_chunk()?);
    let restarts = usize::try_from(count).ok().filter(|_| count & HASHED == 0)?;
    block.len().checked_sub(4)?.checked_sub(restarts.checked_mul(4)?)
}

/// A checksum as it is stored: turned and moved, lest a checksum of checksums be weak.
pub(super) const fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

fn decompress(compression: u8, stored: Bytes) -> Result<Bytes, Fault> {
    let name = match compression {
        0 => return Ok(stored),
        4 | 5 => "LZ4",
        7 => "Zstandard",
        1 => return Err(fault("compression Snappy is not read")),
        2 => return Err(fault("compression zlib is not read")),
        3 => return Err(fault("compression bzip2 is not read")),
        other => return Err(fault(format!("unknown compression {other}"))),
    };
    let mut frame: &[u8] = &stored;
    let size = varint(&mut frame)?;
    let expansion = if name == "LZ4" {
        LZ4_EXPANSION
    } else {
        ZSTD_EXPANSION
    };
    let most = frame.len().saturating_mul(expansion).min(MAX_BYTES);
    let size = usize::try_from(size).ok().filter(|size| *size <= most);
    let size = size.ok_or_else(|| {
        fault(format!(
            "{} bytes of {name} say that they are more than {most}",
            frame.len()
        ))
    })?;
    let raw = match name {
        "LZ4" => lz4_flex::block::decompress(frame, size).ok(),
        _ => unzstd(frame, size),
    };
    let raw = raw.filter(|raw| raw.len() == size);
    raw.map(Bytes::from)
        .ok_or_else(|| fault(format!("{} bytes of {name} are not {size} bytes", frame.len())))
}
