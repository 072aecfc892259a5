use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::disk::memory::not_found;

#[derive(Debug)]
pub(super) struct State {
    pub(super) dice: fastrand::Rng,
    pub(super) directories: BTreeMap<PathBuf, Directory>,
    pub(super) files: Vec<Contents>,
    /// How many power cuts there were: what was opened before the last one is of no use.
    pub(super) cuts: usize,
    pub(super) writes: Option<usize>,
    pub(super) room: Option<u64>,
    pub(super) syncs_fail: bool,
    pub(super) opens: Option<usize>,
    /// How many operations there are until the power is cut; none are left when it has been.
    pub(super) fuse: Option<usize>,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    Directory,
    File(usize),
}

/// The names of a directory: as they were synced, and after each change since.
#[derive(Debug)]
pub(super) struct Directory(pub(super) Vec<BTreeMap<String, Node>>);

/// A file: as it was synced, the changes since, and what they have made of it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) synced: Vec<u8>,
    pub(super) changes: Vec<Change>,
    pub(super) live: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(usize, Bytes),
    SetLen(usize),
}

impl Directory {
    /// Whether a name stands for the same whenever the power is cut.
    pub(super) fn is_durable(&self, name: &str) -> bool {
        let live = self.live().get(name);
        self.0.iter().all(|names| names.get(name) == live)
    }

    pub(super) fn live(&self) -> &BTreeMap<String, Node> {
        static NONE: BTreeMap<String, Node> = BTreeMap::new();
        self.0.last().unwrap_or(&NONE)
    }

    pub(super) fn put(&mut self, name: String, node: Node) {
        self.change(|names| {
            names.insert(name, node);
        });
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.change(|names| {
            names.remove(name);
        });
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, Node>)) {
        let mut names = self.live().clone();
        change(&mut names);
        self.0.push(names);
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self(vec![BTreeMap::new()])
    }
}

impl Contents {
    pub(super) fn new(live: Vec<u8>) -> Self {
        Self {
            synced: live.clone(),
            changes: Vec::new(),
            live,
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.changes.push(change);
    }

    pub(super) fn sync(&mut self) {
        *self = Self::new(std::mem::take(&mut self.live));
    }

    /// Some of the changes, in order, are there; the last of them in part; and now and then one left a hole.
    pub(super) fn cut_power(&mut self, dice: &mut fastrand::Rng) {
        let mut contents = std::mem::take(&mut self.synced);
        let kept = dice.usize(..=self.changes.len());
        let hole = dice.bool().then(|| dice.usize(..=2 * self.changes.len()));
        for (number, change) in self.changes.iter().take(kept).enumerate() {
            let change = match change {
                Change::Write(at, bytes) if hole == Some(number) => {
                    Change::Write(*at, vec![0; bytes.len()].into())
                }
                change => change.clone(),
            };
            change.apply(&mut contents);
        }
        if let Some(Change::Write(at, bytes)) = self.changes.get(kept) {
            let torn = bytes.slice(..dice.usize(..=bytes.len()));
            Change::Write(*at, torn).apply(&mut contents);
        }
        *self = Self::new(contents);
    }
}

impl Change {
    pub(super) fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => contents.resize(*len, 0),
            Self::Write(at, bytes) => {
                let end = at + bytes.len();
                contents.resize(contents.len().max(end), 0);
                if let Some(place) = contents.get_mut(*at..end) {
                    place.copy_from_slice(bytes);
                }
            }
        }
    }
}

impl State {
    pub(super) fn operate(&mut self) -> io::Result<()> {
        match &mut self.fuse {
            Some(0) => return Err(io::Error::other("the test's machine is down")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    pub(super) fn cut_power(&mut self) {
        self.cuts += 1;
        self.room = None;
        self.writes = None;
        for contents in &mut self.files {
            contents.cut_power(&mut self.dice);
        }
        for directory in self.directories.values_mut() {
            let names = directory.0.swap_remove(self.dice.usize(..directory.0.len()));
            directory.0 = vec![names];
        }
        // Those above come first: what is in a directory without a name is gone with it.
        for path in self.directories.keys().cloned().collect::<Vec<_>>() {
            if !path.as_os_str().is_empty() && self.node(&path) != Some(Node::Directory) {
                self.directories.remove(&path);
            }
        }
    }

    pub(super) fn directory(&mut self, path: &Path) -> io::Result<&mut Directory> {
        self.directories.get_mut(path).ok_or_else(|| not_found(path))
    }

    /// The directory that a path is in, and its name there.
    pub(super) fn place(&mut self, path: &Path) -> io::Result<(&mut Directory, String)> {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| not_found(path))?.to_owned();
        let directory = self.directory(path.parent().unwrap_or(Path::new("")))?;
        Ok((directory, name))
    }

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        let directory = self.directories.get(path.parent()?)?;
        directory.live().get(path.file_name()?.to_str()?).copied()
    }

    /// Whether a file stays as it is, where it is, when the power is cut.
    pub(super) fn is_durable(&self, path: &Path) -> bool {
        let is_named = |path: &Path| {
            let (Some(above), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
            else {
                return true;
            };
            self.directories
                .get(above)
                .is_some_and(|directory| directory.is_durable(name))
        };
        let contents = match self.node(path) {
            Some(Node::File(file)) => self.files.get(file),
            _ => None,
        };
        contents.is_none_or(|contents| contents.changes.is_empty()) && path.ancestors().all(is_named)
    }

    /// How much of a write gets through, and what is wrong if that is not all of it.
    pub(super) fn admit(&mut self, growth: u64, len: usize) -> (usize, Option<io::Error>) {
        let fails = self.writes == Some(0);
        self.writes = self.writes.filter(|_| !fails).map(|writes| writes - 1);
        let full = self.room.is_some_and(|room| room < growth);
        if fails || full {
            let kind = if full {
                io::ErrorKind::StorageFull
            } else {
                io::ErrorKind::Other
            };
            let room = self.room.unwrap_or(u64::MAX);
            let fits = len - growth.saturating_sub(room).min(len as u64) as usize;
            let written = self.dice.usize(..=fits.min(len.saturating_sub(1)));
            return (written, Some(io::Error::new(kind, "the test's disk")));
        }
        (len, None)
    }
}
