//! Sends look-ups to the leaders of their buckets, those of one server together.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use fluss_rpc::code::ErrorCode;
use fluss_rpc::net::{Disconnect, RequestError, ServerAddress};
use fluss_rpc::sync::{Mutex, MutexGuard};
use futures::future::Either;
use futures::{FutureExt, poll};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, debug_span};

use super::attempts::Attempts;
use super::batcher::{Batcher, Entry, Limits};
use super::keys::Located;
use super::query::{Answer, BucketKeys, Counted, Patience, Query, malformed, outcome};
use crate::cluster::Cluster;
use crate::error::{Context, Error, ErrorKind, Result, tell};
use crate::log_target;
use crate::meters::{LookupMeters, only};
use crate::warnings::{Warnings, tell_once};
use fluss_core::id::TableBucket;
use fluss_core::types::TableInfo;

/// The most of one request. Its keys take the server some milliseconds, so that others are not held up for long.
const LIMITS: Limits = Limits {
    keys: 2_000,
    bytes: 4 << 20,
};

/// What sends the look-ups of one kind in one table.
pub(super) struct Sender<Q: Query> {
    pub(super) cluster: Cluster,
    pub(super) info: Arc<TableInfo>,
    pub(super) meters: LookupMeters,
    pub(super) query: Q,
    batcher: Mutex<Batcher<Want<Q::Found>>>,
    warnings: Mutex<Warnings>,
}

/// A look-up that somebody waits for.
struct Want<F> {
    bucket: TableBucket,
    key: Bytes,
    answer: oneshot::Sender<Result<F, ErrorKind>>,
}

/// Look-ups that are sent together, by bucket.
type Batch<F> = BTreeMap<TableBucket, Vec<Want<F>>>;

fn by_bucket<F>(wants: Vec<Want<F>>) -> Batch<F> {
    let mut batch = Batch::new();
    for want in wants {
        batch.entry(want.bucket).or_default().push(want);
    }
    batch
}

impl<F> Want<F> {
    /// How many bytes are to be sent, while somebody waits.
    fn size(&self) -> Option<usize> {
        (!self.answer.is_closed()).then_some(self.key.len())
    }
}

/// The time in which a lone look-up is on its way.
struct Alone<'s, Q: Query> {
    sender: &'s Sender<Q>,
    server: &'s ServerAddress,
    at_once: bool,
}

impl<Q: Query> Drop for Alone<'_, Q> {
    fn drop(&mut self) {
        self.sender.lock().leave(self.server, self.at_once);
    }
}

/// The task of a lane. Should it be ended from outside, those who wait are told, and try again.
struct Driver<Q: Query> {
    sender: Arc<Sender<Q>>,
    server: ServerAddress,
    ended: bool,
}

impl<Q: Query> Drop for Driver<Q> {
    fn drop(&mut self) {
        if !self.ended {
            let abandoned = self.sender.lock().abandon(&self.server);
            drop(abandoned);
        }
    }
}

impl<Q: Query> Driver<Q> {
    /// Sends one batch after the other until nobody waits any more.
    async fn drive(mut self, first: impl Future<Output = ()>) {
        first.await;
        while let Some(batch) = self.next() {
            self.sender.send(&self.server, batch).await;
        }
    }

    fn next(&mut self) -> Option<Vec<Want<Q::Found>>> {
        let next = self.sender.lock().next(&self.server, Want::size);
        self.ended = next.is_none();
        next
    }
}

