//! A bucket that is read.

use std::time::Duration;

use fluss_rpc::code::{ErrorCode, Retry};
use fluss_rpc::net::{Random, ServerAddress};
use tokio::time::Instant;

use super::super::tiered::Tiered;
use super::wanted::{EARLIEST, Wanted};
use crate::error::{BRIEF_ATTEMPTS, Context, Error, ErrorKind, retry_at_leader};
use crate::retry;
use fluss_core::id::{Offset, TableBucket};
use fluss_core::record::log::LogBatch;
use fluss_core::types::PhysicalTablePath;

/// The columns that batches are fetched with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Columns {
    All,
    /// Those that are asked for: not while there are batches that lack some of them.
    Asked,
}

/// A bucket that is read.
pub(super) struct Subscription {
    /// Tells answers to an earlier subscription of the bucket apart.
    pub(super) id: u64,
    pub(super) table: PhysicalTablePath,
    /// Whether the partition was dropped: nothing follows what is fetched.
    pub(super) ended: bool,
    /// From where to fetch; nothing for the first record that is still there.
    pub(super) next: Option<Offset>,
    /// What `next` was when a server last took it for an offset of its log: no program has made that up.
    taken: Option<Offset>,
    /// Records from this offset on are not wanted.
    pub(super) stop: Option<Offset>,
    pub(super) in_flight: bool,
    pub(super) columns: Columns,
    /// Whether the server is believed to have more: not since an answer that reached the end of the log.
    pub(super) behind: bool,
    pub(super) fetched_bytes: usize,
    pub(super) pause: Option<Pause>,
    /// Since when the bucket is asked for and has come no further, and where it was asked for the last time.
    pub(super) stalled: Option<(Instant, Option<ServerAddress>)>,
    pub(super) error: Option<Error>,
    /// What was said the last time instead of what was asked for, if it has come no further since.
    pub(super) said: Option<Error>,
    /// How often in a row an answer came that waiting does not change.
    pub(super) senseless: u32,
    /// How often in a row nothing came though there is more.
    pub(super) withheld: u32,
    /// What is read in remote storage; meanwhile servers are not asked.
    pub(super) tiered: Option<Tiered>,
    random: Random,
}

/// A rest between attempts.
pub(super) struct Pause {
    pub(super) until: Instant,
    /// How many there were in a row, this one included.
    count: u32,
    lengths: Box<dyn Iterator<Item = Duration> + Send>,
}

impl Pause {
    /// Begins a pause, longer than the one before.
    pub(super) fn extend(pause: &mut Option<Self>, now: Instant, random: &Random) {
        let pause = pause.get_or_insert_with(|| Self {
            until: now,
            count: 0,
            lengths: Box::new(retry::pauses(random)),
        });
        pause.until = now + pause.lengths.next().unwrap_or_default();
        pause.count += 1;
    }
}

impl Subscription {
    /// Reads from an offset on, or from the first record that is still there.
    pub(super) fn new(
        id: u64,
        table: PhysicalTablePath,
        next: Option<Offset>,
        columns: Columns,
        random: Random,
    ) -> Self {
        Self {
            id,
            table,
            ended: false,
            next,
            taken: None,
            stop: None,
            in_flight: false,
            columns,
            behind: true,
            fetched_bytes: 0,
            pause: None,
            stalled: None,
            error: None,
            said: None,
            senseless: 0,
            withheld: 0,
            tiered: None,
            random,
        }
    }

    pub(super) fn context(&self, bucket: TableBucket) -> Context {
        Context::new("poll").physical(&self.table).bucket(bucket.bucket)
    }

    pub(super) fn is_due(&self, now: Instant, max_bytes: usize) -> bool {
        let is_free = !self.in_flight && self.tiered.is_none();
        let is_wanted = !self.ended && !self.has_stopped() && self.error.is_none();
        is_free && is_wanted && self.is_rested(now) && self.fetched_bytes < max_bytes
    }

    pub(super) fn is_rested(&self, now: Instant) -> bool {
        self.pause.as_ref().is_none_or(|pause| pause.until <= now)
    }

