use std::io;
use std::path::{Path, PathBuf};

use fluss_core::DecodeError;

/// Why what is on a disk cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another node of this one, has the directory.
    #[error("{} is in use by another process", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory was open when this process was forked from the one that had it.
    #[error("{} was open when this process was forked: only a process that is started anew can open it", directory.display())]
    Inherited {
        /// The directory.
        directory: PathBuf,
    },
    /// A directory without a catalog has files in it that no node has written.
    #[error("{} is no node's directory: there is '{found}' in it", directory.display())]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// One of the files.
        found: String,
    },
    /// The catalog was written in a format that this version does not know.
    #[error("{} has format {found}, not {known}", path.display())]
    Format {
        /// The catalog.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What this version writes.
        known: u32,
    },
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is on the disk contradicts what it is opened with.
    #[error("{}: {reason}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        reason: String,
    },
    /// A file is damaged in a place that no crash explains. Nothing behind that place is served.
    #[error("{} is damaged at byte {at}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        at: u64,
        /// What is wrong there.
        source: DecodeError,
    },
}

impl OpenError {
    /// The same, with the names of files as they are found from outside of a disk with this root.
    #[must_use]
    pub fn under(mut self, root: &Path) -> Self {
        let (Self::InUse { directory: path }
        | Self::Inherited { directory: path }
        | Self::Foreign { directory: path, .. }
        | Self::Format { path, .. }
        | Self::Io { path, .. }
        | Self::Contradiction { path, .. }
        | Self::Damaged { path, .. }) = &mut self;
        *path = root.join(&*path);
        self
    }
}

/// A file that cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// Its bytes are not what was written.
    Damaged {
        /// Where the damage begins.
        at: u64,
        /// What is wrong there.
        source: DecodeError,
    },
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Unusable {
    /// The same of this file.
    pub(crate) fn of(self, path: PathBuf) -> OpenError {
        match self {
            Self::Io(source) => OpenError::Io { path, source },
            Self::Damaged { at, source } => OpenError::Damaged { path, at, source },
        }
    }
}
