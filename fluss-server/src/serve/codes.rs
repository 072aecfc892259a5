//! The wire's error codes for what the rooms below refuse: chosen here, and nowhere below.

use std::io;

use fluss_rpc::code::ErrorCode;
use fluss_store::log;

use crate::error::Failure;
use crate::{bucket, kv};

impl From<bucket::Error> for Failure {
    fn from(error: bucket::Error) -> Self {
        use bucket::Error;
        let code = match error {
            Error::Log(error) => return error.into(),
            Error::Rows(error) => return error.into(),
            Error::Closed => ErrorCode::LOG_STORAGE_EXCEPTION,
            // Waiting does not help.
            Error::Poisoned(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            Error::Unknown(_) => ErrorCode::UNKNOWN_TABLE_OR_BUCKET,
            Error::CannotOpen { .. } => ErrorCode::STORAGE_EXCEPTION,
            Error::NoKeys(_) => ErrorCode::NON_PRIMARY_KEY_TABLE,
            Error::NotCounted(_) => ErrorCode::INVALID_TABLE,
        };
        Self::new(code, error.to_string())
    }
}

/// Whether a disk has no room: then it may have some later.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl From<log::Error> for Failure {
    fn from(error: log::Error) -> Self {
        use log::Error;
        let code = match error {
            Error::UnknownMagic(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            Error::BadBatch(_) | Error::Damaged { .. } => ErrorCode::CORRUPT_RECORD,
            Error::OutOfOrder { .. } => ErrorCode::OUT_OF_ORDER_SEQUENCE,
            Error::OutOfRange { .. } => ErrorCode::LOG_OFFSET_OUT_OF_RANGE,
            Error::Storage { ref error, .. } if is_full(error) => ErrorCode::DISK_WRITE_LOCKED,
            Error::Storage { .. } => ErrorCode::LOG_STORAGE_EXCEPTION,
        };
        Self::new(code, error.to_string())
    }
}

impl From<kv::Error> for Failure {
    fn from(error: kv::Error) -> Self {
        use kv::Error;
        let code = match error {
            Error::Numbers(failure) => return failure,
            Error::InvalidProperty(_) => ErrorCode::INVALID_CONFIG,
            Error::InvalidTable(_) => ErrorCode::INVALID_TABLE,
            Error::Corrupt(_) => ErrorCode::CORRUPT_RECORD,
            Error::UnknownSchema(_) => ErrorCode::SCHEMA_NOT_EXIST,
            Error::TargetColumns(_) => ErrorCode::INVALID_TARGET_COLUMN,
            Error::DeletesDisabled => ErrorCode::DELETION_DISABLED,
            Error::KeyTooLong { .. } | Error::NoRoom(_) => ErrorCode::RECORD_TOO_LARGE,
            Error::BadRecord(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            Error::State(ref error) if is_full(error) => ErrorCode::DISK_WRITE_LOCKED,
            Error::State(_) | Error::BadValue(_) | Error::Replay(_) | Error::Moved { .. } => {
                ErrorCode::KV_STORAGE_EXCEPTION
            }
        };
        Self::new(code, error.to_string())
    }
}

impl From<kv::NoRoom> for Failure {
    fn from(error: kv::NoRoom) -> Self {
        kv::Error::from(error).into()
    }
}
