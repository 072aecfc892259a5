//! Checkpoints: files that hold all of a state as it was at one offset of its changelog, durable and checked.
//!
//! ```text
//! magic "FLKV", version u32, applied i64, next number i64, end of numbers i64, crc u32 of what precedes it
//! blocks:  length u32 (not 0), crc u32 of the records, records: key length u32, value length u32, key, value
//! end:     0 u32, crc u32 of the count, count of all records u64
//! ```
//!
//! Integers are little-endian, checksums CRC-32C. The files are named by their offsets, so that the last is the latest.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fluss_core::DecodeError;
use fluss_core::id::Offset;

use super::engine::{About, Change, Snapshot, State};
use crate::disk::{Disk, File};
use crate::error::Unusable;

const MAGIC: [u8; 4] = *b"FLKV";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 36;
const FRAME_BYTES: usize = 8;
const BLOCK_BYTES: usize = 256 << 10;
const PREFIX: &str = "checkpoint-";
const UNFINISHED: &str = "checkpoint.new";
/// How many are kept: the latest, and the one before in case that is damaged.
const KEPT: usize = 2;

/// The checkpoints in a directory.
#[derive(Debug)]
pub struct Checkpoints {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
}

impl Checkpoints {
    /// Those in a directory, which need not be there.
    pub fn new(disk: &Arc<dyn Disk>, directory: &Path) -> Self {
        Self {
            disk: disk.clone(),
            directory: directory.to_owned(),
        }
    }

    /// Returns the offsets of those that are there, in order.
    pub fn offsets(&self) -> io::Result<Vec<Offset>> {
        let names = self.disk.list(&self.directory)?;
        let offset = |name: &String| name.strip_prefix(PREFIX)?.parse().ok();
        let mut offsets: Vec<Offset> = names.iter().filter_map(offset).collect();
        offsets.sort_unstable();
        Ok(offsets)
    }

    /// Where the checkpoint of an offset is.
    pub(super) fn path(&self, offset: Offset) -> PathBuf {
        self.directory.join(format!("{PREFIX}{offset:020}"))
    }

    /// Writes a state, and returns the offset that it stands at. Removes all checkpoints but the last two.
    pub fn write(&self, state: &dyn Snapshot) -> io::Result<Offset> {
        let about = state.about()?;
        let unfinished = self.directory.join(UNFINISHED);
        let file = self.disk.open(&unfinished)?;
        file.set_len(0)?;
        let mut writer = Writer::begin(file, &about)?;
        state.scan(&[], &mut |key, value| {
            writer.add(key, value)?;
            Ok(ControlFlow::Continue(()))
        })?;
        writer.finish()?;
        self.disk.rename(&unfinished, &self.path(about.applied))?;
        self.disk.sync_dir(&self.directory)?;
        let offsets = self.offsets()?;
        for old in offsets.iter().rev().skip(KEPT) {
            self.disk.remove(&self.path(*old))?;
        }
        Ok(about.applied)
    }

    /// Puts the checkpoint of an offset into an empty state.
    pub(super) fn restore(&self, offset: Offset, state: &dyn State) -> Result<(), Unusable> {
        let file = self.disk.open(&self.path(offset))?;
        let mut reader = Reader::begin(file)?;
        while let Some(changes) = reader.block()? {
            // Not yet at the offset: a crash must not leave a part of a state that says that it is one.
            state.commit(&changes, &About::default())?;
        }
        state.commit(&[], &reader.about)?;
        Ok(())
    }
}

/// Writes blocks one behind the other.
struct Writer {
    file: Arc<dyn File>,
    at: u64,
    /// The records of the block that is not yet written, behind the place for its frame.
    block: Vec<u8>,
    records: u64,
}

impl Writer {
    fn begin(file: Arc<dyn File>, about: &About) -> io::Result<Self> {
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        for word in [about.applied, about.numbers.start, about.numbers.end] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
        file.write_at(0, header.into())?;
        Ok(Self {
            file,
            at: HEADER_BYTES as u64,
            block: vec![0; FRAME_BYTES],
            records: 0,
        })
    }

    fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.block.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.block.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.block.extend_from_slice(key);
        self.block.extend_from_slice(value);
        self.records += 1;
        if self.block.len() < BLOCK_BYTES {
            return Ok(());
        }
        self.write_block()
    }

    fn write_block(&mut self) -> io::Result<()> {
        let mut block = std::mem::replace(&mut self.block, vec![0; FRAME_BYTES]);
        let records = block.get(FRAME_BYTES..).unwrap_or_default();
        if records.is_empty() {
            return Ok(());
        }
        let (length, crc) = (records.len() as u32, crc32c::crc32c(records));
        for (place, byte) in block.iter_mut().zip(frame(length, crc)) {
            *place = byte;
        }
        self.put(block)
    }

    fn finish(mut self) -> io::Result<()> {
        self.write_block()?;
        let count = self.records.to_le_bytes();
        let mut end: Vec<u8> = frame(0, crc32c::crc32c(&count)).collect();
        end.extend_from_slice(&count);
        self.put(end)?;
        self.file.sync()
    }

    fn put(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let length = bytes.len() as u64;
        self.file.write_at(self.at, bytes.into())?;
        self.at += length;
        Ok(())
    }
}

/// What stands before the records of a block.
fn frame(length: u32, crc: u32) -> impl Iterator<Item = u8> {
    length.to_le_bytes().into_iter().chain(crc.to_le_bytes())
}

/// Reads blocks one behind the other.
struct Reader {
    file: Arc<dyn File>,
    length: u64,
    at: u64,
    about: About,
    records: u64,
}

impl Reader {
    fn begin(file: Arc<dyn File>) -> Result<Self, Unusable> {
        let mut reader = Self {
            length: file.len()?,
            file,
            at: 0,
            about: About::default(),
            records: 0,
        };
        let header = reader.take(0, HEADER_BYTES)?;
        let (front, crc) = header.split_at(header.len().saturating_sub(size_of::<u32>()));
        let known = front.starts_with(&MAGIC) && word(front, MAGIC.len()) == Some(VERSION);
        if !known || word(crc, 0) != Some(crc32c::crc32c(front)) {
            return Err(reader.damaged("no header of a checkpoint"));
        }
        let number = |at: usize| {
            let bytes = front.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| i64::from_le_bytes(*bytes))
        };
        reader.about = About {
            applied: number(8),
            numbers: number(16)..number(24),
        };
        reader.at = HEADER_BYTES as u64;
        Ok(reader)
    }

    /// The records of the next block; nothing behind the last.
    fn block(&mut self) -> Result<Option<Vec<Change>>, Unusable> {
        let head = self.take(0, FRAME_BYTES)?;
        let (length, crc) = (word(&head, 0).unwrap_or_default(), word(&head, 4));
        let is_end = length == 0;
        let length = if is_end { size_of::<u64>() } else { length as usize };
        let bytes = self.take(FRAME_BYTES, length)?;
        if crc != Some(crc32c::crc32c(&bytes)) {
            return Err(self.damaged("a block that does not match its checksum"));
        }
        let next = self.at + (FRAME_BYTES + length) as u64;
        if is_end {
            let is_whole = *bytes == self.records.to_le_bytes() && next == self.length;
            return if is_whole {
                Ok(None)
            } else {
                Err(self.damaged("there are other blocks than were written"))
            };
        }
        let changes = records(bytes).ok_or_else(|| self.damaged("records that contradict each other"))?;
        self.at = next;
        self.records += changes.len() as u64;
        Ok(Some(changes))
    }

    /// Bytes that begin so far behind where the reader is.
    fn take(&self, skip: usize, length: usize) -> Result<Bytes, Unusable> {
        let cut = || self.damaged("the file ends before its end");
        let from = self.at + skip as u64;
        if (length as u64) > self.length.saturating_sub(from) {
            return Err(cut());
        }
        let bytes = self.file.read_at(from, length)?;
        if bytes.len() == length {
            Ok(bytes)
        } else {
            Err(cut())
        }
    }

    fn damaged(&self, reason: &str) -> Unusable {
        Unusable::Damaged {
            at: self.at,
            source: DecodeError::new("checkpoint", reason),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|bytes| u32::from_le_bytes(*bytes))
}

/// The records of a block; nothing if they do not end where the block does.
fn records(mut block: Bytes) -> Option<Vec<Change>> {
    let mut records = Vec::new();
    while !block.is_empty() {
        let (key, value) = (word(&block, 0)? as usize, word(&block, 4)? as usize);
        let length = key.checked_add(value)?.checked_add(FRAME_BYTES)?;
        if block.len() < length {
            return None;
        }
        let mut record = block.split_to(length).split_off(FRAME_BYTES);
        let value = record.split_off(key);
        records.push(Change {
            key: record,
            value: Some(value),
        });
    }
    Some(records)
}
