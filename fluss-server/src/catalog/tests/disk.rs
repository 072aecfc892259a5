//! A disk in memory that notes what is done to it, and fails when it is told to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use crate::disk::{Disk, File};

#[derive(Debug, Default)]
pub(crate) struct TestDisk {
    files: Mutex<BTreeMap<PathBuf, Arc<TestFile>>>,
    notes: Arc<Mutex<Vec<String>>>,
    fails: Arc<AtomicBool>,
}

#[derive(Debug)]
struct TestFile {
    name: Mutex<String>,
    bytes: Mutex<Vec<u8>>,
    notes: Arc<Mutex<Vec<String>>>,
    fails: Arc<AtomicBool>,
}

impl TestDisk {
    /// What was done since the last time, in order.
    pub(crate) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    /// Lets everything that writes fail from now on, or no longer.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    pub(crate) fn contents(&self, name: &str) -> Vec<u8> {
        self.files.lock().unwrap()[Path::new(name)]
            .bytes
            .lock()
            .unwrap()
            .clone()
    }

    /// A disk with this one file.
    pub(crate) fn with(name: &str, contents: &[u8]) -> Arc<Self> {
        let disk = Arc::new(Self::default());
        let file = disk.open(Path::new(name)).unwrap();
        file.write_at(0, Bytes::copy_from_slice(contents)).unwrap();
        disk
    }
}

fn note(notes: &Mutex<Vec<String>>, fails: &AtomicBool, what: String) -> io::Result<()> {
    if fails.load(Ordering::SeqCst) {
        return Err(io::Error::other("the disk fails"));
    }
    notes.lock().unwrap().push(what);
    Ok(())
}

impl Disk for TestDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut files = self.files.lock().unwrap();
        let file = files.entry(path.to_owned()).or_insert_with(|| {
            Arc::new(TestFile {
                name: Mutex::new(path.display().to_string()),
                bytes: Mutex::default(),
                notes: Arc::clone(&self.notes),
                fails: Arc::clone(&self.fails),
            })
        });
        Ok(Arc::clone(file) as Arc<dyn File>)
    }

    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.open(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = self.files.lock().unwrap();
        let inside = files.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let names = inside.filter_map(|path| path.components().next());
        Ok(names
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect())
    }

    fn create_dir(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        note(
            &self.notes,
            &self.fails,
            format!("rename {} to {}", from.display(), to.display()),
        )?;
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        *file.name.lock().unwrap() = to.display().to_string();
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.lock().unwrap().remove(path);
        Ok(())
    }

    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        self.files
            .lock()
            .unwrap()
            .retain(|path, _| !path.starts_with(directory));
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        note(
            &self.notes,
            &self.fails,
            format!("sync directory '{}'", directory.display()),
        )
    }

    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

impl TestFile {
    fn note(&self, what: &str) -> io::Result<()> {
        note(
            &self.notes,
            &self.fails,
            format!("{what} {}", self.name.lock().unwrap()),
        )
    }
}

impl File for TestFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes> {
        let bytes = self.bytes.lock().unwrap();
        let rest = bytes.get(at as usize..).unwrap_or_default();
        Ok(Bytes::copy_from_slice(&rest[..len.min(rest.len())]))
    }

    fn write_at(&self, at: u64, new: Bytes) -> io::Result<()> {
        self.note("write")?;
        let mut bytes = self.bytes.lock().unwrap();
        let end = at as usize + new.len();
        let len = bytes.len().max(end);
        bytes.resize(len, 0);
        bytes[at as usize..end].copy_from_slice(&new);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.note("sync")
    }
}
