use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use fluss_core::DecodeError;
use fluss_core::id::Offset;
use fluss_core::record::log::LogBatch;

use super::index::Entry;
use super::walk::{Walk, WalkError};
use super::{Error, damaged, gone, missing, storage};
use crate::disk::Disk;

/// The batches of a log in order, up to the end that it had when this was begun. About 1 MiB of them is held at a time,
/// or the biggest batch.
///
/// After an error it ends.
#[derive(Debug)]
pub struct Batches {
    disk: Arc<dyn Disk>,
    /// The records before are left out.
    from: Offset,
    segments: vec::IntoIter<Stretch>,
    current: Option<(Stretch, Walk)>,
}

/// What is to be read of a segment.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) path: PathBuf,
    pub(super) entry: Entry,
    pub(super) end: u64,
    pub(super) end_offset: Offset,
}

impl Batches {
    pub(super) fn new(disk: Arc<dyn Disk>, from: Offset, segments: Vec<Stretch>) -> Self {
        Self {
            disk,
            from,
            segments: segments.into_iter(),
            current: None,
        }
    }

    fn advance(&mut self) -> Result<Option<LogBatch>, Error> {
        loop {
            if let Some((stretch, walk)) = &mut self.current {
                match walk
                    .next()
                    .map_err(|error| error.in_file(&stretch.path, walk.at()))?
                {
                    Some(batch) if batch.next_offset() <= self.from => continue,
                    Some(batch) => return Ok(Some(batch)),
                    None if walk.next_offset() == stretch.end_offset => {}
                    None => return Err(missing(&stretch.path, walk.at(), walk.next_offset())),
                }
            }
            let Some(stretch) = self.segments.next() else {
                return Ok(None);
            };
            let file = self.disk.open_existing(&stretch.path);
            let file = file.map_err(|error| gone(&stretch.path, error))?;
            let walk = Walk::new(file, stretch.entry, stretch.end, !self.disk.is_memory());
            self.current = Some((stretch, walk));
        }
    }
}

impl Iterator for Batches {
    type Item = Result<LogBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance().transpose();
        if matches!(next, None | Some(Err(_))) {
            self.current = None;
            self.segments = Vec::new().into_iter();
        }
        next
    }
}

impl WalkError {
    /// The error that a reader gets.
    pub(super) fn in_file(self, path: &Path, at: u64) -> Error {
        match self {
            Self::Io(error) => storage(path, error),
            Self::Bad(source) => damaged(path, at, source),
            Self::Times { since } => damaged(path, since, DecodeError::new("log", "a timestamp has changed")),
        }
    }
}
