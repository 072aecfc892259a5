//! What is told of a disk that fails: whoever runs the node has to know, and not with a line for each request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fluss_rpc::code::ErrorCode;
use tracing::warn;

use crate::Failure;

/// How often it is told that a disk still fails.
const EVERY: Duration = Duration::from_secs(10);

static TOLD: Mutex<Told> = Mutex::new(Told::NOTHING);

/// What has been told, and what has not.
#[derive(Debug)]
struct Told {
    last: Option<Instant>,
    /// How many failures came since.
    since: u64,
}

impl Told {
    const NOTHING: Self = Self { last: None, since: 0 };

    /// Whether a failure is to be told now, with the number of those before it that were not.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < EVERY)
        {
            self.since += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.since))
    }
}

/// Warns of a refusal that a disk is to blame for: of the first at once, then every 10 s.
pub(crate) fn warn_of(failure: &Failure) {
    if !is_storage(failure.code) {
        return;
    }
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(others) = told.next(Instant::now()) {
        drop(told);
        warn!(target: crate::TARGET, %failure, others, "a request failed at the disk");
    }
}

const fn is_storage(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::LOG_STORAGE_EXCEPTION | ErrorCode::KV_STORAGE_EXCEPTION | ErrorCode::STORAGE_EXCEPTION
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_goes_on_failing_is_told_now_and_then() {
        let (mut told, start) = (Told::NOTHING, Instant::now());
        let after = |millis| start + Duration::from_millis(millis);
        assert_eq!(told.next(start), Some(0));
        assert_eq!(told.next(after(1)), None);
        assert_eq!(told.next(after(9_999)), None);
        assert_eq!(told.next(after(10_000)), Some(2));
        assert_eq!(told.next(after(20_000)), Some(0));
    }
}
