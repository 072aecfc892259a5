//! What to fetch next, and what an answer means.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto::{PbFetchLogRespForBucket, PbRemoteLogFetchInfo};
use tokio::time::Instant;

use super::super::arrivals::Arrival;
use super::subscription::Columns;
use super::wanted::Wanted;
use super::{AHEAD, Session};
use crate::error::{Context, Error, ErrorKind};
use fluss_core::DecodeError;
use fluss_core::id::{Offset, TableBucket};
use fluss_core::record::log::{LogBatch, LogBatches};

/// A fetch to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::scan) struct Fetch {
    pub(in crate::scan) server: ServerAddress,
    /// Whether the server is to wait for records. Buckets that are behind never share a fetch with those that have
    /// to wait for news.
    pub(in crate::scan) waits: bool,
    /// Whether no more columns are fetched than are asked for.
    pub(in crate::scan) projected: bool,
    pub(in crate::scan) buckets: Vec<Wanted>,
}

impl Session {
    /// The fetches to send now, and the buckets that no server is known to lead. A server that is `busy` with fetches
    /// that wait, or that do not, gets no more of them.
    pub(in crate::scan) fn fetches(
        &mut self,
        now: Instant,
        leader: impl Fn(&TableBucket) -> Option<ServerAddress>,
        busy: impl Fn(&ServerAddress, bool) -> bool,
    ) -> (Vec<Fetch>, Vec<TableBucket>) {
        let (mut fetches, mut lost) = (Vec::new(), Vec::new());
        if self.arrivals.bytes() >= self.options.fetch_max_bytes {
            return (fetches, lost);
        }
        let ahead = AHEAD * self.options.fetch_max_bytes_per_bucket;
        for bucket in self.in_turn() {
            let subscription = self.buckets.get_mut(&bucket);
            let Some(subscription) = subscription.filter(|other| other.is_due(now, ahead)) else {
                continue;
            };
            let server = leader(&bucket);
            subscription.stalled.get_or_insert((now, server.clone()));
            let Some(server) = server else {
                lost.push(bucket);
                continue;
            };
            let waits = !subscription.behind;
            if !busy(&server, waits) {
                let wanted = subscription.ask(bucket, &server);
                add(&mut fetches, server, waits, wanted);
            }
        }
        (fetches, lost)
    }

    /// Lets the buckets rest whose leader was looked for and not found.
    pub(in crate::scan) fn rest_lost(
        &mut self,
        now: Instant,
        is_led: impl Fn(&TableBucket) -> bool,
        timeout: Duration,
    ) {
        for (bucket, subscription) in &mut self.buckets {
            if !subscription.in_flight && !subscription.ended && !is_led(bucket) {
                let error = subscription.context(*bucket).error(ErrorKind::NoLeader(timeout));
                subscription.said.get_or_insert(error);
                subscription.rest(now);
            }
        }
    }

    /// Lets buckets rest whose server answers at once that there is nothing, though it is to wait for news.
    pub(in crate::scan) fn rest_idle(&mut self, wanted: &[Wanted], now: Instant) {
        for wanted in wanted {
            if let Some(subscription) = self.subscription(wanted) {
                subscription.rest(now);
            }
        }
    }

    fn in_turn(&mut self) -> Vec<TableBucket> {
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % self.buckets.len().max(1);
        self.buckets
            .keys()
            .skip(first)
            .chain(self.buckets.keys().take(first))
            .copied()
            .collect()
    }

    /// Takes the answer for one bucket. Returns whether its leader is to be looked for.
    pub(in crate::scan) fn on_answer(
        &mut self,
        wanted: &Wanted,
        answer: Option<PbFetchLogRespForBucket>,
        server: &ServerAddress,
        now: Instant,
    ) -> bool {
        // What follows a batch that cannot be decoded is not wanted.
        let subscription = self.subscription(wanted);
        let Some(subscription) = subscription.filter(|subscription| subscription.error.is_none()) else {
            return false;
        };
        let context = subscription.context(wanted.bucket).server(server);
        subscription.in_flight = false;
        if let Some(info) = remote_info(answer.as_ref()) {
            self.begin_tiered(wanted, info, context);
            return false;
        }
        let Some(answer) = answer else {
            subscription.on_senseless(context.error(senseless("the bucket is missing")), now);
            return true;
        };
        if let Some(code) = ErrorCode::of(answer.error_code) {
            if wanted.projected && code == ErrorCode::INVALID_COLUMN_PROJECTION {
                // There are batches of a schema that lacks some of the columns: they come whole (`behaviour.md` §4.3).
                subscription.columns = Columns::All;
                return false;
            }
            let error = context.error(ErrorKind::server(code, answer.error_message));
            return subscription.on_refusal(code, error, now);
        }
        self.on_records(wanted, answer, &context, now);
        false
    }

