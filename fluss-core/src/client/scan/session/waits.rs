//! What takes too long, and when time alone changes something.

use std::time::Duration;

use tokio::time::Instant;

use super::Session;
use crate::client::error::{Error, ErrorKind};

impl Session {
    /// Takes note that it could not be found out whether there are new partitions.
    pub(in crate::client::scan) fn undiscovered(&mut self, error: Error) {
        self.trouble = Some(error);
    }

    /// What a poll has to raise: a bucket that cannot be read, or one that nobody has answered for since `timeout`.
    /// The latter is raised once for each such span of time, while the attempts go on.
    pub(in crate::client::scan) fn error(&mut self, now: Instant, timeout: Duration) -> Option<Error> {
        if let Some(error) = self.trouble.take() {
            return Some(error);
        }
        for (bucket, subscription) in &mut self.buckets {
            if let Some(error) = subscription.trouble() {
                return Some(error.clone());
            }
            let mut context = subscription.context(*bucket);
            if let Some((since, server)) = &mut subscription.unanswered
                && now >= *since + timeout
            {
                *since = now;
                if let Some(error) = &subscription.failed_download {
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

    /// When time alone will change something for the fetcher.
    pub(in crate::client::scan) fn next_wake(&self, now: Instant) -> Option<Instant> {
        let idle = self
            .buckets
            .values()
            .filter(|subscription| !subscription.in_flight);
        let pauses = idle.filter_map(|subscription| subscription.pause.as_ref());
        let pauses = pauses.chain(&self.schema_pause);
        let ends = pauses.map(|pause| pause.until);
        ends.filter(|until| *until > now).min()
    }

    /// When a poll has to raise that nobody answers.
    pub(in crate::client::scan) fn next_timeout(&self, timeout: Duration) -> Option<Instant> {
        let unanswered = self
            .buckets
            .values()
            .filter_map(|subscription| subscription.unanswered.as_ref());
        unanswered.map(|(since, _)| *since + timeout).min()
    }
}
