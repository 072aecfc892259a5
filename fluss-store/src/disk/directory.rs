use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::lock::{Lock, Taken};
use super::{Disk, File, OpenFiles};
use crate::OpenError;

/// The file whose lock says that a directory is in use.
const LOCK: &str = "lock";

/// What the owner may do, and nobody else, with files and directories.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// What others may do.
const OTHERS: u32 = 0o077;

/// Creates a directory that only its owner can read, and those above it as usual. One that is there stays as it is.
///
/// # Errors
///
/// What the system says; a file that has the name.
pub fn create_private(path: &Path) -> io::Result<()> {
    // Without a dot at the end, which is no name to create.
    let path: &Path = &path.components().collect::<PathBuf>();
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        fs::create_dir_all(above)?;
    }
    match private().create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

fn private() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(DIRECTORY_MODE);
    builder
}

/// A directory of the file system, which this process has for itself.
#[derive(Debug)]
pub struct DirectoryDisk {
    root: PathBuf,
    files: Arc<OpenFiles>,
    _lock: Lock,
}

impl DirectoryDisk {
    /// Takes a directory, which is created if it is not there. Only the owner can read it, and the files in it; a directory
    /// that is there keeps its mode, with a warning if others can read it. It is given back when the disk is dropped, or its
    /// process ends.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] if another process has it, or another disk of this one; [`OpenError::Inherited`] if this process was
    /// forked while it was open; [`OpenError::Io`].
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_with(root, OpenFiles::of_process())
    }

    /// As [`Self::open`], with a budget for the files that are kept open.
    ///
    /// # Errors
    ///
    /// As of [`Self::open`].
    pub fn open_with(root: impl Into<PathBuf>, files: Arc<OpenFiles>) -> Result<Self, OpenError> {
        let root = root.into();
        let lock = create_private(&root)
            .and_then(|()| read_write().create(true).open(root.join(LOCK)))
            .and_then(Lock::take)
            .map_err(|source| OpenError::Io {
                path: root.join(LOCK),
                source,
            })?;
        let lock = match lock {
            Taken::Locked(lock) => lock,
            Taken::InUse => return Err(OpenError::InUse { directory: root }),
            Taken::Inherited => return Err(OpenError::Inherited { directory: root }),
        };
        warn_of_readers(&root);
        Ok(Self {
            root,
            files,
            _lock: lock,
        })
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    fn open_file(&self, path: &Path, options: &fs::OpenOptions) -> io::Result<Arc<dyn File>> {
        let path = self.path(path);
        let file = self.files.with_room(|| options.open(&path))?;
        Ok(Arc::new(DirectoryFile(file)))
    }
}

/// To read and write a file that, if this creates it, only its owner can read.
pub(crate) fn read_write() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).mode(FILE_MODE);
    options
}

/// Whoever made the directory chose who may read it: the files in it are their owner's all the same.
fn warn_of_readers(root: &Path) {
    let mode = fs::metadata(root).map_or(0, |metadata| metadata.mode());
    if mode & OTHERS != 0 {
        let mode = format!("{:o}", mode & 0o777);
        tracing::warn!(target: crate::TARGET, directory = %root.display(), mode, "others can look into the data directory: chmod 700 keeps them out");
    }
}

impl Disk for DirectoryDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = read_write();
        self.open_file(path, options.create(true).truncate(false))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open_file(path, &read_write())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = match self.files.with_room(|| fs::read_dir(self.path(directory))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // A name that is no text is none of the node's.
        let names = entries.filter_map(|entry| {
            entry
                .map(|entry| entry.file_name().into_string().ok())
                .transpose()
        });
        names.collect()
    }

    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        private().recursive(true).create(self.path(directory))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        match self.files.with_room(|| fs::remove_dir_all(self.path(directory))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let directory = self.files.with_room(|| fs::File::open(self.path(directory)))?;
        directory.sync_all()
    }

    fn open_files(&self) -> Option<Arc<OpenFiles>> {
        Some(self.files.clone())
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        Some(self.path(path))
    }
}

#[derive(Debug)]
struct DirectoryFile(fs::File);

impl File for DirectoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes> {
        // Room for no more than there is: `len` may be a guess, or come out of a file that is damaged.
        let there = usize::try_from(self.len()?.saturating_sub(at)).unwrap_or(usize::MAX);
        let mut bytes = Vec::with_capacity(len.min(there));
        while bytes.len() < bytes.capacity().min(len) {
            let next = at + bytes.len() as u64;
            match rustix::io::pread(&self.0, spare_capacity(&mut bytes), next) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes.truncate(len);
        Ok(bytes.into())
    }

    fn write_at(&self, at: u64, bytes: Bytes) -> io::Result<()> {
        self.0.write_all_at(&bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once() {
        let root = tempfile::tempdir().unwrap();
        let disk = DirectoryDisk::open(root.path().join("new/node")).unwrap();
        let again = DirectoryDisk::open(root.path().join("new/node"));
        assert!(matches!(again, Err(OpenError::InUse { .. })));
        drop(disk);
        DirectoryDisk::open(root.path().join("new/node")).unwrap();
    }
}
