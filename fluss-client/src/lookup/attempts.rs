//! When and how often a look-up is tried.

use std::time::Duration;

use fluss_rpc::code::{ErrorCode, Retry};
use fluss_rpc::net::{Disconnect, RequestError};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::query::Patience;
use crate::error::{BRIEF_ATTEMPTS, Error, ErrorKind, Result, retry_at_leader, tell};
use crate::log_target;
use crate::meters::LookupMeters;
use crate::{cluster::Cluster, retry};
use fluss_core::id::TableBucket;
use fluss_core::types::TablePath;

/// The attempts at one call, within its deadline.
pub(super) struct Attempts<'c> {
    cluster: &'c Cluster,
    path: &'c TablePath,
    meters: &'c LookupMeters,
    pub(super) deadline: Instant,
    /// Of the metadata that the present attempt goes by.
    pub(super) generation: u64,
    pauses: Option<Box<dyn Iterator<Item = Duration> + Send + Sync>>,
    /// How many have failed.
    failed: u32,
}

impl<'c> Attempts<'c> {
    pub(super) const fn new(
        cluster: &'c Cluster,
        path: &'c TablePath,
        meters: &'c LookupMeters,
        deadline: Instant,
    ) -> Self {
        Self {
            cluster,
            path,
            meters,
            deadline,
            generation: 0,
            pauses: None,
            failed: 0,
        }
    }

    /// How long the present attempt may take. The first hears nothing from the server for no longer than leaves time for
    /// another, on a connection that leads somewhere.
    pub(super) fn patience(&self) -> Patience {
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        let silence = if self.failed == 0 { timeout / 2 } else { timeout };
        Patience { timeout, silence }
    }

    /// Returns the error if nothing can help, and otherwise once it is time to try again, with these buckets.
    pub(super) async fn after(&mut self, error: Error, buckets: &[TableBucket]) -> Result<()> {
        let next = self.wait(error, buckets).await;
        self.meters.failed(next.is_ok());
        next
    }

    async fn wait(&mut self, error: Error, buckets: &[TableBucket]) -> Result<()> {
        let remedy = remedy(&error);
        self.failed += 1;
        let is_lasting = remedy == Retry::Briefly && self.failed >= BRIEF_ATTEMPTS;
        if remedy == Retry::No || is_lasting {
            return Err(error);
        }
        let next = Instant::now() + self.pause();
        if next >= self.deadline {
            if remedy == Retry::RefreshMetadata {
                self.refresh_for_others(buckets);
            }
            return Err(error);
        }
        tell!(log_target::LOOKUP, debug, &error, "a look-up is tried again");
        if matches!(remedy, Retry::RefreshMetadata | Retry::Briefly) {
            self.refresh(buckets).await;
            let table = buckets.first().map(|bucket| bucket.table);
            if let Some(kind) = table.and_then(|table| self.cluster.topology().dropped(table)) {
                return Err(error.context().clone().error(kind));
            }
        }
        sleep_until(next).await;
        Ok(())
    }

    fn pause(&mut self) -> Duration {
        let pauses = self
            .pauses
            .get_or_insert_with(|| Box::new(retry::pauses_after_the_first(self.cluster.random())));
        pauses.next().unwrap_or_default()
    }

    /// Looks for the leaders. What is not found out now is tried again with the next attempt.
    async fn refresh(&self, buckets: &[TableBucket]) {
        let refreshed = self.cluster.refresh_buckets(self.path, buckets, self.generation);
        if let Ok(Err(error)) = timeout_at(self.deadline, refreshed).await {
            tracing::debug!(target: log_target::LOOKUP, table = %self.path, %error, "no metadata");
        }
    }

    /// The leader has not answered this call. It may lead no more: the calls to come should know.
    fn refresh_for_others(&self, buckets: &[TableBucket]) {
        let (cluster, path, generation) = (self.cluster.clone(), self.path.clone(), self.generation);
        let buckets = buckets.to_vec();
        tokio::spawn(async move {
            if let Err(error) = cluster.refresh_buckets(&path, &buckets, generation).await {
                tracing::debug!(target: log_target::LOOKUP, table = %path, %error, "no metadata");
            }
        });
    }
}

/// What can be done about an error. One without a code is of a connection or a deadline.
fn remedy(error: &Error) -> Retry {
    match error.code() {
        // There may be another of its name.
        Some(ErrorCode::PARTITION_NOT_EXISTS) => Retry::RefreshMetadata,
        Some(code) => retry_at_leader(code),
        None if error.is_retriable() || is_bystander(error) => Retry::RefreshMetadata,
        None => Retry::No,
    }
}

/// Whether the connection was lost because somebody else's answer is too large to be received.
fn is_bystander(error: &Error) -> bool {
    use ErrorKind::Request;
    matches!(
        error.kind(),
        Request(RequestError::Disconnected {
            reason: Disconnect::Frame(_)
        })
    )
}

/// The error of two that decides what is done: rather one that nothing helps against, and else one that a refresh does.
pub(super) fn graver(one: Option<Error>, other: Error) -> Error {
    let rank = |error: &Error| match remedy(error) {
        Retry::No => 3,
        Retry::Briefly => 2,
        Retry::RefreshMetadata => 1,
        Retry::Yes | Retry::Authenticate => 0,
    };
    match one {
        Some(one) if rank(&one) >= rank(&other) => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Context;

    #[test]
    fn the_error_that_decides_is_the_one_that_nothing_helps_against() {
        let error = |code| Context::new("look up").error(ErrorKind::server(code, None));
        let moved = error(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        let slow = error(ErrorCode::REQUEST_TIME_OUT);
        let forbidden = error(ErrorCode::AUTHORIZATION_EXCEPTION);
        let code = |one: &Error, other: &Error| graver(Some(one.clone()), other.clone()).code();
        for error in [&moved, &slow] {
            assert_eq!(code(error, &forbidden), forbidden.code());
            assert_eq!(code(&forbidden, error), forbidden.code());
        }
        assert_eq!(code(&slow, &moved), moved.code());
        assert_eq!(graver(None, slow.clone()).code(), slow.code());
    }
}
