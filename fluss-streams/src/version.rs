//! What an append asks of the stream that it goes to.

use std::fmt;

/// What state a stream is to be in for an append. Versions count its events from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StreamState {
    /// It has no events, or was deleted.
    NoStream,
    /// It has events.
    Exists,
    /// Any at all.
    Any,
    /// The last event has this version.
    Version(i64),
}

impl fmt::Display for StreamState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("a stream that exists"),
            Self::Any => f.write_str("any state"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// What state a stream is in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CurrentVersion {
    /// There is no such stream, or it was deleted.
    NoStream,
    /// The version of its last event.
    Version(i64),
}

impl CurrentVersion {
    /// The version of the last event, if there is one.
    pub const fn version(self) -> Option<i64> {
        match self {
            Self::NoStream => None,
            Self::Version(version) => Some(version),
        }
    }
}

impl fmt::Display for CurrentVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStream => f.write_str("no stream"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}
