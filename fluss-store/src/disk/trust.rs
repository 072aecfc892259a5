//! The mark that says whether files which are never synced can be trusted.
//!
//! What a process has written is there after it was killed, for the system has it; after the system went down, it may be
//! there in part. So a mark beside the files names the boot in which they are being written. Where boots have no names,
//! files are trusted only after they were synced and marked clean.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::sync::Mutex;

use super::Disk;

const NAME: &str = "trust";
const CLEAN: &str = "clean";
const NO_BOOT: &str = "unknown";

/// The mark in one directory.
#[derive(Debug)]
pub struct Trust {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    boot: Option<String>,
    /// What the mark says.
    mark: Mutex<String>,
}

impl Trust {
    /// Reads the mark, if there is one.
    pub fn open(disk: &Arc<dyn Disk>, directory: &Path) -> io::Result<Self> {
        Self::in_boot(disk, directory, disk.boot())
    }

    fn in_boot(disk: &Arc<dyn Disk>, directory: &Path, boot: Option<String>) -> io::Result<Self> {
        let there = disk.list(directory)?.iter().any(|name| name == NAME);
        let mark = if there {
            let file = disk.open(&directory.join(NAME))?;
            let bytes = file.read_at(0, usize::try_from(file.len()?.min(256)).unwrap_or(0))?;
            String::from_utf8_lossy(&bytes).trim().to_owned()
        } else {
            String::new()
        };
        Ok(Self {
            disk: disk.clone(),
            directory: directory.to_owned(),
            boot,
            mark: Mutex::new(mark),
        })
    }

    /// Returns whether the files beside the mark are what was last written.
    pub fn holds(&self) -> bool {
        let mark = self.mark.lock();
        *mark == CLEAN || self.boot.as_ref() == Some(&*mark)
    }

    /// Returns whether the files were synced after they were last written.
    pub fn is_clean(&self) -> bool {
        *self.mark.lock() == CLEAN
    }

    /// Marks the files as being written in this boot. Call it before the first write; further calls cost nothing.
    pub fn mark_dirty(&self) -> io::Result<()> {
        self.put(self.boot.as_deref().unwrap_or(NO_BOOT))
    }

    /// Marks all files as synced.
    pub fn mark_clean(&self) -> io::Result<()> {
        self.put(CLEAN)
    }

    fn put(&self, text: &str) -> io::Result<()> {
        let mut mark = self.mark.lock();
        if *mark == text {
            return Ok(());
        }
        let (path, new) = (self.directory.join(NAME), self.directory.join("trust.new"));
        let file = self.disk.open(&new)?;
        file.set_len(0)?;
        file.write_at(0, Bytes::from(format!("{text}\n")))?;
        file.sync()?;
        self.disk.rename(&new, &path)?;
        self.disk.sync_dir(&self.directory)?;
        text.clone_into(&mut mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn files_are_trusted_in_their_boot_and_when_they_are_clean() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let open =
            |boot: Option<&str>| Trust::in_boot(&disk, Path::new(""), boot.map(str::to_owned)).unwrap();
        assert!(!open(Some("a")).holds(), "nothing says so");
        open(Some("a")).mark_dirty().unwrap();
        assert!(open(Some("a")).holds(), "the process was killed");
        assert!(!open(Some("b")).holds(), "the machine went down");
        let trust = open(Some("b"));
        trust.mark_dirty().unwrap();
        trust.mark_clean().unwrap();
        assert!(open(Some("c")).holds(), "everything was synced");
        open(None).mark_dirty().unwrap();
        assert!(!open(None).holds(), "boots cannot be told apart");
        open(None).mark_clean().unwrap();
        assert!(open(None).holds());
    }
}
