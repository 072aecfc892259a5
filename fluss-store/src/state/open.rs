//! Opening a state: what is there, if it can be trusted, or else what the checkpoints say.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluss_core::id::Offset;

use super::checkpoint::Checkpoints;
use super::engine::State;
use super::lmdb::Lmdb;
use super::memory::Memory;
use crate::OpenError;
use crate::disk::{Disk, Trust};
use crate::error::Unusable;
use crate::tree::data_file;

/// The directory of what is not synced.
const LIVE: &str = "live";

/// Opens the state in a directory, which is made if it is not there. What cannot be trusted is made again from the last
/// checkpoint. `log` is what there is of the changelog; from where the state stands on, it is for the caller to apply.
///
/// # Errors
///
/// Files that cannot be read or written; checkpoints that are all damaged, where the changelog does not reach back to its
/// beginning.
pub fn open(
    disk: &Arc<dyn Disk>,
    directory: &Path,
    checkpoints: &Checkpoints,
    log: &Range<Offset>,
) -> Result<Box<dyn State>, OpenError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| OpenError::Io { path, source }
    };
    let state = live(disk, directory).map_err(at(directory))?;
    let offsets = checkpoints.offsets().map_err(at(directory))?;
    let usable: Vec<_> = offsets.into_iter().filter(|offset| *offset <= log.end).collect();
    let applied = applied(&*state).map_err(at(directory))?;
    // A restore that was cut short stands at 0.
    let is_whole = applied <= log.end && usable.last().is_none_or(|last| *last <= applied);
    if !is_whole || (applied == 0 && !usable.is_empty()) {
        restore(&*state, checkpoints, &usable, log)?;
    }
    let stands = self::applied(&*state).map_err(at(directory))?;
    if stands < log.start {
        let reason = format!(
            "the state stands at offset {stands}, its changelog begins at {}",
            log.start
        );
        return Err(at(directory)(io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    Ok(state)
}

/// What is there and trusted, or an empty state.
fn live(disk: &Arc<dyn Disk>, directory: &Path) -> io::Result<Box<dyn State>> {
    disk.create_dir(directory)?;
    let files = directory.join(LIVE);
    let Some(path) = disk.real_path(&files) else {
        return Ok(Box::new(Memory::default()));
    };
    let trust = Trust::open(disk, directory)?;
    if !trust.holds() || is_damaged(disk, &path)? {
        disk.remove_dir(&files)?;
    }
    disk.create_dir(&files)?;
    Ok(Box::new(Lmdb::open(&path, trust, disk.open_files())?))
}

/// Whether what is there has to be made again, although it is trusted: somebody else than the node has changed it.
fn is_damaged(disk: &Arc<dyn Disk>, files: &Path) -> io::Result<bool> {
    match Lmdb::check(files, disk.open_files().as_deref()) {
        Ok(()) => Ok(false),
        Err(Unusable::Io(error)) => Err(error),
        Err(Unusable::Damaged { at, source }) => {
            let path = data_file(files);
            tracing::error!(target: crate::TARGET, path = %path.display(), at, reason = %source, "rows are damaged, and are made again");
            Ok(true)
        }
    }
}

fn applied(state: &dyn State) -> io::Result<Offset> {
    Ok(state.snapshot()?.about()?.applied)
}

/// Fills a state from the latest checkpoint that can be used. If none can, it is left empty, as long as the changelog
/// has everything.
fn restore(
    state: &dyn State,
    checkpoints: &Checkpoints,
    offsets: &[Offset],
    log: &Range<Offset>,
) -> Result<(), OpenError> {
    let mut damage = None;
    for offset in offsets.iter().rev() {
        let path = checkpoints.path(*offset);
        let restored = state
            .clear()
            .map_err(Unusable::Io)
            .and_then(|()| checkpoints.restore(*offset, state));
        match restored {
            Ok(()) => return Ok(()),
            Err(Unusable::Damaged { at, source }) => {
                tracing::error!(target: crate::TARGET, path = %path.display(), at, reason = %source, "a checkpoint is damaged");
                damage.get_or_insert((path, at, source));
            }
            Err(Unusable::Io(source)) => return Err(OpenError::Io { path, source }),
        }
    }
    let path = PathBuf::new();
    state.clear().map_err(|source| OpenError::Io { path, source })?;
    match damage {
        Some((path, at, source)) if log.start > 0 => Err(OpenError::Damaged { path, at, source }),
        _ => Ok(()),
    }
}
