//! What a scanner is subscribed to, where it stands, and what has been fetched.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use fluss_rpc::code::{ErrorCode, Retry};
use fluss_rpc::net::ServerAddress;
use fluss_rpc::proto::PbFetchLogRespForBucket;
use tokio::time::Instant;

use super::arrivals::{Arrival, Arrivals, Fetched};
use super::decode::Forms;
use crate::client::error::{Context, Error, ErrorKind};
use crate::client::options::ScannerOptions;
use crate::client::retry;
use crate::error::DecodeError;
use crate::id::{Offset, PartitionId, SchemaId, TableBucket};
use crate::record::log::{Generation, LogBatch, LogBatches};
use crate::types::PhysicalTablePath;

/// The wire's word for the first record that is still there (`messages.md` 1015).
const EARLIEST: Offset = -2;

/// How many full answers of a bucket may wait for the consumer.
const AHEAD: usize = 2;

/// What a scanner is subscribed to, where it stands, and what has been fetched.
pub(super) struct Session {
    options: ScannerOptions,
    buckets: BTreeMap<TableBucket, Subscription>,
    arrivals: Arrivals,
    /// The fewest columns that are enough.
    columns: Columns,
    last_subscription: u64,
    /// The partitions that are known, if those to come are to be read too.
    followed: Option<BTreeSet<PartitionId>>,
    /// Why nobody knows whether there are new partitions, or what a schema is, until it is told.
    trouble: Option<Error>,
    /// Between attempts to get schemas.
    schema_pause: Option<Pause>,
    /// Moves which bucket is asked for first: only that one is sure to get a batch that exceeds the limits.
    turn: usize,
}

/// The columns that batches are fetched with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    All,
    /// Those that are asked for: not while there are batches that lack some of them.
    Asked,
}

/// A bucket that is read.
struct Subscription {
    /// Tells answers to an earlier subscription of the bucket apart.
    id: u64,
    table: PhysicalTablePath,
    /// Whether the partition was dropped: nothing follows what is fetched.
    ended: bool,
    /// From where to fetch; nothing for the first record that is still there.
    next: Option<Offset>,
    /// Records from this offset on are not wanted.
    stop: Option<Offset>,
    in_flight: bool,
    columns: Columns,
    /// Whether the server is believed to have more: not since an answer that reached the end of the log.
    behind: bool,
    fetched_bytes: usize,
    pause: Option<Pause>,
    /// Since when the bucket is asked for without any answer, and where.
    unanswered: Option<(Instant, Option<ServerAddress>)>,
    error: Option<Error>,
}

struct Pause {
    until: Instant,
    lengths: Box<dyn Iterator<Item = Duration> + Send>,
}

/// A fetch to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fetch {
    pub(super) server: ServerAddress,
    /// Whether the server is to wait for records. Buckets that are behind never share a fetch with those that have
    /// to wait for news.
    pub(super) waits: bool,
    /// Whether no more columns are fetched than are asked for.
    pub(super) projected: bool,
    pub(super) buckets: Vec<Wanted>,
}

/// One bucket of a fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wanted {
    pub(super) bucket: TableBucket,
    pub(super) subscription: u64,
    pub(super) offset: Offset,
    pub(super) projected: bool,
}

impl Session {
    /// Begins with the schema that the table had when it was asked for.
    pub(super) fn new(options: ScannerOptions, (schema, forms): (SchemaId, Forms)) -> Self {
        let columns = match forms.projected {
            Some(_) => Columns::Asked,
            None => Columns::All,
        };
        let mut arrivals = Arrivals::default();
        arrivals.learn(schema, forms);
        Self {
            options,
            buckets: BTreeMap::new(),
            arrivals,
            columns,
            last_subscription: 0,
            followed: None,
            trouble: None,
            schema_pause: None,
            turn: 0,
        }
    }

