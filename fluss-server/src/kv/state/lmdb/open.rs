//! What the compiler cannot check about LMDB.

use std::io;
use std::path::Path;

use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};

use super::fault;

/// Readers at a time: one for each look-up that runs, and one for each scan.
const READERS: u32 = 1_024;

/// Keys to values, as LMDB has them.
pub(super) type Tree = Database<Bytes, Bytes>;

/// Opens the environment in a directory that exists, with a map of so many bytes.
#[expect(
    unsafe_code,
    reason = "The files belong to this process alone: the node holds a lock on its directory, and nothing else opens \
              them. A power cut can leave them torn with these flags: who calls this has looked at `Trust` first."
)]
pub(super) fn open(directory: &Path, map_bytes: usize) -> io::Result<(Env<WithoutTls>, Tree)> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(map_bytes).max_readers(READERS);
    let env = unsafe {
        options.flags(EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD);
        options.open(directory)
    };
    let env = env.map_err(fault)?;
    let mut txn = env.write_txn().map_err(fault)?;
    let tree = env.create_database(&mut txn, None).map_err(fault)?;
    txn.commit().map_err(fault)?;
    Ok((env, tree))
}

/// Gives the environment a larger map. `env` is borrowed alone, and so no transaction borrows from it; those that own it
/// hold the lock that `env` comes from.
#[expect(unsafe_code, reason = "No transaction is under way.")]
pub(super) fn resize(env: &mut Env<WithoutTls>, map_bytes: usize) -> io::Result<()> {
    unsafe { env.resize(map_bytes) }.map_err(fault)
}
