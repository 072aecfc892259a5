//! A directory as a disk, for states that want files of their own, or only files through the disk.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{Disk, File};

#[derive(Debug)]
pub(in crate::kv) struct Directory {
    root: tempfile::TempDir,
    /// Whether it tells where it is.
    real: bool,
}

impl Directory {
    pub(in crate::kv) fn disk(real: bool) -> Arc<dyn Disk> {
        let root = tempfile::tempdir().unwrap();
        Arc::new(Self { root, real })
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.path().join(path)
    }
}

impl Disk for Directory {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = fs::File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        Ok(Arc::new(Open(file.open(self.at(path))?)))
    }

    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        match fs::read_dir(self.at(directory)) {
            Ok(entries) => entries
                .map(|entry| Ok(entry?.file_name().into_string().unwrap()))
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        fs::create_dir_all(self.at(directory))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(self.at(path))
    }

    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        match fs::remove_dir_all(self.at(directory)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn sync_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        self.real.then(|| self.at(path))
    }
}

#[derive(Debug)]
struct Open(fs::File);

impl File for Open {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match self.0.read_at(&mut bytes[filled..], at + filled as u64)? {
                0 => break,
                more => filled += more,
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    fn write_at(&self, at: u64, bytes: Bytes) -> io::Result<()> {
        self.0.write_all_at(&bytes, at)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
