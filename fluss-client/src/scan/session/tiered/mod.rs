//! What is read in remote storage: which stretch of which file next, and what came of it.

use std::sync::Arc;

use bytes::Bytes;
use fluss_rpc::proto::PbRemoteLogFetchInfo;
use tokio::time::Instant;

use super::super::arrivals::Arrival;
use super::super::tiered::{HeldBatch, Hold, Segment, Stretch, Tiered};
use super::subscription::Subscription;
use super::{AHEAD, Session, Wanted};
use crate::error::Context;
use crate::error::StorageError;
use fluss_core::id::{Offset, TableBucket};

#[cfg(test)]
mod tests;

/// A stretch of a file to download.
#[derive(Debug)]
pub(in crate::scan) struct Download {
    pub(in crate::scan) stretch: Stretch,
    pub(in crate::scan) bucket: TableBucket,
    subscription: u64,
    number: u64,
    /// Counts its bytes from now on.
    hold: Hold,
}

impl Session {
    /// Goes on in remote storage, as an answer says.
    pub(super) fn begin_tiered(&mut self, wanted: &Wanted, info: &PbRemoteLogFetchInfo, context: Context) {
        let (stretch_bytes, held) = (self.remote.stretch_bytes(), self.held.clone());
        let Some(subscription) = self
            .subscription(wanted)
            .filter(|subscription| !subscription.ended)
        else {
            return;
        };
        match Tiered::new(info, subscription.next, stretch_bytes, held) {
            Ok(mut tiered) => {
                if let Some(stop) = subscription.stop {
                    tiered.stop_at(stop);
                }
                subscription.tiered = Some(tiered);
            }
            Err(error) => subscription.error = Some(context.error(error)),
        }
        // After trouble the clock runs on until something arrives: an answer alone helps nobody.
        if !subscription.has_failed_download() {
            subscription.progress();
        }
    }

    /// The downloads to begin now: in turn for the buckets that read in remote storage, so many at a time and so far
    /// ahead of the consumer as the options allow.
    pub(in crate::scan) fn downloads(&mut self, now: Instant) -> Vec<Download> {
        self.unpack_all();
        let buckets = self.tiered_in_turn();
        let mut downloads = Vec::new();
        loop {
            let before = downloads.len();
            downloads.extend(buckets.iter().filter_map(|bucket| self.download(*bucket, now)));
            if downloads.len() == before {
                return downloads;
            }
        }
    }

    fn download(&mut self, bucket: TableBucket, now: Instant) -> Option<Download> {
        let subscription = self.buckets.get(&bucket)?;
        let tiered = subscription.tiered.as_ref()?;
        let stretch = tiered.wanted().filter(|_| subscription.is_rested(now))?;
        if self.downloading >= self.remote.read_concurrency || !self.has_room(stretch.len()) {
            return None;
        }
        self.downloading += 1;
        self.last_download += 1;
        let (number, hold) = (self.last_download, self.held.hold(stretch.len()));
        let subscription = self.buckets.get_mut(&bucket)?;
        subscription.stalled.get_or_insert((now, None));
        subscription.tiered.as_mut()?.ask(number);
        Some(Download {
            stretch,
            bucket,
            subscription: subscription.id,
            number,
            hold,
        })
    }

    /// Whether so many bytes may be held besides. When nothing else would move, they may be whatever the limit: all
    /// that is held are beginnings of batches, and their ends have to come.
    fn has_room(&self, bytes: usize) -> bool {
        let fits = self.held.bytes().saturating_add(bytes) <= self.remote.prefetch_bytes;
        fits || (self.downloading == 0 && self.arrivals.bytes() == 0)
    }

    /// Takes what came of a download.
    pub(in crate::scan) fn on_download(
        &mut self,
        download: Download,
        outcome: Result<Bytes, StorageError>,
        now: Instant,
    ) {
        self.downloading = self.downloading.saturating_sub(1);
        let bucket = download.bucket;
        let subscription = self.buckets.get_mut(&bucket);
        if let Some(subscription) = subscription.filter(|other| other.id == download.subscription) {
            match outcome {
                Ok(bytes) => subscription.on_piece(download, bytes, now),
                Err(error) => subscription.on_failed_download(&download, error, now),
            }
        }
        self.unpack(bucket);
    }