    /// Reads a bucket from an offset on, or from the first record that is still there. What was fetched for an
    /// earlier subscription of the bucket is dropped.
    pub(super) fn subscribe(&mut self, bucket: TableBucket, table: PhysicalTablePath, next: Option<Offset>) {
        self.unsubscribe(bucket);
        self.last_subscription += 1;
        let subscription = Subscription {
            id: self.last_subscription,
            table,
            ended: false,
            next,
            stop: None,
            in_flight: false,
            columns: self.columns,
            behind: true,
            fetched_bytes: 0,
            pause: None,
            unanswered: None,
            error: None,
        };
        self.buckets.insert(bucket, subscription);
    }

    /// Reads a bucket that is read no further than to this offset.
    pub(super) fn stop_at(&mut self, bucket: &TableBucket, offset: Offset) {
        if let Some(subscription) = self.buckets.get_mut(bucket) {
            subscription.stop = Some(offset);
        }
    }

    /// Whether nothing more will come, for all buckets have come to where they are to stop.
    pub(super) fn has_stopped(&self) -> bool {
        let has_stopped = self.buckets.values().all(Subscription::has_stopped);
        !self.buckets.is_empty() && has_stopped && self.arrivals.bytes() == 0
    }

    /// Whether the bucket is one of a dropped partition, which was not read up to its stop before.
    pub(super) fn was_dropped(&self, bucket: &TableBucket) -> bool {
        let subscription = self.buckets.get(bucket);
        subscription.is_some_and(|subscription| subscription.ended && subscription.next < subscription.stop)
    }

    /// Reads the partitions to come as well, or those no more. The known ones are not to come.
    pub(super) fn follow(&mut self, known: Option<BTreeSet<PartitionId>>) {
        self.followed = known;
    }

    /// The partitions that are known, if those to come are read too.
    pub(super) fn followed(&self) -> Option<&BTreeSet<PartitionId>> {
        self.followed.as_ref()
    }

    /// Those of the partitions that are to be read and were not known. From now on they are.
    pub(super) fn discover(&mut self, partitions: impl Iterator<Item = PartitionId>) -> Vec<PartitionId> {
        match &mut self.followed {
            Some(known) => partitions.filter(|partition| known.insert(*partition)).collect(),
            None => Vec::new(),
        }
    }

    /// Where each bucket stands: at the first record that was not handed over. Nothing stands for the first that is
    /// still there.
    pub(super) fn positions(&self) -> BTreeMap<TableBucket, Option<Offset>> {
        let next = |(bucket, subscription): (&TableBucket, &Subscription)| (*bucket, subscription.next);
        let mut positions: BTreeMap<_, _> = self.buckets.iter().map(next).collect();
        let waiting = self.arrivals.starts();
        positions.extend(waiting.into_iter().map(|(bucket, from)| (bucket, Some(from))));
        positions
    }

    /// Reads nothing any more.
    pub(super) fn clear(&mut self) {
        for subscription in std::mem::take(&mut self.buckets).into_values() {
            self.arrivals.forget(subscription.id);
        }
        self.followed = None;
    }

    pub(super) fn unsubscribe(&mut self, bucket: TableBucket) {
        if let Some(subscription) = self.buckets.remove(&bucket) {
            self.arrivals.forget(subscription.id);
        }
    }

    /// Reads no further in partitions that were dropped. What was fetched of them is still handed over.
    pub(super) fn end(&mut self, is_gone: impl Fn(&TableBucket) -> bool) {
        for (_, subscription) in self.buckets.iter_mut().filter(|(bucket, _)| is_gone(bucket)) {
            subscription.ended = true;
            subscription.unanswered = None;
            subscription.pause = None;
        }
    }

    /// Takes note that it could not be found out whether there are new partitions.
    pub(super) fn undiscovered(&mut self, error: Error) {
        self.trouble = Some(error);
    }

