//! A file of rows that one process writes and many read: an LMDB environment that is right whenever a process is killed. It is
//! never synced while it is written, so a mark beside it says whether it can be used after the power went.
//!
//! Beside the rows stands what the writer says of them, in the same transactions. Reads wait for nobody: each sees what was
//! committed when it began. Nothing here knows what a row is.

mod mark;
mod open;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::{fs, io};

use fluss_core::DecodeError;
use fluss_rpc::sync::{Mutex, PerProcess};
use heed::{Env, RoTxn, WithTls};

use self::mark::Mark;
pub use self::write::{Batch, Load};
use crate::error::{OpenError, Unusable};
use crate::tree::{self, ABOUT, Links, Tree, Visit, data_file, fault};

/// The files that are open in this process: LMDB opens none twice.
static OPEN: PerProcess<Mutex<HashMap<PathBuf, Weak<CopyFile>>>> = PerProcess::new(Mutex::default);

/// Of what stands beside the rows, the first bytes are of the tree.
const LINKS_BYTES: usize = 16;

/// A file of rows that is open. Those of one process share it.
#[derive(Debug)]
pub struct CopyFile {
    env: Env<WithTls>,
    tree: Tree,
    directory: PathBuf,
    mark: Mark,
}

impl CopyFile {
    /// Opens the file in a directory.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, or are not what was written, as far as the mark and their first pages tell.
    pub fn open(directory: &Path) -> Result<Arc<Self>, OpenError> {
        Self::open_or_begin(directory, false)
    }

    /// Begins a file in a directory, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// Files that cannot be written.
    pub fn begin(directory: &Path) -> Result<Arc<Self>, OpenError> {
        Self::open_or_begin(directory, true)
    }

    fn open_or_begin(directory: &Path, begins: bool) -> Result<Arc<Self>, OpenError> {
        let io = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        if begins {
            fs::create_dir_all(directory).map_err(io)?;
        }
        let directory = &*directory.canonicalize().map_err(io)?;
        let mut files = OPEN.get().lock();
        if let Some(file) = files.get(directory).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let mark = Mark::new(directory);
        if begins {
            mark.set_dirty().map_err(io)?;
        }
        if !mark.holds().map_err(io)? {
            return Err(OpenError::Damaged {
                path: directory.to_owned(),
                at: 0,
                source: DecodeError::new("copy", "the machine went down before it was on the disk"),
            });
        }
        let inherited = heed::env_closing_event(directory).is_some();
        let (env, tree) = open::open(directory, begins).map_err(|error| match error {
            // Of the process that this one was forked from.
            Unusable::Io(_) if inherited => OpenError::Inherited {
                directory: directory.to_owned(),
            },
            other => other.of(data_file(directory)),
        })?;
        let file = Arc::new(Self {
            env,
            tree,
            directory: directory.to_owned(),
            mark,
        });
        files.retain(|_, file| file.strong_count() > 0);
        files.insert(directory.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is committed now. It does not change while others commit, whose file grows as long as there is a view.
    ///
    /// A thread has one view of a file at a time.
    ///
    /// # Errors
    ///
    /// Those of the system; a thread that has a view already.
    pub fn view(&self) -> io::Result<View<'_>> {
        Ok(View {
            txn: self.env.read_txn().map_err(fault)?,
            tree: self.tree,
        })
    }

    /// Makes the changes that `body` makes, all or none, together with what then stands beside the rows. One writes at a
    /// time, in whichever process.
    ///
    /// # Errors
    ///
    /// Those of `body`, and of the system; nothing has changed then.
    pub fn write<E: From<io::Error>>(
        &self,
        body: impl FnOnce(&mut Batch<'_, '_>) -> Result<Vec<u8>, E>,
    ) -> Result<(), E> {
        self.mark.set_dirty()?;
        let mut txn = self.env.write_txn().map_err(fault)?;
        let stored = self.tree.get(&txn, &ABOUT).map_err(fault)?;
        let (links, _) = split(stored.unwrap_or_default());
        let mut batch = Batch::new(&mut txn, self.tree, links).map_err(fault)?;
        let about = body(&mut batch)?;
        batch.finish(&about).map_err(fault)?;
        Ok(txn.commit().map_err(fault)?)
    }

    /// Waits until all that is committed is on the disk, where it then outlives the machine. Nobody writes meanwhile.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn sync(&self) -> io::Result<()> {
        self.env.force_sync().map_err(fault)?;
        self.mark.set_clean()
    }

    /// Lets go of what readers have held that were killed.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn forget_the_dead(&self) -> io::Result<usize> {
        self.env.clear_stale_readers().map_err(fault)
    }

    /// The bytes of the file, up to its last page.
    pub fn bytes(&self) -> u64 {
        (self.env.info().last_page_number as u64 + 1) * u64::from(self.env.stat().page_size)
    }
}

/// A file at one moment.
#[expect(missing_debug_implementations, reason = "transactions of heed have none")]
pub struct View<'f> {
    txn: RoTxn<'f, WithTls>,
    tree: Tree,
}

impl View<'_> {
    /// What stands beside the rows; nothing before the first commit.
    ///
    /// # Errors
    ///
    /// A file that is damaged.
    pub fn about(&self) -> io::Result<&[u8]> {
        let stored = self.tree.get(&self.txn, &ABOUT).map_err(fault)?;
        Ok(split(stored.unwrap_or_default()).1)
    }

    /// The number of rows.
    ///
    /// # Errors
    ///
    /// A file that is damaged.
    pub fn count(&self) -> io::Result<u64> {
        let stored = self.tree.get(&self.txn, &ABOUT).map_err(fault)?;
        let entries = self.tree.len(&self.txn).map_err(fault)?;
        Ok(split(stored.unwrap_or_default()).0.rows_of(entries))
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// A file that is damaged.
    pub fn get(&self, key: &[u8]) -> io::Result<Option<&[u8]>> {
        tree::get(self.tree, &self.txn, key).map_err(fault)
    }

    /// Visits the keys that begin with `prefix`, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// The first of `visit`; a file that is damaged.
    pub fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        tree::scan(self.tree, &self.txn, prefix, visit)
    }
}

/// What is of the tree, and what is of the writer.
fn split(stored: &[u8]) -> (Links, &[u8]) {
    let Some((head, about)) = stored.split_at_checked(LINKS_BYTES) else {
        return (Links::default(), &[]);
    };
    let mut words = head
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word));
    let mut next = || words.next().unwrap_or_default();
    let links = Links {
        count: next(),
        next_branch: next(),
    };
    (links, about)
}

fn join(links: Links, about: &[u8]) -> Vec<u8> {
    let words = [links.count, links.next_branch];
    let mut stored: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    stored.extend_from_slice(about);
    stored
}

#[cfg(test)]
mod tests;