    fn on_records(
        &mut self,
        wanted: &Wanted,
        answer: PbFetchLogRespForBucket,
        context: &Context,
        now: Instant,
    ) {
        let records = answer.records.unwrap_or_default();
        let before = self.next_of(wanted);
        // An answer without records was at the end, whatever the server knows to be behind it.
        let has_records = !records.is_empty();
        self.take(wanted, records, context);
        let Some(subscription) = self.subscription(wanted) else {
            return;
        };
        // Unless it has left them out.
        let filtered = answer.filtered_end_offset.min(answer.high_watermark);
        let has_filtered = filtered > subscription.next.max(Some(0));
        if has_filtered {
            subscription.next = filtered;
        }
        let more = has_records || has_filtered;
        if !more && subscription.next.is_none() {
            subscription.next = answer.log_start_offset.filter(|start| *start >= 0);
        }
        subscription.behind = more && subscription.next < answer.high_watermark;
        let from = subscription.next.unwrap_or_default();
        if more && subscription.next == before {
            let reason =
                format!("none of the batches reaches offset {from}, from which on they were asked for");
            subscription.on_senseless(context.clone().error(senseless(reason)), now);
        } else if !more && subscription.is_owed(answer.high_watermark) {
            let to = answer.high_watermark.max(subscription.stop).unwrap_or_default();
            let reason = format!("it has no records from offset {from} on, though there are some up to {to}");
            subscription.on_withheld(context.clone().error(senseless(reason)), now);
        } else {
            subscription.progress();
        }
    }

    fn next_of(&mut self, wanted: &Wanted) -> Option<Offset> {
        self.subscription(wanted)?.next
    }

    fn take(&mut self, wanted: &Wanted, records: Bytes, context: &Context) {
        let Some(subscription) = self.buckets.get_mut(&wanted.bucket) else {
            return;
        };
        let to = subscription.stop.unwrap_or(Offset::MAX);
        let mut schemas = BTreeSet::new();
        for batch in LogBatches::new(records) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => {
                    let error: DecodeError = error;
                    subscription.error = Some(context.clone().error(error));
                    return;
                }
            };
            schemas.insert(batch.schema_id());
            if let Some((batch, from)) = subscription.advance(batch) {
                subscription.fetched_bytes += batch.len();
                self.arrivals.push(wanted.arrival(batch, from..to));
            }
        }
        // Once all that came had the columns that are asked for, it is tried again to fetch no others.
        let mut schemas = schemas.iter().peekable();
        if schemas.peek().is_some() && schemas.all(|schema| self.arrivals.has_columns(*schema)) {
            subscription.columns = Columns::Asked;
        }
    }

    /// Takes note that a fetch got no answer: it will be tried again after a pause.
    pub(in crate::scan) fn on_failure(&mut self, wanted: &[Wanted], error: &Error, now: Instant) {
        for wanted in wanted {
            if let Some(subscription) = self.subscription(wanted) {
                subscription.in_flight = false;
                if error.is_worth_another(ErrorCode::retry, subscription.attempts()) {
                    // Who cannot be reached has said nothing.
                    if error.code().is_some() {
                        let context = subscription.context(wanted.bucket);
                        subscription.said = Some(error.clone().within(context));
                    }
                    subscription.rest(now);
                } else {
                    subscription.error = Some(error.clone());
                }
            }
        }
    }
}

impl Wanted {
    const fn arrival(&self, batch: LogBatch, wanted: Range<Offset>) -> Arrival {
        Arrival {
            bucket: self.bucket,
            subscription: self.subscription,
            batch,
            from: wanted.start,
            to: wanted.end,
            projected: self.projected,
            segment: None,
            hold: None,
        }
    }
}

/// Adds a bucket to the fetch that it can share, or to a new one.
fn add(fetches: &mut Vec<Fetch>, server: ServerAddress, waits: bool, wanted: Wanted) {
    let kind = (&server, waits, wanted.projected);
    let mut alike = fetches.iter_mut();
    match alike.find(|fetch| (&fetch.server, fetch.waits, fetch.projected) == kind) {
        Some(fetch) => fetch.buckets.push(wanted),
        None => fetches.push(Fetch {
            server,
            waits,
            projected: wanted.projected,
            buckets: vec![wanted],
        }),
    }
}

/// An answer to a fetch that makes no sense.
fn senseless(reason: impl Into<String>) -> DecodeError {
    DecodeError::new("answer to a fetch", reason)
}

/// What an answer says of records that are in remote storage.
fn remote_info(answer: Option<&PbFetchLogRespForBucket>) -> Option<&PbRemoteLogFetchInfo> {
    let answer = answer.filter(|answer| ErrorCode::of(answer.error_code).is_none());
    answer?.remote_log_fetch_info.as_ref()
}
