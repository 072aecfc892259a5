//! What the compiler cannot check about LMDB.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithTls};
use rustix::io::Errno;

use crate::error::Unusable;
use crate::tree::{Tree, check, data_file, fault, map_bytes};

/// Threads that have read, in all processes, until they end.
const READERS: u32 = 4_096;

/// The map, which costs addresses only: no copy grows beyond it.
const MAP_BYTES: u64 = 1 << 40;
/// Where addresses are short.
const LEAST_MAP_BYTES: u64 = 1 << 30;

/// Opens the environment in a directory, or begins it.
pub(super) fn open(directory: &Path, begins: bool) -> Result<(Env<WithTls>, Tree), Unusable> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(begins).truncate(false);
    let file = options.open(data_file(directory))?;
    check(&file)?;
    if !begins && file.metadata()?.len() == 0 {
        return Err(io::Error::new(ErrorKind::InvalidData, "the file is empty").into());
    }
    let mut bytes = MAP_BYTES;
    loop {
        match map(directory, bytes) {
            Err(error) if is_short(&error) && bytes > LEAST_MAP_BYTES => bytes /= 2,
            opened => return Ok(opened?),
        }
    }
}

fn is_short(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::NOMEM.raw_os_error())
}

#[expect(
    unsafe_code,
    reason = "LMDB's own locks keep the processes apart that have the file open; nothing else writes to it. What its first \
              pages promise was looked at. A power cut can leave it torn with these flags: who calls this has looked at the \
              mark first."
)]
fn map(directory: &Path, bytes: u64) -> io::Result<(Env<WithTls>, Tree)> {
    let mut options = EnvOpenOptions::new();
    options.map_size(map_bytes(bytes)).max_readers(READERS);
    let env = unsafe {
        options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_READ_AHEAD);
        options.open(directory)
    };
    let env = env.map_err(fault)?;
    let txn = env.read_txn().map_err(fault)?;
    let options = env.database_options().types().key_comparator();
    let tree = options.open(&txn).map_err(fault)?;
    // Else other processes do not find the tree.
    txn.commit().map_err(fault)?;
    let tree = tree.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "there is no tree"))?;
    Ok((env, tree))
}
