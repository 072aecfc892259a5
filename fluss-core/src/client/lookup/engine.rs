//! Sends look-ups, and tries again what can succeed elsewhere or later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fluss_rpc::code::{ErrorCode, Retry};
use fluss_rpc::net::ServerAddress;
use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::batcher::Batcher;
use super::keys::Located;
use super::query::{Answer, BucketFound, BucketKeys, Query};
use crate::client::error::{Context, Error, ErrorKind, Result};
use crate::client::{Connection, retry};
use crate::error::DecodeError;
use crate::id::TableBucket;
use crate::types::TableInfo;

/// The most keys of one request.
const MOST_KEYS: usize = 2_000;

/// Look-ups of one kind in one table. Clones share it.
pub(super) struct Engine<Q: Query> {
    inner: Arc<Inner<Q>>,
}

impl<Q: Query> Clone for Engine<Q> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<Q: Query> {
    connection: Connection,
    info: Arc<TableInfo>,
    query: Q,
    batcher: Mutex<Batcher<Want<Q::Found>>>,
}

/// A request of many keys: their positions, by bucket.
type Request = (ServerAddress, Vec<(TableBucket, Vec<usize>)>);

/// A look-up that somebody waits for.
struct Want<F> {
    bucket: TableBucket,
    key: Bytes,
    answer: oneshot::Sender<Result<F>>,
}

impl<Q: Query> Engine<Q> {
    pub(super) fn new(connection: &Connection, info: &Arc<TableInfo>, query: Q) -> Self {
        Self {
            inner: Arc::new(Inner {
                connection: connection.clone(),
                info: info.clone(),
                query,
                batcher: Mutex::new(Batcher::new(MOST_KEYS)),
            }),
        }
    }

    /// Looks one key up, together with others that are looked up meanwhile.
    pub(super) async fn one(&self, (bucket, key): Located) -> Result<Q::Found> {
        let inner = &self.inner;
        let mut attempts = Attempts::new(inner);
        loop {
            attempts.begin();
            let error = match inner.attempt(bucket, key.clone(), attempts.deadline).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            attempts.after(error).await?;
        }
    }

    /// Looks many keys up at once. What is found is in their order.
    pub(super) async fn many(&self, keys: &[Located]) -> Result<Vec<Q::Found>> {
        let inner = &self.inner;
        let mut found: Vec<Option<Q::Found>> = keys.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..keys.len()).collect();
        let mut attempts = Attempts::new(inner);
        while !open.is_empty() {
            attempts.begin();
            let error = inner
                .attempt_many(keys, &mut found, &open, attempts.deadline)
                .await;
            open.retain(|index| found.get(*index).is_some_and(Option::is_none));
            if let Some(error) = error {
                attempts.after(error).await?;
            }
        }
        Ok(found.into_iter().flatten().collect())
    }
}

/// The attempts at one look-up, within its deadline.
struct Attempts<'i, Q: Query> {
    inner: &'i Inner<Q>,
    deadline: Instant,
    generation: u64,
    pauses: Box<dyn Iterator<Item = std::time::Duration> + Send>,
}

impl<'i, Q: Query> Attempts<'i, Q> {
    fn new(inner: &'i Inner<Q>) -> Self {
        Self {
            inner,
            deadline: Instant::now() + inner.connection.options().request_timeout,
            generation: 0,
            pauses: Box::new(retry::pauses_after_the_first()),
        }
    }

    fn begin(&mut self) {
        self.generation = self.inner.connection.cluster().generation();
    }

    /// Returns the error if nothing can help, and otherwise once it is time to try again.
    async fn after(&mut self, error: Error) -> Result<()> {
        let next = Instant::now() + self.pauses.next().unwrap_or_default();
        if !error.is_retriable() || next >= self.deadline {
            return Err(error);
        }
        let elsewhere = error
            .code()
            .is_none_or(|code| code.retry() == Retry::RefreshMetadata);
        if elsewhere {
            let path = &self.inner.info.path;
            let refreshed = self.inner.connection.refresh(Some(path), self.generation);
            // What was not found out now is tried again with the next attempt.
            drop(timeout_at(self.deadline, refreshed).await);
        }
        sleep_until(next).await;
        Ok(())
    }
}

