use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::chunks::Chunks;
use super::{Disk, File};

/// A disk in memory, gone when it is dropped. It keeps the bytes that it is given, and gives slices of them.
#[derive(Debug, Default)]
pub struct MemoryDisk {
    files: Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>,
}

impl MemoryDisk {
    /// A disk without files.
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<MemoryFile>>> {
        self.files.lock()
    }
}

pub(super) fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {}", path.display()))
}

/// The name of what is directly in a directory on the way to `path`.
pub(super) fn name_in(directory: &Path, path: &Path) -> Option<String> {
    let name = path.strip_prefix(directory).ok()?.iter().next()?;
    name.to_str().map(str::to_owned)
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut files = self.files();
        let file = files.entry(path.to_owned()).or_default();
        Ok(Arc::clone(file) as Arc<dyn File>)
    }

    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = self.files().get(path).cloned();
        Ok(file.ok_or_else(|| not_found(path))?)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = self.files();
        let mut names: Vec<_> = files.keys().filter_map(|path| name_in(directory, path)).collect();
        names.dedup();
        Ok(names)
    }

    fn create_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or_else(|| not_found(from))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.files().remove(path);
        removed.map(drop).ok_or_else(|| not_found(path))
    }

    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        self.files().retain(|path, _| !path.starts_with(directory));
        Ok(())
    }

    fn sync_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_memory(&self) -> bool {
        true
    }

    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

#[derive(Debug, Default)]
struct MemoryFile(RwLock<Chunks>);

impl MemoryFile {
    fn chunks(&self) -> RwLockReadGuard<'_, Chunks> {
        self.0.read()
    }

    fn chunks_mut(&self) -> RwLockWriteGuard<'_, Chunks> {
        self.0.write()
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.chunks().len())
    }

    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes> {
        Ok(self.chunks().read(at, len))
    }

    fn write_at(&self, at: u64, bytes: Bytes) -> io::Result<()> {
        self.chunks_mut().write(at, bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.chunks_mut().set_len(len);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
