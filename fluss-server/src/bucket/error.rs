use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;
use fluss_store::{OpenError, log};

use crate::kv;

/// Why a bucket refuses a request, or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Log(#[from] log::Error),
    #[error(transparent)]
    Rows(#[from] kv::Error),
    #[error(
        "{0} is not used any more: a change of it has failed half-way, and it is as it was before once the node has started \
         again"
    )]
    Poisoned(TableBucket),
    #[error("the node has closed")]
    Closed,
    #[error("there is no {0}")]
    Unknown(TableBucket),
    #[error("{id} cannot be opened: {}", described(error))]
    CannotOpen { id: TableBucket, error: Box<OpenError> },
    #[error("{0} has no keys")]
    NoKeys(TableBucket),
    #[error("the rows of {0} are not counted")]
    NotCounted(TablePath),
}

impl From<kv::NoRoom> for Error {
    fn from(error: kv::NoRoom) -> Self {
        Self::Rows(error.into())
    }
}

fn described(error: &OpenError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