impl<Q: Query> Inner<Q> {
    fn lock(&self) -> MutexGuard<'_, Batcher<Want<Q::Found>>> {
        self.batcher.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self, bucket: TableBucket) -> Context {
        Context::new(Q::OPERATION)
            .table(&self.info.path)
            .bucket(bucket.bucket)
    }

    fn late(&self, bucket: TableBucket, server: &ServerAddress) -> Error {
        self.context(bucket).server(server).error(ErrorKind::Timeout {
            after: self.connection.options().request_timeout,
            outcome_unknown: false,
        })
    }

    async fn leader(&self, bucket: TableBucket) -> Result<ServerAddress> {
        self.connection.check_open(Q::OPERATION)?;
        if let Some(server) = self.connection.cluster().leader(&bucket) {
            return Ok(server.clone());
        }
        let context = self.context(bucket);
        self.connection.leader(&context, &self.info.path, &bucket).await
    }

    async fn attempt(
        self: &Arc<Self>,
        bucket: TableBucket,
        key: Bytes,
        deadline: Instant,
    ) -> Result<Q::Found> {
        let server = self.leader(bucket).await?;
        let (answer, waiting) = oneshot::channel();
        let batch = self.lock().push(&server, Want { bucket, key, answer });
        if let Some(batch) = batch {
            self.send(server.clone(), batch);
        }
        match timeout_at(deadline, waiting).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                let died = ErrorKind::Defect("the task of a look-up died".to_owned());
                Err(self.context(bucket).error(died))
            }
            Err(_) => Err(self.late(bucket, &server)),
        }
    }

    /// Sends a batch, at once if there is a connection, and then those that follow it.
    fn send(self: &Arc<Self>, server: ServerAddress, batch: Vec<Want<Q::Found>>) {
        let inner = self.clone();
        let mut by_bucket: BTreeMap<TableBucket, Vec<Want<Q::Found>>> = BTreeMap::new();
        for want in batch {
            by_bucket.entry(want.bucket).or_default().push(want);
        }
        let keys = |wants: &Vec<Want<Q::Found>>| wants.iter().map(|want| want.key.clone()).collect();
        let keys: Vec<BucketKeys> = by_bucket
            .iter()
            .map(|(bucket, wants)| (*bucket, keys(wants)))
            .collect();
        if let Some(connection) = self.connection.servers().open(&server) {
            let timeout = self.connection.options().request_timeout;
            let answer = self.query.send(&connection, self.info.id, keys, timeout);
            tokio::spawn(async move { inner.settle(&server, by_bucket, answer.await) });
        } else {
            tokio::spawn(async move {
                let answer = inner.ask(&server, keys).await;
                match answer {
                    Ok(answer) => inner.settle(&server, by_bucket, answer),
                    Err(error) => inner.fail(&server, by_bucket, &error),
                }
            });
        }
    }

    /// Asks a server, connecting to it if need be. The error is that of the connection.
    async fn ask(&self, server: &ServerAddress, keys: Vec<BucketKeys>) -> Result<Answer<Q::Found>> {
        let connection = self.connection.servers().get(server).await?;
        let timeout = self.connection.options().request_timeout;
        Ok(self.query.send(&connection, self.info.id, keys, timeout).await)
    }

    fn settle(
        self: &Arc<Self>,
        server: &ServerAddress,
        by_bucket: BTreeMap<TableBucket, Vec<Want<Q::Found>>>,
        answer: Answer<Q::Found>,
    ) {
        let mut answer = self.by_bucket(server, answer);
        for (bucket, wants) in by_bucket {
            match answer(bucket, wants.len()) {
                Ok(found) => {
                    for (want, found) in wants.into_iter().zip(found) {
                        // Whoever waited may have given up.
                        drop(want.answer.send(Ok(found)));
                    }
                }
                Err(error) => {
                    for want in wants {
                        drop(want.answer.send(Err(error.clone())));
                    }
                }
            }
        }
        drop(answer);
        self.send_next(server);
    }

    fn fail(
        self: &Arc<Self>,
        server: &ServerAddress,
        by_bucket: BTreeMap<TableBucket, Vec<Want<Q::Found>>>,
        error: &Error,
    ) {
        for (bucket, wants) in by_bucket {
            for want in wants {
                drop(want.answer.send(Err(error.clone().within(self.context(bucket)))));
            }
        }
        self.send_next(server);
    }

    fn send_next(self: &Arc<Self>, server: &ServerAddress) {
        let next = self.lock().next(server, |want| !want.answer.is_closed());
        if let Some(next) = next {
            self.send(server.clone(), next);
        }
    }

    /// What a server answers for a bucket of so many keys.
    fn by_bucket(
        &self,
        server: &ServerAddress,
        answer: Answer<Q::Found>,
    ) -> impl FnMut(TableBucket, usize) -> Result<Vec<Q::Found>> {
        let mut answers = answer;
        let server = server.clone();
        move |bucket, count| {
            let context = || self.context(bucket).server(&server);
            let answers = match &mut answers {
                Ok(answers) => answers,
                Err(error) => return Err(context().error(error.clone())),
            };
            let is_its = |found: &BucketFound<Q::Found>| {
                (found.partition, found.bucket) == (bucket.partition, bucket.bucket)
            };
            let malformed = |reason| context().error(DecodeError::new("answer to a look-up", reason));
            let Some(position) = answers.iter().position(is_its) else {
                return Err(malformed("the bucket is missing"));
            };
            let answer = answers.swap_remove(position);
            match ErrorCode::of(answer.error_code) {
                Some(code) => Err(context().error(ErrorKind::server(code, answer.error_message))),
                None if answer.found.len() != count => Err(malformed("not as many values as keys")),
                None => Ok(answer.found),
            }
        }
    }

    /// Asks for the keys at these positions, each leader at once, and fills in what is found. Returns an error if
    /// there was any.
    async fn attempt_many(
        self: &Arc<Self>,
        keys: &[Located],
        found: &mut [Option<Q::Found>],
        open: &[usize],
        deadline: Instant,
    ) -> Option<Error> {
        let requests = match self.requests(keys, open).await {
            Ok(requests) => requests,
            Err(error) => return Some(error),
        };
        let asked = requests.into_iter().map(|(server, buckets)| async move {
            let key = |index: &usize| keys.get(*index).map(|(_, key)| key.clone()).unwrap_or_default();
            let asked: Vec<BucketKeys> = buckets
                .iter()
                .map(|(bucket, indexes)| (*bucket, indexes.iter().map(key).collect()))
                .collect();
            let answer = timeout_at(deadline, self.ask(&server, asked)).await;
            (server, buckets, answer)
        });
        let mut failure = None;
        for (server, buckets, answer) in join_all(asked).await {
            let mut answer = match answer {
                Ok(Ok(answer)) => self.by_bucket(&server, answer),
                Ok(Err(error)) => {
                    let bucket = buckets.first().map(|(bucket, _)| self.context(*bucket));
                    failure = bucket.map(|context| error.within(context));
                    continue;
                }
                Err(_) => {
                    failure = buckets.first().map(|(bucket, _)| self.late(*bucket, &server));
                    continue;
                }
            };
            for (bucket, indexes) in buckets {
                match answer(bucket, indexes.len()) {
                    Ok(values) => {
                        for (index, value) in indexes.into_iter().zip(values) {
                            if let Some(place) = found.get_mut(index) {
                                *place = Some(value);
                            }
                        }
                    }
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure
    }

    /// The positions of keys by request: of one server, and not too many.
    async fn requests(&self, keys: &[Located], open: &[usize]) -> Result<Vec<Request>> {
        let mut by_bucket: BTreeMap<TableBucket, Vec<usize>> = BTreeMap::new();
        for index in open {
            if let Some((bucket, _)) = keys.get(*index) {
                by_bucket.entry(*bucket).or_default().push(*index);
            }
        }
        let mut requests: Vec<Request> = Vec::new();
        for (bucket, indexes) in by_bucket {
            let server = self.leader(bucket).await?;
            for part in indexes.chunks(MOST_KEYS) {
                let fits = |request: &&mut Request| {
                    let taken: usize = request.1.iter().map(|(_, indexes)| indexes.len()).sum();
                    // A bucket comes once in a request, so that its answer can be told.
                    request.0 == server
                        && taken + part.len() <= MOST_KEYS
                        && request.1.iter().all(|(other, _)| *other != bucket)
                };
                match requests.iter_mut().find(fits) {
                    Some(request) => request.1.push((bucket, part.to_vec())),
                    None => requests.push((server.clone(), vec![(bucket, part.to_vec())])),
                }
            }
        }
        Ok(requests)
    }
}