    /// Asks a server for what comes next.
    pub(super) fn ask(&mut self, bucket: TableBucket, server: &ServerAddress) -> Wanted {
        self.in_flight = true;
        if let Some((_, asked)) = &mut self.stalled {
            *asked = Some(server.clone());
        }
        Wanted {
            bucket,
            subscription: self.id,
            offset: self.next.unwrap_or(EARLIEST),
            projected: self.columns == Columns::Asked,
        }
    }

    /// Reads nothing but what is here: the partition was dropped.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.tiered.iter_mut().for_each(Tiered::end_with_what_is_here);
        self.progress();
    }

    /// Cannot be read any more: the table was dropped. What is fetched is still handed over.
    pub(super) fn fail(&mut self, error: Error) {
        if self.stop.is_none_or(|stop| self.next < Some(stop)) {
            self.ended = false;
            self.tiered = None;
            self.error = Some(error);
        }
    }

    /// Takes note that it has come further, or has come to where there is no more.
    pub(super) fn progress(&mut self) {
        self.taken = self.next;
        self.stalled = None;
        self.said = None;
        self.senseless = 0;
        self.withheld = 0;
        self.pause = None;
    }

    /// Whether the last download has failed.
    pub(super) fn has_failed_download(&self) -> bool {
        let said = self.said.as_ref().map(Error::kind);
        matches!(said, Some(ErrorKind::Storage(_)))
    }

    /// Takes note of an answer that did not bring it further, and that waiting does not change.
    pub(super) fn on_senseless(&mut self, error: Error, now: Instant) {
        self.senseless += 1;
        self.said = Some(error);
        self.rest(now);
    }

    /// Takes note that nothing came though there is more, as it may once if the server looks for what there is before it
    /// reads.
    pub(super) fn on_withheld(&mut self, error: Error, now: Instant) {
        self.withheld += 1;
        self.said = Some(error);
        if self.withheld > 1 {
            self.rest(now);
        }
    }

    /// Whether an answer without records leaves out some that there are.
    pub(super) fn is_owed(&self, high_watermark: Option<Offset>) -> bool {
        let more = high_watermark.max(self.stop);
        self.next.is_some() && self.next < more
    }

    /// Why it cannot be read, for good or for longer than may pass unnoticed.
    pub(super) fn trouble(&self) -> Option<&Error> {
        let lasting = self.said.as_ref().filter(|_| self.senseless > BRIEF_ATTEMPTS);
        self.error.as_ref().or(lasting)
    }

    /// Whether it has come to where it is to stop, or can come no nearer.
    pub(super) fn has_stopped(&self) -> bool {
        let has_come = |stop| self.ended || self.next.is_some_and(|next| next >= stop);
        self.stop.is_some_and(has_come)
    }

    pub(super) fn rest(&mut self, now: Instant) {
        Pause::extend(&mut self.pause, now, &self.random);
    }

    /// Steps over a batch, and returns it with the first wanted offset if any of it is wanted.
    pub(super) fn advance(&mut self, batch: LogBatch) -> Option<(LogBatch, Offset)> {
        let from = self.next.unwrap_or(batch.base_offset());
        if batch.next_offset() <= from {
            return None;
        }
        self.next = Some(batch.next_offset());
        let is_wanted = self.stop.is_none_or(|stop| batch.base_offset() < stop);
        (is_wanted && batch.record_count() > 0).then_some((batch, from))
    }

    /// Whether the leader is to be looked for.
    pub(super) fn on_refusal(&mut self, code: ErrorCode, error: Error, now: Instant) -> bool {
        let retry = match code {
            ErrorCode::FENCED_LEADER_EPOCH => Retry::RefreshMetadata,
            // A server that has just come up may not know yet how far its log reaches.
            ErrorCode::LOG_OFFSET_OUT_OF_RANGE if self.taken.is_some() && self.taken == self.next => {
                Retry::Briefly
            }
            code => retry_at_leader(code),
        };
        match retry {
            Retry::No => {
                self.error = Some(error);
                return false;
            }
            Retry::Briefly => self.on_senseless(error, now),
            Retry::RefreshMetadata | Retry::Yes | Retry::Authenticate => {
                self.said = Some(error);
                self.rest(now);
            }
        }
        matches!(retry, Retry::Briefly | Retry::RefreshMetadata)
    }

    /// How often in a row it was asked for in vain.
    pub(super) fn attempts(&self) -> u32 {
        self.pause.as_ref().map_or(0, |pause| pause.count)
    }
}