    pub(super) fn unpack_all(&mut self) {
        for bucket in self.tiered_in_turn() {
            self.unpack(bucket);
        }
    }

    /// The buckets that read in remote storage, each time from another one on.
    fn tiered_in_turn(&mut self) -> Vec<TableBucket> {
        let buckets = self.buckets.iter();
        let tiered = buckets.filter(|(_, subscription)| subscription.tiered.is_some());
        let mut buckets: Vec<_> = tiered.map(|(bucket, _)| *bucket).collect();
        if !buckets.is_empty() {
            self.turn = self.turn.wrapping_add(1);
            let first = self.turn % buckets.len();
            buckets.rotate_left(first);
        }
        buckets
    }

    /// Hands batches of a bucket to the consumer as far as there is room for them.
    pub(super) fn unpack(&mut self, bucket: TableBucket) {
        let most = AHEAD * self.options.fetch_max_bytes_per_bucket;
        let Some(subscription) = self.buckets.get_mut(&bucket) else {
            return;
        };
        while self.arrivals.bytes() < self.options.fetch_max_bytes && subscription.fetched_bytes < most {
            let Some(arrival) = subscription.next_tiered(bucket) else {
                return;
            };
            subscription.fetched_bytes += arrival.batch.len();
            self.arrivals.push(arrival);
        }
    }
}

impl Subscription {
    /// What a download is for, if it still is for anything.
    fn awaiting(&mut self, number: u64) -> Option<&mut Tiered> {
        self.tiered.as_mut().filter(|tiered| tiered.awaits(number))
    }

    fn on_piece(&mut self, download: Download, bytes: Bytes, now: Instant) {
        let Some(tiered) = self.awaiting(download.number) else {
            return;
        };
        tiered.arrive(download.number, bytes, download.hold);
        let (goes_on, awaits_more) = (tiered.can_go_on(), tiered.awaits_any());
        // What is behind something that does not come helps nobody.
        if goes_on {
            self.progress();
            self.stalled = awaits_more.then_some((now, None));
        }
    }

    /// What is not there (any more) is left to the server to tell anew; other trouble may pass.
    fn on_failed_download(&mut self, download: &Download, error: StorageError, now: Instant) {
        let context = self.context(download.bucket);
        let Some(tiered) = self.awaiting(download.number) else {
            return;
        };
        let is_retriable = error.is_retriable();
        if is_retriable && !matches!(error, StorageError::NotFound { .. }) {
            tiered.fail(download.number);
        } else {
            tiered.end_before(download.number);
        }
        let error = context.error(error);
        if !is_retriable {
            self.error = Some(error);
            return;
        }
        self.said = Some(error);
        if self.is_rested(now) {
            self.rest(now);
        }
    }

    /// The next wanted batch of what has been downloaded. When all is read, the log goes on at a server.
    fn next_tiered(&mut self, bucket: TableBucket) -> Option<Arrival> {
        loop {
            if self.stop.is_some_and(|stop| self.next >= Some(stop)) {
                // What is still on its way is not wanted any more.
                self.tiered = None;
                self.stalled = None;
            }
            match self.tiered.as_mut()?.next_batch() {
                Ok(Some((held, segment))) => {
                    if let Some(arrival) = self.wanted_of(bucket, held, segment) {
                        return Some(arrival);
                    }
                }
                Ok(None) => {
                    self.leave_tiered();
                    return None;
                }
                Err(error) => {
                    self.error = Some(self.context(bucket).error(error));
                    self.tiered = None;
                    return None;
                }
            }
        }
    }

    fn wanted_of(&mut self, bucket: TableBucket, held: HeldBatch, segment: Arc<Segment>) -> Option<Arrival> {
        let (batch, from) = self.advance(held.batch)?;
        Some(Arrival {
            bucket,
            subscription: self.id,
            batch,
            from,
            to: self.stop.unwrap_or(Offset::MAX),
            projected: false,
            segment: Some(segment),
            hold: Some(held.hold),
        })
    }

    fn leave_tiered(&mut self) {
        let Some(tiered) = self.tiered.as_ref().filter(|tiered| tiered.is_read()) else {
            return;
        };
        self.next = self.next.max(tiered.end());
        self.tiered = None;
        self.behind = true;
    }
}
