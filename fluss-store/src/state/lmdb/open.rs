//! What the compiler cannot check about LMDB.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use fluss_rpc::sync::RwLockWriteGuard;
use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

use super::space::{Space, Take};
use crate::disk::read_write;
use crate::error::Unusable;
use crate::tree::{Tree, check, data_file, fault, map_bytes};

/// Readers at a time: one for each look-up that runs, and one for each scan.
const READERS: u32 = 1_024;

/// The map to begin with, which costs addresses only.
const FIRST_MAP_BYTES: u64 = 256 << 20;

/// An environment that is open. It is closed when this is dropped, as nobody keeps `env` for longer: LMDB opens no file
/// twice.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) env: Env<WithoutTls>,
    pub(super) tree: Tree,
    pub(super) space: Space,
}

impl Environment {
    /// How many it has: the data and the locks of LMDB, and the data once more, to take room for them.
    pub(super) const DESCRIPTORS: usize = 3;

    /// Opens what is in a directory, or begins it.
    pub(super) fn open(directory: &Path, take: Take) -> io::Result<Self> {
        let mut options = read_write();
        Self::on(directory, options.create(true).truncate(false), take)
    }

    /// Opens what was open before. Rows that are gone since are not taken for none.
    pub(super) fn reopen(directory: &Path, take: Take) -> io::Result<Self> {
        let path = data_file(directory);
        let damaged = |at: u64, reason: String| {
            let reason = format!("{} is damaged at byte {at}: {reason}", path.display());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        let file = read_write().open(&path)?;
        match check(&file) {
            Ok(()) if file.metadata()?.len() == 0 => Err(damaged(0, "it is empty".to_owned())),
            Ok(()) => Self::on(directory, &read_write(), take),
            Err(Unusable::Io(error)) => Err(error),
            Err(Unusable::Damaged { at, source }) => Err(damaged(at, source.to_string())),
        }
    }

    fn on(directory: &Path, options: &OpenOptions, take: Take) -> io::Result<Self> {
        let file = options.open(data_file(directory))?;
        let map = file.metadata()?.len().max(FIRST_MAP_BYTES);
        let (env, tree) = open(directory, map_bytes(map))?;
        Ok(Self {
            env,
            tree,
            space: Space::new(file, take),
        })
    }

    /// Gives it a larger map. Who has `alone` to write is alone: every transaction holds it to read.
    #[expect(unsafe_code, reason = "No transaction is under way.")]
    pub(super) fn resize(&self, _alone: &mut RwLockWriteGuard<'_, ()>, bytes: u64) -> io::Result<()> {
        unsafe { self.env.resize(map_bytes(bytes)) }.map_err(fault)
    }
}

/// Opens the environment in a directory that exists, with a map of so many bytes.
#[expect(
    unsafe_code,
    reason = "The files belong to this process alone: the node holds a lock on its directory, and nothing else opens \
              them. A power cut can leave them torn with these flags: who calls this has looked at `Trust` first."
)]
fn open(directory: &Path, map_bytes: usize) -> io::Result<(Env<WithoutTls>, Tree)> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_readers(READERS);
    let env = unsafe {
        options.flags(EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD);
        options.open(directory)
    };
    let env = env.map_err(fault)?;
    let mut txn = env.write_txn().map_err(fault)?;
    let options = env.database_options().types().key_comparator();
    let tree = options.create(&mut txn).map_err(fault)?;
    txn.commit().map_err(fault)?;
    Ok((env, tree))
}