    /// The schemas to ask for now: batches wait until they are known.
    pub(super) fn unknown_schemas(&self, now: Instant) -> BTreeSet<SchemaId> {
        match &self.schema_pause {
            Some(pause) if now < pause.until => BTreeSet::new(),
            _ => self.arrivals.unknown(),
        }
    }

    /// Takes note of how batches are laid out that were written under a schema.
    pub(super) fn learn(&mut self, schema: SchemaId, forms: Forms) {
        self.schema_pause = None;
        self.arrivals.learn(schema, forms);
    }

    /// Takes note that a schema is not to be had. If that can change it is asked for again after a pause; the buckets
    /// that need it are read no further otherwise.
    pub(super) fn unlearned(&mut self, schema: SchemaId, error: &Error, now: Instant) {
        if error.is_retriable() {
            Pause::extend(&mut self.schema_pause, now);
            self.trouble = Some(error.clone());
            return;
        }
        let stuck: Vec<_> = self.arrivals.waiting_for(schema).collect();
        for (bucket, subscription) in &mut self.buckets {
            if stuck.contains(&subscription.id) {
                let context = subscription.context(*bucket).schema(schema);
                subscription.error = Some(error.clone().within(context));
                subscription.next = self.arrivals.give_up(subscription.id).or(subscription.next);
            }
        }
    }

    /// The partitions and buckets that are read.
    pub(super) fn subscribed(&self) -> impl Iterator<Item = &TableBucket> {
        self.buckets.keys()
    }

    /// The subscription of a bucket that is read.
    pub(super) fn subscription_id(&self, bucket: &TableBucket) -> Option<u64> {
        self.buckets.get(bucket).map(|subscription| subscription.id)
    }

    /// Whether something waits for the consumer.
    pub(super) fn has_fetched(&self) -> bool {
        self.arrivals.is_ready()
    }

    /// Reads a bucket no further, because a batch of it cannot be decoded. There it stands from now on.
    pub(super) fn refuse(&mut self, fetched: &Fetched, error: Error) {
        let subscription = self.buckets.get_mut(&fetched.bucket);
        if let Some(subscription) =
            subscription.filter(|subscription| subscription.id == fetched.subscription)
        {
            subscription.error = Some(error);
            subscription.next = Some(fetched.from);
        }
        self.arrivals.forget(fetched.subscription);
    }

    /// The fetches to send now, and the buckets that no server is known to lead. A server that is `busy` with fetches
    /// that wait, or that do not, gets no more of them.
    pub(super) fn fetches(
        &mut self,
        now: Instant,
        leader: impl Fn(&TableBucket) -> Option<ServerAddress>,
        busy: impl Fn(&ServerAddress, bool) -> bool,
    ) -> (Vec<Fetch>, Vec<TableBucket>) {
        let mut fetches: Vec<Fetch> = Vec::new();
        let mut lost = Vec::new();
        if self.arrivals.bytes() >= self.options.fetch_max_bytes {
            return (fetches, lost);
        }
        for bucket in self.in_turn() {
            let Some(subscription) = self.buckets.get_mut(&bucket) else {
                continue;
            };
            if !subscription.is_due(now, AHEAD * self.options.fetch_max_bytes_per_bucket) {
                continue;
            }
            let server = leader(&bucket);
            subscription.unanswered.get_or_insert((now, server.clone()));
            let Some(server) = server else {
                lost.push(bucket);
                continue;
            };
            let waits = !subscription.behind;
            if busy(&server, waits) {
                continue;
            }
            subscription.in_flight = true;
            subscription.unanswered = subscription
                .unanswered
                .take()
                .map(|(since, _)| (since, Some(server.clone())));
            let offset = subscription.next.unwrap_or(EARLIEST);
            let wanted = Wanted {
                bucket,
                subscription: subscription.id,
                offset,
                projected: subscription.columns == Columns::Asked,
            };
            let same = |fetch: &&mut Fetch| {
                (&fetch.server, fetch.waits, fetch.projected) == (&server, waits, wanted.projected)
            };
            match fetches.iter_mut().find(same) {
                Some(fetch) => fetch.buckets.push(wanted),
                None => fetches.push(Fetch {
                    server,
                    waits,
                    projected: wanted.projected,
                    buckets: vec![wanted],
                }),
            }
        }
        (fetches, lost)
    }

