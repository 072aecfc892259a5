//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, in milliseconds since the epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// How long ago a moment was.
pub(crate) fn since(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(now().saturating_sub(millis)).unwrap_or_default())
}
