//! What takes too long, and when time alone changes something.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::error::{Context, Error, ErrorKind};
use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

impl Session {
    /// Reads nothing any more: the table was dropped. What was fetched is still handed over.
    pub(in crate::scan) fn drop_table(&mut self, path: &TablePath, kind: &ErrorKind) {
        for (bucket, subscription) in &mut self.buckets {
            let error = subscription.context(*bucket).error(kind.clone());
            subscription.fail(error);
        }
        // New partitions do not come either.
        if self.followed.is_some() {
            self.dropped = Some(Context::new("poll").table(path).error(kind.clone()));
        }
    }

    /// Takes note that it could not be found out whether there are new partitions.
    pub(in crate::scan) fn undiscovered(&mut self, error: Error) {
        self.trouble = Some(error);
    }

    /// What a poll has to raise: a bucket that cannot be read, or one that has come no further since `timeout`: then what was
    /// said last, if anything was. The latter is raised once for each such span of time, while the attempts go on.
    pub(in crate::scan) fn error(&mut self, now: Instant, timeout: Duration) -> Option<Error> {
        if let Some(error) = self.dropped.clone().or_else(|| self.trouble.take()) {
            return Some(error);
        }
        if self.buckets.is_empty() && self.followed.is_none() && !self.nothing_left {
            let reason = "nothing is subscribed: subscribe to buckets, or to all of them, first".to_owned();
            return Some(Context::new("poll").error(ErrorKind::InvalidArgument(reason)));
        }
        for (bucket, subscription) in &mut self.buckets {
            if let Some(error) = subscription.trouble() {
                return Some(error.clone());
            }
            let mut context = subscription.context(*bucket);
            if let Some((since, server)) = &mut subscription.stalled
                && now >= *since + timeout
            {
                *since = now;
                if let Some(error) = &subscription.said {
                    return Some(error.clone());
                }
                context.server.clone_from(server);
                return Some(context.error(ErrorKind::Timeout {
                    after: timeout,
                    outcome_unknown: false,
                }));
            }
        }
        None
    }

    /// What was said of a bucket instead of what was asked for, and after how many attempts.
    pub(in crate::scan) fn complaint(&self, bucket: &TableBucket) -> Option<(Error, u32)> {
        let subscription = self.buckets.get(bucket)?;
        let error = subscription.said.clone()?;
        Some((error, subscription.attempts()))
    }

    /// When time alone will change something for the fetcher.
    pub(in crate::scan) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let idle = self
            .buckets
            .values()
            .filter(|subscription| !subscription.in_flight);
        let pauses = idle.filter_map(|subscription| subscription.pause.as_ref());
        let pauses = pauses.chain(&self.schema_pause);
        let ends = pauses.map(|pause| pause.until);
        ends.filter(|until| *until > now).min()
    }

    /// When a poll has to raise that a bucket comes no further.
    pub(in crate::scan) fn next_timeout(&self, timeout: Duration) -> Option<Instant> {
        let stalled = self
            .buckets
            .values()
            .filter_map(|subscription| subscription.stalled.as_ref());
        stalled.map(|(since, _)| *since + timeout).min()
    }
}