    /// Lets the buckets rest whose leader was looked for and not found.
    pub(super) fn rest_lost(&mut self, now: Instant, is_led: impl Fn(&TableBucket) -> bool) {
        for (bucket, subscription) in &mut self.buckets {
            if !subscription.in_flight && !subscription.ended && !is_led(bucket) {
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
    pub(super) fn on_answer(
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
        subscription.unanswered = None;
        let Some(answer) = answer else {
            subscription.rest(now);
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
        subscription.pause = None;
        if answer.remote_log_fetch_info.is_some() {
            let reason = "the records are in the cluster's remote storage, which this client cannot read yet";
            subscription.error = Some(context.error(ErrorKind::InvalidArgument(reason.to_owned())));
            return false;
        }
        let records = answer.records.unwrap_or_default();
        // An answer without records was at the end, whatever the server knows to be behind it.
        let more = !records.is_empty();
        self.take(wanted, records, &context);
        if let Some(subscription) = self.subscription(wanted) {
            if !more && subscription.next.is_none() {
                subscription.next = answer.log_start_offset.filter(|start| *start >= 0);
            }
            subscription.behind = more && subscription.next < answer.high_watermark;
        }
        false
    }

    fn take(&mut self, wanted: &Wanted, records: bytes::Bytes, context: &Context) {
        let Some(subscription) = self.buckets.get_mut(&wanted.bucket) else {
            return;
        };
        let to = subscription.stop.unwrap_or(Offset::MAX);
        let mut schemas = BTreeSet::new();
        for batch in LogBatches::new(records, Generation::V0_9) {
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
    pub(super) fn on_failure(&mut self, wanted: &[Wanted], error: &Error, now: Instant) {
        for wanted in wanted {
            if let Some(subscription) = self.subscription(wanted) {
                subscription.in_flight = false;
                if error.is_retriable() {
                    subscription.rest(now);
                } else {
                    subscription.error = Some(error.clone());
                }
            }
        }
    }

    /// All batches that wait for the consumer.
    pub(super) fn take_fetched(&mut self) -> VecDeque<Fetched> {
        std::iter::from_fn(|| self.next_fetched()).collect()
    }

    /// The next batch for the consumer.
    pub(super) fn next_fetched(&mut self) -> Option<Fetched> {
        let fetched = self.arrivals.pop()?;
        if let Some(subscription) = self.buckets.get_mut(&fetched.bucket) {
            subscription.fetched_bytes = subscription.fetched_bytes.saturating_sub(fetched.batch.len());
        }
        Some(fetched)
    }

    /// What a poll has to raise: a bucket that cannot be read, or one that nobody has answered for since `timeout`.
    /// The latter is raised once for each such span of time, while the attempts go on.
    pub(super) fn error(&mut self, now: Instant, timeout: Duration) -> Option<Error> {
        if let Some(error) = self.trouble.take() {
            return Some(error);
        }
        for (bucket, subscription) in &mut self.buckets {
            if let Some(error) = &subscription.error {
                return Some(error.clone());
            }
            let mut context = subscription.context(*bucket);
            if let Some((since, server)) = &mut subscription.unanswered
                && now >= *since + timeout
            {
                *since = now;
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
    pub(super) fn next_wake(&self, now: Instant) -> Option<Instant> {
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
    pub(super) fn next_timeout(&self, timeout: Duration) -> Option<Instant> {
        let unanswered = self
            .buckets
            .values()
            .filter_map(|subscription| subscription.unanswered.as_ref());
        unanswered.map(|(since, _)| *since + timeout).min()
    }

    fn subscription(&mut self, wanted: &Wanted) -> Option<&mut Subscription> {
        self.buckets
            .get_mut(&wanted.bucket)
            .filter(|subscription| subscription.id == wanted.subscription)
    }
}

impl Pause {
    /// Begins a pause, longer than the one before.
    fn extend(pause: &mut Option<Self>, now: Instant) {
        let pause = pause.get_or_insert_with(|| Self {
            until: now,
            lengths: Box::new(retry::pauses()),
        });
        pause.until = now + pause.lengths.next().unwrap_or_default();
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
        }
    }
}

impl Subscription {
    fn context(&self, bucket: TableBucket) -> Context {
        Context::new("poll").physical(&self.table).bucket(bucket.bucket)
    }

    fn is_due(&self, now: Instant, max_bytes: usize) -> bool {
        let rested = self.pause.as_ref().is_none_or(|pause| pause.until <= now);
        let is_wanted = !self.ended && !self.has_stopped() && self.error.is_none();
        !self.in_flight && is_wanted && rested && self.fetched_bytes < max_bytes
    }

    /// Whether it has come to where it is to stop, or can come no nearer.
    fn has_stopped(&self) -> bool {
        let has_come = |stop| self.ended || self.next.is_some_and(|next| next >= stop);
        self.stop.is_some_and(has_come)
    }

    fn rest(&mut self, now: Instant) {
        Pause::extend(&mut self.pause, now);
    }

    /// Steps over a batch, and returns it with the first wanted offset if any of it is wanted.
    fn advance(&mut self, batch: LogBatch) -> Option<(LogBatch, Offset)> {
        let from = self.next.unwrap_or(batch.base_offset());
        if batch.next_offset() <= from {
            return None;
        }
        self.next = Some(batch.next_offset());
        let is_wanted = self.stop.is_none_or(|stop| batch.base_offset() < stop);
        (is_wanted && batch.record_count() > 0).then_some((batch, from))
    }

    /// Whether the leader is to be looked for.
    fn on_refusal(&mut self, code: ErrorCode, error: Error, now: Instant) -> bool {
        if !code.is_retriable() && code != ErrorCode::FENCED_LEADER_EPOCH {
            self.error = Some(error);
            return false;
        }
        tracing::debug!(%error, "fetch refused");
        self.rest(now);
        code.retry() == Retry::RefreshMetadata || code == ErrorCode::FENCED_LEADER_EPOCH
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::tests::decoder;
    use super::*;
    use crate::id::{BucketId, TableId};
    use crate::record::log::{ChangeType, RowsBuilder};
    use crate::row::RowFormat;
    use crate::types::{DataType, Datum, Field, RowType, TablePath};

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn session() -> Session {
        let decoder = decoder(SchemaId(1), None, "COMPACTED");
        Session::new(ScannerOptions::default(), decoder.own_forms())
    }

    fn bucket(number: i32) -> TableBucket {
        TableBucket::new(TableId(1), BucketId(number))
    }

    fn table() -> PhysicalTablePath {
        TablePath::new("d", "t").into()
    }

    fn server() -> ServerAddress {
        ServerAddress {
            host: "h".to_owned(),
            port: 1,
        }
    }

    /// What there is to ask the one server for.
    fn ask(session: &mut Session, now: Instant) -> Vec<Wanted> {
        let (fetches, lost) = session.fetches(now, |_| Some(server()), |_, _| false);
        assert!(lost.is_empty());
        fetches.into_iter().flat_map(|fetch| fetch.buckets).collect()
    }

    /// An answer with one batch of three rows.
    fn three_rows() -> PbFetchLogRespForBucket {
        let row_type = RowType::new([Field::new("a", DataType::int())]);
        let mut rows = RowsBuilder::new(RowFormat::Compacted, SchemaId(1), true);
        for value in 0..3 {
            rows.append(&row_type, ChangeType::AppendOnly, &[Datum::Int(value)])
                .unwrap();
        }
        let records = rows.finish().unwrap().seal(None);
        PbFetchLogRespForBucket {
            records: Some(records),
            high_watermark: Some(3),
            ..Default::default()
        }
    }

    fn refusal(code: ErrorCode) -> PbFetchLogRespForBucket {
        PbFetchLogRespForBucket {
            error_code: Some(code.number()),
            ..Default::default()
        }
    }

    #[test]
    fn the_next_fetch_begins_where_the_last_ended() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), None);
        let wanted = ask(&mut session, now);
        assert_eq!(wanted[0].offset, EARLIEST);
        assert!(ask(&mut session, now).is_empty(), "one fetch at a time");
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
        assert_eq!(ask(&mut session, now)[0].offset, 3);
        let fetched = session.next_fetched().unwrap();
        assert_eq!((fetched.from, fetched.batch.record_count()), (0, 3));
    }

    #[test]
    fn a_bucket_that_is_behind_does_not_share_a_fetch_with_one_that_waits_for_news() {
        let (mut session, now) = (session(), Instant::now());
        for number in 0..2 {
            session.subscribe(bucket(number), table(), Some(0));
        }
        let wanted = ask(&mut session, now);
        let more = PbFetchLogRespForBucket {
            high_watermark: Some(9),
            ..three_rows()
        };
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
        session.on_answer(&wanted[1], Some(more), &server(), now);
        let (mut fetches, _) = session.fetches(now, |_| Some(server()), |_, _| false);
        fetches.sort_by_key(|fetch| fetch.waits);
        let buckets: Vec<_> = fetches
            .iter()
            .map(|fetch| (fetch.waits, fetch.buckets[0].bucket))
            .collect();
        assert_eq!(buckets, [(false, wanted[1].bucket), (true, wanted[0].bucket)]);
    }

    #[test]
    fn records_before_the_start_are_marked_and_batches_before_it_left_out() {
        let (mut session, now) = (session(), Instant::now());
        for (start, expected) in [(2, Some(2)), (3, None)] {
            session.subscribe(bucket(0), table(), Some(start));
            let wanted = ask(&mut session, now);
            session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
            assert_eq!(session.next_fetched().map(|fetched| fetched.from), expected);
        }
    }

    #[test]
    fn an_answer_to_a_former_subscription_is_dropped() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), Some(0));
        let former = ask(&mut session, now);
        session.subscribe(bucket(0), table(), Some(1));
        session.on_answer(&former[0], Some(three_rows()), &server(), now);
        assert!(!session.has_fetched());
        assert_eq!(ask(&mut session, now)[0].offset, 1);
    }

    #[test]
    fn a_moved_bucket_rests_and_one_out_of_range_fails_every_poll() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), Some(9));
        let wanted = ask(&mut session, now);
        let moved = refusal(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        assert!(
            session.on_answer(&wanted[0], Some(moved), &server(), now),
            "the leader is looked for"
        );
        assert!(ask(&mut session, now).is_empty());
        let rested = session.next_wake(now).unwrap();
        let wanted = ask(&mut session, rested);
        let out_of_range = refusal(ErrorCode::LOG_OFFSET_OUT_OF_RANGE);
        assert!(!session.on_answer(&wanted[0], Some(out_of_range), &server(), rested));
        for _ in 0..2 {
            let error = session.error(rested, TIMEOUT).unwrap();
            assert_eq!(error.code(), Some(ErrorCode::LOG_OFFSET_OUT_OF_RANGE));
        }
    }

    #[test]
    fn a_dropped_partition_ends_after_what_was_fetched_of_it() {
        let (mut session, now) = (session(), Instant::now());
        let dropped = TableBucket::in_partition(TableId(1), crate::id::PartitionId(3), BucketId(0));
        session.subscribe(dropped, table(), None);
        let wanted = ask(&mut session, now);
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
        session.end(|bucket| *bucket == dropped);
        assert!(ask(&mut session, now).is_empty());
        assert_eq!(
            (session.next_wake(now), session.next_timeout(TIMEOUT)),
            (None, None)
        );
        assert_eq!(session.next_fetched().unwrap().batch.record_count(), 3);
        assert!(session.error(now + TIMEOUT, TIMEOUT).is_none());
    }

    #[test]
    fn a_bucket_stands_at_the_first_record_that_was_not_handed_over() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), None);
        let position = |session: &Session| session.positions()[&bucket(0)];
        assert_eq!(position(&session), None);
        let wanted = ask(&mut session, now);
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now);
        assert_eq!(position(&session), Some(0), "what is only fetched is not passed");
        let fetched = session.next_fetched().unwrap();
        assert_eq!(position(&session), Some(3));
        let error = Context::new("poll").error(DecodeError::new("log batch", "damaged"));
        session.refuse(&fetched, error);
        assert_eq!(position(&session), Some(0), "nor is what cannot be decoded");
        session.clear();
        assert!(session.positions().is_empty());
    }

    #[test]
    fn partitions_to_come_are_those_that_are_not_known() {
        let mut session = session();
        let ids = |ids: &[i64]| ids.iter().copied().map(PartitionId).collect::<Vec<_>>();
        assert_eq!(session.discover(ids(&[1]).into_iter()), []);
        session.follow(Some(ids(&[1, 2]).into_iter().collect()));
        assert_eq!(session.discover(ids(&[1, 2, 3]).into_iter()), ids(&[3]));
        assert_eq!(session.discover(ids(&[2, 3]).into_iter()), []);
    }

    #[test]
    fn a_bucket_is_read_no_further_than_to_its_stop() {
        let (mut session, now) = (session(), Instant::now());
        for number in 0..2 {
            session.subscribe(bucket(number), table(), Some(0));
        }
        session.stop_at(&bucket(0), 2);
        session.stop_at(&bucket(1), 3);
        let wanted = ask(&mut session, now);
        let first = wanted.iter().find(|wanted| wanted.bucket == bucket(0)).unwrap();
        session.on_answer(first, Some(three_rows()), &server(), now);
        assert_eq!(session.next_fetched().map(|fetched| fetched.to), Some(2));
        assert!(!session.has_stopped() && ask(&mut session, now).is_empty());
        session.end(|ended| *ended == bucket(1));
        assert!(session.has_stopped(), "what is dropped comes no further");
    }

    #[test]
    fn a_log_that_was_emptied_is_passed() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), None);
        session.stop_at(&bucket(0), 7);
        let wanted = ask(&mut session, now);
        let emptied = PbFetchLogRespForBucket {
            log_start_offset: Some(7),
            high_watermark: Some(7),
            ..Default::default()
        };
        session.on_answer(&wanted[0], Some(emptied), &server(), now);
        assert!(session.has_stopped(), "all records before the stop are gone");
    }

    #[test]
    fn silence_is_told_once_for_each_span_of_time() {
        let (mut session, now) = (session(), Instant::now());
        session.subscribe(bucket(0), table(), Some(0));
        let wanted = ask(&mut session, now);
        assert!(session.error(now, TIMEOUT).is_none());
        assert_eq!(session.next_timeout(TIMEOUT), Some(now + TIMEOUT));
        let error = session.error(now + TIMEOUT, TIMEOUT).unwrap();
        assert_eq!(error.to_string(), "poll d.t bucket 0 at h:1: no answer within 2s");
        assert!(session.error(now + TIMEOUT, TIMEOUT).is_none());
        session.on_answer(&wanted[0], Some(three_rows()), &server(), now + TIMEOUT);
        assert_eq!(session.next_timeout(TIMEOUT), None);
    }
}
