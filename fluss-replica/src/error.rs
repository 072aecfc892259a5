//! What goes wrong with a replica.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use fluss_client::ValueError;
use fluss_client::types::{InvalidDefinition, TablePath};

/// The result of whatever is done with replicas.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory holds a copy of something else: another table, other columns or rows, or another format.
    #[error("{} {reason}", directory.display())]
    OtherContents {
        /// The directory.
        directory: PathBuf,
        /// What it holds, and what was asked for.
        reason: String,
    },
    /// Another replica follows the table into this directory, in this process or another.
    #[error("{}: another replica follows table {table} into this directory; there can be readers beside it", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The table.
        table: TablePath,
    },
    /// There is no copy to read yet: the replica was not started, or never came to have one.
    #[error("{}: there is no copy of table {table} yet", directory.display())]
    NoCopy {
        /// The directory.
        directory: PathBuf,
        /// The table.
        table: TablePath,
    },
    /// A directory in which nobody has a replica.
    #[error("{}: there is no replica in this directory", .0.display())]
    NoDirectory(PathBuf),
    /// The copy is not as new as is demanded.
    #[error("the copy of table {table} is {} old, and reads demand one of {most:?} at most", Age(*age))]
    Stale {
        /// The table.
        table: TablePath,
        /// How old the copy is; nothing if that is not known.
        age: Option<Duration>,
        /// How old it may be.
        most: Duration,
    },
    /// What was waited for did not come in time.
    #[error("the copy of table {table} was not {what} within {timeout:?}")]
    TimedOut {
        /// The table.
        table: TablePath,
        /// What was waited for.
        what: &'static str,
        /// How long.
        timeout: Duration,
    },
    /// What was asked for makes no sense: a column that there is not, a key of another type.
    #[error("{0}")]
    InvalidArgument(String),
    /// The replica was shut down.
    #[error("the replica of table {table} is shut down")]
    Closed {
        /// The table.
        table: TablePath,
    },
    /// The replica was opened in a process that this one was forked from.
    #[error(
        "the replica of table {table} was opened before this process was forked: open it again in the child"
    )]
    Inherited {
        /// The table.
        table: TablePath,
    },
    /// Files of the replica cannot be read or written.
    #[error("{}: {source}", path.display())]
    Storage {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// What is in the copy contradicts itself. It is copied anew when a replica that follows is started.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// What was under way has to begin anew, which it does by itself.
    #[error("{0}: it begins anew")]
    Interrupted(&'static str),
    /// The client has failed.
    #[error(transparent)]
    Client(#[from] fluss_client::Error),
}

struct Age(Option<Duration>);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(age) => write!(f, "{age:?}"),
            None => f.write_str("nobody knows how"),
        }
    }
}

impl Error {
    pub(crate) fn storage(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Storage {
            path,
            source: Arc::new(error),
        }
    }

    /// Whether trying again can help, without anybody doing anything about it.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Client(error) => error.is_retriable(),
            Self::Interrupted(_) => true,
            _ => false,
        }
    }

    pub(crate) fn damaged(path: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self::Damaged {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

impl From<InvalidDefinition> for Error {
    fn from(error: InvalidDefinition) -> Self {
        Self::InvalidArgument(error.to_string())
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::InvalidArgument(error.to_string())
    }
}
