//! What a scanner is subscribed to, where it stands, and what has been fetched.
//!
//! [`Session`] is a value that knows neither sockets nor tasks: `fetch` says what to ask of servers and what answers mean,
//! `tiered` which files to read and what comes of them, `waits` when it has taken too long.

mod fetch;
mod subscription;
mod tiered;
mod waits;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::Random;
use tokio::time::Instant;

use super::arrivals::{Arrivals, Fetched};
use super::form::Forms;
use super::tiered::Held;
use crate::config::{RemoteOptions, ScannerOptions};
use crate::error::Error;
use fluss_core::id::{Offset, PartitionId, SchemaId, TableBucket};
use fluss_core::types::PhysicalTablePath;
use subscription::{Columns, Pause, Subscription};

pub(super) use fetch::Fetch;
pub(super) use tiered::Download;
pub(super) use wanted::Wanted;

/// How many full answers of a bucket may wait for the consumer.
const AHEAD: usize = 2;

/// What a scanner is subscribed to, where it stands, and what has been fetched.
pub(super) struct Session {
    options: ScannerOptions,
    remote: RemoteOptions,
    buckets: BTreeMap<TableBucket, Subscription>,
    arrivals: Arrivals,
    /// The fewest columns that are enough.
    columns: Columns,
    last_subscription: u64,
    /// Whether nothing is read because nothing is left of saved positions.
    nothing_left: bool,
    /// The partitions that are known, if those to come are to be read too.
    followed: Option<BTreeSet<PartitionId>>,
    /// Why nobody knows whether there are new partitions, or what a schema is, until it is told.
    trouble: Option<Error>,
    /// Why there will be no new partitions.
    dropped: Option<Error>,
    /// Between attempts to get schemas.
    schema_pause: Option<Pause>,
    /// Moves which bucket is asked for first: only that one is sure to get a batch that exceeds the limits.
    turn: usize,
    /// The bytes of tiered segments that are held or on their way.
    held: Held,
    /// How many downloads are on their way, and the number of the last.
    downloading: usize,
    last_download: u64,
    random: Random,
}

impl Session {
    /// Begins with the schema that the table had when it was asked for.
    pub(super) fn new(
        options: ScannerOptions,
        remote: RemoteOptions,
        (schema, forms): (SchemaId, Forms),
        random: Random,
    ) -> Self {
        let columns = match forms.projected {
            Some(_) => Columns::Asked,
            None => Columns::All,
        };
        let mut arrivals = Arrivals::default();
        arrivals.learn(schema, forms);
        Self {
            options,
            remote,
            buckets: BTreeMap::new(),
            arrivals,
            columns,
            last_subscription: 0,
            nothing_left: false,
            followed: None,
            trouble: None,
            dropped: None,
            schema_pause: None,
            turn: 0,
            held: Held::default(),
            downloading: 0,
            last_download: 0,
            random,
        }
    }

    /// Reads a bucket from an offset on, or from the first record that is still there. What was fetched for an
    /// earlier subscription of the bucket is dropped.
    pub(super) fn subscribe(&mut self, bucket: TableBucket, table: PhysicalTablePath, next: Option<Offset>) {
        self.unsubscribe(bucket);
        self.last_subscription += 1;
        let (id, random) = (self.last_subscription, self.random.clone());
        let subscription = Subscription::new(id, table, next, self.columns, random);
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
        self.dropped = None;
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

    /// Reads nothing any more, but what is left of saved positions.
    pub(super) fn clear(&mut self) {
        for subscription in std::mem::take(&mut self.buckets).into_values() {
            self.arrivals.forget(subscription.id);
        }
        self.followed = None;
        self.nothing_left = true;
    }

    pub(super) fn unsubscribe(&mut self, bucket: TableBucket) {
        self.nothing_left = false;
        if let Some(subscription) = self.buckets.remove(&bucket) {
            self.arrivals.forget(subscription.id);
        }
    }

    /// Reads no further in partitions that were dropped. What was fetched of them is still handed over.
    pub(super) fn end(&mut self, is_gone: impl Fn(&TableBucket) -> bool) {
        for (_, subscription) in self.buckets.iter_mut().filter(|(bucket, _)| is_gone(bucket)) {
            subscription.end();
        }
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
        if error.is_worth_another(ErrorCode::retry, 0) {
            Pause::extend(&mut self.schema_pause, now, &self.random);
            self.trouble = Some(error.clone());
            return;
        }
        let stuck: Vec<_> = self.arrivals.waiting_for(schema).collect();
        for (bucket, subscription) in &mut self.buckets {
            if stuck.contains(&subscription.id) {
                let context = subscription.context(*bucket).schema(schema);
                subscription.error = Some(error.clone().within(context));
                subscription.tiered = None;
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
            subscription.tiered = None;
        }
        self.arrivals.forget(fetched.subscription);
    }

    /// The next batch for the consumer.
    pub(super) fn next_fetched(&mut self) -> Option<Fetched> {
        let fetched = self.pop()?;
        self.unpack(fetched.bucket);
        Some(fetched)
    }

    fn pop(&mut self) -> Option<Fetched> {
        let fetched = self.arrivals.pop()?;
        if let Some(subscription) = self.buckets.get_mut(&fetched.bucket) {
            subscription.fetched_bytes = subscription.fetched_bytes.saturating_sub(fetched.batch.len());
        }
        Some(fetched)
    }

    fn subscription(&mut self, wanted: &Wanted) -> Option<&mut Subscription> {
        self.buckets
            .get_mut(&wanted.bucket)
            .filter(|subscription| subscription.id == wanted.subscription)
    }
}

#[cfg(test)]
mod tests;
