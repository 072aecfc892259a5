//! Which failures are worth a warning where many come of one cause.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::ServerAddress;
use tokio::time::Instant;

use super::error::{Error, ErrorKind};

/// For so long a cause is not told again.
const QUIET: Duration = Duration::from_mins(1);

/// Has one warning for a cause: a server, and what is wrong with it. As long as it lasts there is another now and then, which
/// says how many failures there were since the one before.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    told: HashMap<Cause, Told>,
}

type Cause = (Option<ServerAddress>, Option<ErrorCode>, Discriminant<ErrorKind>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How many failures there were since.
    since: u32,
}

/// Tells of an attempt that failed and is made again: as a warning if its cause is worth one now.
macro_rules! tell_once {
    ($target:expr, $warnings:expr, $error:expr, $attempts:expr, $($rest:tt)+) => {{
        let (error, attempts): (&$crate::Error, u32) = ($error, $attempts);
        match $warnings.admit(error, attempts, tokio::time::Instant::now()) {
            Some(0) => $crate::error::tell!($target, warn, error, attempts, $($rest)+),
            Some(repeated) => $crate::error::tell!($target, warn, error, attempts, repeated, $($rest)+),
            None => $crate::error::tell!($target, debug, error, attempts, $($rest)+),
        }
    }};
}
pub(crate) use tell_once;

impl Warnings {
    /// Whether a failure is to be told, after so many attempts: then how many of its cause were not told.
    pub(crate) fn admit(&mut self, error: &Error, attempts: u32, now: Instant) -> Option<u32> {
        let cause = (
            error.context().server.clone(),
            error.code(),
            discriminant(error.kind()),
        );
        if let Some(told) = self.told.get_mut(&cause) {
            told.since += 1;
            if now < told.at + QUIET {
                return None;
            }
            let repeated = std::mem::take(&mut told.since);
            told.at = now;
            return Some(repeated);
        }
        // What was tried before may have failed of another cause.
        if error.is_told_after().is_none_or(|most| attempts < most) {
            return None;
        }
        self.told.insert(cause, Told { at: now, since: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Context;

    fn refusal(port: u16, code: ErrorCode) -> Error {
        let server = ServerAddress::new("h", port);
        Context::new("poll")
            .server(&server)
            .error(ErrorKind::server(code, None))
    }

    #[test]
    fn a_cause_is_told_once_and_counted_then() {
        let (mut warnings, begun) = (Warnings::default(), Instant::now());
        let failed = refusal(1, ErrorCode::STORAGE_EXCEPTION);
        assert_eq!(warnings.admit(&failed, 1, begun), Some(0));
        for millis in 0..100 {
            let now = begun + Duration::from_millis(100 * millis);
            assert_eq!(warnings.admit(&failed, 1, now), None);
        }
        assert_eq!(warnings.admit(&failed, 1, begun + QUIET), Some(101));
        assert_eq!(warnings.admit(&failed, 1, begun + 2 * QUIET), Some(1));
    }

    #[test]
    fn other_servers_and_other_codes_are_other_causes() {
        let (mut warnings, now) = (Warnings::default(), Instant::now());
        for port in 1..3 {
            for code in [ErrorCode::STORAGE_EXCEPTION, ErrorCode::CORRUPT_RECORD] {
                assert_eq!(warnings.admit(&refusal(port, code), 1, now), Some(0));
            }
        }
    }

    #[test]
    fn what_is_the_course_of_things_is_told_if_it_lasts() {
        let (mut warnings, now) = (Warnings::default(), Instant::now());
        let moved = refusal(1, ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let told: Vec<_> = (1..6)
            .map(|attempts| warnings.admit(&moved, attempts, now))
            .collect();
        assert_eq!(told, [None, None, None, Some(0), None]);
    }

    #[test]
    fn a_connection_that_was_closed_is_what_somebody_wanted() {
        let closed = Context::new("poll").error(ErrorKind::Closed);
        assert_eq!(Warnings::default().admit(&closed, 1, Instant::now()), None);
    }
}
