//! Values that wait for their client: in memory as far as there is some for that, and in a file that has no name.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use bytes::{Buf, Bytes};
use fluss_store::disk::{Disk, File, remove_if_there};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all that wait may take of memory together.
const MEMORY_BYTES: usize = 64 << 20;

/// How much is kept in one piece, or written to a file and read from it at a time.
const BLOCK_BYTES: usize = 256 << 10;

/// Where the files are until they have no name any more.
const DIRECTORY: &str = "scans";

/// What is in front of each value: its length.
const LENGTH_BYTES: usize = size_of::<u32>();

/// Where values are kept.
#[derive(Debug)]
pub(super) struct Spools {
    disk: Arc<dyn Disk>,
    memory: Arc<Semaphore>,
    begun: AtomicU64,
    prepared: Once,
}

impl Spools {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self::within(disk, MEMORY_BYTES)
    }

    fn within(disk: Arc<dyn Disk>, memory_bytes: usize) -> Self {
        Self {
            disk,
            memory: Arc::new(Semaphore::new(memory_bytes)),
            begun: AtomicU64::new(0),
            prepared: Once::new(),
        }
    }

    /// Begins to keep values.
    pub(super) const fn begin(&self) -> Spool<'_> {
        Spool {
            spools: self,
            block: Vec::new(),
            kept: Spooled::new(),
        }
    }

    /// A file that is gone with the last who has it.
    fn file(&self) -> io::Result<Arc<dyn File>> {
        let directory = Path::new(DIRECTORY);
        let mut prepared = Ok(());
        self.prepared.call_once(|| {
            // What a process that was killed has left there is nobody's.
            prepared = self.disk.remove_dir(directory);
        });
        prepared?;
        self.disk.create_dir(directory)?;
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(number.to_string());
        let file = self.disk.open(&path)?;
        remove_if_there(&*self.disk, &path)?;
        Ok(file)
    }
}

/// Values that are being collected.
#[derive(Debug)]
pub(super) struct Spool<'s> {
    spools: &'s Spools,
    block: Vec<u8>,
    kept: Spooled,
}

impl Spool<'_> {
    /// Keeps a value.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn push(&mut self, value: &[u8]) -> io::Result<()> {
        let length = u32::try_from(value.len()).map_err(io::Error::other)?;
        self.block.extend_from_slice(&length.to_le_bytes());
        self.block.extend_from_slice(value);
        if self.block.len() >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let block = Bytes::from(std::mem::take(&mut self.block));
        if block.is_empty() {
            return Ok(());
        }
        // What is behind a file is in the file too.
        if self.kept.file.is_none()
            && let Ok(bytes) = u32::try_from(block.len())
            && let Ok(memory) = self.spools.memory.clone().try_acquire_many_owned(bytes)
        {
            self.kept.blocks.push_back((block, memory));
            return Ok(());
        }
        let file = match &self.kept.file {
            Some(file) => file.clone(),
            None => self.kept.file.insert(self.spools.file()?).clone(),
        };
        let bytes = block.len() as u64;
        file.write_at(self.kept.end, block)?;
        self.kept.end += bytes;
        Ok(())
    }

    /// What was kept.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(super) fn finish(mut self) -> io::Result<Spooled> {
        self.flush()?;
        Ok(self.kept)
    }
}

/// Values that were collected, in their order.
#[derive(Debug, Default)]
pub(super) struct Spooled {
    /// What comes next, from a value on. Whole, if there are more blocks.
    next: Bytes,
    /// The memory of the block that `next` is of.
    memory: Option<OwnedSemaphorePermit>,
    blocks: VecDeque<(Bytes, OwnedSemaphorePermit)>,
    file: Option<Arc<dyn File>>,
    /// How much of the file was read, and how much there is.
    read: u64,
    end: u64,
}

impl Spooled {
    const fn new() -> Self {
        Self {
            next: Bytes::new(),
            memory: None,
            blocks: VecDeque::new(),
            file: None,
            read: 0,
            end: 0,
        }
    }

    /// Whether there are no more.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_empty() && self.blocks.is_empty() && self.read == self.end
    }

    /// The next value, which stays the next.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(super) fn peek(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let length = length_of(&self.next);
            let whole = length.map_or(LENGTH_BYTES, |length| LENGTH_BYTES + length);
            if length.is_some() && self.next.len() >= whole {
                return Ok(Some(self.next.slice(LENGTH_BYTES..whole)));
            }
            if let Some((block, memory)) = self.blocks.pop_front() {
                (self.next, self.memory) = (block, Some(memory));
                continue;
            }
            self.memory = None;
            let Some(file) = self.file.as_ref().filter(|_| self.read < self.end) else {
                return Ok(None);
            };
            // What is there of the value is read once more.
            let from = self.read - self.next.len() as u64;
            self.next = file.read_at(from, whole.max(BLOCK_BYTES))?;
            self.read = from + self.next.len() as u64;
            if self.next.len() < whole {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes the next value away.
    pub(super) fn pop(&mut self) {
        if let Some(length) = length_of(&self.next) {
            self.next.advance((LENGTH_BYTES + length).min(self.next.len()));
        }
    }
}

fn length_of(bytes: &Bytes) -> Option<usize> {
    let length = bytes.first_chunk::<LENGTH_BYTES>()?;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluss_store::disk::DirectoryDisk;

    #[test]
    fn values_come_back_in_their_order_out_of_memory_and_file() {
        let root = tempfile::tempdir().unwrap();
        let spools = Spools::within(
            Arc::new(DirectoryDisk::open(root.path()).unwrap()),
            2 * BLOCK_BYTES,
        );
        let value = |number: usize| vec![number as u8; number * 37 % 90_000];
        let large = vec![7; 3 * BLOCK_BYTES];
        let mut spool = spools.begin();
        for number in 0..200 {
            spool.push(&value(number)).unwrap();
        }
        spool.push(&large).unwrap();
        spool.push(b"last").unwrap();
        let mut kept = spool.finish().unwrap();
        assert!(kept.end > 0 && !kept.blocks.is_empty());
        // The files have no names: nothing is left of them.
        assert_eq!(std::fs::read_dir(root.path().join(DIRECTORY)).unwrap().count(), 0);
        let mut expected: Vec<_> = (0..200).map(value).collect();
        expected.extend([large, b"last".to_vec()]);
        for value in expected {
            assert!(!kept.is_empty());
            assert!(kept.peek().unwrap().unwrap() == value);
            kept.pop();
        }
        assert!(kept.is_empty());
        assert_eq!(kept.peek().unwrap(), None);
        assert_eq!(spools.memory.available_permits(), 2 * BLOCK_BYTES);
    }
}