impl<Q: Query> Sender<Q> {
    pub(super) fn new(cluster: &Cluster, info: &Arc<TableInfo>, query: Q) -> Self {
        Self {
            cluster: cluster.clone(),
            info: info.clone(),
            meters: LookupMeters::of(cluster.owner(), &info.path),
            query,
            batcher: Mutex::new(Batcher::new(LIMITS)),
            warnings: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Batcher<Want<Q::Found>>> {
        self.batcher.lock()
    }

    /// The most of one request as of now.
    pub(super) fn limits(&self) -> Limits {
        self.lock().limits()
    }

    /// The error of a look-up in a bucket.
    pub(super) fn error(&self, bucket: TableBucket, server: &ServerAddress, kind: ErrorKind) -> Error {
        let kind = match kind {
            // The time of the whole call, not what an attempt had left of it.
            ErrorKind::Timeout { .. } => self.late(),
            kind => kind,
        };
        self.context(bucket).server(server).error(kind)
    }

    /// As [`error`](Self::error), of so many keys of one request, and told.
    pub(super) fn failure(
        &self,
        bucket: TableBucket,
        server: &ServerAddress,
        kind: ErrorKind,
        keys: usize,
    ) -> Error {
        let error = self.error(bucket, server, kind);
        if error.is_retriable() {
            let mut warnings = self.warnings.lock();
            tell_once!(log_target::LOOKUP, warnings, &error, 1, keys, "a look-up failed");
        } else {
            tell!(log_target::LOOKUP, debug, &error, keys, "a look-up failed");
        }
        error
    }

    fn context(&self, bucket: TableBucket) -> Context {
        let table = self.cluster.topology().physical(&self.info.path, &bucket);
        Context::new(Q::OPERATION).physical(&table).bucket(bucket.bucket)
    }

    /// The leader of a bucket. The attempt goes by the metadata that names it.
    pub(super) async fn leader(
        &self,
        bucket: TableBucket,
        attempts: &mut Attempts<'_>,
    ) -> Result<ServerAddress> {
        self.cluster.check_open(Q::OPERATION)?;
        let topology = self.cluster.topology();
        attempts.generation = topology.generation();
        if let Some(server) = topology.leader(&bucket) {
            return Ok(server.clone());
        }
        let context = self.context(bucket);
        let found = self.cluster.leader(&context, &self.info.path, &bucket);
        let server = timeout_at(attempts.deadline, found).await.unwrap_or_else(|_| {
            let timeout = self.cluster.request_timeout();
            Err(self.context(bucket).error(ErrorKind::NoLeader(timeout)))
        });
        attempts.generation = self.cluster.topology().generation();
        server
    }

    /// Looks a key up: by itself if nothing is on its way to the leader, and else together with others.
    pub(super) async fn one(
        self: &Arc<Self>,
        Located { bucket, key, .. }: &Located,
        attempts: &mut Attempts<'_>,
    ) -> Result<Q::Found> {
        let bucket = *bucket;
        let server = &self.leader(bucket, attempts).await?;
        let (answer, waiting) = oneshot::channel();
        let want = Want {
            bucket,
            key: key.clone(),
            answer,
        };
        let entry = self.lock().enter(server, want);
        match entry {
            Entry::Alone => {
                return self.alone(server, bucket, key.clone(), attempts.patience()).await;
            }
            Entry::Lane(want) => self.open_lane(server, want),
            Entry::Gathers => drop(tokio::spawn(self.lane(server, yield_now()))),
            Entry::Waits => {}
        }
        let abandoned = |_| {
            ErrorKind::Request(RequestError::Disconnected {
                reason: Disconnect::Closed,
            })
        };
        match timeout_at(attempts.deadline, waiting).await {
            Ok(answer) => answer.map_err(abandoned).flatten(),
            Err(_) => Err(self.late()),
        }
        .map_err(|kind| self.error(bucket, server, kind))
    }

    /// Asks for one key. The caller's own task waits for the answer: no other has to wake up for it.
    async fn alone(
        self: &Arc<Self>,
        server: &ServerAddress,
        bucket: TableBucket,
        key: Bytes,
        patience: Patience,
    ) -> Result<Q::Found> {
        let mut alone = Alone {
            sender: self,
            server,
            at_once: false,
        };
        let mut answer = pin!(self.ask(server, vec![(bucket, vec![key])], patience));
        let mut answer = match poll!(answer.as_mut()) {
            Poll::Ready(answer) => {
                alone.at_once = true;
                answer
            }
            Poll::Pending => answer.await,
        };
        drop(alone);
        let found = outcome(&mut answer, bucket, 1);
        found
            .and_then(|mut found| found.pop().ok_or_else(|| malformed("there is no value")))
            .map_err(|kind| self.failure(bucket, server, kind, 1))
    }

    fn late(&self) -> ErrorKind {
        ErrorKind::Timeout {
            after: self.cluster.request_timeout(),
            outcome_unknown: self.query.writes(),
        }
    }

    fn open_lane(self: &Arc<Self>, server: &ServerAddress, first: Want<Q::Found>) {
        let mut lane = Box::pin(self.lane(server, self.send(server, vec![first])));
        // A server in the same process has answered already.
        if lane.as_mut().now_or_never().is_none() {
            tokio::spawn(lane);
        }
    }

    /// What drives a lane after this.
    fn lane<F: Future<Output = ()>>(
        self: &Arc<Self>,
        server: &ServerAddress,
        first: F,
    ) -> impl Future<Output = ()> + use<Q, F> {
        let driver = Driver {
            sender: self.clone(),
            server: server.clone(),
            ended: false,
        };
        driver.drive(first)
    }

    /// Sends a batch, at once if there is a connection. The future ends when everybody has an answer.
    fn send(
        self: &Arc<Self>,
        server: &ServerAddress,
        batch: Vec<Want<Q::Found>>,
    ) -> impl Future<Output = ()> + Send + use<Q> {
        let batch = by_bucket(batch);
        let keys = |wants: &Vec<Want<_>>| wants.iter().map(|want| want.key.clone()).collect();
        let buckets = batch.iter().map(|(bucket, wants)| (*bucket, keys(wants)));
        let keys = buckets.collect();
        let timeout = self.cluster.request_timeout();
        let silence = timeout / 2;
        let answer = self.ask(server, keys, Patience { timeout, silence });
        let (sender, server) = (self.clone(), server.clone());
        async move { sender.settle(&server, batch, answer.await) }
    }

    /// Tells everybody what was found.
    fn settle(
        &self,
        server: &ServerAddress,
        batch: Batch<Q::Found>,
        mut answer: Answer<Q::Found, ErrorKind>,
    ) {
        let count = batch.values().map(Vec::len).sum();
        if is_too_large(&answer, count) {
            let batch = batch.into_values().flatten().collect();
            return self.lock().put_back(server, batch);
        }
        for (bucket, wants) in batch {
            match outcome(&mut answer, bucket, wants.len()) {
                Ok(found) => {
                    for (want, found) in wants.into_iter().zip(found) {
                        // Whoever waited may have given up.
                        drop(want.answer.send(Ok(found)));
                    }
                }
                Err(error) => {
                    self.failure(bucket, server, error.clone(), wants.len());
                    for want in wants {
                        drop(want.answer.send(Err(error.clone())));
                    }
                }
            }
        }
    }

    /// Asks a server for keys, at once if there is a connection, and else when there is one.
    pub(super) fn ask(
        self: &Arc<Self>,
        server: &ServerAddress,
        keys: Vec<BucketKeys>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Q::Found, ErrorKind>> + Send + use<Q> {
        if let Some(cluster) = self.cluster.servers().open(server) {
            let answer = self.ask_at(&cluster, keys, patience);
            return Either::Left(async move { Ok(answer.await?) });
        }
        let (sender, server) = (self.clone(), server.clone());
        let deadline = Instant::now() + patience.timeout;
        Either::Right(async move {
            let cluster = timeout_at(deadline, sender.cluster.servers().get(&server)).await;
            let cluster = cluster.map_err(|_| sender.late())?;
            let cluster = cluster.map_err(|error| error.kind().clone())?;
            let timeout = deadline.saturating_duration_since(Instant::now());
            let patience = Patience { timeout, ..patience };
            Ok(sender.ask_at(&cluster, keys, patience).await?)
        })
    }

    fn ask_at(
        &self,
        cluster: &fluss_rpc::net::Connection,
        keys: Vec<BucketKeys>,
        patience: Patience,
    ) -> impl Future<Output = Answer<Q::Found>> + Send + use<Q> {
        let span = self.note(cluster.address(), &keys);
        // Of a partition it never changes: it is the one that the buckets were chosen by.
        let topology = self.cluster.topology();
        let counted = keys.into_iter().map(|(bucket, keys)| Counted {
            bucket,
            count: topology.bucket_count(bucket.table, bucket.partition),
            keys,
        });
        let answer = span.in_scope(|| {
            self.query
                .send(cluster, self.info.id, counted.collect(), patience)
        });
        answer.instrument(span)
    }

    /// Takes note of a request for keys. The span is the time in which they are on their way.
    fn note(&self, server: &ServerAddress, buckets: &[BucketKeys]) -> tracing::Span {
        let keys: usize = buckets.iter().map(|(_, keys)| keys.len()).sum();
        self.meters.asked(keys);
        debug_span!(
            target: log_target::LOOKUP,
            "look up",
            table = %self.info.path,
            bucket = only(buckets.iter().map(|(bucket, _)| bucket)),
            buckets = buckets.len(),
            %server,
            keys,
        )
    }

    /// Takes note that so many keys are too many for one request.
    pub(super) fn shrink(&self, keys: usize) {
        self.lock().shrink(keys);
    }
}

/// Whether fewer keys may have an answer that can be sent and received. A connection that brings one too large is lost, and
/// its other requests with it; a server may also refuse to make it.
pub(super) fn is_too_large<F>(answer: &Answer<F, ErrorKind>, keys: usize) -> bool {
    use RequestError::{Disconnected, TooLarge};
    let Err(error) = answer else {
        return false;
    };
    keys > 1
        && matches!(
            error,
            ErrorKind::Request(
                TooLarge { .. }
                    | Disconnected {
                        reason: Disconnect::Frame(_)
                    }
            ) | ErrorKind::Server {
                code: ErrorCode::RECORD_TOO_LARGE,
                ..
            }
        )
}
