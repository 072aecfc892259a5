//! Warnings of a disk that fails: whoever runs the node has to know, and not with a line for each request.

use fluss_rpc::code::ErrorCode;
use fluss_rpc::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::error::Failure;
use crate::throttle::Throttle;

static THROTTLE: Mutex<Throttle> = Mutex::new(Throttle::new());

/// Warns of a refusal whose cause is the disk: of the first at once, then every 10 s.
pub(super) fn warn_of_storage(failure: &Failure) {
    if !is_storage(failure.code) {
        return;
    }
    let mut throttle = THROTTLE.lock();
    if let Some(times) = throttle.count(Instant::now()) {
        drop(throttle);
        let others = times - 1;
        warn!(target: crate::TARGET, %failure, others, "a request failed at the disk");
    }
}

const fn is_storage(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::LOG_STORAGE_EXCEPTION
            | ErrorCode::KV_STORAGE_EXCEPTION
            | ErrorCode::STORAGE_EXCEPTION
            | ErrorCode::DISK_WRITE_LOCKED
    )
}
