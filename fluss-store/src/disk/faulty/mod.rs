//! A disk for tests: it fails, runs full, and forgets at a power cut what was not synced.

mod state;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::sync::{Mutex, MutexGuard};

use self::state::{Change, Contents, Directory, Node, State};
use super::memory::not_found;
use super::{Disk, File, OpenFiles};

/// A disk in memory with the faults of a real one. What it does by chance follows from a seed.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
    files: Arc<OpenFiles>,
}

impl FaultyDisk {
    /// A disk without files and, so far, without faults.
    pub fn new(seed: u64) -> Self {
        let state = State {
            dice: fastrand::Rng::with_seed(seed),
            directories: BTreeMap::from([(PathBuf::new(), Directory::default())]),
            files: Vec::new(),
            cuts: 0,
            writes: None,
            room: None,
            syncs_fail: false,
            opens: None,
            fuse: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            files: OpenFiles::within(usize::MAX),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The state, for one operation of the machine.
    fn operate(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.operate()?;
        Ok(state)
    }

    /// The same for one that takes a descriptor.
    fn operate_with_descriptor(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.operate()?;
        match &mut state.opens {
            Some(0) => return Err(rustix::io::Errno::MFILE.into()),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }

    /// Lets so many writes succeed; the one after them stops half-way, and later ones succeed again.
    pub fn fail_write_after(&self, writes: usize) {
        self.state().writes = Some(writes);
    }

    /// Lets files grow by so many bytes in all, or, with `None`, as they like.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Lets every sync fail from now on, or no longer.
    pub fn fail_syncs(&self, fail: bool) {
        self.state().syncs_fail = fail;
    }

    /// Lets so many files and directories be opened; then the process has no descriptor left. With `None` there are enough.
    pub fn fail_opens_after(&self, opens: Option<usize>) {
        self.state().opens = opens;
    }

    /// Closes what is kept open and not in use.
    pub fn close_idle(&self) {
        while self.files.close_one() {}
    }

    /// The machine goes down and comes back: what was not synced may be there, in part, or not at all, and what was
    /// open is of no use any more.
    pub fn cut_power(&self) {
        let mut state = self.state();
        state.fuse = None;
        state.cut_power();
    }

    /// The machine goes down after so many operations of any kind, and comes back with [`Self::cut_power`].
    pub fn cut_power_after(&self, operations: usize) {
        self.state().fuse = Some(operations);
    }

    /// Whether it is down.
    pub fn is_down(&self) -> bool {
        self.state().fuse == Some(0)
    }

    /// All files, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        let state = self.state();
        let directories = state.directories.iter();
        let files = directories.flat_map(|(path, directory)| {
            let files = directory
                .live()
                .iter()
                .filter(|(_, node)| **node != Node::Directory);
            files.map(|(name, _)| path.join(name))
        });
        files.collect()
    }

    /// The files that a power cut may take, in whole or in part, in order.
    pub fn unsynced(&self) -> Vec<PathBuf> {
        let paths = self.paths();
        let state = self.state();
        paths.into_iter().filter(|path| !state.is_durable(path)).collect()
    }

    /// Another disk with the same files, all of them synced.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::new(0);
        let state = self.state();
        {
            let mut copied = copy.state();
            copied.directories = state
                .directories
                .iter()
                .map(|(path, directory)| (path.clone(), Directory(vec![directory.live().clone()])))
                .collect();
            copied.cuts = state.cuts;
            copied.files = state
                .files
                .iter()
                .map(|file| Contents::new(file.live.clone()))
                .collect();
        }
        copy
    }

    /// Changes the contents of a file behind everybody's back.
    pub fn alter(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        if let Some(Node::File(file)) = state.node(path)
            && let Some(contents) = state.files.get_mut(file)
        {
            change(&mut contents.live);
            *contents = Contents::new(std::mem::take(&mut contents.live));
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.operate_with_descriptor()?;
        if state.node(path).is_none() {
            let file = Node::File(state.files.len());
            let (directory, name) = state.place(path)?;
            directory.put(name, file);
            state.files.push(Contents::default());
        }
        drop(state);
        self.open_existing(path)
    }

    fn open_existing(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let state = self.operate_with_descriptor()?;
        let Some(Node::File(file)) = state.node(path) else {
            return Err(not_found(path));
        };
        Ok(Arc::new(FaultyFile {
            disk: self.clone(),
            file,
            cuts: state.cuts,
        }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.operate_with_descriptor()?;
        let names = state.directories.get(directory).map(Directory::live);
        Ok(names.into_iter().flat_map(BTreeMap::keys).cloned().collect())
    }

    fn create_dir(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let above: Vec<_> = directory.ancestors().collect();
        for path in above.into_iter().rev() {
            if !state.directories.contains_key(path) {
                let (above, name) = state.place(path)?;
                above.put(name, Node::Directory);
                state.directories.insert(path.to_owned(), Directory::default());
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        let node = state.node(from).ok_or_else(|| not_found(from))?;
        let (directory, old) = state.place(from)?;
        if from.parent() == to.parent() {
            // At once, as a file system does it.
            let new = to
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
                .to_owned();
            directory.change(|names| {
                names.remove(&old);
                names.insert(new, node);
            });
            return Ok(());
        }
        directory.forget(&old);
        let (directory, new) = state.place(to)?;
        directory.put(new, node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        state.node(path).ok_or_else(|| not_found(path))?;
        let (directory, name) = state.place(path)?;
        directory.forget(&name);
        Ok(())
    }

    fn remove_dir(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.operate()?;
        if state.node(directory).is_some() {
            let (above, name) = state.place(directory)?;
            above.forget(&name);
            state.directories.retain(|path, _| !path.starts_with(directory));
        }
        Ok(())
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        let mut state = self.operate_with_descriptor()?;
        if state.syncs_fail {
            return Err(io::Error::other("the test's disk"));
        }
        let directory = state.directory(directory)?;
        directory.0 = vec![directory.live().clone()];
        Ok(())
    }

    fn boot(&self) -> Option<String> {
        Some(format!("boot {}", self.state().cuts))
    }

    fn open_files(&self) -> Option<Arc<OpenFiles>> {
        Some(self.files.clone())
    }

    fn real_path(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    file: usize,
    cuts: usize,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut State, &mut Contents) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.operate()?;
        if state.cuts != self.cuts {
            return Err(io::Error::other("opened before the power cut"));
        }
        let contents = state.files.get_mut(self.file).map(std::mem::take);
        let mut contents = contents.unwrap_or_default();
        let done = act(&mut state, &mut contents);
        if let Some(place) = state.files.get_mut(self.file) {
            *place = contents;
        }
        done
    }
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|_, contents| Ok(contents.live.len() as u64))
    }

    fn read_at(&self, at: u64, len: usize) -> io::Result<Bytes> {
        self.with(|_, contents| {
            let from = contents.live.len().min(at as usize);
            let to = contents.live.len().min(from.saturating_add(len));
            Ok(Bytes::copy_from_slice(
                contents.live.get(from..to).unwrap_or_default(),
            ))
        })
    }

    fn write_at(&self, at: u64, bytes: Bytes) -> io::Result<()> {
        self.with(|state, contents| {
            let before = contents.live.len() as u64;
            let growth = (at + bytes.len() as u64).saturating_sub(before);
            let (written, error) = state.admit(growth, bytes.len());
            contents.change(Change::Write(at as usize, bytes.slice(..written)));
            let grown = (contents.live.len() as u64).saturating_sub(before);
            state.room = state.room.map(|room| room.saturating_sub(grown));
            error.map_or(Ok(()), Err)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state, contents| {
            let freed = (contents.live.len() as u64).saturating_sub(len);
            state.room = state.room.map(|room| room.saturating_add(freed));
            contents.change(Change::SetLen(len as usize));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|state, contents| {
            if state.syncs_fail {
                return Err(io::Error::other("the test's disk"));
            }
            contents.sync();
            Ok(())
        })
    }
}
