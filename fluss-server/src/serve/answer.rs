//! Answers for single buckets: a result, or why there is none. The request as a whole succeeds all the same.

use fluss_rpc::proto;

use super::storage_warning::warn_of_storage;
use crate::error::Failure;

/// The part of an answer that concerns one bucket.
pub(super) trait Answer: Sized {
    /// Says why there is no result.
    fn refuse(&mut self, failure: Failure);

    /// Fills in the result.
    fn with<T>(mut self, result: Result<T, Failure>, fill_in: impl FnOnce(&mut Self, T)) -> Self {
        match result {
            Ok(value) => fill_in(&mut self, value),
            Err(failure) => self.refuse(failure),
        }
        self
    }
}

macro_rules! answers {
    ($($message:ident)*) => {$(
        impl Answer for proto::$message {
            fn refuse(&mut self, failure: Failure) {
                warn_of_storage(&failure);
                self.error_code = Some(failure.code.number());
                self.error_message = Some(failure.message);
            }
        }
    )*};
}

answers! {
    PbProduceLogRespForBucket
    PbPutKvRespForBucket
    PbFetchLogRespForBucket
    PbLookupRespForBucket
    PbPrefixLookupRespForBucket
    PbListOffsetsRespForBucket
    PbTableStatsRespForBucket
    LimitScanResponse
    ScanKvResponse
}
